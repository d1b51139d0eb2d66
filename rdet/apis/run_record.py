"""What detections came from: a small file beside them, so that a report knows their data, model and speed."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from mmengine.dist import get_world_size

from rdet.analysis.results_file import read_results
from rdet.engine.runner import Runner
from rdet.files import write_text


@dataclass(frozen=True)
class RunRecord:
    """An evaluation that wrote detections.

    Attributes:
        config: Path of the config.
        cfg_options: Its overrides, ``KEY=VALUE`` each.
        checkpoint: Path or address.
        device: What it ran on.
        images: How many images were evaluated, by all processes.
        seconds: Of one image on one process: loading, network and suppression; 0 if not measured.
        views: Whether each image was seen in several views.
    """

    config: str
    cfg_options: list[str]
    checkpoint: str
    device: str
    images: int
    seconds: float
    views: bool

    def facts(self) -> dict[str, str]:
        """Say it in words."""
        speed = f"{1 / self.seconds:.1f} images a second ({1000 * self.seconds:.0f} ms an image, loading included), "
        return {
            "config": self.config,
            "checkpoint": self.checkpoint,
            "speed": (speed if self.seconds > 0 else "") + f"on {self.device}",
            **({"views": "several of each image"} if self.views else {}),
        }


def record_path(results: str | Path) -> Path:
    """Return where the record of a results file is: ``detections.run.json`` beside ``detections.json``."""
    return Path(results).with_suffix(".run.json")


def record_of(runner: Runner, config: str, cfg_options: list[str], checkpoint: str, views: bool) -> RunRecord:
    """Say what a runner that has tested did."""
    images = len(runner.test_dataloader.dataset)
    times = runner.message_hub.log_scalars.get("test/time")
    spent = float(times.data[0].sum()) if times is not None else 0.0
    place = os.path.abspath(config) if os.path.exists(config) else config
    there = os.path.abspath(checkpoint) if os.path.exists(checkpoint) else checkpoint
    device = next(runner.model.parameters()).device
    return RunRecord(place, cfg_options, there, str(device), images, spent * get_world_size() / max(1, images), views)


def write_record(path: Path, record: RunRecord) -> None:
    """Write a record as a whole or not at all."""
    write_text(path, json.dumps(asdict(record), indent=1) + "\n")


def read_record(results: str | Path) -> RunRecord | None:
    """Read the record of a results file; None if it has none, as those of other projects.

    Raises:
        ResultsError: It is damaged.
    """
    path = record_path(results)
    if not path.is_file():
        return None
    shape = {
        "config": str,
        "cfg_options": [str],
        "checkpoint": str,
        "device": str,
        "images": int,
        "seconds": float,
        "views": bool,
    }
    return RunRecord(**read_results(path, shape, "remove it, and give the truth with --ann or --config"))
