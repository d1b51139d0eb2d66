"""Reproduce the Focal Loss paper's tables at a small scale: rdet paper run|status|report|figures"""

import os
from pathlib import Path

from rdet.args import ArgumentParser, between, file_to_read, file_to_write, folder_to_write, path_of

TABLES = "1a 1b 1c 1d 3 section_5_1 alpha_sweep star_sweep"
# The commands that read an option; --work-dir and --results are of all.
READ_BY = {
    "rows": ("run", "status", "report"),
    "data": ("run", "figures"),
    "jobs": ("run",),
    "seeds": ("run", "status", "report"),
    "out": ("report",),
    "figures": ("report", "figures"),
    "checkpoint": ("figures",),
}


def parse_args():
    parser = ArgumentParser(__doc__.split(":")[0])
    parser.add_argument("command", choices=["run", "status", "report", "figures"], help="run goes on where it stopped")
    parser.add_argument("rows", nargs="*", help=f"tables ({TABLES}) or rows; default: all")
    parser.add_argument(
        "--work-dir", type=path_of(folder_to_write), default=Path("work_dirs/paper"), help="where trainings are kept"
    )
    parser.add_argument(
        "--results", type=path_of(file_to_write), help="json of all outcomes (default: WORK_DIR/results.json)"
    )
    parser.add_argument(
        "--data", type=path_of(folder_to_write), help="data set; made if it is not there (default: data/paper)"
    )
    parser.add_argument("--jobs", type=between(1, 1024), help="trainings at a time (default: one a core)")
    parser.add_argument("--seeds", type=between(1, 100), help="seeds of each row (default: three; star_sweep one)")
    parser.add_argument("--out", type=path_of(file_to_write), help="report: Markdown file to write (default: printed)")
    parser.add_argument(
        "--figures", type=path_of(folder_to_write), help="folder of the figures (default: WORK_DIR/figures)"
    )
    parser.add_argument(
        "--checkpoint", type=path_of(file_to_read), help="figures: model of configs/paper/small.py for Figure 4"
    )
    args = parser.parse_args()
    for name, commands in READ_BY.items():
        if getattr(args, name) not in (None, []) and args.command not in commands:
            option = "rows" if name == "rows" else f"--{name}"
            parser.error(f"{args.command} reads no {option}; {' and '.join(commands)} do; leave it out")
    args.data = args.data or Path("data/paper")
    args.jobs = (os.cpu_count() or 1) if args.jobs is None else args.jobs
    return args


def main() -> None:
    args = parse_args()
    if args.command == "run":  # the trainings share the cores; they read it when they import torch
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // args.jobs)))

    from dataclasses import replace

    from rdet.analysis.paper.rows import ROWS, rows_of
    from rdet.analysis.paper.suite import Results, Suite
    from rdet.apis.cli import one_line_errors
    from rdet.commands import TRAIN_COMMAND, command_line
    from rdet.config_files import CONFIGS
    from rdet.files import write_text

    with one_line_errors():
        rows = rows_of(args.rows) if args.rows else list(ROWS)
        if args.seeds is not None:
            rows = [replace(row, seeds=args.seeds) if row.seeds else row for row in rows]
        results = Results(args.results or args.work_dir / "results.json")
        suite = Suite(CONFIGS / "paper", args.work_dir, results)
        if args.command == "run":
            suite.run(rows, TRAIN_COMMAND, args.data, args.jobs)
        elif args.command == "status":
            from rdet.analysis.paper.report import status

            print(status(suite, rows))
        elif args.command == "report":
            from rdet.analysis.paper.report import report

            figures = args.figures or args.work_dir / "figures"
            text = report(suite, rows, figures / "figure_4.json", command_line())
            if args.out:
                write_text(args.out, text)
            else:
                print(text)
        else:
            from rdet.analysis.paper.figures import write_figures

            write_figures(suite, args.figures or args.work_dir / "figures", args.checkpoint, args.data)
