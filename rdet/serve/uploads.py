"""Images in the body of a request, read no further than they may be large."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import PurePosixPath
from typing import Any

from python_multipart import FormParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from rdet.messages import in_one_line
from rdet.serve.limits import Limits
from rdet.serve.refusal import Refusal

_LONGEST_NAME = 100
_EMPTY = "the request holds no image; send one as the body, or files as multipart/form-data"


@dataclass(frozen=True)
class Upload:
    """An image as it was sent.

    Attributes:
        name: What answers call it, one line; never a path.
        data: The file.
    """

    name: str
    data: bytes = field(repr=False)


async def read_body(headers: Mapping[str, str], stream: AsyncIterator[bytes], limits: Limits) -> bytes:
    """Read the body of a request.

    Raises:
        Refusal: It is longer than it may be (413), whatever its header says, or does not arrive in time (408).
    """
    too_large = Refusal(413, f"the request has more than {limits.max_bytes} bytes; send less at once")
    stated = headers.get("content-length", "")
    if stated.isascii() and stated.isdigit() and len(stated) < 20 and int(stated) > limits.max_bytes:
        raise too_large
    body = bytearray()

    async def read() -> None:
        async for chunk in stream:
            if len(body) + len(chunk) > limits.max_bytes:
                raise too_large
            body.extend(chunk)

    try:
        await asyncio.wait_for(read(), limits.body_seconds)
    except asyncio.TimeoutError as error:
        raise Refusal(408, f"the request did not arrive within {limits.body_seconds:g} s; send it again") from error
    return bytes(body)


def uploads_in(body: bytes, content_type: str, most: int) -> list[Upload]:
    """Take the images out of a body: all of it, or the files of a form.

    Args:
        body: As :func:`read_body` gives it.
        content_type: Of the request; what the images are is seen in them.
        most: Images.

    Raises:
        Refusal: There is none, there are too many, or the form is damaged.
    """
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        if not body:
            raise Refusal(400, _EMPTY)
        return [Upload("image", body)]
    boundary = options.get(b"boundary")
    if not boundary:
        raise Refusal(400, "the header Content-Type of the form has no boundary; let the client set it")
    files: list[Any] = []
    others: list[Any] = []

    def add_to(kept: list[Any], part: Any) -> None:
        kept.append(part)
        if len(kept) > most:
            raise Refusal(413, f"the form has more than {most} files or fields; send less at once")

    # All stays in memory: the body is there already.
    limit = {"MAX_MEMORY_FILE_SIZE": len(body) + 1, "MAX_BODY_SIZE": len(body) + 1}
    try:
        parser = FormParser(
            kind.decode(), partial(add_to, others), partial(add_to, files), boundary=boundary, config=limit
        )
        parser.write(body)
        parser.finalize()
    except (FormParserError, ValueError, LookupError) as error:
        raise Refusal(400, f"the form cannot be read ({in_one_line(error)}); send it as multipart/form-data") from error
    uploads = [Upload(plain_name(file.file_name), _content(file.file_object)) for file in files]
    if not any(upload.data for upload in uploads):
        raise Refusal(400, _EMPTY)
    return uploads


def plain_name(name: bytes | None) -> str:
    """Return how answers call a file: the last part of its name, in one line."""
    text = (name or b"").decode("utf-8", errors="replace").replace("\\", "/")
    return in_one_line(PurePosixPath(text).name, _LONGEST_NAME) or "image"


def _content(file: BytesIO) -> bytes:
    file.seek(0)
    return file.read()
