"""Convert a config of MMDetection 3: rdet convert-config SOURCE OUT"""

from rdet.args import ArgumentParser, file_to_read, file_to_write


def parse_args():
    parser = ArgumentParser("Convert a config of MMDetection 3 to one of rdet with the same numbers")
    parser.add_argument(
        "source", type=file_to_read, help="MMDetection's config file; its _base_ files have to be where it says"
    )
    parser.add_argument("out", type=file_to_write, help="where rdet's config goes")
    return parser.parse_args()


def main() -> None:
    args = parse_args()

    from rdet.apis.cli import one_line_errors
    from rdet.interop.mmdet_config import convert_config

    with one_line_errors():
        print(convert_config(args.source, args.out))
