"""`rdet serve` under clients that mean no good: python benchmarks/hostile.py CHECKPOINT [options of rdet serve]

Starts the command as it is, and has clients send images, damaged and oversized ones, bombs, forms with tricks in their
names, broken headers, and hang up in the midst. The load is bounded: as many requests as are asked for. Every answer
has to be a success or a 4xx with one line, and the service has to answer in the end; else the command ends with code 1.
Of memory it says what the service holds after each part, once it has had time to give back what was freed.
`--ordinary` sends photographs of many sizes alone.
"""

import argparse
import contextlib
import io
import json
import random
import re
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

REST = 25  # seconds; the service gives memory back every 10
Trick = Callable[[random.Random], tuple[bytes, float]]  # -> what is sent, and seconds until it hangs up; 0: never


def main() -> None:
    parser = argparse.ArgumentParser(description="The service under clients that mean no good")
    parser.add_argument("model", help="checkpoint or exported file, as rdet serve takes it")
    parser.add_argument("--requests", type=int, default=6000, help="in all (default: 6000)")
    parser.add_argument("--every", type=int, default=2000, help="requests after which memory is read (default: 2000)")
    parser.add_argument("--clients", type=int, default=12, help="that send at once (default: 12)")
    parser.add_argument("--ordinary", action="store_true", help="send photographs of many sizes alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="json file for the numbers")
    args, more = parser.parse_known_args()
    command = [sys.executable, "-m", "rdet", "serve", args.model, "--port", "0", *more]
    log = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines: list[str] = []
    port = port_of(log, lines)
    threading.Thread(target=lambda: lines.extend(log.stdout or ()), daemon=True).start()
    tricks = [ordinary] if args.ordinary else TRICKS
    rows, wrong = [], []
    try:
        rows.append(state(log.pid, 0, Counter()))
        print(json.dumps(rows[-1]), flush=True)
        codes: Counter[str] = Counter()
        for start in range(0, args.requests, args.every):
            begun = time.monotonic()
            wrong += send(port, range(start, min(args.requests, start + args.every)), args, tricks, codes)
            busy, seconds = megabytes(log.pid), time.monotonic() - begun
            time.sleep(REST)
            rows.append({**state(log.pid, start + args.every, codes), "megabytes_busy": busy, "seconds": seconds})
            print(json.dumps(rows[-1]), flush=True)
        alive = b" 200 " in exchange(port, request("GET", "/ready"), 0)[:20]
    finally:
        log.terminate()
        begun = time.monotonic()
        try:
            code = log.wait(120)
        except subprocess.TimeoutExpired:
            log.kill()
            code = "none: it did not end within 120 seconds"
        print(f"ended after {time.monotonic() - begun:.1f} s")
    noise = [line for line in lines if "Traceback" in line or "Error" in line]
    for what in [*wrong[:20], *noise[:20]]:
        print(what)
    if args.out:
        args.out.write_text(json.dumps(rows, indent=1) + "\n")
    print(f"{len(wrong)} wrong answers, {len(noise)} errors in the log, ended with code {code}")
    sys.exit(bool(wrong or noise or code or not alive))


def port_of(log: subprocess.Popen, lines: list[str]) -> int:
    """Waits until the command says where it answers."""
    assert log.stdout is not None
    for line in log.stdout:
        lines.append(line)
        if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
            return int(found[1])
    sys.exit("".join(lines))


def megabytes(pid: int, what: str = "VmRSS") -> float:
    """What the process holds."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith(what))


def state(pid: int, requests: int, codes: Counter) -> dict:
    """The service after a number of requests."""
    folder = Path(f"/proc/{pid}")
    return {
        "requests": requests,
        "megabytes": megabytes(pid),
        "most_megabytes": megabytes(pid, "VmHWM"),
        "threads": len(list((folder / "task").iterdir())),
        "open_files": len(list((folder / "fd").iterdir())),
        "codes": dict(sorted(codes.items())),
    }


def send(port: int, numbers: range, args: argparse.Namespace, tricks: list[Trick], codes: Counter) -> list[str]:
    """Has clients send the requests of these numbers, and returns what was answered as it should not be."""
    wrong: list[str] = []
    queue, lock = iter(numbers), threading.Lock()

    def client() -> None:
        while True:
            with lock:
                number = next(queue, None)
            if number is None:
                return
            rng = random.Random(args.seed * 1_000_003 + number)
            trick = tricks[number % len(tricks)]
            sent, seconds = trick(rng)
            try:
                answer = exchange(port, sent, seconds)
            except OSError as error:
                answer = f"{type(error).__name__}".encode()
            said = judged(answer, seconds > 0, sent.startswith(b"HEAD "))
            with lock:
                codes[said[0]] += 1
                if said[1]:
                    wrong.append(f"{trick.__name__} (request {number}): {said[1]}")

    threads = [threading.Thread(target=client) for _ in range(args.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


def exchange(port: int, sent: bytes, seconds: float) -> bytes:
    """Sends bytes and reads until the service hangs up, or hangs up itself after some seconds."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as wire:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused while it was still sent
            wire.sendall(sent)
        if seconds:
            time.sleep(seconds)
            return b""
        answer = b""
        try:
            while part := wire.recv(1 << 16):
                answer += part
        except ConnectionResetError:  # what was not read was thrown away with the connection
            pass
        return answer


def judged(answer: bytes, hung_up: bool, no_body: bool) -> tuple[str, str]:
    """What came back, in a word, and what is wrong with it, if anything."""
    if hung_up:
        return "hung up", ""
    if not answer:
        return "no answer", ""
    head, _, body = answer.partition(b"\r\n\r\n")
    found = re.match(rb"HTTP/1\.1 (\d{3})", head)
    if not found:
        return "other", f"no answer of HTTP: {answer[:100]!r}"
    code = int(found[1])
    if code >= 500:
        return str(code), f"code {code}: {body[:200]!r}"
    if code >= 400 and b"application/json" in head and not no_body:
        length = re.search(rb"content-length: (\d+)", head.lower())
        said = json.loads(body[: int(length[1])] if length else body)["error"]
        if "\n" in said or not said or len(said) > 600:
            return str(code), f"code {code}: not one short line: {said[:200]!r}"
    return str(code), ""


def request(method: str, path: str, body: bytes = b"", *headers: str, length: int | None = None) -> bytes:
    """The bytes of a request."""
    head = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
    head.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join(head).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


def picture(rng: random.Random, width: int, height: int, mode: str = "RGB", kind: str = "JPEG") -> bytes:
    """A file of coarse noise, one of a few of its size."""
    return _picture(rng.randrange(4), width, height, mode, kind)


@cache
def _picture(seed: int, width: int, height: int, mode: str, kind: str) -> bytes:
    rng = random.Random(seed)
    channels = {"L": 1, "RGB": 3, "RGBA": 4, "CMYK": 4, "P": 3}[mode]
    small = np.frombuffer(rng.randbytes(64 * channels), np.uint8).reshape(8, 8, channels)
    image = Image.fromarray(small.squeeze(), "RGB" if mode == "P" else mode).resize((width, height), Image.BILINEAR)
    buffer = io.BytesIO()
    (image.convert("P") if mode == "P" else image).save(buffer, kind)
    return buffer.getvalue()


def photograph(rng: random.Random) -> bytes:
    """A file of usual size and any shape."""
    return picture(rng, rng.randrange(60, 900, 120), rng.randrange(61, 900, 121))


def form(name: bytes, content: bytes, boundary: bytes = b"b") -> bytes:
    """A form with one file."""
    disposition = b'Content-Disposition: form-data; name="file"; filename="' + name + b'"'
    return b"--%b\r\n%b\r\n\r\n%b\r\n--%b--\r\n" % (boundary, disposition, content, boundary)


MULTIPART = "Content-Type: multipart/form-data; boundary=b"


def ordinary(rng: random.Random) -> tuple[bytes, float]:
    return request("POST", "/detect", photograph(rng)), 0


def odd_image(rng: random.Random) -> tuple[bytes, float]:
    shape = rng.choice([(1, 1), (31, 700), (700, 31), (2000, 3), (64, 64)])
    modes = [("L", "PNG"), ("RGBA", "PNG"), ("P", "PNG"), ("CMYK", "JPEG"), ("L", "JPEG"), ("P", "GIF")]
    mode, kind = rng.choice(modes)
    return request("POST", rng.choice(["/detect", "/draw"]), picture(rng, *shape, mode, kind)), 0


def noise(rng: random.Random) -> tuple[bytes, float]:
    starts = [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF0000WEBP", b"II*\x00", b"<svg>", b"BM"]
    start = rng.choice(starts)
    return request("POST", "/detect", start + rng.randbytes(rng.randint(0, 3000))), 0


def cut(rng: random.Random) -> tuple[bytes, float]:
    whole = picture(rng, 300, 200, kind=rng.choice(["JPEG", "PNG", "WEBP"]))
    return request("POST", "/detect", whole[: rng.randint(1, len(whole) - 1)]), 0


def spoiled(rng: random.Random) -> tuple[bytes, float]:
    content = bytearray(picture(rng, 300, 200, kind=rng.choice(["JPEG", "PNG", "WEBP", "BMP", "TIFF"])))
    for _ in range(20):
        content[rng.randrange(len(content))] = rng.randrange(256)
    return request("POST", rng.choice(["/detect", "/draw"]), bytes(content)), 0


def bomb(rng: random.Random) -> tuple[bytes, float]:
    return request("POST", "/detect", _bomb(rng.choice([50_000, 2**31 - 1, 7_100]), rng.choice([8, 16]))), 0


@cache
def _bomb(side: int, depth: int) -> bytes:
    """A small file that claims to be a picture of this side, with a note of 30 MB in it."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, depth, 2, 0, 0, 0))
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(30_000_000)))
    data = chunk(b"IDAT", zlib.compress(bytes(1_000_000)))
    return b"\x89PNG\r\n\x1a\n" + header + text + data + chunk(b"IEND", b"")


def oversized(rng: random.Random) -> tuple[bytes, float]:
    if rng.random() < 0.5:
        return request("POST", "/detect", b"x" * 1000, length=rng.choice([10**9, 10**18, 10**30])), 0
    piece = b"%x\r\n" % 2**20 + bytes(2**20) + b"\r\n"
    head = b"POST /detect HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + piece * 21, 0


def names(rng: random.Random) -> tuple[bytes, float]:
    name = rng.choice(
        [b"../../../etc/passwd", b"C:\\windows\\a", b"a" * 5000, b"\0\r\x1b[2J", b"%2e%2e%2f", b"\xff\xfe", b"/", b".."]
    )
    return request("POST", "/detect", form(name, photograph(rng)), MULTIPART), 0


def broken_form(rng: random.Random) -> tuple[bytes, float]:
    whole = form(b"a.jpg", rng.randbytes(500))
    kind = rng.choice([MULTIPART, "Content-Type: multipart/form-data", f"{MULTIPART}{'x' * 300}", f"{MULTIPART}\xff"])
    many = b"".join(b'--b\r\nContent-Disposition: form-data; name="f"\r\n\r\n1\r\n' for _ in range(300))
    body = rng.choice([whole[: rng.randrange(len(whole))], many, b"--b", b"--b\r\n:\r\n\r\n", b""])
    return request("POST", "/detect", body, kind), 0


def parameters(rng: random.Random) -> tuple[bytes, float]:
    queries = [
        "score_thr=nan",
        "score_thr=-1",
        "score_thr=",
        "score_thr=1e999",
        "score_thr=%0a%0d",
        "format=tiff",
        "&&==",
    ]
    queries += ["classes=%00", "classes=nothing", "classes=" + "a" * 3000, "max_per_img=0", "max_per_img=" + "9" * 5000]
    query = rng.choice(queries)
    return request("POST", f"{rng.choice(['/detect', '/draw'])}?{query}", picture(rng, 64, 64)), 0


def places(rng: random.Random) -> tuple[bytes, float]:
    paths = ["/../../etc/passwd", "//", "/%00", "/detect/", "/%2e%2e/", "/model?" + "a" * 9000, "/static/../x"]
    path = rng.choice(paths)
    return request(rng.choice(["GET", "PUT", "DELETE", "TRACE", "OPTIONS", "HEAD", "BREW"]), path), 0


def broken_head(rng: random.Random) -> tuple[bytes, float]:
    return rng.choice(
        [
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(200),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"GET /\r\n\r\n",
            b"POST /detect HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: -5\r\n\r\n",
            request("POST", "/detect", b"zz\r\n\r\n", "Transfer-Encoding: chunked"),
            b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
            request("POST", "/detect", b"x", "Sec-Fetch-Site: cross-site"),
            rng.randbytes(300) + b"\r\n\r\n",
        ]
    ), 0


def hangs_up_sending(rng: random.Random) -> tuple[bytes, float]:
    body = photograph(rng)
    return request("POST", "/detect", body[: len(body) // 2], length=len(body)), 0.01 + rng.random() / 10


def hangs_up_waiting(rng: random.Random) -> tuple[bytes, float]:
    return request("POST", rng.choice(["/detect", "/draw"]), photograph(rng)), 0.001 + rng.random() / 10


def half_a_head(rng: random.Random) -> tuple[bytes, float]:
    whole = request("POST", "/detect", b"", "X-Long: " + "a" * 500)
    return whole[: rng.randrange(1, len(whole) - 4)], 0.01 + rng.random() / 5


TRICKS: list[Trick] = [
    ordinary,
    odd_image,
    noise,
    cut,
    spoiled,
    bomb,
    oversized,
    names,
    broken_form,
    parameters,
    places,
    broken_head,
    hangs_up_sending,
    hangs_up_waiting,
    half_a_head,
]

if __name__ == "__main__":
    main()
