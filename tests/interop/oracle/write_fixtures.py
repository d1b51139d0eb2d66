"""Write tests/interop/fixtures: what MMDetection gives for the made weights and images.

    PYTHONPATH=.:tests/interop python -m oracle.write_fixtures [NAME ...]

It needs the environment of requirements/oracle.txt. Gradients are those of a second pass in float64.
"""

import json
import re
import sys
from pathlib import Path

import torch
from made_weights import made_images
from parity import names_of

from oracle.mmdetection import DoubleOracle, Oracle

FOLDER = Path(__file__).resolve().parents[1] / "fixtures"
SOURCE = "MMDetection 3.3.0, mmcv-lite 2.1.0, torchvision's operators in place of mmcv's; input as torchvision's, RGB"
_FCOS = "fcos/fcos_r50-caffe_fpn_gn-head"
CASES = {  # file -> config, epoch
    "retinanet": ("retinanet/retinanet_r50_fpn_1x_coco", 0),
    "retinanet_ghm": ("ghm/retinanet_r50_fpn_ghm-1x_coco", 0),
    "fcos_first_head": (f"{_FCOS}_1x_coco", 0),
    "fcos_second_head": (f"{_FCOS}-center-normbbox-centeronreg-giou_1x_coco", 0),
    "atss": ("atss/atss_r50_fpn_1x_coco", 0),
    "gfl": ("gfl/gfl_r50_fpn_1x_coco", 0),
    "vfnet": ("vfnet/vfnet_r50_fpn_1x_coco", 0),
    "paa": ("paa/paa_r50_fpn_1x_coco", 0),
    "ddod": ("ddod/ddod_r50_fpn_1x_coco", 0),
    "yolof": ("yolof/yolof_r50-c5_8xb8-1x_coco", 0),
    "tood_epoch_0": ("tood/tood_r50_fpn_1x_coco", 0),
    "tood_epoch_4": ("tood/tood_r50_fpn_1x_coco", 4),
}
# scikit-learn fits PAA's mixtures to numbers of float32 with float32's rounding, by which positives come and go.
IN_FLOAT64 = {"paa"}
# Of the backbone, one block of each stage that is trained; neck and head whole.
_GRADIENTS = re.compile(r"(neck|bbox_head)\..*|backbone\.layer[234]\.0\.(conv\d|bn\d|downsample\.\d)\.(weight|bias)")


def main(names: list[str]) -> None:
    images = made_images()
    cases = {file: CASES[file] for file in names or CASES}
    fixtures = {}
    for file, (config, epoch) in cases.items():
        oracle = Oracle(config)
        losses = oracle.training_step(images, epoch)
        found = [{name: value.tolist() for name, value in each.items()} for each in oracle.detections(images)]
        fixtures[file] = {
            "source": SOURCE,
            "config": config,
            "epoch": epoch,
            "names_and_shapes": names_of(oracle.shapes),
            "losses": losses,
            "grad_norm_float64": {},
            "predictions": [
                {
                    "bboxes": [[round(side, 3) for side in box] for box in each["bboxes"]],
                    "scores": [round(score, 6) for score in each["scores"]],
                    "labels": each["labels"],
                }
                for each in found
            ],
        }
    for file, (config, epoch) in cases.items():
        oracle = DoubleOracle(config)
        losses = oracle.training_step(images, epoch)
        if file in IN_FLOAT64:
            fixtures[file]["losses"] = losses
        norms = oracle.gradient_norms()
        smallest = 1e-9 * max(norms.values())  # below it are biases before a normalisation, whose gradient is 0
        norms = {name: norm for name, norm in norms.items() if norm > smallest}
        chosen = {name: float(f"{norm:.8g}") for name, norm in norms.items() if _GRADIENTS.fullmatch(name)}
        fixtures[file]["grad_norm_float64"] = chosen
        (FOLDER / f"{file}.json").write_text(json.dumps(fixtures[file], separators=(",", ":")) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1:])
