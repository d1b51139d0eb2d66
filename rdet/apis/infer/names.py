"""What the results of each input are called."""

import posixpath
import re
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

_UNFIT = re.compile(r"[^\w.\- ]+")
_LONGEST = 120  # characters of a name that comes from an address


class Names:
    """Gives each input a name that no input before it has.

    Of two images of one name, the second gets a number: ``a.jpg``, ``a_2.jpg``. Of two that differ in their endings
    alone, the files that are called by the stem keep the ending of the second: ``a.txt``, ``a.png.txt``.
    """

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._stems: set[str] = set()

    def of(self, name: str) -> tuple[str, str]:
        """Return a name and a stem, both new."""
        name = _new(name, self._names)
        stem, suffix = posixpath.splitext(name)
        if stem in self._stems and suffix:
            stem = name
        return name, _new(stem, self._stems)


def _new(name: str, known: set[str]) -> str:
    stem, suffix = posixpath.splitext(name)
    number, new = 1, name
    while new in known:
        number += 1
        new = f"{stem}_{number}{suffix}"
    known.add(new)
    return new


def name_of_address(address: str) -> str:
    """Return the last part of the path of an address, fit for a file: ``http://a.b/c/d.jpg?e=f`` -> ``d.jpg``."""
    try:
        parts = urlsplit(address)
        text = unquote(PurePosixPath(parts.path).name) or parts.netloc
    except ValueError:
        text = address
    return _UNFIT.sub("_", text).strip("._ ")[-_LONGEST:] or "image"
