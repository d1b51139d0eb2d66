"""The section of docs/benchmarks.md that a run on a GPU gives: python benchmarks/gpu_report.py JSON [--docs PAGE]

JSON is the folder of `benchmarks/gpu.py`, or one file that has all parts. With --docs the section of the page between
its two comments is written anew, else it is printed.
"""

import argparse
import json
import re
from pathlib import Path
from statistics import median

BEGIN, END = "<!-- made by benchmarks/gpu_report.py: begin -->", "<!-- end -->"
GRAPHS = ", CUDA graphs"
# What NVIDIA's tuned code for MLPerf trains of X50-32x4d in a second, on an H100.
MLPERF = 305
# Families with torchvision's deformable convolutions.
NEVER_RECORDED = ("vfnet", "ddod")


def parts_of(path: Path) -> dict[str, dict]:
    """Parts of a run by their names."""
    if path.is_file():
        found: dict[str, dict] = json.loads(path.read_text())
        return found
    return {part.stem: json.loads(part.read_text()) for part in sorted(path.glob("*.json"))}


def section(parts: dict[str, dict]) -> str:
    """The section: the machine, and tables of what was measured."""
    blocks = [machine_of(parts)]
    if "training" in parts or "inference" in parts:
        blocks.append(table(("work", "torchvision", "rdet", "rdet, CUDA graphs", ""), beside_torchvision(parts)))
    if "families" in parts:
        header = ("training step", "images/s", "by CUDA graphs", "kernels of a step", "memory")
        blocks.append(table(header, of_families(parts["families"])))
    blocks.append(table(("goal", "measured", ""), goals(parts)))
    return "\n\n".join(blocks)


def machine_of(parts: dict[str, dict]) -> str:
    found = next((part["machine"] for part in parts.values() if "machine" in part), parts.get("machine"))
    if found is None:
        raise SystemExit("no part has ended, so there is nothing to report")
    driver = f"driver {found['driver']}, " if found.get("driver") else ""
    text = (
        f"One {found['card']}, {found['processor']}, {driver}CUDA {found['cuda']}, Python {found['python']}, torch "
        f"{found['torch']}, torchvision {found['torchvision']}, {found['date']}."
    )
    if "ceilings" in parts:
        most = parts["ceilings"]
        text += (
            f" A bf16 product of 8192 x 8192 runs at {most['tera_operations']:.0f} T operations/s there, a copy at "
            f"{most['terabytes']:.2f} TB/s."
        )
    return text


def beside_torchvision(parts: dict[str, dict]) -> list[tuple[str, ...]]:
    rows = []
    if training := by_name(parts.get("training", {})):
        for again, what in (("", "a step, R50, 16 images of 800 x 800"), (" again", "the same, once more")):
            names = [f"{name}{again}" for name in ("torchvision", "rdet", f"rdet{GRAPHS}")]
            if all(name in training for name in names):
                cells = [f"{speed(training[name])}, {training[name]['peak_mib']:,.0f} MiB" for name in names]
                rows.append((what, *cells, f"x {ratio(training, names[2], names[0]):.2f}"))
    if inference := by_name(parts.get("inference", {})):
        for batch in (1, 16):
            names = [f"{name}, batch {batch}" for name in ("torchvision", "rdet, nothing recorded", "rdet")]
            alone = inference[f"rdet without postprocess, batch {batch}"]
            said = speed if batch > 1 else milliseconds
            cells = [said(inference[name]) for name in names]
            cells[2] += f", {said(alone)} without postprocess"
            gained = f"x {ratio(inference, names[2], names[0]):.2f}"
            rows.append((f"inference, 800 x 1333, batch {batch}", *cells, gained))
    return rows


def of_families(found: dict) -> list[tuple[str, ...]]:
    rows, named = [], by_name(found)
    for name, row in named.items():
        if name.endswith(GRAPHS):
            continue
        replayed, kernels = named[f"{name}{GRAPHS}"], found["profile"][f"{name}{GRAPHS}"]
        of_step = f"{kernels['kernels']:,} in {kernels['kernel_ms']:.0f} ms"
        memory = f"{row['peak_mib']:,.0f} MiB, {replayed['peak_mib']:,.0f}"
        # What cannot be recorded runs as without.
        is_recorded = not name.startswith(NEVER_RECORDED)
        by_graphs = f"{replayed['images_per_second']:.0f}" if is_recorded else "cannot"
        rows.append((name, f"{row['images_per_second']:.0f}", by_graphs, of_step, memory))
    return rows


