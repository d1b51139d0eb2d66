"""A few cases of each promise; ``make trust`` tries many.

They are tried by a program of its own: it forks, and a fork of a process that has threads may wait for them for ever.
"""

import json
from pathlib import Path

import pytest
from forked import Forked
from promises import all_promises
from readers import all_readers

SEED = 20261127
READERS = [reader.name for reader in all_readers()]
SHORT = [promise.name for promise in all_promises() if promise.short and promise.name not in READERS]


@pytest.mark.parametrize("names", [READERS, *([name] for name in SHORT)], ids=["readers", *SHORT])
def test_promises_are_kept(names, tmp_path):
    out = tmp_path / "promises.json"
    options = ["--short", "--jobs", "1", "--seed", str(SEED), "--out", str(out)]
    program = Forked(Path(__file__).parent / "__main__.py", [*names, *options], tmp_path)
    said, _ = program.communicate(timeout=280)
    assert program.returncode == 0, said
    assert all(row["cases"] for row in json.loads(out.read_text())["promises"])
