"""``rdet browse`` from its options to its files."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from made_folder import write_yolo_folder
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Runs a door to the command in an empty folder; returns its code and what it said."""

    def run(*words: str, door: str = "browse.py") -> tuple[int, str]:
        (tmp_path / "here").mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / "here")
        monkeypatch.setattr("sys.argv", [door, *words])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(ROOT / "tools" / door), run_name="__main__")
        said = capsys.readouterr()
        return end.value.code, said.out + said.err

    return run


@pytest.mark.parametrize("door", ["browse.py", "analysis_tools/browse_dataset.py"])
def test_a_sheet_is_written_where_nothing_else_is_asked_for(run, config, tmp_path, door):
    code, said = run(config, "--num", "4", door=door)
    assert code == 0, said
    assert said.endswith("browse_tiny_train.jpg\n")
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["browse_tiny_train.jpg"]
    assert np.array(Image.open(tmp_path / "here" / "browse_tiny_train.jpg")).shape[1] > 2 * 400


def test_a_folder_of_data(run, tmp_path):
    write_yolo_folder(tmp_path / "data")
    code, said = run(
        "retinanet/r50_fpn_1x_coco", "--data", str(tmp_path / "data"), "--split", "val", "--image-size", "320"
    )
    assert code == 0, said
    assert "4 of 4 images of val" in said
    assert (tmp_path / "here" / "browse_data_val.jpg").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--image-size", "320"], "--image-size is of --data DIR"),
        (["--checkpoint", "x.pth"], "--checkpoint is of --priors"),
        (["--priors", "--original"], "leave --original out"),
        (["--num", "0"], "must be a whole number of 1 to 10000"),
    ],
)
def test_options_that_do_not_go_together(run, config, words, message):
    code, said = run(config, *words)
    assert code == 2
    assert message in said


def test_a_split_that_is_not_there_is_one_line(run, config):
    code, said = run(config, "--cfg-options", "train_dataloader=None")
    assert code == 1
    assert said == "error: the config has no train_dataloader\n"
