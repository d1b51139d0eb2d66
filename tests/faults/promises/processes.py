"""Several processes do what one does, and end together."""

import json
import re
import shutil
from pathlib import Path
from random import Random

import torch
from promise import Outcome, Promise
from run_state import state_of
from runs import Lab

from promises.crashes import compare, laboratory
from rdet.checkpoint import read_checkpoint
from rdet.engine.checkpoint_files import newest_whole

_BATCH = 4  # of all processes together
_HOOKS = 'custom_imports = dict(imports=["tiny_parts", "rank_hooks"])\n'
_SECONDS_TO_END = 15.0


def lines_of_a_run(tiny: Path, processes: int, hooks: list[dict], more: str = "") -> str:
    return (
        f'_base_ = "{tiny}"\n{_HOOKS}custom_hooks = {hooks!r}\n'
        f"train_dataloader = dict(num_workers=0, batch_size={_BATCH // processes})\n"
        "train_cfg = dict(max_iters=4, val_interval=2)\n"
        "model = dict(backbone=dict(dropout=0.0), postprocess=dict(max_per_img=100))\n"
        'default_hooks = dict(checkpoint=dict(interval=2, save_best="coco/bbox_AR@100"))\n'
        f'log_level = "INFO"\n{more}'
    )


def equal_to_one(seed: int, cases: range) -> Outcome:
    """Trainings and evaluations by 1, 2 and 4 processes on the same images, of which many are empty, or which are few.

    A process has its own augmentation and dropout unless they are the same by nature: the images' places in the order
    decide the first, the second is off. What the losses are divided by is counted over all processes.
    """
    outcome = Outcome()
    with laboratory() as lab:
        for case in cases:
            with outcome.trying(case):
                rng = Random(f"{seed} equal {case}")
                images = rng.choice([1, 3, 13])
                _thin_out(lab, rng, images, rng.choice([0.2, 0.6, 1.0]))
                slow = [{"type": "IsSlow", "rank": 1, "seconds": 0.3}] if case % 3 == 2 else []
                states, wrong = {}, []
                for processes in (1, 2, 4):
                    name = f"case_{case}_{processes}"
                    hooks = [{"type": "WriteWeights"}, *(slow if processes > 1 else [])]
                    config = lab.write_config(
                        name, lines_of_a_run(lab.tiny, processes, hooks, f"randomness = dict(seed={seed + case})\n")
                    )
                    ended = lab.run(["train.py", str(config), "--work-dir", str(lab.folder / name)], name, processes)
                    if any(ended.codes):
                        wrong.append(f"{processes} processes end with {ended.codes}: {ended.said[-1500:]}")
                        break
                    states[processes] = _state(lab.folder, name, processes, wrong)
                for processes in (2, 4):
                    if len(states) == 3:
                        wrong += [f"{processes} processes: {what}" for what in _unequal(states[1], states[processes])]
                outcome.count(f"{images} images")
                outcome.failures += [f"{case}: {images} images: {reason}" for reason in wrong]
                for path in lab.folder.glob(f"case_{case}_*"):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
    return outcome


def _thin_out(lab: Lab, rng: Random, images: int, share: float) -> None:
    """Leaves some images, and boxes in a share of them."""
    path = lab.folder / "truth.json"
    whole = lab.folder / "whole_truth.json"
    if not whole.exists():
        shutil.copy(path, whole)
    truth = json.loads(whole.read_text())
    truth["images"] = truth["images"][:images]
    kept = {image["id"] for image in truth["images"] if rng.random() < share} or {1}
    truth["annotations"] = [box for box in truth["annotations"] if box["image_id"] in kept]
    path.write_text(json.dumps(truth))


def _state(folder: Path, name: str, processes: int, wrong: list[str]) -> dict:
    checkpoint = read_checkpoint(folder / name / "iter_4.pth")
    ranks = [torch.load(f"{folder / name}.rank_{rank}") for rank in range(processes)]
    for rank, weights in enumerate(ranks):
        different = [key for key, value in weights.items() if not torch.equal(value, ranks[0][key])]
        if different:
            wrong.append(f"process {rank} of {processes} has other weights than process 0: {different[:3]}")
    said = (folder / f"{name}.said").read_text()
    metrics = re.findall(r"coco/bbox_[\w@]+: (-?[\d.]+)", said)
    return {
        "weights": checkpoint["state_dict"],
        "gradients": {key: value["momentum_buffer"] for key, value in checkpoint["optimizer"]["state"].items()},
        "metrics": [float(number) for number in metrics],
    }


