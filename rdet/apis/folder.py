"""Detection on a folder: pictures out, and one COCO json."""

import json
from pathlib import Path

import numpy as np

from rdet.apis.inference import inference_detector
from rdet.datasets.images import IMAGE_SUFFIXES, read_image
from rdet.errors import ConfigError, MissingFileError
from rdet.files import write_text
from rdet.visualization.draw import draw_boxes, save_image


def detect_folder(model, source: str | Path, out_dir: str | Path, score_thr: float = 0.3) -> dict:
    """Detect objects in an image or in all images of a folder.

    Each picture is written under its name with its detections drawn, beside ``detections.json``.

    Args:
        model: From :func:`~rdet.apis.inference.init_detector`.
        source: An image, or a folder, searched with its subfolders.
        out_dir: Where the results go.
        score_thr: Smallest score that is drawn and written.

    Returns:
        What ``detections.json`` holds: COCO's ``images``, ``categories`` (ids from 1) and
        ``annotations`` with ``score``.

    Raises:
        MissingFileError: There is no such path, or no image in the folder.
        ConfigError: ``out_dir`` lies in the folder of the images: they would be written over, or the pictures be
            taken for images the next time.
    """
    source, out_dir = Path(source), Path(out_dir)
    paths = find_images(source)
    root = source if source.is_dir() else source.parent
    target, images = out_dir.resolve(), root.resolve()
    if target == images or (source.is_dir() and target.is_relative_to(images)):
        raise ConfigError(f"--out-dir {out_dir} lies in the folder of the images, {root}; choose another one")
    found: dict = {
        "images": [],
        "annotations": [],
        "categories": [{"id": i, "name": name} for i, name in enumerate(model.classes, start=1)],
    }
    for image_id, path in enumerate(paths, start=1):
        sample = inference_detector(model, path)
        detections = sample.pred_instances[sample.pred_instances.scores >= score_thr].cpu()
        name = str(path.relative_to(root))
        height, width = sample.ori_shape
        found["images"].append({"id": image_id, "file_name": name, "height": height, "width": width})
        for (x1, y1, x2, y2), score, label in zip(
            detections.bboxes.tolist(), detections.scores.tolist(), detections.labels.tolist(), strict=True
        ):
            found["annotations"].append(
                {
                    "id": len(found["annotations"]) + 1,
                    "image_id": image_id,
                    "category_id": label + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": 0,
                    "score": score,
                }
            )
        picture = read_image(str(path), max_pixels=height * width, value_range="image", channels=None)
        image = np.ascontiguousarray(picture[:, :, ::-1])
        save_image(
            out_dir / (name if path.suffix.lower() in IMAGE_SUFFIXES else f"{name}.png"),
            draw_boxes(image, detections.bboxes, detections.labels, model.classes, detections.scores),
        )
    write_text(out_dir / "detections.json", json.dumps(found))
    return found


def find_images(source: Path) -> list[Path]:
    """Return an image itself, or the images below a folder, sorted."""
    if not source.exists():
        raise MissingFileError(f"no image or folder at {source}; give another path")
    if not source.is_dir():
        return [source]
    paths = sorted(p for p in source.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and not p.is_dir())
    if not paths:
        raise MissingFileError(f"no image in {source} (looked for {', '.join(IMAGE_SUFFIXES)}); give another folder")
    return paths
