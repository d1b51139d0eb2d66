"""Other programs that show a training: their packages are stand-ins here, which write down what they are told."""

import importlib.util
import itertools
import json
import re
import runpy
import sys
from pathlib import Path
from types import ModuleType

import pytest

from rdet.config import load_config

ROOT = Path(__file__).resolve().parents[2]
SHORT = ["--cfg-options", "train_dataloader.num_workers=0", "default_hooks.checkpoint.interval=1", "param_scheduler=[]"]


@pytest.fixture
def train(config, tmp_path, monkeypatch, capsys):
    count = itertools.count()

    def train(iterations: int, *options: str) -> tuple[int, str]:
        words = ["train.py", config, "--work-dir", str(tmp_path / "run"), *options, *SHORT]
        name = f"experiment_name={tmp_path.name}_{next(count)}"  # runs of one process and second would share a name
        monkeypatch.setattr("sys.argv", [*words, f"train_cfg.max_iters={iterations}", name])
        code = 0
        try:
            runpy.run_path(str(ROOT / "tools/train.py"), run_name="__main__")
        except SystemExit as end:
            code = end.code
        return code, capsys.readouterr().err

    return train


class Told(ModuleType):
    """A module whose functions note their name and what they are given."""

    def __init__(self, name: str):
        super().__init__(name)
        self.__spec__ = importlib.util.spec_from_loader(name, None)
        self.calls: list[tuple] = []

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **options: self.calls.append((name, *args, options))

    def given(self, name: str) -> list[tuple]:
        return [call[1:] for call in self.calls if call[0] == name]


@pytest.fixture
def fake(monkeypatch):
    def fake(name: str) -> Told:
        module = Told(name)
        monkeypatch.setitem(sys.modules, name, module)
        return module

    return fake


def test_a_resumed_run_goes_on_in_wandb_and_a_new_one_does_not(train, fake, tmp_path):
    wandb = fake("wandb")
    wandb.config = Told("config")
    assert train(2, "--wandb") == (0, "")
    assert train(3, "--wandb", "--resume") == (0, "")
    (first,), (second,) = wandb.given("init")
    assert first["id"] == second["id"]
    assert (first["project"], first["name"], first["resume"]) == ("rdet", "run", "allow")
    assert [options["allow_val_change"] for _, options in wandb.config.given("update")] == [False, True]
    logged = [values for values, _ in wandb.given("log")]
    assert [values["iter"] for values in logged if "loss" in values] == [1, 2, 3]
    assert [values["iter"] for values in logged if "coco/bbox_mAP" in values] == [2, 3]
    assert len(wandb.given("finish")) == 2
    assert not wandb.given("join")

    assert train(1, "--wandb", "--overwrite") == (0, "")
    assert wandb.given("init")[2][0]["id"] != first["id"]


def test_the_written_config_has_the_backends_beside_its_own(train, fake, config, tmp_path):
    fake("wandb").config = Told("config")
    with open(config, "a") as file:
        file.write('visualizer = dict(name="tracked", vis_backends=[dict(type="LocalVisBackend")])\n')
    assert train(1, "--wandb") == (0, "")
    written = load_config(str(tmp_path / "run/tiny.py")).visualizer
    assert written.name == "tracked"
    local, wandb = written.vis_backends
    assert local == {"type": "LocalVisBackend"}
    assert wandb == {"type": "WandbVisBackend", "init_kwargs": {"project": "rdet", "name": "run"}}
    assert list((tmp_path / "run").glob("*/vis_data/scalars.json"))


