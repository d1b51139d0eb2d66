"""Images, videos and cameras are read ahead, detected in by batches, and written as they come."""

import json
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import cv2
import pytest
from bright_finder import STEPS, Finder, scene
from mmengine.config import Config

from rdet.apis.infer.pipeline import picture_of, steps_of
from rdet.apis.infer.run import Settings, detect
from rdet.apis.infer.sources import find_sources, is_alone
from rdet.apis.infer.writers import make_writers
from rdet.apis.infer.writers.base import Writer
from rdet.errors import BadImageError, ConfigError, MissingFileError, UnknownNameError


def run(finder, inputs, out, formats=("coco",), **settings):
    """Detects; returns the summary, and what detections.json holds."""
    writers = make_writers(formats, out, finder.classes)
    done = detect(finder, find_sources(inputs), writers, Settings(**settings))
    path = out / "detections.json"
    return done, json.loads(path.read_text()) if path.exists() else None


def names_of(written) -> list[str]:
    return [image["file_name"] for image in written["images"]]


def hidden(folder) -> list:
    return [path for path in folder.rglob(".*") if path.is_file()]


def test_batches_give_what_single_images_give(finder, pictures, tmp_path):
    done, alone = run(finder, [pictures], tmp_path / "one")
    assert names_of(alone) == ["a.png", "b.png", "d.png", "sub/c.png"]
    assert (done.images, done.detections, list(done.failed)) == (4, 4, ["broken.png"])
    finder.batches.clear()
    _, together = run(finder, [pictures], tmp_path / "several", batch_size=3)
    assert together == alone
    assert [len(batch) for batch in finder.batches] == [2, 2]
    assert all(len(set(batch)) == 1 for batch in finder.batches)


def test_scores_classes_and_sizes_are_chosen(finder, pictures, tmp_path):
    _, few = run(finder, [pictures], tmp_path / "few", score_thr=201.5 / 255)
    assert [row["score"] for row in few["annotations"]] == pytest.approx([203 / 255, 202 / 255])
    _, none = run(finder, [pictures], tmp_path / "none", classes=["red"])
    assert (names_of(none), none["annotations"]) == (names_of(few), [])
    with pytest.raises(UnknownNameError, match="the model has no class 'brigth'. Did you mean 'bright'"):
        run(finder, [pictures], tmp_path / "wrong", classes=["brigth"])
    finder.batches.clear()
    _, large = run(finder, [pictures / "a.png"], tmp_path / "large", max_size=128)
    assert finder.batches == [[(3, 96, 128)]]
    assert large["annotations"][0]["bbox"] == pytest.approx([8, 10, 12, 20], abs=1)


def test_a_resize_of_the_config_is_replaced(pictures, tmp_path):
    finder = Finder([STEPS[0], {"type": "Resize", "scale": (640, 480), "keep_ratio": False}, STEPS[1]])
    run(finder, [pictures / "a.png"], tmp_path / "out", max_size=32)
    assert finder.batches == [[(3, 32, 32)]]


@pytest.mark.parametrize(
    ("loader", "said"),
    [
        ({"batch_size": 2}, "test_dataloader has no dataset with a pipeline, .*; change val_dataloader instead"),
        ({"dataset": {"pipeline": {"0": {}}}}, "test_dataloader.dataset.pipeline is no list of transforms but"),
        ({"dataset": {"pipeline": [{"to_float32": True}]}}, r"pipeline.0 is .*, which names no transform; give it a"),
    ],
)
def test_half_a_test_loader_is_said(loader, said):
    """As --cfg-options test_dataloader.batch_size=2 makes, of a config that has val_dataloader alone."""
    with pytest.raises(ConfigError, match=said):
        steps_of(Config({"val_dataloader": {"dataset": {"pipeline": []}}, "test_dataloader": loader}))


