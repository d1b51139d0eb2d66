"""Names in a list that somebody wrote, as the annotations call them."""

import os
from collections.abc import Callable, Collection, Iterable, Sequence

from rdet.datasets.images import IMAGE_SUFFIXES

_FLAGS = ("1", "-1", "0")  # in VOC's lists of a class: has it, has it not, difficult


def ids_of(names: Sequence[str], are_there: Callable[[Iterable[str]], Collection[str]]) -> tuple[list[str], list[str]]:
    """Read ids of images that may be written with a folder, an ending, or the number of a list of a class.

    Args:
        names: As they are listed.
        are_there: Returns those of some ids that exist.

    Returns:
        The ids, and those lines that say that an image lacks the class of the list.
    """
    written = are_there(names)
    readings = {name: _readings(name) for name in names if name not in written}
    there = are_there({reading for some in readings.values() for reading in some})
    ids = [next((r for r in readings.get(name, ()) if r in there), name) for name in names]
    without = [name for name, found in zip(names, ids, strict=True) if found != name and name.split()[-1] == "-1"]
    return ids, without


def _readings(name: str) -> list[str]:
    """Return what an id may be without what it need not have, the least that is taken away first."""
    if ".." in name:  # that it leads out is said by who joins it
        return []
    words = name.split()
    bare = " ".join(words[:-1]) if len(words) > 1 and words[-1] in _FLAGS else name
    found = [bare]
    for reading in (bare, os.path.basename(bare.replace("\\", "/"))):
        stem, ending = os.path.splitext(reading)
        found += [reading, *([stem] if ending.lower() in (*IMAGE_SUFFIXES, ".xml") else [])]
    return list(dict.fromkeys(found))


def names_as_known(names: Iterable[str], known: Sequence[str]) -> dict[str, str]:
    """Find what names mean that are written without their folder or their ending: name -> the only one it can be."""
    by_part: dict[str, list[str]] = {name: [name] for name in known}
    for name in known:
        stem, base = os.path.splitext(name)[0], os.path.basename(name)
        for part in {stem, base, os.path.splitext(base)[0]} - {name}:
            by_part.setdefault(part, []).append(name)
    found = {}
    for name in names:
        base = os.path.basename(name)
        for part in (name, os.path.splitext(name)[0], base, os.path.splitext(base)[0]):
            if len(candidates := by_part.get(part, [])) == 1:
                found[name] = candidates[0]
                break
    return found
