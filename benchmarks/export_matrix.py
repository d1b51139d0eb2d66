"""Exports of detectors in every form, beside the detector: python benchmarks/export_matrix.py CONFIG_OR_CHECKPOINT ...

A checkpoint is compared, and evaluated, on the val data of the config inside it; a config alone gets random weights, as
many classes as each of --classes, and no threshold of the score. Each is exported and compared as `rdet export` does
it: every head, of one size and batch and of any, in every format, on images of the val data, on generated ones of
portrait and landscape, and on a plain one. --many adds files of 1,000 detections. A cell that fails is a row, too.
Prints tables in Markdown; --out has all numbers, and is written after each file.
"""

import argparse
import contextlib
import faulthandler
import io
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from side_by_side import arguments, report

from rdet.apis.cli import parse_options
from rdet.apis.infer.pipeline import steps_of
from rdet.apis.inference import init_detector
from rdet.deploy import formats
from rdet.deploy.command import FileCheck, generated, packed
from rdet.deploy.evaluate import test_data
from rdet.deploy.export import ExportOptions, export_detector
from rdet.deploy.tensor_detector import HEADS, TensorDetector
from rdet.errors import Interrupted, RdetError
from rdet.messages import in_one_line
from rdet.signals import signals_call

MANY = {"score_thr": 0.0, "iou_threshold": 0.9, "max_per_img": 1000}


def detectors(args: argparse.Namespace) -> list[tuple[str, bool, Callable[[dict], Any]]]:
    """Name, whether it is trained, and what makes it of further overrides; for each detector."""
    given = parse_options(args.cfg_options) or {}
    found: list[tuple[str, bool, Callable[[dict], Any]]] = []
    for word in args.detectors:
        if not word.endswith(".py"):
            found.append((Path(word).stem, True, partial(_made, None, word, given)))
            continue
        for number in args.classes:
            fixed = {"model.num_classes": number, "model.postprocess.score_thr": 0.0} | given
            found.append((f"{Path(word).stem}, K = {number}", False, partial(_made, word, None, fixed)))
    return found


def _made(config: str | None, checkpoint: str | None, fixed: dict, more: dict) -> Any:
    torch.manual_seed(0)
    model = init_detector(config, checkpoint, "cpu", fixed | more)
    if checkpoint is None:
        spread_out(model)
    return model


@torch.no_grad()
def spread_out(model: Any) -> None:
    """Have random weights find boxes and scores that differ: of equal ones, rounding would choose."""
    drawn = [torch.from_numpy(picture).permute(2, 0, 1) for picture in generated(2, model.cfg)]
    filled = torch.stack([F.pad(picture, (0, 352 - picture.shape[2], 0, 352 - picture.shape[1])) for picture in drawn])
    sizes = torch.tensor([picture.shape[1:] for picture in drawn])
    seen = TensorDetector(model, "raw").normalized(filled, sizes)
    norms = [module for module in model.modules() if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)]
    for norm in norms:  # else deep networks give nearly nothing
        norm.train()
        norm.momentum = 1.0
    model(seen)
    model.eval()
    weights = [weight for weight in model.bbox_head.parameters() if weight.dim() > 1]
    for _ in range(60):
        spread = model(seen).logits.flatten(0, 1).std(dim=0).mean()
        if 0.5 < spread < 1.5:
            break
        for weight in weights:
            weight.mul_(1.1 if spread < 1 else 0.95)
    # A class of 1 % times an object of 1 % is near the tolerance of a score.
    rare = [bias for name, bias in model.bbox_head.named_parameters() if name.endswith("bias") and bias.max() < -1]
    for _ in range(4):
        scores = TensorDetector(model, "decoded")(filled, sizes)[1]
        if scores.topk(min(100, scores.shape[1]), dim=1).values.min() > 0.01:
            break
        for bias in rare:
            bias.mul_(0.5)


