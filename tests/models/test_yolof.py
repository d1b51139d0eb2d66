"""YOLOF's neck, head, coder and matching; what all detectors share is in test_detector_laws.py."""

import matching
import pytest
import torch
from small_detector import EMPTY, TWO, build, images
from torchvision.ops import box_iou

from rdet.models.assigners.uniform_assigner import UniformAssigner
from rdet.models.coders.delta_xywh_bbox_coder import DeltaXYWHBBoxCoder
from rdet.models.dense_heads.yolof_head import YOLOFHead, logit_of_product
from rdet.models.necks.dilated_encoder import DilatedEncoder
from rdet.structures.assignment import BACKGROUND, IGNORE

GN = {"type": "GN", "num_groups": 4}


def squares(*sides_and_centers):
    return torch.tensor([[x - side / 2, y - side / 2, x + side / 2, y + side / 2] for side, x, y in sides_and_centers])


def test_logit_of_a_product_of_probabilities():
    first, second = torch.meshgrid(torch.linspace(-30, 30, 41), torch.linspace(-30, 30, 41), indexing="ij")
    first, second = first.double().requires_grad_(), second.double()
    found = logit_of_product(first, second)
    torch.testing.assert_close(found.sigmoid(), first.sigmoid() * second.sigmoid())
    assert torch.autograd.gradcheck(logit_of_product, (first[::7, ::7], second[::7, ::7]))
    assert logit_of_product(torch.tensor(1e30), torch.tensor(-1e30)).isfinite()


def test_objectness_is_in_the_scores_and_trained_by_them():
    head = YOLOFHead(8, num_classes=3, num_priors=2, feat_channels=12, norm_cfg=GN)
    x = torch.randn(2, 8, 5, 6)
    predictions = head([x])
    assert predictions.logits.shape == (2, 60, 3)
    assert predictions.deltas.shape == (2, 60, 4)
    assert predictions.quality_logits is None
    assert predictions.logits.sigmoid().mean().item() == pytest.approx(0.01 / 2, rel=0.1)
    predictions.logits.sum().backward()
    assert head.conv_object.weight.grad.any()
    with torch.no_grad():
        head.conv_object.bias.fill_(-20.0)
        assert head([x]).logits.max() < -20


def test_neck_gives_one_level_that_sees_far():
    neck = DilatedEncoder([4, 8], [16, 32], out_channels=8, block_channels=4, dilations=(2, 4)).eval()
    maps = [torch.randn(1, 4, 50, 50), torch.randn(1, 8, 25, 25).requires_grad_()]
    (level,) = neck(maps)
    assert (neck.out_channels, neck.strides) == ([8], [32])
    assert level.shape == (1, 8, 25, 25)
    level[0, :, 12, 12].sum().backward()
    seen = maps[1].grad[0].abs().sum(dim=0).nonzero()
    assert seen.amin() == 12 - 1 - 2 - 4
    assert seen.amax() == 12 + 1 + 2 + 4


def test_decoding_moves_a_centre_no_farther_than_it_may():
    priors = squares((64, 50, 50)).double().expand(3, 4)
    deltas = torch.tensor([[1.0, -1, 0, 0], [0.25, 0.5, 0, 0], [-9, 9, 0, 0]]).double()
    found = DeltaXYWHBBoxCoder(max_shift=32.0).decode(priors, deltas)
    assert found.tolist() == squares((64, 82, 18), (64, 66, 82), (64, 18, 82)).tolist()


PRIORS = squares((20, 10, 10), (20, 30, 10), (20, 50, 10), (20, 70, 10), (20, 90, 10))


def match(boxes, predicted=PRIORS, **options):
    batch = matching.batch_of(PRIORS, [{"boxes": boxes, "predicted": predicted}])
    return UniformAssigner(**options).match(batch), batch


