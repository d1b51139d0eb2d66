"""Reading checkpoints, and loading weights with one summary of what fits."""

import re
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from urllib.error import URLError

import numpy as np
import torch
from mmengine.logging import HistoryBuffer, print_log
from torch import Tensor, nn

from rdet.architecture import architecture_of
from rdet.errors import CheckpointError, DownloadError, MissingFileError
from rdet.messages import few

_multiarray = (np._core if hasattr(np, "_core") else np.core).multiarray


def _statistics_method(owner: type, name: str) -> Any:
    """Stand in for ``getattr``, by which a pickle names the methods that a HistoryBuffer refers to."""
    if owner is not HistoryBuffer or name.startswith("_"):
        raise CheckpointError(f"a checkpoint may not ask for {owner}.{name}")
    return getattr(owner, name)


# What a checkpoint of mmengine holds besides tensors: the log's history. Since torch 2.6,
# `torch.load` refuses every class that is not named here; these only hold numbers.
_SAFE_CLASSES = [
    HistoryBuffer,
    (_statistics_method, "__builtin__.getattr"),
    (_statistics_method, "builtins.getattr"),
    np.ndarray,
    np.dtype,
    _multiarray._reconstruct,
    _multiarray.scalar,
    *(type(np.dtype(kind)) for kind in ("float64", "float32", "float16", "int64", "int32", "uint8", "bool", "U")),
    # Dicts of configs, in the `meta` of MMDetection's checkpoints: read as plain ones.
    *((OrderedDict, name) for name in ("mmcv.utils.config.ConfigDict", "mmengine.config.config.ConfigDict")),
    (OrderedDict, "addict.addict.Dict"),
]


def allow_checkpoint_classes() -> None:
    """Let ``torch.load(weights_only=True)``, its safe default, read mmengine's checkpoints."""
    torch.serialization.add_safe_globals(_SAFE_CLASSES)


def read_checkpoint(source: str | Path, map_location: str = "cpu") -> Mapping[str, Any]:
    """Read a checkpoint from a path or an ``http(s)://`` address.

    Raises:
        MissingFileError: There is no such file.
        DownloadError: The download failed.
        CheckpointError: The file is not a checkpoint, is damaged, or holds objects that may run code.
    """
    source = str(source)
    remote = source.startswith(("http://", "https://"))
    if not remote and not Path(source).is_file():
        raise MissingFileError(f"no checkpoint at {source}")
    if not remote:
        check_whole(source)
    allow_checkpoint_classes()
    read = torch.hub.load_state_dict_from_url if remote else torch.load
    try:
        checkpoint = read(source, map_location=map_location, weights_only=True)
    except (URLError, TimeoutError, ConnectionError) as error:
        raise DownloadError(f"cannot download {source} ({error})") from error
    except Exception as error:
        raise CheckpointError(f"{source} cannot be read as a checkpoint ({_reason(error)})") from error
    if not isinstance(checkpoint, Mapping):
        raise CheckpointError(
            f"{source} cannot be read as a checkpoint (it holds a {type(checkpoint).__name__}, no dict)"
        )
    return checkpoint


def check_whole(path: str | Path) -> None:
    """Raise CheckpointError if a part of the file is not what was written: ``torch.load`` does not look."""
    if not zipfile.is_zipfile(path):
        with open(path, "rb") as file:
            begins = file.read(2)
        if begins in (b"PK", b""):
            raise CheckpointError(f"{path} cannot be read as a checkpoint (its end is missing); take another")
        return  # the older format has no sums
    try:
        with zipfile.ZipFile(path) as parts:
            damaged = parts.testzip()
    except (zipfile.BadZipFile, zlib.error) as error:
        raise CheckpointError(f"{path} cannot be read as a checkpoint (it is damaged: {error})") from error
    if damaged is not None:
        raise CheckpointError(f"{path} is damaged: {damaged} in it is not what was written; take another checkpoint")


def _reason(error: Exception) -> str:
    """Say in one line why `torch.load` failed; its own first line advises to switch the safety off."""
    if refused := re.search(r"GLOBAL (\S+)", str(error)):
        return f"it holds {refused[1]}, which is no data and may run code"
    if isinstance(error, UnpicklingError):
        return "it is not what torch.save writes"
    return ": ".join([type(error).__name__, *str(error).strip().splitlines()[:1]])


def meta_in(checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a checkpoint says of itself; nothing if it says it in a way of its own."""
    meta = checkpoint.get("meta")
    return meta if isinstance(meta, Mapping) else {}


def classes_in(checkpoint: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the names of the classes that a checkpoint of rdet was trained on; None if it does not say them."""
    of_data = meta_in(checkpoint).get("dataset_meta")
    classes = of_data.get("classes") if isinstance(of_data, Mapping) else None
    if not isinstance(classes, list | tuple) or not all(isinstance(name, str) for name in classes):
        return None
    return tuple(classes) or None


def weights_in(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the weights of a checkpoint, under the key that the common trainers use, wrappers' prefixes removed.

    The running mean of a normaliser stood elsewhere before there was a criterion.
    """
    for key in ("state_dict", "model", "model_state_dict"):
        if isinstance(checkpoint.get(key), Mapping):
            checkpoint = checkpoint[key]
            break
    weights = {
        name.removeprefix("module."): value
        for name, value in checkpoint.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }
    return {re.sub(r"^normalizer\.", "criterion.normalizer.", name): value for name, value in weights.items()}


def load_weights_into(
    module: nn.Module, weights: Mapping[str, Tensor], source: str, strict: bool = True, converted_from: str = ""
) -> None:
    """Load ``weights`` by name and say in one message what did not fit.

    Args:
        module: What receives them.
        weights: Name -> tensor.
        source: Where they come from, for messages.
        strict: Raise unless all of the module's weights are there with the right shape and
            nothing is left over. Otherwise load what fits and log the summary.
        converted_from: What ``meta`` of the checkpoint says of its origin, for the message: MMDetection's weights go
            with other configs than rdet's own.

    Raises:
        CheckpointError: ``strict`` and something does not fit, or nothing fits at all.
    """
    wanted = module.state_dict()
    fitting = {name: value for name, value in weights.items() if name in wanted and value.shape == wanted[name].shape}
    misshapen = [n for n in weights if n in wanted and n not in fitting]
    missing = [n for n in wanted if n not in weights and not n.endswith("num_batches_tracked")]
    unexpected = [n for n in weights if n not in wanted]
    details = [
        f"{source}: {len(fitting)} of {len(wanted)} weights fit",
        *(
            f"{len(names)} {what} ({few(names, 3)})"
            for what, names in (
                (f"of another shape, as {_shapes(misshapen, weights, wanted)}", misshapen),
                ("missing", missing),
                ("unexpected", unexpected),
            )
            if names
        ),
    ]
    summary = "; ".join(details)
    complete = len(details) == 1
    if not fitting or (strict and not complete):
        found = architecture_of(weights)
        if found and converted_from.startswith("mmdet"):
            found = replace(found, mmdet=True)
        advice = f": it is {found.advice}" if found else ""
        raise CheckpointError(f"{summary}. The checkpoint is of another architecture than the config{advice}")
    module.load_state_dict(fitting, strict=False)
    if not complete:
        print_log(summary, logger="current", level=30)


def _shapes(names: list[str], weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    return f"{tuple(weights[names[0]].shape)} for {tuple(wanted[names[0]].shape)}" if names else ""
