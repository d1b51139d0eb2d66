"""Data in archives and on http are read as those on the disk are, with the same limits and errors."""

import contextlib
import io
import os
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from made_sets import BOXES, CLASSES, write_coco, write_csv, write_voc, write_yolo
from mmengine import fileio
from mmengine.config import Config
from mmengine.structures import InstanceData
from PIL import Image
from tiny_run import write_tiny_run

from rdet import remote
from rdet.datasets import CocoDataset, CsvDataset, VocDataset, YoloDataset
from rdet.datasets.images import image_size, read_image
from rdet.datasets.paths import paths_within
from rdet.errors import BadImageError, DatasetError, MissingFileError
from rdet.evaluation.coco_metric import CocoMetric
from rdet.report.hooks.batches_hook import BatchesHook
from rdet.report.hooks.draw_hook import DrawHook
from rdet.structures import DetDataSample

LOAD = [{"type": "LoadImageFromFile"}, {"type": "PackDetInputs"}]
READERS = {
    "coco": (CocoDataset, {"ann_file": "boxes.json", "data_prefix": {"img": "img"}}),
    "voc": (VocDataset, {"ann_file": "list.txt", "data_prefix": {"img": "img", "xml": "xml"}}),
    "csv": (CsvDataset, {"ann_file": "boxes.csv", "data_prefix": {"img": "img"}}),
    "yolo": (
        YoloDataset,
        {"ann_file": "images.txt", "class_file": "c.names", "data_prefix": {"img": "img", "labels": "txt"}},
    ),
}


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass


