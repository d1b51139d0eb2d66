"""Which classes a data set has, and in which order."""

from collections.abc import Mapping, Sequence

import numpy as np

from rdet.errors import DatasetError
from rdet.messages import nearest


def renamed(classes: Sequence[str], rename: Mapping[str, str], where: str) -> list[str]:
    """Give each class its new name.

    Args:
        classes: Names in the file.
        rename: Old name -> new name; several old ones may share a new one.
        where: The file, for messages.

    Raises:
        DatasetError: An old name is not in the file.
    """
    for old in rename:
        if old not in classes:
            raise DatasetError(f"{where} has no class {old!r} to rename. {nearest(old, set(classes))}")
    return [rename.get(name, name) for name in classes]


def select_classes(
    classes: Sequence[str], wanted: Sequence[str] | None, where: str
) -> tuple[tuple[str, ...], np.ndarray]:
    """Choose the classes to learn.

    Args:
        classes: Names in the file (C); equal names become one class.
        wanted: Those to keep, in the order of their labels; None keeps all, in the file's order.
        where: The file, for messages.

    Returns:
        The K names, and the label of each class of the file (C,) int64, -1 if it isn't kept.

    Raises:
        DatasetError: There are none, or a wanted one is not in the file or is wanted twice.
    """
    known = tuple(dict.fromkeys(classes))
    if wanted is None:
        wanted = known
    elif isinstance(wanted, str):
        raise DatasetError(f"metainfo.classes is the string {wanted!r}; write a tuple: ({wanted!r},)")
    elif not len(wanted):
        raise DatasetError("metainfo.classes is empty; name a class, or leave it out to take all of the file")
    if not known:
        raise DatasetError(
            f"{where} has no class; COCO files list them in 'categories', VOC xml files name objects: add them"
        )
    missing = [name for name in wanted if name not in known]
    if missing:
        names = ", ".join(map(repr, missing))
        raise DatasetError(f"{where} has no class {names}. {nearest(missing[0], known)}")
    repeated = sorted({name for name in wanted if list(wanted).count(name) > 1})
    if repeated:
        raise DatasetError(f"metainfo.classes names {', '.join(map(repr, repeated))} more than once; name each once")
    label_of = {name: label for label, name in enumerate(wanted)}
    return tuple(wanted), np.array([label_of.get(name, -1) for name in classes], dtype=np.int64)
