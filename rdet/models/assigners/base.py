"""Bases of assigners."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from rdet.errors import ConfigError, PartError
from rdet.models.assigners.claims import ClaimsOfImages
from rdet.models.assigners.geometry import ignore_background
from rdet.schema import Count, Fraction
from rdet.structures.assignment import BACKGROUND, IGNORE
from rdet.structures.match_batch import MatchBatch, MatchImage
from rdet.structures.matches import Matches
from rdet.structures.shapes import checked_indices, name_of

_PADDINGS = ("background", "unmatched", "ignored")


class Assigner(ABC):
    """Base of rules that match the priors of a batch to its ground truth boxes.

    With every rule, a background prior takes no part if more than ``ignore_iof_thr`` of it lies inside an ignored
    region, such as a crowd.

    Args:
        ignore_iof_thr: Share of a prior's area inside an ignored region; of a point, of the square around it. None:
            ignored regions are background, as in MMDetection.
        chunk_size: Boxes that are compared with all priors at once; it bounds the memory and changes nothing else.
        padding: What happens to the priors of a smaller image whose cells lie beyond it, padded by itself:
            with ``'background'`` they are like all others, as in torchvision and Detectron2; with ``'ignored'`` they
            take no part, as in MMDetection's RetinaNet, ATSS, GFL and TOOD; with ``'unmatched'`` they are background
            that no box can get, as in its VFNet.

    Raises:
        ValueError: There is no such ``padding``, or chunks would be empty.
    """

    def __init__(self, ignore_iof_thr: Fraction | None = 0.5, chunk_size: Count = 64, padding: str = "background"):
        if padding not in _PADDINGS:
            raise ValueError(f"assigner.padding is {padding!r}; valid: {', '.join(map(repr, _PADDINGS))}")
        if chunk_size < 1:
            raise ValueError(f"assigner.chunk_size is {chunk_size}; it must be 1 or more")
        self.ignore_iof_thr = ignore_iof_thr
        self.chunk_size = chunk_size
        self.padding = padding

    @abstractmethod
    def match(self, batch: MatchBatch) -> Matches:
        """Match the priors of N images, without gradient; on any device."""

    def within(self, batch: MatchBatch, index: int) -> Tensor | None:
        """Find the priors that a box of an image may get: (A',) int64, sorted, on the host; None: all.

        Raises:
            ValueError: It depends on where the priors lie, which their generator does not tell.
        """
        if self.padding == "background":
            return None
        if batch.grid is None:
            raise ConfigError(
                f"model.assigner.padding is {self.padding!r}, but model.anchor_generator does not tell how its priors "
                "lie: give it a method `grid`, or leave padding out"
            )
        within = batch.grid.priors_within(batch.truth.padded_sizes[index])
        return None if within is None else torch.from_numpy(within)

    def ignore(self, assigned: Tensor, priors: Tensor, regions: Tensor) -> Tensor:
        """Take background in regions (I, 4) out of (A,): ``IGNORE`` for ``BACKGROUND``."""
        if self.ignore_iof_thr is None:
            return assigned
        return ignore_background(assigned, priors, regions, self.ignore_iof_thr, self.chunk_size)


def _changes_rule(cls: type) -> bool:
    return not {"assign", "__call__"}.isdisjoint(vars(cls))


def on_host(device: torch.device) -> bool:
    """Tell whether reading a value of a tensor there makes nobody wait."""
    return device.type == "cpu"


class ImageAssigner(Assigner):
    """Base of rules that look at one image at a time. For the arguments see :class:`Assigner`."""

    @abstractmethod
    def assign(self, image: MatchImage) -> Tensor:
        """Assign the priors of one image: (A,) int64, the index of a box of the image, ``BACKGROUND`` or ``IGNORE``."""

    def __init_subclass__(cls, **kwargs: Any):
        """Forget what a class inherits for a GPU where it changes :meth:`assign`: that is of another rule."""
        super().__init_subclass__(**kwargs)
        if _changes_rule(cls) and "most_positives" not in vars(cls):
            cls.most_positives = ImageAssigner.most_positives  # type: ignore[method-assign]

    def most_positives(self, batch: MatchBatch) -> int | None:
        """Limit the number of positives of a batch, by what the host knows of it.

        With a limit, a GPU need not tell the host how many there are. None, the default: there is no limit but the
        number of priors; the host waits, and numbers that are no boxes of the image are an error.
        """
        return None

    @torch.no_grad()
    def match(self, batch: MatchBatch) -> Matches:
        counts = batch.truth.counts
        assigned = self._assign_all(batch)
        most = None if on_host(assigned.device) else self.most_positives(batch)
        try:
            return Matches.from_dense(assigned, counts, None if most is None else min(most, assigned.numel()))
        except PartError as error:
            raise PartError(f"{name_of('assigner', self)}: {error}") from None

    def _assign_all(self, batch: MatchBatch) -> Tensor:
        """Assign the priors of all images: (N, A)."""
        return torch.stack([self._assign(batch, index) for index in range(len(batch.truth.counts))])

    def _assign(self, batch: MatchBatch, index: int) -> Tensor:
        """Assign (A,) priors of one image of the batch, and take padding and ignored regions out."""
        within = self.within(batch, index)
        image = batch.image(index, within)
        who = name_of("assigner", self)
        assigned = checked_indices(self.assign(image), (len(image.priors),), who, "(A,)")
        if within is not None:
            outside = IGNORE if self.padding == "ignored" else BACKGROUND
            everywhere = assigned.new_full((len(batch.priors),), outside)
            assigned = everywhere.index_copy_(0, within.to(assigned.device, non_blocking=True), assigned)
        return self.ignore(assigned, batch.priors, image.ignored)


class ClaimingAssigner(ImageAssigner):
    """Base of rules by which each box claims priors, however many other boxes there are.

    A GPU, which starts operators one after the other, then looks at the boxes of all images together. For the arguments
    see :class:`Assigner`.
    """

    _is_together = True

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if _changes_rule(cls):
            cls._is_together = "claims_of" in vars(cls)

    @abstractmethod
    def claims_of(self, batch: MatchBatch, boxes: Tensor, labels: Tensor, image: Tensor) -> Tensor:
        """Compute how much boxes (B, 4) with ``labels`` (B,) of the images (B,) claim each prior: (B, A).

        The largest claim gets the prior; -inf is no claim.
        """

    def _assign_all(self, batch: MatchBatch) -> Tensor:
        counts, device = batch.truth.counts, batch.priors.device
        padded = any(self.within(batch, index) is not None for index in range(len(counts)))
        if on_host(device) or padded or not self._is_together:
            return super()._assign_all(batch)
        numbers = torch.tensor(counts, dtype=torch.int64)
        image = torch.arange(len(counts)).repeat_interleave(numbers).to(device, non_blocking=True)  # (G,)
        first = (numbers.cumsum(0) - numbers).to(device, non_blocking=True)  # (N,)
        boxes, labels = (x.to(device, non_blocking=True) for x in (batch.truth.boxes, batch.truth.labels))
        claims = ClaimsOfImages(len(counts), batch.priors)
        for start in range(0, len(boxes), self.chunk_size):
            chunk = slice(start, start + self.chunk_size)
            claims.add(self.claims_of(batch, boxes[chunk], labels[chunk], image[chunk]), image[chunk], start)
        assigned = torch.where(claims.boxes >= 0, claims.boxes - first[:, None], claims.boxes)  # (N, A)
        regions = (x.to(device, non_blocking=True) for x in batch.truth.ignored.split(batch.truth.ignored_counts))
        return torch.stack([self.ignore(each, batch.priors, x) for each, x in zip(assigned, regions, strict=True)])
