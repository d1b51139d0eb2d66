"""What former runs left: metrics and settings of trials, logs, results of the paper's rows, numbers of its figures."""

import copy
import json
import os
from pathlib import Path
from random import Random
from typing import Any

from fuzz import Case, Reader

from readers import tiny
from readers.oddities import damaged, mutated

METRICS = {"AP": 0.1, "AP50": 0.2, "AP75": 0.3}
OUTCOME = {
    **{"config": "0" * 12, "row": "table_3/focal_loss", "seed": 0, "metrics": METRICS, "diverged": False},
    **{"minutes": 1.5, "versions": {"torch": "2"}},
}
CURVES = {f"{gamma:g}": {"fraction": [0.0, 1.0], "loss": [0.0, 1.0]} for gamma in (0, 0.5, 1, 2)}
FIGURE = {
    **{"of": {"config": "x"}, "windows": {"positives": 2, "negatives": 3}, "positives": CURVES, "negatives": CURVES},
    "hardest_5_percent_of_negatives": {"0": 0.1, "2": 0.9},
}
LINE = {"coco/bbox_mAP": 0.1, "coco/bbox_mAP_50": 0.2, "coco/bbox_mAP_75": 0.3, "step": 3}


def odd_json(rng: Random, value: Any) -> tuple[bytes, str]:
    value = copy.deepcopy(value)
    what = []
    for _ in range(rng.choice([0, 1, 1, 2])):
        what.append(mutated(rng, {"": value}) if rng.random() < 0.1 else mutated(rng, value))
    try:
        text = json.dumps(value, default=str).encode()
    except (TypeError, ValueError, RecursionError):
        text = b"[" * 100000
    if rng.random() < 0.3 or not what:
        text, how = damaged(rng, text)
        what.append(how)
    return text, "; ".join(what)


def _trial(folder: Path) -> Any:
    """Make a training whose folder says its settings, as if it had begun."""
    from rdet.analysis.compare.trial import Trial, settings_of

    trial = Trial(tiny.write_config(folder / "tiny.py"), 0, folder / "trial")
    trial.folder.mkdir()
    (trial.folder / "settings.json").write_text(json.dumps(settings_of(trial.config, ())))
    return trial


def metrics(rng: Random, folder: Path) -> Case:
    trial = _trial(folder)
    text, what = odd_json(rng, METRICS)
    (folder / "trial" / "metrics.json").write_bytes(text)
    return Case(lambda: trial.run(["/not/there"]), ("metrics.json",), what)


def settings(rng: Random, folder: Path) -> Case:
    trial = _trial(folder)
    record = folder / "trial" / "settings.json"
    text, what = odd_json(rng, json.loads(record.read_text()))
    record.write_bytes(text)
    (folder / "trial" / "metrics.json").write_text(json.dumps(METRICS))
    return Case(lambda: trial.run(["/not/there"]), (str(folder / "trial"),), what)


def log(rng: Random, folder: Path) -> Case:
    from rdet.analysis.compare.trial import last_metrics

    path = folder / "20260101" / "vis_data" / "scalars.json"
    path.parent.mkdir(parents=True)
    text, what = odd_json(rng, LINE)
    path.write_bytes(b'{"loss": 1.0}\n' + text + rng.choice([b"", b"\n", b'\n{"loss": NaN}\n', b'\n{"lo']))
    return Case(lambda: last_metrics(folder), (str(folder),), what)


def paper(rng: Random, folder: Path) -> Case:
    from rdet.analysis.paper.report import _shares
    from rdet.analysis.paper.suite import Results

    text, what = odd_json(rng, [OUTCOME, {**OUTCOME, "seed": 1}])
    path = folder / "results.json"
    path.write_bytes(text)
    text, more = odd_json(rng, FIGURE)
    (folder / "figure_4.json").write_bytes(text)

    def read() -> None:
        if rng.random() < 0.5:
            results = Results(path)
            results.of("0" * 12)
            results.path.exists()
        else:
            _shares(folder / "figure_4.json", "x")

    return Case(read, (str(folder),), f"{what} / {more}")


def figure(rng: Random, folder: Path) -> Case:
    from rdet.analysis.paper.figures import read_figure_4

    text, what = odd_json(rng, FIGURE)
    (folder / "figure_4.json").write_bytes(text)
    os.chdir(folder)
    return Case(lambda: read_figure_4(folder / "figure_4.json"), ("figure_4.json",), what)


MAKES = [metrics, settings, log, paper, figure]
READERS = [Reader("results", lambda rng, folder: rng.choice(MAKES)(rng, folder), cases=60)]