def test_nearest_priors_and_nearest_predictions():
    """The prior at 10 is nearest; the box that the prior at 90 predicts is."""
    box = squares((20, 12, 10))
    predicted = torch.cat([PRIORS[:4], box])
    matches, batch = match(box, predicted, topk=1, pos_ignore_thr=0.0)
    assert matching.dense(matches, batch)[0].tolist() == [0, BACKGROUND, BACKGROUND, BACKGROUND, 0]
    assert sorted(matches.of_boxes.prior.tolist()) == [0, 4]
    matches, batch = match(box, predicted, topk=1)  # the prior at 90 itself does not overlap the box
    assert matching.dense(matches, batch)[0].tolist() == [0, BACKGROUND, BACKGROUND, BACKGROUND, IGNORE]
    assert matches.of_boxes.prior.tolist() == [0]


def test_background_that_predicts_a_box_well_takes_no_part():
    box = squares((20, 12, 10))
    predicted = torch.cat([PRIORS[:3], squares((20, 13, 10)), box])
    assert box_iou(box, predicted)[0, 3] > 0.7
    matches, batch = match(box, predicted, topk=1, pos_ignore_thr=0.0)
    assert matching.dense(matches, batch)[0, 3] == IGNORE
    matches, batch = match(box, predicted, topk=1, pos_ignore_thr=0.0, neg_ignore_thr=1.0)
    assert matching.dense(matches, batch)[0, 3] == BACKGROUND


def test_a_prior_of_several_boxes_is_as_many_positives_and_has_one_class():
    boxes = squares((20, 12, 10), (20, 9, 10))
    matches, batch = match(boxes, topk=1)
    assert matching.dense(matches, batch)[0].tolist() == [1] + [BACKGROUND] * 4  # the last box
    assert matches.of_boxes.prior.tolist() == [0, 0, 0, 0]
    assert sorted(matches.of_boxes.gt_index.tolist()) == [0, 0, 1, 1]  # as prediction and as prior
    assert matches.of_boxes.amount.tolist() == [1]


def test_losses_of_boxes_count_each_positive_and_are_divided_by_priors():
    parts = {"bbox_head": {"type": "YOLOFHead", "stacked_convs": 1, "norm_cfg": GN}, "loss_bbox": {"type": "GIoULoss"}}
    model = build(**parts, assigner={"type": "UniformAssigner"}, neck={"type": "DilatedEncoder", "out_channels": 16})
    predictions = model(images(2))
    priors = model.anchor_generator(predictions.level_sizes)
    samples = [TWO, EMPTY]
    boxes = TWO.gt_instances.bboxes
    batch = []
    original = model.assigner.match
    model.assigner.match = lambda seen: batch.append(original(seen)) or batch[-1]
    losses = model.loss(predictions, priors, samples)
    (matches,) = batch
    of_boxes = matches.of_boxes
    assert len(of_boxes.prior) > len(matches.prior) > 0
    assert of_boxes.amount.tolist() == [len(matches.prior), 0]
    decoded = model.bbox_coder.decode(priors[of_boxes.prior], predictions.deltas[of_boxes.image, of_boxes.prior])
    expected = model.criterion.loss_bbox(decoded, boxes[of_boxes.gt_index]).sum() / len(matches.prior)
    torch.testing.assert_close(losses["loss_bbox"], expected)


def test_a_device_is_told_a_number_that_the_host_knows(monkeypatch):
    """Positives that do not count repeat the first that does."""
    boxes = squares((20, 12, 10), (4, 300, 300))
    exact, _ = match(boxes)
    monkeypatch.setattr("rdet.models.assigners.uniform_assigner.on_host", lambda device: False)
    padded, _ = match(boxes)
    assert len(padded.of_boxes.prior) == 2 * 4 * 2
    for found, expected in ((padded, exact), (padded.of_boxes, exact.of_boxes)):
        kept = found.without_repeats()
        assert torch.equal(kept.prior, expected.prior)
        assert torch.equal(kept.gt_index, expected.gt_index)
        assert (found.prior[~found.counted] == expected.prior[0]).all()
