import io
import logging
import os
import re
import subprocess
import sys
from urllib.error import URLError

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub, MMLogger
from torch import nn

from rdet.checkpoint import load_weights_into, read_checkpoint, weights_in


@pytest.fixture
def log(caplog):
    """Pytest's ``caplog``, listening to mmengine's logger, which does not propagate."""
    logger = MMLogger.get_instance("test_checkpoint")
    MMLogger._instance_dict.move_to_end("test_checkpoint")
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)


def network(width=3):
    return nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width))


def mmengine_checkpoint() -> dict:
    """What mmengine's runner saves: weights, optimizer, schedules and the message hub's history."""
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.randn(4, 2)).sum().backward()
    optimizer.step()
    hub = MessageHub("test_checkpoint")
    for value in (0.5, np.float32(0.25), np.float64(1), np.int64(2), torch.tensor(3.0)):
        hub.update_scalar("train/loss", value)
    hub.update_info("last_step", {"iter": 5, "dtype": np.dtype("float32"), "flags": np.array([True])})
    return {
        "meta": {"dataset_meta": {"classes": ("a", "b")}, "epoch": 1, "cfg": "model = dict()", "seed": np.int64(3)},
        "state_dict": model.state_dict(),
        "message_hub": hub.state_dict(),
        "optimizer": optimizer.state_dict(),
        "param_schedulers": [{"last_step": 3, "base_values": [0.1]}],
    }


def test_checkpoint_of_mmengine_is_read(tmp_path):
    path, saved = tmp_path / "iter_5.pth", mmengine_checkpoint()
    torch.save(saved, path)
    checkpoint = read_checkpoint(path)
    assert checkpoint["meta"] == saved["meta"]
    buffer = checkpoint["message_hub"]["log_scalars"]["train/loss"]
    assert isinstance(buffer, HistoryBuffer)
    assert buffer.data[0].tolist() == [0.5, 0.25, 1, 2, 3]
    assert checkpoint["optimizer"]["param_groups"][0]["lr"] == 0.1
    fresh = network()
    load_weights_into(fresh, weights_in(checkpoint), str(path))
    assert torch.equal(fresh[0].weight, saved["state_dict"]["0.weight"])


def test_torch_alone_refuses_it(tmp_path):
    """The guard is needed: in a fresh process, the same file does not load without rdet's list."""
    torch.save({"message_hub": mmengine_checkpoint()["message_hub"]}, tmp_path / "iter_5.pth")
    code = "import mmengine, torch; {}torch.load('iter_5.pth', weights_only=True); print('read')"
    results = [
        subprocess.run(
            [sys.executable, "-c", code.format(guard)], cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
        for guard in ("", "import rdet.checkpoint; rdet.checkpoint.allow_checkpoint_classes(); ")
    ]
    assert "Unsupported global: GLOBAL mmengine.logging.history_buffer.HistoryBuffer" in results[0].stderr
    assert results[0].stdout == ""
    assert results[1].stdout == "read\n"


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("pwned",)


def test_code_in_a_checkpoint_does_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {"0.weight": torch.zeros(1)}, "meta": Malicious()}, "evil.pth")
    message = r"^evil.pth cannot be read as a checkpoint \(it holds \w+.mkdir, which is no data and may run code\)$"
    with pytest.raises(ValueError, match=message):
        read_checkpoint("evil.pth")
    assert not (tmp_path / "pwned").exists()
    torch.load("evil.pth", weights_only=False)
    assert (tmp_path / "pwned").exists()  # it would have


def content_of(value) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "its end is missing"),
        (b"<html>404</html>", "it is not what torch.save writes"),
        (content_of({"state_dict": {"w": torch.zeros(1000)}})[:2000], "its end is missing"),
        (content_of({"state_dict": {"w": torch.zeros(1000)}})[:-10], "its end is missing"),
        (content_of(torch.zeros(3)), "it holds a Tensor, no dict"),
        (content_of([1, 2]), "it holds a list, no dict"),
    ],
    ids=["empty", "html", "truncated", "end_missing", "tensor", "list"],
)
def test_what_is_no_checkpoint_is_one_line(content, reason, tmp_path):
    path = tmp_path / "bad.pth"
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=rf"\A{re.escape(str(path))} cannot be read as a checkpoint \({reason}\)(; take another)?\Z"
    ):
        read_checkpoint(path)


def test_what_has_no_name_is_no_weight():
    weights = weights_in({"state_dict": {"module.a": torch.ones(1), 1: torch.ones(1), "b": 2}})
    assert list(weights) == ["a"]


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"^no checkpoint at {re.escape(str(tmp_path / 'a.pth'))}$"):
        read_checkpoint(tmp_path / "a.pth")
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        read_checkpoint(tmp_path)


