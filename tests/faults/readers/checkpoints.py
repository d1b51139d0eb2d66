"""Checkpoints to test, to infer with and to start from: damaged files, odd contents, hostile pickles."""

import io
import os
import pickle
import struct
import tarfile
import zipfile
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from fuzz import Case, Reader

from readers import tiny
from readers.oddities import damaged, mutated, odd_value


def content() -> dict[str, Any]:
    """Return what the checkpoint of a tiny run holds, anew each time."""
    return torch.load(io.BytesIO(tiny.checkpoint()), weights_only=False)


def saved(value: Any, old: bool = False) -> bytes:
    buffer = io.BytesIO()
    try:
        torch.save(value, buffer, _use_new_zipfile_serialization=not old)
    except (RecursionError, TypeError, RuntimeError, pickle.PicklingError):  # nobody can write it
        return b""
    return buffer.getvalue()


def parts_of(file: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(file)) as parts:
        return {name: parts.read(name) for name in parts.namelist()}


def zipped(parts: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as out:
        for name, part in parts:
            out.writestr(name, part)
    return buffer.getvalue()


def damaged_file(rng: Random) -> tuple[bytes, str]:
    file = saved(content(), old=rng.random() < 0.3)
    begin, end = rng.choice([(0, None), (0, 200), (len(file) - 200, None), (len(file) - 3000, None)])
    return damaged(rng, file, begin, end)


def damaged_part(rng: Random) -> tuple[bytes, str]:
    """The sums are right: somebody wrote it so."""
    parts = parts_of(saved(content()))
    name = rng.choice([name for name in parts if name.endswith("data.pkl")] * 9 + list(parts))
    parts[name], what = damaged(rng, parts[name])
    return zipped(list(parts.items())), f"{what} in {name}"


def odd_zip(rng: Random) -> tuple[bytes, str]:
    parts = list(parts_of(saved(content())).items())
    what = rng.choice(
        ["compressed", "without", "twice", "renamed", "bomb", "more", "none", "program", "prefix", "endian"]
    )
    index = rng.randrange(len(parts))
    name, part = parts[index]
    if what == "without":
        del parts[index]
    elif what == "twice":
        parts.append((name, b"\0" * len(part)))
    elif what == "renamed":
        parts[index] = (rng.choice(["../../x", "/x", "a", name.upper(), f"{name}/"]), part)
    elif what == "bomb":
        parts[index] = (name, b"\0" * 2**26)
        return zipped(parts, zipfile.ZIP_DEFLATED), what
    elif what == "more":
        parts += [(f"archive/{number}", b"x") for number in range(3000)]
    elif what == "none":
        parts = []
    elif what == "program":
        parts.append(("archive/constants.pkl", b""))
    elif what == "prefix":
        return b"#!/bin/sh\n" + zipped(parts), what
    elif what == "endian":
        parts = [(name, b"big" if name.endswith("byteorder") else part) for name, part in parts]
    return zipped(parts, zipfile.ZIP_DEFLATED if what == "compressed" else zipfile.ZIP_STORED), f"{what} {name}"


class Calls:
    """Is pickled as a call."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None):
        self.function, self.arguments, self.state = function, arguments, state

    def __reduce__(self) -> Any:
        call = self.function, self.arguments
        return call if self.state is None else (*call, self.state)


def _hostile(rng: Random) -> Any:
    from mmengine.logging import HistoryBuffer

    storage = torch.zeros(4).untyped_storage()
    typed = torch.storage.TypedStorage(wrap_storage=storage, dtype=torch.float32, _internal=True)
    rebuild = torch._utils._rebuild_tensor_v2
    huge = rng.choice([10**6, 10**9, 10**12, 2**62, -1])
    return rng.choice(
        [
            lambda: Calls(os.system, "touch hostile"),
            lambda: Calls(eval, "__import__('os').system('touch hostile')"),
            lambda: Calls(getattr, os, "system"),
            lambda: Calls(getattr, Calls(getattr, HistoryBuffer, "mean"), "__globals__"),
            lambda: Calls(getattr, HistoryBuffer, rng.choice(["__init__", "mean", "nothing", "__class__"])),
            lambda: Calls(__import__, "subprocess"),
            lambda: Calls(torch.load, "/etc/passwd"),
            lambda: Calls(torch.hub.load, "a/b", "c"),
            lambda: Calls(np.load, "/etc/passwd", None, True),
            lambda: Calls(bytearray, huge),
            lambda: Calls(np.ndarray, (abs(huge),)),
            lambda: Calls(np._core.multiarray._reconstruct, np.ndarray, (abs(huge),), b"b"),
            lambda: Calls(np._core.multiarray.scalar, np.dtype(f"V{min(abs(huge), 10**9)}"), b"x"),
            lambda: Calls(torch.FloatTensor, huge),
            lambda: Calls(rebuild, typed, 0, (huge,), (rng.choice([0, 1, -1, huge]),), False, {}),
            lambda: Calls(rebuild, typed, huge, (4,), (1,), False, {}),
            lambda: Calls(rebuild, typed, 0, (rng.choice([2, 10**5]),) * 9, (0,) * 9, False, {}),
            lambda: Calls(torch._utils._rebuild_meta_tensor_no_storage, torch.float32, (huge,), (1,), False),
            lambda: Calls(
                torch._tensor._rebuild_from_type_v2,
                rebuild,
                torch.Tensor,
                (typed, 0, (4,), (1,), False, {}),
                {"shape": 3},
            ),
            lambda: Calls(torch._tensor._rebuild_from_type_v2, eval, torch.Tensor, ("1",), {}),
            lambda: Calls(HistoryBuffer, (1,), (1,), state={"statistics_methods": {"mean": np.ndarray}}),
            lambda: Calls(
                HistoryBuffer, state={"_log_history": odd_value(rng), "_count_history": np.ones(1), "mean": 3}
            ),
            lambda: HistoryBuffer([], []),
            lambda: Calls(set, [1, 2]),
            lambda: Calls(complex, 1, 2),
            lambda: Calls(torch.device, rng.choice(["cuda:9", "meta", "nothing"])),
            lambda: Calls(torch.Size, (huge,)),
            lambda: typed,
            lambda: storage,
            lambda: np.ndarray,
            lambda: torch.float32,
        ]
    )()


def hostile_object(rng: Random) -> tuple[bytes, str]:
    value = content()
    hostile = _hostile(rng)
    place = rng.choice(["meta", "state_dict", "optimizer", "message_hub", "param_schedulers", "x"])
    if rng.random() < 0.5 and isinstance(value.get(place), dict):
        value[place][rng.choice(["extra", next(iter(value[place]))])] = hostile
    else:
        value[place] = hostile
    shown = f"{place}: {getattr(hostile, 'function', type(hostile))} {str(getattr(hostile, 'arguments', ''))[:80]}"
    return saved(value, old=rng.random() < 0.2), shown


def hostile_pickle(rng: Random) -> tuple[bytes, str]:
    """Written by hand, with operations that pickle itself would not write."""
    call = b"cposix\nsystem\n(X\x0d\0\0\0touch hostiletR"
    made = {
        "REDUCE": call,
        "INST": b"(X\x0d\0\0\0touch hostileiposix\nsystem\n",
        "OBJ": b"(cposix\nsystem\nX\x0d\0\0\0touch hostileo",
        "STACK_GLOBAL": b"\x8c\x05posix\x8c\x06system\x93(X\x0d\0\0\0touch hostiletR",
        "NEWOBJ": b"cposix\nsystem\n(X\x0d\0\0\0touch hostilet\x81",
        "NEWOBJ_EX": b"cposix\nsystem\n(X\x0d\0\0\0touch hostilet}\x92",
        "BUILD": b"ccollections\nOrderedDict\n)R}X\x05\0\0\0itemsK\x05sb",
        "BUILD dict": b"}}X\x05\0\0\0itemsK\x05sb",
        "BUILD function": b"ctorch._utils\n_rebuild_tensor_v2\n}X\x08\0\0\0__code__Nsb",
        "EXT": b"\x82\x01",
        "PERSID": b"Pstorage\n",
        "BINPERSID": rng.choice(
            [b"K\x01Q", b"(X\x06\0\0\0moduleccollections\nOrderedDict\nX\1\0\0\0aX\1\0\0\0btQ", b")Q"]
        ),
        "storage": b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpu\x8a\x06"
        + struct.pack("<q", 10**13)[:6]
        + b"tQ",
        "deep": b"(" * 100000 + b"t" * 100000,
        "deep list": b"]" * 50000 + b"a" * 49999,
        "itself": b"]q\x63h\x63a",
        "laughs": b"](]q\0" + b"".join(b"](" + b"h%c" % n * 9 + b"eq%c" % (n + 1) for n in range(40)) + b"e",
        "long": b"\x8a\xff" + b"\x7f" * 255,
        "text": b"X\xff\xff\xff\x7fabc",
        "no end": b"K\x01" * 1000,
        "get": b"h\x77",
        "pop": b"0" * 9,
        "newline": b"cos\n\nsystem\n",
        "getattr": b"c__builtin__\ngetattr\n(cmmengine.logging.history_buffer\nHistoryBuffer\nX\x0b\0\0\0__globals__tR",
        "random": rng.randbytes(rng.randrange(40)),
    }
    what = rng.choice(list(made))
    body = b"\x80\x02}(X\x0a\0\0\0state_dict" + made[what] + rng.choice([b"u.", b"u.", b"", b"."])
    if rng.random() < 0.2:
        return body, f"{what}, alone"
    if rng.random() < 0.3:
        head = b"".join(pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))
        return head + body + pickle.dumps([], 2), f"{what}, old"
    parts = parts_of(saved(content()))
    parts = {name: body if name.endswith("data.pkl") else part for name, part in parts.items()}
    return zipped(list(parts.items())), what


def other_file(rng: Random) -> tuple[bytes, str]:
    buffer = io.BytesIO()
    what = rng.choice(
        ["empty", "html", "json", "npz", "tar", "pickle", "zip", "random", "tensor", "list", "old tensor"]
    )
    if what == "npz":
        np.savez(buffer, a=np.zeros(3))
    elif what == "tar":
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for name in ("storages", "tensors", "pickle"):
                tar.addfile(tarfile.TarInfo(name))
    else:
        buffer.write(
            {
                "empty": b"",
                "html": b"<!doctype html><title>404</title>",
                "json": b'{"state_dict": {}}',
                "pickle": pickle.dumps({"state_dict": {"a": 1}}, rng.randrange(6)),
                "zip": zipped([("a/b", b"c")]),
                "random": rng.randbytes(500),
                "tensor": saved(torch.zeros(3)),
                "list": saved([1, 2]),
                "old tensor": saved(torch.zeros(3), old=True),
            }[what]
        )
    return buffer.getvalue(), what


def odd_content(rng: Random) -> tuple[bytes, str]:
    value = content()
    what = [mutated(rng, value, rng.choice([("meta",), ("state_dict",), ()])) for _ in range(rng.choice([1, 1, 2, 5]))]
    return saved(value, old=rng.random() < 0.1), "; ".join(what)


def _read(path: Path, folder: Path, how: str) -> None:
    from rdet.apis.inference import init_detector

    if how == "config":
        init_detector(tiny.write_config(folder / "tiny.py"), path)
    elif how == "alone":
        init_detector(path)
    elif how == "test":
        tiny.build(folder, mode="test", load_from=str(path), **{"val_evaluator.format_only": True}).load_or_resume()
    else:
        tiny.build(folder, load_from=str(path), **{"train_cfg.max_iters": 1}).train()


def _case(rng: Random, folder: Path, makes: list) -> Case:
    tiny.checkpoint()  # made before the harness looks
    made, what = rng.choice(makes)(rng)
    path = folder / "odd.pth"
    path.write_bytes(made)
    os.chdir(folder)
    how = rng.choice(["config", "alone", "test", "start"])
    return Case(lambda: _read(path, folder, how), ("odd.pth",), f"{how}: {what}")


READERS = [
    Reader("checkpoint files", partial(_case, makes=[damaged_file, damaged_part, odd_zip, other_file]), cases=12),
    Reader("checkpoint contents", partial(_case, makes=[odd_content]), cases=10),
    Reader("checkpoint pickles", partial(_case, makes=[hostile_object, hostile_pickle]), cases=14),
]
