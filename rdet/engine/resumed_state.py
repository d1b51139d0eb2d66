"""What a checkpoint must hold for a run to go on with it, looked at before anything of it is used."""

import copy
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim import OptimWrapper
from mmengine.runner import EpochBasedTrainLoop
from torch import Tensor

from rdet.engine.optim_wrapper import WAYS_TO_COMPUTE
from rdet.errors import CheckpointError
from rdet.messages import few, in_one_line

_SEEDS = range(2**32)
_COUNTERS = ("begin", "end", "last_step", "_global_step")  # of a scheduler
_TRIED = torch.Size((1, 2))  # of a weight that a step is tried with

# What a checkpoint calls `TrainStream.together`.
IMAGES_TOGETHER = "number of images of one orientation together"
_RESTORE = "restore the setting"


def check_meta(checkpoint: Mapping[str, Any], runner: Any, source: str) -> None:
    """Raise CheckpointError unless a checkpoint says where in this run's order of the data it was written.

    Args:
        checkpoint: As :func:`rdet.checkpoint.read_checkpoint` returns it.
        runner: The run.
        source: The checkpoint's path, for the message.
    """
    if not {"meta", "optimizer"} <= set(checkpoint):
        raise CheckpointError(
            f"cannot resume {source}: it holds weights without the state of their optimizer; resume an iter_N.pth or "
            "epoch_N.pth, or start from these weights with load_from"
        )
    with _said_of(source):
        _check_numbers_of_meta(checkpoint["meta"], runner)
    for name, value in checkpoint["meta"].get("data_order", {}).items():
        now = runner.data_order[name]
        if value == now or (name == IMAGES_TOGETHER and _can_be_kept(value, runner)):
            continue
        remedy = f"set train_dataloader.aspect_ratio_grouping={value > 1}" if name == IMAGES_TOGETHER else _RESTORE
        raise CheckpointError(
            f"cannot resume {source}: its {name} is {value}, now it is {now}, so the data order would not continue; "
            f"{remedy}, or start anew with load_from"
        )
    with _said_of(source):
        _check_place(checkpoint["meta"], runner.train_loop)


def check_states(checkpoint: Mapping[str, Any], runner: Any, source: str) -> None:
    """Raise CheckpointError unless log, optimizer and schedulers have states of the kinds that this run has.

    Args:
        checkpoint, source: See :func:`check_meta`.
        runner: The run, whose optimizer and schedulers are built.
    """
    with _said_of(source):
        _check_hub(checkpoint.get("message_hub"))
        _check_optimizer(checkpoint["optimizer"], checkpoint["meta"]["iter"], runner)
        _check_schedulers(checkpoint.get("param_schedulers"), runner.param_schedulers)


@contextmanager
def _said_of(source: str) -> Iterator[None]:
    try:
        yield
    except _WrongError as error:
        raise CheckpointError(
            f"cannot resume {source}: {error}; take another checkpoint, or start from its weights with load_from"
        ) from error


class _WrongError(ValueError):
    """What is wrong, beginning with the entry."""


def _can_be_kept(together: int, runner: Any) -> bool:
    """Tell whether a run can go on with so many images of one orientation together, as it began."""
    stream = runner.train_dataloader.batch_sampler
    total = stream.batch_size * stream.world_size
    return stream.groups is not None and 0 < together <= total and total % together == 0


def _check_numbers_of_meta(meta: Any, runner: Any) -> None:
    _require(isinstance(meta, Mapping), "meta", "no dict")
    for key in ("iter", "epoch"):
        value = meta.get(key)
        _require(type(value) is int and 0 <= value < 2**62, f"meta.{key}", f"{_short(value)}, no number of 0 or more")
    seed = meta.get("seed")
    _require(seed is None or (_is_int(seed) and int(seed) in _SEEDS), "meta.seed", f"{_short(seed)}, no seed")
    order = meta.get("data_order", {})
    valid = isinstance(order, Mapping) and all(type(value) is int for value in order.values())
    _require(valid and not order.keys() - runner.data_order.keys(), "meta.data_order", f"{_short(order)}")


