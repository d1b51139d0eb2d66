"""rdet on a GPU: its tests, its speed beside torchvision's, and the quickstart: python benchmarks/gpu.py [PART ...]

    tests       pytest -m gpu, in four processes
    quickstart  the quickstart trained to its AP, beside the tests
    ceilings    what the card can do: a matrix product and a copy
    training    RetinaNet R50-FPN, 800 x 800, batches of 16, bfloat16: rdet and torchvision's
    inference   800 x 1333, batches of 1 and 16, bfloat16
    families    a training step of each family with its own config
    feed        from JPEG files with 16 workers: the loader alone, the step alone, and both
    compiled    rdet's step of `training`, with the network compiled; only where it is named, as it takes over a minute

Each part is a process of its own, ends after its limit at the latest, and writes OUT/PART.json when it ends, so that a
run that is cut has what it had. The last lines sum up all json files of OUT.
"""

import argparse
import copy
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from feed import feed
from side_by_side import machine, seconds_of
from step import Batch, networks
from torch.profiler import ProfilerActivity, profile

from rdet.apis.build import build_detector
from rdet.config import load_config
from rdet.structures.ground_truth import GroundTruth

ROOT = Path(__file__).resolve().parents[1]
SIDE, BATCH = 800, 16
SIZE_OF_INFERENCE = (800, 1333)
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
    # Once in a process, it also warns that the mode is a prototype.
    return sum("called a synchronizing" in str(warning.message) for warning in caught)


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
    found = {name: stacked(step()) for name, step in steps.items()}
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
        network = detector(family)
        step = step_of_rdet(network, batch)
        rows.append(measured(family, step, BATCH, rounds=6))
        waits[family], kernels[family] = waits_of(step), kernels_of(step)
        del network, step
    return {"rows": rows, "waits": waits, "profile": kernels}


def detector(family: str) -> torch.nn.Module:
    """The detector of one of ``FAMILIES``."""
    name, changes = FAMILIES[family]
    torch.manual_seed(0)
    config = load_config(ROOT / f"configs/{name}.py", {"model.backbone.weights": None, **changes})
    return build_detector(config, classes=[str(index) for index in range(80)]).cuda()


def stacked(losses: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.stack(list(losses.values())).float().cpu()


def tests(out: Path) -> dict:
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "tests/gpu", "-q", "--tb=short", "-p", "no:cacheprovider"]
    if importlib.util.find_spec("xdist"):  # they share the card
        command += ["-n", "4"]
    log = out / "tests.log"  # written while they run, so that a cut leaves it
    with log.open("w") as stream:
        subprocess.run([*command, "--durations=8"], cwd=ROOT, stdout=stream, stderr=subprocess.STDOUT)
    printed = log.read_text()
    print(printed[-6000:])
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|error)", printed)}
    return {"counts": counts, "failed": re.findall(r"^FAILED (\S+)", printed, flags=re.MULTILINE)}


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


# Name -> what it does, and seconds after which it is ended. All but `compiled` take five minutes on an H200.
PARTS = {
    "tests": (tests, 180),
    "quickstart": (quickstart, 180),
    "ceilings": (ceilings, 40),
    "training": (training, 90),
    "inference": (inference, 90),
    "families": (families, 120),
    "feed": (feed, 100),
    "compiled": (compiled, 120),
}
# Their times are no measure of the card, so they may share it.
TOGETHER = ("tests", "quickstart")
BY_NAME = ("compiled",)


def run_here(part: str, out: Path) -> None:
    """Runs a part in this process and writes its json."""
    start = time.perf_counter()
    call = PARTS[part][0]
    found = call(out) if part in TOGETHER else call()
    card = {"card": torch.cuda.get_device_name(), "cuda": torch.version.cuda, **machine()}
    seconds = time.perf_counter() - start
    text = json.dumps({"machine": card, "part_seconds": seconds, **found}, indent=1)
    (out / f"{part}.json").write_text(text + "\n")


def run_beside(parts: list[str], out: Path) -> None:
    """Runs each part in a process of its own, all at once; ends those that are over their limit."""
    start = time.perf_counter()
    print(f"== {', '.join(parts)}", flush=True)
    command = [sys.executable, __file__, "--here", "--out", str(out)]
    started = {part: subprocess.Popen([*command, part], start_new_session=True) for part in parts}
    for part, process in started.items():
        try:
            code = process.wait(max(0, start + PARTS[part][1] - time.perf_counter()))
            how = "done" if code == 0 else "FAILED"
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with the processes that it started
            process.wait()
            how = "CUT"
        print(f"== {part}: {how} after {time.perf_counter() - start:.0f} s", flush=True)


def summary(out: Path) -> list[str]:
    """Lines that say what the json files of a folder have."""
    lines = []
    for part in PARTS:
        path = out / f"{part}.json"
        if not path.is_file():
            lines.append(f"{part}: nothing")
            continue
        found = json.loads(path.read_text())
        for row in found.get("rows", ()):
            lines.append(
                f"{part}: {row['name']}: {row['images_per_second']:.1f} images/s, "
                f"{1000 * median(row['seconds']):.2f} ms, {row['peak_mib']:.0f} MiB"
            )
        facts = {key: value for key, value in found.items() if isinstance(value, int | float | str)}
        facts |= {key: found[key] for key in ("counts", "failed", "waits", "parts") if key in found}
        lines.append(f"{part}: {json.dumps(facts)}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description="rdet on a GPU")
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="default: all but compiled")
    parser.add_argument("--out", type=Path, default=ROOT / "work_dirs/gpu", help="folder of the json files")
    parser.add_argument("--here", action="store_true", help="run one part in this process")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if not torch.cuda.is_available():
        raise SystemExit("no GPU is at hand: torch.cuda.is_available() is False")
    if args.here:
        (part,) = args.parts
        run_here(part, args.out)
        return
    parts = args.parts or [part for part in PARTS if part not in BY_NAME]
    if beside := [part for part in parts if part in TOGETHER]:
        run_beside(beside, args.out)
    for part in parts:
        if part not in TOGETHER:
            run_beside([part], args.out)
    print("\n".join(summary(args.out)))


if __name__ == "__main__":
    main()
