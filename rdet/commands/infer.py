"""Detect objects in pictures and videos: rdet infer [CONFIG] CHECKPOINT INPUT..."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rdet.args import (
    ArgumentParser,
    add_cfg_options,
    add_slices,
    check_slices,
    config_to_read,
    count,
    existing,
    folder_to_write,
    score,
)

if TYPE_CHECKING:
    from rdet.apis.infer.sources import Source

# What can be written; rdet/apis/infer/writers has a class for each.
FORMATS = ("coco", "json", "yolo", "voc", "csv", "pictures", "video", "crops")
_PICTURES = ("pictures", "video")
_CHECKPOINTS = (".pth", ".pt", ".pkl", ".ckpt", ".weights", ".onnx", ".xml", ".pt2")


def parse_args():
    parser = ArgumentParser("Detect objects in pictures and videos")
    parser.add_argument(
        "words",
        nargs="+",
        metavar="[CONFIG] CHECKPOINT INPUT",
        help="a config (a file, or a name of 'rdet configs'; default: that of the checkpoint); a checkpoint (a path, "
        "an address, or a name such as mmdet://atss_r50_fpn_1x_coco) or a file of 'rdet export'; and one or more of: "
        "an image, a video, a folder, a glob in quotes, an address (http://, rtsp://), the number of a camera, @FILE "
        "with one of these a line",
    )
    parser.add_argument(
        "--out-dir", type=folder_to_write, default="detections", help="where results go (default: detections)"
    )
    parser.add_argument(
        "--to",
        nargs="+",
        choices=FORMATS,
        metavar="FORMAT",
        help=f"what is written: {', '.join(FORMATS)} (default: coco pictures video)",
    )
    parser.add_argument("--no-pictures", action="store_true", help="draw no pictures and no videos")
    parser.add_argument("--crops", action="store_true", help="write each object, cut out, in a folder of its class")
    parser.add_argument("--score-thr", type=score, default=0.3, help="draw and write detections of at least this score")
    parser.add_argument("--classes", nargs="+", metavar="NAME", help="draw and write these classes alone")
    parser.add_argument(
        "--batch-size", type=count, default=1, help="images of one size, or slices, that run together (default: 1)"
    )
    parser.add_argument(
        "--max-size",
        type=count,
        metavar="PIXELS",
        help="longer side of an image for the network (default: the config's)",
    )
    add_slices(parser)
    parser.add_argument(
        "--explain",
        type=count,
        metavar="N",
        help="draw what the scores of the best N boxes of each image depend on, in the folder 'explained' "
        "(pip install grad-cam)",
    )
    parser.add_argument("--device", help="cpu, cuda:0 ... (default: a GPU if there is one)")
    parser.add_argument("--amp", action="store_true", help="bfloat16: faster where the processor has it")
    add_cfg_options(parser)
    parser.usage = "%(prog)s [options] [CONFIG] CHECKPOINT INPUT [INPUT ...]"
    args = parser.parse_args()
    _divide(parser, args)
    check_slices(parser, args)
    for name in ("slice", "amp"):
        if args.explain and getattr(args, name):
            parser.error(f"--explain looks at whole images in float32; leave out --{name}")
    formats = args.to or ["coco", *_PICTURES]
    args.formats = [name for name in formats if not (args.no_pictures and name in _PICTURES)] + ["crops"] * args.crops
    if not args.formats and not args.explain:
        parser.error("--no-pictures leaves nothing to write; give another format after --to")
    return args


def _divide(parser: ArgumentParser, args: argparse.Namespace) -> None:
    """Tell config, checkpoint and inputs apart: the first of two words is a checkpoint, and one that looks like one."""
    words = args.words
    alone = len(words) < 3 or ("://" in words[0] and not words[0].startswith("rdet::"))
    alone = alone or (words[0].lower().endswith(_CHECKPOINTS) and not words[1].lower().endswith(_CHECKPOINTS))
    config, rest = (None, words) if alone else (words[0], words[1:])
    if len(rest) < 2:
        parser.error("the following arguments are required: input")
    for name, kind, text in (("config", config_to_read, config), ("checkpoint", existing, rest[0])):
        try:
            setattr(args, name, None if text is None else kind(text))
        except argparse.ArgumentTypeError as error:
            parser.error(f"argument {name}: {error}")
    try:
        args.inputs = [text if text.startswith("@") else existing(text) for text in rest[1:]]
    except argparse.ArgumentTypeError as error:
        parser.error(f"argument input: {error}")


def main() -> None:
    args = parse_args()

    import torch

    from rdet.apis.cli import one_line_errors, parse_options
    from rdet.apis.infer.run import Settings, check_out_dir, detect, labels_of
    from rdet.apis.infer.sources import find_sources, is_alone
    from rdet.apis.infer.writers import make_writers
    from rdet.apis.inference import init_detector
    from rdet.deploy.loading import device_for

    with one_line_errors():
        if args.explain:
            from rdet.apis.infer.activation_maps import check_grad_cam

            check_grad_cam()
        sources = find_sources(args.inputs)
        check_out_dir(args.out_dir, sources)
        if args.explain:
            _check_explained(args, sources)
        device = args.device or device_for(args.checkpoint)
        model = init_detector(args.config, args.checkpoint, device, parse_options(args.cfg_options))
        labels_of(args.classes, model.classes)
        if args.max_size:
            _say_what_is_overridden(model.cfg, args.max_size)
        model.optimize_for_inference(torch.bfloat16 if args.amp else None)
        settings = Settings(
            score_thr=args.score_thr,
            classes=args.classes,
            batch_size=args.batch_size,
            max_size=args.max_size,
            slice_size=args.slice,
            overlap=args.overlap,
            whole=not args.no_whole,
        )
        writers = make_writers(args.formats, Path(args.out_dir), model.classes)
        if args.explain:
            from rdet.apis.infer.writers.explained import ExplanationWriter

            writers.append(ExplanationWriter(Path(args.out_dir), model, args.explain))
        done = detect(model, sources, writers, settings, progress=True, strict=is_alone(sources))
        print(f"{done.detections} detections in {done.images} images: {args.out_dir}")
        if done.failed:
            for reason in done.failed.values():
                print(f"error: {reason}", file=sys.stderr)
            sys.exit(1)


def _check_explained(args: argparse.Namespace, sources: Sequence["Source"]) -> None:
    """Raise ConfigError if nothing can be explained, and say what is left out."""
    from rdet.deploy.loading import is_exported
    from rdet.errors import ConfigError

    if is_exported(args.checkpoint):
        raise ConfigError(f"--explain looks into the network, and {args.checkpoint} is closed; give a checkpoint")
    videos = [source.name for source in sources if source.is_video]
    if len(videos) == len(sources):
        raise ConfigError(f"--explain is of images, and {videos[0]} is a video; give images, or leave it out")
    if videos:
        print(f"--explain is of images: {len(videos)} of the inputs are videos, whose frames are not explained")


def _say_what_is_overridden(cfg, max_size: int) -> None:
    from rdet.apis.infer.pipeline import is_resize, steps_of

    before = [f"{step.get('scale')}" for step in steps_of(cfg) if is_resize(step)]
    instead = f"instead of Resize to {' and '.join(before)}" if before else "where the config has no Resize"
    print(f"--max-size: the longer side of an image is {max_size} pixels, {instead}")
