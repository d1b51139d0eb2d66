"""Divides images into those to train on and those to validate on: the same ones each time."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from rdet.errors import DatasetError

SHARE = 0.2  # of the images, to validate on
BY_NAME = "name"
_AUGMENTED = re.compile(r"\.rf\.[0-9A-Za-z]+$")  # what Roboflow adds to copies of an image
_LAST_WORD = re.compile(r"[_\-. ]+[^_\-. /]+$")


def group_of(name: str, pattern: str | None) -> str:
    """Return what the names of images that belong together share.

    Args:
        name: The image's file.
        pattern: ``'name'``: the name without its last word, ``board1`` of ``board1_temp.jpg``; else a regular
            expression, whose groups are taken, or the whole match if it has none. None: each image by itself.
    """
    if pattern is None:
        return name
    stem = str(PurePosixPath(name).with_suffix(""))
    if pattern == BY_NAME:
        return _LAST_WORD.sub("", _AUGMENTED.sub("", stem))
    match = re.search(pattern, stem)
    return name if match is None else "\0".join(part or "" for part in match.groups() or (match[0],))


def divide(names: Sequence[str], pattern: str | None, where: str) -> tuple[list[str], list[str]]:
    """Divide images by a hash of their names, groups as a whole.

    An image keeps its side as long as the others stay about as many.

    Returns:
        Names to train on, and to validate on, in their order.

    Raises:
        DatasetError: There are fewer than two images, or groups.
    """
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(group_of(name, pattern), []).append(name)
    if len(groups) < 2:
        what = f"all {len(names)} images are one group by {pattern!r}" if len(names) > 1 else "it has one image"
        raise DatasetError(f"{where} cannot be divided: {what}; give another --group-by, or add a part called val")
    val: set[str] = set()
    ordered = sorted(groups, key=lambda group: hashlib.sha256(group.encode("utf-8", "surrogateescape")).digest())
    for group in ordered[:-1]:  # the last is always to train on
        if len(val) + len(groups[group]) / 2 > SHARE * len(names) and val:
            break
        val.update(groups[group])
    return [name for name in names if name not in val], [name for name in names if name in val]
