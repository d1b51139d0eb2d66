"""Which image belongs to an xml file of Pascal VOC, and how large it is."""

import logging
import os
from collections.abc import Sequence
from xml.etree import ElementTree

from mmengine.logging import print_log

from rdet.datasets.images import IMAGE_SUFFIXES, image_size, missing_files
from rdet.datasets.values import check_size, number
from rdet.errors import BadImageError, DatasetError
from rdet.messages import few

_ENDINGS = (*IMAGE_SUFFIXES, *map(str.upper, IMAGE_SUFFIXES))


def image_names(stems: Sequence[str], stated: Sequence[str], folder: str) -> list[str]:
    """Name the image of each id: the id with the ending of ``<filename>``.

    Where there is no such file, but one with another ending, or one that is called as ``<filename>`` says, it is that.

    Args:
        stems: The ids.
        stated: What ``<filename>`` says; it may be empty.
        folder: Of the images.
    """
    stated = [os.path.basename(name.replace("\\", "/")) for name in stated]
    names = [stem + (os.path.splitext(name)[1] or ".jpg") for stem, name in zip(stems, stated, strict=True)]
    missing = set(missing_files([os.path.join(folder, name) for name in names]))
    if not missing:
        return names
    return [
        name if os.path.join(folder, name) not in missing else _another(name, stem, file, folder)
        for name, stem, file in zip(names, stems, stated, strict=True)
    ]


def _another(name: str, stem: str, stated: str, folder: str) -> str:
    candidates = [*(f"{stem}{end}" for end in _ENDINGS), os.path.join(os.path.dirname(stem), stated)]
    return next((c for c in candidates if os.path.isfile(os.path.join(folder, c))), name)


class NoSizeError(DatasetError):
    """An xml file that does not say how large its image is."""


class StatedSizes:
    """The sizes that xml files state; those that state none are taken from the images."""

    def __init__(self) -> None:
        self._from_images: dict[str, tuple[int, int]] = {}

    def known(self, stated: tuple[int, int] | NoSizeError, xml: str, image: str) -> tuple[int, int]:
        """Return height and width.

        Args:
            stated: What :func:`stated_size` says.
            xml: Path of the xml file.
            image: Path of the image.

        Raises:
            NoSizeError: There is no size, and no image to read it from.
        """
        if not isinstance(stated, NoSizeError):
            return stated
        if xml not in self._from_images:
            try:
                self._from_images[xml] = image_size(image)
            except BadImageError:
                raise stated from None
        return self._from_images[xml]

    def warn(self, where: str) -> None:
        """Name the files whose sizes were taken from images."""
        if self._from_images:
            print_log(
                f"{where}: {len(self._from_images)} xml files state no size, which is taken from the image: "
                f"{few(self._from_images, 3)}",
                "current",
                logging.WARNING,
            )


def stated_size(root: ElementTree.Element, xml: str) -> tuple[int, int] | NoSizeError:
    """Return height and width that an xml file states, or what to say if it states none.

    Raises:
        DatasetError: A side is no number.
    """
    size = root.find("size")
    if size is None:
        return NoSizeError(f"{xml} lacks <size>; add the image's width and height in pixels")
    sides = []
    for tag in ("width", "height"):
        text = (size.findtext(tag) or "").strip()
        if not text:
            return NoSizeError(f"{xml} lacks <{tag}>; add it or remove the <size>")
        sides.append(int(number(text, f"<{tag}>", xml)))
    width, height = sides
    try:
        check_size(width, height, xml)
    except DatasetError as error:
        return NoSizeError(str(error))
    return height, width
