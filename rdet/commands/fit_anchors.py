"""Fit the sizes of a config's anchors to its training set: rdet fit-anchors CONFIG --out CONFIG_OUT.py"""

from rdet.args import ArgumentParser, add_cfg_options, between, config_to_read, count, file_to_write, seed


def parse_args():
    parser = ArgumentParser("Fit the sizes of anchors to a training set")
    parser.add_argument("config", type=config_to_read, help="config file, or a name that 'rdet configs' lists")
    parser.add_argument(
        "--out",
        type=file_to_write,
        metavar="CONFIG.py",
        help="write a config that inherits CONFIG and has these anchors",
    )
    parser.add_argument(
        "--method", choices=["kmeans", "genetic"], default="genetic", help="genetic refines what k-means finds"
    )
    parser.add_argument(
        "--num-anchors", type=between(1, 100), help="anchors on each level (default: as many as CONFIG has)"
    )
    parser.add_argument("--max-images", type=count, default=2000, help="read at most so many images, drawn at random")
    parser.add_argument("--seed", type=seed, default=0, help="same seed, same anchors")
    add_cfg_options(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()

    from rdet.analysis.fit_anchors import check_anchors, coverage, fit_anchors, training_boxes, write_config
    from rdet.apis.build import build_datasets, build_detector
    from rdet.apis.cli import one_line_errors, parse_options
    from rdet.config import load_config
    from rdet.datasets.summary import classes_of
    from rdet.errors import ConfigError

    with one_line_errors():
        cfg = load_config(args.config, parse_options(args.cfg_options))
        dataset = build_datasets(cfg, ("train",))["train"]
        model = build_detector(cfg, classes_of(dataset))
        generator = model.anchor_generator
        check_anchors(model, args.config)
        boxes = training_boxes(dataset, args.max_images, args.seed)
        place = generator.strides, generator.center_offset
        iou = cfg.model.assigner.get("pos_iou_thr", 0.5)
        before = coverage(boxes, generator.shapes, *place, iou)
        count = generator.num_priors if args.num_anchors is None else args.num_anchors
        sizes = fit_anchors(boxes, *place, count, args.method, args.seed)
        after = coverage(boxes, sizes, *place, iou)

        print(f"{len(boxes)} boxes; recall at IoU {iou}")
        print(f"before ({generator.num_priors} anchors a cell): {before}")
        print(f"after  ({count} anchors a cell): {after}")
        for stride, level in zip(generator.strides, sizes, strict=True):
            print(f"stride {stride}: {', '.join(f'{w:g} x {h:g}' for w, h in level)}")
        if args.out and args.num_anchors is None and after.recall < before.recall:
            raise ConfigError(
                f"{args.out} is not written: these anchors cover fewer boxes than those of {args.config}; keep those, "
                "or give --num-anchors"
            )
        if args.out:
            comment = (
                f"Anchors fitted by tools/fit_anchors.py ({args.method}, seed {args.seed}) to {len(boxes)} boxes:",
                f"best possible recall at IoU {iou} {before.recall:.4f} -> {after.recall:.4f}, "
                f"mean best IoU {before.mean_iou:.4f} -> {after.mean_iou:.4f}.",
                *([f"Fitted with --cfg-options {' '.join(args.cfg_options)}"] if args.cfg_options else []),
            )
            write_config(args.out, args.config, sizes, generator.center_offset, comment)
            print(args.out)
