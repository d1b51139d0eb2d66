"""Requests of clients that mean no good, and ordinary ones."""

import io
import random
import struct
import zlib
from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import Image

Trick = Callable[[random.Random], tuple[bytes, float]]  # -> what is sent, and seconds until it hangs up; 0: never


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
# What the service may close the connection on, without a word or before it is read.
UNANSWERED: tuple[Trick, ...] = (oversized, broken_head)
