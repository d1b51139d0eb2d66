"""Time a detector on the images it is tested with: benchmark.py CONFIG [--checkpoint FILE]"""

import argparse

from rdet.args import ArgumentParser, add_cfg_options, between, config_to_read, count, existing


def parse_args() -> argparse.Namespace:
    parser = ArgumentParser("Measure images a second, latency and memory of a detector; loading is not counted")
    parser.add_argument("config", type=config_to_read, help="config file, or a name that 'rdet configs' lists")
    parser.add_argument("--checkpoint", type=existing, help="its weights (default: random ones, which cost the same)")
    parser.add_argument("--max-iter", type=count, default=100, help="timed calls (default: 100)")
    parser.add_argument("--num-warmup", type=between(0, 10_000), default=5, help="calls before that (default: 5)")
    parser.add_argument("--repeat-num", type=count, default=1, help="how often all is measured (default: 1)")
    parser.add_argument("--batch-size", type=count, default=1, help="images of a call (default: 1)")
    parser.add_argument("--device", help="cpu, cuda:0 ... (default: a GPU if there is one)")
    parser.add_argument("--amp", action="store_true", help="bfloat16: faster where the processor has it")
    parser.add_argument(
        "--fuse-conv-bn", action="store_true", help="fold normalisations into convolutions, as 'rdet infer' does"
    )
    add_cfg_options(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()

    import torch
    from mmengine.device import get_device

    from rdet.analysis.speed import measure_speed, test_batches
    from rdet.apis.build import build_datasets, build_detector
    from rdet.apis.cli import load_run_config, one_line_errors, parse_options
    from rdet.apis.inference import init_detector
    from rdet.datasets.summary import classes_of

    with one_line_errors():
        cfg = load_run_config(args.config, args.cfg_options, None)
        dataset = build_datasets(cfg, ("test",)).get("test")
        batches = test_batches(dataset, args.batch_size, args.num_warmup + args.max_iter)
        device = args.device or get_device()
        if args.checkpoint:
            model = init_detector(args.config, args.checkpoint, device, parse_options(args.cfg_options))
        else:
            model = build_detector(cfg, classes_of(dataset)).to(device)
        if args.amp or args.fuse_conv_bn:
            model.optimize_for_inference(torch.bfloat16 if args.amp else None)
        for _ in range(args.repeat_num):
            print(measure_speed(model, batches, args.num_warmup), flush=True)
