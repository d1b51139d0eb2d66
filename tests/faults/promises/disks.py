"""A disk that fills up ends a run in one line, and costs nothing that was written before."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from random import Random

import torch
from disk import Harm
from fuzz import REMEDY
from promise import Outcome, Promise
from run_state import state_of
from runs import KINDS, Ended, Lab

from promises.crashes import Whole, compare, laboratory, lost
from rdet.engine.checkpoint_files import newest_whole

_NO_SPACE = "No space left on device"


def one_line(ended: Ended, folder: Path) -> list[str]:
    """Says what is wrong with the end of a program whose disk was full."""
    if ended.codes[0] != 1:
        return [f"ended with {ended.codes}: {ended.said[-1500:]}"]
    wrong = [
        f"{word} in what it said: {ended.said[-3000:]}"
        for word in ("Traceback", "Exception ignored")
        if word in ended.said
    ]
    errors = [line for line in ended.lines if line.startswith("error: ")]
    ours = [line for line in errors if _NO_SPACE in line]
    if len(set(ours)) != 1 or len(errors) > len(ended.codes):  # an evaluation fails in all processes
        return [*wrong, f"no line for the full disk, or several: {errors or ended.said[-1500:]}"]
    if not re.search(rf"{re.escape(str(folder))}(/\S+|: )", ours[0]):  # or the work dir itself
        wrong.append(f"names no file: {ours[0]}")
    if not REMEDY.search(ours[0].partition(_NO_SPACE)[2]):
        wrong.append(f"no remedy: {ours[0]}")
    return wrong


def full_at_a_write(seed: int, cases: range) -> Outcome:
    """All calls that write, of all kinds of runs, in an order that the seed says; then there is room again."""
    outcome = Outcome()
    with laboratory() as lab:
        whole = Whole(lab)
        for case in cases:
            with outcome.trying(case):
                rng = Random(f"{seed} full {case}")
                kind = list(KINDS)[case % len(KINDS)]
                state, calls, _ = whole.of(kind)
                order = list(range(1, calls + 1))
                Random(f"{seed} {kind} full").shuffle(order)
                harm = Harm("full", order[case // len(KINDS) % calls], rng.random() < 0.5)
                wrong = _fill(lab, f"case_{case}", kind, harm, state, outcome)
                outcome.failures += [f"{case}: {kind}, {harm}: {reason}" for reason in wrong]
    return outcome


def a_disk_that_is_small(seed: int, cases: range) -> Outcome:
    """Runs whose work dir is a file system in memory of some size below what they need; then it is made larger."""
    outcome = Outcome()
    if os.geteuid() or subprocess.run(["mount"], capture_output=True).returncode:
        outcome.count("not tried: needs root and mount")
        return outcome
    with laboratory() as lab:
        whole = Whole(lab)
        for case in cases:
            with outcome.trying(case):
                rng = Random(f"{seed} small {case}")
                kind = list(KINDS)[case % len(KINDS)]
                state, _, _ = whole.of(kind)
                name, kib = f"small_{case}", rng.randint(4, 400)
                (lab.folder / name).mkdir()
                place = str(lab.folder / name)
                _mount(place, f"size={kib}k", "-t", "tmpfs", "tmpfs")
                try:
                    wrong = _fill(
                        lab, name, kind, Harm(), state, outcome, lambda place=place: _mount(place, "remount,size=64m")
                    )
                finally:
                    subprocess.run(["umount", "--lazy", place], check=True)
                outcome.failures += [f"{case}: {kind}, {kib} KiB: {reason}" for reason in wrong]
    return outcome


def _mount(place: str, options: str, *words: str) -> None:
    subprocess.run(["mount", *words, "-o", options, place], check=True, capture_output=True)


def _fill(
    lab: Lab,
    name: str,
    kind: str,
    harm: Harm,
    whole: dict,
    outcome: Outcome,
    make_room: Callable[[], None] = lambda: None,
) -> list[str]:
    folder = lab.folder / name
    ended = lab.train(kind, name, harm=harm)
    if ended.codes[0] == 0:  # what is left is removing
        outcome.count("needed no room any more")
        wrong = []
    else:
        outcome.count("ended in a line")
        wrong = one_line(ended, folder)
    wrong += lost(lab, kind, name)
    make_room()
    again = newest_whole(folder)[0] is not None
    ended = lab.train(kind, name, resume=again)
    if any(ended.codes):
        wrong.append(f"cannot go on, codes {ended.codes}: {ended.said[-1500:]}")
    else:
        wrong += compare(whole, state_of(folder), False)
    if not wrong:
        for path in lab.folder.glob(f"*{name}*"):
            if not path.is_dir():
                path.unlink()
            elif not path.is_mount():
                shutil.rmtree(path)
    return wrong


def tools_on_a_full_disk(seed: int, cases: range) -> Outcome:
    """Each tool that writes, at each of its calls."""
    outcome = Outcome()
    with laboratory() as lab:
        if any(lab.train("sgd", "trained").codes):
            raise RuntimeError((lab.folder / "trained.said").read_text())
        tools = {name: make(lab) for name, make in _TOOLS.items()}
        calls = {}
        for name, words in tools.items():
            ended = lab.run([word.replace("OUT", str(lab.folder / name)) for word in words], name, make=True)
            if any(ended.codes):
                raise RuntimeError(f"{name}: {ended.said}")
            calls[name] = lab.calls(name)
        points = [(name, at) for name in tools for at in range(1, calls[name] + 1)]
        Random(seed).shuffle(points)
        for case in cases:
            with outcome.trying(case):
                name, at = points[case % len(points)]
                harm, place = Harm("full", at, bool(case % 2)), f"case_{case}"
                words = [word.replace("OUT", str(lab.folder / place)) for word in tools[name]]
                ended = lab.run(words, place, harm=harm, make=True)
                wrong = one_line(ended, lab.folder / place) if ended.codes[0] else []
                for path in (lab.folder / name).rglob("*"):
                    half = lab.folder / place / path.relative_to(lab.folder / name)
                    if _is_result(path) and half.exists() and half.stat().st_size != path.stat().st_size:
                        wrong.append(f"half of {half.name} is there")
                wrong += [f"{left.name} is left" for left in (lab.folder / place).rglob(".*.part")]
                outcome.count(f"{name}: {'ended in a line' if ended.codes[0] else 'needed no room any more'}")
                outcome.failures += [f"{case}: {name}, {harm}: {reason}" for reason in wrong]
    return outcome


def _is_result(path: Path) -> bool:
    return path.is_file() and "run" not in path.parts and path.suffix in (".json", ".png", ".pth", ".py")


def _trained(lab: Lab) -> list[str]:
    return [str(lab.config("sgd")), str(lab.folder / "trained" / "iter_6.pth")]


def _foreign(lab: Lab) -> str:
    """Writes a checkpoint that was converted before, of which a copy is written."""
    path = lab.folder / "foreign.pth"
    weights = {"bbox_head.conv_cls.weight": torch.ones(4, 1, 1, 1)}
    torch.save({"meta": {"converted_from": "x"}, "state_dict": weights}, path)
    return str(path)


_TOOLS = {
    "test": lambda lab: [
        "test.py",
        *_trained(lab),
        *("--work-dir", "OUT/run", "--out", "OUT/found.json", "--show-dir", "OUT/pictures"),
    ],
    "infer": lambda lab: ["infer.py", *_trained(lab), str(lab.folder / "1.png"), "--out-dir", "OUT"],
    "convert": lambda lab: ["convert_checkpoint.py", _foreign(lab), "OUT/other.pth"],
    "fit_anchors": lambda lab: ["fit_anchors.py", str(lab.config("sgd")), "--out", "OUT/fitted.py"],
}


PROMISES = [
    Promise(
        "disks-writes",
        "A disk that is full at any call that writes ends the run in one line, and it goes on to the same bits",
        full_at_a_write,
        short=4,
        long=144,
    ),
    Promise(
        "disks-small",
        "So does a file system that is too small for the run, once it is larger",
        a_disk_that_is_small,
        short=0,
        long=16,
    ),
    Promise(
        "disks-tools",
        "Other tools end in one line on a full disk, and leave no half file under its name",
        tools_on_a_full_disk,
        short=2,
        long=40,
    ),
]
