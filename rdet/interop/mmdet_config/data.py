"""Data sets, pipelines and metrics of MMDetection's configs under rdet's names."""

from collections.abc import Callable
from os.path import join
from typing import Any

from rdet.interop.mmdet_config.model import convert_nms
from rdet.interop.mmdet_config.source import Entry

Cfg = dict[str, Any]

_REASON = "rdet orders the images itself"
_OWN_METAS = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor", "flip", "flip_direction")

# ---- loaders and data sets


def convert_loader(loader: Entry, train: bool) -> Cfg:
    """Convert a data loader.

    Args:
        loader: ``train_dataloader`` or another one.
        train: Whether it is the one to train with.

    Raises:
        ConfigError: rdet has not its data set, its order or one of its transforms.
    """
    sampler = loader.entry("sampler")
    if sampler is not None:
        if sampler.kind not in ("DefaultSampler", "InfiniteSampler"):
            sampler.unknown()
        shuffle = sampler.take("shuffle", True)
        if train and not shuffle:
            sampler.refuse("is False; rdet shuffles images to train on", "shuffle")
        sampler.ignore("round_up", "seed")
    batches = loader.entry("batch_sampler")
    if batches is not None:
        if batches.kind != "AspectRatioBatchSampler":
            batches.unknown()
        batches.ignore("drop_last")
    collate = loader.entry("collate_fn")
    if collate is not None and collate.kind != "pseudo_collate":
        collate.unknown()
    if train and loader.take("drop_last", False):
        loader.note(f"{loader.place}.drop_last ({_REASON})")
    loader.ignore("drop_last")
    cfg: Cfg = {"batch_size": loader.take("batch_size", 1)}
    if train and batches is not None:
        cfg["aspect_ratio_grouping"] = True
    for key in ("num_workers", "persistent_workers", "pin_memory", "prefetch_factor", "timeout"):
        if (value := loader.take(key)) is not None:
            cfg[key] = value
    return cfg | {"dataset": convert_dataset(loader.required("dataset"))}


def convert_dataset(entry: Entry) -> Cfg:
    """Convert a data set, or one around others."""
    if entry.kind not in _DATASETS:
        entry.unknown()
    return _DATASETS[entry.kind](entry)


def _coco(entry: Entry) -> Cfg:
    cfg: Cfg = {"type": "CocoDataset"}
    if root := entry.take("data_root", ""):
        cfg["data_root"] = root
    cfg["ann_file"] = entry.take("ann_file", "")
    prefix = entry.entry("data_prefix")
    if prefix is not None:
        cfg["data_prefix"] = {"img": prefix.take("img", prefix.take("img_path", ""))}
        prefix.ignore("img_path")
    meta = entry.entry("metainfo")
    if meta is not None:
        meta.ignore("palette", "PALETTE")
        names = meta.take("classes", meta.take("CLASSES"))
        meta.ignore("CLASSES")
        cfg |= {"metainfo": {"classes": (names,) if isinstance(names, str) else tuple(names)}} if names else {}
    test_mode = entry.take("test_mode", False)
    kept = entry.entry("filter_cfg")
    if kept is not None:
        empty, size = kept.take("filter_empty_gt", False), kept.take("min_size", 0)
        if not test_mode:  # MMDetection filters no data to test on
            cfg |= ({"filter_empty_gt": True} if empty else {}) | ({"min_image_size": size} if size else {})
    if (indices := entry.take("indices")) is not None:
        cfg["indices"] = indices
    if test_mode:
        cfg["test_mode"] = True
    entry.expect("proposal_file", None, "rdet has no proposals")
    entry.expect("return_classes", False, "rdet's detectors read no texts")
    entry.expect("caption_prompt", None, "rdet's detectors read no texts")
    for key in ("backend_args", "file_client_args"):
        entry.expect(key, None, "rdet reads files of this machine alone", ({"backend": "local"}, {"backend": "disk"}))
    entry.ignore("lazy_init", "serialize_data", "max_refetch", "seg_map_suffix")
    return cfg | {"pipeline": convert_pipeline(entry, "pipeline")}


def _repeat(entry: Entry) -> Cfg:
    entry.ignore("lazy_init")
    return {"type": "RepeatDataset", "times": entry.take("times"), "dataset": _wrapped(entry)}


def _balanced(entry: Entry) -> Cfg:
    entry.ignore("lazy_init", "filter_empty_gt")
    # mmengine's rounds each image's factor up; rdet's of the same name rounds sums.
    return {
        "type": "mmengine.ClassBalancedDataset",
        "oversample_thr": entry.take("oversample_thr"),
        "dataset": _wrapped(entry),
    }


def _concat(entry: Entry) -> Cfg:
    entry.ignore("lazy_init")
    entry.expect("ignore_keys", None, "rdet compares the classes alone")
    return {"type": "ConcatDataset", "datasets": [convert_dataset(inner) for inner in entry.entries("datasets")]}


def _wrapped(entry: Entry) -> Cfg:
    return convert_dataset(entry.required("dataset"))


