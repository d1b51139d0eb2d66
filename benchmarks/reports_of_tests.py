"""A plugin of pytest that writes what became of each test as it ends: pytest -p reports_of_tests --reports FILE

A run that is cut, or whose output nobody kept, has said by then why what failed did so.
"""

import json
import os
from pathlib import Path

import pytest
import torch

_LONGEST = 2500  # characters of a message

# Where a worker of xdist ended, and could not say how much memory there was.
_DIED = "its process ended"


def pytest_addoption(parser):
    parser.addoption("--reports", help="file to which a line of json is added for each test")


def pytest_configure(config):
    if config.getoption("reports") and "PYTEST_XDIST_WORKER" not in os.environ:  # who hears of all tests
        config.pluginmanager.register(_Writer(Path(config.getoption("reports"))))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        report.user_properties.append(("memory", _memory()))
    return report


def _memory() -> str:
    """Says what is left of the card, and what this process has of it."""
    if not torch.cuda.is_initialized():
        return "no GPU in use"
    try:
        free, total = torch.cuda.mem_get_info()
    except RuntimeError as error:  # of a card that no longer answers
        return str(error).partition("\n")[0]
    own = torch.cuda.memory_reserved()
    return f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB free, {own / 2**30:.2f} GiB in this process"


class _Writer:
    def __init__(self, path: Path):
        self.path = path
        path.write_text("")

    def pytest_runtest_logreport(self, report) -> None:
        if report.when != "call" and not report.failed and not (report.when == "setup" and report.skipped):
            return
        row = {"test": report.nodeid, "outcome": report.outcome, "seconds": round(report.duration, 2)}
        if report.failed:
            row |= {"when": report.when, "message": report.longreprtext[-_LONGEST:], **dict(report.user_properties)}
        with self.path.open("a") as stream:
            stream.write(json.dumps(row) + "\n")


def _row_of(line: str) -> dict | None:
    try:
        row = json.loads(line)
    except ValueError:  # the last one, of a run that was cut
        return None
    return row if isinstance(row, dict) else None


def summed_up(path: Path) -> dict:
    """What a file of these lines says: counts, what failed and why, and the slowest tests."""
    lines = path.read_text().splitlines() if path.is_file() else []
    rows = [row for row in map(_row_of, lines) if row is not None]
    outcomes = [row["outcome"] for row in rows]
    slowest = sorted(rows, key=lambda row: -row["seconds"])[:10]
    return {
        "counts": {outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))},
        "failed": {
            row["test"]: f"{row['message']}\n{row.get('memory', _DIED)}" for row in rows if row["outcome"] == "failed"
        },
        "slowest": {row["test"]: row["seconds"] for row in slowest},
    }