def goals(parts: dict[str, dict]) -> list[tuple[str, str, str]]:
    rows: list[tuple[str, str, str]] = []

    def add(goal: str, measured: float, shown: str, is_met: bool) -> None:
        rows.append((goal, shown.format(measured), "met" if is_met else "**missed**"))

    training, inference = by_name(parts.get("training", {})), by_name(parts.get("inference", {}))
    best = f"rdet{GRAPHS}"
    if best in training:
        gain, fast = ratio(training, best, "torchvision"), training[best]["images_per_second"]
        add("training, R50, 16 of 800 x 800: 1.8 times torchvision's speed", gain, "{:.2f}", gain >= 1.8)
        add("the same: 250 images/s", fast, "{:.0f}", fast >= 250)
        memory = training[best]["peak_mib"] / training["torchvision"]["peak_mib"]
        add("its memory: 0.7 of torchvision's", memory, "{:.2f}", memory <= 0.7)
        share = parts["training"]["part_of_the_kernels"]["losses"]
        add("matches and losses: 3 % of its kernels' time", 100 * share, "{:.1f} %", share <= 0.03)
    x50 = f"retinanet, x50-32x4d{GRAPHS}"
    if x50 in (families := by_name(parts.get("families", {}))):
        part = families[x50]["images_per_second"] / MLPERF
        add(f"training, X50-32x4d: 0.8 of MLPerf's {MLPERF} images/s", part, "{:.2f}", part >= 0.8)
    if "feed" in parts:
        for key, where in (("of_step", ""), ("of_step_on_device", ", resized on the card")):
            if key in parts["feed"]:
                part = parts["feed"][key]
                add(f"from JPEG files{where}: 0.9 of the step alone", part, "{:.2f}", part >= 0.9)
    if inference:
        one = 1000 * median(inference["rdet, batch 1"]["seconds"])
        add("inference, 800 x 1333, one image: 10 ms", one, "{:.1f} ms", one <= 10)
        gain = ratio(inference, "rdet, batch 16", "torchvision, batch 16")
        add("16 images: twice torchvision's speed", gain, "{:.2f}", gain >= 2)
        for batch in (1, 16):
            share = parts["inference"]["part_of_the_kernels"][f"postprocess, batch {batch}"]
            add(f"postprocess, batch {batch}: 5 % of the kernels' time", 100 * share, "{:.0f} %", share <= 0.05)
    if "quickstart" in parts:
        ap = parts["quickstart"]["ap"]
        add("quickstart: 0.59 AP", ap, "{:.3f}", ap >= 0.59)
    return rows


def by_name(part: dict) -> dict[str, dict]:
    return {row["name"]: row for row in part.get("rows", ())}


def ratio(rows: dict[str, dict], one: str, other: str) -> float:
    """How many times as fast one is."""
    return rows[one]["images_per_second"] / rows[other]["images_per_second"]


def speed(row: dict) -> str:
    return f"{row['images_per_second']:.0f} images/s"


def milliseconds(row: dict) -> str:
    return f"{1000 * median(row['seconds']):.1f} ms"


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return (
        "\n".join("| " + " | ".join(cells) + " |" for cells in lines).replace("| ---", "|---").replace("--- |", "---|")
    )


def put_into(page: str, made: str) -> str:
    """The page with the section in the place of the old one."""
    found = re.search(f"{re.escape(BEGIN)}.*?{re.escape(END)}", page, flags=re.DOTALL)
    if found is None:
        raise SystemExit(f"the page has no section between {BEGIN} and {END}; write both lines where it shall be")
    return page[: found.start()] + f"{BEGIN}\n{made}\n{END}" + page[found.end() :]


def main() -> None:
    parser = argparse.ArgumentParser(description="A page's section about a run on a GPU")
    parser.add_argument("json", type=Path, help="folder of benchmarks/gpu.py, or one file of all parts")
    parser.add_argument("--docs", type=Path, help="page to write it into, such as docs/benchmarks.md")
    args = parser.parse_args()
    made = section(parts_of(args.json))
    if args.docs is None:
        print(made)
    else:
        args.docs.write_text(put_into(args.docs.read_text(), made))


if __name__ == "__main__":
    main()
