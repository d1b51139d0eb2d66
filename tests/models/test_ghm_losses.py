"""GHM: what an element weighs follows from how many have gradients of its length."""

import pytest
import torch
import torch.nn.functional as F
from small_detector import ONE, TWO, build, images, match

from rdet.models.losses.ghm_loss import GHMC, GHMR
from rdet.models.losses.gradient_density import GradientDensity
from rdet.structures.assignment import BACKGROUND, IGNORE


def test_each_bin_that_has_elements_has_the_same_share():
    lengths = torch.tensor([0.0, 0.05, 0.19, 0.2, 0.95, 1.0, -1.0])  # the last does not count
    (weights,) = GradientDensity(5, 0.0)([lengths])
    torch.testing.assert_close(weights, torch.tensor([1 / 9, 1 / 9, 1 / 9, 1 / 3, 1 / 6, 1 / 6, 0]))


def test_the_running_mean_goes_from_level_to_level_and_stays_where_a_bin_is_empty():
    density = GradientDensity(2, 0.75)
    levels = [torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.tensor([0.1, 0.9, 0.8])]
    first, second = density(levels)
    # 4 / 4 of the first bin after the first level, then 0.75 + 0.25; and 2 / 4 of the second bin.
    assert density.mean.tolist() == [1.0, 0.5]
    torch.testing.assert_close(first, torch.full((4,), 1.0))
    torch.testing.assert_close(second, torch.tensor([1 / 2, 1.0, 1.0]))
    density.eval()
    density(levels)
    assert density.mean.tolist() == [1.0, 0.5]
    assert set(density.state_dict()) == {"mean"}
    assert not GradientDensity(2, 0.0).state_dict()


def test_several_processes_divide_by_what_all_have(monkeypatch):
    def all_reduce(counts):
        counts += torch.tensor([[5.0, 0.0, 3.0]])

    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(torch.distributed, "all_reduce", all_reduce)
    (weights,) = GradientDensity(3, 0.0)([torch.tensor([0.1, 0.5])])
    # Bins of 6, 1 and 3 elements; gradients are averaged over two processes.
    torch.testing.assert_close(weights, torch.tensor([2 / 6 / 3, 2 / 1 / 3]))


def test_classes_of_each_level_have_their_own_density():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 7, 3, generator=generator)
    labels = torch.tensor([[0, 1, BACKGROUND, 2, IGNORE, BACKGROUND, 0], [BACKGROUND] * 7])
    found = GHMC()(logits, labels, [4, 3])
    apart = [GHMC()(logits[:, part], labels[:, part]) for part in (slice(0, 4), slice(4, 7))]
    torch.testing.assert_close(found, torch.cat(apart, dim=1))
    assert found[0, 4] == 0
    same = GHMC(bins=1)(logits, labels)  # one bin: the mean of the cross entropy over what counts
    target = F.one_hot(labels.clamp(min=0), 3) * (labels >= 0)[..., None]
    entropy = F.binary_cross_entropy_with_logits(logits, target.float(), reduction="none")
    torch.testing.assert_close(same.sum(), entropy[labels != IGNORE].mean())


def test_boxes_of_each_level_have_their_own_density():
    generator = torch.Generator().manual_seed(0)
    deltas, targets = torch.randn(2, 9, 4, generator=generator)
    level = torch.tensor([0, 0, 0, 0, -1, 2, 2, 2, 2])
    found = GHMR(loss_weight=10.0)(deltas, targets, level, num_levels=4)
    apart = [GHMR()(deltas[level == index], targets[level == index]) for index in (0, 2)]
    torch.testing.assert_close(found[level >= 0], 10 * torch.cat(apart))
    assert found[4] == 0


def test_a_training_step_looks_at_levels_one_by_one():
    """With one bin the losses are means over a level, whatever the number of positives."""
    losses = {"loss_cls": {"type": "GHMC", "bins": 1}, "loss_bbox": {"type": "GHMR", "bins": 1, "mu": 1e-6}}
    assigner = {"type": "MaxIoUAssigner", "neg_iou_thr": 0.5}  # nothing is ignored
    model = build(**losses, normalizer={"type": "NoNormalizer"}, assigner=assigner)
    predictions = model(images(2))
    priors = model.anchor_generator(predictions.level_sizes)
    matches, labels = match(model, predictions, priors, [TWO, ONE])
    found = model.loss(predictions, priors, [TWO, ONE])
    target = F.one_hot(labels + 1, 4)[..., 1:].float()
    entropy = F.binary_cross_entropy_with_logits(predictions.logits, target, reduction="none")
    levels = entropy.split(predictions.level_lengths, dim=1)
    torch.testing.assert_close(found["loss_cls"], torch.stack([level.mean() for level in levels]).sum())
    boxes = torch.cat([TWO.gt_instances.bboxes, ONE.gt_instances.bboxes])[matches.gt_index]
    error = predictions.deltas[matches.image, matches.prior] - model.bbox_coder.encode(priors[matches.prior], boxes)
    level = torch.bucketize(matches.prior, torch.tensor(predictions.level_lengths).cumsum(0), right=True)
    means = [error[level == index].abs().mean() for index in level.unique()]
    assert len(means) > 1
    torch.testing.assert_close(found["loss_bbox"], torch.stack(means).sum(), rtol=1e-3, atol=0)


@pytest.mark.parametrize("options", [{"bins": 0}, {"momentum": 1.0}])
def test_numbers_without_meaning(options):
    with pytest.raises(ValueError, match="expected bins >= 1 and 0 <= momentum < 1"):
        GHMC(**options)
    with pytest.raises(ValueError, match="mu is 0"):
        GHMR(mu=0)
