"""Two processes do what one does."""

import json
import re
import sys
from pathlib import Path

import pytest
import torch

from rdet.checkpoint import read_checkpoint
from rdet.engine import distributed
from rdet.engine.distributed import (
    average_in_order,
    init_cpu_process_group,
    meeting_of_this_attempt,
    naming_lost_processes,
)
from rdet.errors import ProcessLostError


def losses_of_evaluations(work_dir: Path) -> dict[str, float]:
    """Returns those of the run's last evaluation, in which one process has an image more than the other."""
    (log,) = work_dir.glob("*/vis_data/scalars.json")
    return {name: value for name, value in json.loads(log.read_text().splitlines()[-1]).items() if "/loss" in name}


def metrics_of(output: str) -> list[float]:
    """COCO's twelve numbers, as mmengine's log says them of the last evaluation; times follow them."""
    line = re.findall(r"coco/bbox_mAP: .*", output)[-1]
    numbers = [float(number) for number in re.findall(r"coco/bbox_[\w@]+: (-?[\d.]+)", line)]
    assert len(numbers) == 12
    return numbers


# Every sum over positives that is divided by another, over all processes.
WEIGHTED = [
    "model.bbox_weight.type=Centerness",
    "model.cls_mass.type=IoUQuality",
    "model.loss_quality.type=BinaryCrossEntropyLoss",
    "model.quality.type=Centerness",
    "model.level_weight.type=RareLevelWeight",
]


ONE_BOX_A_CELL = [
    "model.anchor_generator.ratios=[1.0]",
    "model.bbox_coder.type=DistancePointBBoxCoder",
    "model.loss_bbox.type=GIoULoss",
    "model.bbox_weight.type=SameQuality",
]
VFNET = [
    *ONE_BOX_A_CELL,
    "model.bbox_head.type=VFNetHead",
    "model.loss_cls.type=VarifocalLoss",
    "model.loss_bbox_initial.type=GIoULoss",
    "model.assigner.type=ATSSAssigner",
]
TOOD = [
    *ONE_BOX_A_CELL,
    "model.bbox_head.type=TOODHead",
    "model.loss_cls.type=QualityFocalLoss",
    "model.quality.type=TaskAlignedQuality",
    "model.cls_mass.type=SameQuality",
    "model.assigner.type=TaskAlignedAssigner",
    "model.initial.epochs=1",
    "model.initial.assigner.type=ATSSAssigner",
    "model.initial.loss_cls.type=FocalLoss",
    "model.initial.cls_mass=None",
    "train_cfg.max_iters=5",  # of the second epoch too
    "default_hooks.checkpoint.interval=5",
]


# Without any of these slots: the promise processes-equal of tests/faults.
@pytest.mark.parametrize("slots", [WEIGHTED, VFNET, TOOD], ids=["weighted", "vfnet", "tood"])
def test_training_step_equals_that_of_one_process_with_the_joint_batch(command, config, tmp_path, slots):
    options = ["--val-loss", "--cfg-options", "train_cfg.max_iters=3", "default_hooks.checkpoint.interval=3"]
    options += ["model.backbone.dropout=0.0", *slots]  # each process has random numbers of its own
    two = command("train.py", config, "--work-dir", "two", *options, processes=2)
    output, _ = two.communicate(timeout=200)
    assert two.returncode == 0, output
    one = command("train.py", config, "--work-dir", "one", *options, "train_dataloader.batch_size=4")
    output, _ = one.communicate(timeout=200)
    assert one.returncode == 0, output
    last = "iter_5.pth" if slots is TOOD else "iter_3.pth"
    states = [read_checkpoint(tmp_path / name / last) for name in ("one", "two")]
    losses = [losses_of_evaluations(tmp_path / name) for name in ("one", "two")]
    assert losses[0]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    for name, weight in states[0]["state_dict"].items():
        torch.testing.assert_close(states[1]["state_dict"][name], weight, rtol=1e-5, atol=1e-7, msg=name)
    momenta = [state["optimizer"]["state"] for state in states]
    assert momenta[0].keys() == momenta[1].keys()
    for key, value in momenta[0].items():
        # Momentum is the sum of the gradients of the steps.
        torch.testing.assert_close(momenta[1][key]["momentum_buffer"], value["momentum_buffer"], rtol=1e-4, atol=1e-6)


def test_the_scripts_train_and_evaluate_as_one_process_does(command, fresh_command, config, tmp_path):
    """And end with their threads joined: one that outlives Python aborts the process now and then, at its very end."""
    options = ["--cfg-options", "custom_imports.imports=[tiny_parts,threads_at_exit]", "log_level=INFO"]
    few = ["train_cfg.max_iters=1", "default_hooks.checkpoint.interval=1", "train_dataloader.num_workers=1"]
    checkpoint = "work_dirs/tiny/iter_1.pth"

    def together(script, *words):
        output, _ = (process := fresh_command(script, config, *words, shell_script=True)).communicate(timeout=200)
        assert process.returncode == 0, output
        if sys.platform == "linux":  # whose /proc has the threads' names
            threads = re.findall("threads at exit: (.*)", output)
            assert len(threads) == 2, output
            assert all("gloo" not in names for names in threads), threads
        return output

    together("dist_train.sh", "2", *options, *few)
    output_of_two = together("dist_test.sh", checkpoint, "2", "--out", "two.json", *options)
    one = command("test.py", config, checkpoint, "--out", "one.json", "--cfg-options", "log_level=INFO")
    output_of_one, _ = one.communicate(timeout=200)
    assert one.returncode == 0, output_of_one
    detections = [json.loads((tmp_path / name).read_text()) for name in ("one.json", "two.json")]
    assert len({d["image_id"] for d in detections[0]}) == 13
    assert detections[0] == detections[1]
    assert metrics_of(output_of_two) == pytest.approx(metrics_of(output_of_one), abs=1e-9)


