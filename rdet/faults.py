"""What is wrong with many files or rows, said in one message: mending one to be told of the next takes for ever."""

from collections.abc import Iterator
from contextlib import contextmanager

from rdet.errors import DatasetError
from rdet.messages import few

_EXPLAINED, _NAMED = 3, 30  # faults that a message explains, and others that it names


class Faults:
    """Collects errors of files or rows, and raises one for all.

    Args:
        where: The annotations they belong to.
        what: What they are, ``'xml files'``.
        count: How many there are; None: as many as are looked at.
    """

    def __init__(self, where: str, what: str, count: int | None = None):
        self.where = where
        self.what = what
        self._found: dict[str, str] = {}
        self._count = 0
        self._total = count

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Keep an error of the body, the first of each ``name``."""
        self._count += 1
        try:
            yield
        except DatasetError as error:
            self._found.setdefault(name, str(error))

    def add(self, name: str, error: DatasetError) -> None:
        """Keep an error, the first of each ``name``."""
        self._count += 1
        self._found.setdefault(name, str(error))

    def __len__(self) -> int:
        return len(self._found)

    def raise_any(self) -> None:
        """Raise :class:`DatasetError` if there was an error, which is as it was if it is the only one."""
        if not self._found:
            return
        messages = list(self._found.values())
        if len(messages) == 1:
            raise DatasetError(messages[0])
        faults = [message.removeprefix(f"{self.where}: ").rpartition("; ") for message in messages[:_EXPLAINED]]
        others = list(self._found)[_EXPLAINED:]
        more = f", and others in {few(others, _NAMED)}" if others else ""
        remedies = ", or ".join(dict.fromkeys(remedy for *_, remedy in faults))
        raise DatasetError(
            f"{self.where}: {len(messages)} of {self._total or self._count} {self.what} cannot be used: "
            f"{'; '.join(fault or remedy for fault, _, remedy in faults)}{more}; {remedies}"
        )
