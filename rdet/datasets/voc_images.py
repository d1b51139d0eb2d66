"""Which image belongs to an xml file of Pascal VOC, and how large it is."""

import os
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from rdet.datasets.images import IMAGE_SUFFIXES
from rdet.datasets.on_disk import missing_files
from rdet.datasets.stated_sizes import NoSizeError, size_or_error
from rdet.datasets.values import number
from rdet.remote import join

_ENDINGS = (*IMAGE_SUFFIXES, *map(str.upper, IMAGE_SUFFIXES))


def xml_files(folder: Path) -> list[Path]:
    """List the xml files of a folder; where it has none itself, those in the folders below it."""
    return sorted(folder.glob("*.xml")) or sorted(folder.rglob("*.xml"))


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
    missing = set(missing_files([join(folder, name) for name in names]))
    if not missing:
        return names
    return [
        name if join(folder, name) not in missing else _another(name, stem, file, folder)
        for name, stem, file in zip(names, stems, stated, strict=True)
    ]


def _another(name: str, stem: str, stated: str, folder: str) -> str:
    inner, base = os.path.split(stem)
    candidates = [*(f"{stem}{end}" for end in _ENDINGS), os.path.join(inner, stated)]
    if inner:  # the images may lie together, though the xml files do not
        candidates += [*(f"{base}{end}" for end in _ENDINGS), stated]
    there = (c for c in candidates if os.path.basename(c) and os.path.isfile(os.path.join(folder, c)))
    return next(there, name)


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
    return size_or_error(*sides, xml)
