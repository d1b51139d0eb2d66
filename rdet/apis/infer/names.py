"""What the results of each input are called."""

import posixpath
import re
from collections.abc import Callable
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from rdet.datasets.images import IMAGE_SUFFIXES

_UNFIT = re.compile(r"[^\w.\- ]+")
_FRAME = re.compile(r"\d{6,}")  # as frame_stem has it
_LONGEST = 120  # characters of a name that comes from an address


class Names:
    """Gives each input a name that no input before it has.

    Of two images of one name, the second gets a number: ``a.jpg``, ``a_2.jpg``. Of two that differ in their endings
    alone, the files that are called by the stem keep the ending of the second: ``a.txt``, ``a.png.txt``. The frames of
    ``film.mp4`` are ``film/000000`` and so on, and an image that is called so already keeps that name.
    """

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._stems: set[str] = set()
        self._videos: set[str] = set()  # their stems
        self._like_frames: set[str] = set()  # folders of images that are called as frames are

    def of(self, name: str, is_video: bool = False) -> tuple[str, str]:
        """Return a name and a stem, both new."""
        name = _new(name, lambda new: not self._names.isdisjoint((new, picture_name(new))) or self._is_frame(new))
        self._names |= {name, picture_name(name)}
        stem, suffix = posixpath.splitext(name)
        if stem in self._stems and suffix:
            stem = name
        stem = _new(stem, lambda new: new in self._stems or (is_video and new in self._like_frames))
        self._stems.add(stem)
        if is_video:
            self._videos.add(stem)
        elif _FRAME.fullmatch(posixpath.basename(stem)):
            self._like_frames.add(posixpath.dirname(stem))
        return name, stem

    def _is_frame(self, name: str) -> bool:
        """Tell whether a frame of a video could be called so."""
        folder, base = posixpath.split(posixpath.splitext(name)[0])
        return folder in self._videos and _FRAME.fullmatch(base) is not None


def picture_name(name: str) -> str:
    """Return the name of the picture with detections: that of the image, if it says a format that can be written."""
    return name if name.lower().endswith(IMAGE_SUFFIXES) else f"{name}.png"


def frame_stem(video: str, index: int) -> str:
    """Return the stem of a frame of the video of a stem."""
    return f"{video}/{index:06d}"


def _new(name: str, is_taken: Callable[[str], bool]) -> str:
    stem, suffix = posixpath.splitext(name)
    number, new = 1, name
    while is_taken(new):
        number += 1
        new = f"{stem}_{number}{suffix}"
    return new


def name_of_address(address: str) -> str:
    """Return the last part of the path of an address, fit for a file: ``http://a.b/c/d.jpg?e=f`` -> ``d.jpg``."""
    try:
        parts = urlsplit(address)
        text = unquote(PurePosixPath(parts.path).name) or parts.netloc
    except ValueError:
        text = address
    return _UNFIT.sub("_", text).strip("._ ")[-_LONGEST:] or "image"