def test_slices_of_images(finder, pictures, tmp_path):
    _, plain = run(finder, [pictures], tmp_path / "plain")
    finder.batches.clear()
    _, sliced = run(finder, [pictures], tmp_path / "sliced", slice_size=(32, 32), overlap=0.75, batch_size=4)
    assert [row["bbox"] for row in sliced["annotations"]] == [row["bbox"] for row in plain["annotations"]]
    assert finder.batches[0] == [(3, 32, 32)] * 4


def test_a_video_gives_a_video_and_its_frames(finder, clip, tmp_path):
    out = tmp_path / "out"
    done, written = run(finder, [clip], out, ("coco", "video", "pictures", "yolo"), batch_size=4)
    assert done.images == done.detections == 6
    assert names_of(written) == [f"clip/{i:06d}.jpg" for i in range(6)]
    assert [image["frame_id"] for image in written["images"]] == list(range(6))
    assert [image["time"] for image in written["images"]] == pytest.approx([i / 12.5 for i in range(6)])
    for index, row in enumerate(written["annotations"]):  # JPEG blurs the edges
        assert row["bbox"] == pytest.approx([5 * index + 8, 8, 16, 24], abs=1)
    video = cv2.VideoCapture(str(out / "clip.mp4"))
    assert video.get(cv2.CAP_PROP_FPS) == 12.5
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 6
    _, frame = video.read()
    assert frame.shape == (48, 64, 3)
    assert abs(frame.astype(int) - scene(boxes=((8, 8, 24, 32, 250),))).max() > 100  # something is drawn
    assert (out / "labels" / "clip" / "000005.txt").exists()
    assert not hidden(out)


class FakeCamera:
    """A camera that is switched off after some frames."""

    def __init__(self, number, *options):
        assert number == 3
        self.left = 4
        self.released = False
        FakeCamera.last = self

    def isOpened(self):
        return True

    def get(self, key):
        return {cv2.CAP_PROP_FPS: 0.0, cv2.CAP_PROP_FRAME_COUNT: -1.0}[key]

    def read(self):
        self.left -= 1
        return (True, scene()) if self.left >= 0 else (False, None)

    def release(self):
        self.released = True


def test_a_camera_is_read_until_it_ends(finder, tmp_path, monkeypatch):
    monkeypatch.setattr("rdet.apis.infer.frames.cv2.VideoCapture", FakeCamera)
    done, written = run(finder, ["3"], tmp_path / "out")
    assert (done.images, done.failed) == (4, {})
    assert names_of(written)[-1] == "camera_3/000003.jpg"
    assert written["images"][-1]["time"] == pytest.approx(3 / 25)
    assert FakeCamera.last.released


def test_a_camera_that_is_not_there_is_said(finder, pictures, tmp_path, capfd):
    with pytest.raises(MissingFileError, match="camera 99 cannot be opened; check that it is there"):
        detect(finder, find_sources(["99"]), [], strict=is_alone(find_sources(["99"])))
    done, written = run(finder, ["99", pictures / "a.png"], tmp_path / "out")
    assert (names_of(written), list(done.failed)) == (["a.png"], ["camera_99"])
    assert capfd.readouterr().err == ""  # OpenCV prints exceptions of what it tries


@pytest.mark.parametrize("after", [0, 3])
def test_an_interruption_at_a_frame_keeps_what_was_found(finder, clip, tmp_path, monkeypatch, after):
    step, calls, threads = finder.test_step, [], set(threading.enumerate())

    def interrupted(data):
        calls.append(1)
        if len(calls) > after:
            raise KeyboardInterrupt
        return step(data)

    monkeypatch.setattr(finder, "test_step", interrupted)
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt) as held:  # which keeps all that it passed alive
        run(finder, [clip], out, ("coco", "csv", "video", "yolo"))
    assert held.value is not None
    assert not [thread.name for thread in {*threading.enumerate()} - threads if "ThreadPool" in thread.name]
    assert not hidden(tmp_path)
    if not after:
        assert not out.exists()
        return
    written = json.loads((out / "detections.json").read_text())
    assert names_of(written) == [f"clip/{i:06d}.jpg" for i in range(3)]
    assert cv2.VideoCapture(str(out / "clip.mp4")).get(cv2.CAP_PROP_FRAME_COUNT) == 3
    assert len((out / "detections.csv").read_text().splitlines()) == 4


