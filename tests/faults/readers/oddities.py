"""Odd values, and what may happen to bytes and to a tree of values; for the readers beside this file."""

from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np
import torch

READERS: list = []


def odd_value(rng: Random) -> Any:
    """A value that seldom is what should be there."""
    deep: list = []
    for _ in range(rng.choice([3, 90, 150, 300])):
        deep = [deep]
    return rng.choice(
        [
            *(None, True, False, 0, 1, -1, 2, 7, 10**6, -(10**9), 2**63, 10**400, 0.5, -0.5, 1e308, 1e-308),
            *(
                float("nan"),
                float("inf"),
                -float("inf"),
                "",
                "a",
                "nan",
                "1",
                "\0",
                "a\nb",
                "é" * 300,
                "../x",
                b"",
                b"\xff",
            ),
            *(
                [],
                [None],
                [[]],
                [1, 2, 3],
                ["a"],
                (),
                (1,),
                (1, "a"),
                {},
                {"a": 1},
                {1: 2},
                {"": None},
                set(),
                {1},
                deep,
            ),
            *(np.float32(2), np.int64(-3), np.array([1.0, 2.0]), np.array([[1]]), np.array(["a"]), np.dtype("int8")),
            *(
                torch.zeros(()),
                torch.zeros(0),
                torch.zeros(3),
                torch.full((2, 2), float("nan")),
                torch.zeros(2, dtype=torch.int64),
            ),
            *(
                torch.ones(2, dtype=torch.complex64),
                torch.tensor(True),
                torch.zeros(1).expand(10**10),
                torch.zeros(1).expand(9),
            ),
            *(
                torch.eye(3).to_sparse(),
                torch.zeros(3, device="meta"),
                torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
            ),
            *(torch.float32, torch.device("cpu"), torch.Size([1, 2])),
        ]
    )


def odd_tensor(rng: Random, tensor: torch.Tensor) -> Any:
    """A tensor made another one: its shape, its numbers, its kind."""
    made = [
        lambda: tensor.reshape(-1),
        lambda: tensor[None],
        lambda: tensor.flatten()[:1],
        lambda: tensor.flatten()[:0],
        lambda: tensor * float("nan"),
        lambda: tensor + float("inf"),
        lambda: tensor.double() * 1e300,
        lambda: tensor.half(),
        lambda: tensor.bfloat16(),
        lambda: tensor.long(),
        lambda: tensor.bool(),
        lambda: tensor.to(torch.complex64),
        lambda: tensor.to("meta"),
        lambda: tensor.to_sparse(),
        lambda: tensor.transpose(0, -1),
        lambda: torch.nn.Parameter(tensor.float()),
        lambda: tensor.tolist(),
        lambda: tensor.float().numpy(),
        lambda: torch.cat([tensor.reshape(-1), tensor.reshape(-1)]),
    ]
    try:
        return rng.choice(made)()
    except (RuntimeError, IndexError, TypeError):  # a number has no axes
        return torch.tensor(float("nan"))


def places(value: Any, path: tuple = ()) -> Iterator[tuple[Any, Any, tuple]]:
    """Yield holder, key and path of each value within dicts and lists."""
    if len(path) > 9:  # an odd value that is deep
        return
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(items):
        yield value, key, (*path, key)
        yield from places(item, (*path, key))


def mutated(rng: Random, value: Any, only: tuple = ()) -> str:
    """Change one value somewhere in a tree of dicts and lists, and say what was done.

    Args:
        rng: Which.
        value: The tree.
        only: Keys of the top level that may be changed; all without.
    """
    found = [place for place in places(value) if not only or place[2][0] in only]
    if not found:
        return "nothing left"
    depth = rng.choice(sorted({len(path) for _, _, path in found}))  # each level as often as the others
    holder, key, path = rng.choice([place for place in found if len(place[2]) == depth])
    what = rng.choice(
        ["replace", "replace", "replace", "delete", "rename", "add", "double", "swap", "tensor", "tensor"]
    )
    if what == "tensor" and isinstance(holder[key], torch.Tensor):
        holder[key] = odd_tensor(rng, holder[key])
    elif what == "delete":
        del holder[key]
    elif what == "rename" and isinstance(holder, dict):
        holder[rng.choice([f"{key}x", 3, "", "module.x", "a\nb", None, (1, 2)])] = holder.pop(key)
    elif what == "add" and isinstance(holder, dict):
        holder[rng.choice(["extra", 5, "x" * 500])] = odd_value(rng)
    elif what == "double" and isinstance(holder, list):
        holder.append(holder[key])
    elif what == "swap":
        other = rng.choice(found)
        holder[key] = other[0].get(other[1]) if isinstance(other[0], dict) else None
    else:
        holder[key] = odd_value(rng)
    now = holder.get(key, "gone") if isinstance(holder, dict) else holder
    shown = (
        f"{type(now).__name__} {now.shape}"
        if isinstance(now, torch.Tensor)
        else repr(now)[:120]
        if depth_of(now) < 99
        else "deep"
    )
    return f"{what} at {'.'.join(map(str, path))}: {shown}"


def depth_of(value: Any) -> int:
    """Count the levels of lists of one element."""
    depth = 0
    while isinstance(value, list) and len(value) == 1 and depth < 5000:
        value, depth = value[0], depth + 1
    return depth


def damaged(rng: Random, content: bytes, begin: int = 0, end: int | None = None) -> tuple[bytes, str]:
    """Change bytes between two places: some of them, the end, a piece of the middle, a piece twice."""
    end = len(content) if end is None else end
    data = bytearray(content)
    what = rng.choice(["flip", "flip", "zero", "cut", "remove", "double", "random", "number"])
    at = rng.randrange(begin, max(begin + 1, end)) if data else 0
    length = rng.choice([1, 2, 4, 8, 100])
    if what == "flip":
        for _ in range(rng.choice([1, 1, 2, 20])):
            if data:
                data[min(len(data) - 1, rng.randrange(begin, max(begin + 1, end)))] ^= 1 << rng.randrange(8)
    elif what == "zero":
        data[at : at + length] = bytes(len(data[at : at + length]))
    elif what == "cut":
        del data[at:]
    elif what == "remove":
        del data[at : at + length]
    elif what == "double":
        data[at:at] = data[at : at + length]
    elif what == "random":
        data[at : at + length] = rng.randbytes(len(data[at : at + length]))
    else:
        data[at : at + 8] = rng.choice([b"\xff" * 8, b"\0" * 7 + b"\x7f", b"\xff\xff\xff\x7f" * 2])[
            : len(data[at : at + 8])
        ]
    return bytes(data), f"{what} at {at} of {len(content)}, {length} bytes"
