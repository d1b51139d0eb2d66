"""Count parameters and operations of a detector: get_flops.py CONFIG"""

import argparse

from rdet.args import ArgumentParser, add_cfg_options, config_to_read, count


def parse_args() -> argparse.Namespace:
    parser = ArgumentParser("Count parameters and floating-point operations of a detector")
    parser.add_argument("config", type=config_to_read, help="config file, or a name that 'rdet configs' lists")
    parser.add_argument(
        "--num-images", type=count, default=100, help="of the test data, over which operations are averaged (100)"
    )
    parser.add_argument(
        "--shape", nargs="+", type=count, metavar="PIXELS", help="height and width (or one for both) instead of images"
    )
    add_cfg_options(parser)
    args = parser.parse_args()
    if args.shape and len(args.shape) > 2:
        parser.error("--shape takes a height and a width, or one number for both")
    return args


def main() -> None:
    args = parse_args()

    from rdet.analysis.operations import operations_at, operations_on_images
    from rdet.apis.cli import load_run_config, one_line_errors

    with one_line_errors():
        cfg = load_run_config(args.config, args.cfg_options, None)
        if args.shape:
            print(operations_at(cfg, (args.shape[0], args.shape[-1])))
        else:
            print(operations_on_images(cfg, args.num_images))
