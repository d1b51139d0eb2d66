"""All data are read before a training, and what is wrong is said."""

import json
import runpy
from pathlib import Path

import pytest
from made_folder import write_yolo_folder
from PIL import Image

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
    assert "2 of 19 objects have no positive prior at this size of the input" in said
    assert "2 things to look at\n" in said

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
    code, said = check("nanodet/nanodet_m_320_coco", "--data", str(tmp_path))
    assert code == 0, said
    assert "nothing is wrong\n" in said


def test_what_images_boxes_and_priors_have_against_them(check, config, tmp_path):
    truth = json.loads((tmp_path / "truth.json").read_text())
    page = tmp_path / "page.html"
    # To be positive, a prior has to overlap an object well, which none of this size does.
    out_of_reach = ["model.assigner.pos_iou_thr=0.9", "model.assigner.min_pos_iou=0.9"]
    val = json.loads(json.dumps(truth))
    for image in val["images"]:
        picture = Image.open(tmp_path / image["file_name"])
        image["file_name"] = f"copy_{image['file_name']}"
        picture.save(tmp_path / image["file_name"])
    (tmp_path / "val.json").write_text(json.dumps(val))
    again = {**truth["annotations"][0], "id": 1000}
    (tmp_path / "truth.json").write_text(json.dumps({**truth, "annotations": [*truth["annotations"], again]}))
    options = ["val_dataloader.dataset.ann_file=val.json", *out_of_reach]
    code, said = check(config, "--html", str(page), "--cfg-options", *options)
    assert code == 1
    assert "train and val have 13 pairs of images that show nearly the same (1.png and copy_1.png, " in said
    assert "train has 1 boxes that repeat one of their class in 1 images (1.png)" in said
    assert "objects have no positive prior at this size of the input" in said
    assert "note: in the network's input, 10 % of the objects are below " in said
    assert "| train | 64x64          | 64x64  | 64x64   | 0             |" in said
    text = page.read_text(encoding="utf-8")
    assert text.count("<img") > 12 + 1
    assert "1.png: boxes that are there twice" in text
    assert "://" not in text


def test_assigners_that_read_predictions_are_said(check, config):
    _, said = check(config, "--cfg-options", 'model.assigner={"_delete_": True, "type": "SimOTAAssigner"}')
    assert "note: SimOTAAssigner reads predictions, so no object can be said to be out of reach" in said
