"""Trains a list of detectors for several seeds, and sets their results side by side."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from mmengine.config import Config

from rdet.analysis.cost import measure_costs
from rdet.analysis.results_file import parse_results, read_results
from rdet.apis.cli import parse_options
from rdet.config import flatten, load_config
from rdet.errors import ComparisonError, ConfigError
from rdet.files import write_text
from rdet.messages import few

_METRICS = {"AP": "coco/bbox_mAP", "AP50": "coco/bbox_mAP_50", "AP75": "coco/bbox_mAP_75"}


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

    def run(self, train_command: Sequence[str], options: Sequence[str] = ()) -> dict[str, float]:
        """Train unless that was done before, continuing where an interrupted run stopped.

        Args:
            train_command: Words of the command that trains, up to the config.
            options: ``KEY=VALUE`` overrides of the config.

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
            with log.open("a") as output:
                code = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False).returncode
            if code:
                raise ComparisonError(f"{self.config}, seed {self.seed}: training ended with code {code}; see {log}")
            write_text(done, json.dumps(last_metrics(self.folder), indent=1))
        return read_results(done, dict.fromkeys(_METRICS, float), "remove it to evaluate anew with --resume")

    def _claim_folder(self, options: Sequence[str]) -> None:
        """Write down the settings of the run, or compare them with those of the run that is there."""
        settings = {key: repr(value) for key, value in sorted(flatten(load_trial(self.config, options)).items())}
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


def load_trial(config: Path, options: Sequence[str]) -> Config:
    """Load a config with the overrides of the comparison."""
    return load_config(config, parse_options(list(options)))


def last_metrics(folder: Path) -> dict[str, float]:
    """Return the metrics of a run's last evaluation. Raise :class:`ComparisonError` if it has none."""
    for scalars in sorted(folder.glob("*/vis_data/scalars.json"), reverse=True):
        lines = scalars.read_text(encoding="utf-8", errors="replace").splitlines()
        for number, line in reversed(list(enumerate(lines, 1))):
            # What a killed run wrote last has no end.
            if f'"{_METRICS["AP"]}"' in line and line.endswith("}"):
                wanted = dict.fromkeys(_METRICS.values(), float)
                values = parse_results(line, wanted, f"{scalars}, line {number}", f"remove {folder} to train anew")
                return {name: values[key] for name, key in _METRICS.items()}
    raise ComparisonError(
        f"{folder}: no evaluation in its logs; set train_cfg.val_interval so that it evaluates at its end"
    )


def differing_slots(base: Config, other: Config) -> list[str]:
    """Name where two configs differ: slots of the model (``loss_cls``), or top-level keys (``train_dataloader``)."""
    before, after = flatten(base), flatten(other)
    differing = [key for key in {**before, **after} if before.get(key, ...) != after.get(key, ...)]
    return list(dict.fromkeys(key.removeprefix("model.").split(".")[0] for key in differing))


def compare(
    configs: Sequence[Path],
    seeds: Sequence[int],
    work_dir: Path,
    train_command: Sequence[str],
    options: Sequence[str] = (),
) -> list[dict]:
    """Train every config with every seed. What was done before is not done again.

    Args:
        configs: Paths of the configs; the first is what the others are compared with.
        seeds: Seeds of each.
        work_dir: Where runs and results are kept.
        train_command: Words of the command that trains, up to the config.
        options: ``KEY=VALUE`` overrides of all configs.

    Returns:
        One row for each config: ``name``, ``differs`` (slots), ``seeds`` (seed -> metrics or
        ``{'failed': message}``).
    """
    names = names_of(configs)
    cfgs = {name: load_trial(path, options) for name, path in names.items()}
    base = next(iter(cfgs.values()))
    rows = {name: {"name": name, "differs": differing_slots(base, cfg), "seeds": {}} for name, cfg in cfgs.items()}
    for seed in seeds:  # all configs with one seed first: an unfinished comparison is still a fair one
        for name, path in names.items():
            try:
                result = Trial(path, seed, work_dir / name / f"seed_{seed}").run(train_command, options)
                print(f"{name}, seed {seed}: AP {result['AP']:.3f}", flush=True)
            except ComparisonError as error:
                result = {"failed": str(error)}
                print(f"error: {error}", file=sys.stderr, flush=True)
            rows[name]["seeds"][seed] = result
    return list(rows.values())


def add_costs(rows: Sequence[dict], configs: Sequence[Path], rounds: int, options: Sequence[str] = ()) -> None:
    """Measure the costs of the detectors and add them to the rows of :func:`compare`, as ``cost``.

    Args:
        rows: As :func:`compare` gave them for ``configs``.
        configs: Paths of the configs.
        rounds: Timings of each detector.
        options: ``KEY=VALUE`` overrides of all configs.
    """
    costs = measure_costs({name: load_trial(path, options) for name, path in names_of(configs).items()}, rounds)
    for row in rows:
        row["cost"] = costs[row["name"]].to_dict()


def names_of(configs: Sequence[Path]) -> dict[str, Path]:
    """Name each config: by its file, with as many folders before it as tell it from the others.

    Raises:
        ConfigError: A config is there twice.
    """
    paths = [path.resolve() for path in configs]
    for path in paths:
        if paths.count(path) > 1:
            raise ConfigError(f"{path} is there twice; name each config once")
    names = {}
    for path in paths:
        depth = 1
        while sum(other.with_suffix("").parts[-depth:] == path.with_suffix("").parts[-depth:] for other in paths) > 1:
            depth += 1
        names["/".join(path.with_suffix("").parts[-depth:])] = path
    return names


def markdown_table(rows: Sequence[dict]) -> str:
    """Write the rows of :func:`compare` as a Markdown table, times as multiples of the first row's."""
    lines = [
        "| detector | differs in | AP | AP50 | parameters | GFLOPs | step | latency |",
        "|---|---|---|---|---|---|---|---|",
    ]
    first = rows[0].get("cost")
    for row in rows:
        cells = [row["name"], ", ".join(row["differs"]) or "(base)"]
        cells += [_spread(row["seeds"].values(), name) for name in ("AP", "AP50")]
        if cost := row.get("cost"):
            cells += [f"{cost['parameters'] / 1e6:.2f} M", f"{cost['flops'] / 1e9:.2f}"]
            cells += [_time(cost[name], first[name]) for name in ("step_ms", "latency_ms")]
        else:
            cells += ["", "", "", ""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _spread(results, name: str) -> str:
    """Say the mean of the seeds and half their range; failures are counted, not left out in silence."""
    values = [result[name] for result in results if name in result]
    failed = len(results) - len(values)
    text = f"{mean(values):.3f} ± {(max(values) - min(values)) / 2:.3f}" if values else ""
    return f"{text} ({failed} failed)".strip() if failed else text


def _time(milliseconds: float, reference: float) -> str:
    return f"{milliseconds:.0f} ms ({milliseconds / reference:.2f})"
