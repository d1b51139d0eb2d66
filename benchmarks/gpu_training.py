"""Training steps on a GPU, beside torchvision's."""

import copy
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from on_a_gpu import kernels_of, measured, waits_of
from step import Batch, networks

from rdet.apis.build import build_detector
from rdet.config import load_config
from rdet.models.kernels.usable import torch_operators_alone
from rdet.structures.ground_truth import GroundTruth

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
SIDE, BATCH = 800, 16
FROZEN = {"type": "BN", "requires_grad": False}
# Name -> config, and what of it is changed.
FAMILIES = {
    "retinanet": ("retinanet/r50_fpn_1x_coco", {}),
    "retinanet, normalisation frozen": ("retinanet/r50_fpn_1x_coco", {"model.backbone.norm_cfg": FROZEN}),
    "retinanet, x50-32x4d": ("retinanet/x50_32x4d_fpn_800x800", {}),
    **{family: (f"{family}/r50_fpn_1x_coco", {}) for family in ("fcos", "atss", "gfl", "vfnet", "tood")},
}
# Operations of a training image of R50 at 800 x 800, forward and backward.
OPERATIONS = 880e9


def training_step(network: torch.nn.Module, losses: Callable[[], dict]) -> Callable[[], dict]:
    """A step of SGD under bfloat16, that reads nothing back."""
    trained = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.0, momentum=0.9, fused=True)

    def step() -> dict:
        with torch.autocast("cuda", dtype=torch.bfloat16):
            found = losses()
        sum(found.values()).backward()
        optimizer.step()
        optimizer.zero_grad()
        return found

    return step


def step_of_rdet(network: torch.nn.Module, batch: Batch) -> Callable[[], dict]:
    data = batch.for_rdet()
    data["inputs"] = [image.pin_memory() for image in data["inputs"]]  # as the loader does
    network.train()
    return training_step(network, lambda: network(**network.data_preprocessor(data, training=True), mode="loss"))


def step_of_torchvision(network: torch.nn.Module, batch: Batch) -> Callable[[], dict]:
    images, targets = batch.for_torchvision()
    images = [image.pin_memory() for image in images]
    network.train()
    network.backbone.body.eval()  # its batch normalisation is only frozen together with trained weights

    def losses() -> dict:
        return network(
            [image.cuda(non_blocking=True) for image in images],
            [{name: value.cuda(non_blocking=True) for name, value in target.items()} for target in targets],
        )

    return training_step(network, losses)


def training() -> dict:
    ours, theirs = (network.cuda() for network in networks(SIDE))
    theirs.to(memory_format=torch.channels_last)
    graphed = copy.deepcopy(ours)
    graphed.use_cuda_graphs()
    batch = Batch(BATCH, SIDE)
    steps = {
        "torchvision": step_of_torchvision(theirs, batch),
        "rdet": step_of_rdet(ours, batch),
        "rdet, CUDA graphs": step_of_rdet(graphed, batch),
    }
    found = {name: stacked(step()) for name, step in steps.items()}
    torch.testing.assert_close(found["rdet"], found["torchvision"], rtol=0.05, atol=0.01)
    torch.testing.assert_close(found["rdet, CUDA graphs"], found["rdet"], rtol=1e-3, atol=1e-3)
    rows = [measured(name, step, BATCH) for name, step in steps.items()]
    again = {name: measured(f"{name} again", step, BATCH, rounds=6) for name, step in steps.items()}
    with torch_operators_alone():
        alone = measured("rdet, torch's operators alone", steps["rdet"], BATCH, rounds=6)
    torchvision, *own = rows
    profiles = {name: kernels_of(step) for name, step in steps.items()}
    losses = losses_of(ours, batch)
    return {
        "rows": [*rows, *again.values(), alone],
        "speed_up": {row["name"]: row["images_per_second"] / torchvision["images_per_second"] for row in own},
        "memory_ratio": {row["name"]: row["peak_mib"] / torchvision["peak_mib"] for row in own},
        "tera_operations": {row["name"]: row["images_per_second"] * OPERATIONS / 1e12 for row in own},
        "profile": profiles,
        "waits": {name: waits_of(step) for name, step in steps.items()},
        "parts": parts_of(ours, batch),
        "losses": {**losses, "part_of_the_kernels": losses["kernel_ms"] / profiles["rdet"]["kernel_ms"]},
    }


