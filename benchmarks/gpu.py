"""rdet on a GPU: its tests, its speed beside torchvision's, and the quickstart: python benchmarks/gpu.py [PART ...]

    tests       pytest -m gpu
    ceilings    what the card can do: a matrix product and a copy
    training    RetinaNet R50-FPN, 800 x 800, batches of 16, bfloat16: rdet and torchvision's
    compiled    the same of rdet's, with the network compiled
    inference   800 x 1333, batches of 1 and 16, bfloat16
    families    a training step of each family
    quickstart  the quickstart trained to its AP

Each part is a process of its own and writes OUT/PART.json when it ends, so that a run that is cut has what it had.
"""

import argparse
import copy
import json
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median

import torch
from side_by_side import machine
from step import Batch, networks
from torch.profiler import ProfilerActivity, profile

from rdet.apis.build import build_detector
from rdet.config import load_config
from rdet.structures.ground_truth import GroundTruth

ROOT = Path(__file__).resolve().parents[1]
SIDE, BATCH = 800, 16
SIZE_OF_INFERENCE = (800, 1333)
FAMILIES = ("retinanet", "fcos", "atss", "gfl", "vfnet", "tood")
# Operations of a training image of R50 at 800 x 800, forward and backward.
OPERATIONS = 880e9


def seconds_of(call: Callable[[], object], rounds: int, warm_up: int = 3) -> list[float]:
    """Seconds of each call on the device, after some that are not counted."""
    for _ in range(warm_up):
        call()
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(rounds + 1)]
    torch.cuda.synchronize()
    marks[0].record()
    for mark in marks[1:]:
        call()
        mark.record()
    torch.cuda.synchronize()
    return [start.elapsed_time(end) / 1000 for start, end in pairwise(marks)]


def measured(name: str, call: Callable[[], object], images: int, rounds: int = 12) -> dict:
    """A row of the table: time, images a second, memory."""
    torch.cuda.empty_cache()
    call()
    torch.cuda.reset_peak_memory_stats()
    seconds = seconds_of(call, rounds)
    row = {
        "name": name,
        "seconds": seconds,
        "images_per_second": images / median(seconds),
        "peak_mib": torch.cuda.max_memory_allocated() / 2**20,
    }
    print(
        f"{name}: {row['images_per_second']:.1f} images/s, {1000 * median(seconds):.2f} ms, "
        f"peak {row['peak_mib']:.0f} MiB",
        flush=True,
    )
    return row


def kernels_of(call: Callable[[], object], rows: int = 25) -> dict:
    """Where the device spends a call: number of kernels, their time, and the slowest kinds."""
    call()
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as recorded:
        call()
        torch.cuda.synchronize()
    kernels = [event for event in recorded.events() if event.device_type == torch.autograd.DeviceType.CUDA]
    by_name: dict[str, list[float]] = {}
    for event in kernels:
        by_name.setdefault(event.name[:120], []).append(event.device_time)
    slowest = sorted(by_name.items(), key=lambda item: -sum(item[1]))[:rows]
    return {
        "kernels": len(kernels),
        "kernel_ms": sum(event.device_time for event in kernels) / 1000,
        "slowest": [{"name": name, "calls": len(times), "ms": sum(times) / 1000} for name, times in slowest],
    }


def waits_of(call: Callable[[], object]) -> int:
    """How often a call makes the host wait for the device."""
    torch.cuda.synchronize()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            call()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return sum("synchronizing" in str(warning.message) for warning in caught)


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


def ceilings() -> dict:
    one = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    other = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    product = median(seconds_of(lambda: one @ other, 20))
    source = torch.randn(2**30, device="cuda")
    target = torch.empty_like(source)
    copied = median(seconds_of(lambda: target.copy_(source), 10))
    return {"tera_operations": 2 * 8192**3 / product / 1e12, "terabytes": 2 * source.nbytes / copied / 1e12}


def training() -> dict:
    ours, theirs = (network.cuda() for network in networks(SIDE))
    theirs.to(memory_format=torch.channels_last)
    batch = Batch(BATCH, SIDE)
    steps = {"torchvision": step_of_torchvision(theirs, batch), "rdet": step_of_rdet(ours, batch)}
    found = {name: torch.stack(list(step().values())).float().cpu() for name, step in steps.items()}
    torch.testing.assert_close(found["rdet"], found["torchvision"], rtol=0.05, atol=0.01)
    rows = [measured(name, step, BATCH) for name, step in steps.items()]
    rows.append(measured("torchvision again", steps["torchvision"], BATCH, rounds=6))
    rows.append(measured("rdet again", steps["rdet"], BATCH, rounds=6))
    return {
        "rows": rows,
        "speed_up": rows[1]["images_per_second"] / rows[0]["images_per_second"],
        "memory_ratio": rows[1]["peak_mib"] / rows[0]["peak_mib"],
        "tera_operations": rows[1]["images_per_second"] * OPERATIONS / 1e12,
        "profile": {name: kernels_of(step) for name, step in steps.items()},
        "waits": {name: waits_of(step) for name, step in steps.items()},
        "parts": parts_of(ours, batch),
    }


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


