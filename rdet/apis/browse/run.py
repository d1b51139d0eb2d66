"""Pictures of data, written as one picture, a folder or a page."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmengine.config import Config

from rdet.apis.browse.data import dataset_to_browse
from rdet.apis.browse.priors import PriorMatcher
from rdet.apis.browse.views import Look, look_at_data
from rdet.apis.build import build_detector
from rdet.apis.data_cfg import loader_cfg
from rdet.apis.inference import init_detector
from rdet.datasets.summary import classes_of
from rdet.engine.sampling import orientations_of
from rdet.errors import ConfigError, DatasetError
from rdet.files import write_text
from rdet.messages import few
from rdet.report.picture_page import picture_page
from rdet.visualization.draw import save_image
from rdet.visualization.sheet import sheet

_CELL, _LEVEL_CELL, _LARGE, _LARGE_LEVEL = 480, 320, 1333, 640  # pixels of the longer side of a picture


@dataclass(frozen=True)
class Options:
    """What is looked at, and where it is written.

    Attributes:
        title: What the data are called.
        split: ``'train'``, ``'val'`` or ``'test'``.
        num: How many images.
        seed: Of a training; None: the config's.
        epoch: Counted from 1; None: the first one, or with a checkpoint the last.
        original: Whether images are shown as they were loaded.
        priors: Whether assigned priors are shown.
        checkpoint: Whose predictions an assigner reads that needs them; None: those of an untrained network.
        out, out_dir, html: A picture of all images, a folder and a page; None: not written.
    """

    title: str
    split: str = "train"
    num: int = 16
    seed: int | None = None
    epoch: int | None = None
    original: bool = False
    priors: bool = False
    checkpoint: str | None = None
    out: str | None = None
    out_dir: str | None = None
    html: str | None = None


def browse(cfg: Config, options: Options) -> list[str]:
    """Look at images of a config's data, write pictures, and print what they are.

    Args:
        cfg: As :func:`rdet.config.load_config` returns it.
        options: What is looked at.

    Returns:
        What is wrong with images that are not shown.

    Raises:
        DatasetError: No image can be shown.
        ConfigError: The config lacks the data; or the checkpoint is of other classes.
    """
    dataset, bad = dataset_to_browse(cfg, options.split, options.original)
    classes = classes_of(dataset)
    loader = loader_cfg(cfg, options.split)
    batch_size = loader.get("batch_size") or 1
    groups = orientations_of(dataset) if loader.get("aspect_ratio_grouping") else None
    epoch = options.epoch or (_last_epoch(cfg, len(dataset), batch_size) if options.checkpoint else 1)
    matcher = PriorMatcher(_detector(cfg, classes, options.checkpoint), epoch - 1) if options.priors else None
    seed = options.seed if options.seed is not None else (cfg.get("randomness") or {}).get("seed") or 0
    looks: list[Look] = []
    for found in _with_bar(
        look_at_data(dataset, options.split, options.num, seed, epoch - 1, batch_size, matcher, groups), options.num
    ):
        if isinstance(found, str):
            print(f"error: {found}", file=sys.stderr)
            bad.append(found)
        else:
            looks.append(found)
    if not looks:
        raise DatasetError(f"none of the images of {options.split} can be shown; {len(bad)} are bad, see above")
    notes = [_first_note(looks, dataset, options, seed, epoch), *_prior_notes(looks, matcher, options, epoch)]
    for note in notes:
        print(note)
    _write(looks, classes, notes, bad, options)
    return bad


def _write(looks: list[Look], classes: tuple[str, ...], notes: list[str], bad: list[str], options: Options) -> None:
    if options.out:
        side, columns = (_LEVEL_CELL, 100) if options.priors else (_CELL, None)
        cells = [look.picture(classes, side, columns) for look in looks]
        save_image(options.out, sheet(cells, 1 if options.priors else None))
        print(options.out)
    side = _LARGE_LEVEL if options.priors else _LARGE
    if options.out_dir:
        for number, look in enumerate(looks, start=1):
            name = f"{number:04d}_{Path(look.name).stem}.jpg"  # one image may come twice
            save_image(Path(options.out_dir) / name, look.picture(classes, _side(look, side)))
        print(options.out_dir)
    if options.html:
        title = f"{options.title}, {options.split}"
        write_text(options.html, picture_page(title, notes, classes, _figures(looks, classes, side), bad))
        print(options.html)


def _figures(looks: list[Look], classes: tuple[str, ...], side: int) -> Iterator[tuple[str, np.ndarray]]:
    for look in looks:
        panels = look.panels(classes, _side(look, side))
        if len(panels) == 1:
            yield panels[0]
        else:
            yield look.caption, look.picture(classes, _side(look, side))


def _side(look: Look, most: int) -> int:
    """Return the longer side of a picture: the image's own, or that of which labels can be read."""
    return min(most, max(640, *look.sample.inputs.shape[1:]))


def _detector(cfg: Config, classes: tuple[str, ...], checkpoint: str | None):
    if not cfg.get("model"):
        raise ConfigError("the config has no model, whose priors --priors shows")
    if checkpoint is None:
        return build_detector(cfg, classes)
    model = init_detector(cfg, checkpoint)
    if model.classes != classes:
        raise ConfigError(
            f"{checkpoint} is of the classes {few(model.classes)}, the data of {few(classes)}; give the data that it "
            "was trained on"
        )
    return model


def _last_epoch(cfg: Config, length: int, batch_size: int) -> int:
    train_cfg = cfg.get("train_cfg") or {}
    iterations = train_cfg.get("max_iters")
    return train_cfg.get("max_epochs") or max(1, (iterations or 0) // max(1, -(-length // batch_size)))


def _first_note(looks: list[Look], dataset: object, options: Options, seed: int, epoch: int) -> str:
    shown = f"{len(looks)} of {len(dataset)} images of {options.split}"  # type: ignore[arg-type]
    if options.original:
        return f"{shown}, as they are loaded, seed {seed}"
    when = f", as a training with this seed gets them in epoch {epoch}" if options.split == "train" else ""
    return f"{shown}, as the network gets them, seed {seed}{when}"


def _prior_notes(looks: list[Look], matcher: PriorMatcher | None, options: Options, epoch: int) -> Iterator[str]:
    if matcher is None:
        return
    of = f"of {options.checkpoint}" if options.checkpoint else "of an untrained network (others: --checkpoint)"
    reads = f", which reads predictions, here {of}" if matcher.reads_predictions else ""
    yield f"priors as {matcher.assigner} assigns them in epoch {epoch}{reads}"
    counts = np.concatenate([look.priors_of_objects() for look in looks])
    if len(counts):
        some = counts[counts > 0]
        rest = f"; the others have {int(np.median(some))} (median)" if len(some) else ""
        yield f"{len(counts) - len(some)} of {len(counts)} objects without a positive prior{rest}"
    for levels in zip(*(look.levels or [] for look in looks), strict=True):
        positive, ignored = (sum(len(getattr(level, key)) for level in levels) for key in ("positives", "ignored"))
        yield f"stride {levels[0].stride}: {positive} positive, {ignored} ignored"


def _with_bar(looks: Iterable[Look | str], num: int) -> Iterable[Look | str]:
    if not sys.stderr.isatty():
        return looks
    from rich.console import Console
    from rich.progress import track

    return track(looks, "reading", total=num, console=Console(stderr=True), transient=True)
