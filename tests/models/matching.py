"""Assigners called as a detector calls them, with tensors instead of a network."""

import torch

from rdet.structures import DensePredictions
from rdet.structures.assignment import BACKGROUND, IGNORE
from rdet.structures.ground_truth import GroundTruth
from rdet.structures.match_batch import MatchBatch


def batch_of(priors, images, grid=None, level_lengths=None, padded_sizes=None) -> MatchBatch:
    """A batch of ``images``: dicts that may have ``boxes``, ``labels``, ``ignored``, ``scores``, ``predicted``."""

    def all_of(key, otherwise):
        return [image[key] if image.get(key) is not None else otherwise(image) for image in images]

    boxes = all_of("boxes", lambda _: torch.zeros(0, 4))
    labels = all_of("labels", lambda image: torch.zeros(len(image["boxes"]), dtype=torch.int64))
    ignored = all_of("ignored", lambda _: torch.zeros(0, 4))
    scores = all_of("scores", lambda _: torch.full((len(priors), 1), 0.5))
    predicted = all_of("predicted", lambda _: priors)
    sizes = padded_sizes or [(128, 160)] * len(images)
    truth = GroundTruth(
        torch.cat(boxes), torch.cat(labels), [len(x) for x in boxes], torch.cat(ignored), [len(x) for x in ignored],
        image_sizes=sizes, padded_sizes=sizes,
    )  # fmt: skip
    lengths = level_lengths or [len(priors)]
    predictions = DensePredictions(
        torch.stack(scores), torch.stack(predicted), [(1, n) for n in lengths], priors_per_cell=[1] * len(lengths)
    )
    return MatchBatch(
        predictions,
        priors,
        truth,
        make_grid=None if grid is None else lambda: grid,
        decode=lambda _, boxes: boxes,
        binary_logits=lambda scores: scores.float().logit(),
    )


def dense(matches, batch) -> torch.Tensor:
    """(N, A) int64: the box of each prior among those of its image, ``BACKGROUND`` or ``IGNORE``."""
    counts = batch.truth.counts
    assigned = torch.full((len(counts), len(batch.priors)), BACKGROUND)
    assigned.view(-1)[matches.ignored] = IGNORE
    first = torch.tensor([sum(counts[:i]) for i in range(len(counts))])
    assert (assigned[matches.image, matches.prior] == BACKGROUND).all()  # no prior has two roles
    assigned[matches.image, matches.prior] = matches.gt_index - first[matches.image]
    order = matches.image * len(batch.priors) + matches.prior
    assert torch.equal(order, order.unique())
    return assigned


def assign(assigner, priors, boxes, ignored=None, **more) -> torch.Tensor:
    """(A,) of one image, see :func:`dense`; ``more`` are ``grid``, ``level_lengths`` and what the image has."""
    options = {key: more.pop(key) for key in ("grid", "level_lengths") if key in more}
    batch = batch_of(priors, [{"boxes": boxes, "ignored": ignored, **more}], **options)
    return dense(assigner.match(batch), batch)[0]
