"""Which names a service answers to, and what each answer says about itself.

A page of another site could have its name lead to this machine (DNS rebinding) and then read what the service says; it
cannot have its requests carry another name in their header Host.
"""

import ipaddress
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOCAL = ("localhost", "127.0.0.1", "::1")


def allowed_names(host: str, more: Iterable[str]) -> frozenset[str] | None:
    """Return the names that requests may call a service by; None: any.

    Args:
        host: What it is bound to. Beyond this machine, its names are not known.
        more: Names besides; ``*``: any.
    """
    given = {name.lower() for name in more}
    if "*" in given or not (given or is_loopback(host)):
        return None
    return frozenset({*_LOCAL, host.lower(), *given})


def is_loopback(host: str) -> bool:
    """Tell whether an address leads nowhere else than to this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class HostGuard:
    """Refuses requests by other names, and those that pages of other sites send.

    Args:
        app: What answers the others.
        names: As :func:`allowed_names` returns them.
    """

    def __init__(self, app: ASGIApp, names: frozenset[str] | None):
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Content-Type-Options"] = "nosniff"
            await send(message)

        wrong = self._wrong(Headers(scope=scope), scope["method"])
        app = self._app if wrong is None else JSONResponse({"error": wrong[1]}, wrong[0])
        await app(scope, receive, send_marked)

    def _wrong(self, headers: Headers, method: str) -> tuple[int, str] | None:
        name = _name_in(headers.get("host", ""))
        if self._names is not None and name not in self._names:
            return 400, "the service is not known by this Host; start it with --allow-host NAME"
        if method not in ("GET", "HEAD") and headers.get("sec-fetch-site") == "cross-site":
            return 403, "pages of other sites may send nothing here; use the service's own page"
        return None


def _name_in(host: str) -> str:
    """Return the name of a header ``NAME:PORT`` or ``[IPV6]:PORT``."""
    host = host.strip().lower()
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
