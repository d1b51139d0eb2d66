"""A table of boxes in a csv file, read by the names of its columns."""

import csv
from collections.abc import Iterator

from rdet.datasets.csv_columns import COLUMNS, columns_of
from rdet.datasets.values import text_of
from rdet.errors import DatasetError
from rdet.faults import Faults

_SEPARATORS = ",;\t"


def header_of(data: bytes) -> list[str]:
    """Return the names of the columns, in lower case; none of what is no table."""
    lines = (text_of(data) or "").lstrip().splitlines()
    try:
        return [name.strip().lower() for name in next(_reader(lines), [])] if lines else []
    except csv.Error:
        return []


def _reader(lines: list[str]):
    return csv.reader(lines, delimiter=max(_SEPARATORS, key=lines[0].count), strict=True)


def read_rows(data: bytes, where: str, faults: Faults | None = None) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line and the values of each row, spaces around them removed.

    Args:
        data: The file; its first line names the columns, in any order, also others, and by other names.
        where: Its path, for messages.
        faults: Collects the errors of rows; None: the first is raised.

    Yields:
        The line, and all of ``COLUMNS`` -> the value; a size that has no column is empty.

    Raises:
        DatasetError: It is no such table; the message names the line.
    """
    text = text_of(data)
    if text is None or not text.strip():
        what = f"is empty; write a table with the columns {','.join(COLUMNS)}"
        raise DatasetError(f"{where} {what if text is not None else 'is no text in UTF-8; save it in that encoding'}")
    rows = _reader(text.splitlines())
    try:
        header = [name.strip().lower() for name in next(rows, [])]
        columns = columns_of(header, where)
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            line = f"line {rows.line_num}"
            if len(row) != len(header):
                error = DatasetError(
                    f"{line} of {where} has {len(row)} values, but there are {len(header)} columns; correct it"
                )
                if faults is None:
                    raise error
                faults.add(line, error)
                continue
            cells = {name: cell.strip() for name, cell in zip(header, row, strict=True)}
            yield rows.line_num, {column: cells[columns[column]] if column in columns else "" for column in COLUMNS}
    except csv.Error as error:
        raise DatasetError(f"line {rows.line_num} of {where} is no row of a csv file ({error}); correct it") from error
