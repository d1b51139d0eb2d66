"""What error messages share."""

import difflib
from collections.abc import Iterable


def nearest(name: object, valid: Iterable[object], all_valid: bool = True) -> str:
    """Say which of ``valid`` the misspelled ``name`` may have meant, and list all of them.

    Args:
        name: As it was given.
        valid: What it could have been.
        all_valid: List all of ``valid``; False: only the nearest, or a few where none is near.
    """
    spelled = {str(v).lower(): str(v) for v in sorted(map(str, valid))}
    close = [spelled[match] for match in difflib.get_close_matches(str(name).lower(), spelled, n=3, cutoff=0.5)]
    names = list(spelled.values())
    hint = f"Did you mean {' or '.join(map(repr, close))}? " if close else ""
    if not all_valid:
        return hint.rstrip() or f"Valid: {few(names)}."
    return f"{hint}Valid: {', '.join(names) if names else 'none'}."


def few(names: Iterable[object], most: int = 5) -> str:
    """Join the first ``most`` names of a list, each in one line; ``...`` stands for the others and for long ones."""
    listed = [in_one_line(name) for name in names]
    return ", ".join(listed[:most]) + (", ..." if len(listed) > most else "")


def in_one_line(name: object, longest: int = 100) -> str:
    """Return a name as it can stand in a message: what cannot be printed is escaped, what is long is cut."""
    text = str(name)
    text = text if text.isprintable() else repr(text)[1:-1]
    return text if len(text) <= longest else f"{text[:longest]}..."
