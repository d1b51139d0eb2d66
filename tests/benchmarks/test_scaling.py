"""Laws of the computed scaling over several cards."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from scaling import BUCKET, CARDS, INSIDE, Link, seconds_of_exchange, seconds_of_step, table

ROOT = Path(__file__).resolve().parents[2]
SLOW = Link("slow", 1e8, 0.0)


def test_a_ring_moves_nearly_twice_the_bytes():
    assert seconds_of_exchange(1e8, 1, SLOW) == 0
    assert seconds_of_exchange(1e8, 2, SLOW) == pytest.approx(1.0)
    assert seconds_of_exchange(1e8, 1000, SLOW) == pytest.approx(2.0, rel=1e-2)
    assert seconds_of_exchange(0, 4, Link("hops", 1.0, 0.5)) == pytest.approx(3.0)


def test_what_fits_beside_the_backward_pass_costs_its_last_bucket():
    step, size = 0.05, 150e6
    assert seconds_of_step(step, 0.025, size, 1, SLOW) == step
    fast = seconds_of_step(step, 0.025, size, 8, INSIDE)
    assert fast - step == pytest.approx(seconds_of_exchange(BUCKET, 8, INSIDE))
    slow = seconds_of_step(step, 0.025, size, 8, SLOW)
    assert slow - step == pytest.approx(seconds_of_exchange(size, 8, SLOW) - 0.025)


def test_the_documents_table_is_the_computed_one():
    results = json.loads((ROOT / "docs/results/gpu_h200.json").read_text())
    lines = table(results, size=150_973_392)
    assert len(lines) == 2 + len(CARDS)
    text = (ROOT / "docs/benchmarks.md").read_text()
    assert "computed, not measured" in text
    assert all(line in text for line in lines)
