"""Which classes a data set has, and in which order."""

import difflib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from rdet.errors import DatasetError
from rdet.messages import nearest

_NEAR = 0.6  # likeness of a misspelled name, 2/3 for one letter of three


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
            raise DatasetError(
                f"{where} has no class {old!r}, which rename_classes names. {nearest(old, set(classes))}"
            )
    return [rename.get(name, name) for name in classes]


# Labels that are none: of a class that is not learned, and of one whose boxes are regions to ignore.
OTHER, REGION = -1, -2


def select_classes(
    classes: Sequence[str], wanted: Sequence[str] | None, where: str, ignored: Sequence[str] = ()
) -> tuple[tuple[str, ...], np.ndarray]:
    """Choose the classes to learn.

    Args:
        classes: Names in the file (C); equal names become one class.
        wanted: Those to keep, in the order of their labels; None keeps all but the ignored, in the file's order.
        where: The file, for messages.
        ignored: Those whose boxes are regions, neither object nor background.

    Returns:
        The K names, and the label of each class of the file (C,) int64, ``OTHER`` if it isn't kept, ``REGION`` if
        it is ignored.

    Raises:
        DatasetError: There are none, or one is named twice, or is both wanted and ignored, or none is in the file, or
            one is not that is spelled nearly as a class of the file that is not named. Others may be missing: a part
            of the data need not have all classes.
    """
    known = tuple(dict.fromkeys(name for name in classes if name not in ignored))
    covered = wanted is not None and {*classes} <= {*wanted, *ignored}
    _check_ignored(classes, wanted or (), where, ignored, covered)
    if wanted is None:
        wanted = known
    elif isinstance(wanted, str):
        raise DatasetError(f"metainfo.classes is the string {wanted!r}; write a tuple: ({wanted!r},)")
    elif not len(wanted):
        raise DatasetError("metainfo.classes is empty; name a class, or leave it out to take all of the file")
    if not known:
        raise DatasetError(
            f"{where} has no class{' besides those of ignore_classes' if ignored else ''}; COCO files list them in "
            "'categories', VOC xml files and csv tables name them with each object: add them"
        )
    missing = [name for name in wanted if name not in known]
    if not covered and (misspelled := _misspelled(missing, [name for name in known if name not in wanted], known)):
        raise DatasetError(f"{where} has no class {', '.join(map(repr, misspelled))}. {nearest(misspelled[0], known)}")
    repeated = sorted({name for name in wanted if list(wanted).count(name) > 1})
    if repeated:
        raise DatasetError(f"metainfo.classes names {', '.join(map(repr, repeated))} more than once; name each once")
    label_of = {name: label for label, name in enumerate(wanted)}
    label_of |= dict.fromkeys(ignored, REGION)
    return tuple(wanted), np.array([label_of.get(name, OTHER) for name in classes], dtype=np.int64)


def _misspelled(missing: Sequence[str], unnamed: Sequence[str], known: Sequence[str]) -> list[str]:
    """Return those of the missing classes that probably mean another, which is there: all, if none at all is there."""
    if len(unnamed) == len(known):
        return list(missing)
    lower = [name.lower() for name in unnamed]
    return [name for name in missing if difflib.get_close_matches(name.lower(), lower, n=1, cutoff=_NEAR)]


def _check_ignored(
    classes: Sequence[str], wanted: Sequence[str], where: str, ignored: Sequence[str], covered: bool
) -> None:
    for name in ignored:
        if name in wanted:
            raise DatasetError(f"{name!r} is in metainfo.classes and in ignore_classes; leave it out of one")
        if name not in classes and not covered:
            hint = nearest(name, set(classes))
            raise DatasetError(f"{where} has no class {name!r}, which ignore_classes names. {hint}")


def in_order(found: Iterable[str], rename: Mapping[str, str]) -> list[str]:
    """Sort the names in files that list no classes, by what they are renamed to."""
    return sorted(found, key=lambda name: (rename.get(name, name), name))
