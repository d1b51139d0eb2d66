import functools
import io
import logging
import os
import re
import subprocess
import sys
import warnings
import zipfile
from collections import defaultdict
from pathlib import PurePosixPath, PureWindowsPath
from urllib.error import URLError

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub, MMLogger
from torch import nn

from rdet.checkpoint import load_weights_into, read_checkpoint, weights_in
from rdet.errors import CheckpointError


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
    message = r"^evil.pth cannot be read as a checkpoint \(it holds \w+.mkdir, which is no data and may run code\); t"
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
        ValueError, match=rf"\A{re.escape(str(path))} cannot be read as a checkpoint \({reason}\); take another\Z"
    ):
        read_checkpoint(path)


def test_what_trainers_keep_beside_the_weights_is_read(tmp_path):
    counts = defaultdict(list, {"a": [1]})
    kept = {"file": PurePosixPath("/data/a"), "other": PureWindowsPath("c:/data"), "of": defaultdict(int, {"k": 2})}
    torch.save({"state_dict": {}, "counts": counts, **kept}, tmp_path / "a.pth")
    read = read_checkpoint(tmp_path / "a.pth")
    assert read["counts"] == {"a": [1]}
    assert (read["file"], read["other"], read["of"]) == ("/data/a", "c:\\data", {"k": 2})


def test_what_has_no_name_is_no_weight():
    weights = weights_in({"state_dict": {"module.a": torch.ones(1), 1: torch.ones(1), "b": 2}})
    assert list(weights) == ["a"]


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"^no checkpoint at {re.escape(str(tmp_path / 'a.pth'))}; give"):
        read_checkpoint(tmp_path / "a.pth")
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        read_checkpoint(tmp_path)


def test_failed_download(monkeypatch):
    def offline(*_, **__):
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
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
        ({"model": {"_orig_mod.a": torch.zeros(1), "module.b._orig_mod.c": torch.zeros(1)}}, ["a", "b.c"]),
        ({"model_state_dict": {"a": torch.zeros(1), "steps": 3}}, ["a"]),
        ({"a": torch.zeros(1), "epoch": 3, "optimizer": {"x": torch.zeros(1)}}, ["a"]),
        ({"ema_state_dict": {"steps": torch.tensor(3), "module.a": torch.zeros(1)}}, ["a"]),
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
    assert str(caught.value).endswith("The checkpoint is of another architecture than the config; give its own config")
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


def rewritten(path, change):
    """Writes a checkpoint whose pickle is another one, its sums right."""
    content = content_of({"state_dict": {"w": torch.zeros(3)}})
    with zipfile.ZipFile(io.BytesIO(content)) as parts, zipfile.ZipFile(path, "w") as out:
        for name in parts.namelist():
            out.writestr(name, change if name.endswith("data.pkl") else parts.read(name))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (torch.zeros(1).expand(10**10), "state_dict.w claims more numbers than the file has"),
        (torch.ones(2, dtype=torch.complex64), "state_dict.w is no plain tensor of numbers"),
        (torch.eye(3).to_sparse(), "it holds torch._utils._rebuild_sparse_tensor, which no detector needs"),
        (
            torch.zeros(3, device="meta"),
            "it holds torch._utils._rebuild_meta_tensor_no_storage, which no detector needs",
        ),
        (HistoryBuffer([1.0], [0]), "state_dict.w is no history of numbers and how often each counts"),
        (functools.reduce(lambda inner, _: [inner], range(150), 1), "it has values more than 100 levels deep"),
        (1 << 5000, "it is damaged or not what torch.save writes: "),
        (1 << 2030, None),
    ],
    ids=["expanded", "complex", "sparse", "meta", "history", "deep", "very long number", "long number"],
)
def test_what_is_no_plain_value_is_named(value, reason, tmp_path):
    path = tmp_path / "odd.pth"
    torch.save({"state_dict": {"w": value}}, path)
    if reason is None:
        read_checkpoint(path)
        return
    with pytest.raises(CheckpointError, match=re.escape(f"odd.pth cannot be read as a checkpoint ({reason}")) as caught:
        read_checkpoint(path)
    assert str(caught.value).endswith("; take another")


