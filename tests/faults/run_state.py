"""All that a finished training leaves, to be compared bit by bit."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from rdet.checkpoint import read_checkpoint

_TIMES = ("time", "memory", "eta")
_OF_THE_RUN = (
    "meta.time",
    "meta.cfg",
    "meta.experiment_name",
    *(f"message_hub.runtime_info.{name}" for name in ("cfg", "experiment_name", "iter", "epoch")),
)


def state_of(folder: Path) -> dict[str, object]:
    """Reads weights, averages, optimizer, schedulers, history and best of the last checkpoint, and the evaluations."""
    last = Path((folder / "last_checkpoint").read_text()).name
    state: dict[str, object] = {"last": last}
    _flatten(read_checkpoint(folder / last), "", state)
    for path in folder.glob("best*.pth"):
        _flatten(read_checkpoint(path)["state_dict"], f"{path.name}.", state)
    for step, metrics in evaluations(folder).items():
        state[f"evaluation {step}"] = metrics
    names = [path.name for path in folder.iterdir()]
    state["files"] = sorted(name for name in names if name.endswith(".pth"))
    state["leftovers"] = sorted(name for name in names if name.startswith("."))
    return {name: value for name, value in state.items() if not name.startswith(_OF_THE_RUN)}


def evaluations(folder: Path) -> dict[int, list[dict]]:
    """Reads what the logs of a run and of those that went on with it say of each evaluation; repeated ones once."""
    found: dict[int, list[dict]] = {}
    for path in sorted(folder.glob("*/vis_data/scalars.json")):
        for line in path.read_text().splitlines():
            try:
                values = json.loads(line)
            except json.JSONDecodeError:  # the last line of a run that was killed
                continue
            metrics = {name: value for name, value in values.items() if name.startswith("coco/")}
            if metrics and metrics not in found.setdefault(values["step"], []):
                found[values["step"]].append(metrics)
    return found


def differences(one: dict[str, object], other: dict[str, object]) -> list[str]:
    """Names what is not the same to the bit."""
    return [name for name in {**one, **other} if not _same(one.get(name), other.get(name))]


def _flatten(value: object, place: str, into: dict[str, object]) -> None:
    if isinstance(value, HistoryBuffer):
        if not any(word in place for word in _TIMES):
            into[place] = np.array(value.data[0])
    elif isinstance(value, Mapping):
        into[f"{place} keys"] = [str(key) for key in value if not any(word in str(key) for word in _TIMES)]
        for key, inner in value.items():
            if key != "folder":
                _flatten(inner, f"{place}.{key}" if place else str(key), into)
    else:
        into[place] = value


def _same(one: object, other: object) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return (
            one.dtype == other.dtype and one.shape == other.shape and one.numpy().tobytes() == other.numpy().tobytes()
        )
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and one.tobytes() == other.tobytes()
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (one != one and other != other)
    return type(one) is type(other) and one == other
