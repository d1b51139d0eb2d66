"""Images of rare classes more often."""

import numpy as np
from mmengine import dataset as mm

from rdet.errors import ConfigError
from rdet.registry import DATASETS
from rdet.schema import Fraction

_NAMED = 5  # classes that the log names


@DATASETS.register_module()
class ClassBalancedDataset(mm.ClassBalancedDataset):
    """A data set in which images of rare classes come more than once an epoch.

    Repeat factor sampling of Gupta et al., LVIS, CVPR 2019 (appendix B.2 of arXiv 1908.03195v2). Of a
    class in a share f of the images, the factor is max(1, sqrt(oversample_thr / f)); of an image, the
    greatest factor of its classes, or 1 without any. Ignored boxes do not count.

    Factors are rounded once, so every epoch has the same images: from the first image on, the
    running total is kept within half an image of the sum of the factors. An image of factor 1.4 comes
    once or twice, and of many such images two in five come twice. (The paper's authors round at
    random anew in each epoch; mmengine's data set of this name rounds every factor up.)

    Args:
        dataset: A data set, wrapped or not, with ``get_cat_ids``.
        oversample_thr: t, the share of images below which a class is rare; above 0, at most 1.

    Attributes:
        note: What is repeated how often; the log has it below the table of the data.
    """

    def __init__(self, dataset: mm.BaseDataset, oversample_thr: Fraction):
        if not 0 < oversample_thr <= 1:
            raise ConfigError(
                f"ClassBalancedDataset: oversample_thr is a share of the images, above 0 and at most 1, "
                f"got {oversample_thr}"
            )
        self.dataset = dataset
        self.oversample_thr = oversample_thr
        self._metainfo = dataset.metainfo
        self._fully_initialized = False
        self.full_init()

    def full_init(self) -> None:
        """Count the classes, set ``repeat_indices`` and ``note``."""
        if self._fully_initialized:
            return
        self.dataset.full_init()
        labels = [sorted(set(self.dataset.get_cat_ids(i))) for i in range(len(self.dataset))]
        factors = class_repeat_factors(labels, self.oversample_thr)
        counts = round_factors([max((factors[label] for label in found), default=1.0) for found in labels])
        self.repeat_indices = np.repeat(np.arange(len(labels)), counts).tolist()
        self._fully_initialized = True
        self.note = self._what_is_repeated(factors, counts)

    def _what_is_repeated(self, factors: dict[int, float], counts: np.ndarray) -> str:
        names = self._metainfo.get("classes")
        rare = sorted((label for label in factors if factors[label] > 1), key=lambda label: -factors[label])
        some = [f"{names[label] if names else label} x {factors[label]:.2f}" for label in rare[:_NAMED]]
        which = f" ({', '.join(some)}{', ...' if len(rare) > _NAMED else ''})" if rare else ""
        return (
            f"ClassBalancedDataset: {len(rare)} of {len(factors)} classes are in less than {self.oversample_thr:g} of "
            f"the images{which}; {(counts > 1).sum()} of {len(counts)} images are repeated, at most {counts.max()} "
            f"times, so that an epoch has {counts.sum()}"
        )


def class_repeat_factors(labels: list[list[int]], threshold: float) -> dict[int, float]:
    """Repeat factor max(1, sqrt(threshold / f)) of each label.

    Args:
        labels: The labels in each image, each once.
        threshold: Share of the images below which a label is rare.
    """
    found, counts = np.unique([label for image in labels for label in image], return_counts=True)
    factors = np.maximum(1.0, np.sqrt(threshold * len(labels) / counts))
    return dict(zip(found.astype(int).tolist(), factors.tolist(), strict=True))


def round_factors(factors: list[float]) -> np.ndarray:
    """Return whole numbers (n,) whose running sums are those of ``factors`` (n,), rounded.

    Each differs from its factor by less than 1, and a whole factor stays what it is.
    """
    return np.diff(np.floor(np.cumsum([0.0, *factors]) + 0.5)).astype(int)
