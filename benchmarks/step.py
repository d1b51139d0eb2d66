"""Whole training steps of RetinaNet R50-FPN against torchvision's: python benchmarks/step.py [--compile]

2 images of 512 x 512 pixels with 8 boxes each, 80 classes, SGD; both have the stem and the first stage frozen and their
batch normalisation fixed, and start from images as their loaders give them, which they normalise and join. Torchvision
runs in float32, rdet in float32 and in bfloat16. The floor is rdet's own convolutions, forward and backward, with the
tensors of a step, and nothing else.
"""

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import torch
from loss import truth
from mmengine.structures import InstanceData
from side_by_side import arguments, report, spread, time_in_turns
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.models.detection import retinanet_resnet50_fpn

from rdet.apis.build import build_detector
from rdet.config import load_config
from rdet.engine.memory import keep_freed_memory
from rdet.interop.torchvision import load_torchvision_retinanet
from rdet.structures import DetDataSample

CONFIG = Path(__file__).resolve().parents[1] / "configs/retinanet/r50_fpn_torchvision.py"
CLASSES, SIDE, BOXES = 80, 512, 8
MEAN, STD = 0.45, 0.225


def networks(side: int = SIDE) -> tuple[torch.nn.Module, torch.nn.Module]:
    """rdet's and torchvision's detector with the same weights, settings and frozen layers."""
    torch.manual_seed(0)
    theirs = retinanet_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=CLASSES, min_size=side, max_size=side, score_thresh=0.5
    )
    theirs.transform.image_mean, theirs.transform.image_std = [MEAN] * 3, [STD] * 3
    theirs.backbone.body.requires_grad_(False)
    for stage in (theirs.backbone.body.layer2, theirs.backbone.body.layer3, theirs.backbone.body.layer4):
        for module in stage.modules():
            if isinstance(module, torch.nn.Conv2d):
                module.requires_grad_()
    options = {"model.backbone.weights": None, "model.num_classes": CLASSES, "model.postprocess.score_thr": 0.5}
    options["model.backbone.norm_cfg.eps"] = 1e-5
    grey_levels = {"mean": [255 * MEAN] * 3, "std": [255 * STD] * 3, "bgr_to_rgb": False}
    options["model.data_preprocessor"] = {"type": "DetDataPreprocessor", **grey_levels}
    ours = build_detector(load_config(CONFIG, options), classes=[str(index) for index in range(CLASSES)])
    load_torchvision_retinanet(ours, theirs.state_dict())
    return ours, theirs


class Batch:
    """Random images and boxes.

    Attributes:
        images: N tensors (3, side, width) uint8, square unless a width is given.
        truths: Boxes (8, 4) and labels (8,) of each.
    """

    def __init__(self, count: int = 2, side: int = SIDE, width: int | None = None):
        generator = torch.Generator().manual_seed(1)
        width = side if width is None else width
        size = (3, side, width)
        self.images = [torch.randint(256, size, generator=generator, dtype=torch.uint8) for _ in range(count)]
        self.truths = [truth(BOXES, (width, side), generator) for _ in self.images]

    def for_rdet(self) -> dict[str, list]:
        """What rdet's loader gives."""
        samples = []
        for image, (boxes, labels) in zip(self.images, self.truths, strict=True):
            sample = DetDataSample(metainfo={"img_shape": tuple(image.shape[1:]), "scale_factor": (1.0, 1.0)})
            sample.gt_instances = InstanceData(bboxes=boxes, labels=labels)
            sample.ignored_instances = InstanceData(bboxes=boxes[:0])
            samples.append(sample)
        return {"inputs": self.images, "data_samples": samples}

    def for_torchvision(self) -> tuple[list[torch.Tensor], list[dict]]:
        """Images in [0, 1], and targets."""
        return [image / 255 for image in self.images], [
            {"boxes": boxes, "labels": labels} for boxes, labels in self.truths
        ]


