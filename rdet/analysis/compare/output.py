"""The files of a comparison."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rdet.analysis.compare.difference import differences
from rdet.analysis.compare.row import Row, write_rows
from rdet.analysis.compare.table import Table
from rdet.files import write_text


@dataclass(frozen=True)
class Output:
    """Where a comparison is written.

    Attributes:
        results: The results file; None: not written.
        files: ``markdown``, ``latex``, ``csv`` or ``html`` -> its path.
        metric: What differences are of.
        size: The difference for which needed seeds are counted.
        command: What made the comparison, to say it.
    """

    results: Path | None
    files: Mapping[str, Path]
    metric: str = "AP"
    size: float = 0.01
    command: str = ""

    def keep(self, rows: Sequence[Row]) -> None:
        """Write what is known by now into the results file."""
        if self.results is not None:
            write_rows(self.results, rows)

    def write(self, rows: Sequence[Row]) -> Table:
        """Write all files, and return the table."""
        table = Table(rows, differences(rows, self.metric, self.size), self.metric, self.size)
        if self.results is not None:
            more: list[dict[str, Any]] = [
                {} if one is None else {"difference": {"metric": self.metric, **one.to_dict()}} for one in table.found
            ]
            write_rows(self.results, rows, more)
        for kind, path in self.files.items():
            write_text(path, self._as(kind, table))
        return table

    def show(self, rows: Sequence[Row]) -> None:
        """Write all files, and print the table and where they are."""
        table = self.write(rows)
        print(table.text())
        print("\n".join(table.notes()))
        for path in (self.results, *self.files.values()):
            if path is not None:
                print(f"written: {path}")

    def _as(self, kind: str, table: Table) -> str:
        if kind == "html":
            from rdet.report.comparison_page import comparison_page  # matplotlib, which the other files do not need

            names = [row.name for row in table.rows]
            title = f"{names[0]} and {names[1]}" if len(names) == 2 else f"{names[0]} and {len(names) - 1} others"
            return comparison_page(table, title, self.command)
        if kind == "markdown":
            return "\n\n".join([table.markdown(), *table.notes()]) + "\n"
        return table.csv() if kind == "csv" else table.latex() + "\n"
