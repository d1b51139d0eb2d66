"""Generate the small detection data set that the quickstart trains on: no download, a few seconds.

rdet make-quickstart [data/quickstart]
"""

from pathlib import Path

from rdet.args import ArgumentParser, between, folder_to_write, path_of, seed


def parse_args():
    parser = ArgumentParser("Generate the quickstart's detection data set in COCO's format")
    parser.add_argument(
        "out", nargs="?", type=path_of(folder_to_write), default=Path("data/quickstart"), help="folder to write to"
    )
    parser.add_argument("--train", type=between(1, 10**6), default=600, help="number of training images")
    parser.add_argument("--val", type=between(1, 10**6), default=150, help="number of validation images")
    parser.add_argument("--size", type=between(32, 4096), default=256, help="height and width of the images in pixels")
    parser.add_argument("--seed", type=seed, default=0, help="another seed gives other images")
    return parser.parse_args()


def main() -> None:
    args = parse_args()

    from rdet.apis.cli import one_line_errors
    from rdet.datasets.synthetic import CLASSES, make_synthetic_coco

    with one_line_errors():
        splits = make_synthetic_coco(args.out, args.train, args.val, args.size, args.seed)
        if splits is None:
            print(f"{args.out} is complete: nothing to do")
            return
        counts = ", ".join(
            f"{len(coco['images'])} {name} images with {len(coco['annotations'])} boxes"
            for name, coco in splits.items()
        )
        print(f"{args.out}: {counts}, classes {', '.join(CLASSES)}")
