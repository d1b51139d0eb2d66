"""One training of a comparison."""

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rdet.analysis.compare.row import METRICS
from rdet.analysis.results_file import parse_results, read_results
from rdet.apis.cli import parse_options
from rdet.config import flatten, load_config
from rdet.errors import ComparisonError
from rdet.files import write_text
from rdet.messages import few, in_one_line

_TAIL = 100_000  # bytes of a log that are looked at

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
        self.check_folder(settings := settings_of(self.config, options))
        if not self._has_run():
            write_text(self._record, json.dumps(settings, indent=1))
        done = self.folder / "metrics.json"
        if not done.exists():
            command = [*train_command, str(self.config), "--work-dir", str(self.folder)]
            command += ["--seed", str(self.seed)]
            if self._has_checkpoint():  # else it would forget the config's load_from
                command.append("--resume")
            if options:
                command += ["--cfg-options", *options]
            log = self.folder / "output.txt"
            before = log.stat().st_size if log.exists() else 0
            code = start(command, log)
            if code:
                raise ComparisonError(
                    f"{self.config}, seed {self.seed}: training ended with code {code}{_reason(log, before)}; see {log}"
                )
            write_text(done, json.dumps(last_metrics(self.folder), indent=1))
        return read_results(done, dict.fromkeys(METRICS, float), "remove it to evaluate anew with --resume")

    def check_folder(self, settings: Mapping[str, str]) -> None:
        """See that the folder holds no run of other settings.

        Args:
            settings: As :func:`settings_of` returns them.

        Raises:
            ComparisonError: It does, or nobody knows of which.
        """
        if not self._has_run():
            return
        remedy = f"remove {self.folder} to train anew, or take another --work-dir"
        before = read_results(self._record, {str: str}, remedy) if self._record.exists() else {}
        changed = [key for key in {**before, **settings} if before.get(key) != settings.get(key)]
        if changed:
            raise ComparisonError(
                f"{self.folder} holds a run of {self.config} with another {few(changed, 3)}; remove the folder "
                "to train anew, or take another --work-dir"
            )

    @property
    def _record(self) -> Path:
        return self.folder / "settings.json"

    def _has_run(self) -> bool:
        return self._has_checkpoint() or (self.folder / "metrics.json").exists()

    def _has_checkpoint(self) -> bool:
        return (self.folder / "last_checkpoint").exists()


def settings_of(config: Path, options: Sequence[str]) -> dict[str, str]:
    """Return what a training is told: the dotted key of each value of the config, with its overrides."""
    cfg = load_config(config, parse_options(list(options)))
    return {key: repr(value) for key, value in sorted(flatten(cfg).items())}


def _reason(log: Path, begin: int) -> str:
    """Return what a training said last of why it ended, behind a place in its log; nothing if it did not say."""
    try:
        with log.open("rb") as file:
            file.seek(max(begin, log.stat().st_size - _TAIL))
            lines = file.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return f" ({in_one_line(errors[-1], 300)})" if errors else ""


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
