"""Assignment, losses and their gradients against torchvision's: python benchmarks/loss.py

2 images of 800 x 1344 pixels, nine anchors a cell of P3 to P7, 80 classes; logits and deltas are given. Both have the
same priors, thresholds, losses and divisors, and must give the same numbers before they are timed. By
default neither has the allocator setting of rdet's Runner, which spares torchvision more than rdet.
"""

from pathlib import Path
from statistics import median

import torch
from mmengine.structures import InstanceData
from side_by_side import arguments, operator_calls, peak_bytes, report, spread, time_in_turns
from torchvision.models.detection import retinanet_resnet50_fpn

from rdet.apis.build import build_detector
from rdet.config import load_config
from rdet.engine.memory import keep_freed_memory
from rdet.structures import DensePredictions, DetDataSample

CONFIG = Path(__file__).resolve().parents[1] / "configs/retinanet/r50_fpn_1x_coco.py"
STRIDES, CLASSES = (8, 16, 32, 64, 128), 80


def truth(count: int, size: tuple[int, int], generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """``count`` boxes (count, 4), from 16 pixels to half the image of ``size`` (width, height), and their classes."""
    sides = 16 * (torch.tensor(size) / 32) ** torch.rand(count, 2, generator=generator)
    corner = torch.rand(count, 2, generator=generator) * (torch.tensor(size) - sides)
    return torch.cat([corner, corner + sides], dim=1), torch.randint(CLASSES, (count,), generator=generator)


def contenders(boxes: int, size: tuple[int, int] = (1344, 800), images: int = 2) -> dict:
    """rdet's and torchvision's step on the same inputs; both return their two losses and leave gradients."""
    generator = torch.Generator().manual_seed(0)
    config = load_config(CONFIG, {"model.backbone.weights": None, "model.backbone.depth": 18})
    config.model.loss_bbox, config.model.normalizer = {"type": "L1Loss"}, {"type": "ImageNormalizer"}  # torchvision's
    ours = build_detector(config, classes=[str(index) for index in range(CLASSES)])
    theirs = retinanet_resnet50_fpn(weights=None, weights_backbone=None, num_classes=CLASSES)
    level_sizes = [(-(-size[1] // stride), -(-size[0] // stride)) for stride in STRIDES]
    priors = ours.anchor_generator(level_sizes)
    logits = (torch.randn(images, len(priors), CLASSES, generator=generator) - 4.6).requires_grad_()
    deltas = (torch.randn(images, len(priors), 4, generator=generator) * 0.1).requires_grad_()
    truths = [truth(boxes, size, generator) for _ in range(images)]
    samples = []
    for bboxes, labels in truths:
        sample = DetDataSample(metainfo={"img_shape": size[::-1]})
        sample.gt_instances = InstanceData(bboxes=bboxes, labels=labels)
        sample.ignored_instances = InstanceData(bboxes=bboxes[:0])
        samples.append(sample)
    targets = [{"boxes": bboxes, "labels": labels} for bboxes, labels in truths]

    def step(losses: dict) -> list[float]:
        logits.grad = deltas.grad = None
        sum(losses.values()).backward()
        return [loss.item() for loss in losses.values()]

    predictions = DensePredictions(logits, deltas, level_sizes)
    heads = {"cls_logits": logits, "bbox_regression": deltas}
    return {
        "rdet": lambda: step(ours.loss(predictions, priors, samples)),
        "torchvision": lambda: step(theirs.compute_loss(targets, heads, [priors] * images)),
    }


def main() -> None:
    parser = arguments("Assignment, losses and gradients")
    parser.add_argument("--memory-kept", action="store_true", help="both with the allocator setting of rdet's Runner")
    args = parser.parse_args()
    if args.memory_kept:
        keep_freed_memory()
    rows = []
    for boxes in (8, 100, 1000):
        both = contenders(boxes)
        results = {name: torch.tensor(call()) for name, call in both.items()}
        torch.testing.assert_close(results["rdet"], results["torchvision"], rtol=1e-4, atol=1e-5)
        seconds = time_in_turns(both, args.rounds if boxes < 1000 else 3)
        memory = {name: peak_bytes(call) for name, call in both.items()}
        calls = {name: operator_calls(call) for name, call in both.items()}
        for name in both:
            time_ratio = median(seconds[name]) / median(seconds["torchvision"])
            memory_ratio = memory[name] / memory["torchvision"]
            print(f"{boxes} boxes, {name}: {spread(seconds[name])}, ratio {time_ratio:.3f}")
            print(
                f"    {memory[name] / 1e6:.0f} MB, ratio {memory_ratio:.3f}; {calls[name][0]} calls that compute,",
                end="",
            )
            print(f" {calls[name][1]} in all", flush=True)
            row = {"boxes": boxes, "contender": name, "seconds": seconds[name], "time_ratio": time_ratio}
            rows.append({**row, "bytes": memory[name], "memory_ratio": memory_ratio, "calls": calls[name]})
    report(args.out, rows)


if __name__ == "__main__":
    main()
