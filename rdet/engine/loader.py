"""The data loader of a run, whose workers can be told to end."""

import atexit
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from torch.utils.data import DataLoader

from rdet.errors import ConfigError
from rdet.messages import in_one_line
from rdet.registry import refused_values


class Collate:
    """A function that makes a batch of samples, whose place in the config is said where it cannot.

    Args:
        function: Of the config.

    Raises:
        ConfigError: It takes no list of samples; an error in a function of the user keeps its traceback.
    """

    def __init__(self, function: Callable[[Sequence[Any]], Any]):
        self.function = function

    def __call__(self, samples: Sequence[Any]) -> Any:
        try:
            return self.function(samples)
        except Exception as error:
            name = getattr(self.function, "__qualname__", type(self.function).__name__)
            why = f"{type(error).__name__}: {' '.join(str(error).split())}"
            if refused_values(error, "collate_fn", name) is not None:
                message = f"collate_fn: {name} makes no batch of the samples ({in_one_line(why)}); leave it out"
                raise ConfigError(message) from error
            raise


_open: weakref.WeakSet = weakref.WeakSet()  # iterators of all loaders, which may outlive them


class Loader(DataLoader):
    """torch's loader, which remembers the iterators that still have workers.

    torch ends an iterator's workers when the iterator is freed. The garbage collector may free an iterator's queues
    first; its workers would never hear of the end, so the queues are kept until the iterator has gone. And Python's
    end asks those of an iterator that nobody freed to end by SIGTERM, which a run's workers ignore, and waits for ever:
    they end before.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._iterators = weakref.WeakSet()

    def __iter__(self):
        iterator = super().__iter__()
        self._iterators.add(iterator)
        _open.add(iterator)
        if hasattr(iterator, "_workers"):  # of several processes
            tells = [value for name, value in vars(iterator).items() if name.endswith(("_queue", "_queues", "_event"))]
            weakref.finalize(iterator, tells.clear).atexit = False
        return iterator

    def end_workers(self) -> None:
        """Tell all workers to end, persistent ones too, and wait until they have. A new iterator starts new ones."""
        for iterator in list(self._iterators):
            _end_workers(iterator)
        self._iterators.clear()
        self._iterator = None  # where torch keeps the one with persistent workers


def _end_workers(iterator: Any) -> None:
    if hasattr(iterator, "_shutdown_workers"):  # of several processes
        iterator._shutdown_workers()
        for worker in iterator._workers:
            if worker.is_alive():  # it is stuck, and torch's SIGTERM was ignored
                worker.kill()


@atexit.register  # after torch, and so called before what torch and Python do at the end
def _end_all_workers() -> None:
    """End the workers of iterators that nobody freed."""
    for iterator in list(_open):
        _end_workers(iterator)
