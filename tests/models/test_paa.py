"""PAA's mixtures, matching and voting; what all assigners share is in test_assigner_laws.py."""

import math

import matching
import pytest
import torch
from torchvision.ops import box_iou

from rdet.models.assigners.gaussian_mixture import fit_two_normals
from rdet.models.assigners.paa_assigner import PAAAssigner
from rdet.models.postprocess.largest import largest, largest_above
from rdet.models.postprocess.nms_postprocess import NMSPostprocess
from rdet.models.postprocess.score_voting_postprocess import ScoreVotingPostprocess
from rdet.structures.assignment import BACKGROUND


def test_two_heaps_are_told_apart_whatever_else_is_fitted():
    generator = torch.Generator().manual_seed(0)
    low, high = torch.randn(2, 40, generator=generator) * 0.1
    row = torch.cat([low + 1, high + 3])
    others = torch.stack([row, torch.linspace(0, 5, 80), row.flip(0)])
    valid = torch.ones(3, 80, dtype=torch.bool)
    valid[1, 30:] = False
    found = fit_two_normals(others, valid)
    assert found.is_first[0].tolist() == [True] * 40 + [False] * 40
    assert torch.equal(found.is_first[2].flip(0), found.is_first[0])
    for index in range(3):
        alone = fit_two_normals(others[index : index + 1, valid[index]], valid[index : index + 1, valid[index]])
        torch.testing.assert_close(alone.log_density[0], found.log_density[index, valid[index]])
    normal = torch.distributions.Normal(row[:40].double().mean(), row[:40].double().var(correction=0).sqrt())
    torch.testing.assert_close(
        found.log_density[0, :40], normal.log_prob(row[:40].double()) - math.log(2), rtol=0, atol=1e-3
    )


@pytest.mark.parametrize("numbers", [[2.0, 2.0, 2.0], [1.0], [0.0, 1e4], [1e-8, 2e-8, 1.0]])
def test_mixtures_of_odd_numbers_are_finite(numbers):
    found = fit_two_normals(torch.tensor([numbers]), torch.ones(1, len(numbers), dtype=torch.bool))
    assert found.log_density.isfinite().all()
    assert found.is_first[0, 0]


def test_mixture_is_scikit_learns():
    mixture = pytest.importorskip("sklearn.mixture", reason="scikit-learn is not installed")
    generator = torch.Generator().manual_seed(1)
    for count in (5, 12, 45):
        x = torch.rand(count, 1, generator=generator, dtype=torch.float64) * 3
        start = {"weights_init": [0.5, 0.5], "means_init": [[x.min()], [x.max()]], "precisions_init": [[1.0], [1.0]]}
        theirs = mixture.GaussianMixture(2, covariance_type="diag", **start).fit(x)
        found = fit_two_normals(x.T, torch.ones(1, count, dtype=torch.bool))
        assert found.is_first[0].tolist() == (theirs.predict(x) == 0).tolist()
        torch.testing.assert_close(found.log_density[0], torch.from_numpy(theirs.score_samples(x)))


PRIORS = torch.tensor([[20.0 * i, 0, 20 * i + 40, 40] for i in range(8)])
BOX = torch.tensor([[60.0, 0, 110, 40]])


def scene(goods):
    """Priors that all overlap the box; those of ``goods`` predict it, the others something half as good."""
    predicted = PRIORS.clone()
    predicted[goods] = BOX + torch.tensor([[1.0, 0, 0, 0]]) * torch.arange(len(goods))[:, None]
    scores = torch.full((8, 2), 0.05)
    scores[goods, 0] = 0.9 - 0.01 * torch.arange(len(goods))
    return matching.batch_of(PRIORS, [{"boxes": BOX, "predicted": predicted, "scores": scores}])


def test_priors_whose_losses_are_of_the_lower_heap_are_positive():
    overlapping = (box_iou(PRIORS, BOX)[:, 0] >= 0.1).nonzero().flatten().tolist()
    assert overlapping == [2, 3, 4, 5]
    batch = scene([3, 4])
    found = matching.dense(PAAAssigner().match(batch), batch)[0]
    assert found[3] == 0  # the best; the second is as probable, up to rounding
    assert {2, 5}.isdisjoint((found >= 0).nonzero().flatten().tolist())
    assert (found < 0).sum() >= 6


def test_a_box_with_one_candidate_gets_nothing():
    batch = matching.batch_of(PRIORS, [{"boxes": torch.tensor([[0.0, 0, 18, 40]])}])
    assert (matching.dense(PAAAssigner().match(batch), batch) == BACKGROUND).all()


def voting(**options):
    return ScoreVotingPostprocess(score_thr=0.05, topk_per_level=2, max_per_img=2, iou_threshold=0.6, **options)


def test_survivors_are_means_of_what_overlaps_them():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 9], [50, 50, 60, 60]])
    scores, labels = torch.tensor([0.9, 0.5, 0.5, 0.4]), torch.tensor([1, 1, 0, 1])
    kept, kept_scores, kept_labels = voting(sigma=0.025).suppress(boxes, scores, labels)
    assert kept_scores.tolist() == pytest.approx([0.9, 0.5])
    assert kept_labels.tolist() == [1, 0]
    weight = 0.5 * math.exp(-(0.1**2) / 0.025)
    expected = (0.9 * 10 + weight * 9) / (0.9 + weight)
    torch.testing.assert_close(kept[0], torch.tensor([0, 0, 10, expected]))
    torch.testing.assert_close(kept[1], boxes[2])  # of another class


def test_all_classes_of_the_best_priors_are_candidates():
    logits = torch.tensor([[[2.0, 1.0, -1.0], [-9, -9, -9], [1.5, 1.2, 1.4], [1.9, -8, -8]]])
    rank, index, is_real = voting().best_of_level(logits, None, 5, largest)
    assert sorted(index[is_real].tolist()) == [15, 16, 17, 24]  # priors 0 and 3, of which the second has one class
    assert rank.shape == (1, 6)
    plain = NMSPostprocess(score_thr=0.05, topk_per_level=2)
    assert plain.best_of_level(logits, None, 5, largest)[1].tolist() == [[15, 24]]
    post = voting()
    above = post.best_of_level(logits, None, 5, largest_above)
    assert sorted(above[1][0].tolist()) == [15, 16, 17, 24]
