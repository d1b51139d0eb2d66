"""Images and frames, read and prepared ahead of the network by threads."""

import dataclasses
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import groupby
from typing import TypeVar

from rdet.apis.infer.frames import Frames
from rdet.apis.infer.names import frame_stem
from rdet.apis.infer.pipeline import Transforms, picture_of, prepared
from rdet.apis.infer.shot import Frame, Shot
from rdet.apis.infer.sources import Source
from rdet.errors import BadImageError, DatasetError, MissingFileError, PipelineError

T = TypeVar("T")
# What is wrong with one image alone; everything else ends the run.
OF_ONE_IMAGE = (DatasetError, PipelineError)


class Reader:
    """Reads sources one after the other, a few images ahead.

    Args:
        pipeline: Its first transform loads an image, the others prepare it for the network.
        whole: Whether the others are applied; slices are prepared later.
        keep_images: Whether images as loaded are kept, to be drawn on or sliced.
        threads: How many images are read at once; frames of a video come one after the other.
        ahead: Most images that wait.
    """

    def __init__(self, pipeline: Transforms, whole: bool, keep_images: bool, threads: int = 2, ahead: int = 4):
        self._pipeline = pipeline if whole else pipeline[:1]
        self._whole = whole
        self._keep_images = keep_images
        self._threads = threads
        self._ahead = max(ahead, threads)

    def __call__(self, sources: Iterable[Source]) -> Generator[Shot, None, None]:
        """Yield the images in their order; those that cannot be used say why.

        Close it when no more are wanted: that ends its threads.
        """
        with _Pool(self._threads) as images, _Pool(1) as frames:
            for is_video, group in groupby(sources, key=lambda source: source.is_video):
                if not is_video:
                    yield from ahead_of((self._read(source) for source in group), images, self._ahead)
                    continue
                for source in group:
                    yield from self._shots_of_video(source, frames)

    def _read(self, source: Source) -> Callable[[], Shot]:
        shot = Shot(source.name, source.stem, source.where)
        return partial(self._prepared, shot, {"img_id": source.name, "img_path": source.where})

    def _shots_of_video(self, source: Source, pool: ThreadPoolExecutor) -> Iterator[Shot]:
        lost = Shot(source.name, source.stem, source.where)
        try:
            video = Frames(source)
        except (BadImageError, MissingFileError) as error:
            yield dataclasses.replace(lost, error=error)
            return
        try:
            for shot in ahead_of(self._reads_of(video, source), pool, self._ahead):
                if shot is None:
                    return
                yield shot
        except BadImageError as error:
            yield dataclasses.replace(lost, error=error)
        finally:
            pool.submit(video.close).result()  # after what this thread still reads

    def _reads_of(self, video: Frames, source: Source) -> Iterator[Callable[[], Shot | None]]:
        """Yield without end what reads the next frame; each gives None after the last."""
        index = 0
        while True:
            frame = Frame(f"{source.stem}.mp4", index, video.fps)
            name = frame_stem(source.stem, index)
            yield partial(self._next_frame, video, Shot(f"{name}.jpg", name, source.where, frame))
            index += 1

    def _next_frame(self, video: Frames, shot: Shot) -> Shot | None:
        image = video.read()
        if image is None or shot.frame is None:
            return None
        record = {"img_id": shot.name, "img_path": f"{shot.where}, frame {shot.frame.index}", "img": image}
        return self._prepared(shot, record)

    def _prepared(self, shot: Shot, record: dict) -> Shot:
        try:
            loaded = prepared(record, self._pipeline[:1])
            image = picture_of(loaded) if self._keep_images and self._whole else loaded["img"]
            packed = prepared(loaded, self._pipeline[1:]) if self._whole else None
        except OF_ONE_IMAGE as error:
            return dataclasses.replace(shot, error=error)
        return dataclasses.replace(shot, image=image if self._keep_images or not self._whole else None, packed=packed)


class _Pool(ThreadPoolExecutor):
    """Threads that finish what they read when the body ends, and begin nothing more."""

    def __exit__(self, *error: object) -> None:
        self.shutdown(wait=True, cancel_futures=True)


def ahead_of(tasks: Iterable[Callable[[], T]], pool: ThreadPoolExecutor, most: int) -> Iterator[T]:
    """Yield what tasks return, in their order, with up to ``most`` of them begun."""
    waiting: deque[Future[T]] = deque()
    tasks = iter(tasks)
    try:
        while True:
            for task in tasks:
                waiting.append(pool.submit(task))
                if len(waiting) >= most:
                    break
            if not waiting:
                return
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def total_of(sources: Sequence[Source]) -> int | None:
    """Count images and frames as far as files say; None where one does not."""
    total = 0
    for source in sources:
        if source.is_video:
            count = _count_of(source)
            if count is None:
                return None
            total += count
        else:
            total += 1
    return total


def _count_of(source: Source) -> int | None:
    if source.is_live or source.folder is None:
        return None
    try:
        video = Frames(source)
    except BadImageError:
        return 0
    video.close()
    return video.count
