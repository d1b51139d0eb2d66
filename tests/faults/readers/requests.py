"""Requests to ``rdet serve``: odd images, forms, names, parameters and headers."""

import functools
import os
from pathlib import Path
from random import Random
from typing import Any

from fuzz import Case, Reader
from odd import NUMBERS, damage

from rdet.errors import ConfigError
from readers.images import Detector, claimed, encoded

try:
    from fastapi.testclient import TestClient
except ImportError:  # without the extra serve
    TestClient = None

_ANSWERS = {200, 400, 403, 408, 413, 415, 422, 503}
_NAMES = (
    *("a.png", "", ".", "..", "../../../etc/passwd", "/etc/passwd", "C:\\a\\b.png", "a\nb", "a\x00b", '"', "\x1b[2J"),
    *("é世.png", "x" * 5000, "a/" * 500, "%00", "<img src=x>", "con", "a.png; x=1"),
)
_TEXTS = ("", "x", "red", "x,y", "x" * 5000, "\x00", "\n", "é", "None", "../x", *NUMBERS)
_TYPES = (
    *("", "image/png", "application/octet-stream", "application/x-www-form-urlencoded", "text/html", "x" * 500, ";"),
    *("multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=x", "multipart/mixed"),
    *(
        'multipart/form-data; boundary="x',
        "MULTIPART/FORM-DATA; BOUNDARY=x",
        "multipart/form-data; boundary=" + "x" * 900,
    ),
)
_KINDS = ("raw", "raw", "raw", "form", "form", "form", "damaged form", "type", "query", "query", "headers")


@functools.cache
def _client(process: int) -> Any:
    """Start a service in this process; threads do not outlive a fork."""
    from rdet.serve.app import make_app
    from rdet.serve.hosts import allowed_names
    from rdet.serve.limits import Limits
    from rdet.serve.service import Service, Settings

    service = Service(Detector(), Limits(2**20, 4_000_000, 8, 5.0), Settings(max_batch=3))
    app = make_app(service, "x", "cpu", allowed_names("127.0.0.1", ["testserver"]))
    return TestClient(app, raise_server_exceptions=False).__enter__()


def _image(rng: Random) -> tuple[bytes, str]:
    kind = rng.choice(("whole", "whole", "cut", "damaged", "claims", "claims", "noise", "empty", "long"))
    data, shown = claimed(rng) if kind == "claims" else encoded(rng)
    if kind == "cut":
        data = data[: rng.randrange(len(data) + 1)]
    elif kind == "damaged":
        data = damage(rng, data)
    elif kind == "noise":
        data = data[: rng.choice((0, 2, 4, 12, 30))] + rng.randbytes(rng.choice((0, 1, 10, 3000)))
    elif kind in ("empty", "long"):
        data = b"" if kind == "empty" else data + bytes(rng.choice((100, 2**20)))
    return data, f"{kind} {shown}"


def _form(rng: Random) -> tuple[bytes, str]:
    body, shown = b"", []
    for _ in range(rng.choice((0, 1, 1, 2, 3, 4, 200))):
        data, what = _image(rng)
        name = rng.choice(_NAMES)
        shown.append(f"{name[:40]!r} {what}")
        raw = (
            name.encode()
            if rng.random() < 0.5
            else name.replace('"', "%22").replace("\n", "%0A").encode("latin-1", "replace")
        )
        file = rng.choice((b'; filename="' + raw + b'"',) * 4 + (b"", b"; filename*=UTF-8''" + raw))
        base64 = b"Content-Transfer-Encoding: base64\r\n"
        more = rng.choice((b"",) * 5 + (base64, b"a: b\r\n" * 20, b"x" * 9000 + b": y\r\n"))
        body += b'--x\r\nContent-Disposition: form-data; name="f"' + file + b"\r\n" + more + b"\r\n" + data + b"\r\n"
    return body + b"--x--\r\n", f"form of {', '.join(shown[:4])}"


def case(rng: Random, folder: Path) -> Case:
    """A request with images."""
    kind = rng.choice(_KINDS)
    params: list[tuple[str, str]] = []
    headers = {}
    if "form" in kind:
        body, shown = _form(rng)
        headers["Content-Type"] = "multipart/form-data; boundary=x"
        if kind != "form":
            body = damage(rng, body)
    else:
        body, shown = _image(rng)
    if kind == "type":
        headers["Content-Type"] = rng.choice(_TYPES)
    elif kind == "query":
        keys = ("score_thr", "classes", "max_per_img", "format", "x", "")
        params = [(rng.choice(keys), rng.choice(_TEXTS)) for _ in range(rng.choice((1, 2, 3)))]
    elif kind == "headers":
        headers |= {
            "Host": rng.choice(("localhost", "127.0.0.1:80", "[::1]", "[", ":", "evil", "", "x" * 5000)),
            "Accept": rng.choice(("image/jpeg", "*/*", "x" * 5000, "")),
            "Content-Length": rng.choice(("0", "1", "-1", "x", "9" * 5000, "")),
            "Sec-Fetch-Site": rng.choice(("cross-site", "same-origin", "")),
        }
    pieces = rng.random() < 0.2
    path = rng.choice(("/detect", "/detect", "/draw"))

    def read() -> None:
        content = iter([body[:7], b"", body[7:]]) if pieces else body
        answer = _client(os.getpid()).post(path, content=content, params=params, headers=headers)
        assert answer.status_code in _ANSWERS, (answer.status_code, answer.text)
        if answer.status_code != 200:
            (said,) = answer.json().values()
            raise ConfigError(said)
        if path == "/detect":
            for image in answer.json()["images"]:
                assert "/" not in image["file"]
                assert image["width"] * image["height"] <= 4_000_000
        else:
            assert answer.headers["content-type"] in ("image/png", "image/jpeg")

    return Case(read, (), f"{path} {kind} {params} {headers} {shown} {body[:300]!r}"[:3000])


READERS = [Reader("requests", case, cases=30)] if TestClient else []
