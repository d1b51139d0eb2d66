"""Trains the paper's rows at the small scale, several at a time, and keeps what they reach."""

import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock

import mmengine
import torch
import torchvision

from rdet.analysis.alone import alone
from rdet.analysis.compare.trial import Trial
from rdet.analysis.paper.rows import ROWS, Row
from rdet.analysis.paper.small import write_small_config
from rdet.analysis.results_file import read_results
from rdet.config import flatten, read_config
from rdet.datasets.synthetic import Scenes, make_synthetic_coco
from rdet.errors import ComparisonError, MissingFileError, ResultsError
from rdet.files import write_text

# Sizes from 10 to 200 pixels, of all three kinds that COCO tells apart; with the anchors of configs/paper/small.py
# one in about 1,200 is foreground. Up to six shapes that are no objects are in an image, and none to six objects.
SCENES = Scenes(object_size=(8, 160), size_bias=(1.0, 0.9), objects=(1, 1.0), distractors=6)
TRAIN, VAL, SIZE = 1600, 250, 320
_DIVERGED = "the loss is not finite"

# Hooks that draw a training, and change nothing of it.
_ONLY_LOOK = tuple(f"default_hooks.{name}." for name in ("results", "labels", "batches", "curves"))


@dataclass(frozen=True)
class Outcome:
    """What one training gave.

    Attributes:
        config: Fingerprint of the config: rows of the same detector share their trainings.
        row: The row that it was trained for.
        seed: Its seed.
        metrics: AP, AP50 and AP75 in [0, 1]; all 0 if it diverged.
        diverged: Whether it ended at a loss that is not finite.
        minutes: Wall-clock time of the attempt that finished it.
        versions: Of what it ran on.
    """

    config: str
    row: str
    seed: int
    metrics: dict[str, float]
    diverged: bool
    minutes: float
    versions: dict[str, str]


# Of an outcome in the file.
_SHAPE = {
    **{"config": str, "row": str, "seed": int, "metrics": dict.fromkeys(("AP", "AP50", "AP75"), float)},
    **{"diverged": bool, "minutes": float, "versions": {str: str}},
}


class Results:
    """Outcomes in a file, which is written anew after each training.

    Args:
        path: A json file; it need not exist.

    Raises:
        ResultsError: The file holds something else.
    """

    def __init__(self, path: Path):
        self.path = path
        remedy = "name the results of 'tools/paper.py run', or remove it"
        stored = []
        for index, outcome in enumerate(read_results(path, [_SHAPE], remedy) if path.exists() else []):
            if unknown := outcome.keys() - _SHAPE.keys():
                raise ResultsError(f"{path}: [{index}] has the entry {min(unknown)!r}, which nothing reads; {remedy}")
            stored.append(Outcome(**outcome))
        self._outcomes = {(o.config, o.seed): o for o in stored}
        self._lock = Lock()

    def get(self, config: str, seed: int) -> Outcome | None:
        """Return the outcome of a config, by its fingerprint, with a seed."""
        return self._outcomes.get((config, seed))

    def of(self, config: str) -> list[Outcome]:
        """Return all outcomes of a config, by seed."""
        return sorted((o for o in self._outcomes.values() if o.config == config), key=lambda o: o.seed)

    def add(self, outcome: Outcome) -> None:
        """Keep an outcome, in memory and in the file."""
        with self._lock:
            self._outcomes[outcome.config, outcome.seed] = outcome
            ordered = sorted(self._outcomes.values(), key=lambda o: (o.row, o.seed))
            write_text(self.path, json.dumps([asdict(o) for o in ordered], indent=1) + "\n")


