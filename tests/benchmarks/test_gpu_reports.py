"""What `make gpu` keeps of its tests and says at its end; without a card, of tests that need none."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
TESTS = """
import pytest

def test_passes():
    pass

def test_fails():
    assert [1] == [2], "why it failed"

def test_is_skipped():
    pytest.skip("no card")

@pytest.fixture
def broken():
    raise OSError("a fixture failed")

def test_errs(broken):
    pass
"""


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("gpu")


def test_each_failure_is_kept_with_its_message(gpu, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(BENCHMARKS))
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # of the suite that this test is in
    (tmp_path / "test_some.py").write_text(TESTS)
    file = tmp_path / "reports.jsonl"
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--tb=short", "-p", "reports_of_tests"]
    finished = subprocess.run([*command, "--reports", str(file)], cwd=tmp_path, capture_output=True, text=True)
    assert finished.returncode == 1, finished.stdout
    with file.open("a") as stream:
        died = {"test": "died", "outcome": "failed", "seconds": 1.0, "message": "worker crashed"}
        stream.write(json.dumps(died) + '\n{"torn}\n{"test": "cut')  # the last as by a power cut
    found = gpu.summed_up(file)
    assert found["counts"] == {"failed": 3, "passed": 1, "skipped": 1}
    assert found["failed"].pop("died") == "worker crashed\nits process ended"
    assert found["failed"].keys() == {"test_some.py::test_fails", "test_some.py::test_errs"}
    assert "why it failed" in found["failed"]["test_some.py::test_fails"]
    assert found["failed"]["test_some.py::test_errs"].endswith("OSError: a fixture failed\nno GPU in use")
    assert gpu.why_in_a_line(found["failed"]["test_some.py::test_fails"]).startswith("AssertionError: why it failed (")


def test_the_summary_has_at_most_20_lines(gpu, tmp_path):
    row = {"images_per_second": 3.0, "seconds": [1.0], "peak_mib": 5.0}
    for part in gpu.PARTS:
        rows = [{**row, "name": f"{part} {index}"} for index in range(16)]
        found = (
            {"rows": rows, "waits": {}} if part in ("training", "inference", "families") else {"tera_operations": 8.0}
        )
        if part == "tests":
            found = {"failed": {f"test_{index}": "E   wrong\n1 GiB free" for index in range(50)}, "counts": {}}
        (tmp_path / f"{part}.json").write_text(json.dumps(found))
    lines = gpu.summary(tmp_path)
    assert len(lines) <= 20
    assert 'ceilings: {"tera_operations": 8.0}' in lines
    assert "FAILED test_0: wrong (1 GiB free)" in lines


@pytest.fixture
def gpu_report(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("gpu_report")


def test_the_docs_say_what_was_measured(gpu_report):
    page = (ROOT / "docs/benchmarks.md").read_text()
    parts = gpu_report.parts_of(ROOT / "docs/results/gpu_h200.json")
    assert gpu_report.put_into(page, gpu_report.section(parts)) == page
    assert "| 24 % | **missed** |" in page
    with pytest.raises(SystemExit, match="the page has no section between"):
        gpu_report.put_into("# A page", "")


def test_a_run_that_was_cut_is_reported_as_far_as_it_went(gpu_report, tmp_path):
    parts = gpu_report.parts_of(ROOT / "docs/results/gpu_h200.json")
    for name in ("inference", "feed"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"machine": parts["machine"], **parts[name]}))
    made = gpu_report.section(gpu_report.parts_of(tmp_path))
    assert made.startswith("One NVIDIA H200, ")
    assert "inference, 800 x 1333, batch 16" in made
    assert "a step, R50" not in made
    assert "| from JPEG files: 0.9 of the step alone | 1.00 | met |" in made
    with pytest.raises(SystemExit, match="no part has ended"):
        gpu_report.section({"tests": {"ended": False}})
