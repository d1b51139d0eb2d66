"""What is replayed is what is computed without a recording."""

import copy
import warnings

import families
import pytest
import torch
from test_families import share_in, waits

from rdet.models.detectors import recordings
from rdet.models.kernels.usable import torch_operators_alone

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def _no_fallback():
    """A recording that fails is a failure here; but torchvision's deformable convolutions cannot be recorded."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*cannot be recorded")
        warnings.filterwarnings("ignore", message=".*runs on no stream but CUDA's default one")
        yield


def gradients(model, data):
    found = families.losses(model, data)
    sum(found.values()).backward()
    kept = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return torch.stack([value.detach() for value in found.values()]), kept


@pytest.mark.parametrize("family", families.FAMILIES)
def test_replayed_steps_are_those_without_a_recording(family):
    plain = families.detector(family).cuda()
    graphed = copy.deepcopy(plain)
    graphed.use_cuda_graphs()
    for step in range(recordings._TIMES + 2):
        for height, width in ((256, 320), (320, 256)):
            data = families.batch(seed=step, height=height, width=width)
            expected, wanted = gradients(plain, copy.deepcopy(data))
            found, has = gradients(graphed, data)
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)
            assert has.keys() >= wanted.keys()  # what a batch leaves out has a gradient of 0
            assert all(not has[name].any() for name in has.keys() - wanted.keys())
            one, other = (torch.cat([grads[name].flatten() for name in wanted]) for grads in (has, wanted))
            assert (one - other).norm() < 0.02 * other.norm()
    assert len(graphed.graphed._recordings._kept) == (0 if family in families.DEFORMABLE else 2)
    for (name, one), other in zip(plain.named_buffers(), graphed.buffers(), strict=True):
        torch.testing.assert_close(other, one, rtol=1e-3, atol=1e-4, msg=name)


def test_replayed_gradients_add_up():
    plain = families.detector("retinanet/r50_fpn_1x_coco").cuda()
    graphed = copy.deepcopy(plain)
    graphed.use_cuda_graphs()
    for model in (plain, graphed):
        model.kept = families.losses(model, families.batch())  # as what logs a loss with its graph does
        for _ in range(recordings._TIMES):
            families.losses(model, families.batch())
        for seed in range(3):
            sum(families.losses(model, families.batch(seed=seed)).values()).backward()
    assert graphed.graphed._recordings._kept
    for (name, one), other in zip(plain.named_parameters(), graphed.parameters(), strict=True):
        if one.grad is not None:
            assert (other.grad - one.grad).norm() <= 0.02 * one.grad.norm() + 1e-6, name


def test_replayed_training_waits_for_nothing_and_keeps_its_memory():
    model = families.detector("retinanet/r50_fpn_1x_coco").cuda()
    model.use_cuda_graphs()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-3, momentum=0.9)
    data = families.batch()
    data["inputs"] = [image.pin_memory() for image in data["inputs"]]

    def step():
        with torch.autocast("cuda", dtype=torch.bfloat16):
            found = families.losses(model, data)
        sum(found.values()).backward()
        optimizer.step()
        optimizer.zero_grad()

    for _ in range(recordings._TIMES + 2):
        step()
    assert waits(step) == []
    held = torch.cuda.memory_allocated()
    for _ in range(40):
        step()
    assert torch.cuda.memory_allocated() <= 1.02 * held


def found_by(model, data):
    samples = model.test_step(copy.deepcopy(data))
    return [tuple(getattr(s.pred_instances, key).clone() for key in ("bboxes", "scores", "labels")) for s in samples]


@pytest.mark.parametrize("family", families.FAMILIES)
@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
@torch.no_grad()
def test_replayed_detections_are_those_without_a_recording(family, dtype):
    plain = families.detector(family).eval().cuda()
    families.spread_scores(plain)
    plain.postprocess.score_thr = 0.02
    replayed = copy.deepcopy(plain)
    for model in (plain, replayed):
        model.optimize_for_inference(dtype)
    plain.captured = None
    several = [families.batch(seed=seed, height=256 + 64 * (seed % 2)) for seed in range(2 * recordings._TIMES + 4)]
    results = [found_by(replayed, data) for data in several]
    # Images of a batch differ in height: so there are several shapes, which all come in turns.
    assert bool(replayed.captured._recordings._kept) == (family not in families.DEFORMABLE)
    for data, samples in zip(several, results, strict=True):
        with torch_operators_alone():
            expected = found_by(plain, data)
        for one, other in zip(expected, samples, strict=True):
            if dtype is not None:  # rounding changes the order
                torch.testing.assert_close(other[1][:20], one[1][:20], rtol=1e-2, atol=1e-3)
                continue
            assert len(one[1]) == len(other[1]) > 0
            torch.testing.assert_close(other[1], one[1], rtol=1e-4, atol=1e-5)
            assert share_in(other, one) > 0.9 < share_in(one, other)
