"""The frame of the tests that run MMDetection beside rdet: images, weights, and what must agree.

``pytest -s`` prints the largest error of each comparison.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from made_weights import made_images
from parity import agreement, detections, gradient_norms, relative_errors, training_step
from torch import Tensor, nn

# Sides that are no multiple of 32, batches with much padding, many boxes, few and none.
BATCHES = {
    "three images": ((250, 331, 9), (199, 190, 0), (163, 287, 41)),
    "one image without boxes": ((180, 260, 0),),
    "narrow ones": ((64, 400, 12), (390, 70, 3)),
}


def images_of(sizes: Sequence[tuple[int, int, int]], seed: int) -> list:
    """:func:`made_images` with boxes that are no multiples of anything.

    Boxes in eighths of a pixel are at equal distances from several priors, and ``torch.topk``, by which MMDetection's
    assigners choose among them, does not say which of equal ones it takes.
    """
    torch.manual_seed(seed)
    return [(image, boxes + torch.rand(boxes.shape) / 8, labels) for image, boxes, labels in made_images(sizes, seed)]


@torch.no_grad()
def draw_weights(model: nn.Module, last: float = 0.05) -> None:
    """Draw weights so that scores and boxes are not absurd; the next batch gives normalisation its statistics.

    Args:
        model: Its convolutions with a bias are the final ones.
        last: Their gain.
    """
    generator = torch.Generator().manual_seed(3)
    for each in model.modules():
        if isinstance(each, nn.BatchNorm2d):
            each.weight.uniform_(0.5, 1, generator=generator)
            each.bias.uniform_(-0.5, 0.5, generator=generator)
            each.momentum = 1.0
        elif isinstance(each, nn.Conv2d):
            scale = (last if each.bias is not None else 1) * math.sqrt(3 / each.weight[0].numel())
            each.weight.uniform_(-scale, scale, generator=generator)
            if each.bias is not None:
                each.bias.uniform_(-1, 1, generator=generator)


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """Take the state of a detector of MMDetection, without the mean and deviation of its preprocessor."""
    return {name: value for name, value in model.state_dict().items() if "." in name}


def keep_statistics(*models: nn.Module) -> None:
    """Leave normalisation in eval mode: of a batch's statistics, a network so deep makes 1e-4 of each 1e-7."""
    for model in models:
        for each in model.modules():
            if isinstance(each, nn.BatchNorm2d):
                each.eval().train = lambda mode=True, each=each: each


@dataclass
class Pair:
    """The same detector in MMDetection and in rdet.

    Attributes:
        name: For the printed lines.
        oracle: MMDetection's.
        model: rdet's.
        to_mmdetection: rdet's name -> tensor, to MMDetection's.
        losses: MMDetection's losses, under rdet's names.
        limit: Of the errors of gradients in float32, which differ from machine to machine; of one number, a sum
            over a map, it is 5e-3.
        most_detections: rdet keeps so many of MMDetection's.
    """

    name: str
    oracle: Any
    model: Any
    to_mmdetection: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
    losses: Callable[[Mapping[str, float]], Mapping[str, float]] = dict
    limit: float = 1e-3
    most_detections: int | None = None

    def compare_training(
        self, images: Sequence, what: str, epoch: int = 0, ignored: Sequence[Tensor] | None = None
    ) -> None:
        """Losses to 1e-5 and norms of gradients to ``limit``, both in float32.

        What float32 rounds in gradients, test_mmdet_parity.py shows in float64.
        """
        self.compare_losses(images, what, epoch, ignored)
        self.compare_gradients(what)

    def compare_in_float64(self, images: Sequence, what: str, epoch: int = 0) -> None:
        """Losses and norms of gradients to 1e-6, both in float64: MMDetection's eps of a mean, 1e-7, is left."""
        with self._in_float64():
            self.compare_losses(images, f"{what}, float64", epoch, limit=1e-6)
            self.compare_gradients(f"{what}, float64", limit=1e-6)

    @contextmanager
    def _in_float64(self) -> Iterator[None]:
        from oracle.mmdetection import computing_in_float64  # MMDetection's, which may not be there

        models = (self.oracle.model, self.model)
        kinds = [next(model.parameters()).dtype for model in models]
        for model in models:
            model.double()
        try:
            with computing_in_float64():
                yield
        finally:
            for model, kind in zip(models, kinds, strict=True):
                model.to(kind)

    def compare_losses(
        self,
        images: Sequence,
        what: str,
        epoch: int = 0,
        ignored: Sequence[Tensor] | None = None,
        limit: float = 1e-5,
    ) -> None:
        """Losses to a ``limit``."""
        expected = self.losses(self.oracle.training_step(images, epoch, ignored))
        found = training_step(self.model, images, epoch, ignored)
        assert set(found) == set(expected)
        errors = relative_errors(found, expected)
        print(f"\n{self.name}, {what}: losses {max(errors.values()):.1e}", end="")
        assert max(errors.values()) <= limit, (errors, expected)

    def compare_gradients(self, what: str, limit: float | None = None) -> None:
        """Norms of the last step's gradients, to a ``limit``; None: the pair's."""
        norms, found = self.oracle.gradient_norms(), gradient_norms(self.model, self.to_mmdetection)
        assert not any(found[name] for name in set(found) - set(norms))  # without boxes, YOLOF's have none there
        tiny = 1e-6 * max(norms.values())  # where terms cancel to nothing, so do the digits
        errors = {name: error for name, error in relative_errors(found, norms).items() if norms[name] > tiny}
        single = {name: errors.pop(name) for name in list(errors) if name.endswith(".scale")}
        worst = max(errors, key=errors.get)
        scales = f", scales {max(single.values()):.1e}" if single else ""
        print(f"\n{self.name}, {what}: gradients {errors[worst]:.1e} ({worst}){scales}", end="")
        assert errors[worst] <= (self.limit if limit is None else limit), worst
        assert max(single.values(), default=0) <= 5e-3, single

    def compare_detections(self, images: Sequence, what: str, scale_factor: tuple[float, float] = (1.0, 1.0)) -> None:
        """All detections to 0.01 pixels and 1e-4 in score."""
        theirs = self.oracle.detections(images, scale_factor)
        theirs = [{key: value[: self.most_detections] for key, value in each.items()} for each in theirs]
        pairs = [agreement(*each) for each in zip(detections(self.model, images, scale_factor), theirs, strict=True)]
        matched, expected = sum(each.matched for each in pairs), sum(each.expected for each in pairs)
        box, score = max(each.box_error for each in pairs), max(each.score_error for each in pairs)
        print(f"\n{self.name}, {what}: {matched} of {expected} detections, {box:.1e} px, {score:.1e}", end="")
        assert all(each.complete for each in pairs), pairs