def pictures(model: Any, trained: bool, folder: Path) -> list[str]:
    """Write what to compare on: some of the val data's images, generated ones and a plain one; their paths."""
    paths = []
    if trained:
        dataset = test_data(model.cfg)
        paths = [
            dataset.get_data_info(index)["img_path"] for index in range(0, len(dataset), max(len(dataset) // 3, 1))
        ]
    for index, image in enumerate([*generated(4, model.cfg), np.full((97, 61, 3), 127, dtype=np.uint8)]):
        paths.append(str(folder / f"{index}.png"))
        cv2.imwrite(paths[-1], image)
    return paths


def cell(model: Any, options: ExportOptions, check: FileCheck, out: Path) -> dict[str, Any]:
    """Export once: what was measured, and why there is no file."""
    row: dict[str, Any] = {"head": options.head, "size": options.size, "batch": options.batch, "format": options.format}
    check.difference = check.metrics = None
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            export_detector(model, out, options, check)
    except RdetError as error:
        row["refused"] = str(error)
    except Exception as error:  # a defect, which is not to end the others
        row["refused"] = in_one_line(f"{type(error).__name__}: {error}")
    if check.difference is not None:
        seen = check.difference
        row |= {"found": seen.found, "pixels": seen.boxes, "score": seen.scores, "at_an_edge": seen.on_the_edge}
        row |= {"unlike": seen.unlike, "empty": seen.empty, "megabytes": check.megabytes}
    if check.metrics is not None:
        row["ap"] = [
            100 * next(value for name, value in of.items() if name.rpartition("/")[2] == "bbox_mAP")
            for of in check.metrics
        ]
    print(line(row), flush=True)
    return row


def rows_of(
    name: str, trained: bool, make: Callable[[dict], Any], args: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Measure all cells of a detector, one by one."""
    print(f"\n{name}\n\n{HEADER}", flush=True)
    for more in ({}, MANY) if args.many else ({},):
        model = make({f"model.postprocess.{key}": value for key, value in more.items()})
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            images = pictures(model, trained, folder)
            asked = {"images": images, "num_images": len(images), "tolerance": (0.05, 1e-3), "dtype": "float32"}
            asked |= {"val": trained and args.val and not more, "max_drop": 0.0}
            for shape in args.shapes:
                size, batch = (padded_size(model, images), 1) if shape == "static" else (None, None)
                check = FileCheck(model, argparse.Namespace(**asked), folder / name)
                for head in args.heads if not more else ("end2end",):
                    # Both formats of ONNX share its model, which takes nearly all of the time.
                    with mock.patch.object(formats, "onnx_model", _once(formats.onnx_model)):
                        for kind in args.formats:
                            options = ExportOptions(kind, head, size, batch)
                            row = cell(model, options, check, folder / f"{kind}")
                            about = {"detector": name, "trained": trained, "classes": len(model.classes)}
                            yield {**about, "many": bool(more), **row}


def padded_size(model: Any, images: list[str]) -> tuple[int, int]:
    """Height and width that the network sees of the first image."""
    (first,) = packed(model.cfg, steps_of(model.cfg), images[:1], 1)
    divisor = model.data_preprocessor.pad_size_divisor
    height, width = (-(-side // divisor) * divisor for side in first["inputs"].shape[1:])
    return height, width


def _once(make: Callable[..., Any]) -> Callable[..., Any]:
    kept: list[Any] = []

    def model_of(job: Any, halve: bool = True) -> Any:
        if not kept:
            kept.append(make(job, halve))
        return kept[0]

    return model_of


HEADER = """| head | sizes | format | detections | at an edge | images without | px | score | AP of torch, file | MB | |
|---|---|---|---|---|---|---|---|---|---|---|"""


def line(row: dict[str, Any]) -> str:
    """A row of the table."""
    size = "any" if row["size"] is None else f"{row['size'][1]}x{row['size'][0]}, 1"
    cells = [row["head"], size, row["format"], *("-" * 7), row.get("refused", "").replace("|", "/")]
    if "found" in row:
        cells[3:8] = [row["found"], row["at_an_edge"], row["empty"], f"{row['pixels']:.1g}", f"{row['score']:.1g}"]
        cells[9] = f"{row['megabytes']:.1f}"
    if "ap" in row:
        cells[8] = "{:.3f}, {:.3f}".format(*row["ap"])
    return f"| {' | '.join(str(value) for value in cells)} |"


def summary(rows: list[dict[str, Any]]) -> str:
    """A table of the worst over the cells of each detector."""
    lines = ["| | files, refused | detections | px | score | at an edge | difference of AP |", f"|{'---|' * 7}"]
    for name in dict.fromkeys(row["detector"] for row in rows):
        own = [row for row in rows if row["detector"] == name]
        seen = [row for row in own if "found" in row] or [dict.fromkeys(("pixels", "score", "found", "at_an_edge"), 0)]
        refused = sum("refused" in row for row in own)
        lost = [abs(row["ap"][0] - row["ap"][1]) for row in own if "ap" in row]
        cells = [name, f"{len(own) - refused}, {refused}", sum(row["found"] for row in seen)]
        cells += [f"{max(row[key] for row in seen):.1g}" for key in ("pixels", "score")]
        cells += [sum(row["at_an_edge"] for row in seen), f"{max(lost):.3f} of 100" if lost else "-"]
        lines.append(f"| {' | '.join(str(value) for value in cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = arguments("Exports in every form", rounds=1)
    parser.add_argument("detectors", nargs="+")
    parser.add_argument("--classes", nargs="+", type=int, default=[1, 3, 80], help="of random weights")
    parser.add_argument("--heads", nargs="+", choices=HEADS, default=HEADS[::-1])
    parser.add_argument("--shapes", nargs="+", choices=("static", "dynamic"), default=("static", "dynamic"))
    parser.add_argument("--formats", nargs="+", default=("onnx", "openvino", "exported_program"))
    parser.add_argument("--val", action="store_true", help="AP of checkpoints on their val data")
    parser.add_argument("--many", action="store_true")
    parser.add_argument("--cfg-options", nargs="+", default=[])
    args = parser.parse_args()
    if not faulthandler.is_enabled():
        faulthandler.enable()  # a runtime's fault says where
    rows: list[dict[str, Any]] = []
    try:
        with signals_call():  # of timeout, too, which says nothing itself
            for name, trained, make in detectors(args):
                for row in rows_of(name, trained, make, args):
                    rows.append(row)
                    report(args.out, rows)
    except Interrupted as end:
        print(f"\n{end}; rows: {len(rows)}")
        sys.exit(end.code)
    print(f"\nThe worst of each\n\n{summary(rows)}")


if __name__ == "__main__":
    main()
