"""DSSD's own parts: residual levels, deconvolution modules, prediction modules, and SSD that stays as it is."""

import pytest
import torch
import torch.nn.functional as F
from small_detector import TWO, build, images
from torch import nn
from torch.autograd import gradcheck

from rdet.models.dense_heads.dssd_head import DSSDHead
from rdet.models.dense_heads.ssd_head import SSDHead
from rdet.models.necks.dssd_neck import DeconvolutionModule, DSSDNeck
from rdet.models.necks.residual_ssd_neck import ResidualSSDNeck

BN = {"type": "BN"}
NECK = {"type": "DSSDNeck", "deconv_channels": 6, "num_extra": 2, "extra_channels": 8}
DSSD = {
    "neck": NECK,
    "bbox_head": {"type": "DSSDHead", "module_channels": 8, "middle_channels": 4},
    "loss_cls": {"type": "SoftmaxFocalLoss", "alpha": None, "gamma": 0.0},
}


def maps(*shapes, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, *shape, generator=generator, dtype=dtype) for shape in shapes]


def identity(conv):
    """Make a convolution pass on its middle cell, channel by channel."""
    nn.init.zeros_(conv.weight)
    for channel in range(conv.out_channels):
        conv.weight.data[channel, channel, conv.kernel_size[0] // 2, conv.kernel_size[1] // 2] = 1
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)


def test_levels_and_widths():
    sizes = [(17, 12), (9, 6), (5, 3), (3, 2)]
    given = maps((3, *sizes[0]), (4, *sizes[1]))
    for neck, widths in (
        (ResidualSSDNeck([3, 4], [8, 16], num_extra=2, extra_channels=8), [3, 4, 8, 8]),
        (DSSDNeck([3, 4], [8, 16], deconv_channels=6, num_extra=2, extra_channels=8), [6, 6, 6, 8]),
    ):
        assert [tuple(level.shape[1:]) for level in neck(given)] == [
            (c, *s) for c, s in zip(widths, sizes, strict=True)
        ]
        assert (neck.out_channels, neck.strides) == (widths, [8, 16, 32, 64])
    with pytest.raises(ValueError, match="extra_channels is 6; a bottleneck needs a multiple of 4"):
        ResidualSSDNeck([3], [8], extra_channels=6)


@pytest.mark.parametrize("size", [(5, 6), (6, 5)])
def test_deconvolution_module_multiplies_with_the_enlarged_map(size):
    module = DeconvolutionModule(3, 3, 3, BN).eval()
    for conv in module.modules():
        if isinstance(conv, nn.Conv2d):
            identity(conv)
    nn.init.zeros_(module.enlarge.weight)
    for channel in range(3):
        module.enlarge.weight.data[channel, channel] = 1  # each cell becomes four
    x, above = maps((3, *size), (3, 3, 3))
    enlarged = F.interpolate(above, scale_factor=2)[..., : size[0], : size[1]]
    torch.testing.assert_close(module(x, above), (x.relu() * enlarged).relu(), rtol=1e-4, atol=1e-4)  # BN's epsilon


def test_prediction_module_is_a_block_before_the_predictors_of_ssd():
    torch.manual_seed(0)
    head = DSSDHead([3, 3], num_classes=2, num_priors=[2, 1], module_channels=3, middle_channels=2)
    plain = SSDHead([3, 3], num_classes=2, num_priors=[2, 1])
    plain.load_state_dict({k: v for k, v in head.state_dict().items() if not k.startswith("prediction_modules")})
    levels = maps((3, 4, 4), (3, 2, 2))
    blocks = []
    for module, x in zip(head.prediction_modules, levels, strict=True):
        one, two, three = (layer for layer in module.branch if isinstance(layer, nn.Conv2d))
        blocks.append(F.relu(three(F.relu(two(F.relu(one(x))))) + module.shortcut(x)))
    found, wanted = head(levels), plain(blocks)
    torch.testing.assert_close(found.logits, wanted.logits)
    torch.testing.assert_close(found.deltas, wanted.deltas)
    assert found.priors_per_cell == [2, 1]


def test_gradients():
    torch.manual_seed(0)
    neck = DSSDNeck([2], [8], deconv_channels=2, num_extra=1, extra_channels=4).double().eval()
    head = DSSDHead([2, 4], 2, 1, module_channels=2, middle_channels=2).double()

    def outputs(x):
        found = head(neck([x]))
        return found.logits, found.deltas

    assert gradcheck(outputs, (torch.randn(1, 2, 3, 3, dtype=torch.double, requires_grad=True),))


@pytest.mark.parametrize("frozen", [True, False])
def test_first_stage_leaves_ssd_as_it_is(frozen):
    backbone = {"type": "ResNet", "depth": 18, "frozen_stages": 4 if frozen else 0, "norm_eval": frozen}
    model = build(**DSSD | {"neck": {**NECK, "frozen_ssd": frozen}, "backbone": backbone})
    before = {name: value.clone() for name, value in model.state_dict().items()}
    sum(model.train()(images(2), [TWO, TWO], mode="loss").values()).backward()
    torch.optim.SGD((p for p in model.parameters() if p.requires_grad), lr=0.1).step()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert any(name.startswith("neck.deconv_modules") for name in changed)
    assert any(name.startswith("bbox_head.prediction_modules") for name in changed)
    of_ssd = {name for name in changed if name.startswith(("backbone.", "neck.extra_layers."))}
    assert not of_ssd if frozen else {name.split(".")[0] for name in of_ssd} == {"backbone", "neck"}


def test_dssd_begins_with_the_weights_of_ssd():
    ssd = ResidualSSDNeck([3, 4], [8, 16], num_extra=2, extra_channels=8)
    dssd = DSSDNeck([3, 4], [8, 16], deconv_channels=6, num_extra=2, extra_channels=8)
    left = dssd.load_state_dict(ssd.state_dict(), strict=False)
    assert not left.unexpected_keys
    assert all(name.startswith("deconv_modules") for name in left.missing_keys)
