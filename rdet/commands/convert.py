"""Convert a data set to another format: rdet convert FOLDER OUT --to coco|voc|yolo"""

from argparse import BooleanOptionalAction

from rdet.args import ArgumentParser, existing, folder_to_write, path_of


def parse_args():
    parser = ArgumentParser("Convert a data set, with its images, to COCO's, Pascal VOC's or YOLO's format")
    parser.add_argument("source", type=existing, help="folder of the data set; its format is found out")
    parser.add_argument("out", type=path_of(folder_to_write), help="folder to write to, which has to be empty")
    parser.add_argument("--to", dest="target", choices=["coco", "voc", "yolo"], required=True, help="the new format")
    parser.add_argument(
        "--from",
        dest="origin",
        choices=["coco", "yolo", "voc", "csv"],
        help="the format to read, where the folder has several",
    )
    parser.add_argument("--link", action="store_true", help="link to the images instead of copying them")
    parser.add_argument(
        "--one-based",
        action=BooleanOptionalAction,
        default=None,
        help="of xml and csv: pixels are counted from 1, the last one included (default: xml yes, csv no)",
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()

    from rdet.apis.cli import one_line_errors
    from rdet.datasets.folders import look_at
    from rdet.datasets.writers import convert_data

    with one_line_errors():
        found = look_at(args.source, args.origin)
        print(convert_data(found, args.out, args.target, args.link, args.one_based))
