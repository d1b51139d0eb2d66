"""rdet on a GPU: its tests, its speed beside torchvision's, and the quickstart: python benchmarks/gpu.py [PART ...]

    tests       pytest tests/gpu and the kernels' tests, in eight processes
    quickstart  the quickstart trained to its AP, in bfloat16 and in float16, beside the tests
    ceilings    what the card can do: a matrix product and a copy
    training    RetinaNet R50-FPN, 800 x 800, batches of 16, bfloat16: rdet, by CUDA graphs too, and torchvision's
    inference   800 x 1333, batches of 1 and 16, bfloat16
    families    a training step of each family with its own config, by CUDA graphs too
    feed        from JPEG files with 16 workers: the loader alone, the step alone, and both; and so with images that
                the card resizes and flips
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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import torch
from feed import feeds
from gpu_inference import inference
from gpu_training import compiled, families, training
from reports_of_tests import summed_up
from side_by_side import machine, seconds_of

BENCHMARKS = Path(__file__).resolve().parent
ROOT = BENCHMARKS.parent


def ceilings() -> dict:
    one = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    other = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    product = median(seconds_of(lambda: one @ other, 20))
    source = torch.randn(2**30, device="cuda")
    target = torch.empty_like(source)
    copied = median(seconds_of(lambda: target.copy_(source), 10))
    return {"tera_operations": 2 * 8192**3 / product / 1e12, "terabytes": 2 * source.nbytes / copied / 1e12}


def tests(out: Path) -> dict:
    """Writes what there is every few seconds: whoever cuts it has that, and why what failed did so."""
    files = ["tests/gpu", "tests/models/test_kernels.py", "tests/models/postprocess/test_detection_kernels.py"]
    command = [sys.executable, "-m", "pytest", *files, "-q", "--tb=short", "--timeout=150", "-p", "no:cacheprovider"]
    if importlib.util.find_spec("xdist"):  # they share the card
        command += ["-n", "8", "--dist", "worksteal"]
    reports, log = out / "tests.jsonl", out / "tests.log"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(BENCHMARKS), os.environ.get("PYTHONPATH", "")])}
    command += ["-p", "reports_of_tests", "--reports", str(reports)]
    last = time.perf_counter() + PARTS["tests"][1] - 15
    with log.open("w") as stream:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            while (code := process.poll()) is None and time.perf_counter() < last:
                time.sleep(2)
                write_json(out / "tests.json", {"ended": False, **summed_up(reports)})
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # with its workers, which would keep the card
                process.wait()
    print(log.read_text()[-6000:])
    return {"ended": code is not None, "code": code, **summed_up(reports)}


def quickstart(out: Path) -> dict:
    """The AP in bfloat16, as the config has it, by a test; and in float16, by the evaluation that ends a training."""
    data = out / "data"
    run_tool("make_quickstart", str(data))
    config = "configs/quickstart/retinanet_lite0_fpn_quickstart.py"

    def trained(name: str, *options: str) -> tuple[str, float]:
        start = time.perf_counter()
        words = ("--overwrite", "--work-dir", str(out / name), "--cfg-options", f"data_root={data}", *options)
        return run_tool("train", config, *words), time.perf_counter() - start

    with ThreadPoolExecutor(1) as pool:  # beside the first
        other = pool.submit(trained, "work_dir_float16", "optim_wrapper.dtype=float16")
        _, seconds = trained("work_dir")
        checkpoint = (out / "work_dir/last_checkpoint").read_text().strip()
        words = ("--work-dir", str(out / "work_dir/test"), "--cfg-options", f"data_root={data}")
        found = {"ap": last_ap(run_tool("test", config, checkpoint, *words)), "seconds": {"train": seconds}}
        write_json(out / "quickstart.json", found)
        printed, seconds = other.result()
    return {**found, "ap_float16": last_ap(printed), "seconds": {**found["seconds"], "train_float16": seconds}}


def run_tool(name: str, *words: str) -> str:
    """What a tool says; ends the part where it fails."""
    command = [sys.executable, f"tools/{name}.py", *words]
    finished = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if finished.returncode:
        raise SystemExit(f"tools/{name}.py failed:\n{finished.stdout[-3000:]}")
    return finished.stdout


def last_ap(printed: str) -> float:
    """The AP of the last evaluation of a log."""
    return float(re.findall(r"bbox_mAP: ([\d.]+)", printed)[-1])


# Name -> what it does, and seconds after which it is ended. All but `compiled` take five minutes on an H200.
PARTS = {
    "tests": (tests, 260),
    "quickstart": (quickstart, 260),
    "ceilings": (ceilings, 40),
    "training": (training, 90),
    "inference": (inference, 90),
    "families": (families, 120),
    "feed": (feeds, 120),
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
    write_json(out / f"{part}.json", {"machine": card, "part_seconds": seconds, **found})


def write_json(path: Path, found: dict) -> None:
    """Puts the whole file in the place of the old one, for who reads it when it is cut."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps(found, indent=1) + "\n")
    new.replace(path)


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
    """At most 20 lines that say what the json files of a folder have."""
    lines = []
    for part in PARTS:
        path = out / f"{part}.json"
        if not path.is_file():
            lines += [f"{part}: nothing"] * (part not in BY_NAME)
            continue
        found = json.loads(path.read_text())
        rows = [
            f"{row['name']} {row['images_per_second']:.1f} images/s ({row['peak_mib']:.0f} MiB)"
            for row in found.get("rows", ())
        ]
        if rows:
            lines.append(f"{part}: {'; '.join(rows)}")
        facts = {key: value for key, value in found.items() if isinstance(value, int | float | str)}
        facts |= {key: found[key] for key in ("counts", "waits", "parts", "losses") if key in found}
        lines.append(f"{part}: {json.dumps(facts)}")
        failed = found.get("failed") or {}
        lines += [f"FAILED {test}: {why_in_a_line(message)}" for test, message in list(failed.items())[:6]]
    return lines


def why_in_a_line(message: str) -> str:
    """The first line of the error that ended a test, and what was left of the card."""
    errors = [line.removeprefix("E").strip() for line in message.splitlines() if line.startswith("E ")]
    return f"{(errors or [''])[0][:150]} ({message.splitlines()[-1]})"


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
