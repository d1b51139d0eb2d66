"""From images as they were sent to what is found in them, for many clients at once."""

import asyncio
import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from rdet.apis.infer.run import at_once, kinds_of
from rdet.apis.infer.shot import Found, Shot
from rdet.apis.infer.writers.drawn import drawn
from rdet.models.detectors.detector import Detector
from rdet.serve.batching import Batcher, Job
from rdet.serve.limits import Limits
from rdet.serve.metrics import Metrics
from rdet.serve.preparing import Preparation
from rdet.serve.refusal import Refusal
from rdet.serve.uploads import Upload, uploads_in
from rdet.structures import DetDataSample

T = TypeVar("T")
_THREADS = max(2, min(4, os.cpu_count() or 2))


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to detect.

    Attributes:
        score_thr: Smallest score that is answered where a request does not say one.
        max_batch: Most images of a request; as many run together, unless the model says how many.
        max_wait: Most seconds that an image waits for others of its size.
        max_size: Longer side of an image for the network in pixels, instead of the config's; None leaves that.
    """

    score_thr: float = 0.3
    max_batch: int = 8
    max_wait: float = 0.005
    max_size: int | None = None


class Service:
    """Detects in images that many clients send. Threads decode and draw, one other runs the network.

    Args:
        model: From :func:`~rdet.apis.inference.init_detector`.
        limits: What a client may ask for.
        settings: How to detect.

    Attributes:
        requests: How many were taken so far.
    """

    def __init__(self, model: Detector, limits: Limits, settings: Settings):
        self.classes: tuple[str, ...] = tuple(model.classes)
        self.limits = limits
        self.settings = settings
        self._prepare = Preparation(model.cfg, limits.max_pixels, settings.max_size)
        self.requests = self._inside = 0
        together = model.batch_size or settings.max_batch
        self._batcher = Batcher(at_once(model), together, settings.max_wait, self._ran, kinds_of(model))
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="rdet image")
        self.metrics = Metrics(self._batcher.__len__, lambda: self._inside)

    @property
    def ready(self) -> bool:
        """Whether requests are answered."""
        return self._batcher.works

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Take one of the places for requests until the end of the body.

        Raises:
            Refusal: There is none.
        """
        if self._inside >= self.limits.max_requests:
            raise Refusal(503, f"{self._inside} requests wait already; send it again later", retry_after=1)
        self._inside += 1
        self.requests += 1
        try:
            yield
        finally:
            self._inside -= 1

    async def uploads(self, body: bytes, content_type: str) -> list[Upload]:
        """Take the images out of the body of a request; see :func:`~rdet.serve.uploads.uploads_in`."""
        return await self._in_thread(lambda: uploads_in(body, content_type, self.settings.max_batch))

    async def detect(self, uploads: Sequence[Upload], score_thr: float, labels: list[int] | None) -> list[Found]:
        """Detect in images; cancelled, those that wait are dropped.

        Args:
            uploads: The images.
            score_thr: Smallest score.
            labels: Of the classes that are wanted; None: all.

        Raises:
            Refusal: An image cannot be used.
        """
        jobs = [self._submit(upload) for upload in uploads]
        try:
            samples = [await asyncio.wrap_future(job) for job in jobs]
        finally:
            for job in jobs:
                job.cancel()  # those that are done stay as they are
        self.metrics.images.add(len(samples))
        named = [Shot(upload.name, upload.name, upload.name) for upload in uploads]
        return [Found.of(shot, sample, score_thr, labels) for shot, sample in zip(named, samples, strict=True)]

    async def draw(self, upload: Upload, found: Found) -> np.ndarray:
        """Draw what was found: (H, W, 3) uint8 RGB."""

        def work() -> np.ndarray:
            shot = dataclasses.replace(found.shot, image=self._prepare.picture(upload))
            return drawn(dataclasses.replace(found, shot=shot), self.classes)

        return await self._in_thread(work)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Have one of the threads for images do something."""
        return await self._in_thread(work)

    def close(self) -> None:
        """Finish what waits, and end the threads."""
        self._threads.shutdown()
        self._batcher.close()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _submit(self, upload: Upload) -> "Future[DetDataSample]":
        result: Future[DetDataSample] = Future()
        self._batcher.expect(1)
        self._threads.submit(self._prepared, upload, result)
        return result

    def _prepared(self, upload: Upload, result: "Future[DetDataSample]") -> None:
        """Prepare an image and have it wait for the network; what is wrong with it is its result."""
        try:
            shot = None if result.cancelled() else self._prepare(upload)
        except Exception as error:
            self._batcher.expect(-1)
            if result.set_running_or_notify_cancel():
                result.set_exception(error)
            return
        if shot is None:
            self._batcher.expect(-1)
        else:
            self._batcher.add(Job(shot, result))

    def _ran(self, size: int, seconds: float) -> None:
        self.metrics.batches.add(size)
        self.metrics.network_seconds.add(seconds)