def test_processes_share_the_images_that_are_read_to_find_bad_ones(command, config, tmp_path):
    (spoilt,) = sorted(tmp_path.rglob("*.png"))[3:4]
    spoilt.write_bytes(spoilt.read_bytes()[:-20])
    options = [f"{split}_dataloader.dataset.on_bad_image=skip" for split in ("train", "val")]
    options += ["log_level=INFO", "train_cfg.max_iters=1"]
    run = command("train.py", config, "--work-dir", "run", "--cfg-options", *options, processes=2)
    output, _ = run.communicate(timeout=200)
    assert run.returncode == 0, output
    assert output.count("reading 7 of 13 images to find bad ones") == 2  # of the first process, of each data set
    assert re.search(f"left out 1 images [a-z]+: {re.escape(str(spoilt))}", output), output


def test_a_loss_that_is_no_number_in_one_process_ends_all_before_a_checkpoint(command, config, tmp_path):
    options = ["--cfg-options", "train_cfg.max_iters=9", "default_hooks.checkpoint.interval=3"]
    options += ["default_hooks.runtime_info.type=RuntimeInfoHook", "default_hooks.runtime_info.interval=20"]
    options += ["default_hooks.logger.interval=100", "custom_imports.imports=[tiny_parts,rank_hooks]"]
    options += ["custom_hooks=[{'type':'LosesItsLoss','rank':1,'iteration':5}]"]
    run = command("train.py", config, "--work-dir", "run", *options, processes=2)
    output, _ = run.communicate(timeout=200)
    assert run.returncode != 0
    (batch,) = (tmp_path / "run").glob("nonfinite_*")  # of the process whose loss it was, and of the step
    assert batch.name == "nonfinite_iter_5_rank_1.pth"
    assert "iteration 5: the loss of another process is not finite" in output
    assert "iteration 5: the loss is not finite (loss nan" in output
    assert "NonFiniteLossError" not in output  # a line, no traceback of ours
    assert [path.name for path in (tmp_path / "run").glob("iter_*")] == ["iter_3.pth"]


@pytest.mark.parametrize(
    ("launcher", "message"),
    [
        ("pytorch", "--launcher pytorch, but RANK is not set"),
        ("slurm", "--launcher slurm, but SLURM_PROCID is not set"),
        ("ray", "launcher is 'ray'; valid: none, pytorch, slurm, mpi"),
    ],
)
def test_wrong_launcher_is_said(launcher, message, monkeypatch):
    for name in ("RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match=message):
        init_cpu_process_group(launcher)


def test_processes_that_are_started_again_do_not_meet_those_before(monkeypatch):
    """What the first attempt left in torchrun's store is not read by the second."""
    server = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    started = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": server.port, "RANK": 1, "WORLD_SIZE": 2}
    started |= {"LOCAL_WORLD_SIZE": 2, "TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": 0}
    for name, value in started.items():
        monkeypatch.setenv(name, str(value))
    assert meeting_of_this_attempt() == {}
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    meeting = meeting_of_this_attempt()
    server.set("address", "of a process that is gone")
    assert (meeting["rank"], meeting["world_size"]) == (1, 2)
    assert not meeting["store"].check(["address"])
    meeting["store"].set("address", "here")
    assert server.get("attempt_1/address") == b"here"
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")  # of two machines, whose attempts are counted apart
    assert meeting_of_this_attempt() == {}


def test_gradients_are_added_in_the_order_of_the_processes(monkeypatch):
    """Wherever they lie in their bucket: in float32, 1e8 + 1 - 1e8 is 0, and 1e8 - 1e8 + 1 is 1."""
    values = [1e8, 1.0, -1e8]

    class Work:
        def get_future(self):
            future = torch.futures.Future()
            future.set_result(None)
            return future

    def gather(parts, own, group, async_op):
        for part, value in zip(parts, values, strict=True):
            part.fill_(value)
        return Work()

    class Bucket:
        def buffer(self):
            return torch.zeros(5)

    monkeypatch.setattr(distributed.dist, "get_world_size", lambda group: 3)
    monkeypatch.setattr(distributed.dist, "all_gather", gather)
    assert average_in_order(None, Bucket()).wait().tolist() == [0.0] * 5
    values.sort()
    assert average_in_order(None, Bucket()).wait().tolist() == [0.0] * 5
    values[:] = [1e8, -1e8, 3.0]
    assert average_in_order(None, Bucket()).wait().tolist() == [1.0] * 5


@pytest.mark.parametrize("text", ["Connection closed by peer [127.0.0.1]:1", "Timed out waiting 10000ms for recv"])
def test_a_process_that_is_gone_is_one_line(monkeypatch, text):
    monkeypatch.setattr(distributed.dist, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed.dist, "get_rank", lambda: 1)
    with (
        pytest.raises(ProcessLostError, match=r"process 1: another process .* \(.*\); see what it said, and start all"),
        naming_lost_processes(),
    ):
        raise RuntimeError(text)
    with pytest.raises(RuntimeError, match="a bug"), naming_lost_processes():
        raise RuntimeError("a bug")


def test_a_config_says_how_long_a_process_is_waited_for(monkeypatch):
    found = {}
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.setenv(name, "0")
    monkeypatch.setattr(distributed.dist, "init_process_group", lambda backend, **options: found.update(options))
    init_cpu_process_group("pytorch", 7)
    assert found["timeout"].total_seconds() == 7
