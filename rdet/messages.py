"""What error messages share."""

import difflib
from collections.abc import Iterable


def nearest(name, valid: Iterable) -> str:
    """Says which of ``valid`` the misspelled ``name`` may have meant, and lists all of them."""
    valid = {str(v).lower(): str(v) for v in sorted(map(str, valid))}
    close = [valid[match] for match in difflib.get_close_matches(str(name).lower(), valid, n=3, cutoff=0.5)]
    valid = list(valid.values())
    hint = f"Did you mean {' or '.join(map(repr, close))}? " if close else ""
    return f"{hint}Valid: {', '.join(valid) if valid else 'none'}."


def few(names: Iterable, most: int = 5) -> str:
    """The first of a long list of names."""
    names = list(map(str, names))
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
