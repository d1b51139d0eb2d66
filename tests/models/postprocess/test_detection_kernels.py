"""Kernels of detection find what torch's operators do; Triton's interpreter runs them without a GPU."""

import pytest
import torch
from made_predictions import CODER, build, crowd, predictions_of
from torchvision.ops import batched_nms

from rdet.models.detectors.finite_images import finite_if_all
from rdet.models.detectors.recordings import check_replay, tensors_in
from rdet.models.kernels.usable import right, torch_operators_alone
from rdet.models.postprocess.dense_postprocess import DensePostprocess
from rdet.registry import MODELS

pytest.importorskip("triton")
# Boxes without an area, in the interpreter.
pytestmark = pytest.mark.filterwarnings("ignore:invalid value encountered")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(autouse=True)
def _few_at_once(monkeypatch):
    """So that the interpreter is not asked to look at much more numbers than there are."""
    if DEVICE == "cpu":
        monkeypatch.setattr("rdet.models.kernels.best._CHUNK", 1024)
        monkeypatch.setattr("rdet.models.kernels.best._BLOCK", 512)


def best_of_levels_by_topk(rank, threshold, count, lengths):
    levels = [level.float().flatten(1) for level in rank.split(lengths, dim=1)]
    values = [level.topk(min(count, level.shape[1]), dim=1).values for level in levels]
    if threshold is None:
        return values
    return [found.clamp(min=threshold) for found in values]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("threshold", [None, 0.3])
@pytest.mark.parametrize(("classes", "count"), [(1, 60), (3, 5)])
def test_the_best_of_each_level(count, threshold, classes, dtype):
    from rdet.models.kernels.best import best_of_levels

    lengths = [170, 16, 13, 1]
    # Cut from more, as levels are of a batch; half precision has many numbers that equal each other.
    rank = torch.randn(2, 210, classes, generator=torch.Generator().manual_seed(count)).to(DEVICE, dtype)[:, 10:]
    expected = best_of_levels_by_topk(rank, threshold, count, lengths)
    found = best_of_levels(rank, threshold, count, lengths)
    sizes = [wanted.shape[1] for wanted in expected]
    assert [part.shape for part in found] == [(2, sum(sizes))] * 3
    first = 0
    for wanted, length, *level in zip(expected, lengths, *(part.split(sizes, dim=1) for part in found), strict=True):
        values, index, is_real = level
        torch.testing.assert_close(values.sort(dim=1, descending=True).values, wanted, rtol=0, atol=0)
        assert torch.equal(is_real, values > (-torch.inf if threshold is None else threshold))
        assert ((first * classes <= index) & (index < (first + length) * classes)).all()
        for row, own, places, real in zip(rank, values, index, is_real, strict=True):
            places = places[real]
            assert torch.equal(row.flatten()[places].float(), own[real])
            assert (places.diff() > 0).all()  # in order, so that none comes twice
        first += length


@pytest.mark.parametrize("number", [0.0, -torch.inf, torch.nan])
@pytest.mark.parametrize("threshold", [None, -1.0])
def test_the_best_of_numbers_that_equal_each_other(threshold, number):
    from rdet.models.kernels.best import best_of_levels

    values, index, is_real = best_of_levels(torch.full((1, 40, 2), number, device=DEVICE), threshold, 30, [33, 7])
    expected = threshold is None or number > threshold
    assert is_real.unique().tolist() == [expected]
    if expected:
        assert index.tolist() == [[*range(30), *range(66, 80)]]
        torch.testing.assert_close(values, torch.full_like(values, number), equal_nan=True)


def test_the_best_are_found_among_more_than_are_read_at_once():
    from rdet.models.kernels.best import _CHUNK, best_of_levels

    size, count = 2 * _CHUNK + 5, _CHUNK // 2
    rank = torch.randperm(size, generator=torch.Generator().manual_seed(1)).float().to(DEVICE)[None, :, None]
    values, index, _ = best_of_levels(rank, 10.0, count, [size])
    assert values.sort().values[0].tolist() == [*range(size - count, size)]
    assert torch.equal(rank.flatten()[index], values)


@pytest.mark.parametrize("count", [9, 40, 2**31])
def test_the_best_are_of_few_priors(count):
    """More of one prior than are set apart of it."""
    from rdet.models.kernels.best import _FEW, best_of_levels

    rank = torch.randn(2, 60, 30, generator=torch.Generator().manual_seed(1)).to(DEVICE)
    rank[0, 7:9] += 9
    assert count > _FEW
    values, index, is_real = best_of_levels(rank, 0.5, count, [50, 10])
    expected = best_of_levels_by_topk(rank, 0.5, min(count, 1500), [50, 10])
    sizes = [wanted.shape[1] for wanted in expected]
    for found, wanted in zip(values.split(sizes, dim=1), expected, strict=True):
        torch.testing.assert_close(found.sort(dim=1, descending=True).values, wanted, rtol=0, atol=0)
    assert torch.equal(rank.flatten(1).gather(1, index)[is_real], values[is_real])