_DATASETS: dict[str | None, Callable[[Entry], Cfg]] = {
    "CocoDataset": _coco,
    "RepeatDataset": _repeat,
    "ClassBalancedDataset": _balanced,
    "ConcatDataset": _concat,
}

# ---- transforms


def convert_pipeline(entry: Entry, key: str) -> list[Cfg]:
    """Convert the transforms below a key; those that rdet does not need are left out."""
    return [cfg for step in entry.entries(key) if (cfg := _transform(step)) is not None]


def _transform(step: Entry) -> Cfg | None:
    if step.kind not in _TRANSFORMS:
        step.unknown()
    return _TRANSFORMS[step.kind](step)


def _load(step: Entry) -> Cfg:
    step.expect("to_float32", False, "rdet's images are whole numbers")
    step.expect("color_type", "color", "rdet reads colour images")
    step.expect("imdecode_backend", "cv2", "rdet reads images with OpenCV", (None,))
    step.expect("ignore_empty", False, "rdet leaves no image out in silence")
    for key in ("backend_args", "file_client_args"):
        step.expect(key, None, "rdet reads files of this machine alone", ({"backend": "local"}, {"backend": "disk"}))
    return {"type": "LoadImageFromFile"}


def _annotations(step: Entry) -> None:
    for key in ("with_mask", "with_seg", "with_keypoints"):
        step.expect(key, False, "rdet has boxes alone")
    for key in ("with_bbox", "with_label"):
        step.expect(key, True, "rdet's records have boxes and labels")
    step.expect("box_type", "hbox", "rdet's boxes are upright")
    step.ignore("poly2mask", "reduce_zero_label", "ignore_index", "imdecode_backend", "file_client_args")
    step.ignore("backend_args")


def _resizing(step: Entry) -> Cfg:
    step.expect("clip_object_border", True, "rdet's boxes end at the image's border")
    step.expect("backend", "cv2", "rdet resizes with OpenCV")
    step.expect("interpolation", "bilinear", "rdet resizes bilinearly")
    return {"keep_ratio": step.take("keep_ratio", False)}


def _resize(step: Entry) -> Cfg:
    step.expect("scale_factor", None, "rdet's Resize takes a scale in pixels")
    return {"type": "Resize", "scale": step.take("scale"), **_resizing(step)}


def _random_resize(step: Entry) -> Cfg:
    step.expect("resize_type", "Resize", "rdet's RandomResize resizes")
    scale, ratio = step.take("scale"), step.take("ratio_range")
    if ratio is not None:
        return {"type": "RandomResize", "scale": scale, "ratio_range": tuple(ratio), **_resizing(step)}
    scales = [tuple(sorted(pair, reverse=True)) for pair in scale]  # there the longer side comes first
    return {"type": "RandomResize", "scale": scales, **_resizing(step)}


def _random_choice_resize(step: Entry) -> Cfg:
    step.expect("resize_type", "Resize", "rdet's RandomChoiceResize resizes")
    return {"type": "RandomChoiceResize", "scales": list(step.take("scales")), **_resizing(step)}


def _flip(step: Entry) -> Cfg:
    step.ignore("swap_seg_labels")
    direction = step.take("direction", "horizontal")
    cfg: Cfg = {"type": "RandomFlip", "prob": step.take("prob")}
    return cfg if direction == "horizontal" else cfg | {"direction": direction}


def _crop(step: Entry) -> Cfg:
    size, kind = tuple(step.take("crop_size")), step.take("crop_type", "absolute")
    if kind != "absolute" and not (kind == "absolute_range" and size[0] == size[1]):
        step.refuse(f"is {kind!r}; rdet's RandomCrop has one size in pixels", "crop_type")
    if not step.take("allow_negative_crop", False):
        step.refuse(
            "is False; there another image takes the place of a window without boxes, in rdet another window",
            "allow_negative_crop",
        )
    step.expect("bbox_clip_border", True, "rdet's boxes end at the image's border")
    step.ignore("recompute_bbox")  # from masks, of which there are none
    return {"type": "RandomCrop", "crop_size": size, "allow_negative_crop": True, "min_side": 0.0}


def _shift(step: Entry) -> Cfg:
    return {
        "type": "RandomShift",
        "prob": step.take("prob", 0.5),
        "max_shift": step.take("max_shift_px", 32),
        "min_side": step.take("filter_thr_px", 1),
    }


def _filter(step: Entry) -> Cfg:
    step.expect("by_box", True, "rdet looks at boxes")
    step.expect("by_mask", False, "rdet has boxes alone")
    step.ignore("min_gt_mask_area")
    size = tuple(step.take("min_gt_bbox_wh", (1, 1)))
    if step.take("keep_empty", True):
        if max(size) > 1:
            step.refuse(
                "is True; there another image takes the place of one whose boxes are all too small, in rdet it stays",
                "keep_empty",
            )
        step.note(f"{step.place}.keep_empty (an image whose boxes are all too small is background)")
    return {"type": "FilterAnnotations", "min_gt_bbox_wh": size}


