"""What the service answers, and what it refuses."""

import io
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from rdet.apis.inference import inference_detector
from rdet.serve.limits import Limits
from rdet.serve.service import Settings


def picture(width=48, height=32, kind="PNG", **options) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, kind, **options)
    return buffer.getvalue()


def rows(answer: dict) -> torch.Tensor:
    return torch.tensor([[d["label"], d["score"], *d["box"]] for d in answer["detections"]])


def expected(model, path) -> torch.Tensor:
    found = inference_detector(model, path).pred_instances
    return torch.cat([found.labels[:, None], found.scores[:, None], found.bboxes], 1)


def test_it_answers_what_inference_detector_finds(serve, model, data):
    client = serve()
    answer = client.post("/detect", content=(data / "1.png").read_bytes()).json()
    (image,) = answer["images"]
    assert (image["file"], image["width"], image["height"]) == ("image", 64, 64)
    assert len(image["detections"]) == 20
    assert torch.equal(rows(image), expected(model, data / "1.png"))
    assert {d["name"] for d in image["detections"]} <= {"bright", "red"}
    assert answer["ms"] > 0


def test_files_of_a_form_come_back_in_their_order_under_plain_names(serve, model, data):
    names = ["1.png", "2.png", "3.png"]
    sent = ["../../etc/passwd", "C:\\x\\a\nb.png", ""]
    files = [("file", (name, (data / n).read_bytes())) for name, n in zip(sent[:2], names, strict=False)]
    files.append(("other", ("é.png", (data / "3.png").read_bytes())))
    images = serve().post("/detect", files=files).json()["images"]
    assert [image["file"] for image in images] == ["passwd", "a%0Ab.png", "é.png"]
    for image, name in zip(images, names, strict=True):
        assert torch.allclose(rows(image), expected(model, data / name), atol=1e-4)


def test_orientation_of_a_camera_is_applied(serve):
    exif = Image.Exif()
    exif[0x0112] = 6
    answer = serve().post("/detect", content=picture(48, 32, "JPEG", exif=exif)).json()["images"][0]
    assert (answer["width"], answer["height"]) == (32, 48)


def test_parameters_choose_among_what_is_found(serve, data):
    client, body = serve(), (data / "1.png").read_bytes()

    def found(**params) -> list[dict]:
        return client.post("/detect", content=body, params=params).json()["images"][0]["detections"]

    everything = found()
    least = everything[7]["score"]
    assert found(score_thr=least) == everything[:8]
    assert found(max_per_img=3) == everything[:3]
    assert found(classes=["red"]) == [d for d in everything if d["name"] == "red"]
    assert found(classes=["red", "bright"]) == everything


def test_a_picture_has_the_size_of_the_image_and_boxes(serve, data):
    client, body = serve(), (data / "1.png").read_bytes()
    drawn = client.post("/draw", content=body)
    assert drawn.headers["content-type"] == "image/png"
    plain = client.post("/draw", content=body, params={"score_thr": 1})
    with Image.open(io.BytesIO(drawn.content)) as one, Image.open(io.BytesIO(plain.content)) as other:
        assert one.size == (64, 64)
        assert np.array_equal(np.asarray(other), np.asarray(Image.open(data / "1.png")))
        assert not np.array_equal(np.asarray(one), np.asarray(other))
    for kind in ({"params": {"format": "jpeg"}}, {"headers": {"Accept": "image/jpeg"}}):
        jpeg = client.post("/draw", content=body, **kind)
        assert jpeg.headers["content-type"] == "image/jpeg"
        assert jpeg.content.startswith(b"\xff\xd8")


def test_images_that_cannot_be_used_are_refused_in_one_line(serve):
    client = serve(Limits(max_bytes=50_000, max_pixels=10_000))
    whole = picture()
    shallow = io.BytesIO()
    Image.fromarray(np.full((8, 8), 60_000, np.uint16)).save(shallow, "PNG")
    refused = {
        b"": (400, "the request holds no image"),
        b"hello": (415, "image: not an image"),
        b"<svg onload='x'/>": (415, "image: not an image"),
        whole[:200]: (400, "image: the image file is truncated"),
        picture(200, 100, "JPEG"): (413, "image: the image has 200x100 pixels, more than 10000; make it smaller"),
        bytes(50_001): (413, "the request has more than 50000 bytes"),
        shallow.getvalue(): (422, "image: the image has 16 bits"),
    }
    for body, (status, said) in refused.items():
        for path in ("/detect", "/draw"):
            answer = client.post(path, content=body)
            assert answer.status_code == status, answer.text
            assert list(answer.json()) == ["error"]
            assert answer.json()["error"].startswith(said)
            assert "\n" not in answer.json()["error"]

    def in_pieces():
        yield from [bytes(1000)] * 51

    assert client.post("/detect", content=in_pieces()).status_code == 413  # which states no length
    assert client.post("/detect", content=whole, headers={"Content-Length": "9" * 30}).status_code in (200, 413)
    good = client.post("/detect", content=whole)
    assert good.status_code == 200, good.text


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"score_thr": "x"}, "score_thr=x: Input should be a valid number"),
        ({"score_thr": "nan"}, "score_thr=nan"),
        ({"max_per_img": 0}, "max_per_img=0"),
        ({"classes": "reb"}, "the model has no class 'reb'. Did you mean 'red'?"),
    ],
)
def test_parameters_that_cannot_be_used(serve, params, said):
    answer = serve().post("/detect", content=picture(), params=params)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(said)


