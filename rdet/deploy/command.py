"""What ``rdet export`` does once its options are read."""

import argparse
import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from rdet.apis.infer.pictures import record_of
from rdet.apis.infer.pipeline import inference_pipeline, prepared, steps_of
from rdet.apis.infer.sources import find_sources
from rdet.datasets.synthetic import draw_scene
from rdet.deploy.at_size import detect_at_size
from rdet.deploy.compare import Difference, check_within, compare, latency
from rdet.deploy.edges import Edges
from rdet.deploy.evaluate import metrics_of, test_data, with_pipeline
from rdet.deploy.export import ExportOptions, export_detector
from rdet.deploy.exported_detector import ExportedDetector
from rdet.deploy.loading import load_exported
from rdet.deploy.metadata import metadata_of
from rdet.deploy.packages import needed
from rdet.deploy.quantization import Limit
from rdet.deploy.runtimes import ScriptFile
from rdet.errors import ConfigError, DatasetError, EvaluationError, MissingFileError
from rdet.models.detectors.one_stage_detector import OneStageDetector


def export_and_compare(model: OneStageDetector, args: argparse.Namespace) -> None:
    """Write a detector as ``args`` of ``rdet export`` say, compare the file with it, and print what differs.

    Raises:
        EvaluationError: The file differs by more than the tolerance.
    """
    options = ExportOptions(
        args.format,
        args.head,
        args.size,
        args.batch,
        args.opset,
        args.dtype,
        args.input,
        args.checkpoint,
        args.calibration_images,
        args.seed,
    )
    out = Path(args.out or Path(args.checkpoint.rpartition("/")[2]).stem)
    if not args.no_compare:
        runtimes = {"onnx": "onnxruntime", "tensorrt-ready": "onnxruntime", "openvino": "openvino"}
        needed(runtimes.get(args.format, "torch"), "the comparison of the file")  # before the work
    check = None if args.no_compare else FileCheck(model, args, out)
    limit = Limit(check.lost, args.max_drop, print) if check and args.val and args.dtype == "int8" else None
    # torch's exporter says nothing, and takes its time for each operator of each level.
    print("exporting; this may take a minute, and several with many deformable convolutions, as in DyHead", flush=True)
    written = export_detector(model, out, options, check, limit)
    print(f"{written}: {args.format}, --head {args.head}, {_free(args)}")
    if args.no_compare:
        print("it was not compared with the detector")


def _free(args: argparse.Namespace) -> str:
    size = "any size" if args.size is None else f"{args.size[1]} x {args.size[0]} pixels"
    batch = "any number of images" if args.batch is None else f"{args.batch} image{'s' * (args.batch > 1)}"
    return f"{batch} of {size}"


