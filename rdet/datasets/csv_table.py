"""A table of boxes in a csv file, read by the names of its columns."""

import csv
from collections.abc import Iterator

from rdet.datasets.values import text_of
from rdet.errors import DatasetError
from rdet.faults import Faults
from rdet.messages import few, nearest, shown

COLUMNS = ("filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax")
_SEPARATORS = ",;\t"


def read_rows(data: bytes, where: str, faults: Faults | None = None) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line and the values of each row, spaces around them removed.

    Args:
        data: The file; its first line names the columns, in any order, also others.
        where: Its path, for messages.
        faults: Collects the errors of rows; None: the first is raised.

    Raises:
        DatasetError: It is no such table; the message names the line.
    """
    text = text_of(data)
    if text is None or not text.strip():
        what = "is empty" if text is not None else "is no text in UTF-8"
        raise DatasetError(f"{where} {what}; write a table with the columns {','.join(COLUMNS)}")
    lines = text.splitlines()
    separator = max(_SEPARATORS, key=lines[0].count)
    rows = csv.reader(lines, delimiter=separator, strict=True)
    try:
        header = [name.strip().lower() for name in next(rows, [])]
        _check_header(header, where)
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(header):
                line = f"line {rows.line_num}"
                error = DatasetError(
                    f"{line} of {where} has {len(row)} values, but there are {len(header)} columns; correct it"
                )
                if faults is None:
                    raise error
                faults.add(line, error)
                continue
            yield rows.line_num, {name: cell.strip() for name, cell in zip(header, row, strict=True)}
    except csv.Error as error:
        raise DatasetError(f"line {rows.line_num} of {where} is no row of a csv file ({error}); correct it") from error


def _check_header(header: list[str], where: str) -> None:
    for name in COLUMNS:
        if name not in header:
            raise DatasetError(
                f"{where} has no column {name!r} but {few(map(shown, header), 8)}; name it in the first line. "
                f"{nearest(name, header, all_valid=False)}"
            )
        if header.count(name) > 1:
            raise DatasetError(f"{where} has the column {name!r} {header.count(name)} times; leave one")
