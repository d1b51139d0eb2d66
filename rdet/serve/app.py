"""The service as an ASGI application: its paths."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response

from rdet import __version__
from rdet.apis.infer.run import labels_of
from rdet.serve.answers import Answer, ErrorAnswer, ModelAnswer, PictureFormat, encoded, image_answer
from rdet.serve.counting import Counting
from rdet.serve.errors import add_errors
from rdet.serve.exchange import exchange
from rdet.serve.head import Head
from rdet.serve.hosts import HostGuard
from rdet.serve.memory import give_back
from rdet.serve.metrics import CONTENT_TYPE
from rdet.serve.page import page
from rdet.serve.refusal import Refusal
from rdet.serve.service import Service
from rdet.serve.uploads import Upload
from rdet.visualization.draw import class_color

ScoreThr = Annotated[float | None, Query(ge=0, le=1, description="smallest score; default: the service's")]
Classes = Annotated[list[str] | None, Query(description="names of the classes that are wanted; default: all")]
MaxPerImg = Annotated[int | None, Query(ge=1, description="most detections of an image, the best")]
Format = Annotated[PictureFormat | None, Query(description="of the picture; default: as Accept says, else png")]

_BODY = {
    "required": True,
    "content": {
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {"file": {"type": "array", "items": {"type": "string", "format": "binary"}}},
            }
        },
    },
}
_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer, "description": why}
    for status, why in {
        400: "no image, or a damaged one",
        408: "the request did not arrive in time",
        413: "too many bytes, pixels or images",
        415: "not an image",
        422: "a parameter, or an image of another kind than the model takes",
        503: "too many requests wait",
    }.items()
}


def make_app(service: Service, name: str, device: str, hosts: frozenset[str] | None = None) -> FastAPI:
    """Make the application.

    Args:
        service: Is closed when the application stops.
        name: Of the model, to show.
        device: Where it runs, to show.
        hosts: Names by which requests may call it; None: any.
    """

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        giving = asyncio.create_task(give_back(lambda: service.requests))
        yield
        giving.cancel()
        service.close()

    # The usual pages of FastAPI load scripts from elsewhere.
    app = FastAPI(title="rdet serve", version=__version__, docs_url=None, redoc_url=None, lifespan=life)
    facts = ModelAnswer(
        name=name,
        classes=list(service.classes),
        colors=["#{:02x}{:02x}{:02x}".format(*class_color(label)) for label in range(len(service.classes))],
        device=device,
        score_thr=service.settings.score_thr,
        max_batch=service.settings.max_batch,
        max_bytes=service.limits.max_bytes,
        max_pixels=service.limits.max_pixels,
        version=__version__,
    )
    add_errors(app)
    _add_detection(app, service)
    _add_state(app, service, facts)
    paths = [getattr(route, "path", "") for route in app.routes]
    app.add_middleware(Head)
    app.add_middleware(Counting, requests=service.metrics.requests, paths=paths)
    app.add_middleware(HostGuard, names=hosts)
    return app


def _add_detection(app: FastAPI, service: Service) -> None:
    def thresholds(score_thr: float | None, classes: list[str] | None) -> tuple[float, list[int] | None]:
        chosen = service.settings.score_thr if score_thr is None else score_thr
        return chosen, labels_of(classes, service.classes)

    @app.post("/detect", response_model=Answer, responses=_ERRORS, openapi_extra={"requestBody": _BODY})
    async def detect(
        request: Request, score_thr: ScoreThr = None, classes: Classes = None, max_per_img: MaxPerImg = None
    ) -> Response:
        """Detect objects in an image that is the body, or in the files of a form."""
        wanted = thresholds(score_thr, classes)

        async def answer(uploads: list[Upload], begun: float) -> Response:
            found = await service.detect(uploads, *wanted)
            images = [image_answer(one, service.classes, max_per_img) for one in found]
            ms = round(1000 * (time.perf_counter() - begun), 2)
            return Response(Answer(images=images, ms=ms).model_dump_json(), media_type="application/json")

        return await exchange(request, service, answer)

    @app.post(
        "/draw",
        response_class=Response,
        responses=_ERRORS | {200: {"content": {"image/png": {}, "image/jpeg": {}}}},
        openapi_extra={"requestBody": _BODY},
    )
    async def draw(
        request: Request, score_thr: ScoreThr = None, classes: Classes = None, format: Format = None
    ) -> Response:
        """Draw the objects that are found in an image: a picture of its size."""
        wanted = thresholds(score_thr, classes)
        accepted = request.headers.get("accept", "")
        kind: PictureFormat = format or ("jpeg" if "image/jpeg" in accepted and "image/png" not in accepted else "png")

        async def answer(uploads: list[Upload], begun: float) -> Response:
            if len(uploads) > 1:
                raise Refusal(422, f"the request has {len(uploads)} images; send one to be drawn on")
            (found,) = await service.detect(uploads, *wanted)
            picture = await service.draw(uploads[0], found)
            return Response(await service.in_thread(lambda: encoded(picture, kind)), media_type=f"image/{kind}")

        return await exchange(request, service, answer)


def _add_state(app: FastAPI, service: Service, facts: ModelAnswer) -> None:
    html, policy = page()

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def index() -> Response:
        return HTMLResponse(html, headers={"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"})

    @app.get("/model")
    async def model() -> ModelAnswer:
        """Say what detects, and what may be sent to it."""
        return facts

    @app.get("/health")
    async def health() -> dict[str, str]:
        """Say that the process answers."""
        return {"status": "ok"}

    @app.get("/ready", responses={503: _ERRORS[503]})
    async def ready() -> dict[str, str]:
        """Say whether images can be sent now."""
        if not service.ready:
            raise Refusal(503, "the service stops; send it to another", retry_after=1)
        return {"status": "ready"}

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Say how much was done, and how fast, as Prometheus reads it."""
        return Response(service.metrics.text(), media_type=CONTENT_TYPE)
