"""Values that make trouble when they are converted, and code that ends in unusual ways."""

import asyncio
import collections
import enum
import itertools
import json
import sys

import erlang
import erlang._source as erlang_source


# Deep and circular

def nested_list(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def nested_tuple(depth):
    value = ()
    for _ in range(depth):
        value = (value,)
    return value


def nested_dict(depth):
    value = {}
    for _ in range(depth):
        value = {"in": value}
    return value


def cyclic_list():
    value = [1]
    value.append(value)
    return value


def cyclic_dict():
    value = {"a": 1}
    value["self"] = value
    return value


def cyclic_tuple():
    inner = []
    value = (inner, 1)
    inner.append(value)
    return value


def send_nested(pid, depth):
    erlang.send(pid, nested_list(depth))


def call_nested(name, depth):
    return erlang.call(name, nested_list(depth))


# Text that raises, lies or does something else

class StrRaises:
    def __str__(self):
        raise ZeroDivisionError("no text")


class ReprRaises:
    def __repr__(self):
        raise ZeroDivisionError("no text")


class StrIsNoText:
    def __str__(self):
        return 42


class StrRecurses:
    def __str__(self):
        return str(self)


class StrIs:
    def __init__(self, text):
        self.text = text

    def __str__(self):
        return self.text


class AttributesRaise:
    def __getattribute__(self, name):
        raise ZeroDivisionError(name)


class ClassLies:
    __class__ = property(lambda self: dict)


class ClassRaises:
    @property
    def __class__(self):
        raise ZeroDivisionError("no class")


class StrCalls:
    def __init__(self, name):
        self.name = name

    def __str__(self):
        return erlang.call(self.name)


class StrSpins:
    def __init__(self, pid):
        self.pid = pid

    def __str__(self):
        erlang.send(self.pid, "running")
        while True:
            pass


def instance(name, *args):
    return globals()[name](*args)


# Containers that change while they are converted

class Trigger:
    """Runs `action` when it is turned into text."""

    def __init__(self, action):
        self.action = action

    def __str__(self):
        self.action()
        return "triggered"


def fresh(count):
    """Objects nothing else refers to: whoever only borrowed one holds freed memory once it is removed."""
    return ["".join(["text", str(n)]) for n in range(count)]


def list_cleared():
    box = []
    box.extend([Trigger(box.clear)] + fresh(1000))
    return box


def list_shrinking():
    box = []
    box.extend([Trigger(box.pop)] * 100 + fresh(50))
    return box


def list_growing():
    box = []
    box.extend([Trigger(lambda: box.extend(fresh(1000)))] * 10)
    return box


def list_without_end():
    box = []
    trigger = Trigger(lambda: box.append(trigger))
    box.append(trigger)
    return box


def outer_cleared_by_inner():
    outer = []
    outer.extend([[[Trigger(outer.clear)], fresh(10)], fresh(1000), fresh(1000)])
    return outer


def dict_cleared():
    box = {}
    box["first"] = Trigger(box.clear)
    box.update((text, text + "value") for text in fresh(1000))
    return box


def dict_growing():
    box = {}
    box["first"] = Trigger(lambda: box.update((text, text) for text in fresh(1000)))
    box["second"] = 2
    return box


def dict_without_end():
    box = {}
    trigger = Trigger(lambda: box.update({len(box): trigger}))
    box["first"] = trigger
    return box


def dict_key_clears():
    box = {}
    box[Trigger(box.clear)] = 1
    box.update((text, text + "value") for text in fresh(1000))
    return box


def set_cleared():
    box = set()
    box.add(Trigger(box.clear))
    box.update(fresh(100))
    return box


# Subclasses and relatives of what converts

class Int(int):
    def __str__(self):
        return "not the number"

    __repr__ = __str__


class Text(str):
    def __str__(self):
        return "not the text"


class Bytes(bytes):
    def __str__(self):
        return "not the bytes"


class Float(float):
    def __str__(self):
        return "not the number"


class List(list):
    pass


class Dict(dict):
    pass


class LyingList(list):
    def __len__(self):
        return 10**9

    def __iter__(self):
        raise ZeroDivisionError("no items")


class LyingDict(dict):
    def __len__(self):
        return 10**9

    def __iter__(self):
        raise ZeroDivisionError("no keys")

    items = keys = values = __iter__


class Colour(enum.IntEnum):
    RED = 1


Point = collections.namedtuple("Point", "x y")


def counter():
    return collections.Counter("aab")


def ordered():
    return collections.OrderedDict(a=1, b=2)


def defaulting():
    value = collections.defaultdict(list)
    value["a"].append(1)
    return value


def generator():
    yield 1


def iterator():
    return itertools.count()


async def _coroutine():
    return 1


def coroutine():
    return _coroutine()


def identity(value):
    return value


# Endings

class Custom(BaseException):
    pass


class MessageRaises(Exception):
    def __str__(self):
        raise ZeroDivisionError("no message")


class MessageIsNoText(Exception):
    def __str__(self):
        return 42


ENDINGS = {
    "SystemExit": SystemExit,
    "KeyboardInterrupt": KeyboardInterrupt,
    "GeneratorExit": GeneratorExit,
    "StopIteration": StopIteration,
    "MemoryError": MemoryError,
    "CancelledError": asyncio.CancelledError,
    "Custom": Custom,
    "MessageRaises": MessageRaises,
    "MessageIsNoText": MessageIsNoText,
}


def end_with(name, *args):
    raise ENDINGS[name](*args)


def leave():
    sys.exit(3)


def raise_long_message(size):
    raise ValueError("x" * size)


def raise_new_class(name):
    raise type(name, (Exception,), {})("one of many")


def atoms(prefix, count):
    """How many of `count` new atoms could be made."""
    made = 0
    for n in range(count):
        try:
            erlang.atom(prefix + str(n))
        except Exception:
            return made
        made += 1
    return made


def recurse():
    return recurse()


def repr_of_nested(depth):
    return len(repr(nested_list(depth)))


def json_of_nested(depth):
    return len(json.dumps(nested_list(depth)))


def compile_nested(depth):
    return eval("-" * depth + "1")


def closure_code():
    free = None
    return (lambda: free).__code__


original_split = erlang_source.split


def replace_compiler(what):
    result = {"numbers": (1, 2), "closures": (closure_code(), closure_code())}[what]
    erlang_source.split = lambda *_: result


def restore_compiler():
    erlang_source.split = original_split


def clear_globals(namespace):
    namespace.clear()


class Leaves:
    def __init__(self, name):
        self.name = name

    def __del__(self):
        erlang.call("farewell", self.name)
