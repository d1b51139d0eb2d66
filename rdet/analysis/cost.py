"""What a detector costs: parameters, operations, time."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from torch.utils.flop_counter import FlopCounterMode

from rdet.analysis.speed import wait_for
from rdet.apis.build import build_datasets, build_detector
from rdet.datasets.summary import classes_of
from rdet.engine.sampling import Draw, SeededDataset
from rdet.registry import OPTIM_WRAPPERS

_OF_THE_OPTIMIZER = ("optimizer", "constructor", "paramwise_cfg")


@dataclass
class Cost:
    """Costs of a detector.

    Attributes:
        parameters: Number of weights, frozen ones included.
        flops: Floating-point operations of the network on one test image; a multiplication and
            an addition are two.
        step_ms: Milliseconds of one training step: forward, losses, backward and a plain SGD
            update, without loading the data.
        latency_ms: Milliseconds from one image in memory to its detections.
    """

    parameters: int
    flops: int
    step_ms: float
    latency_ms: float

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


def measure_costs(cfgs: dict[str, Config], rounds: int = 5, device: str | None = None) -> dict[str, Cost]:
    """Measure the costs of several detectors with random weights, on the first images of their own data.

    Every round times each detector once, so that a disturbance of the machine meets all of them;
    the result is the median over the rounds. Ratios within one call are comparable, and milliseconds
    of different calls are not.

    Args:
        cfgs: Name -> config, as :func:`rdet.config.load_config` returns it.
        rounds: Number of timings of each, after one that is not counted.
        device: Where; None: the first card, without cards the CPU.
    """
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    subjects = {name: _Subject(cfg, where) for name, cfg in cfgs.items()}
    steps: dict[str, list[float]] = {name: [] for name in cfgs}
    latencies: dict[str, list[float]] = {name: [] for name in cfgs}
    for round_ in range(rounds + 1):
        for name, subject in subjects.items():
            step, latency = (_seconds(work, where) for work in (subject.step, subject.detect))
            if round_ > 0:  # the first one fills caches
                steps[name].append(step)
                latencies[name].append(latency)
    return {
        name: Cost(
            sum(p.numel() for p in subject.model.parameters()),
            subject.flops(),
            1000 * median(steps[name]),
            1000 * median(latencies[name]),
        )
        for name, subject in subjects.items()
    }


class _Subject:
    """A detector with one batch to train on and one image to find objects in."""

    def __init__(self, cfg: Config, device: torch.device):
        torch.manual_seed(0)
        datasets = build_datasets(cfg, ("train", "test"))
        self.model = build_detector(cfg, classes_of(datasets["train"])).to(device)
        wrapper = {key: value for key, value in cfg.optim_wrapper.items() if key not in _OF_THE_OPTIMIZER}
        optimizer = torch.optim.SGD(self.model.parameters(), lr=0.0)
        self.optim = OPTIM_WRAPPERS.build({**wrapper, "optimizer": optimizer}, where="optim_wrapper")
        # The same images with the same random numbers for every detector, as at the start of training.
        train = SeededDataset(datasets["train"])
        count = min(cfg.train_dataloader.batch_size, len(train))
        self.batch = pseudo_collate([train[Draw(i, seed=i, iteration=0, epoch=0)] for i in range(count)])
        self.image = pseudo_collate([datasets["test"][0]])

    def step(self) -> None:
        self.model.train()
        self.model.train_step(self.batch, self.optim)

    def detect(self) -> None:
        self.model.eval()
        with torch.no_grad():
            self.model.test_step(self.image)

    def flops(self) -> int:
        self.model.eval()
        inputs = self.model.data_preprocessor(self.image)["inputs"]
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            self.model(inputs)
        return counter.get_total_flops()


def _seconds(work: Callable[[], None], device: torch.device) -> float:
    wait_for(device)
    start = time.perf_counter()
    work()
    wait_for(device)
    return time.perf_counter() - start