def _check_place(meta: Mapping[str, Any], loop: Any) -> None:
    done = meta["iter"]
    _require(done <= loop.max_iters, "meta.iter", f"{done}, but this run ends after iteration {loop.max_iters}")
    if isinstance(loop, EpochBasedTrainLoop):
        length = len(loop.dataloader)
        _require(0 <= done - meta["epoch"] * length <= length, "meta.epoch", f"{meta['epoch']} at iteration {done}")


def _check_hub(hub: Any) -> None:
    _require(isinstance(hub, Mapping), "message_hub", "no dict")
    for key, valid in (
        ("log_scalars", lambda value: isinstance(value, HistoryBuffer)),
        ("runtime_info", lambda value: True),
        ("resumed_keys", lambda value: isinstance(value, bool)),
    ):
        entries = hub.get(key)
        _require(isinstance(entries, Mapping), f"message_hub.{key}", "no dict")
        for name, value in entries.items():
            where = f"message_hub.{key}.{in_one_line(name)}"
            _require(isinstance(name, str) and valid(value), where, f"a {type(value).__name__}")
    for name, resumed in hub["resumed_keys"].items():
        kept = name in hub["log_scalars"] or name in hub["runtime_info"]  # what shall not be resumed is not saved
        _require(resumed or not kept, f"message_hub.resumed_keys.{in_one_line(name)}", "False")


def _check_optimizer(found: Any, done: int, runner: Any) -> None:
    _require(isinstance(found, Mapping), "optimizer", "no dict")
    wrapper = runner.optim_wrapper
    optimizer = wrapper.optimizer
    groups, own_groups = found.get("param_groups"), optimizer.param_groups
    _require(
        isinstance(groups, list) and len(groups) == len(own_groups),
        "optimizer.param_groups",
        f"not of {len(own_groups)} groups",
    )
    parameters = {}
    for index, (group, own) in enumerate(zip(groups, own_groups, strict=True)):
        where = f"optimizer.param_groups[{index}]"
        _require(isinstance(group, Mapping), where, "no dict")
        ids = group.get("params")
        valid = isinstance(ids, list) and len(ids) == len(own["params"]) and all(type(item) is int for item in ids)
        _require(valid, f"{where}.params", f"not the numbers of {len(own['params'])} weights")
        parameters.update(zip(ids, own["params"], strict=True))
        for key, value in own.items():
            # torch completes what older ones did not write; all that is is None or a flag.
            if key not in ("params", *WAYS_TO_COMPUTE) and (key in group or not isinstance(value, bool | None)):
                _check_kind(group.get(key), value, f"{where}.{key}")
    count = sum(len(own["params"]) for own in own_groups)
    _require(len(parameters) == count, "optimizer.param_groups", f"of {len(parameters)} weights in place of {count}")
    stepped = done >= wrapper._accumulative_counts if isinstance(wrapper, OptimWrapper) else True
    _check_states(found.get("state"), parameters, optimizer, stepped)
    for key, value in wrapper.state_dict().items():
        if key not in ("state", "param_groups") and value:
            _check_kind(found.get(key), value, f"optimizer.{key}")


def _check_states(states: Any, parameters: Mapping[int, Tensor], optimizer: Any, stepped: bool) -> None:
    _require(isinstance(states, Mapping), "optimizer.state", "no dict")
    needed = _names_of_state(optimizer)
    _require(bool(states) or not needed or not stepped, "optimizer.state", f"empty, without {few(needed)}")
    for key, state in states.items():
        where = f"optimizer.state.{in_one_line(key)}"
        _require(type(key) is int and key in parameters, where, "of no weight of this run")
        _require(isinstance(state, Mapping), where, "no dict")
        for name in needed:
            _require(name in state, f"{where}.{name}", "not there")
        for name, value in state.items():
            place = f"{where}.{in_one_line(name)}"
            wanted = needed.get(name, parameters[key].shape)
            if isinstance(value, Tensor):
                shape = parameters[key].shape if wanted == _TRIED else wanted
                _require(value.shape == shape, place, f"of the shape {tuple(value.shape)}, not {_tuple(shape)}")
                finite = value.is_floating_point() and bool(value.isfinite().all())
                _require(finite, place, f"not of finite numbers, {value.dtype}")
            else:
                _require(value is None or _is_finite(value), place, f"{_short(value)}, no number")
                _require(not isinstance(wanted, torch.Size) or name not in needed, place, "no tensor")


