"""The data loader of a run, whose workers can be told to end."""

import weakref

from torch.utils.data import DataLoader


class Loader(DataLoader):
    """torch's loader, which remembers the iterators that still have workers.

    torch ends an iterator's workers when the iterator is freed. The garbage collector may free an iterator's queues
    first; its workers then never hear of the end, and each is waited for five seconds.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._iterators = weakref.WeakSet()

    def __iter__(self):
        iterator = super().__iter__()
        self._iterators.add(iterator)
        return iterator

    def end_workers(self) -> None:
        """Tell all workers to end, persistent ones too, and wait until they have. A new iterator starts new ones."""
        for iterator in list(self._iterators):
            if hasattr(iterator, "_shutdown_workers"):  # of several processes
                iterator._shutdown_workers()
        self._iterators.clear()
        self._iterator = None  # where torch keeps the one with persistent workers
