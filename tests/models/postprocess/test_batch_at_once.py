"""Suppression of a batch at once, as on a GPU, finds what each image alone does, in few operators."""

import pytest
import torch
from made_predictions import CODER, EACH, build, predictions_of
from torch.utils._python_dispatch import TorchDispatchMode

from rdet.models.postprocess.dense_postprocess import DensePostprocess
from rdet.registry import MODELS


@EACH
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"class_agnostic": True},
        {"score_thr": 0.0, "max_per_img": 3},
        {"rank_by": "class_score", "min_box_size": 20.0},
        {"topk_per_level": 20, "clip": False},
        {"score_thr": 0.9},
    ],
    ids=str,
)
@pytest.mark.parametrize("with_quality", [False, True])
def test_a_batch_at_once_gives_what_each_image_gives(name, options, more, with_quality, monkeypatch):
    """As on a GPU, where the number of candidates is not known."""
    predictions, priors = predictions_of(images=3, with_quality=with_quality)
    predictions.logits[1] -= 90  # nothing is found in one image
    sizes = [(64, 96), (50, 70), (60, 80)]
    postprocess = build(name, **{**options, **more})
    expected = postprocess(predictions, priors, CODER, sizes)
    monkeypatch.setattr(DensePostprocess, "_is_host", staticmethod(lambda tensor: False))
    found = postprocess(predictions, priors, CODER, sizes)
    assert len(found) == 3
    for one, other in zip(found, expected, strict=True):
        assert len(one) == len(other)
        torch.testing.assert_close(one.bboxes, other.bboxes)
        torch.testing.assert_close(one.scores, other.scores)
        assert torch.equal(one.labels, other.labels)
    assert len(expected[0]) > 0


@pytest.mark.parametrize("more", [{}, {"rank_by": "class_score"}, {"best_class_only": True}])
def test_an_export_ranks_priors_first_and_finds_the_same(more, monkeypatch):
    predictions, priors = predictions_of(with_quality=True)
    rule = build("NMSPostprocess", score_thr=0.3, topk_per_level=20, **more)
    limits = torch.tensor([[96.0, 64.0] * 2] * len(predictions.logits))
    assert max(predictions.level_lengths) > 20
    usual = rule.candidates(predictions, priors, CODER, limits)
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    monkeypatch.setattr(torch.Tensor, "topk", looked_at := _Looks(torch.Tensor.topk))
    for found, wanted in zip(rule.candidates(predictions, priors, CODER, limits), usual, strict=True):
        assert torch.equal(found, wanted)
    assert max(looked_at.sizes) == max(*predictions.level_lengths, 20 * predictions.logits.shape[2])


class _Looks:
    """A topk that notes the length of the rows that it is given."""

    def __init__(self, topk):
        self.sizes, self._topk = [], topk

    def __get__(self, tensor, _):
        def topk(*args, **options):
            self.sizes.append(tensor.shape[1])
            return self._topk(tensor, *args, **options)

        return topk


def test_a_class_with_a_suppression_of_its_own_is_asked_for_each_image(monkeypatch):
    class Own(MODELS.get("NMSPostprocess")):
        def suppress(self, boxes, scores, labels):
            return boxes[:1], scores[:1], labels[:1]

    monkeypatch.setattr(DensePostprocess, "_is_host", staticmethod(lambda tensor: False))
    found = Own()(*predictions_of(), CODER, [(64, 96)] * 2)
    assert [len(image) for image in found] == [1, 1]


@pytest.mark.parametrize("max_per_img", [1, 5])
def test_a_batch_at_once_looks_at_more_candidates_where_few_of_the_best_stay(max_per_img, monkeypatch):
    monkeypatch.setattr(DensePostprocess, "_is_host", staticmethod(lambda tensor: False))
    boxes = torch.tensor([[0.0, 0, 10, 10]]).repeat(100, 1)
    boxes[60:, ::2] += 20 * torch.arange(40.0)[:, None]
    scores, labels = torch.linspace(0.9, 0.1, 100), torch.zeros(100, dtype=torch.int64)
    postprocess = build("NMSPostprocess", max_per_img=max_per_img)
    (found,) = postprocess.suppress_images(boxes[None], scores[None], labels[None], torch.ones(1, 100).bool())
    assert found[1][:max_per_img].tolist() == [scores[0].item(), *scores[61 : 60 + max_per_img].tolist()]


