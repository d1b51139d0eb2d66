"""A file is downloaded once, whole and checked; the server is one of this test."""

import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from rdet.errors import CheckpointError, DownloadError
from rdet.interop.download import fetch

DATA = bytes(range(256)) * 2000  # 512,000 bytes
SHA = hashlib.sha256(DATA).hexdigest()[:8]


class Server(ThreadingHTTPServer):
    """Serves DATA under every name.

    Attributes:
        ranges: What each request asked for; None: everything.
        cuts: Bytes after which a response breaks off, one number for each request; without one, all is sent.
        knows_ranges: Whether it can continue.
        content: What it serves.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges, self.cuts, self.knows_ranges, self.content = [], [], True, DATA

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}/models/a-{SHA}.pth"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        wanted = self.headers.get("Range")
        self.server.ranges.append(wanted)
        if "missing" in self.path:
            self.send_error(404)
            return
        content, start = self.server.content, 0
        if wanted and self.server.knows_ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        cut = self.server.cuts.pop(0) if self.server.cuts else len(content)
        self.wfile.write(content[start : start + cut])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_downloaded_once(server, tmp_path):
    path = fetch(server.address, "sha256", SHA, tmp_path / "cache")
    assert path == tmp_path / "cache" / f"a-{SHA}.pth"
    assert path.read_bytes() == DATA
    assert fetch(server.address, "sha256", SHA, tmp_path / "cache") == path
    assert server.ranges == [None]
    assert not list(path.parent.glob("*.part"))


def test_torchs_folder_is_the_default(server, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert fetch(server.address, "sha256", SHA).parent == tmp_path / "hub" / "checkpoints"


def test_md5(server, tmp_path):
    assert fetch(server.address, "md5", hashlib.md5(DATA).hexdigest()[:6], tmp_path).read_bytes() == DATA


def test_an_interrupted_transfer_goes_on_where_it_was(server, tmp_path):
    server.cuts = [1000, 50_000, 0]
    assert fetch(server.address, "sha256", SHA, tmp_path).read_bytes() == DATA
    assert server.ranges == [None, "bytes=1000-", "bytes=51000-", "bytes=51000-"]


def test_a_former_calls_transfer_goes_on(server, tmp_path):
    server.cuts = [1000] + [0] * 5
    with pytest.raises(DownloadError) as caught:
        fetch(server.address, "sha256", SHA, tmp_path)
    assert str(caught.value) == (
        f"cannot download {server.address} (the transfer broke off; 1000 bytes are kept and used the next time); "
        f"put the file at {tmp_path / f'a-{SHA}.pth'} by hand"
    )
    server.ranges.clear()
    assert fetch(server.address, "sha256", SHA, tmp_path).read_bytes() == DATA
    assert server.ranges == ["bytes=1000-"]


def test_a_server_without_ranges_sends_all_again(server, tmp_path):
    server.knows_ranges = False
    server.cuts = [1000]
    assert fetch(server.address, "sha256", SHA, tmp_path).read_bytes() == DATA
    assert server.ranges == [None, "bytes=1000-"]


def test_a_wrong_checksum_is_an_error_and_leaves_nothing(server, tmp_path):
    server.content = DATA[:-1] + b"\0"
    found = hashlib.sha256(server.content).hexdigest()[:8]
    message = rf"a-{SHA}\.pth\.part is not .* its sha256 begins with {found}, not with {SHA}; it was deleted; try again"
    with pytest.raises(CheckpointError, match=message):
        fetch(server.address, "sha256", SHA, tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


@pytest.mark.parametrize("size", [1000, len(DATA), len(DATA) + 5], ids=["part", "whole", "too long"])
def test_the_beginning_of_another_file_is_thrown_away(server, tmp_path, size):
    (tmp_path / f"a-{SHA}.pth.part").write_bytes(b"\1" * size)
    assert fetch(server.address, "sha256", SHA, tmp_path).read_bytes() == DATA
    assert server.ranges[-1] is None


def test_a_whole_part_needs_no_byte(server, tmp_path):
    (tmp_path / f"a-{SHA}.pth.part").write_bytes(DATA)
    assert fetch(server.address, "sha256", SHA, tmp_path).read_bytes() == DATA
    assert server.ranges == [f"bytes={len(DATA)}-"]


def test_a_damaged_file_in_the_folder_is_an_error(server, tmp_path):
    path = tmp_path / f"a-{SHA}.pth"
    path.write_bytes(b"x")
    with pytest.raises(CheckpointError, match=rf"not with {SHA}; delete {re.escape(str(path))} to download it again"):
        fetch(server.address, "sha256", SHA, tmp_path)
    assert server.ranges == []


def test_no_such_file_on_the_server(server, tmp_path):
    address = server.address.replace("models", "missing")
    with pytest.raises(DownloadError, match=rf"{re.escape(address)} \(404 Not Found\); put the file at"):
        fetch(address, "sha256", SHA, tmp_path)
    assert len(server.ranges) == 1  # it does not ask again


def test_no_network_is_one_line_with_address_and_place(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as closed:
        address = closed.address
    with pytest.raises(DownloadError) as caught:
        fetch(address, "sha256", SHA, tmp_path)
    assert str(caught.value) == (
        f"cannot download {address} ([Errno 111] Connection refused); put the file at {tmp_path / f'a-{SHA}.pth'} "
        "by hand"
    )


def test_several_at_once_download_it_once(server, tmp_path):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(fetch(server.address, "sha256", SHA, tmp_path))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.read_bytes() == DATA for path in found] == [True] * 4
    assert server.ranges == [None]