def test_values_within_themselves_and_many_times_are_refused(tmp_path):
    path = tmp_path / "odd.pth"
    rewritten(path, b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.")
    with pytest.raises(CheckpointError, match="a contains itself"):
        read_checkpoint(path)
    lists = b"](]q\x01" + b"".join(b"](" + b"h%c" % n * 9 + b"eq%c" % (n + 1) for n in range(1, 20)) + b"e"
    rewritten(path, b"\x80\x02}X\x01\x00\x00\x00a" + lists + b"s.")
    with pytest.raises(CheckpointError, match="has more than 10000000 values"):
        read_checkpoint(path)


def test_a_history_brings_no_methods(tmp_path):
    history = HistoryBuffer([1.0], [1])
    history._statistics_methods = {"mean": np.ndarray}
    history.max = 3
    torch.save({"a": history}, tmp_path / "odd.pth")
    read = read_checkpoint(tmp_path / "odd.pth")["a"]
    assert (read.statistics("mean"), read.max()) == (1, 1)
    assert HistoryBuffer._statistics_methods["mean"] is HistoryBuffer.mean


@pytest.mark.parametrize("kind", ["compressed", "twice", "program"])
def test_an_archive_that_torch_does_not_write_is_refused(kind, tmp_path):
    content, path = content_of({"w": torch.zeros(10**6)}), tmp_path / "odd.pth"
    with (
        zipfile.ZipFile(io.BytesIO(content)) as parts,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if kind == "compressed" else zipfile.ZIP_STORED) as out,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        for name in [*parts.namelist(), *(parts.namelist()[-1:] if kind == "twice" else ())]:
            out.writestr(name, parts.read(name))
        if kind == "program":
            out.writestr("archive/constants.pkl", b"")
    message = {"compressed": "its parts are compressed", "twice": "it is not what torch", "program": "TorchScript"}[
        kind
    ]
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "w.pth: its weight 0.bias holds numbers that are not finite.*; take an earlier checkpoint"),
        (float("inf"), "w.pth: its weight 0.bias holds numbers that are not finite"),
        (torch.full((3,), 1e300, dtype=torch.float64), "w.pth: its weight 0.bias holds numbers that are not finite"),
        (
            torch.ones(3, dtype=torch.int8),
            "w.pth: its weight 0.bias is of torch.int8, where the model has torch.float32",
        ),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_weights_that_are_no_finite_numbers_are_refused(value, message, strict):
    module = network()
    before = module[0].bias.clone()
    state = {**weights(), "0.bias": value if isinstance(value, torch.Tensor) else torch.full((3,), value)}
    with pytest.raises(CheckpointError, match=message):
        load_weights_into(module, state, "w.pth", strict)
    assert torch.equal(module[0].bias, before)
    load_weights_into(module, {**weights(), "0.bias": torch.ones(3, dtype=torch.float16)}, "w.pth")


def test_what_a_model_has_of_infinite_numbers_itself_is_loaded():
    module = nn.Module()
    module.register_buffer("mask", torch.tensor([0.0, -float("inf")]))
    load_weights_into(module, {"mask": module.mask}, "w.pth")


def test_an_archive_of_several_disks_is_damaged(tmp_path):
    content = bytearray(content_of({"w": torch.zeros(3)}))
    content[content.rindex(b"PK\6\7") + 16] = 9
    (tmp_path / "odd.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"odd.pth cannot be read as a checkpoint \(.*\); take another$"):
        read_checkpoint(tmp_path / "odd.pth")


def test_an_address_without_a_file_is_refused():
    with pytest.raises(ConnectionError, match="^https://x.org/ names no file; give the whole address$"):
        read_checkpoint("https://x.org/")
