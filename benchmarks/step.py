"""Whole training steps of RetinaNet R50-FPN against torchvision's: python benchmarks/step.py [--compile]

2 images of 512 x 512 pixels with 8 boxes each, 80 classes, SGD; both have the stem and the first stage frozen and their
batch normalisation fixed. Torchvision runs in float32, rdet in float32 and in bfloat16. The floor is rdet's own
convolutions, forward and backward, with the tensors of a step, and nothing else.
"""

import copy
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from loss import truth
from mmengine.structures import InstanceData
from side_by_side import parse_args, report, spread, time_in_turns
from torch.utils._python_dispatch import TorchDispatchMode
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


def contenders(compiled: bool = False) -> dict[str, Callable[[], list[float]]]:
    """Training steps on the same data. A step returns its losses."""
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

    def sgd(network: torch.nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.0, momentum=0.9)

    optimizers = {network: sgd(network) for network in (ours, theirs)}

    def step(network: torch.nn.Module, losses: Callable[[], dict]) -> list[float]:
        network.train()
        if network is theirs:  # its batch normalisation is only frozen together with trained weights
            network.backbone.body.eval()
        found = losses()
        optimizers[network].zero_grad()
        sum(found.values()).backward()
        optimizers[network].step()
        return [loss.item() for loss in found.values()]

    def half(call: Callable) -> object:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return call()

    def losses() -> dict:
        return ours(batch, samples, mode="loss")

    steps = {
        "torchvision": lambda: step(theirs, lambda: theirs(images, targets)),
        "rdet": lambda: step(ours, losses),
        "rdet, bfloat16": lambda: step(ours, lambda: half(losses)),
    }
    if compiled:
        faster = copy.deepcopy(ours)
        faster.compile()
        optimizers[faster] = sgd(faster)
        steps["rdet, bfloat16 compiled"] = lambda: step(
            faster, lambda: half(lambda: faster(batch, samples, mode="loss"))
        )
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


def convolutions_of(step: Callable[[], object]) -> Callable[[], None]:
    """The convolutions of a step and nothing else: what it would cost if all the rest were free."""
    with _Convolutions() as recorded:
        step()

    @torch.no_grad()
    def again() -> None:
        for operator, args in recorded.calls:
            operator(*args)

    return again


def main() -> None:
    args = parse_args("Training steps", {"--compile": "also time a compiled step, whose first call takes a minute"})
    keep_freed_memory()  # as rdet's Runner does; it serves both
    steps = contenders(args.compile)
    results = {name: torch.tensor(call()) for name, call in steps.items()}
    torch.testing.assert_close(results["rdet"], results["torchvision"], rtol=1e-3, atol=1e-4)
    for name in steps:
        torch.testing.assert_close(results[name], results["torchvision"], rtol=0.05, atol=0.01)
    floors = {name: f"convolutions of {name}" for name in ("rdet", "rdet, bfloat16")}
    steps |= {floor: convolutions_of(steps[name]) for name, floor in floors.items()}
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
