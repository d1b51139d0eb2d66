"""Whole training steps and inference of RetinaNet R50-FPN against torchvision's: python benchmarks/step.py

Training: 2 images of 512 x 512 pixels with 8 boxes each, 80 classes, SGD; both have the stem and the first stage frozen
and their batch normalisation fixed. Inference: one such image, from the network's input to detections, at a score
threshold that no random detection reaches. Torchvision runs in float32, rdet in float32 and in bfloat16.
"""

from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from loss import truth
from mmengine.structures import InstanceData
from side_by_side import parse_args, report, spread, time_in_turns
from torchvision.models.detection import retinanet_resnet50_fpn

from rdet.apis.build import build_detector
from rdet.config import load_config
from rdet.engine.memory import keep_freed_memory
from rdet.interop.torchvision import load_torchvision_retinanet
from rdet.structures import DetDataSample

CONFIG = Path(__file__).resolve().parents[1] / "configs/retinanet/r50_fpn_torchvision.py"
CLASSES, SIDE, BOXES = 80, 512, 8


def networks() -> tuple[torch.nn.Module, torch.nn.Module]:
    """rdet's and torchvision's detector with the same weights, settings and frozen layers."""
    torch.manual_seed(0)
    theirs = retinanet_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=CLASSES, min_size=SIDE, max_size=SIDE, score_thresh=0.5
    )
    theirs.backbone.body.requires_grad_(False)
    for stage in (theirs.backbone.body.layer2, theirs.backbone.body.layer3, theirs.backbone.body.layer4):
        for module in stage.modules():
            if isinstance(module, torch.nn.Conv2d):
                module.requires_grad_()
    options = {"model.backbone.weights": None, "model.num_classes": CLASSES, "model.postprocess.score_thr": 0.5}
    options["model.backbone.norm_cfg.eps"] = 1e-5
    ours = build_detector(load_config(CONFIG, options), classes=[str(index) for index in range(CLASSES)])
    load_torchvision_retinanet(ours, theirs.state_dict())
    return ours, theirs


def contenders() -> tuple[dict[str, Callable], dict[str, Callable]]:
    """Training steps and inferences on the same data. A step returns its losses."""
    ours, theirs = networks()
    generator = torch.Generator().manual_seed(1)
    images = [torch.rand(3, SIDE, SIDE, generator=generator) for _ in range(2)]
    truths = [truth(BOXES, (SIDE, SIDE), generator) for _ in images]
    batch = torch.stack([(image - 0.45) / 0.225 for image in images]).contiguous(memory_format=torch.channels_last)
    theirs.transform.image_mean, theirs.transform.image_std = [0.45] * 3, [0.225] * 3
    samples = []
    for boxes, labels in truths:
        sample = DetDataSample(metainfo={"img_shape": (SIDE, SIDE), "scale_factor": (1.0, 1.0)})
        sample.gt_instances = InstanceData(bboxes=boxes, labels=labels)
        sample.ignored_instances = InstanceData(bboxes=boxes[:0])
        samples.append(sample)
    targets = [{"boxes": boxes, "labels": labels} for boxes, labels in truths]
    optimizers = {
        network: torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.0, momentum=0.9)
        for network in (ours, theirs)
    }

    def step(network: torch.nn.Module, losses: Callable[[], dict]) -> list[float]:
        network.train()
        if network is theirs:  # its batch normalisation is only frozen together with trained weights
            network.backbone.body.eval()
        found = losses()
        optimizers[network].zero_grad()
        sum(found.values()).backward()
        optimizers[network].step()
        return [loss.item() for loss in found.values()]

    def detect(network: torch.nn.Module, forward: Callable[[], object]) -> object:
        network.eval()
        with torch.no_grad():
            return forward()

    def half(call: Callable) -> object:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return call()

    def losses() -> dict:
        return ours(batch, samples, mode="loss")

    def predict() -> object:
        return ours(batch[:1], samples[:1], mode="predict")

    training = {
        "torchvision": lambda: step(theirs, lambda: theirs(images, targets)),
        "rdet": lambda: step(ours, losses),
        "rdet, bfloat16": lambda: step(ours, lambda: half(losses)),
    }
    inference = {
        "torchvision": lambda: detect(theirs, lambda: theirs(images[:1])),
        "rdet": lambda: detect(ours, predict),
        "rdet, bfloat16": lambda: detect(ours, lambda: half(predict)),
    }
    return training, inference


def main() -> None:
    args = parse_args("Training steps and inference")
    keep_freed_memory()  # as rdet's Runner does; it serves both
    training, inference = contenders()
    results = {name: torch.tensor(call()) for name, call in training.items()}
    torch.testing.assert_close(results["rdet"], results["torchvision"], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(results["rdet, bfloat16"], results["torchvision"], rtol=0.05, atol=0.01)
    rows = []
    for what, both in (("training step", training), ("inference", inference)):
        seconds = time_in_turns(both, args.rounds)
        for name in both:
            ratio = median(seconds[name]) / median(seconds["torchvision"])
            print(f"{what}, {name}: {spread(seconds[name])}, ratio {ratio:.3f}", flush=True)
            rows.append({"what": what, "contender": name, "seconds": seconds[name], "ratio": ratio})
    report(args.out, rows)


if __name__ == "__main__":
    main()
