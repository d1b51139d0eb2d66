"""Detect with a file of ``rdet export``, by numpy, OpenCV and ONNX Runtime alone: detect.py MODEL.onnx IMAGE

Neither torch nor rdet is needed: pip install numpy onnxruntime opencv-python-headless. The file says how images are
resized and what the classes are called.
"""

import argparse
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime


def resized(image: np.ndarray, step: dict) -> np.ndarray:
    """Apply ``Resize`` or ``FitWithin`` of a pipeline to an image (H, W, C)."""
    height, width = image.shape[:2]
    scale = step.get("scale", step.get("size"))
    first, second = scale if isinstance(scale, list) else (scale, scale)
    if step["type"] == "FitWithin":
        if width <= first and height <= second:
            return image
        factor = min(first / width, second / height)
        size = round(width * factor), round(height * factor)
    elif step.get("keep_ratio"):
        factor = min(max(first, second) / max(height, width), min(first, second) / min(height, width))
        half = 0 if step.get("round_down") else 0.5
        size = int(width * factor + half), int(height * factor + half)
    else:
        size = first, second
    return cv2.resize(image, (max(1, size[0]), max(1, size[1])), interpolation=cv2.INTER_LINEAR)


def padded(image: np.ndarray, step: dict) -> np.ndarray:
    """Apply ``Pad`` of a pipeline: what it adds at the right and the bottom is part of the image."""
    size = step["size"] if isinstance(step["size"], list) else [step["size"]] * 2
    right, bottom = (max(0, side - own) for side, own in zip(size, image.shape[1::-1], strict=True))
    value = step.get("pad_val", 114)
    value = value if isinstance(value, list) else [value] * 3
    return cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=value)


def network_input(image: np.ndarray, said: dict) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Make what the file takes of an image (H, W, 3), blue, green, red.

    Returns:
        The inputs by their names; and the factors from the image to them, in x and y.
    """
    factor = np.ones(2)
    for step in said["pipeline"]:
        kind = step["type"].rpartition(".")[2]
        if kind in ("Resize", "FitWithin"):
            before = image.shape[1::-1]
            image = resized(image, {**step, "type": kind})
            factor *= np.divide(image.shape[1::-1], before)
        elif kind == "Pad":
            image = padded(image, step)
        elif kind not in ("LoadImageFromFile", "PackDetInputs"):
            sys.exit(f"this example knows no {kind}, which the file's pipeline has; write it here")
    rows, columns = image.shape[:2]
    if said["size"]:
        height, width = said["size"]
    else:
        height, width = (-(-side // said["divisor"]) * said["divisor"] for side in (rows, columns))
    number = said["batch"] or 1
    images = np.zeros((number, 3, height, width), said["input"])
    images[0, :, :rows, :columns] = image.transpose(2, 0, 1)
    sizes = np.ones((number, 2), np.int64)
    sizes[0] = rows, columns
    return {"images": images, "image_sizes": sizes}, factor


def detect(session: onnxruntime.InferenceSession, said: dict, image: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return boxes (n, 4) in pixels of the image, left, top, right, bottom, scores (n,) and labels (n,), best first."""
    inputs, factor = network_input(image, said)
    boxes, scores, labels, counts = session.run(["boxes", "scores", "labels", "counts"], inputs)
    count = counts[0]
    if count < 0:
        sys.exit("the network gives numbers that are not finite")
    return boxes[0, :count] / np.tile(factor, 2).astype(np.float32), scores[0, :count], labels[0, :count]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("image", type=Path)
    parser.add_argument("--score-thr", type=float, default=0.3, help="smallest score (default: 0.3)")
    parser.add_argument("--draw", type=Path, metavar="FILE", help="write the image with its boxes there, too")
    args = parser.parse_args()
    image = cv2.imread(str(args.image), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if image is None:
        sys.exit(f"{args.image} cannot be read as an image")
    if image.dtype != np.uint8:
        sys.exit(f"{args.image} has {8 * image.itemsize} bits a channel; make it 8, of the range of values that counts")
    session = onnxruntime.InferenceSession(str(args.model), providers=["CPUExecutionProvider"])
    said = json.loads(session.get_modelmeta().custom_metadata_map.get("rdet.export", "{}"))
    if said.get("head") != "end2end" or said["channels"] != 3:
        sys.exit(f"{args.model} is no file of 'rdet export --head end2end' for colour images")
    for box, score, label in zip(*detect(session, said, image), strict=True):
        if score < args.score_thr:
            continue
        print(said["classes"][label], f"{score:.4f}", *(f"{side:.3f}" for side in box))
        left, top, right, bottom = map(round, box.tolist())
        cv2.rectangle(image, (left, top), (right, bottom), (0, 200, 0), 2)
        cv2.putText(image, said["classes"][label], (left, top + 14), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 200, 0))
    if args.draw and not cv2.imwrite(str(args.draw), image):
        sys.exit(f"{args.draw} cannot be written")


if __name__ == "__main__":
    main()
