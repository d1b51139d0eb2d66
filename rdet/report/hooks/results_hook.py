"""The numbers of a run as a table and as curves."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from rdet.files import write_whole
from rdet.registry import HOOKS
from rdet.report.hooks.picture_hook import PictureHook

TABLE, PLOT = "results.csv", "results.png"

Row = dict[str, float | None]


@HOOKS.register_module()
class ResultsHook(PictureHook):
    """Keeps ``results.csv``, a row for each step that is logged, and draws it as ``results.png``.

    The columns of an evaluation are filled in the row of its iteration. A run that is resumed goes on with the table.
    """

    def before_train(self, runner) -> None:
        """Take the rows of the run that is resumed."""
        self._batches = max(1, len(runner.train_dataloader))
        path = Path(runner.work_dir) / TABLE
        self._rows = [row for row in _read(path) if (row["iter"] or 0) <= runner.iter] if runner.iter else []

    def after_log(self, runner, step: int, values: Mapping[str, float]) -> None:
        """Add what was logged of a step, and draw the curves if there is time."""
        if not hasattr(self, "_rows"):  # an evaluation without a training
            return
        if not self._rows or self._rows[-1]["iter"] != step:
            self._rows.append({"epoch": round(step / self._batches, 4), "iter": step})
        self._rows[-1] |= {k: float(v) for k, v in values.items() if k not in ("epoch", "iter", "step")}
        self.draw(runner, TABLE, lambda path: _write(path, self._rows))
        if self.has_time():
            self._plot(runner)

    def after_train(self, runner) -> None:
        if self._rows:
            self._plot(runner)

    def _plot(self, runner) -> None:
        from rdet.visualization.plots.save import save_plot
        from rdet.visualization.plots.training import plot_training

        self.draw(runner, PLOT, lambda path: save_plot(path, plot_training(self._rows), dpi=110))


def _read(path: Path) -> list[Row]:
    """Read the table of an earlier part of the run; nothing of one that was changed beyond reading."""
    try:
        lines = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
        return [{key: float(cell) if cell else None for key, cell in line.items()} for line in lines if line["iter"]]
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return []


def _write(path: Path, rows: list[Row]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    table = csv.DictWriter(text, names, lineterminator="\n")
    table.writeheader()
    table.writerows([{k: _cell(v) for k, v in row.items()} for row in rows])
    write_whole(path, lambda part: part.write_text(text.getvalue(), encoding="utf-8"), flush=False)


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.8g}"
