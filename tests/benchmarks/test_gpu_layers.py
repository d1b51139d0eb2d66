"""What `benchmarks/gpu_layers.py` times computes the same, each way."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import gpu_layers


def gradients(call, inputs):
    inputs = [value.detach().requires_grad_() for value in inputs]
    found = call(*inputs)
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(1))
    return [found, *torch.autograd.grad((found * weights).sum(), inputs)]


@pytest.mark.parametrize("way", [gpu_layers.as_product, gpu_layers.as_product_with_relu])
def test_a_convolution_of_one_cell_is_a_matrix_product(way):
    torch.manual_seed(0)
    inputs = [torch.randn(2, 6, 4, 5).contiguous(memory_format=torch.channels_last), torch.randn(3, 6, 1, 1)]
    bias = torch.randn(3)
    found, expected = (
        gradients(lambda x, weight, each=each: each(x, weight, bias), inputs) for each in (way, gpu_layers.with_bias)
    )
    torch.testing.assert_close(found, expected)
    assert found[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("kernel", [1, 3])
def test_a_folded_product_is_a_folded_convolution(kernel):
    torch.manual_seed(0)
    conv, norm = torch.nn.Conv2d(6, 3, kernel, bias=False), torch.nn.BatchNorm2d(3).eval()
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.running_mean)
    x = torch.randn(2, 6, 4, 5).contiguous(memory_format=torch.channels_last).requires_grad_()
    results = []
    for way in (gpu_layers.folded_product, gpu_layers.conv_norm):
        found = way(conv, norm, x).relu_()
        results.append([found, *torch.autograd.grad(found.sum(), [x, conv.weight, norm.weight, norm.bias])])
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("way", [gpu_layers.norm_of_rows, gpu_layers.norm_in_bfloat16])
def test_norms_are_the_same(way):
    torch.manual_seed(0)
    x = (torch.randn(2, 64, 5, 6) + 0.5).contiguous(memory_format=torch.channels_last)
    inputs = [x, torch.rand(64), torch.randn(64)]
    found, expected = (gradients(each, inputs) for each in (way, gpu_layers.norm_of_autocast))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_gradients_of_biases_are_the_same():
    gradient = torch.randn(2, 3, 4, 5)
    torch.testing.assert_close(gpu_layers.summed_by_product(gradient), gpu_layers.summed(gradient))
