"""Checkpoints to go on from: the state of optimizer, schedulers, log, averages and gradients."""

import io
from pathlib import Path
from random import Random

import torch
from fuzz import Case, Reader

from readers import tiny
from readers.oddities import mutated

_EPOCHS = "train_cfg = dict(_delete_=True, by_epoch=True, max_epochs=2, val_interval=100)\n" + "{}"
_STEPS = "optim_wrapper.accumulative_counts = 3"
_KINDS = [("SGD", ""), ("AdamW", ""), ("SGD", tiny.EMA)]
_ENTRIES = ("optimizer", "param_schedulers", "message_hub", "meta", "ema_state_dict", "gradients")


def _go_on(folder: Path, path: Path, optimizer: str, more: str) -> None:
    """Resume, train a step, and write the checkpoint after it."""
    runner = tiny.build(folder, optimizer, more, resume=True, load_from=str(path))
    runner.train()


def make(rng: Random, folder: Path) -> Case:
    kind = rng.choice(_KINDS)
    value = torch.load(io.BytesIO(tiny.checkpoint(*kind)), weights_only=False)
    only = (rng.choice([entry for entry in _ENTRIES if entry in value]),)
    what = []
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        if rng.random() < 0.05:
            what.append(mutated(rng, value))
        elif only[0] in value and isinstance(value[only[0]], dict | list) and value[only[0]]:
            what.append(mutated(rng, value, only))
    path = folder / "odd.pth"
    torch.save(value, path)
    return Case(lambda: _go_on(folder, path, *kind), ("odd.pth",), f"{kind}: {'; '.join(what)}")


READERS = [Reader("resume", make, cases=10)]
