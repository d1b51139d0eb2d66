"""Requests for the header of an answer alone."""

from starlette.types import ASGIApp, Receive, Scope, Send


class Head:
    """Answers HEAD as GET, as monitors ask; the server leaves the body out.

    Args:
        app: What answers.
    """

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}  # a copy: by its own, the server knows that there is no body
        await self._app(scope, receive, send)
