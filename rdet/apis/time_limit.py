"""A training of some minutes in place of some epochs."""

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config

from rdet.config import flatten

_IN_EPOCHS = ("stop_epoch", "model.initial.epochs")


def keys_of(minutes: float) -> dict[str, Any]:
    """Return what a config says of a run that ends when its time is up: its loop, its schedule and its checkpoints."""
    return {
        "train_cfg": {"_delete_": True, "by_epoch": False, "minutes": minutes},
        "param_scheduler": [{"type": "WarmupCosineLR", "by_epoch": False}],
        "default_hooks": {"checkpoint": {"interval": -1, "by_epoch": None}},  # written before each evaluation
    }


def not_fitted(cfg: Config) -> Iterator[str]:
    """Say what a config counts in epochs, of which such a run has as many as it turns out."""
    for key, value in flatten(cfg).items():
        if key.endswith(_IN_EPOCHS) and value:
            yield f"{key}={value} counts epochs, which --minutes does not change; set it, or leave it out"
