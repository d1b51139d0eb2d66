"""One training of a comparison."""

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rdet.analysis.compare.row import METRICS
from rdet.analysis.results_file import parse_results, read_results
from rdet.apis.cli import parse_options
from rdet.config import flatten, load_config
from rdet.errors import ComparisonError
from rdet.files import write_text
from rdet.messages import few

# Runs a command, appends what it says to a file, and returns its exit code.
Start = Callable[[Sequence[str], Path], int]


def start_here(command: Sequence[str], log: Path) -> int:
    """Run a command in the environment of this process, and wait for it."""
    with log.open("a") as output:
        return subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False).returncode


@dataclass(frozen=True)
class Trial:
    """One config, trained with one seed.

    Attributes:
        config: Path of the config.
        seed: Of weights, data order and augmentation.
        folder: Its work dir.
    """

    config: Path
    seed: int
    folder: Path

    def run(
        self, train_command: Sequence[str], options: Sequence[str] = (), start: Start = start_here
    ) -> dict[str, float]:
        """Train unless that was done before, continuing where an interrupted run stopped.

        Args:
            train_command: Words of the command that trains, up to the config.
            options: ``KEY=VALUE`` overrides of the config.
            start: What runs the command.

        Returns:
            The metrics of the last evaluation.

        Raises:
            ComparisonError: The training failed; the message names its log. Or the folder holds a
                run of other settings.
        """
        self._claim_folder(options)
        done = self.folder / "metrics.json"
        if not done.exists():
            command = [*train_command, str(self.config), "--work-dir", str(self.folder)]
            command += ["--seed", str(self.seed)]
            if self._has_checkpoint():  # else it would forget the config's load_from
                command.append("--resume")
            if options:
                command += ["--cfg-options", *options]
            log = self.folder / "output.txt"
            code = start(command, log)
            if code:
                raise ComparisonError(f"{self.config}, seed {self.seed}: training ended with code {code}; see {log}")
            write_text(done, json.dumps(last_metrics(self.folder), indent=1))
        return read_results(done, dict.fromkeys(METRICS, float), "remove it to evaluate anew with --resume")

    def _claim_folder(self, options: Sequence[str]) -> None:
        """Write down the settings of the run, or compare them with those of the run that is there."""
        settings = {
            key: repr(value)
            for key, value in sorted(flatten(load_config(self.config, parse_options(list(options)))).items())
        }
        record = self.folder / "settings.json"
        if not (self._has_checkpoint() or (self.folder / "metrics.json").exists()):
            write_text(record, json.dumps(settings, indent=1))
            return
        remedy = f"remove {self.folder} to train anew, or take another --work-dir"
        before = read_results(record, {str: str}, remedy) if record.exists() else {}
        changed = [key for key in {**before, **settings} if before.get(key) != settings.get(key)]
        if changed:
            raise ComparisonError(
                f"{self.folder} holds a run of {self.config} with another {few(changed, 3)}; remove the folder "
                "to train anew, or take another --work-dir"
            )

    def _has_checkpoint(self) -> bool:
        return (self.folder / "last_checkpoint").exists()


def last_metrics(folder: Path) -> dict[str, float]:
    """Return the metrics of a run's last evaluation. Raise :class:`ComparisonError` if it has none."""
    for scalars in sorted(folder.glob("*/vis_data/scalars.json"), reverse=True):
        lines = scalars.read_text(encoding="utf-8", errors="replace").splitlines()
        for number, line in reversed(list(enumerate(lines, 1))):
            # What a killed run wrote last has no end.
            if f'"{METRICS["AP"]}"' in line and line.endswith("}"):
                wanted = dict.fromkeys(METRICS.values(), float)
                values = parse_results(line, wanted, f"{scalars}, line {number}", f"remove {folder} to train anew")
                return {name: values[key] for name, key in METRICS.items()}
    raise ComparisonError(
        f"{folder}: no evaluation in its logs; set train_cfg.val_interval so that it evaluates at its end"
    )