def _unequal(one: dict, other: dict) -> list[str]:
    """Says what is further apart than the order of a sum can make it."""
    wrong = []
    for kind, relative, absolute in (("weights", 1e-5, 1e-6), ("gradients", 1e-3, 1e-5)):
        for key, value in one[kind].items():
            if not torch.allclose(other[kind][key], value, rtol=relative, atol=absolute):
                wrong.append(f"{kind} of {key} differ by {(other[kind][key] - value).abs().max():.1e}")
    if one["metrics"] != other["metrics"]:
        wrong.append(f"metrics {other['metrics']}, of one process {one['metrics']}")
    return wrong[:4]


def one_dies(seed: int, cases: range) -> Outcome:
    """One of 2 or 4 processes is killed: in a step, an evaluation, while it saves, after an evaluation."""
    outcome = Outcome()
    with laboratory() as lab:
        whole: dict[int, dict] = {}
        for case in cases:
            with outcome.trying(case):
                rng = Random(f"{seed} dies {case}")
                processes = 2 if case % 2 else 4
                where = ["training", "evaluation", "after the evaluation", "saving"][case % 4]
                rank = 0 if where == "saving" else rng.randrange(processes)
                if processes not in whole:
                    name = f"whole_{processes}"
                    config = lab.write_config(name, lines_of_a_run(lab.tiny, processes, []))
                    ended = lab.run(["train.py", str(config), "--work-dir", str(lab.folder / name)], name, processes)
                    if any(ended.codes):
                        raise RuntimeError(ended.said[-3000:])
                    whole[processes] = state_of(lab.folder / name)
                name = f"case_{case}"
                death = {"type": "Dies", "rank": rank, "where": where, "iteration": 2}
                config = lab.write_config(name, lines_of_a_run(lab.tiny, processes, [death]))
                words = ["train.py", str(config), "--work-dir", str(lab.folder / name)]
                ended = lab.run(words, name, processes)
                wrong = _end_together(ended, rank)
                outcome.figures["seconds until the others end, at most"] = max(
                    ended.after, outcome.figures.get("seconds until the others end, at most", 0.0)
                )
                again = newest_whole(lab.folder / name)[0] is not None
                ended = lab.run([*words, "--resume"] if again else words, name, processes)
                if not again:
                    wrong.append("no checkpoint is left")
                elif any(ended.codes):
                    wrong.append(f"cannot go on, codes {ended.codes}: {ended.said[-1500:]}")
                else:
                    wrong += compare(whole[processes], state_of(lab.folder / name), False)
                outcome.count(
                    f"killed in {where}" if "evaluation" not in where or where == "evaluation" else f"killed {where}"
                )
                outcome.failures += [f"{case}: {rank} of {processes} processes, {where}: {reason}" for reason in wrong]
    return outcome


def _end_together(ended, rank: int) -> list[str]:
    wrong = []
    if ended.codes[rank] != -9:
        return [f"it was not killed: {ended.codes}: {ended.said[-1500:]}"]
    others = [code for index, code in enumerate(ended.codes) if index != rank]
    if any(code != 1 for code in others):
        wrong.append(f"the others end with {others}: {ended.said[-1500:]}")
    if ended.after > _SECONDS_TO_END:
        wrong.append(f"the others end after {ended.after:.0f} s")
    if "Traceback" in ended.said:
        wrong.append(f"a traceback: {ended.said[-3000:]}")
    lines = [line for line in ended.lines if line.startswith("error: ")]
    if len(lines) != len(others) or not all("another process of this run has ended" in line for line in lines):
        wrong.append(f"lines: {lines or ended.lines[-3:]}")
    return wrong


PROMISES = [
    Promise(
        "processes-equal",
        "2 and 4 processes end with the weights, gradients and metrics of one, whatever images each has",
        equal_to_one,
        short=1,
        long=12,
    ),
    Promise(
        "processes-die",
        "If one of several processes dies, the others end in one line in seconds, and the run goes on to the same bits",
        one_dies,
        short=2,
        long=24,
    ),
]
