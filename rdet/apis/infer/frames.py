"""The frames of a video, a stream or a camera, through OpenCV."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np

from rdet.apis.infer.sources import Source
from rdet.datasets.images import MAX_PIXELS
from rdet.datasets.quiet import quiet_decoders
from rdet.errors import BadImageError, MissingFileError
from rdet.files import open_regular, why_unreadable

_TIMEOUT = 30_000  # milliseconds for an address to answer, and without a frame
_USUAL_FPS = 25.0  # of what does not say it


class Frames:
    """An open video.

    Args:
        source: Where it is.

    Attributes:
        fps: Frames a second.
        count: How many frames the file says it has; None where nobody knows.

    Raises:
        MissingFileError: There is no such camera or stream.
        BadImageError: The file cannot be read as a video.
    """

    def __init__(self, source: Source):
        self._source = source
        with quiet_decoders(), _silent_opencv():
            self._capture = _opened(source)
            if not self._capture.isOpened():
                self.close()
                raise _unreadable(source)
            fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = float(fps) if math.isfinite(fps) and 0.1 <= fps <= 1000 else _USUAL_FPS
        self.count = None if source.is_live else self._promised()
        self._number = 0

    def read(self) -> np.ndarray | None:
        """Return the next frame, (H, W, 3) uint8 BGR; None after the last.

        Raises:
            BadImageError: The video has no frame that can be decoded, or ends before it should.
        """
        try:
            with quiet_decoders():
                there, frame = self._capture.read()
        except cv2.error as error:
            raise BadImageError(
                f"{self._source.where}: frame {self._number} cannot be decoded; mend or replace it"
            ) from error
        if not there or frame is None:
            self._check_end()
            return None
        if frame.shape[0] * frame.shape[1] > MAX_PIXELS:
            raise BadImageError(
                f"{self._source.where}: a frame has {frame.shape[1]}x{frame.shape[0]} pixels, more than {MAX_PIXELS}; "
                "make the video smaller",
                "too large",
            )
        self._number += 1
        return frame if frame.ndim == 3 else cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR)

    def _promised(self) -> int | None:
        """Return how many frames the file says it has."""
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        return int(count) if math.isfinite(count) and 0 < count < 2**40 else None

    def _check_end(self) -> None:
        """Raise BadImageError if it ended too early; a count that is a little too high is usual."""
        if self._number == 0:
            raise BadImageError(f"{self._source.where}: no frame of it can be decoded; mend or convert it")
        if self.count is not None and self._number < 0.97 * self.count - 2:
            raise BadImageError(
                f"{self._source.where}: only {self._number} of {self.count} frames can be decoded; mend or replace it",
                "truncated",
            )

    def close(self) -> None:
        """Let go of the file or the camera."""
        self._capture.release()


@contextmanager
def _silent_opencv() -> Iterator[None]:
    """Have OpenCV say nothing of what it tries in vain: it prints whole exceptions."""
    before = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(before)


def _opened(source: Source) -> cv2.VideoCapture:
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # what is wrong is said here, in one line
    if source.is_live and source.where.isdecimal():
        return cv2.VideoCapture(int(source.where))
    if source.folder is None:
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _TIMEOUT, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _TIMEOUT]
        return cv2.VideoCapture(source.where, cv2.CAP_FFMPEG, limits)
    try:
        open_regular(source.where).close()
    except FileNotFoundError as error:
        raise BadImageError(f"{source.where}: the video is missing; check the path", "missing") from error
    except OSError as error:
        raise BadImageError(
            f"{source.where}: cannot read the video ({why_unreadable(error)}); mend or replace it"
        ) from error
    return cv2.VideoCapture(os.path.abspath(source.where), cv2.CAP_FFMPEG)


def _unreadable(source: Source) -> Exception:
    if not source.is_live:
        return BadImageError(f"{source.where}: not a video that OpenCV can decode; convert it, for example to mp4")
    what = f"camera {source.where}" if source.where.isdecimal() else source.where
    return MissingFileError(f"{what} cannot be opened; check that it is there, and that nothing else uses it")