def _pack(step: Entry) -> Cfg:
    others = [name for name in step.take("meta_keys", ()) if name not in _OWN_METAS]
    if others:
        step.refuse(f"has {others[0]!r}; rdet's records have {', '.join(_OWN_METAS)}", "meta_keys")
    return {"type": "PackDetInputs"}


def _views(step: Entry) -> Cfg:
    stages = [
        [cfg for index, values in enumerate(stage) if (cfg := _transform(step.nested(values, f"transforms.{index}")))]
        for stage in step.take("transforms")
    ]
    return {"type": "TestTimeAug", "transforms": [stage for stage in stages if stage]}


def _expand(step: Entry) -> Cfg:
    step.ignore("seg_ignore_label")
    mean = list(step.take("mean", (0.0, 0.0, 0.0)))
    mean = mean[::-1] if step.take("to_rgb", True) else mean  # rdet's is of images as they are loaded
    ratios = tuple(step.take("ratio_range", (1, 4)))
    return {"type": "Expand", "mean": mean, "ratio_range": ratios, "prob": step.take("prob", 0.5)}


def _min_iou_crop(step: Entry) -> Cfg:
    step.expect("bbox_clip_border", True, "rdet's boxes end at the image's border")
    ious = tuple(step.take("min_ious", (0.1, 0.3, 0.5, 0.7, 0.9)))
    return {"type": "MinIoURandomCrop", "min_ious": ious, "min_crop_size": step.take("min_crop_size", 0.3)}


def _photometric(step: Entry) -> Cfg:
    usual = {"brightness_delta": 32, "contrast_range": (0.5, 1.5), "saturation_range": (0.5, 1.5), "hue_delta": 18}
    numbers = {key: step.take(key, value) for key, value in usual.items()}
    return {"type": "PhotoMetricDistortion", **numbers, "shuffle_prob": 0.5}


_TRANSFORMS: dict[str | None, Callable[[Entry], Cfg | None]] = {
    "LoadImageFromFile": _load,
    "LoadAnnotations": _annotations,
    "Resize": _resize,
    "RandomResize": _random_resize,
    "Expand": _expand,
    "MinIoURandomCrop": _min_iou_crop,
    "PhotoMetricDistortion": _photometric,
    "RandomChoiceResize": _random_choice_resize,
    "RandomFlip": _flip,
    "RandomCrop": _crop,
    "RandomShift": _shift,
    "FilterAnnotations": _filter,
    "PackDetInputs": _pack,
    "TestTimeAug": _views,
}

# ---- evaluation


def convert_evaluators(cfg: Entry, key: str, dataset: Cfg | None) -> list[Cfg]:
    """Convert the metrics below a key.

    Args:
        cfg: The whole source.
        key: ``val_evaluator`` or ``test_evaluator``.
        dataset: rdet's config of the data set; its annotations need not be named again.
    """
    return [_metric(entry, dataset) for entry in cfg.entries(key)]


def _metric(entry: Entry, dataset: Cfg | None) -> Cfg:
    if entry.kind != "CocoMetric":
        entry.unknown()
    metrics = entry.take("metric", "bbox")
    if [metrics] != ["bbox"] and list(metrics) != ["bbox"]:
        entry.refuse(f"is {metrics!r}; rdet evaluates boxes, 'bbox'", "metric")
    for key in ("iou_thrs", "metric_items"):
        entry.expect(key, None, "rdet reports COCO's twelve numbers")
    entry.expect("proposal_nums", (100, 300, 1000), "rdet reports COCO's twelve numbers", ((1, 10, 100),))
    for key in ("backend_args", "file_client_args"):
        entry.expect(key, None, "rdet reads files of this machine alone", ({"backend": "local"}, {"backend": "disk"}))
    entry.ignore("sort_categories", "use_mp_eval")
    cfg: Cfg = {"type": "CocoMetric"}
    own = join((dataset or {}).get("data_root", ""), (dataset or {}).get("ann_file", ""))
    truth = entry.take("ann_file")
    if truth is not None and truth != own:
        cfg["ann_file"] = truth
    for key, default in (("classwise", False), ("format_only", False), ("collect_device", "cpu")):
        if (value := entry.take(key, default)) != default:
            cfg[key] = value
    for key in ("outfile_prefix", "prefix"):
        if (value := entry.take(key)) is not None:
            cfg[key] = value
    return cfg


def convert_tta(cfg: Entry) -> Cfg:
    """Convert ``tta_model`` and ``tta_pipeline``."""
    found: Cfg = {}
    model = cfg.entry("tta_model")
    if model is not None:
        if model.kind != "DetTTAModel":
            model.unknown()
        merging = model.entry("tta_cfg")
        if merging is not None:
            kind, own = convert_nms(merging.required("nms", {"type": "nms"}))
            found["tta_model"] = {
                "type": "DetTTAModel",
                "postprocess": {**kind, **own, "max_per_img": merging.take("max_per_img")},
            }
    if "tta_pipeline" in cfg:
        found["tta_pipeline"] = convert_pipeline(cfg, "tta_pipeline")
    return found
