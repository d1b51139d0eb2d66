"""Evaluate a checkpoint: rdet test CONFIG CHECKPOINT"""

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


def parse_args():
    parser = ArgumentParser("Evaluate a checkpoint")
    parser.add_argument("config", type=config_to_read, help="config file, or a name that 'rdet configs' lists")
    parser.add_argument("checkpoint", type=existing, help="path or address of a checkpoint")
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
    args = parser.parse_args()
    check_slices(parser, args)
    if args.slice and args.tta:
        parser.error("--slice and --tta make views of an image, each in its own way; give one of them")
    return args


def main() -> None:
    args = parse_args()

    from rdet.apis.cli import load_run_config, one_line_errors
    from rdet.apis.data_cfg import evaluator_cfgs, images_of

    with one_line_errors():
        cfg = load_run_config(args.config, args.cfg_options, args.work_dir)
        cfg.load_from = args.checkpoint
        cfg.resume = False
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

        runner = build_runner(cfg, "test", tta=args.tta, launcher=args.launcher)
        if args.slice:
            from rdet.apis.infer.slice_hook import SliceTestHook

            runner.register_hook(SliceTestHook(args.slice, args.overlap, not args.no_whole), "LOWEST")
        runner.test()
        if args.out and is_main_process():
            record = record_of(runner, args.config, args.cfg_options, args.checkpoint, args.tta)
            write_record(record_path(args.out), record)
        places = {"detections": args.out, "pictures": args.show_dir, "log": runner.log_dir}
        if is_main_process():  # printed, as a log of warnings alone would not have it
            print(", ".join(f"{what}: {place}" for what, place in places.items() if place))
        del runner  # which holds what joins the processes
        leave_process_group()
