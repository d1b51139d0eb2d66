"""The part of benchmarks/gpu.py that reads JPEG files runs on any machine, at a tiny size; nothing is timed."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
import pipeline
from feed import feed, feeds


def test_loader_step_and_both(monkeypatch):
    monkeypatch.setattr(pipeline, "IMAGES", 3)
    found = feed(batch_size=1, workers=0, side=64, rounds=1, depth=18)
    assert found.keys() == {"loader", "step", "both", "of_step", "workers", "batch_size", "image_bytes"}
    assert found["of_step"] == pytest.approx(found["both"] / found["step"])
    assert min(found["loader"], found["step"], found["both"]) > 0


def test_with_the_pixels_left_to_the_device(monkeypatch):
    monkeypatch.setattr(pipeline, "IMAGES", 3)
    found = feeds(batch_size=1, workers=0, side=64, rounds=1, depth=18)
    names = {"loader", "step", "both", "of_step"}
    assert {*names, *(f"{name}_on_device" for name in names), "workers", "batch_size"} < found.keys()
    assert found["image_bytes"] == 3 * 64 * 85
    assert found["image_bytes_on_device"] == 3 * 480 * 640  # as in the file
    alone = feed(batch_size=1, workers=0, side=64, rounds=1, depth=18, on_device=True, steps=False)
    assert alone.keys() == {"loader", "workers", "batch_size", "image_bytes"}
