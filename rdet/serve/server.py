"""The service on a port of this machine, until it is told to stop."""

import errno
import logging
import os
import socket
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from rdet.errors import ConfigError
from rdet.messages import in_one_line
from rdet.serve.patience import PatientProtocol
from rdet.signals import signals_call

_PATIENCE = 30  # seconds for requests to be answered after a signal; a second Ctrl-C does not wait


def bound_socket(host: str, port: int) -> socket.socket:
    """Take a port, before the work that comes first; it answers when :func:`run` begins.

    Args:
        host: An address or a name of this machine.
        port: 0: any that is free.

    Raises:
        ConfigError: It cannot be taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except (OSError, UnicodeError) as error:
        raise ConfigError(_why_not(host, port, error)) from error
    return listener


def _why_not(host: str, port: int, error: OSError | UnicodeError) -> str:
    code = error.errno if isinstance(error, OSError) else None
    if code == errno.EADDRINUSE:
        return f"--port {port} of {host} is in use; give another, or 0 for any that is free"
    if code == errno.EACCES:
        return f"--port {port} may not be taken; give one of 1024 or more"
    said = getattr(error, "strerror", None) or error
    return f"--host {in_one_line(host)} cannot be taken ({in_one_line(said)}); give an address of this machine"


def address_of(listener: socket.socket) -> str:
    """Return where a browser finds what is bound to a socket."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def run(app: ASGIApp, listener: socket.socket) -> None:
    """Answer requests until Ctrl-C or SIGTERM; then finish those that are there."""
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # what is wrong with a form is answered
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_PATIENCE,
    )
    server = uvicorn.Server(config)

    def stop(number: int, frame: FrameType | None) -> None:
        server.should_exit = True

    # uvicorn takes signals over while it runs, and hands what it got to this handler in the end.
    with signals_call(stop):
        server.run(sockets=[listener])


def _is_news(record: logging.LogRecord) -> bool:
    """Tell whether a line of uvicorn's log is about the service; what clients send is answered, not logged."""
    return "Invalid HTTP request" not in record.getMessage()
