"""Detection on a folder: pictures out, and one COCO json."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from rdet.apis.inference import inference_detector
from rdet.datasets.images import IMAGE_SUFFIXES, read_image
from rdet.errors import BadImageError, ConfigError, MissingFileError, PipelineError, message_of
from rdet.files import write_text
from rdet.models.detectors.one_stage_detector import OneStageDetector
from rdet.visualization.draw import draw_boxes, save_image


def detect_folder(
    model: OneStageDetector, source: str | Path, out_dir: str | Path, score_thr: float = 0.3, progress: bool = False
) -> dict[str, Any]:
    """Detect objects in an image or in all images of a folder.

    Each picture is written under its name with its detections drawn, beside ``detections.json``. An interruption leaves
    what was found so far.

    Args:
        model: From :func:`~rdet.apis.inference.init_detector`.
        source: An image, or a folder, searched with its subfolders.
        out_dir: Where the results go.
        score_thr: Smallest score that is drawn and written.
        progress: Whether to draw a bar, where the program runs in a terminal.

    Returns:
        What ``detections.json`` holds: COCO's ``images``, ``categories`` (ids from 1) and ``annotations`` with
        ``score``. ``info["failed"]`` has the name of each image of the folder that could not be used, and why.

    Raises:
        MissingFileError: There is no such path, or no image in the folder.
        BadImageError, PipelineError: ``source`` is an image that cannot be used.
        ConfigError: ``out_dir`` lies in the folder of the images: they would be written over, or the pictures be
            taken for images the next time.
    """
    if str(source).startswith(("http://", "https://")):
        raise MissingFileError(f"{source} is an address; download the image, and give its path")
    source, out_dir = Path(source), Path(out_dir)
    paths = find_images(source)
    root = source if source.is_dir() else source.parent
    target, images = out_dir.resolve(), root.resolve()
    if target == images or (source.is_dir() and target.is_relative_to(images)):
        raise ConfigError(f"--out-dir {out_dir} lies in the folder of the images, {root}; choose another one")
    failed: dict[str, str] = {}
    found: dict[str, Any] = {
        "info": {"failed": failed},
        "images": [],
        "annotations": [],
        "categories": [{"id": i, "name": name} for i, name in enumerate(model.classes, start=1)],
    }
    try:
        for image_id, path in enumerate(_with_bar(paths, progress), start=1):
            name = str(path.relative_to(root))
            try:
                _detect(model, path, name, image_id, found, out_dir, score_thr)
            except (BadImageError, PipelineError) as error:
                if not source.is_dir():
                    raise
                failed[name] = message_of(error)
    finally:
        if found["images"] or failed:
            write_text(out_dir / "detections.json", json.dumps(found))
    return found


def _detect(
    model: OneStageDetector, path: Path, name: str, image_id: int, found: dict, out_dir: Path, score_thr: float
) -> None:
    """Detect in one image, draw it, and add what is found to COCO's lists."""
    sample = inference_detector(model, path)
    detections = sample.pred_instances[sample.pred_instances.scores >= score_thr].cpu()
    height, width = sample.ori_shape
    picture = read_image(str(path), max_pixels=height * width, value_range="image", channels=None)
    image = np.ascontiguousarray(picture[:, :, ::-1])
    save_image(
        out_dir / (name if path.suffix.lower() in IMAGE_SUFFIXES else f"{name}.png"),
        draw_boxes(image, detections.bboxes, detections.labels, model.classes, detections.scores),
    )
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


def _with_bar(paths: list[Path], progress: bool) -> Iterable[Path]:
    if not progress or not sys.stderr.isatty():
        return paths
    from rich.console import Console
    from rich.progress import track

    return track(paths, "detecting", console=Console(stderr=True), transient=True)


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
