"""The harness notices what no reader may do, harms only as it says, and loses no case; the list of guards is true."""

import mmap
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from disk import Disk, Harm, watched
from fuzz import Case, Reader, run
from guards import GUARDS
from promise import Outcome

from rdet.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
SEED = 20261127
OUTSIDE = os.path.join(tempfile.gettempdir(), "rdet_written_outside")


def misbehave(number):
    """Does one of the things that the harness must notice."""
    if number == 1:
        raise ConfigError("nothing is said of what to do")
    if number == 2:
        raise KeyError("a bug")
    if number == 3:
        # Pages of its own: the heap may hold as much that is free.
        np.frombuffer(mmap.mmap(-1, 2**30 + 2**27), dtype=np.uint8)[:] = 1
    if number == 4:
        return os.system("true")
    if number == 5:
        os._exit(3)
    if number == 6:
        time.sleep(30)
    if number == 7:
        raise ConfigError("a.json: two\nlines; remove one")
    if number == 8:
        raise ConfigError("another file: leave it out")
    if number == 9:
        os.write(2, b"libpng error: it speaks\n")
    if number == 10:
        open(OUTSIDE, "w").close()
        os.unlink(OUTSIDE)
    return None


EXPECTED = {
    1: "no remedy",
    2: "a traceback: KeyError",
    3: "takes 1.1 GB",
    4: "runs os.system",
    5: "its process died with code 3",
    6: "still runs after 2",
    7: "more than a line",
    8: "names no 'a.json'",
    9: "another library speaks",
    10: f"writes {OUTSIDE}",
}


@pytest.mark.parametrize("number", [0, *EXPECTED])
def test_the_harness_notices(number):
    names = ("a.json",) if number in (7, 8) else ()
    reader = Reader(
        "misbehaving", lambda rng, folder: Case(lambda: misbehave(number), names), seconds=2 if number == 6 else 20
    )
    failures = run(reader, SEED, range(1))
    assert [failure.why[: len(EXPECTED[number])] for failure in failures] == ([EXPECTED[number]] if number else [])


def test_what_outlives_a_signal_writes_the_rest_of_a_torn_write(tmp_path, monkeypatch):
    """Half of a write that is repeated as a whole would be a file that nobody wrote."""
    monkeypatch.setattr(os, "killpg", lambda group, number: None)
    (tmp_path / "run").mkdir()
    with watched(Disk(tmp_path / "run", Harm("SIGTERM", 2, torn=True), tmp_path / "told")):
        (tmp_path / "run" / "numbers").write_bytes(b"0123456789")
    assert (tmp_path / "run" / "numbers").read_bytes() == b"0123456789"
    assert (tmp_path / "told").read_text() == "harm write numbers\n"


def test_a_case_that_cannot_be_tried_is_a_failure_of_that_case_alone():
    outcome = Outcome()
    for case in range(3):
        with outcome.trying(case):
            outcome.count(f"{1 / (case - 1)}")
    (failure,) = outcome.failures
    assert failure.startswith("1: it cannot be tried: Traceback")
    assert failure.endswith("ZeroDivisionError: division by zero\n")
    assert outcome.counts == {"-1.0": 1, "1.0": 1}


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: f"{Path(guard.file).name}-{guard.test.rpartition(':')[2]}")
def test_a_guard_is_code_that_is_there_and_has_a_test(guard):
    assert (ROOT / guard.file).read_text(encoding="utf-8").count(guard.text) == 1
    path, _, test = guard.test.partition("::")
    assert not test or f"def {test.partition('[')[0]}(" in (ROOT / path).read_text(encoding="utf-8")
