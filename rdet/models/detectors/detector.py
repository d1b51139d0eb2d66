"""What inference asks of whatever detects."""

from typing import Any, Protocol

import torch
from mmengine.config import Config

from rdet.models.postprocess.dense_postprocess import DensePostprocess
from rdet.structures import DetDataSample
from rdet.structures.unfinished_image import Image


class Detector(Protocol):
    """A network of torch (:class:`~rdet.models.detectors.base_detector.BaseDetector`), or an exported file.

    Attributes:
        cfg: The config, or as much of it as has the pipeline of images.
        classes: Names of the classes.
    """

    cfg: Config
    classes: tuple[str, ...]

    @property
    def postprocess(self) -> DensePostprocess:
        """What merges detections of slices and of augmented views."""
        ...

    @property
    def batch_size(self) -> int | None:
        """The images that it always runs at once, blank ones where there are fewer; None: as many as it is given."""
        ...

    def batch_key(self, image: Image) -> tuple[int, ...]:
        """Return what an image (C, H, W) has in common with those that may run with it."""
        ...

    def optimize_for_inference(self, dtype: torch.dtype | None = None) -> None:
        """Make inference faster, for good."""
        ...

    def test_step(self, data: dict[str, Any]) -> list[DetDataSample]:
        """Detect in a batch, as if each image were alone."""
        ...
