"""Write a detector as a file of another runtime, compared with it at once: rdet export [CONFIG] CHECKPOINT"""

import argparse

from rdet.args import (
    ArgumentParser,
    add_cfg_options,
    between,
    config_to_read,
    count,
    existing,
    file_to_write,
    height_and_width,
)

# What rdet/deploy/formats.py writes; here since --help must not load it.
FORMATS = ("onnx", "openvino", "torchscript", "exported_program", "tensorrt-ready")


def parse_args():
    parser = ArgumentParser("Write a detector as a file of another runtime, and compare it with the detector")
    parser.add_argument(
        "words",
        nargs="+",
        metavar="[CONFIG] CHECKPOINT",
        help="a config (file, or name of 'rdet configs'; default: that of the checkpoint) and a checkpoint (a path, "
        "an address, or a name such as mmdet://atss_r50_fpn_1x_coco)",
    )
    parser.add_argument("--format", choices=FORMATS, default="onnx", help="kind of file (default: onnx)")
    parser.add_argument(
        "--head",
        choices=("raw", "decoded", "end2end"),
        default="end2end",
        help="where it ends: outputs of the head, boxes before suppression, or detections (default: end2end)",
    )
    parser.add_argument("--out", type=file_to_write, metavar="FILE", help="(default: the checkpoint's name, here)")
    parser.add_argument(
        "--size",
        type=_size,
        default=None,
        metavar="WIDTHxHEIGHT",
        help="of its images; or 'dynamic' (default: dynamic)",
    )
    parser.add_argument("--batch", type=_batch, default=None, help="images at once; or 'dynamic' (default: dynamic)")
    parser.add_argument("--opset", type=between(18, 23), help="of ONNX, 18 to 23 (default: 18)")
    parser.add_argument(
        "--dtype",
        choices=("float32", "float16", "int8"),
        default="float32",
        help="of the weights in an ONNX or OpenVINO file (default: float32); float16 halves its size, and int8 is of "
        "convolutions and what they compute",
    )
    parser.add_argument(
        "--input",
        choices=("uint8", "float32"),
        help="type of its images (default: uint8; tensorrt-ready: float32)",
    )
    group = parser.add_argument_group("int8")
    group.add_argument(
        "--calibration-images",
        type=count,
        metavar="N",
        help="of the config's training set, which tell the ranges of int8 (default: 300)",
    )
    group.add_argument(
        "--max-drop",
        type=_positive,
        metavar="AP",
        help="with --val: AP, from 0 to 1, that int8 may lose; layers are left in float until it does not lose more "
        "(default: 0.005)",
    )
    group.add_argument("--seed", type=between(0, 2**31 - 1), help="which images of the training set (default: 0)")
    group = parser.add_argument_group("comparison")
    group.add_argument(
        "--images", nargs="+", type=existing, metavar="INPUT", help="to compare on (default: of the config's val data)"
    )
    group.add_argument("--num-images", type=count, help="how many of them (default: 8)")
    group.add_argument("--val", action="store_true", help="evaluate both on the config's val data, too")
    group.add_argument(
        "--tolerance",
        nargs=2,
        type=_positive,
        metavar=("PIXELS", "SCORE"),
        help="largest difference of boxes and scores (default: 0.05 0.001; with float16: 1 0.02; int8 is judged by AP "
        "alone, with --val)",
    )
    group.add_argument("--no-compare", action="store_true", help="write the file without a look at what it finds")
    add_cfg_options(parser)
    parser.usage = "%(prog)s [options] [CONFIG] CHECKPOINT"
    args = parser.parse_args()
    _divide(parser, args)
    if args.no_compare and (args.val or args.images or args.tolerance or args.num_images):
        parser.error("--no-compare leaves out what --images, --num-images, --tolerance and --val are of; give one")
    if args.opset is not None and args.format in ("torchscript", "exported_program"):
        parser.error(f"--opset is of ONNX, which --format {args.format} is not made of; leave it out")
    _check_int8(parser, args)
    args.opset, args.num_images = args.opset or 18, args.num_images or 8
    if args.tolerance is None:
        args.tolerance = [0.05, 0.001] if args.dtype == "float32" else [1.0, 0.02]
    return args


def _check_int8(parser: ArgumentParser, args: argparse.Namespace) -> None:
    """Refuse options that nothing would read, and set what int8 takes without them."""
    if args.dtype != "int8":
        given = {"--calibration-images": args.calibration_images, "--max-drop": args.max_drop, "--seed": args.seed}
        for name in [name for name, value in given.items() if value is not None]:
            parser.error(f"{name} is of --dtype int8; add it, or leave out {name}")
    elif args.format not in ("onnx", "openvino"):
        parser.error(f"--dtype int8 is of --format onnx or openvino, not of {args.format}")
    elif args.tolerance is not None:
        parser.error("--dtype int8 is judged by the AP that it loses, not by --tolerance; give --val and --max-drop")
    elif args.max_drop is not None and not args.val:
        parser.error("--max-drop is of the AP that --val measures; add --val")
    args.calibration_images = args.calibration_images or 300
    args.max_drop = args.max_drop or 0.005
    args.seed = args.seed or 0


def _divide(parser: ArgumentParser, args: argparse.Namespace) -> None:
    """Tell config and checkpoint apart."""
    if len(args.words) > 2:
        parser.error(f"{args.words[2]!r} is one argument too many; give [CONFIG] CHECKPOINT")
    config, checkpoint = args.words if len(args.words) == 2 else (None, args.words[0])
    for name, kind, text in (("config", config_to_read, config), ("checkpoint", existing, checkpoint)):
        try:
            setattr(args, name, None if text is None else kind(text))
        except argparse.ArgumentTypeError as error:
            parser.error(f"argument {name}: {error}")


def _size(text: str) -> tuple[int, int] | None:
    """Read ``WIDTHxHEIGHT``, one number for both, or ``dynamic``; return height and width."""
    return None if text == "dynamic" else height_and_width(text, 16, 16384)


def _batch(text: str) -> int | None:
    """Read a number of images, or ``dynamic``."""
    return None if text == "dynamic" else between(1, 4096)(text)


def _positive(text: str) -> float:
    """Read a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text[:100]!r} must be a number above 0")
    return value


def main() -> None:
    args = parse_args()

    from rdet.apis.cli import one_line_errors, parse_options

    with one_line_errors():
        from rdet.apis.inference import init_detector
        from rdet.deploy.command import export_and_compare

        model = init_detector(args.config, args.checkpoint, "cpu", parse_options(args.cfg_options))
        export_and_compare(model, args)
