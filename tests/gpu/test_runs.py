"""Runs on a GPU: resumed, averaged, recomputed, without memory, with NCCL."""

import copy

import families
import pytest
import torch
from mmengine.runner.activation_checkpointing import turn_on_activation_checkpointing

from rdet.checkpoint import read_checkpoint
from rdet.errors import OutOfMemoryError

pytestmark = pytest.mark.gpu


class PowerCut(Exception):
    pass


def steps_that(runner, do):
    """Calls ``do(iteration)`` after each step of a run."""
    train_step = runner.model.train_step

    def step(*args, **kwargs):
        found = train_step(*args, **kwargs)
        do(runner.iter)
        return found

    runner.model.train_step = step
    return runner


def tensors_of(state, prefix=""):
    """Name -> tensor of a checkpoint's nested entries."""
    if isinstance(state, torch.Tensor):
        return {prefix: state}
    items = state.items() if isinstance(state, dict) else enumerate(state) if isinstance(state, list | tuple) else ()
    return {name: value for key, part in items for name, value in tensors_of(part, f"{prefix}/{key}").items()}


@pytest.mark.parametrize("options", [{}, {"optim_wrapper__type": "AmpOptimWrapper", "optim_wrapper__dtype": "float16"}])
def test_a_resumed_run_ends_with_the_same_bits(make_runner, tmp_path, options):
    options = {**options, "train_cfg__max_iters": 8, "default_hooks__checkpoint__interval": 4}
    options["custom_hooks"] = [{"type": "EMAHook", "momentum": 0.1}]
    make_runner(work_dir="whole", **options).train()

    def cut(iteration):
        if iteration == 5:
            raise PowerCut

    with pytest.raises(PowerCut):
        steps_that(make_runner(work_dir="cut", **options), cut).train()
    make_runner(work_dir="cut", resume=True, **options).train()
    whole, resumed = (read_checkpoint(tmp_path / name / "iter_8.pth") for name in ("whole", "cut"))
    for entry in ("state_dict", "optimizer", "ema_state_dict"):
        one, other = tensors_of(whole[entry]), tensors_of(resumed[entry])
        assert one.keys() == other.keys() != set()
        assert [name for name in one if not torch.equal(one[name], other[name])] == []


def test_the_average_is_of_the_weights_of_all_steps(make_runner, tmp_path):
    runner = make_runner(train_cfg__max_iters=4, custom_hooks=[{"type": "EMAHook", "momentum": 0.25}])
    name, seen = "bbox_head.conv_cls.weight", []
    steps_that(runner, lambda iteration: seen.append(runner.model.state_dict()[name].cpu().clone()))
    runner.train()
    average = seen[0]
    for weight in seen[1:]:
        average = torch.lerp(average, weight, 0.25)
    checkpoint = read_checkpoint(tmp_path / "run/iter_4.pth")
    torch.testing.assert_close(checkpoint["state_dict"][name], average, rtol=1e-5, atol=1e-7)
    assert not torch.equal(average, seen[-1])


def test_recomputed_activations_give_the_same_gradients_and_take_less_memory():
    data, held, gradients = families.batch(), [], []
    plain = families.detector("retinanet/r50_fpn_1x_coco").cuda()
    recomputed = copy.deepcopy(plain)
    turn_on_activation_checkpointing(recomputed, ["backbone.layer2", "backbone.layer3", "backbone.layer4"])
    for model in (plain, recomputed):
        before = torch.cuda.memory_allocated()
        total = sum(families.losses(model, data).values())
        held.append(torch.cuda.memory_allocated() - before)
        total.backward()
        gradients.append({key: p.grad for key, p in model.named_parameters() if p.grad is not None})
    assert held[1] < 0.9 * held[0]
    assert gradients[0].keys() == gradients[1].keys()
    for key, value in gradients[0].items():
        assert (gradients[1][key] - value).norm() <= 1e-3 * value.norm() + 1e-6, key


def without_memory(*args):
    torch.empty(2**46, device="cuda")


def test_a_training_without_memory_ends_in_a_line(make_runner):
    runner = make_runner(train_cfg__max_iters=3)
    runner.model.backbone.register_forward_pre_hook(without_memory)
    said = (
        r"^the GPU has no memory .* 2 images of up to 64 x 64 pixels .* more were asked for.* iteration 1; lower train"
    )
    with pytest.raises(OutOfMemoryError, match=said):
        runner.train()


def test_a_detection_without_memory_ends_in_a_line():
    model = families.detector("retinanet/r50_fpn_1x_coco").cuda().eval()
    hook = model.backbone.register_forward_pre_hook(without_memory)
    with torch.no_grad():
        with pytest.raises(OutOfMemoryError, match="the GPU has no memory left for a batch of 2 images"):
            model.test_step(families.batch())
        hook.remove()
        assert len(model.test_step(families.batch())) == 2  # and goes on


def test_a_step_is_of_no_more_kernels():
    """The host starts each; those of a step of a ResNet-50 were 2,060 when they were counted first."""
    from torch.profiler import ProfilerActivity, profile

    model = families.detector("retinanet/r50_fpn_1x_coco").cuda()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, fused=True)
    data = families.batch()

    def step():
        with torch.autocast("cuda", dtype=torch.bfloat16):
            found = families.losses(model, data)
        sum(found.values()).backward()
        optimizer.step()
        optimizer.zero_grad()

    step()
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA]) as recorded:
        step()
        torch.cuda.synchronize()
    kernels = [event for event in recorded.events() if event.device_type == torch.autograd.DeviceType.CUDA]
    assert 100 < len(kernels) <= 1800


@pytest.mark.parametrize("processes", [1, 2])
def test_processes_train_together_by_nccl(fresh_command, config, tmp_path, monkeypatch, processes, free_port):
    if processes > torch.cuda.device_count():
        pytest.skip("needs two GPUs")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", str(free_port))
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    options = ["custom_imports.imports=[tiny_parts,rank_hooks]"]
    options += ['custom_hooks=[{"type": "WriteWeights"}, {"type": "SaysBackend"}]']
    options += ["train_cfg.max_iters=3", "default_hooks.checkpoint.interval=3", "log_level=INFO"]
    started = []
    for rank in range(processes):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("LOCAL_RANK", str(rank))
        words = ("--work-dir", "run", "--launcher", "pytorch", "--cfg-options", *options)
        started.append(fresh_command("train.py", config, *words))
    said = [process.communicate(timeout=200)[0] for process in started]
    assert [process.returncode for process in started] == [0] * processes, said[0][-3000:]
    assert all("joined by nccl" in text for text in said)
    states = [torch.load(tmp_path / f"run.rank_{rank}") for rank in range(processes)]
    weights = read_checkpoint(tmp_path / "run/iter_3.pth")["state_dict"]
    for state in states:
        assert [name for name, value in weights.items() if not torch.equal(state[name].cpu(), value)] == []
