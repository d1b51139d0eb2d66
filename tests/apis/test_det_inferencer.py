"""The call of MMDetection's DetInferencer, and detections for other packages."""

import json
import sys
import types

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

import rdet.apis
from rdet.apis import DetInferencer, inference_detector
from rdet.errors import BadImageError, MissingModuleError


@pytest.fixture
def inferencer(config, make_runner, tmp_path):
    make_runner(train_cfg__max_iters=5).train()
    return DetInferencer(config, str(tmp_path / "run" / "iter_5.pth"), device="cpu", show_progress=False)


def test_predictions_and_pictures(inferencer, tmp_path, capsys):
    paths = [str(tmp_path / f"{i}.png") for i in (1, 2, 3)]
    out = tmp_path / "out"
    result = inferencer(paths, batch_size=2, return_vis=True, no_save_pred=False, print_result=True, out_dir=out)
    samples = inference_detector(inferencer.model, paths)
    assert set(result) == {"predictions", "visualization"}
    for prediction, sample in zip(result["predictions"], samples, strict=True):
        assert set(prediction) == {"labels", "scores", "bboxes"}
        assert len(prediction["labels"]) == 20  # all, whatever pred_score_thr
        np.testing.assert_allclose(prediction["bboxes"], sample.pred_instances.bboxes, atol=1e-3)
    assert [picture.shape for picture in result["visualization"]] == [(64, 64, 3)] * 3
    assert json.loads((out / "preds/2.json").read_text()) == result["predictions"][1]
    assert cv2.imread(str(out / "vis/3.png")).shape == (64, 64, 3)
    assert "bboxes" in capsys.readouterr().out


def test_inputs_of_other_kinds_give_the_same(inferencer, tmp_path):
    path = tmp_path / "1.png"
    array = cv2.imread(str(path))
    tensor = torch.from_numpy(np.ascontiguousarray(array[:, :, ::-1])).permute(2, 0, 1)
    with Image.open(path) as picture:
        result = inferencer([str(path), array, tensor, picture], batch_size=4)
    assert result["visualization"] == []
    for other in result["predictions"][1:]:
        np.testing.assert_allclose(other["bboxes"], result["predictions"][0]["bboxes"], atol=1e-3)
    assert inferencer(array)["predictions"][0]["labels"] == result["predictions"][1]["labels"]
    assert len(inferencer([array], return_datasamples=True)["predictions"][0].pred_instances) == 20
    assert inferencer([])["predictions"] == []
    plain = inferencer(array, return_vis=True, draw_pred=False)["visualization"][0]
    assert (plain == array[:, :, ::-1]).all()


def test_a_bad_image_is_an_error(inferencer, tmp_path):
    (tmp_path / "1.png").write_bytes(b"")
    with pytest.raises(BadImageError, match="1.png"):
        inferencer(str(tmp_path / "1.png"))


def test_names_of_the_package():
    assert rdet.apis.init_detector.__name__ == "init_detector"
    with pytest.raises(AttributeError, match="has no attribute 'DetInferencr'"):
        rdet.apis.DetInferencr  # noqa: B018


def test_detections_for_supervision(inferencer, tmp_path, monkeypatch):
    given = {}
    fake = types.SimpleNamespace(Detections=lambda **columns: given.update(columns) or "detections")
    monkeypatch.setitem(sys.modules, "supervision", fake)
    sample = inference_detector(inferencer.model, tmp_path / "1.png")
    assert sample.to_supervision(inferencer.model.classes) == "detections"
    assert given["xyxy"].shape == (20, 4)
    assert given["confidence"].dtype == np.float32
    assert given["data"]["class_name"].tolist() == [("bright", "red")[label] for label in given["class_id"]]
    sample.to_supervision(score_thr=1.0)
    assert (given["xyxy"].shape, given["data"]) == ((0, 4), {})
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(MissingModuleError, match="supervision cannot be imported .*; pip install supervision"):
        sample.to_supervision()


def test_supervision_itself_takes_them(inferencer, tmp_path):
    pytest.importorskip("supervision")
    sample = inference_detector(inferencer.model, tmp_path / "1.png")
    detections = sample.to_supervision(inferencer.model.classes)
    assert len(detections) == 20
    np.testing.assert_allclose(detections.xyxy, sample.pred_instances.bboxes)
