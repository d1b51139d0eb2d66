"""Samples by plain operators, of a CPU or added up in one order, equal those of torchvision's operators."""

import pytest
import torch
from torchvision.ops import DeformConv2d, deform_conv2d

from rdet.models import deformable, sampling
from rdet.models.dense_heads.tood_head import displaced, displaced_corners
from rdet.models.dense_heads.vfnet_head import star_convolution


def random(*shape, scale=1.0, seed=0):
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale
    return values.requires_grad_()


def value_and_gradients(call, *inputs):
    found = call(*inputs)
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(9), dtype=found.dtype)
    return [found, *torch.autograd.grad((found * weights).sum(), inputs)]


@pytest.fixture
def sample(monkeypatch):
    """Choose how maps are sampled: by ``"operator"`` of torchvision, by ``"grid"`` or by ``"index"``."""

    def choose(way):
        monkeypatch.setattr(sampling, "by_plain_operators", lambda maps: way != "operator")
        monkeypatch.setattr(sampling, "by_grid_sample", lambda maps: way == "grid")

    return choose


@pytest.mark.parametrize("way", ["grid", "index"])
@pytest.mark.parametrize("kernel", [(3, 3), (1, 1), (1, 5)])
@pytest.mark.parametrize("scale", [0.0, 0.7, 6.0], ids=["none", "near", "also outside"])
def test_a_deformed_convolution_is_torchvisions(kernel, scale, way, sample):
    sample(way)
    maps, weight = random(2, 3, 5, 7), random(4, 3, *kernel, seed=1)
    offset = random(2, 2 * kernel[0] * kernel[1], 5, 7, scale=scale, seed=2)
    if scale == 0:  # whole places are kinks, where each has a slope of its own
        offset = offset.detach()
    padding = (kernel[0] // 2, kernel[1] // 2)
    inputs = [maps, weight] if scale == 0 else [maps, weight, offset]
    found = value_and_gradients(lambda m, w, o=offset: sampling.deformed_convolution(m, o, w), *inputs)
    expected = value_and_gradients(lambda m, w, o=offset: deform_conv2d(m, o, w, padding=padding), *inputs)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("modulated", [True, False])
@pytest.mark.parametrize(("stride", "dilation"), [((1, 1), (1, 1)), ((2, 1), (1, 2))])
def test_groups_factors_strides_and_holes_are_torchvisions(stride, dilation, modulated, sample):
    maps, weight, bias = random(2, 8, 7, 6), random(6, 4, 3, 3, seed=1), random(6, seed=2)
    size = ((7 - 1) // stride[0] + 1, (6 + 2 * dilation[1] - 2 * dilation[1] - 1) // stride[1] + 1)
    offset, mask = random(2, 4 * 18, *size, scale=0.8, seed=3), random(2, 4 * 9, *size, seed=4)

    def call(m, w, b, o, k):
        return deformable.deformed(m, o, w, b, k if modulated else None, stride, dilation, dilation)

    inputs = (maps, weight, bias, offset, mask)
    inputs = inputs if modulated else inputs[:4]
    of = call if modulated else lambda m, w, b, o: call(m, w, b, o, None)
    sample("operator")
    expected = value_and_gradients(of, *inputs)
    own = deform_conv2d(maps, offset, weight, bias, stride, dilation, dilation, mask if modulated else None)
    torch.testing.assert_close(expected[0], own, rtol=0, atol=0)
    for way in ("grid", "index"):
        sample(way)
        for one, other in zip(value_and_gradients(of, *inputs), expected, strict=True):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("displace", [displaced, displaced_corners])
def test_displaced_sides_are_the_same_by_plain_operators(displace, sample):
    distance, offset = random(2, 4, 5, 7), random(2, 8, 5, 7, scale=0.9, seed=1)
    if displace is displaced:  # it looks up its cells in float32
        distance, offset = distance.detach().float().requires_grad_(), offset.detach().float().requires_grad_()
    sample("operator")
    expected = value_and_gradients(displace, distance, offset)
    for way in ("grid", "index"):
        sample(way)
        found = value_and_gradients(displace, distance, offset)
        assert not torch.equal(found[1], expected[1])  # another way of adding up was taken
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_a_star_convolution_is_the_same_by_plain_operators(sample):
    layer = DeformConv2d(3, 4, 3, padding=1, bias=False)
    features, offset = random(2, 3, 5, 7).float(), random(2, 18, 5, 7, seed=1).float()
    sample("operator")
    expected = star_convolution(layer, features, offset)
    for way in ("grid", "index"):
        sample(way)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = star_convolution(layer, features, offset)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_it_is_for_cpus_and_for_deterministic_runs_on_a_device():
    on_a_device = torch.zeros(1, device="meta")
    before = torch.are_deterministic_algorithms_enabled()  # a run of another test may have left it on
    try:
        torch.use_deterministic_algorithms(False)
        assert not sampling.by_plain_operators(on_a_device)
        torch.use_deterministic_algorithms(True)
        assert sampling.by_plain_operators(on_a_device)
        assert not sampling.by_grid_sample(on_a_device)
        assert sampling.by_plain_operators(torch.zeros(1))
        assert sampling.by_grid_sample(torch.zeros(1))
    finally:
        torch.use_deterministic_algorithms(before)