def test_what_the_kernels_of_the_best_cannot_take_or_only_slowly():
    from rdet.models.kernels.best import fits

    assert fits(80, [100000, 20, 5], 1000)
    assert fits(1, [10], 2**31)
    assert not any((fits(1025, [9], 5), fits(0, [9], 5), fits(80, [], 5), fits(80, [3, 0], 5), fits(80, [1] * 9, 5)))
    assert not fits(1000, [2**22], 5)
    assert not fits(80, [6400, 400], 30000)


@pytest.mark.parametrize("agnostic", [False, True])
@pytest.mark.parametrize("most", [1, 20, 200, 1000])
def test_suppression(most, agnostic, monkeypatch):
    from rdet.models.kernels.suppression import suppressed

    if most == 200:
        monkeypatch.setattr("rdet.models.kernels.suppression._MOST", 399)  # torch sorts what is more
    images = [crowd(400, seed=seed, objects=30) for seed in range(2)]
    boxes, scores, labels = (torch.stack(part).to(DEVICE) for part in zip(*images, strict=True))
    boxes[:, 5:8, 2:] = boxes[:, 5:8, :2]  # without an area
    is_real = torch.arange(400, device=DEVICE)[None] % 7 != torch.tensor([[3], [8]], device=DEVICE)
    scores[1, ::3] = 0.5  # of equal ones the first is better
    *kept, number = suppressed(boxes, scores, labels, is_real, most, 0.42, agnostic)
    assert [part.shape[:2] for part in kept] == [(2, min(most, 400))] * 3
    assert not any(part[image, number[image] :].any() for part in kept for image in range(2))
    for image in range(2):
        order = scores[image].argsort(descending=True, stable=True)
        order = order[is_real[image, order]]
        groups = torch.zeros_like(labels[image]) if agnostic else labels[image]
        ranks = torch.linspace(1, 0, len(order), device=DEVICE)
        expected = order[batched_nms(boxes[image, order], ranks, groups[order], 0.42)][:most]
        assert number[image] == len(expected)
        for part, whole in zip(kept, (boxes, scores, labels), strict=True):
            assert torch.equal(part[image, : len(expected)], whole[image, expected])


def test_suppression_of_nothing_and_of_scores_that_are_not_finite():
    from rdet.models.kernels.suppression import suppressed

    boxes = torch.tensor([[[0.0, 0, 9, 9], [50, 50, 60, 60], [0, 0, 9, 9]]], device=DEVICE)
    scores, labels = torch.tensor([[0.5, torch.nan, 0.7]], device=DEVICE), torch.zeros(1, 3, device=DEVICE).long()
    none = torch.zeros(1, 3, dtype=torch.bool, device=DEVICE)
    assert suppressed(boxes, scores, labels, none, 5, 0.5, False)[3].tolist() == [0]
    kept, _, _, number = suppressed(boxes, scores, labels, ~none, 5, 0.5, False)
    assert torch.equal(kept[0, :number], boxes[0, :2].flip(0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_not_finite_is_found(dtype, monkeypatch):
    values = torch.randn(4, 90, 100, device=DEVICE).to(dtype)
    values[1, 89, 99], values[2, 0, 0], values[3, 45, 7] = torch.nan, -torch.inf, torch.inf
    expected = [True, False, False, False]
    assert finite_if_all(values).isfinite().all(dim=1).tolist() == expected
    by_the_kernel(monkeypatch)
    assert finite_if_all(values).isfinite()[:, 0].tolist() == expected
    assert finite_if_all(values[:, :0]).tolist() == [[0]] * 4
    assert finite_if_all(values[:0]).shape == (0, 1)


def by_the_kernel(monkeypatch):
    """A GPU's way, here on the CPU, too."""
    if DEVICE == "cuda":
        return
    monkeypatch.setattr(DensePostprocess, "_is_host", staticmethod(lambda tensor: False))
    for module in ("postprocess.largest", "postprocess.nms_postprocess", "detectors.finite_images"):
        monkeypatch.setattr(f"rdet.models.{module}.usable", lambda x: x.dtype is not torch.float64)


def moved(predictions):
    tensors = {name: x.to(DEVICE) for name, x in predictions._asdict().items() if isinstance(x, torch.Tensor)}
    return predictions._replace(**tensors)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("NMSPostprocess", {}),
        ("NMSPostprocess", {"class_agnostic": True, "rank_by": "class_score", "min_box_size": 20.0}),
        ("NMSPostprocess", {"score_thr": 0.0, "max_per_img": 3, "topk_per_level": 20, "best_class_only": True}),
        ("YOLOPostprocess", {"object_thr": 0.2, "topk_per_level": 30}),
        ("SoftNMSPostprocess", {}),
        ("ScoreVotingPostprocess", {}),
    ],
    ids=str,
)
def test_a_batch_gives_what_each_image_gives(name, options, monkeypatch):
    predictions, priors = predictions_of(images=2, with_quality=True)
    predictions.logits[1] -= 90  # nothing is found in one image
    sizes = [(64, 96), (50, 70)]
    expected = build(name, **options)(predictions, priors, CODER, sizes)
    by_the_kernel(monkeypatch)
    asked = []
    monkeypatch.setattr(
        "rdet.models.postprocess.largest.right", lambda check, device: asked.append(check) or right(check, device)
    )
    found = build(name, **options)(moved(predictions), priors.to(DEVICE), CODER, sizes)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.bboxes.cpu(), other.bboxes, rtol=1e-5, atol=1e-4)
        torch.testing.assert_close(one.scores.cpu(), other.scores)
        assert torch.equal(one.labels.cpu(), other.labels)
    assert len(expected[0]) > 0
    assert bool(asked) == (name != "ScoreVotingPostprocess")


