"""Which views of an image a test with augmentation takes."""

import copy

from mmengine.config import Config

from rdet.apis.data_cfg import innermost, loader_cfg, name_of, not_undone
from rdet.errors import ConfigError


def with_views(cfg: Config) -> Config:
    """Copy ``cfg``, with test data that go through ``tta_pipeline``, by default :func:`default_tta_pipeline`.

    Raises:
        ConfigError: ``tta_pipeline`` does not end in ``TestTimeAug``.
    """
    cfg = copy.deepcopy(cfg)
    cfg.test_dataloader = loader_cfg(cfg, "test")
    if cfg.test_dataloader is None:
        raise ConfigError("the config has no test_dataloader or val_dataloader")
    for dataset in innermost(cfg.test_dataloader.dataset):
        pipeline = cfg.get("tta_pipeline") or default_tta_pipeline(dataset.get("pipeline", ()))
        if not _is_type(pipeline[-1], "TestTimeAug"):
            raise ConfigError("tta_pipeline must end in dict(type='TestTimeAug', transforms=[[...], [...]])")
        _check_views(pipeline)
        dataset.pipeline = copy.deepcopy(pipeline)
    return cfg


def _check_views(pipeline: list[dict]) -> None:
    """Raise ConfigError if a view is made in a way that cannot be mapped back to the original image."""
    stages = [*([step] for step in pipeline[:-1]), *pipeline[-1]["transforms"]]
    if (name := not_undone(step for stage in stages for step in stage)) is not None:
        raise ConfigError(f"tta_pipeline: {name} cannot be undone; take views by Resize and RandomFlip")
    if sum("RandomFlip" in map(name_of, stage) for stage in stages) > 1:
        raise ConfigError("tta_pipeline: only one RandomFlip of a view can be undone; put all flips into one stage")


def default_tta_pipeline(pipeline: list[dict]) -> list[dict]:
    """Make a pipeline of each image as it is and flipped and, if ``pipeline`` resizes, at three scales.

    MMDetection's retinanet_tta does the same.
    """
    if len(pipeline) < 2:
        raise ConfigError("the pipeline of the test data is too short to take views from; set tta_pipeline")
    load, *rest = pipeline
    stages = [
        [{**step, "scale": _times(step["scale"], factor)} for factor in (1, 0.5, 1.5)]
        if _is_type(step, "Resize") and "scale" in step
        else [step]
        for step in rest
    ]
    stages.insert(-1, [{"type": "RandomFlip", "prob": prob} for prob in (0.0, 1.0)])
    return [load, {"type": "TestTimeAug", "transforms": stages}]


def untrained_scales(cfg: Config) -> list[tuple[int, int]]:
    """Return the scales of the views that are smaller or larger than all that the training pipeline resizes to.

    Args:
        cfg: As :func:`with_views` returns it.

    Returns:
        Scales; none where the training crops or draws its scales from a range, or resizes nothing.
    """
    trained: list[tuple[int, int]] = []
    for dataset in innermost(cfg.train_dataloader.dataset) if cfg.get("train_dataloader") else ():
        for step in dataset.get("pipeline") or ():
            if not {"ratio_range", "crop_size", "resize_type"}.isdisjoint(step):
                return []
            trained += _scales(step)
    if not trained:
        return []
    areas = [width * height for width, height in trained]
    views = next(innermost(cfg.test_dataloader.dataset)).pipeline[-1]["transforms"]
    scales = [scale for stage in views for step in stage for scale in _scales(step)]
    return [scale for scale in scales if not min(areas) <= scale[0] * scale[1] <= max(areas)]


def _scales(step: dict) -> list[tuple[int, int]]:
    """Return what a transform resizes to, in pixels: one scale or several."""
    found = step.get("scales") or ([step["scale"]] if "scale" in step else [])
    return [(scale, scale) if isinstance(scale, int) else (scale[0], scale[1]) for scale in found]


def _times(scale: int | tuple[int, int], factor: float) -> int | tuple[int, ...]:
    return round(scale * factor) if isinstance(scale, int) else tuple(round(side * factor) for side in scale)


def _is_type(step: dict, name: str) -> bool:
    return name_of(step) == name
