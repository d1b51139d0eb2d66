"""Bodies of requests, read and taken apart."""

import asyncio

import pytest

from rdet.serve.limits import Limits
from rdet.serve.refusal import Refusal
from rdet.serve.uploads import plain_name, read_body, uploads_in


async def stream(*chunks, pause=0.0):
    for chunk in chunks:
        yield chunk
        await asyncio.sleep(pause)


def body_of(*chunks, headers=None, pause=0.0, **limits) -> bytes:
    return asyncio.run(read_body(headers or {}, stream(*chunks, pause=pause), Limits(**limits)))


def test_a_body_is_read_up_to_its_limit():
    assert body_of(b"ab", b"", b"c", max_bytes=3) == b"abc"
    with pytest.raises(Refusal, match="more than 3 bytes") as refused:
        body_of(b"ab", b"cd", max_bytes=3)
    assert refused.value.status == 413


@pytest.mark.parametrize("length", ["2", "-1", "x", "", "9" * 400, "٣"])
def test_what_the_header_says_of_the_length_is_not_trusted(length):
    assert body_of(b"abc", headers={"content-length": length}, max_bytes=3) == b"abc"


def test_what_the_header_admits_is_not_read():
    with pytest.raises(Refusal, match="more than 3 bytes"):
        body_of(headers={"content-length": "4"}, max_bytes=3)


def test_a_body_that_does_not_come_is_given_up():
    with pytest.raises(Refusal, match="did not arrive within 0.05 s") as refused:
        body_of(b"a", b"b", pause=5, body_seconds=0.05)
    assert refused.value.status == 408


def test_files_of_a_form():
    form = (
        b'--x\r\nContent-Disposition: form-data; name="note"\r\n\r\ntext\r\n'
        b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.png"\r\n\r\n\r\n--y\0\r\n\r\n'
        b'--x\r\nContent-Disposition: form-data; name="f"; filename=""\r\n\r\nB\r\n--x--\r\n'
    )
    uploads = uploads_in(form, 'multipart/form-data; boundary="x"', 2)
    assert [(upload.name, upload.data) for upload in uploads] == [("a.png", b"\r\n--y\0\r\n"), ("image", b"B")]
    assert "B" not in repr(uploads[1])
    with pytest.raises(Refusal, match="more than 1 files"):
        uploads_in(form, "multipart/form-data; boundary=x", 1)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (b"a.png", "a.png"),
        (b"../../etc/passwd", "passwd"),
        (b"C:\\pictures\\a.png", "a.png"),
        (b"/", "image"),
        (b"..", ".."),
        (b"a\x00\n\x1b[31m.png", "a\\x00\\n\\x1b[31m.png"),
        ("é世.png".encode(), "é世.png"),
        (b"\xff.png", "�.png"),
        (b"x" * 5000, "x" * 100 + "..."),
        (None, "image"),
    ],
)
def test_names_are_the_last_part_in_one_line(sent, shown):
    assert plain_name(sent) == shown
