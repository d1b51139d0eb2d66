"""A video file that is written frame by frame."""

import os
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from rdet.apis.infer.writers.growing import need_name
from rdet.datasets.quiet import quiet_decoders
from rdet.errors import OutputError
from rdet.files import flush, writing

_CODEC = "mp4v"  # MPEG-4 part 2, which every build of OpenCV writes


class VideoFile:
    """An mp4 that has another name while it is written.

    Args:
        path: The final name; its folder is made.
        fps: Frames a second.
        size: Height and width of a frame in pixels. A frame of another size, of a stream that changes, is resized.

    Raises:
        OutputError: It cannot be written.
    """

    def __init__(self, path: Path, fps: float, size: tuple[int, int]):
        need_name(path)
        self.path = path
        self._size = size
        self._part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")  # the suffix says the format
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with quiet_decoders():
            codec = cv2.VideoWriter.fourcc(*_CODEC)
            self._writer = cv2.VideoWriter(str(self._part), cv2.CAP_FFMPEG, codec, fps, size[::-1])
        if not self._writer.isOpened():
            self.discard()
            raise OutputError(
                f"cannot write the video {path} of {size[1]}x{size[0]} pixels; leave it out: --no-pictures"
            )

    def add(self, image: np.ndarray) -> None:
        """Append a frame, (H, W, 3) uint8 RGB."""
        if image.shape[:2] != self._size:
            image = cv2.resize(image, self._size[::-1])
        self._writer.write(np.ascontiguousarray(image[:, :, ::-1]))

    def take_name(self) -> None:
        """End the video, and give the file its name.

        Raises:
            OutputError: It was not written: OpenCV does not say why, most often the disk is full.
        """
        try:
            self._writer.release()
            with writing(self.path):
                whole = self._part.is_file() and _ends(self._part)
                if not whole:
                    raise OutputError(f"cannot write {self.path}; make room, then start again")
                flush(self._part)
                os.replace(self._part, self.path)
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Remove the file."""
        self._writer.release()
        with suppress(OSError):
            self._part.unlink(missing_ok=True)


def _ends(path: Path) -> bool:
    """Tell whether the index that an mp4 ends with is there: a full disk cuts it off without an error."""
    with quiet_decoders():
        video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        there = video.isOpened()
        video.release()
    return there
