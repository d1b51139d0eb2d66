"""The transforms of a config, at another size of the images."""

import copy


def resized(pipeline: list[dict], size: int | None) -> list[dict]:
    """Return a pipeline whose images have a longer side of ``size`` pixels; None changes nothing.

    Sizes of a pipeline that has several keep their ratio to the largest.
    """
    pipeline = copy.deepcopy(list(pipeline))
    if size is None:
        return pipeline
    found = False
    for step in pipeline:
        if "scale" in step:
            step["scale"], found = (size, size), True
        if "scales" in step:
            shorter = [min(scale) for scale in step["scales"]]
            step["scales"], found = [(size, round(size * s / max(shorter))) for s in shorter], True
        if "keep_ratio" not in step and ("scale" in step or "scales" in step) and "Resize" in str(step["type"]):
            step["keep_ratio"] = True
    if not found:
        pipeline.insert(1, {"type": "Resize", "scale": (size, size), "keep_ratio": True})
    return pipeline
