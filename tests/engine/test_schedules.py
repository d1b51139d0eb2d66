"""Learning rates of the configs' schedules, stepped through."""

from pathlib import Path

import pytest
import torch
from mmengine.registry import PARAM_SCHEDULERS

from rdet import registry
from rdet.config import read_config
from rdet.engine.schedules.quadratic_warmup_lr import QuadraticWarmupLR
from rdet.engine.schedules.warmup_cosine_lr import WarmupCosineLR
from rdet.errors import ConfigError

SCHEDULES = Path(__file__).resolve().parents[2] / "configs/_base_/schedules"


def rates(name, iterations):
    """The learning rate of each of the first iterations."""
    cfg = read_config(SCHEDULES / f"{name}.py")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=cfg.optim_wrapper.optimizer.lr)
    schedulers = [PARAM_SCHEDULERS.build({**part, "optimizer": optimizer}) for part in cfg.param_scheduler]
    found = []
    for _ in range(iterations):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return found


def test_restarts():
    """From a third of the rate to all of it in 500 iterations; then periods that end near 0 and start at 0.01 again."""
    found = rates("schedule_90k_restarts", 18100)
    assert found[0] == pytest.approx(0.01 / 3)
    assert found[250] == pytest.approx(0.01 * 2 / 3, rel=0.01)
    assert max(found) == pytest.approx(0.01)
    for start, end in ((500, 5999), (6000, 17999)):
        assert found[start] == pytest.approx(0.01, rel=1e-3)
        assert found[(start + end) // 2] == pytest.approx(0.01 * 0.505, rel=0.02)
        assert found[end] == pytest.approx(0.0001, rel=0.01)
    assert found[18000] == pytest.approx(0.01, rel=1e-3)


def test_the_papers_schedule():
    found = rates("schedule_90k", 81000)
    assert found[0] == pytest.approx(0.01 / 3)
    assert [found[i] for i in (500, 59999, 60000, 79999, 80000)] == pytest.approx([0.01, 0.01, 1e-3, 1e-3, 1e-4])


def test_yolox():
    """The square of the step up to the rate in 5 epochs, a cosine to a twentieth, and that until the end."""
    cfg = read_config(SCHEDULES / "yolox_300e.py")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=cfg.optim_wrapper.optimizer.lr)
    length = 7
    schedulers = []
    for part in map(dict, cfg.param_scheduler):
        kind = registry.PARAM_SCHEDULERS.get(part.pop("type"))
        if part.pop("convert_to_iter_based", False):
            schedulers.append(kind.build_iter_from_epoch(optimizer=optimizer, epoch_length=length, **part))
        else:
            schedulers.append(kind(optimizer=optimizer, **part))
    found = []
    for iteration in range(300 * length):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        for scheduler in schedulers:
            if not scheduler.by_epoch or (iteration + 1) % length == 0:
                scheduler.step()
    assert [found[i] for i in (0, 9, 34)] == pytest.approx([0.01 / 35**2, 0.01 * (10 / 35) ** 2, 0.01])
    assert found[145 * length] == pytest.approx(0.01 * 0.525, rel=1e-3)
    assert found[285 * length :] == pytest.approx([0.0005] * 15 * length, rel=1e-3)
    with pytest.raises(ConfigError, match="QuadraticWarmupLR has begin=3 and end=3; give a later end"):
        QuadraticWarmupLR(optimizer, begin=3, end=3)


def test_a_cosine_whose_end_moves():
    """A line to the rate in a tenth, half a cosine to a hundredth; where the end moves, it goes on to the new one."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    schedule = WarmupCosineLR(optimizer, end=101, by_epoch=False)

    def steps(count):
        found = []
        for _ in range(count):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        return found

    found = steps(56)
    assert [found[i] for i in (0, 5, 10, 55)] == pytest.approx([0.001, 0.0505, 0.1, 0.0505])
    schedule.end_at(70)
    found = steps(20)
    assert found[:14] == sorted(found[:14], reverse=True)
    assert found[13:] == pytest.approx([0.001] * 7)
    with pytest.raises(ConfigError, match="WarmupCosineLR has warmup=1, the whole run; lower it"):
        WarmupCosineLR(optimizer, warmup=1)
