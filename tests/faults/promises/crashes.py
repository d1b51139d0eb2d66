"""A run that is killed, at any moment, goes on to the very state of one that was not."""

import math
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from disk import Harm
from promise import Outcome, Promise
from run_state import differences, state_of
from runs import KINDS, Ended, Lab

from rdet.checkpoint import meta_in, read_checkpoint
from rdet.engine.checkpoint_files import newest_whole

_IMAGES = 13


@contextmanager
def laboratory() -> Iterator[Lab]:
    folder = Path(tempfile.mkdtemp(prefix="rdet_crashes_"))
    try:
        yield Lab(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Whole:
    """The unbroken runs of a laboratory, each made when it is first asked for."""

    def __init__(self, lab: Lab):
        self._lab = lab
        self._known: dict[str, tuple[dict, int, float]] = {}

    def of(self, kind: str) -> tuple[dict, int, float]:
        """Returns the state that a kind of run ends with, how many of its calls write, and its seconds."""
        if kind not in self._known:
            name = f"whole_{list(KINDS).index(kind)}"
            ended = self._lab.train(kind, name)
            if any(ended.codes):
                raise RuntimeError(f"the unbroken run of {kind!r} failed:\n{ended.said}")
            self._known[kind] = state_of(self._lab.folder / name), self._lab.calls(name), ended.seconds
        return self._known[kind]


def killed_at_a_write(seed: int, cases: range) -> Outcome:
    """One kill in each case: of all kinds of runs, all their calls that write, in an order that the seed says."""
    outcome = Outcome()
    with laboratory() as lab:
        whole = Whole(lab)
        for case in cases:
            with outcome.trying(case):
                rng = Random(f"{seed} write {case}")
                kind = list(KINDS)[case % len(KINDS)]
                calls = whole.of(kind)[1]
                order = list(range(1, calls + 1))
                Random(f"{seed} {kind}").shuffle(order)
                at = order[case // len(KINDS) % calls]
                harm = Harm(rng.choice(["kill", "kill", "power", "power", "SIGTERM", "SIGINT"]), at, rng.random() < 0.5)
                _try(lab, whole, outcome, case, kind, [{"harm": harm}])
    return outcome


def killed_at_any_time(seed: int, cases: range) -> Outcome:
    """One to three signals in each case, to all processes of the run, each in the run that goes on from the last."""
    outcome = Outcome()
    with laboratory() as lab:
        whole = Whole(lab)
        for case in cases:
            with outcome.trying(case):
                rng = Random(f"{seed} time {case}")
                kind = rng.choice(list(KINDS))
                seconds = whole.of(kind)[2]
                numbers = [
                    rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT]) for _ in range(3)
                ]
                plan = [
                    {"signals": (number, rng.uniform(0.02, seconds))} for number in numbers[: rng.choice([1, 1, 2, 3])]
                ]
                _try(lab, whole, outcome, case, kind, plan)
    return outcome


def _try(lab: Lab, whole: Whole, outcome: Outcome, case: int, kind: str, plan: list[dict]) -> None:
    """Runs with an interruption after the other, then to the end, and compares."""
    name = f"case_{case}"
    folder, wrong = lab.folder / name, []
    signalled = False
    for interruption in plan:
        ended = lab.train(kind, name, resume=_can_resume(folder), **interruption)
        wrong += judge_end(ended, interruption)
        wrong += lost(lab, kind, name)
        number = interruption["signals"][0] if "signals" in interruption else 0
        harm = interruption.get("harm", Harm())
        signalled |= number in (signal.SIGTERM, signal.SIGINT) or harm.kind.startswith("SIG")
        outcome.count(how_it_ended(ended))
    again = _can_resume(folder)
    outcome.count("goes on from a checkpoint" if again else "begins again")
    ended = lab.train(kind, name, resume=again)
    if any(ended.codes):
        wrong.append(f"cannot go on, codes {ended.codes}: {ended.said[-1500:]}")
    else:
        wrong += compare(whole.of(kind)[0], state_of(folder), signalled)
    outcome.failures += [f"{case}: {kind}, {plan}: {reason}" for reason in wrong]
    if not wrong:
        for path in lab.folder.glob(f"*{name}*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in lab.folder.glob(".before_*"):
        path.unlink()


def compare(whole: dict, found: dict, signalled: bool) -> list[str]:
    """Says how a run that went on differs from an unbroken one; a signal leaves a checkpoint more."""
    different = differences(whole, found)
    if signalled:
        more = set(found["files"]) - set(whole["files"])
        if all(re.fullmatch(r"iter_\d+\.pth", name) for name in more):
            allowed = ("files", "message_hub.runtime_info.saved_checkpoints")
            different = [name for name in different if not name.startswith(allowed)]
    return [f"{len(different)} values differ: {', '.join(different[:6])}"] if different else []


def _can_resume(folder: Path) -> bool:
    return newest_whole(folder)[0] is not None


def how_it_ended(ended: Ended) -> str:
    code = ended.codes[0]
    return {0: "was done before", -signal.SIGKILL: "killed", 143: "ended by SIGTERM", 130: "ended by Ctrl-C"}.get(
        code, f"code {code}"
    )


def judge_end(ended: Ended, interruption: dict) -> list[str]:
    """Says what is wrong with the end of a run that was interrupted."""
    number = interruption["signals"][0] if "signals" in interruption else None
    kind = interruption["harm"].kind if "harm" in interruption else ""
    if kind.startswith("SIG"):
        number = signal.Signals[kind]
    code = ended.codes[0]
    if number in (None, signal.SIGKILL):
        return [] if code in (0, -signal.SIGKILL) else [f"ended with {ended.codes}: {ended.said[-1500:]}"]
    wrong = []
    # While torch waits for the other processes to come, it hears no signal; launchers kill it when one has ended.
    waits_for_others = code == -signal.SIGKILL and 128 + number in ended.codes
    if code not in (0, 128 + number) and not waits_for_others:
        wrong.append(f"{signal.Signals(number).name} ended it with {ended.codes}: {ended.said[-1500:]}")
    if "Traceback" in ended.said:
        wrong.append(f"{signal.Signals(number).name} gave a traceback: {ended.said[-2500:]}")
    return wrong


def lost(lab: Lab, kind: str, name: str) -> list[str]:
    """Says whether a checkpoint was there, and now none is that is as far."""
    kept = re.findall(r"^kept (\w+)_(\d+)\.pth$", lab.told(name).read_text(), re.M) if lab.told(name).exists() else []
    an_epoch = math.ceil(_IMAGES / (2 * KINDS[kind].processes))
    far = max((int(number) * (an_epoch if unit == "epoch" else 1) for unit, number in kept), default=0)
    newest, _ = newest_whole(lab.folder / name)
    reached = meta_in(read_checkpoint(newest))["iter"] if newest is not None else 0
    return [f"a checkpoint of iteration {far} was there, now {newest} is of {reached}"] if reached < far else []


PROMISES = [
    Promise(
        "crashes-writes",
        "A run killed at any call that writes, by a power cut too, goes on to the bits of an unbroken one",
        killed_at_a_write,
        short=4,
        long=240,
    ),
    Promise(
        "crashes-times",
        "So does one killed, or asked to end, at any time, several times in a row",
        killed_at_any_time,
        short=3,
        long=120,
    ),
]
