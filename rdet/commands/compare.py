"""Train several configs with several seeds and tabulate them: rdet compare BASE CONFIG ... --seeds 0 1"""

from pathlib import Path

from rdet.args import (
    ArgumentParser,
    add_cfg_options,
    between,
    config_to_read,
    file_to_write,
    folder_to_write,
    path_of,
    seed,
)


def parse_args():
    parser = ArgumentParser("Train and compare detectors; run it again to go on where it stopped")
    parser.add_argument(
        "configs", nargs="+", type=path_of(config_to_read), help="configs; the first is the base of the comparison"
    )
    parser.add_argument("--seeds", nargs="+", type=seed, default=[0, 1], help="seeds of each (default: 0 1)")
    parser.add_argument(
        "--work-dir", type=path_of(folder_to_write), default=Path("work_dirs/compare"), help="where the runs are kept"
    )
    parser.add_argument(
        "--out", type=path_of(file_to_write), help="where results go, .json and .md (default: WORK_DIR/results)"
    )
    parser.add_argument(
        "--rounds", type=between(0, 1000), default=5, help="timings of each detector; 0: no costs (default: 5)"
    )
    add_cfg_options(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()

    import json
    import sys

    from rdet.analysis.compare import add_costs, compare, markdown_table
    from rdet.apis.cli import one_line_errors
    from rdet.commands import TRAIN_COMMAND
    from rdet.files import write_text

    def write(rows: list[dict]) -> None:
        out = args.out or args.work_dir / "results"
        write_text(out.with_suffix(".json"), json.dumps(rows, indent=1) + "\n")
        write_text(out.with_suffix(".md"), markdown_table(rows) + "\n")

    with one_line_errors():
        rows = compare(args.configs, args.seeds, args.work_dir, TRAIN_COMMAND, args.cfg_options)
        write(rows)  # before the costs, which may fail
        if args.rounds:
            add_costs(rows, args.configs, args.rounds, args.cfg_options)
            write(rows)
        print(markdown_table(rows))
    if any("failed" in result for row in rows for result in row["seeds"].values()):
        sys.exit(1)
