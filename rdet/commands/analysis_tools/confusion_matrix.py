"""Draw which class is taken for which: confusion_matrix.py CONFIG RESULTS.json SAVE_DIR"""

import argparse
from pathlib import Path

from rdet.args import ArgumentParser, add_cfg_options, config_to_read, file_to_read, folder_to_write, path_of, score


def parse_args() -> argparse.Namespace:
    parser = ArgumentParser("Draw the confusion matrix of detections, confusion_matrix.png")
    parser.add_argument("config", type=config_to_read, help="config whose test data are the truth")
    parser.add_argument(
        "prediction_path", type=path_of(file_to_read), metavar="RESULTS.json", help="what 'rdet test --out' wrote"
    )
    parser.add_argument("save_dir", type=path_of(folder_to_write), metavar="SAVE_DIR", help="where the picture goes")
    parser.add_argument("--score-thr", type=score, default=0.3, help="least score of a detection (default: 0.3)")
    parser.add_argument("--tp-iou-thr", type=score, default=0.5, help="least IoU with an object (default: 0.5)")
    add_cfg_options(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()

    from rdet.analysis.detections.evaluated import Evaluated, need_hotcoco
    from rdet.analysis.detections.mistakes import confusion
    from rdet.analysis.detections.results import read_detections
    from rdet.apis.cli import one_line_errors
    from rdet.report.make import find_truth
    from rdet.visualization.plots import plot_confusion_matrix, save_plot

    with one_line_errors():
        need_hotcoco()
        truth = find_truth([args.prediction_path], config=args.config, cfg_options=args.cfg_options)
        evaluated = Evaluated(args.prediction_path.stem, truth, read_detections(args.prediction_path, truth))
        found = confusion(evaluated, args.score_thr, args.tp_iou_thr)
        place: Path = args.save_dir / "confusion_matrix.png"
        save_plot(place, plot_confusion_matrix(found.counts, found.classes))
        for thing, taken, times in found.most():
            print(f"{thing} taken for {taken}: {times}")
        print(f"confusion matrix: {place}")
