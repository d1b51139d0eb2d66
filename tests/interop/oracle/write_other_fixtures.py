"""Write tests/interop/other_detectors.json: MMDetection's losses and detections with other backbones and necks.

PYTHONPATH=.:tests/interop python -m oracle.write_other_fixtures
"""

import json
from pathlib import Path

import torch
from made_weights import made_images
from other_detectors import DAMPED, IMAGES, OTHERS
from parity import names_of

from oracle.mmdetection import Oracle

FILE = Path(__file__).resolve().parents[1] / "other_detectors.json"


def main() -> None:
    images, found = made_images(IMAGES), {}
    for name, other in OTHERS.items():
        oracle = Oracle(other.config, other.options, damped=DAMPED.get(name, ("bn3", "downsample")))
        losses = oracle.training_step(images)
        (boxes,) = oracle.detections(images)
        found[name] = {
            "names_and_shapes": names_of(oracle.shapes),
            "losses": losses,
            "predictions": {
                "bboxes": [[round(side, 3) for side in box] for box in boxes["bboxes"].tolist()],
                "scores": [round(score, 6) for score in boxes["scores"].tolist()],
                "labels": boxes["labels"].tolist(),
            },
        }
    FILE.write_text(json.dumps(found, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
