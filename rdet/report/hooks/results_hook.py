"""The numbers of a run as a table and as curves."""

import csv
import io
import itertools
import time
from collections.abc import Mapping
from pathlib import Path

from rdet.errors import ResultsError, message_of
from rdet.files import write_whole
from rdet.registry import HOOKS
from rdet.report.hooks.picture_hook import PictureHook

TABLE, PLOT = "results.csv", "results.png"
_PAUSE = 200  # how much longer than a write the next one waits: a long table is not written in each step

Row = dict[str, float | None]


@HOOKS.register_module()
class ResultsHook(PictureHook):
    """Keeps ``results.csv``, a row for each step that is logged, and draws it as ``results.png``.

    The columns of an evaluation are filled in the row of its iteration. A run that is resumed goes on with the table,
    in another work dir with a copy. One that cannot be read is kept under another name.
    """

    def before_train(self, runner) -> None:
        """Take the rows of the run that is resumed."""
        self._batches = max(1, len(runner.train_dataloader))
        self._rows: list[Row] = []
        self._unwritten, self._next_write = 0, 0.0
        if runner.iter and not self._is_off:
            rows = self._rows_before(runner, Path(runner.work_dir) / TABLE)
            self._rows = [row for row in rows if (row["iter"] or 0) <= runner.iter]

    def after_log(self, runner, step: int, values: Mapping[str, float]) -> None:
        """Add what was logged of a step, and draw the curves if there is time."""
        if not hasattr(self, "_rows"):  # an evaluation without a training
            return
        if not self._rows or self._rows[-1]["iter"] != step:
            self._rows.append({"epoch": round(step / self._batches, 4), "iter": step})
        self._rows[-1] |= {k: float(v) for k, v in values.items() if k not in ("epoch", "iter", "step")}
        self._unwritten += 1
        if time.monotonic() >= self._next_write:
            self._write_table(runner)
        if self.has_time():
            self._plot(runner)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Have the table be no older than the checkpoint that a run goes on from."""
        if hasattr(self, "_rows"):
            self._write_table(runner)

    def after_train(self, runner) -> None:
        self._write_table(runner)
        if self._rows:
            self._plot(runner)

    def _write_table(self, runner) -> None:
        if self._unwritten:
            begun = time.monotonic()
            self.write(runner, TABLE, lambda path: _write(path, self._rows))
            done = time.monotonic()
            self._unwritten, self._next_write = 0, done + _PAUSE * (done - begun)

    def _plot(self, runner) -> None:
        self.draw(runner, PLOT, lambda path: _plot(path, self._rows))

    def _rows_before(self, runner, path: Path) -> list[Row]:
        """Read the table of the run's earlier part; keep what cannot be read, as the file is written again."""
        if not path.exists() and runner._load_from:  # the run goes on in another folder
            path = Path(runner._load_from).with_name(TABLE)
        try:
            return _read(path) if path.exists() else []
        except (OSError, ValueError, csv.Error) as error:
            why = f"{path} cannot be read ({message_of(error)})"
        if path.parent.resolve() == Path(runner.work_dir).resolve() and path.is_file():
            kept = next(new for i in itertools.count(1) if not (new := path.with_name(f"results_{i}.csv")).exists())
            self.write(runner, kept.name, lambda new: path.rename(new))
            why += f"; it is {kept.name} now"
        runner.logger.warning(f"{why}; the table begins at iteration {runner.iter + 1}")
        return []


def _read(path: Path) -> list[Row]:
    """Read the table of an earlier part of the run.

    Raises:
        OSError: The file cannot be read.
        ResultsError, ValueError: It was changed to something else.
        csv.Error: So.
    """
    table = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig")))
    if "iter" not in (table.fieldnames or ()):
        raise ResultsError("it has no column 'iter'")
    rows: list[Row] = []
    for line in table:
        if None in line:
            raise ResultsError(f"line {table.line_num} has more cells than there are columns")
        row = {key: float(cell) if cell else None for key, cell in line.items()}
        rows += [row] if row["iter"] is not None else []
    return rows


def _plot(path: Path, rows: list[Row]) -> None:
    from rdet.visualization.plots.save import save_plot
    from rdet.visualization.plots.training import plot_training

    save_plot(path, plot_training(rows), dpi=110)


def _write(path: Path, rows: list[Row]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    table = csv.DictWriter(text, names, lineterminator="\n")
    table.writeheader()
    table.writerows([{k: _cell(v) for k, v in row.items()} for row in rows])
    write_whole(path, lambda part: part.write_text(text.getvalue(), encoding="utf-8"), flush=False)


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.8g}"
