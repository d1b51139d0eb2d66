"""Training on a GPU: the same bits twice, memory that stays, checkpoints for other machines."""

import copy

import families
import pytest
import torch

from rdet.checkpoint import read_checkpoint

pytestmark = pytest.mark.gpu


def steps_of(model, count, seed=0):
    """Trains on other boxes in each step; returns the losses."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-3, momentum=0.9)
    totals = []
    for index in range(count):
        torch.manual_seed(index)
        total = sum(families.losses(model, families.batch(seed=seed + index, boxes=4 + index % 7)).values())
        total.backward()
        optimizer.step()
        optimizer.zero_grad()
        totals.append(total.detach())
    return torch.stack(totals)


@pytest.mark.parametrize("family", families.FAMILIES)
def test_deterministic_training_gives_the_same_bits(family, monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    first = families.detector(family).cuda()
    second = copy.deepcopy(first)
    torch.use_deterministic_algorithms(True)
    try:
        assert torch.equal(steps_of(first, 3), steps_of(second, 3))
    finally:
        torch.use_deterministic_algorithms(False)
    assert [n for (n, p), q in zip(first.named_parameters(), second.parameters(), strict=True) if not p.equal(q)] == []


@pytest.mark.parametrize("family", ["retinanet/r50_fpn_1x_coco", "tood/r50_fpn_1x_coco"])
def test_memory_stays(family):
    model = families.detector(family).cuda()
    steps_of(model, 20)
    torch.cuda.reset_peak_memory_stats()
    held = torch.cuda.memory_allocated()
    steps_of(model, 20)
    peak = torch.cuda.max_memory_allocated()
    steps_of(model, 60)
    assert torch.cuda.max_memory_allocated() <= 1.02 * peak
    assert torch.cuda.memory_allocated() <= 1.02 * held


@pytest.mark.parametrize("family", ["retinanet/r50_fpn_1x_coco", "gfl/r50_fpn_1x_coco"])
def test_a_compiled_network_has_the_same_losses(family):
    model, data = families.detector(family).cuda(), families.batch()
    expected = families.losses(model, data)
    model.compile()
    found = families.losses(model, data)
    sum(found.values()).backward()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-5, msg=name)


def test_a_run_uses_the_gpu_and_its_checkpoint_loads_on_a_cpu(make_runner):
    runner = make_runner(train_cfg__max_iters=2)
    runner.train()
    assert next(runner.model.parameters()).is_cuda
    checkpoint = read_checkpoint(f"{runner.work_dir}/iter_2.pth")
    assert {value.device.type for value in checkpoint["state_dict"].values()} == {"cpu"}


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_mixed_precision_trains(make_runner, dtype):
    runner = make_runner(train_cfg__max_iters=6, optim_wrapper__type="AmpOptimWrapper", optim_wrapper__dtype=dtype)
    before = {name: value.clone() for name, value in runner.model.state_dict().items()}
    runner.train()
    changed = [
        name for name, value in runner.model.state_dict().items() if not torch.equal(value.cpu(), before[name].cpu())
    ]
    assert changed
    assert all(value.isfinite().all() for value in runner.model.state_dict().values())