def test_files_have_no_name_before_they_are_whole(finder, clip, tmp_path, monkeypatch):
    step, seen, out = finder.test_step, [], tmp_path / "out"

    def looking(data):
        seen.append(sorted(path.name for path in out.rglob("*") if path.is_file() and path.name[0] != "."))
        return step(data)

    monkeypatch.setattr(finder, "test_step", looking)
    run(finder, [clip], out, ("coco", "csv", "video"))
    assert seen == [[]] * 6
    assert sorted(path.name for path in out.iterdir()) == ["clip.mp4", "detections.csv", "detections.json"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a video that OpenCV can decode"),
        (b"\x00\x00\x00\x18ftypmp42" + bytes(64), "convert it"),
        (None, "missing"),
    ],
)
def test_a_bad_video_is_passed_over(finder, pictures, tmp_path, content, said):
    (tmp_path / "list.txt").write_text("pictures/a.png\nbad.mp4\npictures/b.png\n")
    if content is not None:
        (tmp_path / "bad.mp4").write_bytes(content)
    done, written = run(finder, [f"@{tmp_path / 'list.txt'}"], tmp_path / "out", ("coco", "video"))
    assert names_of(written) == ["pictures/a.png", "pictures/b.png"]
    assert list(done.failed) == ["bad.mp4"]
    assert said in done.failed["bad.mp4"]
    assert written["info"]["failed"] == done.failed


def test_a_video_that_ends_too_early_is_said(finder, clip, tmp_path, monkeypatch):
    monkeypatch.setattr("rdet.apis.infer.frames.Frames._promised", lambda self: 300)
    done, written = run(finder, [clip], tmp_path / "out")
    assert len(written["images"]) == 6
    assert "only 6 of 300 frames can be decoded" in done.failed["clip.avi"]


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass


def test_addresses_are_read(finder, pictures, clip, tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *words: _Silent(*words, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    try:
        done, written = run(
            finder, [f"{base}/pictures/a.png?x=1", f"{base}/gone.png", f"{base}/clip.avi"], tmp_path / "out"
        )
    finally:
        server.shutdown()
        server.server_close()
    assert names_of(written) == ["a.png", *(f"clip/{i:06d}.jpg" for i in range(6))]
    assert list(done.failed) == ["gone.png"]
    assert done.failed["gone.png"].startswith(f"{base}/gone.png: the image file is missing")


def test_one_image_that_cannot_be_used_is_the_error(finder, pictures, tmp_path):
    writers = make_writers(("coco",), tmp_path / "out", finder.classes)
    with pytest.raises(BadImageError, match="broken.png"):
        detect(finder, find_sources([pictures / "broken.png"]), writers, strict=True)
    assert not (tmp_path / "out").exists()


def test_few_images_wait_however_many_there_are(finder, pictures, tmp_path, monkeypatch):
    (tmp_path / "list.txt").write_text("pictures/a.png\npictures/b.png\n" * 60)
    read, waiting = [], []

    def counting(loaded):
        read.append(1)
        return picture_of(loaded)

    class Counter(Writer):
        needs_images = True

        def add(self, found):
            waiting.append(len(read) - len(waiting))

    monkeypatch.setattr("rdet.apis.infer.reading.picture_of", counting)
    detect(finder, find_sources([f"@{tmp_path / 'list.txt'}"]), [Counter()], Settings(batch_size=4))
    assert len(read) == len(waiting) == 120
    assert max(waiting) <= 4 * 4 + 2 * 4 + 2


def test_a_terminal_gets_a_bar_and_a_file_none(finder, pictures, clip, tmp_path, monkeypatch, capsys):
    sources = find_sources([pictures, clip])
    detect(finder, sources, [], progress=True)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    detect(finder, sources, [], progress=True)
    assert "11/11" in capsys.readouterr().err  # five images, one of them broken, and six frames
