"""Convert a checkpoint: rdet convert-checkpoint SOURCE OUT"""

from rdet.args import ArgumentParser, existing, file_to_write


def parse_args():
    parser = ArgumentParser("Convert a checkpoint of another project to rdet's, or one of any to MMDetection's")
    parser.add_argument(
        "source",
        type=existing,
        help="path, address or name (mmdet://..., detectron2://..., torchvision://..., nanodet://..., yolox://...)",
    )
    parser.add_argument("out", type=file_to_write, help="where the converted checkpoint goes")
    parser.add_argument(
        "--from",
        dest="origin",
        choices=["auto", "mmdet", "detectron2", "torchvision", "nanodet", "yolox", "darknet"],
        default="auto",
        help="whose checkpoint it is (default: as the names of its weights say)",
    )
    parser.add_argument(
        "--to", dest="target", choices=["rdet", "mmdet", "yolox", "darknet"], default="rdet", help="whose it becomes"
    )
    parser.add_argument(
        "--style",
        choices=["pytorch", "caffe"],
        help="of a ResNet; the weights do not say it (default: as the checkpoint's config or the file's name says)",
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()

    from rdet.apis.cli import one_line_errors
    from rdet.interop.convert import convert_checkpoint

    with one_line_errors():
        print(convert_checkpoint(args.source, args.out, args.origin, args.target, args.style))