@pytest.mark.parametrize("name", ["NMSPostprocess", "SoftNMSPostprocess", "WBFPostprocess"])
def test_what_is_recorded_has_numbers_that_are_the_same_twice(name, monkeypatch):
    """Places that nothing fills too: a recording is compared with another run in all that it gives."""
    predictions, priors = predictions_of(with_quality=True)
    predictions.logits[1] -= 90
    predictions, priors = moved(predictions), priors.to(DEVICE)
    by_the_kernel(monkeypatch)
    rule = build(name, score_thr=0.3)
    limits, runs = rule.limits([(64, 96)] * 2, priors.device), []
    for number in (3.0, 7.0):
        for make in ("empty", "empty_like"):
            filled = getattr(torch, make)
            monkeypatch.setattr(torch, make, lambda *args, filled=filled, **kw: filled(*args, **kw).fill_(number))  # noqa: B023
        new = torch.Tensor.new_empty
        monkeypatch.setattr(torch.Tensor, "new_empty", lambda *args, new=new, **kw: new(*args, **kw).fill_(number))  # noqa: B023
        runs.append(tensors_in(rule.begin(*rule.candidates(predictions, priors, CODER, limits))))
        monkeypatch.undo()
        by_the_kernel(monkeypatch)
    assert len(runs[0]) >= 2
    check_replay(*runs)
    assert all(torch.equal(one, other) for one, other in zip(*runs, strict=True))


class OfOneLevel(MODELS.get("NMSPostprocess")):
    def levels(self, predictions):
        return [next(iter(super().levels(predictions)))]


class OfPairs(MODELS.get("NMSPostprocess")):
    def _groups(self, labels):
        return labels // 2


@pytest.mark.parametrize("rule", [OfOneLevel, OfPairs])
def test_a_rule_with_levels_or_groups_of_its_own_is_asked(rule, monkeypatch):
    predictions, priors = predictions_of()
    expected = rule()(predictions, priors, CODER, [(64, 96)] * 2)
    by_the_kernel(monkeypatch)
    for one, other in zip(rule()(moved(predictions), priors.to(DEVICE), CODER, [(64, 96)] * 2), expected, strict=True):
        torch.testing.assert_close(one.scores.cpu(), other.scores)


def test_kernels_that_are_not_right_are_done_without(monkeypatch):
    predictions, priors = predictions_of()
    predictions, priors = moved(predictions), priors.to(DEVICE)
    with torch_operators_alone():
        expected = build("NMSPostprocess")(predictions, priors, CODER, [(64, 96)] * 2)
    by_the_kernel(monkeypatch)
    for module in ("best.best_of_levels", "suppression.suppressed"):
        monkeypatch.setattr(f"rdet.models.kernels.{module}", lambda *args: pytest.fail("a kernel was asked"))
    for module in ("largest", "nms_postprocess"):
        monkeypatch.setattr(f"rdet.models.postprocess.{module}.right", lambda check, device: False)
    found = build("NMSPostprocess")(predictions, priors, CODER, [(64, 96)] * 2)
    assert all(torch.equal(one.bboxes, other.bboxes) for one, other in zip(found, expected, strict=True))
