"""A folder of data in YOLO's layout."""

from pathlib import Path

import cv2
import numpy as np


def write_yolo_folder(folder: Path) -> None:
    """Writes 8 images to train on and 4 to validate on, with a box each."""
    rng = np.random.default_rng(0)
    for part, names in {"train": "abcdefgh", "val": "ijkl"}.items():
        for kind in ("images", "labels"):
            (folder / kind / part).mkdir(parents=True)
        for name in names:
            picture = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
            cv2.imwrite(str(folder / "images" / part / f"{name}.png"), picture)
            (folder / "labels" / part / f"{name}.txt").write_text("0 0.5 0.5 0.2 0.3\n")
    (folder / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [cell]\n")