def test_failed_download(monkeypatch):
    def offline(*_, **__):
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    with pytest.raises(
        ConnectionError, match=r"^cannot download https://x.org/a.pth \(<urlopen error no route to host>"
    ):
        read_checkpoint("https://x.org/a.pth")


@pytest.mark.parametrize(
    ("checkpoint", "names"),
    [
        ({}, []),
        ({"state_dict": {"a": torch.zeros(1)}, "model": {"b": torch.zeros(1)}}, ["a"]),
        ({"model": {"module.a": torch.zeros(1), "module.module.b": torch.zeros(1)}}, ["a", "module.b"]),
        ({"model_state_dict": {"a": torch.zeros(1), "steps": 3}}, ["a"]),
        ({"a": torch.zeros(1), "epoch": 3, "optimizer": {"x": torch.zeros(1)}}, ["a"]),
        # Of before there was a criterion; the name elsewhere is another thing.
        ({"normalizer.mean": torch.zeros(1)}, ["criterion.normalizer.mean"]),
        ({"criterion.normalizer.mean": torch.zeros(1)}, ["criterion.normalizer.mean"]),
    ],
)
def test_weights_in(checkpoint, names):
    assert list(weights_in(checkpoint)) == names


def weights(width=3):
    return {name: torch.full_like(value, 7) for name, value in network(width).state_dict().items()}


def without(state, *names):
    return {name: value for name, value in state.items() if name not in names}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (weights(4), "7 of another shape, as (4, 2) for (3, 2) (0.weight, 0.bias, 1.weight, ...)"),
        ({**weights(), "2.bias": torch.zeros(1)}, "w.pth: 7 of 7 weights fit; 1 unexpected (2.bias). The checkpoint"),
        (without(weights(), "0.bias", "1.bias"), "w.pth: 5 of 7 weights fit; 2 missing (0.bias, 1.bias). The che"),
        ({"x": torch.zeros(1)}, "w.pth: 0 of 7 weights fit; 6 missing (0.weight, 0.bias, 1.weight, ...); 1 unexpec"),
        ({}, "w.pth: 0 of 7 weights fit; 6 missing"),
    ],
    ids=["shape", "unexpected", "missing", "other", "empty"],
)
def test_strict_says_in_one_line_what_does_not_fit(state, message):
    if message.startswith("7 of another"):  # the counter has no width
        message = message.replace("7 of", "6 of")
    module = network()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        load_weights_into(module, state, "w.pth")
    assert str(caught.value).endswith("The checkpoint is of another architecture than the config")
    assert "\n" not in str(caught.value)
    assert all(torch.equal(module.state_dict()[name], value) for name, value in before.items())


def test_counters_of_batch_norms_may_be_missing():
    module = network()
    load_weights_into(module, without(weights(), "1.num_batches_tracked"), "w.pth")
    assert (module[1].running_var == 7).all()


def test_not_strict_loads_what_fits_and_logs_one_summary(log):
    module = network()
    bias = module[0].bias.detach().clone()
    state = {**without(weights(), "0.bias"), "1.weight": torch.zeros(9), "2.bias": torch.zeros(1)}
    load_weights_into(module, state, "w.pth", strict=False)
    assert (module[0].weight == 7).all()
    assert torch.equal(module[0].bias, bias)
    (record,) = log.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "w.pth: 5 of 7 weights fit; 1 of another shape, as (9,) for (3,) (1.weight); "
        "1 missing (0.bias); 1 unexpected (2.bias)"
    )


def test_complete_weights_log_nothing(log):
    load_weights_into(network(), weights(), "w.pth", strict=False)
    assert log.records == []


@pytest.mark.parametrize("state", [{}, {"x": torch.zeros(1)}])
def test_not_strict_still_refuses_what_does_not_fit_at_all(state):
    with pytest.raises(ValueError, match="0 of 7 weights fit"):
        load_weights_into(network(), state, "w.pth", strict=False)


def test_damaged_file_is_said(tmp_path):
    """torch.load would return other numbers."""
    path = tmp_path / "model.pth"
    torch.save({"state_dict": {"weight": torch.arange(10000.0)}}, path)
    content = bytearray(path.read_bytes())
    middle = content.index(torch.arange(5000.0, 5002.0).numpy().tobytes())
    content[middle] ^= 255
    path.write_bytes(content)
    assert not torch.equal(torch.load(path)["state_dict"]["weight"], torch.arange(10000.0))
    with pytest.raises(ValueError, match=r"model.pth is damaged: .*data/0 in it is not what was written"):
        read_checkpoint(path)
