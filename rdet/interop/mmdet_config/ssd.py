"""MMDetection's SSD300 and SSD512 under rdet's names."""

from typing import Any, NamedTuple

from rdet.interop.mmdet_config.assigners import assigner
from rdet.interop.mmdet_config.priors import delta_coder
from rdet.interop.mmdet_config.source import Entry, plain

Cfg = dict[str, Any]

_PLAIN = "rdet's SSD has it so alone"
_WEIGHTS = "torchvision://vgg16.IMAGENET1K_FEATURES"
_VGG_CHANNELS = [512, 1024]  # of conv4_3, and of fc7, which is a layer of the neck in rdet
_XAVIER = {"type": "Xavier", "layer": "Conv2d", "distribution": "uniform", "bias": 0}
# Side of the images, smallest default box in hundredths -> the first level's sizes, in hundredths, too.
_FIRST_SIZES = {(300, 15): (7, 15), (300, 20): (10, 20), (512, 10): (4, 10), (512, 15): (7, 15)}


class Anchors(NamedTuple):
    """Default boxes.

    Attributes:
        strides: Of the levels.
        cfg: rdet's generator.
    """

    strides: list[int]
    cfg: Cfg


def convert_backbone(entry: Entry) -> Cfg:
    """Convert a VGG-16, whose fc6 and fc7 are layers of the neck here."""
    if entry.kind == "MobileNetV2":
        entry.refuse(
            "SSDLite with MobileNetV2 is not in rdet, whose MobileNetV2 has no map of 1280 channels and no norms with "
            "another eps than 1e-5, and whose SSDLiteNeck has no strides of 107 and 160; configs/ssd has MobileNetV3's"
        )
    if entry.kind != "SSDVGG":
        entry.unknown()
    entry.expect("depth", 16, "rdet's SSD has VGG-16")
    entry.expect("with_last_pool", False, _PLAIN)
    entry.expect("out_feature_indices", (22, 34), "rdet's SSD begins with conv4_3 and fc7 alone, (22, 34)")
    for key in ("input_size", "l2_norm_scale", "pretrained"):
        entry.expect(key, None, "MMDetection calls it deprecated: leave it out")
    entry.ignore("out_indices")  # which it does not read
    cfg: Cfg = {"type": "TorchvisionBackbone", "model_name": "vgg16", "out_indices": [1, 2]}
    cfg |= {"ceil_mode": entry.take("ceil_mode", True), "frozen_stages": 0, "norm_eval": False}
    return cfg | {"weights": _weights(entry)}


def _weights(entry: Entry) -> str | None:
    start = entry.entry("init_cfg")
    if start is None:
        return None
    if start.kind != "Pretrained":
        entry.refuse("rdet starts a backbone from weights, or as torchvision does", "init_cfg")
    source: str = start.needed("checkpoint")
    start.ignore("prefix", "map_location")
    if source != "open-mmlab://vgg16_caffe":
        return source
    entry.note(f"{entry.place}.init_cfg ({source}; in its place torchvision's VGG-16 for SSD, without fc6 and fc7)")
    return _WEIGHTS


