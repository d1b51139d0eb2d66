"""Online hard example mining against a plain reference."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rdet.models.mining.ohem import OHEM
from rdet.registry import MODELS
from rdet.structures.assignment import BACKGROUND, IGNORE


def iou(a, b):
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def reference(losses, labels, priors, batch_size, nms_thr, neg_pos_ratio):
    """One prior after the other, in pure Python: indices of the chosen."""
    losses, labels, priors = losses.tolist(), labels.tolist(), priors.tolist()
    left = []
    for i in sorted((i for i in range(len(losses)) if labels[i] != IGNORE), key=lambda i: -losses[i]):
        if all(iou(priors[i], priors[j]) <= nms_thr for j in left):
            left.append(i)
    if neg_pos_ratio is None:
        return set(left[:batch_size])
    positives = [i for i in left if labels[i] >= 0][: batch_size // (neg_pos_ratio + 1)]
    negatives = [i for i in left if labels[i] == BACKGROUND]
    return {*positives, *negatives[: neg_pos_ratio * max(1, len(positives))]}


def image(seed, positives=0.1, count=400):
    """Priors of 8 to 40 pixels in 64 x 64: most overlap many others."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 50
    priors = torch.cat([corner, corner + 8 + 32 * torch.rand(count, 2, generator=generator)], dim=1)
    draw = torch.rand(count, generator=generator)
    labels = torch.full((count,), BACKGROUND).masked_fill(draw < positives, 2).masked_fill(draw > 0.9, IGNORE)
    return torch.rand(count, generator=generator), labels, priors


@pytest.mark.parametrize("on_host", [True, False])
@pytest.mark.parametrize("neg_pos_ratio", [None, 3])
@pytest.mark.parametrize(("batch_size", "nms_thr"), [(4, 0.1), (8, 0.5), (32, 0.7), (64, 0.3), (400, 0.5)])
def test_equals_the_reference(batch_size, nms_thr, neg_pos_ratio, on_host, monkeypatch):
    """On a GPU it is chosen in another way."""
    monkeypatch.setattr(OHEM, "_is_host", staticmethod(lambda tensor: on_host))
    for seed in range(3):
        losses, labels, priors = image(seed)
        chosen = OHEM(batch_size, nms_thr, neg_pos_ratio)(losses, labels, priors)
        assert chosen.dtype == torch.bool
        expected = reference(losses, labels, priors, batch_size, nms_thr, neg_pos_ratio)
        assert set(chosen.nonzero().flatten().tolist()) == expected
        assert len(expected) >= 4


def test_the_ratio_leaves_easy_positives_and_negatives_out():
    losses = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])
    labels = torch.tensor([BACKGROUND, 0, BACKGROUND, BACKGROUND, BACKGROUND, 1, 0, BACKGROUND])
    priors = torch.arange(8.0)[:, None] * 10 + torch.tensor([0.0, 0, 5, 5])  # apart from each other
    assert OHEM(8, 0.5, 3)(losses, labels, priors).tolist() == [True] * 6 + [False, True]
    assert OHEM(4, 0.5, 3)(losses, labels, priors).tolist() == [True] * 4 + [False] * 4
    assert OHEM(4, 0.5)(losses, labels, priors).tolist() == [True] * 4 + [False] * 4
    assert OHEM(6, 0.5)(losses, labels, priors).tolist() == [True] * 6 + [False] * 2


def test_an_image_without_positives_gives_some_negatives():
    losses, _, priors = image(0)
    labels = torch.full_like(losses, BACKGROUND, dtype=torch.int64)
    assert OHEM(128, 0.5, 3)(losses, labels, priors).sum() == 3


class Waits(TorchDispatchMode):
    """Counts what a host would wait for if the tensors were on a GPU."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.name()
        by_mask = name == "aten::index.Tensor" and any(x is not None and x.dtype == torch.bool for x in args[1])
        if by_mask or name in ("aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::is_nonzero"):
            self.names.append(name)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("neg_pos_ratio", [None, 3])
def test_a_gpu_is_asked_once_for_an_image(neg_pos_ratio, monkeypatch):
    monkeypatch.setattr(OHEM, "_is_host", staticmethod(lambda tensor: False))
    ohem, (losses, labels, priors) = OHEM(32, 0.5, neg_pos_ratio), image(0)
    ohem(losses, labels, priors)  # finds which priors overlap, once for a size
    with Waits() as waits:
        ohem(losses, labels, priors)
    assert len(waits.names) == 1


@pytest.mark.parametrize("on_host", [True, False])
@pytest.mark.parametrize("neg_pos_ratio", [None, 3])
def test_nothing_to_choose(neg_pos_ratio, on_host, monkeypatch):
    monkeypatch.setattr(OHEM, "_is_host", staticmethod(lambda tensor: on_host))
    losses, labels, priors = image(0)
    assert not OHEM(128, 0.5, neg_pos_ratio)(losses, torch.full_like(labels, IGNORE), priors).any()
    assert OHEM(128, 0.5, neg_pos_ratio)(losses[:0], labels[:0], priors[:0]).shape == (0,)


def test_few_sizes_are_remembered_and_none_is_taken_for_another():
    ohem, seen = OHEM(20, 0.3), []
    for count in range(300, 312):
        losses, labels, priors = image(0, count=count)
        seen.append(priors)
        if count == 305:  # as a copy of the module, whose tensors lie elsewhere, may have it
            ohem._pairs_of[id(priors)] = priors.clone(), torch.zeros(2, 0, dtype=torch.int64)
        for _ in range(2):
            assert torch.equal(ohem(losses, labels, priors), OHEM(20, 0.3)(losses, labels, priors))
    assert len(ohem._pairs_of) == 8


def test_equal_losses_are_taken_in_the_order_of_the_priors():
    _, labels, _ = image(0)
    priors = torch.arange(400.0)[:, None] * 10 + torch.tensor([0.0, 0, 5, 5])
    chosen = OHEM(50, 0.5)(torch.ones(400), labels, priors).nonzero().flatten()
    assert chosen.tolist() == (labels != IGNORE).nonzero().flatten()[:50].tolist()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0; it must be a whole number of 1 or more"),
        ({"nms_thr": 1.5}, "nms_thr is 1.5; it must be a number from 0 to 1"),
        ({"neg_pos_ratio": 0}, "neg_pos_ratio is 0; it must be a whole number of 1 or more"),
        ({"batch_size": 3, "neg_pos_ratio": 3}, "mining.neg_pos_ratio is 3"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build({"type": "OHEM", **options})
