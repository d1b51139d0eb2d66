"""What the transforms that join several images have in common."""

from abc import abstractmethod
from collections.abc import Callable

import numpy as np
from mmcv.transforms import BaseTransform

from rdet.errors import ConfigError, DatasetError


class MixTransform(BaseTransform):
    """A transform that draws other images; for the ``pipeline`` of a ``MultiImageMixDataset`` only.

    A subclass says in :meth:`combine` what becomes of a record and the others that it draws.

    Args:
        prob: Probability that a record is mixed at all.
    """

    def __init__(self, prob: float = 1.0):
        if not 0 <= prob <= 1:
            raise ConfigError(f"{type(self).__name__}: prob must be between 0 and 1, got {prob}")
        self.prob = prob

    def mix(self, results: dict, draw: Callable[[], dict]) -> dict:
        """Combine ``results`` with others, or return it as it is.

        Args:
            results: Record with ``img`` and boxes.
            draw: Returns another record, chosen at random and loaded, at each call.
        """
        return self.combine(results, draw) if np.random.random() < self.prob else results

    @abstractmethod
    def combine(self, results: dict, draw: Callable[[], dict]) -> dict:
        """Return the mixed record."""

    def transform(self, results: dict) -> dict:
        """Raise :class:`DatasetError`: a pipeline of one image has no others to draw."""
        name = type(self).__name__
        raise DatasetError(
            f"{name} joins several images; put it directly into the pipeline of a MultiImageMixDataset, "
            f"which has the data set inside ({name} has its own prob)"
        )
