"""A config of the repository, and files that change it."""

from pathlib import Path

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
R50 = CONFIGS / "retinanet" / "r50_fpn_1x_coco.py"


def write(tmp_path, text, name="config.py"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path
