"""Names of COCO's classes, for checkpoints that do not carry them."""

# In the order of the data set's category ids.
CLASSES = (
    *("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light"),
    *("fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow"),
    *("elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee"),
    *("skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard"),
    *("tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple"),
    *("sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch"),
    *("potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone"),
    *("microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy bear"),
    *("hair drier", "toothbrush"),
)

# Category ids that no object of the data set has, and how their names begin here.
UNUSED = "unused "
UNUSED_IDS = (0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83)


def classes_by_id() -> tuple[str, ...]:
    """Name the 91 category ids, 0 to 90, as torchvision counts labels; an unused id is ``'unused 12'``."""
    names = iter(CLASSES)
    return tuple(f"{UNUSED}{number}" if number in UNUSED_IDS else next(names) for number in range(91))


def default_classes(count: int) -> tuple[str, ...] | None:
    """Return names for weights that do not say theirs: COCO's for 80 or 91 classes, else None."""
    return {80: CLASSES, 91: classes_by_id()}.get(count)
