"""Plot what trainings logged, or time their iterations: analyze_logs.py plot_curve|cal_train_time LOG ..."""

import argparse
import sys
from pathlib import Path

from rdet.args import PLOT, ArgumentParser, count, existing, file_ending_in, path_of

TASKS = {"plot_curve": "draw numbers over the iterations", "cal_train_time": "say how long an iteration took"}


def parse_args() -> argparse.Namespace:
    task = next((word for word in sys.argv[1:] if not word.startswith("-")), None)
    parser = ArgumentParser("Plot what trainings logged (plot_curve), or time their iterations (cal_train_time)")
    parser.add_argument("task", choices=TASKS, help="; ".join(f"{name}: {does}" for name, does in TASKS.items()))
    parser.add_argument(
        "json_logs", nargs="+", type=path_of(existing), metavar="LOG", help="vis_data/scalars.json, or a work dir"
    )
    if task != "cal_train_time":
        parser.add_argument("--keys", nargs="+", default=["bbox_mAP"], help="numbers to plot (default: bbox_mAP)")
        parser.add_argument("--legend", nargs="+", metavar="NAME", help="of each line: one for each log and key")
        parser.add_argument("--title", default="", help="of the plot")
        parser.add_argument(
            "--out",
            type=path_of(file_ending_in(*PLOT)),
            default=Path("curves.png"),
            metavar="FILE",
            help="the picture: .png, .svg, .pdf (default: curves.png)",
        )
        parser.add_argument("--start", type=count, default=1, help="first step that is shown, an iteration or an epoch")
    if task != "plot_curve":
        parser.add_argument("--include-outliers", action="store_true", help="count the first line, too")
    args = parser.parse_args()
    if task == "plot_curve" and args.legend and len(args.legend) != len(args.json_logs) * len(args.keys):
        parser.error(f"--legend needs {len(args.json_logs) * len(args.keys)} names, one for each log and key")
    return args


def main() -> None:
    args = parse_args()

    from rdet.analysis.train_logs import read_log
    from rdet.apis.cli import one_line_errors
    from rdet.visualization.plots import plot_series, save_plot

    with one_line_errors():
        logs = [read_log(path) for path in args.json_logs]
        if args.task == "cal_train_time":
            for log in logs:
                print(log.time_summary(args.include_outliers))
            return
        several = len(logs) > 1
        usual = [f"{path.name}: {key}" if several else key for path in args.json_logs for key in args.keys]
        names = args.legend or usual
        found = [log.series(key) for log in logs for key in args.keys]
        shown = {name: (x[x >= args.start], y[x >= args.start]) for name, (x, y) in zip(names, found, strict=True)}
        save_plot(args.out, plot_series(shown, args.title))
        print(f"{len(shown)} curves: {args.out}")
