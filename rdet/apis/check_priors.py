"""Whether a detector's priors reach the objects at the size of its input."""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from mmengine.config import Config

from rdet.analysis.fit_anchors import check_anchors, coverage, fit_anchors
from rdet.apis.browse.priors import PriorMatcher
from rdet.apis.browse.samples import draws, samples
from rdet.apis.browse.views import Look
from rdet.apis.build import build_detector
from rdet.apis.check_images import Finding, Pictures
from rdet.datasets.summary import classes_of
from rdet.errors import ConfigError, RdetError, message_of

_MOST_IMAGES = 100  # of which a share is told well enough
_FEW = 0.01  # share of objects below which nothing is said
_BETTER = 0.02  # of the objects that other anchors would reach
_SHOWN, _SIDE = 12, 640


class Reach:
    """How the priors of a config's detector meet the objects of its training set.

    Args:
        cfg: The config.
        dataset: The training set, built.
    """

    def __init__(self, cfg: Config, dataset: Any):
        self.classes = classes_of(dataset)
        self.why_not = ""
        self.looks: list[Look] = []
        try:
            self.model = build_detector(cfg, self.classes)
            matcher = PriorMatcher(self.model, 0)
            for sample in samples(dataset, draws(len(dataset), True, 0, 0, 1), min(_MOST_IMAGES, len(dataset))):
                if isinstance(sample, str):  # said where all images are read
                    continue
                self.looks.append(Look(sample, matcher.levels(sample)))
                if matcher.reads_predictions:
                    self.looks = []
                    self.why_not = f"{matcher.assigner} reads predictions, so no object can be said to be out of reach"
                    break
        except RdetError as error:
            self.why_not = f"priors are not checked: {message_of(error)}"
        boxes = [look.sample.boxes for look in self.looks]
        self.boxes = np.concatenate([np.empty((0, 4), np.float32), *boxes])
        counts = [look.priors_of_objects() for look in self.looks]
        self.counts = np.concatenate([np.empty(0, int), *counts])

    def findings(self) -> Iterator[Finding]:
        """Yield the objects that no prior is trained on."""
        missed = int((self.counts == 0).sum())
        if not len(self.counts) or missed / len(self.counts) < _FEW:
            return
        labels = np.concatenate([look.sample.labels for look in self.looks])[self.counts == 0]
        sides = np.sqrt((self.boxes[:, 2:] - self.boxes[:, :2]).clip(0).prod(axis=1))[self.counts == 0]
        by_class = Counter(self.classes[label] for label in labels).most_common(3)
        yield Finding(
            f"{missed} of {len(self.counts)} objects have no positive prior at this size of the input, so they are not "
            f"learnt ({', '.join(f'{count} {name}' for name, count in by_class)}; half of them are below "
            f"{np.median(sides):.0f} pixels); enlarge the input, or fit the priors",
            partial(_out_of_reach, self.looks, self.classes),
        )

    def notes(self) -> Iterator[str]:
        """Yield how large objects are for the network, and what sizes of input and anchors would fit."""
        if self.why_not:
            yield self.why_not
        boxes = self.boxes[(self.boxes[:, 2:] > self.boxes[:, :2]).all(axis=1)]
        if not len(boxes):
            return
        sides = np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1))
        small, middle, large = np.percentile(sides, (10, 50, 90))
        generator = self.model.anchor_generator
        least = min(float(shape.prod(dim=1).sqrt().min()) for shape in generator.shapes)
        longest = float(np.median([max(look.sample.inputs.shape[1:]) for look in self.looks]))
        said = (
            f"in the network's input, 10 % of the objects are below {small:.0f} pixels, half below {middle:.0f} and "
            f"90 % below {large:.0f}, as {len(self.looks)} images have them; the smallest prior has {least:.0f}"
        )
        if small < least:
            size = 32 * round(longest * least / small / 32)
            said += f", which as many objects would have with a longer side of {size} in place of {longest:.0f}"
        yield said
        yield from self._anchors(torch.from_numpy(boxes), generator)

    def _anchors(self, boxes: torch.Tensor, generator: Any) -> Iterator[str]:
        try:
            check_anchors(self.model, "")
            place = generator.strides, generator.center_offset
            before = coverage(boxes, generator.shapes, *place)
            fitted = fit_anchors(boxes, *place, generator.num_priors, "kmeans")
            after = coverage(boxes, fitted, *place)
        except ConfigError:  # priors without sizes of their own, or too few boxes
            return
        said = f"anchors overlap {before.recall:.1%} of the objects by an IoU of 0.5 or more"
        if after.recall >= before.recall + _BETTER:
            said += f"; fitted ones {after.recall:.1%}: rdet fit-anchors"
        yield said


def _out_of_reach(looks: list[Look], classes: tuple[str, ...]) -> Pictures:
    worst = [look for look in looks if (look.priors_of_objects() == 0).any()][:_SHOWN]
    for look in worst:
        yield look.panels(classes, _SIDE)[0]
