"""What error messages share."""

import difflib
from collections.abc import Iterable

_LONGEST = 100  # characters of a value
_MANY = 40  # names that are not all listed where some of them are near


def nearest(name: object, valid: Iterable[object], all_valid: bool = True) -> str:
    """Say which of ``valid`` the misspelled ``name`` may have meant, and list them.

    Args:
        name: As it was given.
        valid: What it could have been.
        all_valid: List all of ``valid``, unless they are many and some are near; False: only the nearest, or a few
            where none is near.
    """
    spelled = {str(v).lower(): str(v) for v in sorted(map(str, valid))}
    name = str(name)[:_LONGEST]
    close = [spelled[match] for match in difflib.get_close_matches(name.lower(), spelled, n=3, cutoff=0.5)]
    names = list(spelled.values())
    hint = f"Did you mean {' or '.join(map(repr, close))}? " if close else ""
    if not all_valid:
        return hint.rstrip() or f"Valid: {few(names)}."
    if close and len(names) > _MANY:
        return hint.rstrip()
    return f"{hint}Valid: {', '.join(names) if names else 'none'}."


def few(names: Iterable[object], most: int = 5) -> str:
    """Join the first ``most`` names of a list; ``...`` stands for the others."""
    listed = list(map(str, names))
    return ", ".join(listed[:most]) + (", ..." if len(listed) > most else "")


def shown(value: object) -> str:
    """Return how a value is written, its middle left out where it is long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits; a list that holds itself
        return f"<{type(value).__name__} too large to be written>"
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}...{text[-_LONGEST // 4 :]}"
