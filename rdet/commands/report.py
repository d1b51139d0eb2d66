"""Show in one page how good detections are and where they fail: rdet report RESULTS.json --ann FILE.json"""

from pathlib import Path

from rdet.args import (
    PAGE,
    ArgumentParser,
    add_cfg_options,
    between,
    config_to_read,
    existing,
    file_ending_in,
    file_to_read,
    path_of,
)


def parse_args():
    parser = ArgumentParser(
        "Write one HTML page about detections: numbers, classes, curves, kinds of mistakes, the worst images. "
        "Two results files are compared."
    )
    parser.add_argument(
        "results",
        nargs="+",
        type=path_of(file_to_read),
        metavar="RESULTS.json",
        help="one or two files in COCO's results format, of 'rdet test --out', Detectron2, MMDetection or others",
    )
    parser.add_argument(
        "--ann", type=path_of(file_to_read), metavar="FILE.json", help="COCO file with the truth (default: of --config)"
    )
    parser.add_argument("--images", type=path_of(existing), metavar="DIR", help="folder of the images that --ann names")
    parser.add_argument(
        "--config",
        type=config_to_read,
        help="take truth and images of this config's test data (default: what 'rdet test --out' wrote beside RESULTS)",
    )
    parser.add_argument(
        "--out",
        type=path_of(file_ending_in(*PAGE)),
        metavar="FILE.html",
        help="the page (default: report.html beside RESULTS)",
    )
    parser.add_argument(
        "--json", type=path_of(file_ending_in(".json")), metavar="FILE.json", help="write all numbers here, too"
    )
    parser.add_argument("--names", nargs="+", metavar="NAME", help="what to call the detectors (default: their files)")
    parser.add_argument("--title", help="of the page")
    parser.add_argument(
        "--pictures", type=between(0, 1000), default=24, metavar="N", help="how many images are drawn (default: 24)"
    )
    parser.add_argument(
        "--bootstrap",
        type=between(0, 100_000),
        default=300,
        metavar="N",
        help="of two files: how often the images are drawn anew for the intervals; 0: no intervals (default: 300)",
    )
    parser.add_argument(
        "--max-dets", type=between(11, 10_000), default=100, help="detections of an image and class that count (100)"
    )
    add_cfg_options(parser)
    args = parser.parse_args()
    if len(args.results) > 2:
        parser.error(f"{len(args.results)} results files: give one, or two to compare")
    if args.names and len(args.names) != len(args.results):
        parser.error(f"{len(args.names)} --names for {len(args.results)} results; give one for each")
    if args.images and args.ann is None:
        parser.error("--images is the folder of --ann FILE.json; give that too")
    return args


def main() -> None:
    args = parse_args()

    from rdet.analysis.detections.evaluated import need_hotcoco
    from rdet.apis.cli import one_line_errors
    from rdet.report.make import find_truth, make_report

    with one_line_errors():
        need_hotcoco()  # before anything is read
        out: Path = args.out or args.results[0].with_name("report.html")
        truth = find_truth(args.results, args.ann, args.images, args.config, args.cfg_options)
        models = make_report(
            args.results,
            truth,
            out,
            args.names,
            args.title,
            args.pictures,
            args.bootstrap,
            args.max_dets,
            args.json,
        )
        for model in models:
            for note in model.evaluated.detections.notes:
                print(f"{model.name}: {note}")
            best, ap = model.best.threshold, model.evaluated.metrics["AP"]
            print(f"{model.name}: AP {ap:.3f}, best score threshold {best:.2f}")
        print(f"report: {out} ({out.stat().st_size / 1e6:.1f} MB)")