def test_a_resumed_run_goes_on_in_mlflow(train, fake, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    mlflow = fake("mlflow")

    def start_run(run_id=None, **options):
        mlflow.calls.append(("start_run", run_id, options))
        run = ModuleType("run")
        run.info = ModuleType("info")
        run.info.run_id = run_id or "a1"
        return run

    mlflow.start_run = start_run
    assert train(1, "--mlflow") == (0, "")
    assert train(2, "--mlflow", "--resume") == (0, "")
    assert mlflow.given("start_run") == [(known, {"run_name": "run", "tags": None}) for known in (None, "a1")]
    assert {uri for uri, _ in mlflow.given("set_tracking_uri")} == {f"sqlite:///{tmp_path / 'run/mlflow.db'}"}
    ((params, _),) = mlflow.given("log_params")  # those of a run cannot change
    assert params["optim_wrapper.optimizer.lr"] == 0.02
    names = {name for values, *_ in mlflow.given("log_metrics") for name in values}
    assert {"coco/bbox_AR_100", "coco/bbox_mAP"} <= names  # it refuses others, such as AR@100
    assert all(re.fullmatch(r"[/\w.\- :]*", name) for name in [*names, *params])
    assert [step for values, step, _ in mlflow.given("log_metrics") if "loss" in values] == [1, 2]
    sent = [Path(path).name for path, _, _ in mlflow.given("log_artifact")]
    assert "tiny.py" in sent
    assert "scalars.json" in sent
    assert len(mlflow.given("end_run")) == 2


def test_what_a_program_cannot_take_ends_a_run_before_its_first_step_alone(train, fake, tmp_path):
    """An account that is missing is said at once; a server that is lost later, once."""

    def refuse(*_, **__):
        raise RuntimeError("No API key configured.\nUse `wandb login`")

    wandb = fake("wandb")
    wandb.config, wandb.init = Told("config"), refuse
    assert train(2, "--wandb") == (
        1,
        "error: wandb: No API key configured; set WANDB_MODE=offline to write it to the work dir alone, or leave wandb "
        "out\n",
    )
    del wandb.init
    wandb.log = lambda *_, **__: wandb.calls.append(("log",)) or refuse()
    assert train(3, "--wandb", "--overwrite", "--cfg-options", "log_level=WARNING")[0] == 0
    assert len(wandb.given("log")) == 1
    (log,) = [text for path in (tmp_path / "run").glob("*/*.log") if "goes on" in (text := path.read_text())]
    assert log.count("wandb: No API key configured; the run goes on without wandb") == 1
    assert (tmp_path / "run/iter_3.pth").is_file()


def test_events_of_a_resumed_run_lie_beside_its_first_and_hide_what_is_done_again(train, fake, monkeypatch, tmp_path):
    fake("tensorboard")
    writer = fake("torch.utils.tensorboard")
    writer.SummaryWriter = lambda folder, **options: writer.calls.append(("open", Path(folder), options)) or writer
    assert train(3, "--tensorboard") == (0, "")
    assert train(4, "--tensorboard", "--resume", str(tmp_path / "run/iter_2.pth")) == (0, "")
    (first, begun), (second, resumed) = writer.given("open")
    assert first == second
    assert first.parent.parent == tmp_path / "run"
    assert (begun["purge_step"], resumed["purge_step"]) == (None, 3)
    assert [step for name, _, step, _ in writer.given("add_scalar") if name == "loss"] == [1, 2, 3, 3, 4]
    assert "TensorboardVisBackend" in writer.given("add_text")[0][1]


@pytest.mark.parametrize("tracker", ["tensorboard", "wandb", "mlflow"])
def test_a_package_that_is_missing_is_said_before_anything_is_removed(train, tmp_path, monkeypatch, tracker):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/iter_1.pth").touch()
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == tracker else find(name, *rest))
    code, said = train(1, f"--{tracker}", "--overwrite")
    assert code == 1
    assert said == (
        f"error: --{tracker} needs the package {tracker}, which is not installed: pip install {tracker}, or leave the "
        "option out\n"
    )
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["iter_1.pth"]


def test_a_package_that_is_damaged_is_one_line(train, tmp_path, monkeypatch):
    (tmp_path / "wandb.py").write_text("import no_such_module_of_wandb")
    monkeypatch.syspath_prepend(str(tmp_path))
    code, said = train(1, "--wandb")
    assert code == 1
    assert said == (
        "error: --wandb needs the package wandb, which cannot be imported (No module named 'no_such_module_of_wandb'): "
        "install it anew, or leave the option out\n"
    )


def test_names_that_cannot_be_read_are_forgotten(tmp_path):
    from rdet.engine.tracked_runs import TRACKED, TrackedRuns

    for text in ("{", "[1]", '{"wandb": 3}'):
        (tmp_path / TRACKED).write_text(text)
        assert TrackedRuns(tmp_path, goes_on=True).get("wandb") is None
    TrackedRuns(tmp_path, goes_on=True).keep("wandb", "x")
    assert json.loads((tmp_path / TRACKED).read_text()) == {"wandb": "x"}
    assert TrackedRuns(tmp_path, goes_on=True).get("wandb") == "x"
    assert TrackedRuns(tmp_path, goes_on=False).get("wandb") is None
