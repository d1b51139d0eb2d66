"""The service on a port: its start, its end, and clients that hang up."""

import http.client
import signal
import socket
import threading
import time

import pytest
import uvicorn

from rdet.errors import ConfigError
from rdet.serve.app import make_app
from rdet.serve.limits import Limits
from rdet.serve.server import address_of, bound_socket, run
from rdet.serve.service import Service, Settings


@pytest.fixture
def slow(model, monkeypatch):
    """The detector, whose runs wait until they may."""
    may, begun = threading.Event(), threading.Event()
    test_step = model.test_step

    def wait(data):
        begun.set()
        assert may.wait(20)
        return test_step(data)

    monkeypatch.setattr(model, "test_step", wait)
    model.may, model.begun = may, begun
    yield model
    may.set()


def post(port: int, body: bytes) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("POST", "/detect", body)
    return connection


def test_a_port_that_cannot_be_taken_is_said_in_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"--port {port} of 127.0.0.1 is in use; give another"):
            bound_socket("127.0.0.1", port)
    for host in ("192.0.2.1", "no such host", "x" * 300, "a..b"):
        with pytest.raises(ConfigError, match=r"--host .* cannot be taken \(.*\); give an address of this machine"):
            bound_socket(host, 0)
    with bound_socket("127.0.0.1", 0) as listener:
        assert address_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_signal_ends_it_after_what_is_there_is_answered(slow, data):
    listener = bound_socket("127.0.0.1", 0)
    port = listener.getsockname()[1]
    app = make_app(Service(slow, Limits(), Settings(score_thr=0.0)), "tiny", "cpu")
    answers = []

    def client() -> None:
        while True:
            try:
                connection = post(port, (data / "1.png").read_bytes())
                break
            except ConnectionRefusedError:
                time.sleep(0.01)
        assert slow.begun.wait(20)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM)
        time.sleep(0.1)
        slow.may.set()
        answers.append(connection.getresponse().status)

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=client)
    thread.start()
    run(app, listener)  # returns: the program would end with code 0
    thread.join(20)
    assert answers == [200]
    assert signal.getsignal(signal.SIGTERM) is before
    with pytest.raises(ConnectionRefusedError):
        post(port, b"x")


def test_a_client_that_hangs_up_is_dropped_before_the_network(slow, data, caplog):
    service = Service(slow, Limits(), Settings(score_thr=0.0, max_batch=1))
    listener = bound_socket("127.0.0.1", 0)
    port = listener.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(make_app(service, "tiny", "cpu"), log_level="error", log_config=None))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    body = (data / "1.png").read_bytes()
    with socket.create_connection(("127.0.0.1", port)) as halfway:
        halfway.sendall(b"POST /detect HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf")
    stays = post(port, body)
    assert slow.begun.wait(20)
    leaves = [post(port, body) for _ in range(3)]
    until = time.monotonic() + 20
    while service._inside < 4 and time.monotonic() < until:
        time.sleep(0.01)
    for connection in leaves:
        connection.close()
    while service._inside > 1 and time.monotonic() < until:
        time.sleep(0.01)
    assert service._inside == 1  # those places are free again
    slow.may.set()
    assert stays.getresponse().status == 200
    stays.close()
    assert post(port, body).getresponse().status == 200
    server.should_exit = True
    thread.join(20)
    text = service.metrics.text()
    assert "rdet_hung_up_total 4" in text  # one of them while it sent
    assert not caplog.records
    assert "rdet_images_total 2" in text
    assert "rdet_batch_images_count 2" in text  # the network saw two images


def test_what_is_no_http_is_refused_and_ends_nothing(model):
    service = Service(model, Limits(), Settings())
    listener = bound_socket("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(make_app(service, "tiny", "cpu"), log_level="critical"))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    for sent in (b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n" + b"a: " + b"x" * 100_000, b"\r\n\r\n"):
        with socket.create_connection(listener.getsockname(), timeout=20) as raw:
            raw.sendall(sent)
            raw.shutdown(socket.SHUT_WR)
            said = raw.recv(100)
            assert not said or said.startswith(b"HTTP/1.1 400")
    connection = http.client.HTTPConnection("127.0.0.1", listener.getsockname()[1], timeout=20)
    connection.request("GET", "/health")
    assert connection.getresponse().status == 200
    connection.close()
    server.should_exit = True
    thread.join(20)
