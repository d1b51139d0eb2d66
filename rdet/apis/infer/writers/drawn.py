"""Pictures with their detections drawn, annotated videos, and the objects cut out."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rdet.apis.infer.names import picture_name
from rdet.apis.infer.shot import Found
from rdet.apis.infer.writers.base import Writer
from rdet.apis.infer.writers.video import VideoFile
from rdet.visualization.draw import draw_boxes, save_image

_UNFIT = re.compile(r"[^\w.\- ]+")


def drawn(found: Found, classes: Sequence[str]) -> np.ndarray:
    """Draw detections on their image: (H, W, 3) uint8 RGB."""
    return draw_boxes(found.rgb, found.boxes, found.labels, classes, found.scores)


class PictureWriter(Writer):
    """Writes each image under its name with its detections drawn; of a format that cannot be written, as PNG.

    Args:
        out_dir: Where they go.
        classes: Names, by label.
    """

    needs_images = True

    def __init__(self, out_dir: Path, classes: Sequence[str]):
        self._out_dir = out_dir
        self._classes = classes

    def add(self, found: Found) -> None:
        """Write a picture, unless it is a frame of a video."""
        if found.shot.frame is None:
            save_image(self._out_dir / picture_name(found.shot.name), drawn(found, self._classes))


class VideoWriter(Writer):
    """Writes each video with its detections drawn, as ``STEM.mp4`` of its size and frame rate.

    Args:
        out_dir: Where they go.
        classes: Names, by label.
    """

    needs_images = True

    def __init__(self, out_dir: Path, classes: Sequence[str]):
        self._out_dir = out_dir
        self._classes = classes
        self._open: VideoFile | None = None

    def add(self, found: Found) -> None:
        """Append a frame; the video before it ends where another begins."""
        frame = found.shot.frame
        path = None if frame is None else self._out_dir / frame.video
        if self._open is not None and self._open.path != path:
            self.close()
        if frame is None or path is None:
            return
        if self._open is None:
            self._open = VideoFile(path, frame.fps, (found.height, found.width))
        self._open.add(drawn(found, self._classes))

    def close(self) -> None:
        """Give the video its name."""
        if self._open is not None:
            file, self._open = self._open, None
            file.take_name()


class CropWriter(Writer):
    """Writes each detected object, cut out of its image, as ``crops/CLASS/STEM_NUMBER.jpg``.

    Args:
        out_dir: Where the folder goes.
        classes: Names, by label.
    """

    needs_images = True

    def __init__(self, out_dir: Path, classes: Sequence[str]):
        plain = [_UNFIT.sub("_", name).strip(". ") or "_" for name in classes]
        # Classes that would share a folder get their label in front.
        folders = [name if plain.count(name) == 1 else f"{label}_{name}" for label, name in enumerate(plain)]
        self._folders = [out_dir / "crops" / name for name in folders]

    def add(self, found: Found) -> None:
        """Write the objects of an image; a box that is thinner than a pixel gives none."""
        image = found.rgb
        corners = np.concatenate([np.floor(found.boxes[:, :2]), np.ceil(found.boxes[:, 2:])], axis=1).astype(int)
        limits = [found.width, found.height] * 2
        for number, (label, (x1, y1, x2, y2)) in enumerate(
            zip(found.labels.tolist(), np.clip(corners, 0, limits).tolist(), strict=True), start=1
        ):
            if x2 > x1 and y2 > y1:
                save_image(self._folders[label] / f"{found.shot.stem}_{number}.jpg", image[y1:y2, x1:x2])
