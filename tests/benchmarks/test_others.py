"""Guards of the other benchmarks, at a small size and with wide margins; nothing is timed."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
import inference
import pipeline
import roofline
from side_by_side import peak_bytes
from step import Batch, convolutions_of, networks, step_of_rdet, step_of_torchvision

SIDE = 320  # below some 250 pixels the weights outweigh the maps


@pytest.fixture(scope="module")
def steps():
    ours, theirs = networks(SIDE)
    batch = Batch(count=2, side=SIDE)
    return {
        "torchvision": step_of_torchvision(theirs, batch),
        "rdet": step_of_rdet(ours, batch),
        "rdet, bfloat16": step_of_rdet(ours, batch, bfloat16=True),
    }


def test_steps_give_the_same_losses_in_less_memory(steps):
    losses = {name: torch.tensor(step()) for name, step in steps.items()}
    torch.testing.assert_close(losses["rdet"], losses["torchvision"], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(losses["rdet, bfloat16"], losses["torchvision"], rtol=0.05, atol=0.01)
    peaks = {name: peak_bytes(step) for name, step in steps.items()}
    assert peaks["rdet"] < 0.9 * peaks["torchvision"]
    assert peaks["rdet, bfloat16"] < 0.7 * peaks["torchvision"]


def test_floor_has_all_convolutions(steps):
    """Forward: 53 of the backbone, 8 of the neck, 2 x 5 on each of 5 levels. Backward: all but 11 of frozen stages."""
    names = [operator.overloadpacket.__name__ for operator, _ in convolutions_of(steps["rdet"])]
    assert names.count("convolution") == 53 + 8 + 50
    assert names.count("convolution_backward") == 53 + 8 + 50 - 11


def test_bound_of_a_convolution():
    images = torch.rand(2, 3, 10, 10, requires_grad=True)
    layer = torch.nn.Conv2d(3, 4, 3, bias=False)
    forward, backward = (roofline.work_of(call) for call in convolutions_of(lambda: layer(images).sum().backward()))
    operations = 2 * (2 * 4 * 8 * 8) * (3 * 3 * 3)
    inputs, weights, outputs = 4 * 2 * 3 * 10 * 10, 4 * 4 * 3 * 3 * 3, 4 * 2 * 4 * 8 * 8
    assert forward == (operations, inputs + weights + outputs)
    assert backward == (2 * operations, 2 * (inputs + weights) + outputs)
    assert roofline.bound([forward], operations, 1e12) == pytest.approx(1)
    assert roofline.bound([forward], 1e12, forward[1] / 2) == pytest.approx(2)


def test_inference_finds_the_same():
    """It asserts equal scores itself."""
    whole, postprocess = inference.contenders(1000, SIDE)
    assert len(whole["rdet, bfloat16"]()[0].pred_instances) > 0
    assert len(postprocess["rdet"]()[0].pred_instances) == len(whole["rdet"]()[0].pred_instances)


def test_pipelines_give_the_same_pixels(tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "IMAGES", 3)
    pipeline.check_pixels(pipeline.files_in(pipeline.make_images(tmp_path)))