@torch.no_grad()
def inference() -> dict:
    ours, theirs = (network.cuda().eval() for network in networks(SIDE))
    theirs.transform.min_size, theirs.transform.max_size = (SIZE_OF_INFERENCE[0],), SIZE_OF_INFERENCE[1]
    theirs.to(memory_format=torch.channels_last)
    torch.manual_seed(2)
    sample = Batch(1, SIDE)
    # Scores as various as a trained head's, and a threshold that leaves some thousand candidates.
    torch.nn.init.normal_(ours.bbox_head.conv_cls.weight)
    inputs = ours.data_preprocessor(sample.for_rdet())["inputs"]
    ours.bbox_head.conv_cls.weight /= ours(inputs).logits.std()
    theirs.head.classification_head.cls_logits.weight.copy_(ours.bbox_head.conv_cls.weight)
    threshold = ours(inputs).logits.flatten().sort(descending=True).values[2000].sigmoid().item()
    ours.postprocess.score_thr = theirs.score_thresh = threshold
    half = copy.deepcopy(ours)
    half.optimize_for_inference(torch.bfloat16)
    rows, profiles, waits = [], {}, {}
    for count in (1, 16):
        batch = Batch(count, *SIZE_OF_INFERENCE)
        data = batch.for_rdet()
        data["inputs"] = [image.pin_memory() for image in data["inputs"]]
        images = [image.pin_memory() for image in batch.for_torchvision()[0]]

        def of_torchvision(images=images):
            with torch.autocast("cuda", dtype=torch.bfloat16):
                return theirs([image.cuda(non_blocking=True) for image in images])

        def of_rdet(data=data):
            return half.test_step(data)

        def network_alone(data=data):
            return half(half.data_preprocessor(data)["inputs"])

        contenders = {"torchvision": of_torchvision, "rdet": of_rdet, "rdet without postprocess": network_alone}
        for name, call in contenders.items():
            call = torch.no_grad()(call)
            rows.append(measured(f"{name}, batch {count}", call, count, rounds=20))
        profiles[f"batch {count}"] = kernels_of(torch.no_grad()(of_rdet))
        waits[f"batch {count}"] = waits_of(torch.no_grad()(of_rdet))
    return {"rows": rows, "profile": profiles, "waits": waits}


def families() -> dict:
    rows, waits, kernels = [], {}, {}
    batch = Batch(BATCH, SIDE)
    for family in FAMILIES:
        torch.manual_seed(0)
        config = load_config(ROOT / f"configs/{family}/r50_fpn_1x_coco.py", {"model.backbone.weights": None})
        network = build_detector(config, classes=[str(index) for index in range(80)]).cuda()
        step = step_of_rdet(network, batch)
        rows.append(measured(family, step, BATCH, rounds=6))
        waits[family], kernels[family] = waits_of(step), kernels_of(step)
        del network, step
    return {"rows": rows, "waits": waits, "profile": kernels}


def tests(out: Path) -> dict:
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "tests/gpu", "-q", "--tb=short", "-p", "no:cacheprovider"]
    finished = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    (out / "tests.log").write_text(finished.stdout)
    print(finished.stdout[-6000:])
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|error)", finished.stdout)}
    return {"counts": counts, "failed": re.findall(r"^FAILED (\S+)", finished.stdout, flags=re.MULTILINE)}


def quickstart(out: Path) -> dict:
    config, work_dir, data = "configs/quickstart/retinanet_lite0_fpn_quickstart.py", out / "work_dir", out / "data"
    seconds = {}

    def tool(name: str, *words: str) -> str:
        start = time.perf_counter()
        finished = subprocess.run(
            [sys.executable, f"tools/{name}.py", *words],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        seconds[name] = time.perf_counter() - start
        if finished.returncode:
            raise SystemExit(f"tools/{name}.py failed:\n{finished.stdout[-3000:]}")
        return finished.stdout

    tool("make_quickstart", str(data))
    options = ["--cfg-options", f"data_root={data}"]
    tool("train", config, "--work-dir", str(work_dir), *options)
    checkpoint = (work_dir / "last_checkpoint").read_text().strip()
    printed = tool("test", config, checkpoint, "--work-dir", str(work_dir / "test"), *options)
    return {"ap": float(re.findall(r"bbox_mAP: ([\d.]+)", printed)[-1]), "seconds": seconds}


PARTS = {
    "ceilings": ceilings,
    "training": training,
    "inference": inference,
    "tests": tests,
    "quickstart": quickstart,
    "families": families,
    "compiled": compiled,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="rdet on a GPU")
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="default: all")
    parser.add_argument("--out", type=Path, default=ROOT / "work_dirs/gpu", help="folder of the json files")
    parser.add_argument("--here", action="store_true", help="run one part in this process")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if not torch.cuda.is_available():
        raise SystemExit("no GPU is at hand: torch.cuda.is_available() is False")
    if args.here:
        (part,) = args.parts
        start = time.perf_counter()
        found = PARTS[part](args.out) if part in ("tests", "quickstart") else PARTS[part]()
        seconds = time.perf_counter() - start
        card = {"card": torch.cuda.get_device_name(), "cuda": torch.version.cuda, **machine()}
        text = json.dumps({"machine": card, "part_seconds": seconds, **found}, indent=1)
        (args.out / f"{part}.json").write_text(text + "\n")
        return
    for part in args.parts or PARTS:
        print(f"== {part}", flush=True)
        start = time.perf_counter()
        command = [sys.executable, __file__, part, "--here", "--out", str(args.out)]
        code = subprocess.run(command).returncode
        print(f"== {part}: {'done' if code == 0 else 'FAILED'} in {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
