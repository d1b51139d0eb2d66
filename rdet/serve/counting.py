"""Answers, counted."""

from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rdet.serve.metrics import Counter


class Counting:
    """Counts answers by path and status; what is no path of the service counts as one.

    Args:
        app: What answers.
        requests: What is counted into.
        paths: Those of the service.
    """

    def __init__(self, app: ASGIApp, requests: Counter, paths: Iterable[str]):
        self._app, self._requests, self._paths = app, requests, frozenset(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"] if scope["path"] in self._paths else "other"

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._requests.add(path=path, status=str(message["status"]))
            await send(message)

        await self._app(scope, receive, send_counted)
