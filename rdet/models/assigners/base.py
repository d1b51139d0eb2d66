"""Bases of assigners."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from rdet.models.assigners.geometry import ignore_background
from rdet.structures.match_batch import MatchBatch, MatchImage
from rdet.structures.matches import Matches


class Assigner(ABC):
    """Base of rules that match the priors of a batch to its ground truth boxes.

    Whatever the rule, background of which more than ``ignore_iof_thr`` lies inside an ignored region, such as a
    crowd, takes no part.

    Args:
        ignore_iof_thr: Share of a prior's area inside an ignored region; of a point, of the square around it.
        chunk_size: Boxes that are compared with all priors at once; it bounds the memory and changes nothing else.
    """

    def __init__(self, ignore_iof_thr: float = 0.5, chunk_size: int = 64):
        self.ignore_iof_thr = ignore_iof_thr
        self.chunk_size = chunk_size

    @abstractmethod
    def match(self, batch: MatchBatch) -> Matches:
        """Match the priors of N images, without gradient; on any device."""


class ImageAssigner(Assigner):
    """Base of rules that look at one image at a time. For the arguments see :class:`Assigner`."""

    @abstractmethod
    def assign(self, image: MatchImage) -> Tensor:
        """Assign the priors of one image: (A,) int64, the index of a box of the image, ``BACKGROUND`` or ``IGNORE``."""

    @torch.no_grad()
    def match(self, batch: MatchBatch) -> Matches:
        counts = batch.truth.counts
        return Matches.from_dense(torch.stack([self._assign(batch, index) for index in range(len(counts))]), counts)

    def _assign(self, batch: MatchBatch, index: int) -> Tensor:
        """(A,) of one image of the batch, ignored regions taken out."""
        image = batch.image(index)
        return ignore_background(self.assign(image), image.priors, image.ignored, self.ignore_iof_thr, self.chunk_size)
