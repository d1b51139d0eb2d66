"""Batches of images of one size, from a stream in which sizes are mixed."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")
_WAITING = 4  # batches, of all sizes together


class Batches(Generic[T, R]):
    """Collects values of one kind until a batch is full, and yields the results in the order of the values.

    Few wait: where kinds are many, the batch with the oldest value is run though it is not full.

    Args:
        run: A batch -> a result for each value.
        kind_of: What values of one batch have in common; of None, a value goes alone.
        size: Values of a full batch.
    """

    def __init__(self, run: Callable[[Sequence[T]], Sequence[R]], kind_of: Callable[[T], Hashable], size: int):
        self._run = run
        self._kind_of = kind_of
        self._size = size
        self._most = size if size == 1 else _WAITING * size

    def __call__(self, values: Iterable[T]) -> Iterator[tuple[T, R]]:
        """Yield each value with its result."""
        waiting: dict[Hashable, list[tuple[int, T]]] = {}  # in the order of the oldest value of each
        done: dict[int, tuple[T, R]] = {}
        number = first = 0

        def finish(kind: Hashable) -> None:
            batch = waiting.pop(kind)
            results = self._run([value for _, value in batch])
            done.update({i: (value, result) for (i, value), result in zip(batch, results, strict=True)})

        for value in values:
            kind = self._kind_of(value)
            waiting.setdefault(kind, []).append((number, value))
            number += 1
            if len(waiting[kind]) >= self._size or kind is None:
                finish(kind)
            elif number - first >= self._most:
                finish(next(iter(waiting)))
            while first in done:
                yield done.pop(first)
                first += 1
        while first < number:
            if first not in done:
                finish(next(iter(waiting)))
            yield done.pop(first)
            first += 1
