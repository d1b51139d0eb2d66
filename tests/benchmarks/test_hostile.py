"""benchmarks/hostile.py tells wrong answers from right ones."""

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from hostile import judged
from hostile_requests import TRICKS


def answer(code: int, body: str = "", kind: str = "application/json", stated: int | None = None) -> bytes:
    length = len(body) if stated is None else stated
    return f"HTTP/1.1 {code} Any\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}".encode()


@pytest.mark.parametrize(
    ("came", "hung_up", "no_body", "may_be_cut", "word", "wrong"),
    [
        (answer(200, "{}"), False, False, False, "200", None),
        (answer(404, '{"error": "one line"}'), False, False, False, "404", None),
        (answer(404, '{"error": "two\\nlines"}'), False, False, False, "404", "not one short line"),
        (answer(404, f'{{"error": "{"a" * 601}"}}'), False, False, False, "404", "not one short line"),
        (answer(404, '{"error": ""}'), False, False, False, "404", "not one short line"),
        (answer(405, "", stated=50), False, True, False, "405", None),  # of HEAD
        (answer(500, "x"), False, False, True, "500", "code 500"),
        (b"", True, False, False, "hung up", None),
        (b"", False, False, True, "no answer", None),
        (b"", False, False, False, "no answer", "closed without an answer"),
        (b"SSH-2.0", False, False, False, "other", "no answer of HTTP"),
    ],
)
def test_wrong_answers_are_told(came, hung_up, no_body, may_be_cut, word, wrong):
    found, said = judged(came, hung_up, no_body, may_be_cut)
    assert found == word
    assert wrong in said if wrong else not said


def test_a_request_follows_from_its_number():
    for trick in TRICKS:
        sent, seconds = trick(random.Random(5))
        assert sent
        assert (sent, seconds) == trick(random.Random(5))
        assert (seconds > 0) == (trick.__name__ in ("hangs_up_sending", "hangs_up_waiting", "half_a_head"))
