"""What error messages share."""

import difflib
import reprlib
import unicodedata
from collections.abc import Iterable

_LONGEST = 100  # characters of a value
_MANY = 10  # names that are not all listed
_FEW = 5  # of them that are
_BREAKS = {"Cc", "Cs", "Zl", "Zp"}  # Unicode's control characters, halves of characters, breaks of lines and paragraphs
_short = reprlib.Repr()
_short.maxlevel, _short.maxstring, _short.maxother, _short.maxlong = 3, _LONGEST, _LONGEST, _LONGEST


def nearest(name: object, valid: Iterable[object], all_valid: bool = True, see: str = "") -> str:
    """Say which of ``valid`` the misspelled ``name`` may have meant, and list them.

    Args:
        name: As it was given.
        valid: What it could have been.
        all_valid: List all of ``valid``, unless they are many; False: only the nearest, or a few where none is near.
        see: What lists them where they are many.
    """
    spelled = {v.lower(): v for v in sorted(map(in_one_line, valid))}
    name = str(name)[:_LONGEST]
    close = [spelled[match] for match in difflib.get_close_matches(name.lower(), spelled, n=3, cutoff=0.5)]
    names = list(spelled.values())
    hint = f"Did you mean {' or '.join(map(repr, close))}? " if close else ""
    if not all_valid:
        return hint.rstrip() or f"Valid: {few(names)}."
    if len(names) <= _MANY:
        return f"{hint}Valid: {', '.join(names) if names else 'none'}."
    if close:
        return f"{hint}{see} lists all {len(names)}." if see else hint.rstrip()
    near = difflib.get_close_matches(name.lower(), spelled, n=_FEW, cutoff=0.2) or list(spelled)[:_FEW]
    others = f"{len(names) - len(near)} more" + (f", which {see} lists" if see else "")
    return f"Valid: {', '.join(spelled[each] for each in near)} and {others}."


def few(names: Iterable[object], most: int = 5) -> str:
    """Join the first ``most`` names of a list, each in one line; ``...`` stands for the others and for long ones."""
    listed = [in_one_line(name) for name in names]
    return ", ".join(listed[:most]) + (", ..." if len(listed) > most else "")


def printable(text: str) -> str:
    """Escape what would break a line, move a terminal's cursor or could not be written as UTF-8."""
    if text.isprintable():
        return text
    return "".join(c.encode("unicode_escape").decode() if unicodedata.category(c) in _BREAKS else c for c in text)


def in_one_line(name: object, longest: int = _LONGEST) -> str:
    """Return a name as it can stand in a message: what would break a line is escaped, what is long is cut."""
    text = printable(str(name))
    return text if len(text) <= longest else f"{text[:longest]}..."


def shown(value: object) -> str:
    """Return how a value is written, with its middle left out where it is long or deep."""
    try:
        return printable(_short.repr(value))
    except (ValueError, RecursionError):  # a number of thousands of digits
        return f"<{type(value).__name__} too large to be written>"
