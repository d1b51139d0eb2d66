"""What error messages share."""

import difflib
import reprlib
import unicodedata
from collections.abc import Iterable

_BREAKS = {"Cc", "Cs", "Zl", "Zp"}  # Unicode's control characters, halves of characters, breaks of lines and paragraphs
_short = reprlib.Repr()
_short.maxlevel, _short.maxstring, _short.maxother, _short.maxlong = 2, 40, 40, 40


def nearest(name: object, valid: Iterable[object], all_valid: bool = True) -> str:
    """Say which of ``valid`` the misspelled ``name`` may have meant, and list all of them.

    Args:
        name: As it was given.
        valid: What it could have been.
        all_valid: List all of ``valid``; False: only the nearest, or a few where none is near.
    """
    spelled = {v.lower(): v for v in sorted(printable(str(v)) for v in valid)}
    close = [spelled[match] for match in difflib.get_close_matches(str(name).lower(), spelled, n=3, cutoff=0.5)]
    names = list(spelled.values())
    hint = f"Did you mean {' or '.join(map(repr, close))}? " if close else ""
    if not all_valid:
        return hint.rstrip() or f"Valid: {few(names)}."
    return f"{hint}Valid: {', '.join(names) if names else 'none'}."


def few(names: Iterable[object], most: int = 5) -> str:
    """Join the first ``most`` names of a list; ``...`` stands for the others."""
    listed = [printable(str(name)) for name in names]
    return ", ".join(listed[:most]) + (", ..." if len(listed) > most else "")


def printable(text: str) -> str:
    """Escape what would break a line, move a terminal's cursor or could not be written as UTF-8."""
    if text.isprintable():
        return text
    return "".join(c.encode("unicode_escape").decode() if unicodedata.category(c) in _BREAKS else c for c in text)


def shown(value: object) -> str:
    """Return the beginning of a value from a file, however long or deep it is."""
    return printable(_short.repr(value))