def test_a_batch_at_once_decides_long_chains(monkeypatch):
    """Each box would drop the next alone, so that every second one stays: more rounds than are made at once."""
    monkeypatch.setattr(DensePostprocess, "_is_host", staticmethod(lambda tensor: False))
    left = 4.0 * torch.arange(90)
    boxes = torch.stack([left, left * 0, left + 12, left * 0 + 10], dim=1)
    scores, labels = torch.linspace(0.9, 0.1, 90), torch.zeros(90, dtype=torch.int64)
    images = boxes.expand(2, 90, 4), scores.expand(2, 90), labels.expand(2, 90)
    is_real = torch.stack([scores > 0, scores > 0.8])
    found = build("NMSPostprocess", iou_threshold=0.4).suppress_images(*images, is_real)
    assert torch.equal(found[0][0], boxes[::2])
    assert torch.equal(found[1][0], boxes[scores > 0.8][::2])


class _Operators(TorchDispatchMode):
    """Names of the operators that a device would be asked to start: not those that only look at memory."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        aliases = [each.alias_info for each in function._schema.returns]
        if any(alias is None or alias.is_write for alias in aliases):
            self.names.append(function.name())
        return result


@pytest.mark.parametrize("mixed_precision", [False, True])
@pytest.mark.parametrize("images", [1, 2, 4])
def test_a_batch_at_once_starts_few_operators_whatever_its_size(images, mixed_precision, monkeypatch):
    """One image is ready on a GPU before the host has started what suppresses its boxes: 266 operators took 7 ms."""
    monkeypatch.setattr(DensePostprocess, "_is_host", staticmethod(lambda tensor: False))
    predictions, priors = predictions_of(images=images)
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed_precision), _Operators() as operators:
        found = build("NMSPostprocess")(predictions, priors, CODER, [(64, 96)] * images)
    assert min(map(len, found)) > 20
    assert 50 < len(operators.names) <= 110
    assert "aten::_local_scalar_dense" not in operators.names
    assert "aten::nonzero" not in operators.names
    assert operators.names.count("aten::_to_copy") <= 2  # and none in each round


@EACH
@pytest.mark.parametrize("images", [1, 3])
def test_a_batch_at_once_is_read_once_whatever_its_size(name, options, images, monkeypatch):
    """Of soft suppression too, which took turns with the device for each image."""
    predictions, priors = predictions_of(images=images)
    options = {"max_per_img": 20, **options}
    expected = build(name, **options)(predictions, priors, CODER, [(64, 96)] * images)
    reads = []
    tolist, to_cpu = torch.Tensor.tolist, torch.Tensor.cpu
    monkeypatch.setattr(DensePostprocess, "_is_host", staticmethod(lambda tensor: False))
    monkeypatch.setattr(torch.Tensor, "tolist", lambda tensor: (reads.append("tolist"), tolist(tensor))[1])
    monkeypatch.setattr(torch.Tensor, "cpu", lambda tensor: (reads.append("cpu"), to_cpu(tensor))[1])
    with _Operators() as operators:
        found = build(name, **options)(predictions, priors, CODER, [(64, 96)] * images)
    if name == "WBFPostprocess":  # one copy to the host, where it goes on
        assert reads == ["cpu", "tolist", *["cpu", "cpu"] * images]
    else:
        assert reads == ["tolist"]
        waits = {"aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::is_nonzero"}
        assert not waits & {*operators.names}
    for one, other in zip(found, expected, strict=True):
        assert len(one) == 20
        torch.testing.assert_close(one.bboxes, other.bboxes)
        torch.testing.assert_close(one.scores, other.scores)
        assert torch.equal(one.labels, other.labels)
