"""The transforms of a config, at another size of the images, or for images of other depths and channels."""

import copy
from typing import Any

from rdet.errors import ConfigError

_OF_THREE = ("PhotoMetricDistortion", "Mosaic", "MixUp", "LargeScaleJitter")  # transforms that need three channels


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


def loaded(pipeline: list[dict], options: dict[str, Any]) -> list[dict]:
    """Return a pipeline that loads its images with these arguments.

    Transforms that need three channels are left out where the images have others.

    Raises:
        ConfigError: No ``LoadImageFromFile`` is in it, and there are arguments.
    """
    steps = [str(step["type"]).rpartition(".")[2] for step in pipeline]
    if options and "LoadImageFromFile" not in steps:
        raise ConfigError(f"the config's pipeline has no LoadImageFromFile that takes {' and '.join(options)}")
    other = options.get("channels", 3) != 3
    return [
        {**step, **options} if name == "LoadImageFromFile" else step
        for name, step in zip(steps, pipeline, strict=True)
        if not (other and name in _OF_THREE)
    ]
