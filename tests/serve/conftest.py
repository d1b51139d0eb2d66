"""A service of the tiny detector, in this process."""

import pytest
import torch
from tiny_run import write_tiny_run

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("python_multipart", reason="needs the extra serve")

from fastapi.testclient import TestClient

from rdet.apis.inference import init_detector
from rdet.serve.app import make_app
from rdet.serve.limits import Limits
from rdet.serve.service import Service, Settings


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Folder with 13 images of 64 x 64 pixels, ``1.png`` to ``13.png``, and the config of a detector of two classes."""
    folder = tmp_path_factory.mktemp("served")
    write_tiny_run(folder)
    return folder


@pytest.fixture(scope="session")
def model(data):
    """A detector with random weights, which finds 20 objects in each image."""
    torch.manual_seed(0)
    detector = init_detector(data / "tiny.py", cfg_options={"model.num_classes": 2})
    detector.classes = ("bright", "red")
    return detector


@pytest.fixture
def serve(model):
    """Starts services with other limits or settings, and gives a client of each."""
    clients = []

    def start(limits=None, settings=None, model=model, **options) -> TestClient:
        service = Service(model, limits or Limits(), settings or Settings(score_thr=0.0))
        app = make_app(service, "tiny.pth", "cpu", **options)
        client = TestClient(app, raise_server_exceptions=False)
        client.service = service
        clients.append(client.__enter__())
        return client

    yield start
    for client in clients:
        client.__exit__(None, None, None)
