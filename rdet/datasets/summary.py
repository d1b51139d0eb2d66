"""What the splits of an experiment hold, and whether they fit together."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.dataset import BaseDataset
from terminaltables import AsciiTable

from rdet.datasets.report import LoadReport
from rdet.errors import DatasetError
from rdet.messages import few

_MOST_LISTED = 20  # classes that a message lists


def dataset_table(datasets: Mapping[str, object]) -> str:
    """Tabulate what was loaded, what was clipped, and what was left out and why.

    Args:
        datasets: Name of each split -> its data set, which may be wrapped. What one of them has to
            say in its ``note`` follows below the table.
    """
    rows = [["split", "images", "boxes", "ignored regions", "images without boxes", "left out"]]
    for name, dataset in datasets.items():
        report = load_report(dataset)
        images = str(report.images)
        if len(dataset) != report.images:
            images += f" ({len(dataset)} an epoch)"
        boxes = f"{report.boxes} ({report.clipped} clipped)" if report.clipped else str(report.boxes)
        left_out = ", ".join(f"{n} {what}" for what, n in report.dropped.items()) or "none"
        rows.append([name, images, boxes, report.ignored, report.empty_images, left_out])
    table = AsciiTable([[str(cell) for cell in row] for row in rows]).table
    return "\n".join([table, *(f"{name}: {note}" for name, dataset in datasets.items() for note in _notes(dataset))])


def doubtful_splits(datasets: Mapping[str, BaseDataset]) -> Iterator[str]:
    """Say which images are in the first split and in another: those are evaluated on what was learnt."""
    (first, dataset), *others = datasets.items()
    paths = _paths(dataset) if others else set()
    for name, other in others:
        if shared := sorted(paths & _paths(other)):
            yield f"{first} and {name} share {len(shared)} images: {few(shared, 3)}; AP on them says little"


def _paths(dataset: Any) -> set[str]:
    if not hasattr(dataset, "get_data_info"):
        return set()
    return {os.path.abspath(dataset.get_data_info(index)["img_path"]) for index in range(len(dataset))}


def _notes(dataset) -> Iterator[str]:
    if hasattr(dataset, "note"):
        yield dataset.note
    for inner in getattr(dataset, "datasets", None) or [getattr(dataset, "dataset", None)]:
        if inner is not None:
            yield from _notes(inner)


def load_report(dataset) -> LoadReport:
    """Add up the reports of all data sets in ``dataset``, each counted once however often repeated."""
    if hasattr(dataset, "datasets"):  # ConcatDataset
        first, *others = map(load_report, dataset.datasets)
        return sum(others, start=first)
    if hasattr(dataset, "dataset"):  # RepeatDataset, ClassBalancedDataset
        return load_report(dataset.dataset)
    if hasattr(dataset, "report"):
        return dataset.report
    # A data set of the user's own: its records tell the same.
    return LoadReport.of([dataset.get_data_info(i) for i in range(len(dataset))], {})


def classes_of(dataset: BaseDataset) -> tuple[str, ...]:
    """Return the class names in the order of their labels. Raise :class:`DatasetError` if there are none."""
    if "classes" not in dataset.metainfo:
        raise DatasetError(f"{type(dataset).__name__} does not say its classes; set metainfo['classes']")
    return tuple(dataset.metainfo["classes"])


def check_same_classes(train: BaseDataset, other: BaseDataset, names: tuple[str, str]) -> None:
    """Raise :class:`DatasetError` unless both data sets have the same classes in the same order.

    Args:
        train: Data set that a model learns from.
        other: Data set that it is evaluated on.
        names: What to call the two in the message.
    """
    ours, theirs = classes_of(train), classes_of(other)
    if ours == theirs:
        return
    only_ours, only_theirs = (sorted(set(a) - set(b)) for a, b in ((ours, theirs), (theirs, ours)))
    differences = [
        f"only {name} has {', '.join(only)}" for name, only in zip(names, (only_ours, only_theirs), strict=True) if only
    ]
    if not differences:
        i = next(i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
        differences = [f"label {i} is {ours[i]!r} in {names[0]} and {theirs[i]!r} in {names[1]}"]
    raise DatasetError(
        f"{names[0]} and {names[1]} differ in their classes: {'; '.join(differences)}; {_remedy(ours, theirs, names)}"
    )


def _remedy(ours: tuple[str, ...], theirs: tuple[str, ...], names: tuple[str, str]) -> str:
    """Say which classes to set where: those of both, since a data set may lack boxes of a class."""
    both = tuple(dict.fromkeys(ours + theirs))
    where = " and ".join(name for name, classes in zip(names, (ours, theirs), strict=True) if classes != both)
    if both == ours and len(ours) > _MOST_LISTED:
        return f"set metainfo=dict(classes=...) on {where} to the {len(ours)} classes of {names[0]}, in their order"
    return f"set metainfo=dict(classes={both!r}) on {where}"