def convert_neck(entry: Entry, strides: list[int]) -> Cfg:
    """Convert the layers above VGG-16.

    Args:
        entry: The neck.
        strides: Of all levels, which the default boxes have there.
    """
    if entry.kind != "SSDNeck":
        entry.unknown()
    _check_layers(entry)
    entry.expect("act_cfg", {"type": "ReLU"}, _PLAIN)
    entry.ignore("init_cfg")
    if list(entry.needed("in_channels")) != _VGG_CHANNELS:
        entry.refuse(f"is not {_VGG_CHANNELS}, the channels of the backbone", "in_channels")
    widths = list(entry.needed("out_channels"))
    if widths[:2] != _VGG_CHANNELS:
        entry.refuse(f"is {widths}; the first two are those of the backbone, {_VGG_CHANNELS}", "out_channels")
    steps, paddings = list(entry.needed("level_strides")), list(entry.needed("level_paddings"))
    if not len(steps) == len(paddings) == len(widths) - 2 == len(strides) - 2:
        entry.refuse(
            f"is of {len(widths)} levels; there are {len(steps)} level_strides, {len(paddings)} level_paddings and "
            f"default boxes of {len(strides)} levels",
            "out_channels",
        )
    sizes = [3] * (len(steps) - 1) + [entry.take("last_kernel_size", 3)]
    layers = zip(widths[2:], sizes, steps, paddings, strict=True)
    cfg: Cfg = {"type": "SSDNeck", "extra": [(width // 2, width, *of_layer) for width, *of_layer in layers]}
    scale = entry.take("l2_norm_scale", 20.0)
    return cfg | {"strides": strides} | ({} if scale == 20 else {"l2_norm_scale": scale or None})


def convert_head(head: Entry, anchors: Anchors, neck: Cfg, train_cfg: Entry) -> tuple[Cfg, Cfg]:
    """Convert the head with what is nested in it.

    Args:
        head: The head.
        anchors: Its default boxes.
        neck: rdet's config of the neck.
        train_cfg: Of the model.

    Returns:
        Slots of rdet's model, and keys of its ``postprocess``.
    """
    _check_layers(head)
    head.expect("stacked_convs", 0, _PLAIN)
    head.expect("reg_decoded_bbox", False, _PLAIN)
    head.expect("init_cfg", _XAVIER, "rdet's SSD starts so alone", (None,))
    head.ignore("feat_channels", "act_cfg")  # of the layers that stacked_convs=0 leaves out
    channels = [*_VGG_CHANNELS, *(layer[1] for layer in neck["extra"])]
    if list(head.needed("in_channels", channels)) != channels:
        head.refuse(f"is not {channels}, the channels of the neck", "in_channels")
    coder, clip = delta_coder(head.required("bbox_coder", {"type": "DeltaXYWHBBoxCoder"}))
    train_cfg.expect("allowed_border", -1, "rdet does not drop default boxes at an image's border")
    train_cfg.expect("pos_weight", -1, "rdet's losses do not weigh positives by a number of their own")
    train_cfg.drop("debug")
    sampler = train_cfg.entry("sampler")
    if sampler is not None and sampler.kind != "PseudoSampler":
        sampler.unknown()
    matching = assigner(train_cfg.required("assigner"), "MaxIoUAssigner", "ignored")
    return {
        "bbox_head": {"type": "SSDHead"},
        "anchor_generator": anchors.cfg,
        "assigner": matching,
        "bbox_coder": coder,
        "loss_cls": {"type": "SoftmaxFocalLoss", "alpha": None, "gamma": 0.0},
        "loss_bbox": {"type": "SmoothL1Loss", "beta": train_cfg.needed("smoothl1_beta")},
        "mining": {"type": "HardNegatives", "neg_pos_ratio": train_cfg.needed("neg_pos_ratio")},
        "normalizer": {"type": "BatchNormalizer", "min_count_per_image": 1},
    }, {} if clip else {"clip": False}


def convert_anchors(entry: Entry) -> Anchors:
    """Convert the default boxes.

    Raises:
        ConfigError: MMDetection could not make them, either.
    """
    if entry.kind != "SSDAnchorGenerator":
        entry.unknown()
    entry.ignore("use_box_type")
    if entry.take("scale_major", True):
        entry.refuse(
            "is True, as it is where nothing is said, and MMDetection then orders the boxes of a cell in a way that "
            "rdet has not; its own configs have scale_major=False",
            "scale_major",
        )
    strides = [step if isinstance(step, int) else step[0] for step in entry.needed("strides")]
    ratios = [list(of_level) for of_level in entry.needed("ratios")]
    smallest, largest = entry.take("min_sizes"), entry.take("max_sizes")
    side, shares = entry.take("input_size", 300), entry.needed("basesize_ratio_range", (0.15, 0.9))
    in_pixels = smallest is not None and largest is not None
    if not in_pixels:
        smallest, largest = _sizes(entry, side, shares, len(strides))
    if not len(smallest) == len(largest) == len(ratios) == len(strides):
        entry.refuse(
            f"is of {len(strides)} levels; there are sizes of {len(smallest)} and {len(largest)}, and ratios of "
            f"{len(ratios)}",
            "strides",
        )
    cfg: Cfg
    if in_pixels:
        sizes = [_shapes(*of_level) for of_level in zip(smallest, largest, ratios, strict=True)]
        cfg = {"type": "FittedAnchorGenerator", "sizes": sizes, "center_offset": 0.5}
    else:  # the largest size of a level is the smallest of the next one
        scales = [size / side for size in (*smallest, largest[-1])]
        cfg = {"type": "DefaultBoxGenerator", "image_size": side, "scales": scales, "ratios": ratios}
    return Anchors(strides, cfg)


def _sizes(entry: Entry, side: int, shares: tuple[float, float], levels: int) -> tuple[list[int], list[int]]:
    """Compute the smallest and the largest side at each level as MMDetection does, in whole pixels."""
    low, high = (int(share * 100) for share in shares)
    if (side, low) not in _FIRST_SIZES:
        entry.refuse(
            f"is {plain(shares)} with an input_size of {side}; MMDetection has 300 from 0.15 or 0.2 on, 512 from 0.1 "
            "or 0.15 on, and min_sizes with max_sizes",
            "basesize_ratio_range",
        )
    step = int((high - low) / (levels - 2))
    hundredths = [_FIRST_SIZES[side, low], *((start, start + step) for start in range(low, high + 1, step))]
    smallest, largest = ([int(side * share / 100) for share in shares] for shares in zip(*hundredths, strict=True))
    return smallest, largest


def _shapes(smallest: float, largest: float, ratios: list[float]) -> list[tuple[float, float]]:
    """Say (width, height) of the default boxes at a cell."""
    between = (smallest * largest) ** 0.5
    lying = [(smallest * ratio**0.5, smallest / ratio**0.5) for ratio in ratios]
    return [(smallest, smallest), (between, between), *(size for pair in lying for size in (pair, pair[::-1]))]


def _check_layers(entry: Entry) -> None:
    for key, value in {"use_depthwise": False, "conv_cfg": None, "norm_cfg": None}.items():
        entry.expect(key, value, _PLAIN)
