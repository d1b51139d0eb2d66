"""The part of benchmarks/gpu.py that reads JPEG files runs on any machine, at a tiny size; nothing is timed."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
import pipeline
from feed import feed


def test_loader_step_and_both(monkeypatch):
    monkeypatch.setattr(pipeline, "IMAGES", 3)
    found = feed(batch_size=1, workers=0, side=64, rounds=1, depth=18)
    assert found.keys() == {"loader", "step", "both", "of_step", "workers", "batch_size"}
    assert found["of_step"] == pytest.approx(found["both"] / found["step"])
    assert min(found["loader"], found["step"], found["both"]) > 0
