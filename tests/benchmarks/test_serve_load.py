"""The load of benchmarks/serve.py is as large as it says, and its numbers are of it; nothing is timed."""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from serve import Load, picture, row, send, shown


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    got: list[bytes] = []

    def do_POST(self):
        self.got.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(503 if len(self.got) == 3 else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *words):
        pass


def test_clients_share_the_requests_and_refusals_are_counted():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        load = send(server.server_address[1], clients=3, requests=7)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert len(load.answers) == 7
    assert load.refused == 1
    assert load.seconds > 0
    assert Answering.got == [picture()] * 7


def test_a_row_is_of_all_turns():
    first, second = Load(), Load()
    first.seconds, first.answers = 2.0, [0.1, 0.3]
    second.seconds, second.answers, second.refused = 1.0, [0.2, 0.2], 1
    numbers = row(8, 4, [first, second], [100.0, 110.0, 101.0], 2.5)
    assert numbers["images_per_second"] == [1.0, 2.0]
    assert (numbers["median_ms"], numbers["refused"]) == (200.0, 1)
    assert (numbers["megabytes_after_first_turn"], numbers["megabytes_after_last_turn"]) == (100.0, 101.0)
    assert "8 clients, up to 4 together (2.5 on average): 1.5 images/s (1.0 to 2.0)" in shown(numbers)
