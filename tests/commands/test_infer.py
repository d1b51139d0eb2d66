"""The words of ``rdet infer`` and of ``rdet test --slice``, and what they do."""

import argparse
import json
import os
import signal

import cv2
import pytest
from tiny_run import ROOT

from rdet.apis.infer.sources import Source
from rdet.commands import infer
from rdet.commands import test as evaluate
from rdet.errors import ConfigError
from rdet.models.detectors.one_stage_detector import OneStageDetector


@pytest.fixture
def words(monkeypatch):
    """Gives a command its words."""

    def give(*given: object) -> None:
        monkeypatch.setattr("sys.argv", ["rdet infer", *map(str, given)])

    return give


@pytest.fixture
def trained(make_runner, tmp_path):
    make_runner(train_cfg__max_iters=5).train()
    return tmp_path / "run" / "iter_5.pth"


@pytest.mark.parametrize(
    ("given", "config", "checkpoint", "inputs"),
    [
        (["x.pth", "a.jpg"], None, "x.pth", ["a.jpg"]),
        (["x", "a.jpg"], None, "x", ["a.jpg"]),
        (["c.py", "x.pth", "a.jpg"], "c.py", "x.pth", ["a.jpg"]),
        (["x.pth", "a.jpg", "@b.txt", "0"], None, "x.pth", ["a.jpg", "@b.txt", "0"]),
        (["mmdet://atss_r50_fpn_1x_coco", "*.jpg", "http://a.b/c.jpg"], None, "mmdet://atss_r50_fpn_1x_coco", None),
        (["c.pth", "x.pth", "a.jpg"], "c.pth", "x.pth", ["a.jpg"]),
        (["retinanet/r18_fpn_1x_coco", "x", "a", "b"], None, "x", ["a", "b"]),
    ],
)
def test_config_checkpoint_and_inputs_are_told_apart(words, tmp_path, monkeypatch, given, config, checkpoint, inputs):
    monkeypatch.chdir(tmp_path)
    words(*given)
    args = infer.parse_args()
    if given[0].startswith("retinanet"):
        config = str(ROOT / "configs/retinanet/r18_fpn_1x_coco.py")
    assert (args.config, args.checkpoint) == (config, checkpoint)
    assert args.inputs == (given[1:] if inputs is None else inputs)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["x.pth"], "the following arguments are required: input"),
        (["x.pth", "a", "--to", "coc"], "argument --to: invalid choice: 'coc'"),
        (["x.pth", "a", "--overlap", "0.3"], "--overlap and --no-whole are of slices; give --slice PIXELS, too"),
        (["x.pth", "a", "--slice", "640"], None),
        (["x.pth", "a", "--slice", "640x"], "argument --slice: '640x' must be WIDTHxHEIGHT, such as 640x480, or one"),
        (["x.pth", "a", "--slice", "9"], "argument --slice: '9' must be a whole number of 16 to 65536"),
        (["x.pth", "a", "--slice", "64", "--overlap", "0.95"], "'0.95' must be a number from 0 to 0.9"),
        (["x.pth", "a", "--to", "pictures", "--no-pictures"], "--no-pictures leaves nothing to write"),
        (["x.pth", "a", "--batch-size", "0"], "argument --batch-size: '0' must be a whole number of 1 or more"),
        (["", "a"], "argument checkpoint: '' must be a file or a folder"),
        (["x.pth", ""], "argument input: '' must be a file or a folder"),
        (["x.pth", "a", "--score", "1"], "there is no option --score. Did you mean --score-thr"),
    ],
)
def test_options_that_make_no_sense_are_said(words, capsys, given, said):
    words(*given)
    if said is None:
        assert infer.parse_args().slice == (640, 640)
        return
    with pytest.raises(SystemExit, match="2"):
        infer.parse_args()
    assert said in capsys.readouterr().err


def test_explanations_of_frames_are_not_promised(capsys):
    image, video = Source("a.jpg", "a.jpg", "a"), Source("b.mp4", "b.mp4", "b", is_video=True)
    args = argparse.Namespace(checkpoint="x.pth")
    infer._check_explained(args, [image])
    assert not capsys.readouterr().out
    infer._check_explained(args, [image, video])
    assert capsys.readouterr().out.startswith("--explain is of images: 1 of the inputs are videos")
    with pytest.raises(
        ConfigError, match="^--explain is of images, and b.mp4 is a video; give images, or leave it out$"
    ):
        infer._check_explained(args, [video])


