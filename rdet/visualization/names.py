"""What pictures say of a box."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from rdet.visualization.fonts import writable_names

_SHORT = 6  # letters
_LONGEST = 24  # characters of a name that is cut
_WORD = 8  # letters of a word that are shown before that which tells it from others


def short_name(name: str) -> str:
    """Return a name of few letters: the first letters of several words, else the first ones."""
    if len(name) <= _SHORT:
        return name
    words = name.replace("_", " ").replace("-", " ").split()
    if len(words) > 1 and words[-1].isdigit():  # that tells it from others
        return "".join(word[0] for word in words[:-1][:_SHORT]) + words[-1]
    return "".join(word[0] for word in words[:_SHORT]) + "." if len(words) > 2 else f"{name[: _SHORT - 2]}…"


def short_names(names: Sequence[str]) -> list[str]:
    """Return a name of few letters for each; the one of label 3 is ``#3`` where several would have the same."""
    short = [short_name(name) for name in names]
    count = Counter(short)
    return [text if count[text] == 1 else f"#{label}" for label, text in enumerate(short)]


def names_in_pictures(classes: Sequence[str]) -> list[str]:
    """Return names that can be written and that differ where the classes do, none of them long."""
    return told_apart(writable_names(classes))


def told_apart(names: Sequence[str], longest: int = _LONGEST) -> list[str]:
    """Cut long names so that they still differ.

    A name is cut in its middle. Of those that would then be alike, the part from where they differ is left, and of
    those that are alike still, the first letters behind their numbers.
    """
    cut = [_without_middle(name, longest) for name in names]
    for group in _alike(names, cut):
        first, *_, last = sorted(names[i] for i in group)
        begin = next((k for k, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
        for i in group:
            cut[i] = _from(names[i], begin, longest)
    for group in _alike(names, cut):
        for i in group:
            cut[i] = _without_middle(f"#{i} {names[i]}", longest)
    return cut


def _alike(names: Sequence[str], cut: Sequence[str]) -> list[list[int]]:
    """Return the places of names that differ, and are cut to the same."""
    places: dict[str, list[int]] = {}
    for i, text in enumerate(cut):
        places.setdefault(text, []).append(i)
    return [group for group in places.values() if len({names[i] for i in group}) > 1]


def _without_middle(name: str, longest: int) -> str:
    half = (longest - 1) // 2
    return name if len(name) <= longest else f"{name[:half]}…{name[-half:]}"


def _from(name: str, begin: int, longest: int) -> str:
    """Return what stands from a place on, with the beginning of the word that it is in."""
    word = 1 + max(name.rfind(gap, 0, begin) for gap in " _-/")
    begin = word if begin - word <= _WORD else begin
    rest = name[begin:]
    return f"…{rest}" if len(rest) < longest else f"…{rest[: longest - 2]}…"


def boxes_of(boxes: Sequence | np.ndarray | None) -> np.ndarray:
    """Return boxes (n, 4) xyxy as an array; None is none."""
    return np.asarray([] if boxes is None else boxes, dtype=np.float64).reshape(-1, 4)
