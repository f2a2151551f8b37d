"""Says on stderr what is going on: one line that changes for people, a line for each step for logs."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Progress:
    def __init__(self, stream=None) -> None:
        self._stream = stream or sys.stderr
        self._changing = self._stream.isatty()
        self._lock = threading.Lock()  # of the stream and the two below: the clock ticks in a thread
        self._step: str | None = None
        self._detail = ""
        self._began = 0.0

    def say(self, text: str) -> None:
        with self._lock:
            self._erase()
            print(text, file=self._stream, flush=True)
            self._draw()

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        if not self._changing:
            self.say(text)
            yield
            return
        with self._lock:
            self._step, self._detail, self._began = text, "", time.monotonic()
        ended = threading.Event()
        clock = threading.Thread(target=self._tick, args=(ended,), daemon=True)
        clock.start()
        try:
            yield
        finally:
            ended.set()
            clock.join()
            with self._lock:
                self._erase()
                self._step = None

    def count(self, done: int, of: int, unit: str) -> None:
        self._detail = f"{min(done, of)} of {of} {unit}" if of else f"{done} {unit}"

    def _tick(self, ended: threading.Event) -> None:
        while True:
            with self._lock:
                self._draw()
            if ended.wait(0.2):
                return

    def _draw(self) -> None:
        if not self._changing or not self._step:
            return
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        parts = [self._step, self._detail, f"{minutes}:{seconds:02}"]
        width = shutil.get_terminal_size().columns - 1
        self._stream.write("\r\033[K" + "  ".join(filter(None, parts))[:width])
        self._stream.flush()

    def _erase(self) -> None:
        if self._changing and self._step:
            self._stream.write("\r\033[K")
            self._stream.flush()
