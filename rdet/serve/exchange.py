"""One request with images: its body in, its place among others, its time, and whether its client still waits."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from rdet.serve.service import Service
from rdet.serve.uploads import Upload, read_body

T = TypeVar("T")
_CLIENT_CLOSED = 499  # as nginx counts it; nobody reads it


async def exchange(
    request: Request, service: Service, answer: Callable[[list[Upload], float], Awaitable[Response]]
) -> Response:
    """Read the images of a request and answer it, unless its client hangs up.

    Args:
        request: With its body unread.
        service: Gives the place.
        answer: Images, and when the request came (:func:`time.perf_counter`) -> what goes back.

    Raises:
        Refusal: The request cannot be taken.
    """
    begun = time.perf_counter()
    with service.place():
        found = await _answered(request, service, answer, begun)
    if found is None:
        service.metrics.hung_up.add()
        return Response(status_code=_CLIENT_CLOSED)
    service.metrics.seconds.add(time.perf_counter() - begun)
    return found


async def _answered(
    request: Request, service: Service, answer: Callable[[list[Upload], float], Awaitable[Response]], begun: float
) -> Response | None:
    try:
        body = await read_body(request.headers, request.stream(), service.limits)
    except ClientDisconnect:
        return None
    uploads = await service.uploads(body, request.headers.get("content-type", ""))
    del body
    return await _unless_gone(request, answer(uploads, begun))


async def _unless_gone(request: Request, work: Awaitable[T]) -> T | None:
    """Wait for what is worked out; None, and the work is cancelled, if the client hangs up before."""
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        return await working if working.done() else None
    finally:
        for task in (working, gone):
            task.cancel()
        await asyncio.gather(working, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
