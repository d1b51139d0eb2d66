"""Writes one split of a Pascal VOC data set as a COCO json file.

    python tools/dataset_converters/voc_to_coco.py data/bccd ImageSets/Main/train.txt train.json

Read back with CocoDataset, the file gives the very records that VocDataset gives: the same ids,
labels and boxes. Difficult objects become ``iscrowd`` ones, which both training and COCO's
evaluation ignore, and are marked ``difficult`` besides.
"""

import json
from pathlib import Path

from rdet.args import ArgumentParser


def parse_args():
    parser = ArgumentParser("Write one split of a Pascal VOC data set as a COCO json file")
    parser.add_argument("root", help="folder of the data set")
    parser.add_argument("split", help="list of image ids, relative to root")
    parser.add_argument("out", type=Path, help="json file to write")
    parser.add_argument("--classes", nargs="+", help="class names in the order of their labels; default all, sorted")
    parser.add_argument("--img-dir", default="JPEGImages", help="folder of the images, relative to root")
    parser.add_argument("--xml-dir", default="Annotations", help="folder of the xml files, relative to root")
    parser.add_argument(
        "--zero-based", action="store_true", help="the boxes are edges counted from 0, not pixels counted from 1"
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()

    from rdet.apis.cli import one_line_errors

    with one_line_errors():
        convert(args)


def convert(args) -> None:
    from rdet.datasets import VocDataset
    from rdet.files import write_text

    dataset = VocDataset(
        args.split,
        data_root=args.root,
        data_prefix={"img": args.img_dir, "xml": args.xml_dir},
        metainfo={"classes": args.classes} if args.classes else None,
        one_based=not args.zero_based,
        test_mode=True,  # a split without boxes is converted too
    )
    content = dataset.coco_ground_truth()
    for annotation in content["annotations"]:
        annotation["difficult"] = annotation["iscrowd"]
    write_text(args.out, json.dumps(content))
    print(f"{args.out}: {dataset.report.images} images, {len(content['annotations'])} boxes")


if __name__ == "__main__":
    main()