def test_forms_that_cannot_be_used(serve):
    client = serve(settings=Settings(max_batch=2))
    begin = b'--x\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n'
    form = "multipart/form-data; boundary=x"
    for kind, body, status in [
        ("multipart/form-data", begin, 400),
        (form, b"garbage", 400),
        (form, begin + b"cut", 400),
        (form, begin + b"\r\n--x--\r\n", 400),
        (form, b'--x\r\nContent-Disposition: form-data; name="f"\r\n\r\ntext\r\n--x--\r\n', 400),
        (form, begin + b"no image\r\n--x--\r\n", 415),
        (form, (begin + b"y\r\n") * 3 + b"--x--\r\n", 413),
    ]:
        answer = client.post("/detect", content=body, headers={"Content-Type": kind})
        assert (answer.status_code, list(answer.json())) == (status, ["error"]), answer.text
    two = client.post("/draw", files=[("file", ("a", picture())), ("file", ("b", picture()))])
    assert (two.status_code, two.json()["error"]) == (422, "the request has 2 images; send one to be drawn on")


def test_one_too_many_is_told_to_come_again(serve, monkeypatch):
    client = serve(Limits(max_requests=2))
    monkeypatch.setattr(client.service, "_inside", 2)
    answer = client.post("/detect", content=picture())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json() == {"error": "2 requests wait already; send it again later"}


def test_many_at_once_get_what_each_gets_alone(serve, model, data):
    client = serve(settings=Settings(score_thr=0.0, max_batch=4, max_wait=0.2))
    paths = [data / f"{1 + index % 13}.png" for index in range(26)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda path: client.post("/detect", content=path.read_bytes()).json(), paths))
    for answer, path in zip(answers, paths, strict=True):
        assert torch.allclose(rows(answer["images"][0]), expected(model, path), atol=1e-4)
    numbers = dict(line.split() for line in client.get("/metrics").text.splitlines() if line.startswith("rdet"))
    assert numbers["rdet_images_total"] == numbers["rdet_batch_images_sum"] == "26"
    assert float(numbers["rdet_batch_images_count"]) < 26  # some ran together
    assert numbers['rdet_requests_total{path="/detect",status="200"}'] == "26"
    assert numbers["rdet_images_waiting"] == numbers["rdet_requests_inside"] == "0"


def test_state_and_description(serve):
    client = serve()
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/ready").json() == {"status": "ready"}
    about = client.get("/model").json()
    assert (about["name"], about["classes"], about["max_batch"]) == ("tiny.pth", ["bright", "red"], 8)
    described = client.get("/openapi.json").json()
    assert set(described["paths"]) == {"/detect", "/draw", "/model", "/health", "/ready", "/metrics"}
    assert {"400", "408", "413", "415", "422", "503"} <= set(described["paths"]["/detect"]["post"]["responses"])
    assert "multipart/form-data" in json.dumps(described["paths"]["/draw"]["post"]["requestBody"])
    for path, status in (("/docs", 404), ("/../etc/passwd", 404), ("/detect", 405)):
        answer = client.get(path)
        assert (answer.status_code, list(answer.json())) == (status, ["error"])
        assert client.head(path).status_code == status
    for path in ("/", "/health", "/metrics"):  # as monitors ask
        answer = client.head(path)
        assert (answer.status_code, int(answer.headers["content-length"]) > 0) == (200, True)
    client.service._batcher.close()
    assert client.get("/ready").status_code == 503


def test_an_error_of_the_model_is_said_and_ends_nothing(serve, model, monkeypatch, caplog):
    client = serve()
    with monkeypatch.context() as broken:
        broken.setattr(model, "test_step", lambda data: 1 / 0)
        answer = client.post("/detect", content=picture())
        assert (answer.status_code, answer.json()) == (500, {"error": "the service failed; its log says why"})
    assert client.post("/detect", content=picture()).status_code == 200