def _names_of_state(optimizer: Any) -> dict[str, torch.Size | None]:
    """Return what a step of an optimizer keeps of a weight: name -> None, or the shape where it is not the weight's."""
    weight = torch.nn.Parameter(torch.zeros(_TRIED))
    weight.grad = torch.zeros_like(weight)
    twin = copy.copy(optimizer)
    twin.state = defaultdict(dict)
    twin.param_groups = [{**optimizer.param_groups[0], "params": [weight]}]
    try:
        twin.step()
    except Exception:  # one of the user's that needs more than a gradient
        return {}
    names = {}
    for name, value in twin.state[weight].items():
        if isinstance(value, Tensor):
            names[name] = value.shape
        elif value is not None:
            names[name] = None
    return names


def _check_schedulers(found: Any, own: Any) -> None:
    where = "param_schedulers"
    if isinstance(own, dict):
        _require(isinstance(found, Mapping) and found.keys() == own.keys(), where, "not as this run's")
        for name, schedulers in own.items():
            _check_schedulers(found[name], schedulers)
        return
    found = [] if found is None and not own else found  # mmengine writes none where there is none
    _require(isinstance(found, list) and len(found) == len(own or ()), where, f"not of {len(own or ())} schedulers")
    for index, (state, scheduler) in enumerate(zip(found, own or (), strict=True)):
        place = f"{where}[{index}]"
        _require(isinstance(state, Mapping), place, "no dict")
        wanted = scheduler.state_dict()
        unknown = [*(wanted.keys() - state.keys()), *(state.keys() - wanted.keys())]
        _require(not unknown, place, f"of another kind: {few(sorted(map(str, unknown)))}")
        for key, value in wanted.items():
            if key in _COUNTERS:
                _require(type(state[key]) is int and state[key] >= -1, f"{place}.{key}", f"{_short(state[key])}")
            elif state[key] is not None:  # one of two that exclude each other
                _check_kind(state[key], value, f"{place}.{key}")
        tried = copy.copy(scheduler)
        tried.__dict__.update(copy.deepcopy(dict(state)))
        try:
            values = tried._get_value()
            usable = all(_is_finite(value) for value in values)
        except Exception:  # whatever a scheduler makes of numbers that do not belong together
            usable = False
        _require(usable, place, "of numbers that give no value")


def _check_kind(found: Any, own: Any, where: str) -> None:
    """Compare a value with the run's own of that name: by its kind, since a number may have changed."""
    if isinstance(own, bool):
        fits = isinstance(found, bool)
    elif own is None:
        fits = found is None or _is_number(found) or isinstance(found, bool)
    elif isinstance(own, str):
        fits = found == own
    elif _is_number(own):
        fits = _is_finite(found) or (_is_number(found) and found == own)
    elif isinstance(own, Counter):
        fits = isinstance(found, Mapping) and all(_is_int(key) and _is_int(value) for key, value in found.items())
    elif isinstance(own, Mapping):
        _require(isinstance(found, Mapping), where, "no dict")
        for key, value in own.items():
            _check_kind(found.get(key), value, f"{where}.{key}")
        return
    elif isinstance(own, Sequence):
        _require(isinstance(found, list | tuple) and len(found) == len(own), where, f"{_short(found)}")
        for index, (item, value) in enumerate(zip(found, own, strict=True)):
            _check_kind(item, value, f"{where}[{index}]")
        return
    elif isinstance(own, Tensor):
        fits = isinstance(found, Tensor) and found.shape == own.shape and bool(found.isfinite().all())
    else:
        fits = True
    _require(fits, where, f"{_short(found)}, where this run has {_short(own)}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_int(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    try:
        return _is_number(value) and math.isfinite(value)
    except OverflowError:
        return False


def _tuple(shape: torch.Size | None) -> tuple[int, ...] | str:
    return "a number" if shape is None else tuple(shape)


def _short(value: Any) -> str:
    return in_one_line(repr(value), 60)


def _require(holds: bool, where: str, what: str) -> None:
    if not holds:
        raise _WrongError(f"its {where} is {what}")
