"""Detection in whatever can be read, with results that are written as they come."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from mmengine.dataset import pseudo_collate

from rdet.apis.infer.batches import Batches
from rdet.apis.infer.pipeline import inference_pipeline
from rdet.apis.infer.progress import progress_bar
from rdet.apis.infer.reading import Reader, total_of
from rdet.apis.infer.shot import Found, Shot
from rdet.apis.infer.slicing import SlicedDetector
from rdet.apis.infer.sources import Source
from rdet.apis.infer.writers import Writer
from rdet.errors import ConfigError, UnknownNameError, message_of
from rdet.messages import nearest, shown
from rdet.models.detectors.detector import Detector
from rdet.structures import DetDataSample


@dataclass(frozen=True)
class Settings:
    """How to detect.

    Attributes:
        score_thr: Smallest score that is written.
        classes: Names of the classes that are written; None: all.
        batch_size: Images, or slices of one, that run together.
        max_size: Longer side of an image for the network, in pixels, instead of the config's; None leaves that.
        slice_size: Height and width of slices in pixels of the image; None: no slices.
        overlap, whole: See :class:`~rdet.apis.infer.slicing.SlicedDetector`.
    """

    score_thr: float = 0.3
    classes: Sequence[str] | None = None
    batch_size: int = 1
    max_size: int | None = None
    slice_size: tuple[int, int] | None = None
    overlap: float = 0.2
    whole: bool = True


@dataclass
class Summary:
    """What a run did.

    Attributes:
        images: How many images and frames were looked at.
        detections: How many were written.
        failed: Name of each image or video that could not be used, or not wholly -> why.
    """

    images: int = 0
    detections: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def detect(
    model: Detector,
    sources: Sequence[Source],
    writers: Sequence[Writer],
    settings: Settings | None = None,
    progress: bool = False,
    strict: bool = False,
) -> Summary:
    """Detect in sources, one after the other, and write what is found as it comes.

    Whatever ends the run, the writers are closed: files that grow get their names, with what was found before.

    Args:
        model: From :func:`~rdet.apis.inference.init_detector`.
        sources: From :func:`~rdet.apis.infer.sources.find_sources`.
        writers: Each is given what was found in each image.
        settings: How to detect.
        progress: Whether to draw a bar, where the program runs in a terminal.
        strict: Whether an image that cannot be used ends the run; else it is noted and passed over.

    Raises:
        UnknownNameError: The model has no class of a name.
        BadImageError, PipelineError: An image cannot be used, and ``strict`` is set.
    """
    settings = settings or Settings()
    summary = Summary()
    labels = labels_of(settings.classes, model.classes)
    with ExitStack() as ends:
        for writer in writers:
            ends.callback(writer.close)
        bar = ends.enter_context(progress_bar(lambda: total_of(sources), progress))
        images = any(writer.needs_images for writer in writers)
        for shot, sample in ends.enter_context(_samples(model, sources, settings, images)):
            bar.step(shot)
            if shot.error is not None and strict:
                raise shot.error
            if shot.error is not None or sample is None:
                _note(shot, summary, writers)
                continue
            found = Found.of(shot, sample, settings.score_thr, labels)
            for writer in writers:
                writer.add(found)
            summary.images += 1
            summary.detections += len(found.labels)
    return summary


def labels_of(names: Sequence[str] | None, classes: Sequence[str]) -> list[int] | None:
    """Return the labels of some classes; None of None.

    Raises:
        UnknownNameError: There is no such class.
    """
    for name in names or ():
        if name not in classes:
            raise UnknownNameError(f"the model has no class {shown(name)}. {nearest(name, classes)}")
    return None if names is None else [label for label, name in enumerate(classes) if name in names]


def check_out_dir(out_dir: str | Path, sources: Sequence[Source]) -> None:
    """Raise unless results go elsewhere than where the images are.

    Raises:
        ConfigError: Pictures would be written over, or be taken for images the next time.
    """
    target = Path(out_dir).resolve()
    folders = {(source.folder, source.searched) for source in sources if source.folder is not None}
    folders |= {(Path(source.where).parent, False) for source in sources if source.folder is not None}
    for folder, searched in sorted(folders):
        images = folder.resolve()
        if target == images or (searched and target.is_relative_to(images)):
            raise ConfigError(f"--out-dir {out_dir} lies in the folder of the images, {folder}; choose another one")


@contextmanager
def _samples(
    model: Detector, sources: Sequence[Source], settings: Settings, images: bool
) -> Iterator[Iterator[tuple[Shot, DetDataSample | None]]]:
    """Give each image with what the model finds in it, or with None where it cannot be used.

    In the end, threads and videos are let go at once: whatever ended the run may hold what reads them.
    """
    pipeline = inference_pipeline(model.cfg, settings.max_size)
    sliced = settings.slice_size is not None
    size = 1 if sliced else settings.batch_size
    read = Reader(pipeline, whole=not sliced, keep_images=images, ahead=2 * size + 2)
    run = _in_slices(model, settings, pipeline) if sliced else at_once(model)
    with closing(read(sources)) as shots:
        yield Batches(run, kinds_of(model), size)(shots)


def kind_of(shot: Shot) -> tuple[int, ...] | None:
    """Return what images that run together have in common: their size."""
    return None if shot.packed is None else tuple(shot.packed["inputs"].shape)


def kinds_of(model: Detector) -> Callable[[Shot], tuple[int, ...] | None]:
    """Return what says of an image which others may run with it through a model."""
    return lambda shot: None if shot.packed is None else model.batch_key(shot.packed["inputs"])


Run = Callable[[Sequence[Shot]], Sequence[DetDataSample | None]]


def at_once(model: Detector) -> Run:
    """Return what runs images of one size through a model together; one that cannot be used gives None."""

    def run(shots: Sequence[Shot]) -> Sequence[DetDataSample | None]:
        if shots[0].packed is None:
            return [None]
        with torch.no_grad():
            return model.test_step(pseudo_collate([shot.packed for shot in shots]))

    return run


def _in_slices(model: Detector, settings: Settings, pipeline: list) -> Run:
    assert settings.slice_size is not None
    detector = SlicedDetector(
        model, settings.slice_size, settings.overlap, settings.whole, settings.batch_size, pipeline
    )

    def run(shots: Sequence[Shot]) -> Sequence[DetDataSample | None]:
        return [None if shot.image is None else detector.detect(shot.image, shot.where) for shot in shots]

    return run


def _note(shot: Shot, summary: Summary, writers: Sequence[Writer]) -> None:
    assert shot.error is not None
    reason = message_of(shot.error)
    summary.failed[shot.name] = reason
    for writer in writers:
        writer.fail(shot.name, reason)
