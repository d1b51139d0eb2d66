"""A bar of progress, where a person looks on."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rdet.apis.infer.shot import Shot


class Progress:
    """What the run tells of its progress; this one tells nobody.

    A file or a pipe gets no bar.
    """

    def step(self, shot: Shot) -> None:
        """Note that one image is done."""


@contextmanager
def progress_bar(count: Callable[[], int | None], wanted: bool = True) -> Iterator[Progress]:
    """Show a bar on the terminal while the body runs, with the time that is left.

    Args:
        count: Says how many images there are, where somebody looks on; None where nobody knows.
        wanted: Whether to show it at all.
    """
    if not wanted or not sys.stderr.isatty():
        yield Progress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Rich

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[rate]}"),
    )
    with Rich(*columns, console=Console(stderr=True), transient=True) as rich:
        task = rich.add_task("detecting", total=count(), rate="")

        class Bar(Progress):
            def step(self, shot: Shot) -> None:
                speed = rich.tasks[0].speed
                rich.update(task, advance=1, rate=f"{speed:.1f}/s" if speed else "")

        yield Bar()
