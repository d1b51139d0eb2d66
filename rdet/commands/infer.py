"""Detect objects in pictures: rdet infer [CONFIG] CHECKPOINT IMAGE_OR_FOLDER"""

import sys

from rdet.args import ArgumentParser, add_cfg_options, config_to_read, existing, folder_to_write, score


def parse_args():
    parser = ArgumentParser("Detect objects in pictures")
    parser.add_argument(
        "config",
        nargs="?",
        type=config_to_read,
        help="config file, or a name of 'rdet configs' (default: the one in the checkpoint)",
    )
    parser.add_argument(
        "checkpoint",
        type=existing,
        help="path or address of a checkpoint, or a name such as mmdet://atss_r50_fpn_1x_coco",
    )
    parser.add_argument("input", type=existing, help="an image, or a folder of images")
    parser.add_argument(
        "--out-dir", type=folder_to_write, default="detections", help="where pictures and detections.json go"
    )
    parser.add_argument("--score-thr", type=score, default=0.3, help="draw and write detections of at least this score")
    parser.add_argument("--device", help="cpu, cuda:0 ... (default: a GPU if there is one)")
    parser.add_argument("--amp", action="store_true", help="bfloat16: faster where the processor has it")
    add_cfg_options(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()

    import torch
    from mmengine.device import get_device

    from rdet.apis.cli import one_line_errors, parse_options
    from rdet.apis.folder import detect_folder
    from rdet.apis.inference import init_detector

    with one_line_errors():
        device = args.device or get_device()
        model = init_detector(args.config, args.checkpoint, device, parse_options(args.cfg_options))
        model.optimize_for_inference(torch.bfloat16 if args.amp else None)
        found = detect_folder(model, args.input, args.out_dir, args.score_thr, progress=True)
        print(f"{len(found['annotations'])} detections in {len(found['images'])} images: {args.out_dir}")
        if failed := found["info"]["failed"]:
            for reason in failed.values():
                print(f"error: {reason}", file=sys.stderr)
            sys.exit(1)
