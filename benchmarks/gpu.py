"""rdet on a GPU: its tests, its speed beside torchvision's, and the quickstart: python benchmarks/gpu.py [PART ...]

    tests       pytest tests/gpu and the kernels' tests, in eight processes
    quickstart  the quickstart trained to its AP, beside the tests
    ceilings    what the card can do: a matrix product and a copy
    training    RetinaNet R50-FPN, 800 x 800, batches of 16, bfloat16: rdet, by CUDA graphs too, and torchvision's
    inference   800 x 1333, batches of 1 and 16, bfloat16
    families    a training step of each family with its own config, by CUDA graphs too
    feed        from JPEG files with 16 workers: the loader alone, the step alone, and both
    compiled    rdet's step of `training`, with the network compiled; only where it is named, as it takes over a minute

Each part is a process of its own, ends after its limit at the latest, and writes OUT/PART.json when it ends, so that a
run that is cut has what it had. The last lines sum up all json files of OUT.
"""

import argparse
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import torch
from feed import feed
from gpu_inference import inference
from gpu_training import compiled, families, training
from side_by_side import machine, seconds_of

ROOT = Path(__file__).resolve().parents[1]


def ceilings() -> dict:
    one = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    other = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    product = median(seconds_of(lambda: one @ other, 20))
    source = torch.randn(2**30, device="cuda")
    target = torch.empty_like(source)
    copied = median(seconds_of(lambda: target.copy_(source), 10))
    return {"tera_operations": 2 * 8192**3 / product / 1e12, "terabytes": 2 * source.nbytes / copied / 1e12}


def tests(out: Path) -> dict:
    files = ["tests/gpu", "tests/models/test_kernels.py"]
    command = [sys.executable, "-m", "pytest", *files, "-q", "--tb=short", "-p", "no:cacheprovider"]
    if importlib.util.find_spec("xdist"):  # they share the card
        command += ["-n", "8"]
    log = out / "tests.log"  # written while they run, so that a cut leaves it
    with log.open("w") as stream:
        subprocess.run([*command, "--durations=8"], cwd=ROOT, stdout=stream, stderr=subprocess.STDOUT)
    printed = log.read_text()
    print(printed[-6000:])
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|error)", printed)}
    failed = re.findall(r"^FAILED (\S+)", printed, flags=re.MULTILINE)  # at once, and at the end
    return {"counts": counts, "failed": sorted(set(failed))}


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
    "tests": (tests, 260),
    "quickstart": (quickstart, 200),
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
        facts |= {key: found[key] for key in ("counts", "failed", "waits", "parts", "losses") if key in found}
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