def test_what_is_written_is_chosen(words):
    chosen = {}
    for given in ("", "--no-pictures", "--crops", "--to csv yolo", "--to csv --crops"):
        words("x.pth", "a", *given.split())
        chosen[given] = infer.parse_args().formats
    assert chosen == {
        "": ["coco", "pictures", "video"],
        "--no-pictures": ["coco"],
        "--crops": ["coco", "pictures", "video", "crops"],
        "--to csv yolo": ["csv", "yolo"],
        "--to csv --crops": ["csv", "crops"],
    }


def test_a_run_with_most_options(words, config, trained, tmp_path, capsys):
    out = tmp_path / "out"
    words(
        config, trained, tmp_path / "1.png", tmp_path / "2.png", "--out-dir", out, "--to", "coco", "csv", "--score-thr",
        "0", "--classes", "red", "--batch-size", "2", "--max-size", "96", "--slice", "48", "--device", "cpu",
    )  # fmt: skip
    infer.main()
    said = capsys.readouterr()
    assert "--max-size: the longer side of an image is 96 pixels, where the config has no Resize" in said.out
    assert said.err == ""  # no bar in a file
    written = json.loads((out / "detections.json").read_text())
    assert [image["file_name"] for image in written["images"]] == ["1.png", "2.png"]
    assert {row["category_id"] for row in written["annotations"]} == {2}
    assert said.out.endswith(f"{len(written['annotations'])} detections in 2 images: {out}\n")
    assert len((out / "detections.csv").read_text().splitlines()) == 1 + len(written["annotations"])
    words(config, trained, tmp_path / "1.png", "--out-dir", out, "--classes", "rde")
    with pytest.raises(SystemExit, match="1"):
        infer.main()
    assert capsys.readouterr().err == "error: the model has no class 'rde'. Did you mean 'red'? Valid: bright, red.\n"


def test_an_evaluation_in_slices_gives_what_inference_in_slices_gives(words, config, trained, tmp_path, capfd):
    out, options = tmp_path / "out", ("--slice", "48")
    words(config, trained, "--out", tmp_path / "sliced.json", "--work-dir", tmp_path / "test", *options)
    evaluate.main()
    last = capfd.readouterr().out.splitlines()[-1]
    assert last.startswith(f"detections: {tmp_path / 'sliced.json'}, log: {tmp_path / 'test'}")
    words(
        config, trained, *(tmp_path / f"{i}.png" for i in range(1, 14)), "--out-dir", out, "--score-thr", "0", *options
    )
    infer.main()
    evaluated = json.loads((tmp_path / "sliced.json").read_text())
    written = json.loads((out / "detections.json").read_text())["annotations"]
    assert len(evaluated) == len(written) > 13 * 20  # more than one view may have
    for one, other in zip(evaluated, written, strict=True):
        assert (one["image_id"], one["category_id"]) == (other["image_id"], other["category_id"])
        assert one["bbox"] == pytest.approx(other["bbox"], abs=1e-3)
        assert one["score"] == pytest.approx(other["score"], abs=1e-5)


def test_views_of_two_kinds_are_refused(words, config, capsys):
    words(config, "x.pth", "--slice", "40", "--tta")
    with pytest.raises(SystemExit, match="2"):
        evaluate.parse_args()
    assert "--slice and --tta make views of an image, each in its own way; give one of them" in capsys.readouterr().err


def test_a_signal_ends_a_video_with_what_was_found(words, config, trained, tmp_path, monkeypatch, capsys):
    """Ctrl-C at a frame of a video: files are whole, the code is that of the signal."""
    codec = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(tmp_path / "clip.avi"), cv2.CAP_FFMPEG, codec, 25.0, (64, 64))
    for _ in range(20):
        writer.write(cv2.imread(str(tmp_path / "1.png")))
    writer.release()
    step, frames = OneStageDetector.test_step, []

    def interrupted(model, data):
        frames.append(1)
        if len(frames) == 5:
            os.kill(os.getpid(), signal.SIGINT)
        return step(model, data)

    monkeypatch.setattr(OneStageDetector, "test_step", interrupted)
    out = tmp_path / "out"
    words(config, trained, tmp_path / "clip.avi", "--out-dir", out, "--device", "cpu")
    with pytest.raises(SystemExit, match="130"):
        infer.main()
    assert capsys.readouterr().err.splitlines()[-1] == "stopped by SIGINT"
    assert len(json.loads((out / "detections.json").read_text())["images"]) == 4
    assert cv2.VideoCapture(str(out / "clip.mp4")).get(cv2.CAP_PROP_FRAME_COUNT) == 4
    assert sorted(path.name for path in out.iterdir()) == ["clip.mp4", "detections.json"]
