"""Odd values, damaged bytes and things that are no files, for all readers."""

import copy
import os
import socket
from pathlib import Path
from random import Random

# What json, and the like, may hold in place of something else. Numbers are text, as no float is like them.
NUMBERS = [
    "1e999",
    "-1e999",
    "1" + 400 * "0",
    "9" * 5000,
    "NaN",
    "Infinity",
    "-Infinity",
    "-1",
    "0",
    "-0.0",
    "0.5",
    "1e-320",
    "2147483648",
    "9223372036854775808",
    "1e308",
]
VALUES = [
    None,
    True,
    False,
    "",
    "1",
    "x",
    " ",
    "a\nb",
    "a\x00b",
    "\x1b[2J",
    "\ud800",
    "\udcff",
    "\U0001f600",
    "x" * 5000,
    "../../etc/passwd",
    "/etc/passwd",
    "/dev/zero",
    [],
    [[]],
    [1],
    [1, 2, 3, 4],
    [1, 2, 3, 4, 5],
    ["1", "2", "3", "4"],
    [True, 1, 2, 3],
    [None] * 4,
    {},
    {"id": 1},
    "bridge/7.png",
]
_PLACE = "number of its own"


def mutate(rng: Random, content):
    """Change a place of nested dicts and lists; where a number goes, a mark is left for :func:`with_numbers`."""
    content = copy.deepcopy(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        where = list(_places(content))
        if not where:
            return content
        box, key = rng.choice(where)
        kind = rng.randrange(8)
        if kind <= 2:
            box[key] = copy.deepcopy(rng.choice(VALUES))
        elif kind == 3:
            box[key] = f"{_PLACE} {rng.randrange(len(NUMBERS))}"
        elif kind == 4:
            del box[key]
        elif kind == 5:
            if isinstance(box, list):
                box.insert(rng.randrange(len(box) + 1), copy.deepcopy(box[key]))
            else:
                box[rng.choice(("id", "name", "x", "\ud800"))] = copy.deepcopy(box[key])
        elif kind == 6:
            other, place = rng.choice(where)
            box[key] = copy.deepcopy(other[place])
        else:
            box[key] = [box[key]] if rng.random() < 0.5 else {"x": box[key]}
    return content


def with_numbers(text: str) -> str:
    """Write the numbers in place of the marks."""
    for i in reversed(range(len(NUMBERS))):
        text = text.replace(f'"{_PLACE} {i}"', NUMBERS[i])
    return text


def _places(content):
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in list(items):
        yield content, key
        yield from _places(value)


def damage(rng: Random, data: bytes) -> bytes:
    """Flip, cut, repeat, insert or overwrite bytes."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 30))):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(6)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and at < len(data):
            data[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif kind == 2:
            del data[at : at + rng.choice((1, 2, 4, 100, len(data)))]
        elif kind == 3:
            data[at:at] = rng.randbytes(rng.choice((1, 4, 100)))
        elif kind == 4:
            data[at : at + 4] = rng.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\xff\xff"))
        else:
            data[at:at] = data[at : at + rng.choice((1, 10, 1000))]
    return bytes(data)


def no_file(rng: Random, path: Path) -> str:
    """Put something else where a file is expected; return what."""
    path.unlink(missing_ok=True)
    kind = rng.choice(("nothing", "empty", "folder", "pipe", "device", "zeros", "socket", "loop", "dangling", "closed"))
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/tty")
    elif kind == "zeros":
        path.symlink_to("/dev/zero")
    elif kind == "socket":
        here = os.getcwd()
        os.chdir(path.parent)  # names of sockets are short
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
        os.chdir(here)
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "dangling":
        path.symlink_to("nowhere")
    elif kind == "closed":
        path.write_bytes(b"x")
        path.chmod(0)
    return kind
