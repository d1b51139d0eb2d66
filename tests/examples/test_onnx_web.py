"""The page that runs a file in the browser: all of it but onnxruntime-web, which is no part of the repository."""

import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest
from chromium import PROGRAM, Chromium
from mmengine.config import Config

from rdet.apis.infer.pictures import record_of
from rdet.apis.infer.pipeline import inference_pipeline, prepared

onnx = pytest.importorskip("onnx")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs Chromium")
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "onnx_web"
# In place of onnxruntime-web: what it was given is its one box.
_STUB = """
const ort = {env: {wasm: {}},
  Tensor: class { constructor(type, data, dims) { Object.assign(this, {type, data, dims}); } },
  InferenceSession: {create: async () => ({run: async (given) => {
    if (window.running) throw new Error("Session already started");
    window.running = true;
    await new Promise((done) => setTimeout(done, 20));
    window.running = false;
    window.given = {dims: given.images.dims, type: given.images.type, images: [...given.images.data],
      sizes: [...given.image_sizes.data].map(Number)};
    return {boxes: {data: new Float32Array([8, 4, 40, 20])}, scores: {data: new Float32Array([0.5])},
      labels: {data: new BigInt64Array([1n])}, counts: {data: new BigInt64Array([1n])}};
  }})}};
"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass


@pytest.fixture
def served(tmp_path):
    """The folder of the page, and its address."""
    for file in EXAMPLE.glob("*.*"):
        if file.suffix in (".html", ".js"):
            (tmp_path / file.name).write_bytes(file.read_bytes())
    folder = tmp_path / "node_modules" / "onnxruntime-web" / "dist"
    folder.mkdir(parents=True)
    (folder / "ort.wasm.min.js").write_text(_STUB)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield tmp_path, f"http://127.0.0.1:{server.server_port}/index.html"
    server.shutdown()
    server.server_close()


def test_an_image_is_prepared_as_rdet_does_and_its_boxes_are_in_its_pixels(served):
    folder, address = served
    steps = [{"type": "Resize", "scale": [80, 60], "keep_ratio": True}, {"type": "Pad", "size": [81, 50]}]
    pipeline = [{"type": "LoadImageFromFile"}, *steps, {"type": "PackDetInputs"}]
    said = {"head": "end2end", "channels": 3, "classes": ["a", "<b>"], "pipeline": pipeline, "size": None}
    said |= {"divisor": 32, "batch": 2, "input": "float32"}
    model = onnx.helper.make_model(onnx.helper.make_graph([], "x" * 300, [], []))
    onnx.helper.set_model_props(model, {"other": "é", "rdet.export": json.dumps(said)})
    onnx.save(model, folder / "model.onnx")
    image = cv2.resize(np.random.default_rng(0).integers(256, size=(9, 13, 3), dtype=np.uint8), (123, 77))
    cv2.imwrite(str(folder / "a.png"), image)
    cfg = Config({"test_dataloader": {"dataset": {"pipeline": pipeline}}})
    packed = prepared(record_of(image, 0), inference_pipeline(cfg))
    status = "document.getElementById('status')?.textContent"
    with Chromium() as browser:
        browser.open(address)
        browser.wait_for(f"{status} === '2 classes; drop an image'")
        browser.drop(folder / "a.png")
        browser.wait_for(f"{status} === '1 of 1 objects'")
        given = browser.run("window.given")
        _, height, width = packed["inputs"].shape
        assert given["dims"] == [2, 3, 64, 96]
        assert (given["type"], given["sizes"]) == ("float32", [height, width, 1, 1])
        images = np.array(given["images"]).reshape(2, 3, 64, 96)
        apart = np.abs(images[0, :, :height, :width] - packed["inputs"].numpy())
        assert apart.max() <= 1
        assert apart.mean() < 0.01  # a half that is rounded otherwise
        assert not images[0, :, height:].any()
        assert not images[1].any()
        (one,) = browser.run("found")
        scale = packed["data_samples"].scale_factor
        np.testing.assert_allclose(one["box"], np.array([8, 4, 40, 20]) / np.tile(scale, 2), rtol=1e-6)
        assert (one["label"], round(one["score"], 3)) == (1, 0.5)
        event = "document.getElementById('threshold').dispatchEvent(new Event('input'))"
        assert browser.run(f"threshold.value = 0.51; {event}; {status}") == "0 of 1 objects; the best scores 0.500"

        cv2.imwrite(str(folder / "c.png"), cv2.resize(image, (3200, 100)))
        for name in ("a.png", "c.png"):  # the session runs one at a time
            browser.drop(folder / name)
        browser.wait_for("document.getElementById('canvas').width === 1600")
        assert browser.run("[bitmap.width, document.getElementById('canvas').height]") == [3200, 50]
        assert browser.run(status) == "0 of 1 objects; the best scores 0.500"
        assert browser.run(f"found = []; {event}; {status}") == "nothing was found in this image"
        # The line of the better box, red, runs under the name of the other, on green.
        boxes = "[{box: [100, 6, 700, 98], score: 0.9, label: 0}, {box: [500, 0, 900, 90], score: 0.8, label: 1}]"
        pixel = "document.getElementById('canvas').getContext('2d').getImageData(252, 3, 1, 1).data"
        red, green, *_ = browser.run(f"found = {boxes}; {event}; [...{pixel}]")
        assert red < 50 < green

        (folder / "b.png").write_text("no image")
        browser.drop(folder / "b.png")
        browser.wait_for(f"{status} === 'b.png cannot be read as an image'")
        content = (folder / "model.onnx").read_bytes()
        for data, message in (
            (content[:-9], "the file is cut off, or not of ONNX"),
            (b"", "the file is not one that 'rdet export' wrote"),
        ):
            (folder / "model.onnx").write_bytes(data)
            browser.call("Page.reload", ignoreCache=True)
            browser.wait_for(f"{status} === {json.dumps(message)}")
        assert browser.complaints() == []
        (folder / "node_modules" / "onnxruntime-web" / "dist" / "ort.wasm.min.js").unlink()
        browser.call("Page.reload", ignoreCache=True)
        browser.wait_for(f"{status} === 'onnxruntime-web is not there: npm install onnxruntime-web'")
