"""What answers in the chat: a model that makes its answer word by word. This one is a generator of nonsense."""

from random import Random
from time import time_ns

from erlang.channel import Channel

WORDS = "the a node process message scheduler binary term that which sends links watches restarts quickly never".split()


def tokens(prompt, count):
    choice = Random(prompt).choice
    for _ in range(count):
        yield choice(WORDS)


def answer(channel_ref, prompt, count):
    """Sends (time, word) for every word, and the end. Waits where the chat cannot keep up."""
    with Channel(channel_ref) as channel:
        for word in tokens(prompt, count):
            channel.send((time_ns(), word))
    return count
