"""Ground truth of an evaluation, from a COCO file of its own."""

from mmengine import fileio

from rdet import coco_json
from rdet.errors import DatasetError
from rdet.files import read_regular, why_unreadable


def read_truth(path: str, remedy: str = "check ann_file of CocoMetric") -> dict:
    """Read and check a COCO file to evaluate against.

    Args:
        path: A file, or an address that mmengine's ``fileio`` reads.
        remedy: What to do if it cannot be read.

    Returns:
        A COCO dict; annotations have ``image_id``, ``category_id``, ``bbox``, ``area`` and ``iscrowd``.

    Raises:
        DatasetError: It cannot be used. The message names the entry.
    """
    try:
        text = fileio.get(path) if "://" in path else read_regular(path)
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

    bboxes = coco_json.bboxes(boxes, entry_name, path)
    areas, _ = coco_json.areas(boxes, bboxes, entry_name, path)
    ignored = coco_json.crowds(boxes, entry_name, path)
    positions = (coco_json.references(boxes, key, of, entry_name, path) for key, of in ids.items())
    references = ([of[i] for i in found] for found, of in zip(positions, ids.values(), strict=True))
    columns = zip(*references, bboxes.tolist(), areas.tolist(), ignored.tolist(), strict=True)
    return {
        "images": images,
        "categories": categories,
        "annotations": [
            {"image_id": image, "category_id": category, "bbox": bbox, "area": area, "iscrowd": int(crowd)}
            for image, category, bbox, area, crowd in columns
        ],
    }
