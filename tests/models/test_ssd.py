"""SSD's own parts; tests/interop/test_torchvision_ssd.py has them in one detector beside torchvision's."""

import pytest
import torch
from small_detector import TWO, build, images
from torch.autograd import gradcheck

from rdet.errors import ConfigError
from rdet.models.dense_heads.ssd_head import SSDHead
from rdet.models.losses.softmax_focal_loss import SoftmaxFocalLoss
from rdet.models.mining.hard_negatives import HardNegatives
from rdet.models.necks.ssd_neck import L2Norm, SSDNeck
from rdet.models.priors.default_box_generator import DefaultBoxGenerator
from rdet.structures.assignment import BACKGROUND, IGNORE

SSD = {
    "bbox_head": {"type": "SSDHead"},
    "loss_cls": {"type": "SoftmaxFocalLoss", "alpha": None, "gamma": 0.0},
}


def test_classes_above_the_background_are_the_softmax_of_all():
    torch.manual_seed(0)
    head = SSDHead(in_channels=[4, 6], num_classes=3, num_priors=[2, 1])
    levels = [torch.randn(2, 4, 3, 5), torch.randn(2, 6, 2, 2)]
    predictions = head(levels)
    assert predictions.level_lengths == [30, 4]
    whole = torch.cat(
        [conv(x).permute(0, 2, 3, 1).reshape(2, -1, 4) for conv, x in zip(head.conv_cls, levels, strict=True)], dim=1
    )
    loss = SoftmaxFocalLoss(alpha=None, gamma=0.0)
    probabilities = loss.binary_logits(predictions.logits).sigmoid()
    torch.testing.assert_close(probabilities, whole.softmax(dim=-1)[..., :3])
    labels = torch.randint(-1, 3, (2, 34))
    expected = torch.nn.functional.cross_entropy(whole.flatten(0, 1), labels.flatten() % 4, reduction="none")
    torch.testing.assert_close(loss(predictions.logits, labels).flatten(), expected)


def test_l2_norm_gives_vectors_their_length():
    norm = L2Norm(5, scale=20.0).double()
    x = torch.randn(1, 5, 2, 2, dtype=torch.double, requires_grad=True)
    torch.testing.assert_close(norm(x).norm(dim=1), torch.full((1, 2, 2), 20.0, dtype=torch.double), atol=1e-4, rtol=0)
    half = L2Norm(512, scale=20.0).half()
    assert half(torch.full((1, 512, 1, 1), 60.0, dtype=torch.half)).isfinite().all()


def test_levels_of_the_neck():
    neck = SSDNeck([4, 8], [8, 16], extra=[(2, 6, 3, 2, 1), (2, 5, 3, 1, 0)], strides=[8, 16, 32, 100], fc_channels=7)
    levels = neck([torch.zeros(1, 4, 10, 10), torch.zeros(1, 8, 5, 5)])
    assert [tuple(level.shape[1:]) for level in levels] == [(4, 10, 10), (7, 5, 5), (6, 3, 3), (5, 1, 1)]
    assert (neck.out_channels, neck.strides) == ([4, 7, 6, 5], [8, 16, 32, 100])
    with pytest.raises(ValueError, match="3 numbers, but there are 2 maps and 2 levels above"):
        SSDNeck([4, 8], [8, 16], extra=[(2, 6, 3, 2, 1), (2, 5, 3, 1, 0)], strides=[8, 16, 32])


def test_default_boxes_of_the_paper():
    """Section 2.2: sides s, sqrt(s s'), and s sqrt(r) by s / sqrt(r) both ways."""
    generator = DefaultBoxGenerator([100, 200], image_size=300, scales=[0.2, 0.5, 0.8], ratios=[[2], [2, 3]])
    assert generator.num_priors == [4, 6]
    priors = generator([(3, 3), (1, 1)])
    sizes = (priors[:4, 2:] - priors[:4, :2]).tolist()
    root = 2**0.5
    expected = [(60, 60), (300 * 0.1**0.5,) * 2, (60 * root, 60 / root), (60 / root, 60 * root)]
    assert sizes == [pytest.approx(size, abs=1e-3) for size in expected]
    assert ((priors[:4, :2] + priors[:4, 2:]) / 2).tolist() == [pytest.approx((50, 50), abs=1e-3)] * 4
    clipped = DefaultBoxGenerator([300], image_size=300, scales=[0.9, 1.2], ratios=[[2]], clip=True)([(1, 1)])
    assert (clipped[:, 2:] - clipped[:, :2]).max() == 300


def test_scales_that_descend_are_refused():
    with pytest.raises(
        ValueError, match=r"scales is \[0.2, 0.8, 0.5\], but levels are from fine to coarse; let them as"
    ):
        DefaultBoxGenerator([100, 200], image_size=300, scales=[0.2, 0.8, 0.5], ratios=[[2], [2, 3]])


@pytest.mark.parametrize("positives", [0, 1, 5])
def test_three_negatives_of_highest_loss_for_each_positive(positives):
    generator = torch.Generator().manual_seed(positives)
    losses = torch.rand(60, generator=generator)
    labels = torch.full((60,), BACKGROUND)
    labels[:positives], labels[50:] = 1, IGNORE
    chosen = HardNegatives(neg_pos_ratio=3)(losses, labels, torch.zeros(60, 4))
    hardest = losses[positives:50].argsort(descending=True)[: 3 * positives] + positives
    assert set(chosen.nonzero().flatten().tolist()) == {*range(positives), *hardest.tolist()}


def test_mining_that_does_not_count_leaves_the_divisor_to_the_positives():
    """SSD, equation 1: both losses are divided by the number of matched boxes."""
    mined = build(**SSD, mining={"type": "HardNegatives", "neg_pos_ratio": 10**6})
    losses = [model(images(1), [TWO], mode="loss")["loss_cls"] for model in (mined, build(**SSD))]
    torch.testing.assert_close(*losses)


def test_a_head_for_one_width_refuses_levels_of_others():
    neck = {"type": "SSDNeck", "extra": [(4, 6, 3, 2, 1)], "strides": [8, 16, 32, 64], "fc_channels": None}
    with pytest.raises(ConfigError, match="levels of different widths .* a shared head needs one"):
        build(neck=neck)
    assert len(build(neck=neck, **SSD).bbox_head.conv_cls) == 4


def test_gradients_of_the_head_and_the_norm():
    torch.manual_seed(0)
    head, norm = SSDHead([2], 2, 1).double(), L2Norm(2, 3.0)
    norm.weight.data = norm.weight.data.double()

    def outputs(x):
        found = head([norm(x)])
        return found.logits, found.deltas

    x = torch.randn(1, 2, 2, 2, dtype=torch.double, requires_grad=True)
    assert gradcheck(outputs, (x,))
