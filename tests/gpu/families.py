"""A detector of each family, small, and images with boxes for it."""

from pathlib import Path

import torch
from mmengine.structures import InstanceData

from rdet.apis.build import build_detector
from rdet.config import load_config
from rdet.structures import DetDataSample

CONFIGS = Path(__file__).parents[2] / "configs"
FAMILIES = (
    *("retinanet/r50_fpn_1x_coco", "retinanet/r50_fpn_1x_coco_softmax_focal_loss", "fcos/r50_fpn_1x_coco"),
    *("fcos/r50_fpn_iccv2019_1x_coco", "atss/r50_fpn_1x_coco", "gfl/r50_fpn_1x_coco", "vfnet/r50_fpn_1x_coco"),
    *("tood/r50_fpn_1x_coco", "retinanet/r50_fpn_1x_coco_mmdet", "fcos/r50_fpn_1x_coco_mmdet"),
    *(
        "yolox/yolox_nano_416_coco",
        "yolov2/yolov2_d19_544_coco",
        "yolov3/yolov3_mobilenetv2_416_coco",
        "rtmdet/rtmdet_tiny_640_coco",
        "vfnet/r50_fpn_1x_coco_mmdet",
        "tood/r50_fpn_1x_coco_mmdet",
        "gfl/r50_fpn_1x_coco_mmdet",
        "ghm/r50_fpn_1x_coco_mmdet",
        "yolof/r50_c5_1x_coco_mmdet",
        "paa/r50_fpn_1x_coco_mmdet",
        "ddod/r50_fpn_1x_coco_mmdet",
    ),
)
# Whose deformable convolutions, torchvision's, cannot be recorded as a CUDA graph.
DEFORMABLE = tuple(family for family in FAMILIES if family.startswith(("vfnet", "ddod")))
# Whose batch normalisation is trained; with two images it magnifies rounding.
NORMALISED = tuple(family for family in FAMILIES if family.startswith(("yolov", "yolox", "rtmdet")))
HEIGHT, WIDTH, CLASSES = 256, 320, 80
# Above the first epochs of TOOD, which match in another way, and those of YOLOX, which lack a loss.
LATE = 300


def detector(family, epoch=LATE, **options):
    """A detector in training mode on the CPU; the same for the same arguments."""
    torch.manual_seed(0)
    small = {} if family in NORMALISED else {"model.backbone.depth": 18, "model.backbone.weights": None}
    config = load_config(CONFIGS / f"{family}.py", {**small, **options})
    model = build_detector(config, classes=[str(index) for index in range(CLASSES)])
    for module in model.modules():
        if hasattr(module, "set_epoch"):
            module.set_epoch(epoch)
    _sample_between_cells(model)
    if family.startswith("rtmdet"):
        _give_statistics(model)
    return model.train()


@torch.no_grad()
def _sample_between_cells(model):
    """Moves offsets that start at 0: at a cell a bilinear sample has another slope on each side."""
    for name, parameter in model.named_parameters():
        if "conv_offset" in name and name.endswith("bias") and not parameter.any():
            parameter.copy_(torch.linspace(0.2, 0.4, len(parameter)))


@torch.no_grad()
def _give_statistics(model):
    """Has normalisation know maps like those of a batch: without, those of a deep network vanish in evaluation."""
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    model.train()
    model(model.data_preprocessor(batch(seed=5))["inputs"])
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum


def spread_scores(model):
    """Moves each logit by a number of its place: those of random weights are so alike that rounding orders them."""
    model.bbox_head.register_forward_hook(_spread)


def _spread(head, inputs, predictions):
    logits = predictions.logits
    place = torch.arange(logits[0].numel(), device=logits.device, dtype=torch.float64).view(logits.shape[1:])
    moved = 6 * (place * 0.6180339887498949 % 1)  # all different, and evenly
    quality = predictions.quality_logits
    quality = None if quality is None else quality + 4
    return predictions._replace(logits=logits + moved.to(logits.dtype), quality_logits=quality)


def batch(count=2, seed=1, height=HEIGHT, width=WIDTH, boxes=8):
    """What the data loader gives: images as loaded, and samples with boxes, a crowd among them."""
    generator = torch.Generator().manual_seed(seed)
    images, samples = [], []
    for index in range(count):
        size = (height - 32 * index, width)
        images.append(torch.randint(256, (3, *size), generator=generator, dtype=torch.uint8))
        sample = DetDataSample(metainfo={"img_shape": size, "scale_factor": (1.0, 1.0)})
        corner = torch.rand(boxes, 2, generator=generator) * torch.tensor([size[1], size[0]]) * 0.6
        extent = torch.rand(boxes, 2, generator=generator) * torch.tensor([size[1], size[0]]) * 0.35 + 8
        found = torch.cat([corner, corner + extent], dim=1)
        labels = torch.randint(CLASSES, (boxes,), generator=generator)
        sample.gt_instances = InstanceData(bboxes=found[:-1], labels=labels[:-1])
        sample.ignored_instances = InstanceData(bboxes=found[-1:])
        samples.append(sample)
    return {"inputs": images, "data_samples": samples}


def losses(model, data):
    """Name -> scalar, with gradient."""
    prepared = model.data_preprocessor(data, training=True)
    dtype = next(model.parameters()).dtype
    return model(prepared["inputs"].to(dtype), prepared["data_samples"], mode="loss")
