"""One image on its way through detection, and what is found in it."""

from dataclasses import dataclass, field

import numpy as np
import torch
from mmengine.structures import InstanceData

from rdet.structures import DetDataSample


@dataclass(frozen=True)
class Frame:
    """Where in a video an image comes from.

    Attributes:
        video: Name of the video, as its results are called.
        index: Of the frame, from 0.
        fps: Frames a second of the video.
    """

    video: str
    index: int
    fps: float

    @property
    def seconds(self) -> float:
        """When the frame is shown, counted from the first."""
        return self.index / self.fps


@dataclass(frozen=True)
class Shot:
    """One image to detect in.

    Attributes:
        name: As its results are called: relative, with ``/``.
        stem: The name without its ending, where no other image has that too.
        where: Path, address or camera, for messages.
        frame: Of an image from a video.
        image: (H, W, 3) uint8 BGR as it was loaded; None until then.
        packed: What the pipeline made of it, for the network; None where slices are made of the image.
        error: Why it cannot be used, else None.
    """

    name: str
    stem: str
    where: str
    frame: Frame | None = None
    image: np.ndarray | None = field(default=None, repr=False)
    packed: dict | None = field(default=None, repr=False)
    error: Exception | None = None


@dataclass(frozen=True)
class Found:
    """What was found in one image.

    Attributes:
        shot: The image.
        height, width: In pixels.
        boxes: (n, 4) float, xyxy in pixels of the image.
        scores: (n,) float.
        labels: (n,) int.
    """

    shot: Shot
    height: int
    width: int
    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray

    @classmethod
    def of(cls, shot: Shot, sample: DetDataSample, score_thr: float, labels: list[int] | None = None) -> "Found":
        """Take the detections of at least a score, of some labels or of all."""
        found: InstanceData = sample.pred_instances
        chosen = found.scores >= score_thr
        if labels is not None:
            chosen &= torch.isin(found.labels, torch.tensor(labels, device=found.labels.device))
        found = found[chosen].cpu()
        height, width = sample.ori_shape
        arrays = (found.bboxes.float().numpy(), found.scores.float().numpy(), found.labels.numpy())
        return cls(shot, height, width, *arrays)

    @property
    def rgb(self) -> np.ndarray:
        """The image, (H, W, 3) uint8 RGB."""
        assert self.shot.image is not None
        return np.ascontiguousarray(self.shot.image[:, :, ::-1])

    def rows(self) -> list[tuple[int, float, float, float, float, float]]:
        """Return label, score and corners of each detection as plain numbers, best first."""
        columns = self.labels.tolist(), self.scores.tolist(), self.boxes.tolist()
        return [(label, score, *corners) for label, score, corners in zip(*columns, strict=True)]