@pytest.fixture
def served(tmp_path):
    """Address of ``tmp_path`` on a server of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *a: _Silent(*a, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def data(tmp_path):
    """Folder with one set in all formats."""
    root = tmp_path / "data"
    (root / "img").mkdir(parents=True)
    for i, name in enumerate(BOXES):
        noise = np.random.default_rng(i).integers(0, 256, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(noise).save(root / f"img/{name}.png")
    write_coco(root / "boxes.json")
    write_voc(root / "xml")
    write_csv(root / "boxes.csv")
    write_yolo(root / "txt")
    (root / "list.txt").write_text("\n".join(BOXES))
    (root / "images.txt").write_text("\n".join(f"{name}.png" for name in BOXES))
    (root / "c.names").write_text("\n".join(CLASSES))
    return root


def pack(folder, kind, packing=zipfile.ZIP_DEFLATED):
    """Makes an archive of a folder beside it; returns its address."""
    path = folder.with_suffix(f".{kind}")
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    if kind == "zip":
        with zipfile.ZipFile(path, "w", packing) as archive:
            for file in files:
                archive.write(file, file.relative_to(folder))
    else:
        with tarfile.open(path, "w") as archive:
            archive.add(folder, arcname=".")
    return f"{kind}://{path}"


@pytest.fixture(params=["zip", "tar", "http"])
def address(request, data):
    if request.param == "http":
        return f"{request.getfixturevalue('served')}/data"
    return pack(data, request.param)


@pytest.mark.parametrize("reader", READERS)
def test_the_same_as_on_the_disk(reader, address, data):
    kind, kwargs = READERS[reader]
    here = kind(**kwargs, data_root=str(data), pipeline=LOAD)
    there = kind(**kwargs, data_root=address, pipeline=LOAD)
    assert (there.metainfo, there.report) == (here.metainfo, here.report)
    assert there.coco_ground_truth() == here.coco_ground_truth()
    for i in range(4):
        one, other = here[i], there[i]
        assert torch.equal(one["inputs"], other["inputs"])
        assert torch.equal(one["data_samples"].gt_instances.bboxes, other["data_samples"].gt_instances.bboxes)
        assert other["data_samples"].img_path == f"{address}/img/{os.path.basename(one['data_samples'].img_path)}"
    skipping = kind(**kwargs, data_root=address, pipeline=LOAD, on_bad_image="skip")
    assert len(skipping) == 4


def test_images_alone_may_be_elsewhere(address, data):
    kind = CocoDataset
    (data / "img/c.png").rename(data / "c.png")
    dataset = kind("boxes.json", data_root=str(data), data_prefix={"img": f"{address}/img"}, pipeline=LOAD)
    assert dataset[0]["inputs"].shape == (3, 30, 40)


def test_workers_that_are_forked_do_not_disturb_each_other(data):
    kind, kwargs = READERS["coco"]
    for archive in ("zip", "tar"):
        dataset = kind(**kwargs, data_root=pack(data, archive), pipeline=LOAD)
        expected = [dataset[i]["inputs"] for i in range(4)] * 16
        repeated = torch.utils.data.Subset(dataset, [*range(4)] * 16)
        loader = torch.utils.data.DataLoader(repeated, num_workers=2, collate_fn=lambda rows: rows[0]["inputs"])
        assert all(torch.equal(a, b) for a, b in zip(loader, expected, strict=True))


def test_training_on_an_archive(make_runner, tmp_path):
    inside = tmp_path / "packed"
    inside.mkdir()
    write_tiny_run(inside)
    root = pack(inside, "zip")
    here, there = make_runner(), make_runner(work_dir="other", data_root=root, train_dataloader__num_workers=2)
    for runner in (here, there):
        runner.train()
    weights = [runner.model.state_dict() for runner in (here, there)]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_missing_in_an_archive(kind, data):
    (data / "img/b.png").unlink()
    cls, kwargs = READERS["coco"]
    with pytest.raises(BadImageError, match=rf"boxes\.json: 1 of 4 image files are missing: {kind}://\S+img/b\.png; "):
        cls(**kwargs, data_root=pack(data, kind), pipeline=LOAD)
    with pytest.raises(DatasetError, match=rf"{kind}://\S+/no\.json: no such file; check ann_file and data_root"):
        cls("no.json", data_root=f"{kind}://{data}.{kind}")


def test_missing_on_a_server(served, data):
    (data / "img/b.png").unlink()
    cls, kwargs = READERS["coco"]
    dataset = cls(**kwargs, data_root=f"{served}/data", pipeline=LOAD)
    with pytest.raises(BadImageError, match=r"http://\S+img/b\.png: the image file is missing; check data_root"):
        dataset[1]
    assert len(cls(**kwargs, data_root=f"{served}/data", pipeline=LOAD, on_bad_image="skip")) == 3
    with pytest.raises(DatasetError, match=r"http://\S+/no\.json: no such file; check ann_file and data_root"):
        cls("no.json", data_root=served)


def test_no_server():
    with pytest.raises(BadImageError, match=r"http://127\.0\.0\.1:9/a\.png: cannot read the image file \(.*refused\)"):
        read_image("http://127.0.0.1:9/a.png")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("zip://{0}/a.tar/a.png", "zip:// needs the path of a file that ends with .zip"),
        ("tar://{0}/a.tar.gz/a.png", "a packed tar would be unpacked from its beginning for each file: make it a .tar"),
        ("zip://{0}/broken.zip/a.png", "broken.zip is no zip archive: File is not a zip file"),
        ("tar://{0}/broken.tar/a.png", "broken.tar is no tar archive: "),
        ("zip://{0}/pipe.zip/a.png", "it is a pipe"),
        ("ftpx://{0}/a.png", "mmengine has no backend 'ftpx'"),
        ("s3://bucket/a.png", "backend_args cannot be used: Please install petrel_client"),
    ],
)
def test_what_is_no_archive(path, reason, tmp_path):
    for name in ("broken.zip", "broken.tar"):
        (tmp_path / name).write_bytes(b"PK\3\4 not really")
    os.mkfifo(tmp_path / "pipe.zip")
    with pytest.raises(BadImageError) as error:
        read_image(path.format(tmp_path))
    assert f": cannot read the image file ({reason}" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_damaged_member(data):
    address = pack(data, "zip")
    path = data.with_suffix(".zip")
    content = bytearray(path.read_bytes())
    content[60:400] = bytes(340)
    path.write_bytes(content)
    names = [f"{address}/{file.relative_to(data)}" for file in data.rglob("*.*")]
    said = []
    for name in names:
        try:
            fileio.get(name)
        except OSError as error:
            said.append(error.strerror)
    assert said
    assert all(reason.startswith("it cannot be unpacked: ") for reason in said)


@pytest.mark.parametrize("place", ["zip", "tar", "http"])
def test_limits_hold(place, tmp_path, request, monkeypatch):
    monkeypatch.setattr("rdet.datasets.images._BYTES_OF_NOTES", 2**20)
    folder = tmp_path / "data"
    folder.mkdir()
    Image.new("L", (4000, 3000)).save(folder / "wide.png")
    with open(folder / "long.png", "wb") as file:
        file.truncate(2**21)
    address = f"{request.getfixturevalue('served')}/data" if place == "http" else pack(folder, place)
    with pytest.raises(BadImageError, match="the image has 4000x3000 pixels, more than 1000; ") as error:
        read_image(f"{address}/wide.png", max_pixels=1000)
    assert error.value.reason == "too large"
    with pytest.raises(BadImageError, match="the image file has over 1048576 bytes, those of 1000 pixels are fewer"):
        read_image(f"{address}/long.png", max_pixels=1000)
    assert image_size(f"{address}/wide.png") == (3000, 4000)


def test_a_tar_gives_no_links(tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"x")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind in (("soft.png", tarfile.SYMTYPE), ("hard.png", tarfile.LNKTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, str(secret)
            archive.addfile(info)
        archive.addfile(tarfile.TarInfo("plain.png"), io.BytesIO())
    address = f"tar://{tmp_path}/a.tar"
    assert [fileio.exists(f"{address}/{n}.png") for n in ("soft", "hard", "plain")] == [False, False, True]


@pytest.mark.parametrize("place", ["zip", "http"])
def test_truth_of_an_evaluation(place, data, request):
    address = f"{request.getfixturevalue('served')}/data" if place == "http" else pack(data, place)
    metric = CocoMetric(ann_file=f"{address}/boxes.json")
    assert metric._load_ground_truth() == CocoMetric(ann_file=str(data / "boxes.json"))._load_ground_truth()
    with pytest.raises(MissingFileError, match=r"ann_file '\S+/no\.json' cannot be read \(.*no such file"):
        CocoMetric(ann_file=f"{address}/no.json")


@pytest.mark.parametrize("name", ["../x.png", "a/../../x.png", "/etc/x.png", "..\\x.png", "http://there/x.png"])
@pytest.mark.parametrize("folder", ["http://here/data/img", "zip://a.zip/img"])
def test_names_do_not_lead_out(name, folder):
    with pytest.raises(DatasetError, match="x: 1 of 2 files lie outside of the data set's folder, "):
        paths_within(["a.png", name], folder, "", "x")
    assert paths_within(["b/../a.png"], folder, "", "x") == [f"{folder}/a.png"]


def test_an_address_in_annotations_is_not_asked_for(tmp_path):
    with pytest.raises(DatasetError, match="1 of 1 files lie outside of the data set's folder"):
        paths_within(["http://there/x.png"], str(tmp_path), str(tmp_path), "x")
    assert paths_within(["http://there/x.png"], str(tmp_path), "", "x", True) == ["http://there/x.png"]


def test_backend_args(data):
    load = [{"type": "LoadImageFromFile", "backend_args": {"backend": "local"}}, {"type": "PackDetInputs"}]
    cls, kwargs = READERS["coco"]
    dataset = cls(**kwargs, data_root=str(data), pipeline=load, backend_args={"backend": "local"})
    assert dataset[0]["inputs"].shape == (3, 30, 40)
    assert len(cls(**kwargs, data_root=str(data), pipeline=load, on_bad_image="skip")) == 4
    with pytest.raises(DatasetError, match=r"cannot be read \(mmengine has no backend 'none'\); set ann_file"):
        cls(**kwargs, data_root=str(data), backend_args={"backend": "none"})
    with pytest.raises(DatasetError, match="backend_args cannot be used: HTTPBackend"):
        cls(**kwargs, data_root=str(data), backend_args={"backend": "http", "size": 3})


def test_a_backend_of_ones_own(data, tmp_path, monkeypatch):
    @fileio.register_backend("rdet_test", force=True)
    class Own(fileio.BaseStorageBackend):
        def get(self, path):
            if path.endswith("c.png"):
                raise RuntimeError("down\nfor now")
            return open(path, "rb").read()

        def get_text(self, path):
            raise NotImplementedError

    hook = DrawHook(str(tmp_path / "drawn"), backend_args={"backend": "rdet_test"})
    boxes = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long), scores=torch.zeros(0))
    sample = DetDataSample(metainfo={"img_id": 1, "ori_shape": (30, 40), "scale_factor": (1.0, 1.0)})
    sample.set_metainfo({"img_path": "somewhere/a.png"})
    sample.gt_instances = sample.pred_instances = boxes
    runner = SimpleNamespace(test_dataloader=SimpleNamespace(dataset=SimpleNamespace(metainfo={"classes": CLASSES})))
    monkeypatch.setattr(
        Own, "get", lambda self, path: (data / "img/a.png").read_bytes() if "somewhere" in path else b""
    )
    hook.after_test_iter(runner, 0, outputs=[sample])
    assert (tmp_path / "drawn/1_a.png").is_file()
    loader = SimpleNamespace(dataset=SimpleNamespace(metainfo={"classes": CLASSES}))
    load = {"type": "LoadImageFromFile", "backend_args": {"backend": "rdet_test"}}
    runner = SimpleNamespace(val_dataloader=loader, cfg=Config({"val_dataloader": {"dataset": {"pipeline": [load]}}}))
    BatchesHook()._found(tmp_path / "val_batch0.jpg", [sample], runner)
    assert (tmp_path / "val_batch0.jpg").is_file()
    monkeypatch.undo()

    load = [{"type": "LoadImageFromFile", "backend_args": {"backend": "rdet_test"}}, {"type": "PackDetInputs"}]
    cls, kwargs = READERS["coco"]
    dataset = cls(**kwargs, data_root=str(data), pipeline=load)
    assert dataset[0]["inputs"].shape == (3, 30, 40)
    with pytest.raises(BadImageError, match=r"c\.png: cannot read the image file \(RuntimeError: down for now\); mend"):
        dataset[2]


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (VocDataset, {"ann_file": "xml"}, r"xml: folders at addresses are not listed; set ann_file to a list of ids"),
        (VocDataset, {"ann_file": ""}, r"folders at addresses are not listed; set ann_file to a list of ids"),
        (
            YoloDataset,
            {"ann_file": "img"},
            r"img: folders at addresses are not listed; set ann_file to a list of images",
        ),
        (
            YoloDataset,
            {"ann_file": "data.yaml", "split": "train"},
            r"data\.yaml: folders at addresses are not listed; set",
        ),
        (
            YoloDataset,
            {"ann_file": "images.txt"},
            r"images\.txt: nothing is looked for at an address; set class_file and",
        ),
    ],
)
@pytest.mark.parametrize("place", ["http://there/set", "zip://set/all"])
def test_what_cannot_be_listed_is_said(kind, options, message, place):
    with pytest.raises(DatasetError, match=message):
        kind(**options, data_root=place)


@pytest.mark.parametrize("slow", ["head", "body", "silent"])
def test_a_server_that_never_ends_is_given_up(slow, monkeypatch):
    """It sends a byte now and then, so no single wait is long."""

    class Dribbling(BaseHTTPRequestHandler):
        def log_message(self, *words):
            pass

        def do_GET(self):
            with contextlib.suppress(OSError):
                self.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"\r\n" * (slow == "body"))
                while not over.wait(0.02):
                    self.wfile.write(b"x" * (slow != "silent"))

    over = threading.Event()
    monkeypatch.setattr(remote, "_LONGEST", 30 if slow == "silent" else 0.3)
    monkeypatch.setattr(remote, "_TIMEOUT", 0.2 if slow == "silent" else 30)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Dribbling)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    why = r"the server sent nothing for 0\.2 seconds" if slow == "silent" else r"it took over 0\.3 seconds"
    try:
        with pytest.raises(BadImageError, match=rf"/a\.png: cannot read the image file \({why}\); mend"):
            read_image(f"http://127.0.0.1:{server.server_port}/a.png")
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_download_that_breaks_off_is_an_error():
    class Short(BaseHTTPRequestHandler):
        def log_message(self, *words):
            pass

        def do_GET(self):
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 40)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Short)
    thread = threading.Thread(target=server.handle_request, daemon=True)
    thread.start()
    with pytest.raises(BadImageError, match="the connection ended 60 bytes too early"):
        read_image(f"http://127.0.0.1:{server.server_port}/a.png")
    thread.join()
    server.server_close()