class FileCheck:
    """The comparison of a file that has no name yet.

    Args:
        model: The detector.
        args: Of ``rdet export``: ``images``, ``num_images``, ``tolerance``, ``val``, ``dtype`` and ``max_drop``.
        out: What the file shall be called.

    Attributes:
        difference: Of the last file.
        metrics: Of the detector and of the last file, with ``val``.
        megabytes: Of the last file.
    """

    def __init__(self, model: OneStageDetector, args: argparse.Namespace, out: Path):
        self._model = model
        self._args = args
        self._out = out
        self._data: Any = None
        self._own: dict[str, float] = {}
        self.difference: Difference | None = None
        self.metrics: tuple[dict[str, float], dict[str, float]] | None = None
        self.megabytes = 0.0
        # What is wrong with the data is said before the work.
        self._images = images_of(model.cfg, args.images, args.num_images) if args.images else None
        if args.val:
            test_data(with_pipeline(model.cfg, steps_of(model.cfg)))

    def __call__(self, path: Path) -> None:
        args, model = self._args, self._model
        exported = open_for_comparison(path)
        edges = Edges.of(model, *args.tolerance)
        data = packed(model.cfg, exported.metadata.pipeline, self._images, args.num_images)
        difference = self.difference = compare(model, exported, data, edges)
        print(difference)
        for line in difference.where[:5]:
            print(f"  {line}")
        one = pseudo_collate(data[:1])
        size = exported.metadata.size
        own = latency(lambda batch: detect_at_size(model, batch, size), one)
        other = latency(exported.test_step, one)
        height, width = one["inputs"][0].shape[1:]
        print(
            f"one image of {width} x {height} on the CPU: {own * 1e3:.1f} ms by torch, {other * 1e3:.1f} ms by "
            f"{exported.file.name}"
        )
        files = [path, path.with_suffix(".bin")] if path.suffix == ".xml" else [path]
        self.megabytes = sum(file.stat().st_size for file in files) / 1e6
        print(f"size: {self.megabytes:.1f} MB")
        if said := exported.metadata.quantization:
            kept = ", ".join(said["in_float"]) or "no convolution"
            print(f"int8 by {said['by']}, calibrated on {said['calibration_images']} images; in float: {kept}")
        lost = self._evaluate(exported) if args.val else None
        if args.dtype != "int8":
            check_within(difference, self._out, *args.tolerance)
        elif lost is None:
            print("differences of int8 are not judged; --val judges by the AP that is lost")
        elif lost > args.max_drop:
            raise EvaluationError(
                f"{self._out} loses {100 * lost:.2f} AP of 100, and {100 * args.max_drop:g} may be; nothing is written"
            )

    def lost(self, path: Path) -> float:
        """Return how much less AP a file has than the detector, both from 0 to 1."""
        own, other = self._metrics(open_for_comparison(path))
        if not (names := _aps(own)):
            raise ConfigError(f"no metric of {', '.join(own)} is a bbox_mAP, by which int8 is judged; add CocoMetric")
        return own[names[0]] - other[names[0]]

    def _metrics(self, exported: ExportedDetector) -> tuple[dict[str, float], dict[str, float]]:
        """Evaluate the detector, once, and a file."""
        model = self._model
        cfg = with_pipeline(model.cfg, exported.metadata.pipeline)
        size = exported.metadata.size
        if self._data is None:
            self._data = test_data(cfg)
            self._own = metrics_of(lambda data: detect_at_size(model, data, size), cfg, self._data)
        return self._own, metrics_of(exported.test_step, cfg, self._data)

    def _evaluate(self, exported: ExportedDetector) -> float | None:
        """Print the AP of both, and return how much of it the file loses, if there is one."""
        of_model, of_file = self.metrics = self._metrics(exported)
        names = _aps(of_model)
        for name in names[:3]:
            print(f"{name}: {100 * of_model[name]:.2f} by torch, {100 * of_file[name]:.2f} by {exported.file.name}")
        return of_model[names[0]] - of_file[names[0]] if names else None


def _aps(metrics: dict[str, float]) -> list[str]:
    return [name for name in metrics if name.rpartition("/")[2].startswith("bbox_mAP")]


def open_for_comparison(path: Path) -> ExportedDetector:
    """Open a file that this process has just written, TorchScript too."""
    if path.suffix != ".torchscript":
        return load_exported(path, "cpu")
    file = ScriptFile(str(path), "cpu")
    return ExportedDetector(file, metadata_of(file.said, str(path)), str(path))


def images_of(cfg: Config, inputs: Sequence[str], number: int) -> list[str]:
    """Return the paths of the first images of inputs, all of which can be read."""
    paths = [source.where for source in find_sources(list(inputs))][:number]
    load = inference_pipeline(cfg)[:1]
    for path in paths:
        prepared(record_of(path, 0), load)
    return paths


def packed(
    cfg: Config, pipeline: list[dict[str, Any]], paths: Sequence[str] | None, number: int
) -> list[dict[str, Any]]:
    """Make what a pipeline makes of images: of ``paths``, of the config's val data, or of generated ones."""
    alone = Config({"test_dataloader": {"dataset": {"pipeline": copy.deepcopy(pipeline)}}})
    if paths:
        steps = inference_pipeline(alone)
        return [prepared(record_of(path, index), steps) for index, path in enumerate(paths)]
    try:
        dataset = test_data(with_pipeline(cfg, pipeline))
    except (MissingFileError, DatasetError, FileNotFoundError, ConfigError) as error:
        print(f"no images of the config's val data ({error}); compared on generated ones, see --images")
        steps = inference_pipeline(alone)
        return [prepared(record_of(image, index), steps) for index, image in enumerate(generated(number, cfg))]
    step = max(1, len(dataset) // number)
    return [dataset[index] for index in range(0, len(dataset), step)][:number]


def generated(number: int, cfg: Config) -> list[np.ndarray]:
    """Draw pictures (H, W, 3) uint8 of shapes, portrait and landscape in turn, whose sides are no multiples of 32."""
    rng = np.random.default_rng(0)
    channels = len((cfg.model.get("data_preprocessor") or {}).get("mean", (0, 0, 0)))
    pictures = []
    for index in range(number):
        height, width = ((250, 333), (333, 250))[index % 2]
        image = (
            draw_scene(rng, 333)[0] if channels == 3 else rng.integers(256, size=(333, 333, channels), dtype=np.uint8)
        )
        pictures.append(np.ascontiguousarray(image[:height, :width]))
    return pictures
