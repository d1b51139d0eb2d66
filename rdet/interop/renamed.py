"""Weights under the names of another project."""

from collections.abc import Callable, Mapping

from torch import Tensor


def renamed(state: Mapping[str, Tensor], rename: Callable[[str], str | None]) -> tuple[dict[str, Tensor], list[str]]:
    """Rename weights.

    Args:
        state: Name -> tensor.
        rename: A name -> the new one; None if there is none.

    Returns:
        The weights under their new names, and the names of the others.
    """
    found: dict[str, Tensor] = {}
    unknown: list[str] = []
    for name, value in state.items():
        new = rename(name)
        if new is None:
            unknown.append(name)
        else:
            found[new] = value
    return found, unknown
