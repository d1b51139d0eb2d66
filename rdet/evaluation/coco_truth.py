"""Ground truth of an evaluation, from a COCO file of its own."""

from rdet import coco_json
from rdet.coco_boxes import CocoBoxes
from rdet.errors import DatasetError
from rdet.files import why_unreadable
from rdet.remote import open_file


def read_truth(path: str, remedy: str = "check ann_file of CocoMetric") -> dict:
    """Read and check a COCO file to evaluate against.

    Args:
        path: A file, or an address: on http, in a zip or a tar, or what mmengine's ``fileio`` reads.
        remedy: What to do if it cannot be read.

    Returns:
        A COCO dict; annotations have ``image_id``, ``category_id``, ``bbox``, ``area`` and ``iscrowd``.

    Raises:
        DatasetError: It cannot be used. The message names the entry.
    """
    try:
        with open_file(path) as file:
            text = file.read()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({why_unreadable(error)}); {remedy}") from error
    content = coco_json.lists(coco_json.parse(text, path), ("images", "categories"), ("annotations",), path)
    images, categories, boxes = (content[key] for key in ("images", "categories", "annotations"))
    ids = {
        "image_id": coco_json.ids(images, "images", path, (int, str)),
        "category_id": coco_json.ids(categories, "categories", path, (int, str)),
    }
    coco_json.names(categories, path)

    def entry_name(row: int) -> str:
        box_id = boxes[row].get("id")
        return f"annotation {box_id}" if type(box_id) in (int, str) else f"annotations[{row}]"

    found = CocoBoxes.of(boxes, ids["image_id"], ids["category_id"], entry_name, path)
    columns = zip(
        (ids["image_id"][i] for i in found.image_index),
        (ids["category_id"][i] for i in found.class_index),
        found.bboxes.tolist(),
        found.areas.tolist(),
        found.crowds.tolist(),
        strict=True,
    )
    return {
        "images": images,
        "categories": categories,
        "annotations": [
            {"image_id": image, "category_id": category, "bbox": bbox, "area": area, "iscrowd": int(crowd)}
            for image, category, bbox, area, crowd in columns
        ],
    }