def step_of_torchvision(network: torch.nn.Module, batch: Batch) -> Callable[[], list[float]]:
    """A training step that returns the losses."""
    images, targets = batch.for_torchvision()
    network.train()
    network.backbone.body.eval()  # its batch normalisation is only frozen together with trained weights
    return _step(network, lambda: network(images, targets))


def step_of_rdet(network: torch.nn.Module, batch: Batch, bfloat16: bool = False) -> Callable[[], list[float]]:
    """A training step that returns the losses."""
    data = batch.for_rdet()
    network.train()
    preprocess = getattr(network, "module", network).data_preprocessor  # of what may be wrapped for two processes

    def losses() -> dict[str, torch.Tensor]:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
            return network(**preprocess(data), mode="loss")

    return _step(network, losses)


def _step(network: torch.nn.Module, losses: Callable[[], dict]) -> Callable[[], list[float]]:
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.0, momentum=0.9)

    def step() -> list[float]:
        found = losses()
        sum(found.values()).backward()
        optimizer.step()
        optimizer.zero_grad()
        return [loss.item() for loss in found.values()]

    return step


def contenders(compiled: bool = False) -> dict[str, Callable[[], list[float]]]:
    """Training steps on the same data."""
    ours, theirs = networks()
    batch = Batch()
    steps = {
        "torchvision": step_of_torchvision(theirs, batch),
        "rdet": step_of_rdet(ours, batch),
        "rdet, bfloat16": step_of_rdet(ours, batch, bfloat16=True),
    }
    if compiled:
        faster = copy.deepcopy(ours)
        faster.compile()
        steps["rdet, bfloat16 compiled"] = step_of_rdet(faster, batch, bfloat16=True)
    return steps


class _Convolutions(TorchDispatchMode):
    """Keeps every convolution and its arguments, backward included."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        if operator.overloadpacket in (torch.ops.aten.convolution, torch.ops.aten.convolution_backward):
            self.calls.append((operator, args))
        return operator(*args, **(kwargs or {}))


def convolutions_of(step: Callable[[], object]) -> list[tuple[Callable, tuple]]:
    """The convolutions of a step, each with the tensors that it had."""
    with _Convolutions() as recorded:
        step()
    return recorded.calls


@torch.no_grad()
def run(calls: list[tuple[Callable, tuple]]) -> None:
    """Runs them, and nothing else: what the step would cost if all the rest were free."""
    for operator, args in calls:
        operator(*args)


def main() -> None:
    parser = arguments("Training steps")
    parser.add_argument("--compile", action="store_true", help="also time a compiled step; it compiles for a minute")
    args = parser.parse_args()
    keep_freed_memory()  # as rdet's Runner does; it serves both
    steps = contenders(args.compile)
    results = {name: torch.tensor(call()) for name, call in steps.items()}
    torch.testing.assert_close(results["rdet"], results["torchvision"], rtol=1e-3, atol=1e-4)
    for name in steps:
        torch.testing.assert_close(results[name], results["torchvision"], rtol=0.05, atol=0.01)
    floors = {name: f"convolutions of {name}" for name in ("rdet", "rdet, bfloat16")}
    steps |= {floor: partial(run, convolutions_of(steps[name])) for name, floor in floors.items()}
    seconds = time_in_turns(steps, args.rounds)
    rows = []
    for name, times in seconds.items():
        row = {"contender": name, "seconds": times, "ratio": median(times) / median(seconds["torchvision"])}
        text = f"{name}: {spread(times)}, ratio {row['ratio']:.3f}"
        if name.startswith("rdet"):
            row["of_convolutions"] = median(times) / median(seconds[floors[name.removesuffix(" compiled")]])
            text += f", {row['of_convolutions']:.3f} of its convolutions alone"
        print(text, flush=True)
        rows.append(row)
    report(args.out, rows)


if __name__ == "__main__":
    main()
