"""By which names the service may be called, and who may send to it."""

import pytest

from rdet.serve.hosts import allowed_names


def test_names_that_are_known():
    local = {"localhost", "127.0.0.1", "::1"}
    assert allowed_names("127.0.0.1", []) == local
    assert allowed_names("localhost", ["Box.local"]) == local | {"box.local"}
    assert allowed_names("0.0.0.0", []) is None
    assert allowed_names("::1", ["*"]) is None
    assert allowed_names("0.0.0.0", ["box"]) == local | {"box", "0.0.0.0"}


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8000", 200),
        ("LOCALHOST", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8000", 200),
        ("evil.example", 400),
        ("localhost.evil.example:8000", 400),
        ("", 400),
    ],
)
def test_other_names_are_refused(serve, host, status):
    answer = serve(hosts=allowed_names("127.0.0.1", [])).get("/health", headers={"Host": host})
    assert answer.status_code == status
    assert answer.headers["x-content-type-options"] == "nosniff"
    if status != 200:
        assert answer.json() == {"error": "the service is not known by this Host; start it with --allow-host NAME"}


def test_pages_of_other_sites_may_send_nothing(serve):
    client = serve()
    sent = client.post("/detect", content=b"x", headers={"Sec-Fetch-Site": "cross-site"})
    assert (sent.status_code, list(sent.json())) == (403, ["error"])
    own = client.post("/detect", content=b"x", headers={"Sec-Fetch-Site": "same-origin"})
    assert own.status_code == 415
    assert client.get("/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200  # a link to it
    preflight = client.options("/detect", headers={"Origin": "http://a", "Access-Control-Request-Method": "POST"})
    assert "access-control-allow-origin" not in preflight.headers
