"""Train a detector: rdet train CONFIG"""

from argparse import BooleanOptionalAction

from rdet.args import ArgumentParser, add_cfg_options, add_launcher, config_to_read, existing, folder_to_write, seed


def parse_args():
    parser = ArgumentParser("Train a detector")
    parser.add_argument("config", type=config_to_read, help="config file, or a name that 'rdet configs' lists")
    parser.add_argument(
        "--work-dir", type=folder_to_write, help="where logs and checkpoints go (default: work_dirs/NAME_OF_CONFIG)"
    )
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        type=existing,
        metavar="PATH",
        help="continue from PATH, or from the work dir's last checkpoint",
    )
    parser.add_argument("--amp", action="store_true", help="mixed precision: bfloat16, unless the config says float16")
    parser.add_argument(
        "--auto-scale-lr",
        action=BooleanOptionalAction,
        default=None,
        help="scale the learning rate to the total batch (default: as the config says, which is on)",
    )
    add_cfg_options(parser)
    add_launcher(parser)
    parser.add_argument("--seed", type=seed, help="seed of weights, data order and augmentation")
    parser.add_argument("--deterministic", action="store_true", help="same seed, same bits")
    return parser.parse_args()


def main() -> None:
    args = parse_args()

    from rdet.apis.cli import load_run_config, one_line_errors

    with one_line_errors():
        cfg = load_run_config(args.config, args.cfg_options, args.work_dir)
        if args.amp:
            cfg.setdefault("optim_wrapper", {})
            cfg.optim_wrapper.type = "AmpOptimWrapper"
        if args.auto_scale_lr is not None:
            cfg.setdefault("auto_scale_lr", {"base_batch_size": 16})
            cfg.auto_scale_lr.enable = args.auto_scale_lr
        if args.resume is not None:
            cfg.resume = True
            cfg.load_from = None if args.resume == "auto" else args.resume
        cfg.setdefault("randomness", {"seed": 0})
        if args.seed is not None:
            cfg.randomness.seed = args.seed
        if args.deterministic:
            cfg.randomness.deterministic = True

        from rdet.apis.build import build_runner
        from rdet.engine.distributed import leave_process_group

        build_runner(cfg, "train", launcher=args.launcher).train()
        leave_process_group()
