"""Reading checkpoints, and loading weights with one summary of what fits."""

import os
import re
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import urlparse

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from rdet.architecture import architecture_of
from rdet.checkpoint_file import check_harmless, check_whole, unreadable
from rdet.errors import CheckpointError, DownloadError, MissingFileError, is_of_a_file
from rdet.messages import few, in_one_line
from rdet.plain_values import NotPlainError, Plain, StoredHistory

_multiarray = (np._core if hasattr(np, "_core") else np.core).multiarray


def _statistics_method(owner: type, name: str) -> Any:
    """Stand in for ``getattr``, by which a pickle names the methods that a HistoryBuffer refers to."""
    if owner is not StoredHistory:
        raise CheckpointError(f"a checkpoint may not ask for {owner}.{name}")
    return name


def _posix_path(*parts: str) -> str:
    """Stand in for a path, which is read as a text."""
    return str(PurePosixPath(*parts))


def _windows_path(*parts: str) -> str:
    return str(PureWindowsPath(*parts))


def _plain_dict(*_: Any) -> OrderedDict[Any, Any]:
    """Stand in for a ``defaultdict``, of which the factory is left out."""
    return OrderedDict()


def _factory(*_: Any) -> None:
    """Stand in for the factory of a ``defaultdict``, which is never called."""


_KINDS_OF_NUMBERS = (
    *("float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8"),
    *("bool", "U"),
)
# What a checkpoint of mmengine holds besides tensors: the log's history. Since torch 2.6,
# `torch.load` refuses every class that is not named here; these only hold numbers.
_SAFE_CLASSES = [
    (StoredHistory, "mmengine.logging.history_buffer.HistoryBuffer"),
    (_statistics_method, "__builtin__.getattr"),
    (_statistics_method, "builtins.getattr"),
    np.ndarray,
    np.dtype,
    _multiarray._reconstruct,
    _multiarray.scalar,
    *(type(np.dtype(kind)) for kind in _KINDS_OF_NUMBERS),
    # Dicts of configs, in the `meta` of MMDetection's checkpoints: read as plain ones.
    *((OrderedDict, name) for name in ("mmcv.utils.config.ConfigDict", "mmengine.config.config.ConfigDict")),
    (OrderedDict, "addict.addict.Dict"),
    # What trainers keep beside the weights: paths, and dicts that count or collect.
    *(
        (path, f"pathlib.{module}{kind}Path")
        for module in ("", "_local.")
        for path, kinds in ((_posix_path, ("Posix", "PurePosix")), (_windows_path, ("Windows", "PureWindows")))
        for kind in kinds
    ),
    (_plain_dict, "collections.defaultdict"),
    *(
        (_factory, f"{module}.{name}")
        for module in ("__builtin__", "builtins")
        for name in ("list", "dict", "int", "long", "float")
    ),
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
    path = _downloaded(source) if source.startswith(("http://", "https://")) else source
    if not Path(path).is_file():
        raise MissingFileError(f"no checkpoint at {path or repr(path)}; give the path of a file")
    check_whole(path)
    check_harmless(path)
    allow_checkpoint_classes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch has to say of odd files
            content = torch.load(path, map_location=map_location, weights_only=True)
        content = Plain(os.path.getsize(path)).copy(content)
    except NotPlainError as error:
        raise unreadable(source, str(error)) from error
    except Exception as error:  # a damaged file has torch raise anything
        if is_of_a_file(error):
            raise
        raise unreadable(source, _reason(error)) from error
    if not isinstance(content, Mapping):
        raise unreadable(source, f"it holds a {type(content).__name__}, no dict")
    return content


def _downloaded(address: str) -> str:
    """Return the path of a file that is downloaded once, into torch's folder."""
    name = os.path.basename(urlparse(address).path)
    if not name:
        raise DownloadError(f"{address} names no file; give the whole address")
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(address, str(path))
        except (OSError, HTTPException, ValueError) as error:
            if is_of_a_file(error):
                raise
            raise DownloadError(f"cannot download {address} ({error}); put the file at {path} by hand") from error
    return str(path)


def _reason(error: Exception) -> str:
    """Say in one line why `torch.load` failed; its own advises to switch the safety off."""
    if isinstance(error, MemoryError) or "allocate" in str(error):
        return "it asks for more memory than there is"
    if "deserialize object on" in str(error) or "cuda" in str(error).lower():
        return "its tensors are on a device that is not here"
    return f"it is damaged or not what torch.save writes: {type(error).__name__}"


def meta_in(checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a checkpoint says of itself; nothing if it says it in a way of its own."""
    meta = checkpoint.get("meta")
    return meta if isinstance(meta, Mapping) else {}


def origin_in(checkpoint: Mapping[str, Any]) -> str:
    """Return which project's a checkpoint was before it was converted; nothing if it does not say so."""
    origin = meta_in(checkpoint).get("converted_from")
    return origin if isinstance(origin, str) else ""


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
    for key in ("state_dict", "model", "model_state_dict", "ema_state_dict"):
        if isinstance(checkpoint.get(key), Mapping):
            checkpoint = checkpoint[key]
            if key == "ema_state_dict":  # of which mmengine counts the steps beside the weights
                checkpoint = {name: value for name, value in checkpoint.items() if name != "steps"}
            break
    weights = {
        name.removeprefix("module.").replace("_orig_mod.", ""): value  # of DDP and torch.compile
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
    # A count of batches is of no use to a normalisation that is frozen, or whose momentum is set.
    missing = [n for n in wanted if n not in weights and not n.endswith("num_batches_tracked")]
    unexpected = [n for n in weights if n not in wanted and not n.endswith("num_batches_tracked")]
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
        advice = f": it is {found.advice}" if found else "; give its own config"
        raise CheckpointError(f"{summary}. The checkpoint is of another architecture than the config{advice}")
    check_numbers(fitting, wanted, source)
    module.load_state_dict(fitting, strict=False)
    if not complete:
        print_log(summary, logger="current", level=30)


def check_fit(wanted: Mapping[str, Tensor], found: Any, source: str) -> None:
    """Raise CheckpointError unless all tensors of a state are there, of their shapes and of finite numbers.

    Args:
        wanted: Name -> tensor, as the state should be.
        found: As a checkpoint has it.
        source: What it is, for the message.
    """
    state = found if isinstance(found, Mapping) else {}
    for name in [*wanted, *state]:
        own, value = wanted.get(name), state.get(name)
        if own is None or not isinstance(value, Tensor) or value.shape != own.shape:
            raise CheckpointError(
                f"{source} is of another model, as its entry {in_one_line(name)} tells; give that of the config"
            )
    check_numbers(state, wanted, source)


def check_numbers(weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor], source: str) -> None:
    """Raise CheckpointError if a weight is not finite in the precision of the model, or of another kind of number."""
    for name, value in weights.items():
        own = wanted[name]
        if not own.is_floating_point() or own.is_meta or value.is_meta:  # a network of shapes alone
            continue
        if not value.is_floating_point():
            raise CheckpointError(
                f"{source}: its weight {name} is of {value.dtype}, where the model has {own.dtype}; give a checkpoint "
                "of floating-point numbers"
            )
        if not value.to(own.dtype).isfinite().all() and own.isfinite().all():
            raise CheckpointError(
                f"{source}: its weight {name} holds numbers that are not finite, so its training had failed; take an "
                "earlier checkpoint"
            )


def _shapes(names: list[str], weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    return f"{tuple(weights[names[0]].shape)} for {tuple(wanted[names[0]].shape)}" if names else ""
