"""Guards of what benchmarks/loss.py measures, at a small size and with wide margins; nothing is timed."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from loss import contenders
from side_by_side import operator_calls, peak_bytes

SIZE = (256, 192)


@pytest.mark.parametrize("boxes", [1, 30])
def test_contenders_agree(boxes):
    results = {name: torch.tensor(call()) for name, call in contenders(boxes, SIZE).items()}
    torch.testing.assert_close(results["rdet"], results["torchvision"], rtol=1e-4, atol=1e-5)


def test_calls_do_not_grow_with_images_and_boxes():
    computing = []
    for boxes, images in ((1, 1), (8, 2), (300, 2), (8, 6)):
        call = contenders(boxes, SIZE, images)["rdet"]
        call()
        computing.append(operator_calls(call)[0])
    assert max(computing) <= 150
    assert len(set(computing)) == 1


def test_memory_does_not_grow_with_boxes():
    few, many = (peak_bytes(contenders(boxes, SIZE)["rdet"]) for boxes in (1, 500))
    assert many < 1.5 * few


def test_memory_against_torchvision():
    ours, theirs = (peak_bytes(contenders(8, SIZE)[name]) for name in ("rdet", "torchvision"))
    assert ours < 0.5 * theirs
