"""From results files to a page."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rdet.analysis.detections.comparison import compare_detections
from rdet.analysis.detections.diagnosis import Diagnosis, diagnose
from rdet.analysis.detections.evaluated import Evaluated, need_hotcoco
from rdet.analysis.detections.results import read_detections
from rdet.analysis.detections.truth import Truth, truth_of_config, truth_of_file
from rdet.apis.cli import load_run_config
from rdet.apis.run_record import read_record
from rdet.errors import ConfigError, MissingFileError
from rdet.evaluation.coco_eval import MAX_DETS
from rdet.files import write_text
from rdet.report.page import PageOptions, report_page


def find_truth(
    results: Sequence[Path],
    annotations: Path | None = None,
    images: Path | None = None,
    config: str | None = None,
    cfg_options: Sequence[str] = (),
) -> Truth:
    """Find what results are judged by.

    Args:
        results: The results files.
        annotations: A COCO file.
        images: The folder of its images.
        config: A config, whose test data are taken where there is no COCO file.
        cfg_options: Overrides of the config.

    Raises:
        MissingFileError: There are no such results.
        ConfigError: Nothing is given, and ``rdet test`` left no record beside the results.
    """
    for path in results:
        if not path.exists():
            raise MissingFileError(f"no results at {path}; give the path of what 'rdet test --out' wrote")
    if annotations is not None:
        return truth_of_file(annotations, images)
    options = list(cfg_options)
    if config is None:
        record = next((found for path in results if (found := read_record(path))), None)
        if record is None:
            raise ConfigError(f"{results[0]}: what is it judged by? Give --ann FILE.json, or --config CONFIG")
        config, options = record.config, [*record.cfg_options, *options]
    return truth_of_config(load_run_config(config, options, None), config)


def model_names(results: Sequence[Path]) -> list[str]:
    """Name detectors by their results files, with the folder where the files have the same name."""
    stems = [path.name.removesuffix(".json").removesuffix(".bbox") for path in results]
    if len(set(stems)) < len(stems):
        stems = [f"{path.resolve().parent.name}/{stem}" for path, stem in zip(results, stems, strict=True)]
    return stems if len(set(stems)) == len(stems) else [str(path) for path in results]


def make_report(
    results: Sequence[Path],
    truth: Truth,
    out: Path,
    names: Sequence[str] | None = None,
    title: str | None = None,
    pictures: int = 24,
    samples: int = 300,
    max_dets: int = MAX_DETS,
    numbers: Path | None = None,
) -> list[Diagnosis]:
    """Write the page of one results file, or of two side by side.

    Args:
        results: One file, or two.
        truth: What they are judged by.
        out: The page.
        names: What to call the detectors; None: as :func:`model_names`.
        title: Of the page; None: the names.
        pictures: How many images are drawn.
        samples: How often the images are drawn anew for the intervals of the difference of two; 0: none.
        max_dets: How many detections of an image and a class count.
        numbers: A json file for all numbers of the page; None: not written.

    Returns:
        The analyses of each.
    """
    need_hotcoco()
    names = list(names or model_names(results))
    models = [
        diagnose(Evaluated(name, truth, read_detections(path, truth), max_dets))
        for name, path in zip(names, results, strict=True)
    ]
    comparison = None
    if len(models) > 1:
        comparison = compare_detections(models[0].evaluated, models[1].evaluated, samples)
    facts = [{"file": str(path), **_facts(path)} for path in results]
    options = PageOptions(title or " and ".join(names), pictures, facts)
    write_text(out, report_page(models, comparison, options))
    if numbers is not None:
        content: dict[str, Any] = {"truth": truth.source, "models": [model.to_dict() for model in models]}
        if comparison is not None:
            content["comparison"] = comparison.to_dict()
        write_text(numbers, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return models


def _facts(results: Path) -> dict[str, str]:
    record = read_record(results)
    return record.facts() if record else {}