def losses_of(network: torch.nn.Module, batch: Batch) -> dict:
    """What the device does for matches and losses alone, forward and backward to the predictions."""
    prepared = network.data_preprocessor(batch.for_rdet(), training=True)
    with torch.autocast("cuda", dtype=torch.bfloat16), torch.no_grad():
        predictions = network(prepared["inputs"])
    leaves = predictions._replace(
        logits=predictions.logits.requires_grad_(), deltas=predictions.deltas.requires_grad_()
    )
    priors = network.anchor_generator(predictions.level_sizes, predictions.logits.device)

    def call() -> None:
        leaves.logits.grad = leaves.deltas.grad = None
        with torch.autocast("cuda", dtype=torch.bfloat16):
            found = network.loss(leaves, priors, prepared["data_samples"])
        sum(found.values()).backward()

    call()
    return kernels_of(call, rows=8)


def parts_of(network: torch.nn.Module, batch: Batch) -> dict:
    """Milliseconds of the parts of a step, each waited for."""
    data = batch.for_rdet()
    data["inputs"] = [image.pin_memory() for image in data["inputs"]]
    found: dict[str, list[float]] = {}

    def timed(name: str, call: Callable[[], object]) -> object:
        torch.cuda.synchronize()
        start = time.perf_counter()
        result = call()
        torch.cuda.synchronize()
        found.setdefault(name, []).append(1000 * (time.perf_counter() - start))
        return result

    for _ in range(6):
        prepared = timed("preprocess", lambda: network.data_preprocessor(data, training=True))
        with torch.autocast("cuda", dtype=torch.bfloat16):
            predictions = timed("forward", lambda inputs=prepared["inputs"]: network(inputs))
            priors = network.anchor_generator(predictions.level_sizes, prepared["inputs"].device)
            truth = GroundTruth.of_samples(prepared["data_samples"])
            matches = timed("match", lambda p=predictions, q=priors, t=truth: network.match(p, q, t))
            losses = timed(
                "losses",
                lambda p=predictions, q=priors, m=matches, t=truth: network.criterion(p, q, m, t, network.bbox_coder),
            )
        timed("backward", lambda x=losses: sum(x.values()).backward())
    return {name: median(times[1:]) for name, times in found.items()}


def compiled() -> dict:
    ours, _ = networks(SIDE)
    ours.cuda().compile()
    step = step_of_rdet(ours, Batch(BATCH, SIDE))
    start = time.perf_counter()
    step()
    torch.cuda.synchronize()
    first = time.perf_counter() - start
    row = measured("rdet compiled", step, BATCH)
    return {"rows": [row], "seconds_to_compile": first, "profile": kernels_of(step)}


def families() -> dict:
    rows, waits, kernels = [], {}, {}
    batch = Batch(BATCH, SIDE)
    for family in FAMILIES:
        network = detector(family)
        step = step_of_rdet(network, batch)
        rows.append(measured(family, step, BATCH, rounds=6))
        waits[family] = waits_of(step)
        network.use_cuda_graphs()
        name = f"{family}, CUDA graphs"
        rows.append(measured(name, step, BATCH, rounds=6))
        waits[name], kernels[name] = waits_of(step), kernels_of(step, rows=10)
        del network, step
    return {"rows": rows, "waits": waits, "profile": kernels}


def detector(family: str) -> torch.nn.Module:
    """The detector of one of ``FAMILIES``."""
    name, changes = FAMILIES[family]
    torch.manual_seed(0)
    config = load_config(CONFIGS / f"{name}.py", {"model.backbone.weights": None, **changes})
    return build_detector(config, classes=[str(index) for index in range(80)]).cuda()


def stacked(losses: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.stack(list(losses.values())).detach().float().cpu()
