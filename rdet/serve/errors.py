"""How errors are said: JSON with one line, and the code that fits."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from rdet.errors import NonFiniteDetectionError, RdetError, UnknownNameError, message_of
from rdet.messages import in_one_line
from rdet.serve.refusal import Refusal


def add_errors(app: FastAPI) -> None:
    """Have an application say its errors so."""

    def said(status: int) -> Callable[[Request, Exception], Awaitable[Response]]:
        async def handler(request: Request, error: Exception) -> Response:
            return JSONResponse({"error": message_of(error)}, status)

        return handler

    @app.exception_handler(Refusal)
    async def refused(request: Request, error: Refusal) -> Response:
        return JSONResponse({"error": message_of(error)}, error.status, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return JSONResponse({"error": "; ".join(map(_of_parameter, error.errors()))}, 422)

    @app.exception_handler(HTTPException)
    async def plain(request: Request, error: HTTPException) -> Response:
        said = f"{in_one_line(request.method)} {in_one_line(request.url.path)}: {str(error.detail).lower()}"
        return JSONResponse({"error": f"{said}; take what /openapi.json lists"}, error.status_code, error.headers)

    @app.exception_handler(Exception)
    async def unknown(request: Request, error: Exception) -> Response:
        return JSONResponse({"error": "the service failed; its log says why"}, 500)

    for kind, status in ((UnknownNameError, 422), (NonFiniteDetectionError, 500), (RdetError, 422)):
        app.add_exception_handler(kind, said(status))


def _of_parameter(error: Any) -> str:
    *_, name = error["loc"]
    return f"{in_one_line(name)}={in_one_line(error['input'])}: {in_one_line(error['msg'])}; correct it"
