"""Evaluate a checkpoint: rdet test CONFIG CHECKPOINT, or an exported file: rdet test [CONFIG] FILE"""

import argparse

from rdet.args import (
    ArgumentParser,
    add_cfg_options,
    add_launcher,
    add_slices,
    check_slices,
    config_to_read,
    existing,
    file_ending_in,
    folder_to_write,
)
from rdet.errors import ConfigError

_EXPORTED = (".onnx", ".xml", ".pt2")


def parse_args():
    parser = ArgumentParser("Evaluate a checkpoint")
    parser.add_argument(
        "words",
        nargs="+",
        metavar="CONFIG CHECKPOINT",
        help="config file, or a name that 'rdet configs' lists; and path or address of a checkpoint, or a file of "
        "'rdet export', which may stand alone",
    )
    parser.add_argument("--work-dir", type=folder_to_write, help="where logs go (default: work_dirs/NAME_OF_CONFIG)")
    parser.add_argument(
        "--out",
        type=file_ending_in(".json"),
        metavar="FILE.json",
        help="write the detections in COCO's results format, and FILE.run.json for 'rdet report'",
    )
    parser.add_argument(
        "--show-dir", type=folder_to_write, metavar="DIR", help="draw truth and detections of every image"
    )
    parser.add_argument("--amp", action="store_true", help="bfloat16: faster where the processor has it")
    parser.add_argument("--tta", action="store_true", help="detect in several views of each image and merge them")
    add_slices(parser)
    add_cfg_options(parser)
    add_launcher(parser)
    parser.usage = "%(prog)s [options] [CONFIG] CHECKPOINT"
    args = parser.parse_args()
    _divide(parser, args)
    check_slices(parser, args)
    if args.slice and args.tta:
        parser.error("--slice and --tta make views of an image, each in its own way; give one of them")
    return args


def _divide(parser: ArgumentParser, args: argparse.Namespace) -> None:
    """Tell config and checkpoint apart; only an exported file carries what is tested, too."""
    if len(args.words) > 2:
        parser.error(f"{args.words[2]!r} is one argument too many; leave it out")
    if len(args.words) == 1 and not args.words[0].lower().endswith(_EXPORTED):
        parser.error(
            f"the following arguments are required: checkpoint (after the config; only {', '.join(_EXPORTED)} of "
            "'rdet export' stand alone)"
        )
    config, checkpoint = args.words if len(args.words) == 2 else (None, args.words[0])
    for name, kind, text in (("config", config_to_read, config), ("checkpoint", existing, checkpoint)):
        try:
            setattr(args, name, None if text is None else kind(text))
        except argparse.ArgumentTypeError as error:
            parser.error(f"argument {name}: {error}")


def main() -> None:
    args = parse_args()

    from rdet.apis.cli import one_line_errors
    from rdet.apis.data_cfg import evaluator_cfgs, images_of

    with one_line_errors():
        cfg, model = _config_and_file(args)
        if args.out:
            cfg.test_evaluator = evaluator_cfgs(cfg, "test")
            writers = [metric for metric in cfg.test_evaluator if metric["type"] == "CocoMetric"]
            if not writers:
                raise ConfigError("--out needs a CocoMetric as test_evaluator, which writes the detections")
            writers[0]["outfile_prefix"] = args.out
        hooks = [{"type": "DrawHook", "out_dir": args.show_dir, **images_of(cfg, "test")}] if args.show_dir else []
        hooks += [{"type": "AmpTestHook"}] if args.amp else []
        cfg.custom_hooks = [*(cfg.get("custom_hooks") or []), *hooks]

        from mmengine.dist import is_main_process

        from rdet.apis.build import build_runner
        from rdet.apis.run_record import record_of, record_path, write_record
        from rdet.engine.distributed import leave_process_group

        runner = build_runner(cfg, "test", tta=args.tta, launcher=args.launcher, model=model)
        if args.slice:
            from rdet.apis.infer.slice_hook import SliceTestHook

            runner.register_hook(SliceTestHook(args.slice, args.overlap, not args.no_whole), "LOWEST")
        runner.test()
        if args.out and is_main_process():
            record = record_of(runner, args.config or args.checkpoint, args.cfg_options, args.checkpoint, args.tta)
            write_record(record_path(args.out), record)
        places = {"detections": args.out, "pictures": args.show_dir, "log": runner.log_dir}
        if is_main_process():  # printed, as a log of warnings alone would not have it
            print(", ".join(f"{what}: {place}" for what, place in places.items() if place))
        del runner  # which holds what joins the processes
        leave_process_group()


def _config_and_file(args: argparse.Namespace):
    """Read the config of a test; of an exported file, give what runs it, too, and have its pipeline."""
    import os
    from pathlib import Path

    from rdet.apis.cli import load_run_config, parse_options
    from rdet.deploy.loading import device_for, is_exported, load_exported

    if not is_exported(args.checkpoint):
        if args.config is None:
            raise ConfigError(f"{args.checkpoint} is no file that 'rdet export' wrote; give a config before it")
        cfg = load_run_config(args.config, args.cfg_options, args.work_dir)
        cfg.load_from = args.checkpoint
        cfg.resume = False
        return cfg, None
    from rdet.config import override
    from rdet.deploy.evaluate import with_pipeline

    for name in ("tta", "amp"):
        if getattr(args, name):
            raise ConfigError(f"--{name} is of the network, and {args.checkpoint} is as it was exported; leave it out")
    if args.launcher != "none":
        raise ConfigError(
            f"{args.checkpoint} is an exported file, which is tested in one process; leave out --launcher"
        )
    model = load_exported(args.checkpoint, device_for(args.checkpoint))
    if args.config is None:
        cfg = override(model.config(), parse_options(args.cfg_options))
        cfg.work_dir = args.work_dir or os.path.join("work_dirs", Path(args.checkpoint).stem)
    else:
        cfg = load_run_config(args.config, args.cfg_options, args.work_dir)
    cfg = with_pipeline(cfg, model.metadata.pipeline)
    cfg.load_from = None
    cfg.resume = False
    return cfg, model
