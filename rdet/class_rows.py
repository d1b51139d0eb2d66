"""The class layer of a checkpoint, for a data set of other classes."""

import re
from collections.abc import Iterable, Mapping, Sequence

from mmengine.logging import print_log
from torch import Tensor

from rdet.messages import few

# One for all levels, or one for each.
_CLASS_LAYER = re.compile(r"bbox_head\.conv_cls\.(\d+\.)?(weight|bias)")


def class_layers(weights: Iterable[str]) -> list[str]:
    """Find the names of class layers among those of weights."""
    return [name for name in weights if _CLASS_LAYER.fullmatch(name)]


def with_rows_of_classes(
    weights: Mapping[str, Tensor],
    drawn: Mapping[str, Tensor],
    trained: Sequence[str] | None,
    wanted: Sequence[str],
    source: str,
) -> dict[str, Tensor]:
    """Take the rows of the class layer from a checkpoint by the names of their classes.

    A class layer has K rows for each prior of a cell, ``(P * K, ...)``. Where the checkpoint has a class of the same
    name, each prior's row is kept; the others stay as they were drawn. What was done is logged.

    Args:
        weights: Of the checkpoint, name -> tensor.
        drawn: Of the new model, as it was initialised.
        trained: Classes of the checkpoint; None if it does not say them.
        wanted: Classes of the data set.
        source: The checkpoint, for the log.

    Returns:
        ``weights``, with another class layer if the classes differ and both layers have the same priors and the same
        width.
    """
    weights = dict(weights)
    if trained is None or tuple(trained) == tuple(wanted):
        return weights
    layers = [name for name in class_layers(weights) if name in drawn]
    counts = {}
    for layer in layers:
        priors = {len(state[layer]) / len(names) for state, names in ((weights, trained), (drawn, wanted))}
        if len(priors) != 1 or not (count := priors.pop()).is_integer():
            return weights  # of other priors: no row is of the same prior
        counts[layer] = int(count)
    if not layers:
        return weights
    if any(weights[layer].shape[1:] != drawn[layer].shape[1:] for layer in layers):
        return weights  # of another width: no row fits
    rows = {name: row for row, name in enumerate(trained) if list(trained).count(name) == 1}
    kept = [name for name in wanted if name in rows]
    for layer in layers:
        old = weights[layer].unflatten(0, (counts[layer], len(trained)))  # (P, K, ...)
        new = drawn[layer].detach().clone().to(old).unflatten(0, (counts[layer], len(wanted)))
        for index, name in enumerate(wanted):
            if name in rows:
                new[:, index] = old[:, rows[name]]
        weights[layer] = new.flatten(0, 1)
    found = f"those of {len(kept)} with the same name are kept ({few(kept)})" if kept else "none has the same name"
    print_log(f"{source}: the class layer is drawn anew for {len(wanted)} classes; {found}", "current")
    return weights
