"""Pictures of images with their boxes, and of the priors that are assigned to them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rdet.apis.browse.priors import Level, PriorMatcher
from rdet.apis.browse.samples import Sample, draws, samples
from rdet.datasets.summary import classes_of
from rdet.visualization.colors import GREY, class_color
from rdet.visualization.draw import draw_boxes
from rdet.visualization.marks import Mark, paint
from rdet.visualization.names import names_in_pictures, short_names
from rdet.visualization.priors import draw_priors
from rdet.visualization.sheet import captioned, fitted, sheet


class Look(NamedTuple):
    """One image that was looked at.

    Attributes:
        sample: As the network gets it.
        levels: The priors of each level; None if they are not shown.
    """

    sample: Sample
    levels: list[Level] | None

    @property
    def name(self) -> str:
        """What the image's file is called."""
        return Path(str(self.sample.data.get("img_path") or self.sample.data.get("img_id") or "image")).name

    @property
    def caption(self) -> str:
        """What there is to say of the image."""
        height, width = self.sample.inputs.shape[1:]
        ignored = len(self.sample.ignored)
        said = f"{self.name}, {width}x{height}, {_many(len(self.sample.boxes), 'box', 'boxes')}"
        return f"{said}, {ignored} ignored" if ignored else said

    def priors_of_objects(self) -> np.ndarray:
        """Count the positive priors of each object, (G,)."""
        owners = [level.objects for level in self.levels or []]
        return np.bincount(np.concatenate([np.empty(0, int), *owners]), minlength=len(self.sample.boxes))

    def panels(self, classes: tuple[str, ...], side: int) -> list[tuple[str, np.ndarray]]:
        """Draw the image and, if priors are shown, each level: titles and (H, W, 3) uint8 pictures.

        Args:
            classes: Names.
            side: Pixels of the longer side of each picture.
        """
        image, factor = fitted(self.sample.image, side)
        boxes, ignored, labels = self.sample.boxes * factor, self.sample.ignored * factor, self.sample.labels
        if self.levels is None:
            return [(self.caption, draw_boxes(image, boxes, labels, classes, ignored=ignored))]
        panels = [(self.caption, _with_counts(image, boxes, labels, ignored, classes, self.priors_of_objects()))]
        for level in self.levels:
            title = f"stride {level.stride}: {len(level.positives)} positive, {len(level.ignored)} ignored"
            priors = level.positives * factor, level.objects, level.ignored * factor
            panels.append((title, draw_priors(image, boxes, labels, *priors)))
        return panels

    def picture(self, classes: tuple[str, ...], side: int, columns: int | None = None) -> np.ndarray:
        """Draw all panels beside each other, with their titles: (H, W, 3) uint8."""
        panels = [captioned(picture, title) for title, picture in self.panels(classes, side)]
        return panels[0] if len(panels) == 1 else sheet(panels, columns)


def look_at_data(
    dataset: Any,
    split: str,
    num: int,
    seed: int,
    epoch: int,
    batch_size: int,
    matcher: PriorMatcher | None,
    groups: np.ndarray | None = None,
) -> Iterator[Look | str]:
    """Yield images of a data set as the network gets them, and what is wrong with each that cannot be used.

    Args:
        dataset: Built, with its pipeline.
        split: ``'train'`` has the images that a training gets first, see :func:`~rdet.apis.browse.samples.draws`.
        num: How many; fewer if the data set has no more to evaluate on.
        seed: Of their order and augmentation.
        epoch: Counted from 0.
        batch_size: Of the training.
        matcher: Matches priors to objects; None: they are not shown.
        groups: See :class:`~rdet.engine.sampling.TrainStream`.
    """
    classes_of(dataset)
    for found in samples(dataset, draws(len(dataset), split == "train", seed, epoch, batch_size, groups), num):
        if isinstance(found, str):
            yield found
        else:
            yield Look(found, None if matcher is None else matcher.levels(found))


def _with_counts(
    image: np.ndarray,
    boxes: np.ndarray,
    labels: np.ndarray,
    ignored: np.ndarray,
    classes: tuple[str, ...],
    counts: np.ndarray,
) -> np.ndarray:
    """Draw boxes with the number of their positive priors; those that have none are marked."""
    names = names_in_pictures(classes)
    short = short_names(names)
    marks = [Mark(tuple(box), GREY, hatched=True, dashed=True) for box in ignored]
    order = np.argsort(-(boxes[:, 2:] - boxes[:, :2]).clip(0).prod(axis=1), kind="stable")
    for i in sorted(order, key=lambda index: counts[index] == 0):
        name, said = names[labels[i]], str(counts[i] or "no prior")
        texts = f"{name}: {said}", f"{short[labels[i]]}: {said}", said
        marks.append(Mark(tuple(boxes[i]), class_color(int(labels[i])), texts, strong=counts[i] == 0))
    return paint(image, marks)


def _many(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"
