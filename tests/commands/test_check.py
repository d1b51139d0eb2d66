"""All data are read before a training, and what is wrong is said."""

import json
import runpy
from pathlib import Path

import pytest
from made_folder import write_yolo_folder

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def check(monkeypatch, capsys):
    """Runs the tool; returns its code and what it said."""

    def check(*words: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["check.py", *words])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(ROOT / "tools/check.py"), run_name="__main__")
        said = capsys.readouterr()
        return end.value.code, said.out + said.err

    return check


def test_what_is_wrong_with_the_data_of_a_config(check, config, tmp_path):
    code, said = check(config)
    assert code == 1  # the tiny config evaluates on what it trains on
    assert "train and val share 13 images" in said
    assert "| bright | 10    | 10  |" in said
    assert "1 things to look at\n" in said

    truth = json.loads((tmp_path / "truth.json").read_text())
    (tmp_path / "2.png").write_bytes((tmp_path / "2.png").read_bytes()[:-40])
    (tmp_path / "3.png").unlink()
    truth["annotations"][0]["bbox"][2] = 0
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    code, said = check(config)
    assert code == 1
    assert f"left out 1 images truncated: {tmp_path / '2.png'}" in said
    assert f"left out 1 images missing: {tmp_path / '3.png'}" in said
    assert "left out 1 boxes without width or height: annotation 1" in said


def test_a_folder_that_is_fine(check, tmp_path):
    write_yolo_folder(tmp_path)
    code, said = check("retinanet/r50_fpn_1x_coco", "--data", str(tmp_path))
    assert code == 0, said
    assert "nothing is wrong\n" in said
