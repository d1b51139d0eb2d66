"""What one process of a run does for all."""

import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch.distributed as dist

from rdet.errors import RdetError

T = TypeVar("T")
R = TypeVar("R")

# How long the others wait where the group of the GPUs would give up after ten minutes.
PATIENCE = timedelta(hours=3)

_alone: ContextVar[bool] = ContextVar("alone", default=False)
_host_group: tuple[Any, Any] | None = None  # the group of all processes, and one of the same that needs no GPU


def first_process_does(call: Callable[[], T]) -> T:
    """Call a function on the first process alone; the others wait for its result, hours if need be.

    All processes must call this. What the function raises is raised on all, so that none is left waiting.

    Args:
        call: Returns what can be pickled.

    Returns:
        The result, on all processes.
    """
    if not _are_several():
        return call()
    outcome: list[Any] = [None]
    if dist.get_rank() == 0:
        try:
            with each_process_alone():  # no other is there to add to what this one finds
                outcome = [call()]
        except Exception as error:
            outcome = [_Raised(_sendable(error))]
    dist.broadcast_object_list(outcome, src=0, group=host_group())
    (result,) = outcome
    if isinstance(result, _Raised):
        raise result.error
    return cast("T", result)


def each_does_its_share(call: Callable[[Sequence[T]], list[R]], items: Sequence[T], what: str) -> list[R]:
    """Have each process do a part of what all need; what one finds all have.

    All processes must call this with the same items. What the function raises on one is raised on all.

    Args:
        call: Some items -> what is found, one for each, which can be pickled.
        items: The items.
        what: These are, for the message where processes have other numbers of them: ``'images of a.json'``.

    Returns:
        What is found for each item.
    """
    if not adds_up():
        return call(items)
    check_all_have_the_same(len(items), f"numbers of {what}", "give all the same files")
    rank, count = dist.get_rank(), dist.get_world_size()
    try:
        own: Any = call(items[rank::count])
    except Exception as error:
        own = _Raised(_sendable(error))
    shares: list[Any] = [None] * count
    dist.all_gather_object(shares, own, group=host_group())
    for share in shares:
        if isinstance(share, _Raised):
            raise share.error
    found = [None] * len(items)
    for other, share in enumerate(shares):
        found[other::count] = share
    return cast("list[R]", found)


@contextmanager
def each_process_alone() -> Iterator[None]:
    """Let parts that would add up over all processes look at this one alone, as where others have more images."""
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


def adds_up() -> bool:
    """Tell whether there are several processes, and a part shall add up over them."""
    return _are_several() and not _alone.get()


def host_group() -> dist.ProcessGroup | None:
    """Return a group of all processes whose tensors are on the host; None is torch's default, where that is one.

    All processes must call it. Other backends than gloo take objects through a GPU's memory, and end a run in which one
    process is at work for ten minutes while others wait.
    """
    global _host_group
    if dist.get_backend() == "gloo":
        return None
    if _host_group is None or _host_group[0] is not dist.group.WORLD:
        _host_group = dist.group.WORLD, dist.new_group(backend="gloo", timeout=PATIENCE)
    return cast("dist.ProcessGroup", _host_group[1])


def forget_groups() -> None:
    """Let go of the group, whose threads end when nobody holds it."""
    global _host_group
    _host_group = None


def check_all_have_the_same(value: Any, what: str, remedy: str) -> None:
    """Raise RdetError, on all processes, unless a value is the same on all.

    Args:
        value: Small, to be compared; all processes must call this.
        what: Of which it is, for the message: ``'images of train_dataloader'``.
        remedy: What to do.
    """
    if not _are_several():
        return
    values: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value, group=host_group())
    other = next((rank for rank, found in enumerate(values) if found != values[0]), None)
    if other is not None:
        raise RdetError(f"process {other} has other {what} than process 0: {values[other]}, not {values[0]}; {remedy}")


class _Raised:
    """What the first process raised."""

    def __init__(self, error: Exception):
        self.error = error


def _are_several() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def _sendable(error: Exception) -> Exception:
    """Return the error, or one that says the same, if other processes could not read it."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        kind = RdetError if isinstance(error, RdetError) else RuntimeError
        return kind(f"{type(error).__name__}: {error}")
    return error
