"""Train detectors that differ in a part or two, with several seeds: rdet compare BASE --swap SLOT=TYPE --seeds 5"""

import argparse
from pathlib import Path

from rdet.args import (
    ArgumentParser,
    add_cfg_options,
    between,
    config_to_read,
    count,
    file_to_read,
    file_to_write,
    folder_to_write,
    path_of,
    seed,
)

_FORMATS = ("markdown", "latex", "csv", "html")


def parse_args():
    parser = ArgumentParser(
        "Train detectors that differ in a part or two with the same seeds, and set them side by side: differences with "
        "intervals, costs, plots. Run it again to go on where it stopped."
    )
    parser.add_argument(
        "configs", nargs="*", type=path_of(config_to_read), help="configs; the first is the base of the comparison"
    )
    parser.add_argument(
        "--swap",
        action="append",
        default=[],
        metavar="SLOT=TYPE",
        help="a detector that is the base with another part: loss_cls=VarifocalLoss, 'neck=BiFPN(num_blocks=2)', a "
        "value, optim_wrapper.optimizer.lr=0.01, or several, 'a=X; b=Y'; 'NAME: a=X' names it. Once for each detector",
    )
    parser.add_argument(
        "--seeds",
        nargs="+",
        type=seed,
        default=[2],
        metavar="N",
        help="one number: so many seeds, 0 to N - 1 (0: seed 0 alone); several: the seeds themselves (default: 2)",
    )
    parser.add_argument(
        "--jobs",
        type=count,
        metavar="N",
        help="trainings at a time (default: one a card, without cards one a core; each needs memory of its own)",
    )
    parser.add_argument(
        "--work-dir", type=path_of(folder_to_write), default=Path("work_dirs/compare"), help="where the runs are kept"
    )
    parser.add_argument(
        "--out",
        type=path_of(file_to_write),
        help="where results go: .json, .md and .html with this name (default: WORK_DIR/results)",
    )
    for name in _FORMATS:
        parser.add_argument(f"--{name}", type=path_of(file_to_write), metavar="FILE", help=f"write the table as {name}")
    parser.add_argument(
        "--from",
        dest="former",
        type=path_of(file_to_read),
        metavar="RESULTS.json",
        help="train nothing: write table and page of a former comparison",
    )
    parser.add_argument(
        "--metric", choices=["AP", "AP50", "AP75"], default="AP", help="what differences are of (default: AP)"
    )
    parser.add_argument(
        "--difference",
        type=_difference,
        default=0.01,
        metavar="D",
        help="say how many seeds would find a difference of D (default: 0.01, a point of AP)",
    )
    parser.add_argument(
        "--rounds", type=between(0, 1000), default=5, help="timings of each detector; 0: no costs (default: 5)"
    )
    add_cfg_options(parser)
    args = parser.parse_args()
    if args.former and (args.configs or args.swap):
        parser.error("--from trains nothing; leave configs and --swap out")
    if not (args.former or args.configs):
        parser.error("give the config of the base, or --from RESULTS.json")
    if len(args.seeds) == 1:
        if args.seeds[0] > 1000:
            parser.error(f"--seeds {args.seeds[0]}: one number is how many seeds there are, at most 1000")
        args.seeds = list(range(max(1, args.seeds[0])))
    args.seeds = list(dict.fromkeys(args.seeds))
    return args


def _difference(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0001 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text[:100]!r} must be a number from 0.0001 to 1; 0.01 is a point of AP")
    return value


def main() -> None:
    args = parse_args()

    import sys

    from rdet.analysis.compare.output import Output
    from rdet.analysis.compare.row import read_rows
    from rdet.apis.cli import one_line_errors
    from rdet.commands import command_line

    out = args.out or args.work_dir / "results"
    files = {name: path for name in _FORMATS if (path := getattr(args, name))}
    if args.out or not args.former:  # a former one may lie among files that are to stay as they are
        files = {"markdown": out.with_suffix(".md"), "html": out.with_suffix(".html"), **files}
    with one_line_errors():
        if args.former:
            rows = read_rows(args.former)
            Output(None, files, args.metric, args.difference, command_line()).show(rows)
        else:
            output = Output(out.with_suffix(".json"), files, args.metric, args.difference, command_line())
            rows = _train(args, output)
    if not args.former and any(row.failures for row in rows):
        sys.exit(1)


def _train(args, output):
    from rdet.analysis.alone import alone
    from rdet.analysis.compare.prepare import prepare
    from rdet.analysis.compare.run import add_costs, rows_of, train_all
    from rdet.commands import TRAIN_COMMAND

    with alone(args.work_dir, "rdet compare") as lock:  # before configs are written, which another one may train
        variants, shares = prepare(args.configs, args.swap, args.cfg_options, args.work_dir / "configs")
        rows = rows_of(variants, shares)
        train_all(
            variants,
            rows,
            args.seeds,
            args.work_dir,
            TRAIN_COMMAND,
            args.jobs,
            after_each=lambda: output.keep(rows),
            lock=lock,
        )
        output.write(rows)  # before the costs, which may fail
        if args.rounds:
            add_costs(rows, variants, args.rounds)
        output.show(rows)
    return rows