class Suite:
    """The rows as small trainings.

    Args:
        configs: Folder ``configs/paper``.
        work_dir: Where configs, checkpoints and logs of the trainings go.
        results: What was trained before, and where the rest goes.
    """

    def __init__(self, configs: Path, work_dir: Path, results: Results):
        self.configs = configs
        self.work_dir = work_dir
        self.results = results
        self._fingerprints: dict[str, str] = {}

    def config_of(self, row: Row) -> Path:
        """Return the row's small config, written if it is not there."""
        out = self.work_dir / "configs" / f"{row.config}.py"
        return write_small_config(self.configs / f"{row.config}.py", self.configs, out)

    def fingerprint(self, row: Row) -> str:
        """Return 12 hexadecimal digits that tell the row's small config, and its data, from all others."""
        if row.config not in self._fingerprints:
            config = flatten(read_config(self.config_of(row)))
            leaves = sorted((key, repr(value)) for key, value in config.items() if not key.startswith(_ONLY_LOOK))
            content = repr((leaves, SCENES, TRAIN, VAL, SIZE))
            self._fingerprints[row.config] = hashlib.sha256(content.encode()).hexdigest()[:12]
        return self._fingerprints[row.config]

    def outcomes(self, row: Row) -> list[Outcome]:
        """Return the row's trainings so far, by seed; none for a row that only COCO shows."""
        return self.results.of(self.fingerprint(row)) if row.seeds else []

    def folder(self, row: Row, seed: int) -> Path:
        """Return where the row's training is kept: that of the first row with the same detector."""
        same = (other for other in ROWS if other.seeds and self.fingerprint(other) == self.fingerprint(row))
        return self.work_dir / next(same).config / f"seed_{seed}"

    def checkpoint(self, row: Row) -> Path:
        """Return the model that the row's first training ended with. Raise MissingFileError if there is none."""
        last = self.folder(row, 0) / "last_checkpoint"
        if not last.exists():
            raise MissingFileError(f"no training at {last.parent}: run 'tools/paper.py run {row.config}' first")
        return Path(last.read_text().strip())

    def missing(self, rows: list[Row]) -> list[tuple[Row, int]]:
        """List rows and seeds still to train, each detector once; all rows with one seed come before the next seed."""
        todo = {}
        for seed in range(max((row.seeds for row in rows), default=0)):
            for row in rows:
                if seed < row.seeds and self.results.get(*(key := (self.fingerprint(row), seed))) is None:
                    todo.setdefault(key, (row, seed))
        return list(todo.values())

    def run(self, rows: list[Row], train_command: Sequence[str], data_root: Path, jobs: int) -> None:
        """Train what is missing; an interrupted training goes on from its last checkpoint.

        Args:
            rows: Rows to train.
            train_command: Words of the command that trains, up to the config.
            data_root: The data set; it is made if it is not there.
            jobs: Trainings at a time.
        """
        with alone(self.work_dir, "tools/paper.py run"):
            only_coco = [row.config for row in rows if not row.seeds]
            if len(only_coco) < len(rows):
                make_synthetic_coco(data_root, TRAIN, VAL, SIZE, seed=0, scenes=SCENES)
            todo = self.missing(rows)
            if not todo:
                print(
                    "nothing to train" + (f"; for COCO alone: {', '.join(only_coco)}" if only_coco else ": all is done")
                )
            failures = []
            with ThreadPoolExecutor(jobs) as pool:
                futures = [pool.submit(self._train, row, seed, train_command, data_root) for row, seed in todo]
                try:
                    for count, future in enumerate(as_completed(futures), 1):
                        try:
                            print(f"[{count}/{len(todo)}] {_line(future.result())}", flush=True)
                        except ComparisonError as error:  # the others go on; what failed is tried again next time
                            failures.append(str(error))
                            print(f"[{count}/{len(todo)}] error: {error}", file=sys.stderr, flush=True)
                except BaseException:
                    pool.shutdown(cancel_futures=True)
                    raise
        if failures:
            raise ComparisonError(f"{len(failures)} of {len(todo)} trainings failed, the first: {failures[0]}")

    def _train(self, row: Row, seed: int, train_command: Sequence[str], data_root: Path) -> Outcome:
        folder = self.folder(row, seed)
        log = folder / "output.txt"
        seen = log.stat().st_size if log.exists() else 0  # earlier attempts write to the same file
        start = time.monotonic()
        diverged = False
        try:
            metrics = Trial(self.config_of(row), seed, folder).run(train_command, [f"data_root={data_root.resolve()}/"])
        except ComparisonError:
            if not (log.exists() and _DIVERGED in log.read_bytes()[seen:].decode(errors="replace")):
                raise
            diverged, metrics = True, dict.fromkeys(("AP", "AP50", "AP75"), 0.0)
        minutes = round((time.monotonic() - start) / 60, 2)
        outcome = Outcome(self.fingerprint(row), row.config, seed, metrics, diverged, minutes, versions_in_use())
        self.results.add(outcome)
        return outcome


def _line(outcome: Outcome) -> str:
    reached = "diverged" if outcome.diverged else f"AP {100 * outcome.metrics['AP']:.1f}"
    return f"{outcome.row}, seed {outcome.seed}: {reached}, {outcome.minutes:.1f} min"


def versions_in_use() -> dict[str, str]:
    """Return the versions that numbers may depend on."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "mmengine": mmengine.__version__,
        "threads": os.environ.get("OMP_NUM_THREADS", str(torch.get_num_threads())),
    }
