"""Clients that do not go on: each would hold an open file of the process."""

import socket
import threading
import time

import pytest

from rdet.serve import patience

uvicorn = pytest.importorskip("uvicorn")
LARGE = b"x" * 2**24  # more than the system's own buffers take


async def app(scope, receive, send):
    if scope["type"] == "http":
        body = LARGE if scope["path"] == "/large" else b"ok"
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture
def connect(monkeypatch):
    """Connects to a server that waits 0.3 seconds."""
    monkeypatch.setattr(patience, "SECONDS", 0.3)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, http=patience.PatientProtocol, lifespan="off", log_level="error"))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    sockets = []

    def connect(sent: bytes) -> socket.socket:
        sockets.append(socket.create_connection(listener.getsockname()[:2], timeout=20))
        sockets[-1].sendall(sent)
        return sockets[-1]

    yield connect
    for one in sockets:
        one.close()
    server.should_exit = True
    thread.join()


def rest(of: socket.socket) -> bytes:
    """What comes until the server closes."""
    found = b""
    try:
        while part := of.recv(2**20):
            found += part
    except ConnectionResetError:
        pass
    return found


def test_a_header_that_does_not_end(connect):
    silent, half = connect(b""), connect(b"GET / HTTP/1.1\r\nHo")
    again = connect(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert again.recv(2**16).startswith(b"HTTP/1.1 200")
    again.sendall(b"GET / HT")  # the header of a second request
    assert [rest(one).count(b"200 OK") for one in (silent, half, again)] == [0, 0, 0]


def test_an_answer_that_nobody_reads(connect):
    unread, slow = (connect(b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") for _ in range(2))
    found = b""
    for _ in range(12):  # a part now and then, for longer than the server waits for none
        time.sleep(0.1)
        found += slow.recv(2**20)
    found += rest(slow)
    assert found.endswith(LARGE)
    assert len(rest(unread)) < len(LARGE)
