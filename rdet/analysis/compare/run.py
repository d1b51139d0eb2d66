"""Trains the detectors of a comparison, several at a time."""

import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import nullcontext
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from rdet.analysis.alone import alone
from rdet.analysis.compare.places import Children, places
from rdet.analysis.compare.row import Row
from rdet.analysis.compare.trial import Trial, settings_of
from rdet.analysis.compare.variant import Variant, differing_slots
from rdet.analysis.cost import measure_costs
from rdet.errors import ComparisonError, RdetError
from rdet.messages import in_one_line

# Runs a command in an environment, appends what it says to a file, and returns its exit code.
Run = Callable[[Sequence[str], Path, Mapping[str, str]], int]


def rows_of(variants: Sequence[Variant], equal_weights: Mapping[str, float] | None = None) -> list[Row]:
    """Make a row for each detector, without results; the first is the base.

    Args:
        variants: The detectors.
        equal_weights: Name -> share of the base's weights with which it begins too.
    """
    base = variants[0]
    return [
        Row(
            variant.name,
            differing_slots(base.cfg, variant.cfg),
            config=str(variant.path),
            kept=list(variant.kept),
            equal_weights=(equal_weights or {}).get(variant.name),
        )
        for variant in variants
    ]


def train_all(
    variants: Sequence[Variant],
    rows: Sequence[Row],
    seeds: Sequence[int],
    work_dir: Path,
    train_command: Sequence[str],
    jobs: int | None = 1,
    run: Run | None = None,
    after_each: Callable[[], None] = lambda: None,
    lock: int | None = None,
) -> None:
    """Train every detector with every seed, and put the results into the rows. What was done before is not done again.

    A training that fails is a result; the others go on. An interruption ends all that run, and the next call goes on
    from their checkpoints.

    Args:
        variants: The detectors.
        rows: Of each, as :func:`rows_of` makes them.
        seeds: Seeds of each.
        work_dir: Where the trainings are kept.
        train_command: Words of the command that trains, up to the config.
        jobs: Trainings at a time; None: one a card, without cards one a core.
        run: What runs a command; None: processes.
        after_each: Called when a training has ended.
        lock: Of the folder, which the caller holds; None: it is taken here.

    Raises:
        ComparisonError: Another comparison is at work in the folder, or it holds runs of other settings; nothing was
            trained.
    """
    # All detectors with one seed first: an unfinished comparison is still a fair one.
    todo = [(variant, row, seed) for seed in seeds for variant, row in zip(variants, rows, strict=True)]
    free: SimpleQueue[dict[str, str]] = SimpleQueue()
    environments = places(jobs, len(todo))
    for environment in environments:
        free.put(environment)
    trials = {
        (variant.name, seed): Trial(variant.path, seed, work_dir / variant.folder / f"seed_{seed}")
        for variant, _, seed in todo
    }
    with alone(work_dir, "rdet compare") if lock is None else nullcontext(lock) as lock:
        _check_folders(variants, trials)
        children = Children(lock)

        def train(variant: Variant, seed: int) -> dict[str, Any]:
            environment = free.get()
            try:

                def start(command: Sequence[str], log: Path) -> int:
                    print(f"training {in_one_line(variant.name)}, seed {seed}; log: {log}", flush=True)
                    return (run or children.run)(command, log, environment)

                return trials[variant.name, seed].run(train_command, variant.options, start)
            except RdetError as error:
                return {"failed": str(error)}
            finally:
                free.put(environment)

        with ThreadPoolExecutor(len(environments)) as pool:
            futures = {pool.submit(train, variant, seed): (row, seed) for variant, row, seed in todo}
            try:
                for count, future in enumerate(as_completed(futures), 1):
                    row, seed = futures[future]
                    row.seeds[seed] = future.result()
                    row.seeds = dict(sorted(row.seeds.items()))
                    _say(f"[{count}/{len(todo)}]", row, seed)
                    after_each()
            except BaseException:
                print(
                    "ending all trainings; the same command goes on from their checkpoints", file=sys.stderr, flush=True
                )
                pool.shutdown(wait=False, cancel_futures=True)
                children.end()
                raise


def _check_folders(variants: Sequence[Variant], trials: Mapping[tuple[str, int], Trial]) -> None:
    """Raise ComparisonError, before anything is trained or written, if runs of other settings are in the way."""
    settings = {variant.name: settings_of(variant.path, variant.options) for variant in variants}
    failures = []
    for (name, _), trial in trials.items():
        try:
            trial.check_folder(settings[name])
        except RdetError as error:
            failures.append(str(error))
    for failure in failures[:-1]:
        print(f"error: {failure}", file=sys.stderr)
    if failures:
        raise ComparisonError(failures[-1])


def _say(place: str, row: Row, seed: int) -> None:
    if seed in row.failures:
        print(f"{place} error: {row.failures[seed]}", file=sys.stderr, flush=True)
    else:
        print(f"{place} {row.name}, seed {seed}: AP {row.values()[seed]:.3f}", flush=True)


def add_costs(rows: Sequence[Row], variants: Sequence[Variant], rounds: int) -> None:
    """Measure the costs of the detectors that could be trained, side by side, and put them into the rows.

    Args:
        rows: As :func:`train_all` left them.
        variants: The detectors.
        rounds: Timings of each detector.
    """
    trained = {row.name: row for row in rows if row.values()}
    costs = measure_costs({variant.name: variant.cfg for variant in variants if variant.name in trained}, rounds)
    for name, cost in costs.items():
        trained[name].cost = cost.to_dict()
