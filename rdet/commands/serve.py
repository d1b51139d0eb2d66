"""Detect objects for programs and browsers, over HTTP: rdet serve [CONFIG] MODEL"""

import argparse
import gc
import sys
from pathlib import Path

from rdet.args import ArgumentParser, add_cfg_options, between, config_to_read, count, existing, milliseconds, score


def parse_args():
    parser = ArgumentParser("Detect objects for programs and browsers, over HTTP")
    parser.add_argument(
        "words",
        nargs="+",
        metavar="[CONFIG] MODEL",
        help="a config (default: that of the checkpoint); a checkpoint: a path, an address, or a name such as "
        "mmdet://atss_r50_fpn_1x_coco; or alone, what 'rdet export' wrote (.onnx, .xml, .pt2)",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to answer at (default: 127.0.0.1, from this machine alone; 0.0.0.0: from any)",
    )
    parser.add_argument("--port", type=between(0, 65535), default=8000, help="default: 8000; 0: any that is free")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name that requests may call the service by, besides localhost; '*': any (default beyond this machine)",
    )
    parser.add_argument(
        "--score-thr", type=score, default=0.3, help="smallest score where a request says none (default: 0.3)"
    )
    parser.add_argument(
        "--max-size",
        type=count,
        metavar="PIXELS",
        help="longer side of an image for the network (default: the config's)",
    )
    group = parser.add_argument_group("many clients")
    group.add_argument(
        "--max-batch", type=between(1, 1024), default=8, help="images of one size that run together (default: 8)"
    )
    group.add_argument(
        "--max-wait",
        type=milliseconds,
        default=5.0,
        metavar="MS",
        help="milliseconds that an image waits for others, where some are to be expected (default: 5)",
    )
    group.add_argument(
        "--max-requests", type=count, default=64, help="that are there at once; others get code 503 (default: 64)"
    )
    group.add_argument(
        "--max-bytes", type=count, default=20 * 2**20, help="of a request, all its images together (default: 20 MiB)"
    )
    group.add_argument(
        "--max-pixels",
        type=count,
        help="of an image (default: 50 million where the config resizes images, else 4 million)",
    )
    parser.add_argument("--device", help="cpu, cuda:0 ... (default: a GPU if there is one)")
    parser.add_argument("--amp", action="store_true", help="bfloat16: faster where the processor has it")
    add_cfg_options(parser)
    parser.usage = "%(prog)s [options] [CONFIG] MODEL"
    args = parser.parse_args()
    _divide(parser, args)
    return args


def _divide(parser: ArgumentParser, args: argparse.Namespace) -> None:
    """Tell config and checkpoint apart."""
    if len(args.words) > 2:
        parser.error(f"{args.words[2]!r} is one argument too many; leave it out")
    config, checkpoint = (None, *args.words) if len(args.words) == 1 else args.words
    for name, kind, text in (("config", config_to_read, config), ("checkpoint", existing, checkpoint)):
        try:
            setattr(args, name, None if text is None else kind(text))
        except argparse.ArgumentTypeError as error:
            parser.error(f"argument {name}: {error}")


def main() -> None:
    args = parse_args()

    import torch

    from rdet.apis.cli import one_line_errors, parse_options
    from rdet.apis.inference import init_detector
    from rdet.deploy.loading import device_for
    from rdet.errors import MissingModuleError

    with one_line_errors():
        try:
            from rdet.serve.app import make_app
            from rdet.serve.hosts import allowed_names
            from rdet.serve.limits import Limits, default_max_pixels
            from rdet.serve.server import address_of, bound_socket, run
            from rdet.serve.service import Service, Settings
        except ModuleNotFoundError as error:
            raise MissingModuleError(
                f"rdet serve needs the package {error.name}; install it: pip install 'rdet[serve]'"
            ) from error
        listener = bound_socket(args.host, args.port)
        device = args.device or device_for(args.checkpoint)
        model = init_detector(args.config, args.checkpoint, device, parse_options(args.cfg_options))
        model.optimize_for_inference(torch.bfloat16 if args.amp else None)
        max_pixels = args.max_pixels or default_max_pixels(model.cfg, args.max_size)
        service = Service(
            model,
            Limits(args.max_bytes, max_pixels, args.max_requests),
            Settings(args.score_thr, args.max_batch, args.max_wait / 1000, args.max_size),
        )
        name = args.checkpoint if "://" in args.checkpoint else Path(args.checkpoint).name
        app = make_app(service, name, str(device), allowed_names(args.host, args.allow_host))
        gc.freeze()  # what the imports made is looked through neither among requests nor at the end, which took seconds
        print(f"{address_of(listener)} detects {len(service.classes)} classes on {device}; Ctrl-C ends it", flush=True)
        run(app, listener)
        print("stopped; all requests were answered", file=sys.stderr)
