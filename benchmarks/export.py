"""An exported detector in float32 and in int8, beside the detector: python benchmarks/export.py [CONFIG] CHECKPOINT

One image of one size, from the image as the loader gives it to detections. Contenders are the detector as it is
trained, the same after `optimize_for_inference`, and files of ONNX Runtime and OpenVINO, float32 and int8, in turns.
--val evaluates all of them on the config's val data, and has int8 lose at most --max-drop of AP, as `rdet export` does.
--network times what the network alone takes, too: nothing is decoded, ranked or suppressed, and nothing left in float.
"""

import copy
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.dataset import pseudo_collate
from side_by_side import arguments, report, spread, time_in_turns

from rdet.apis.cli import parse_options
from rdet.apis.inference import init_detector
from rdet.deploy.at_size import detect_at_size
from rdet.deploy.evaluate import metrics_of, test_data, with_pipeline
from rdet.deploy.export import ExportOptions, export_detector
from rdet.deploy.loading import load_exported
from rdet.deploy.quantization import Limit
from rdet.deploy.tensor_detector import TensorDetector
from rdet.engine.memory import keep_freed_memory

_NETWORK = ", network alone"


def contenders(args: Any, folder: Path) -> tuple[dict[str, Any], dict[str, float], Any, Any]:
    """What detects, by name; megabytes of files; the config of the evaluation and its data set."""
    model = init_detector(*args.detector, device="cpu", cfg_options=parse_options(args.cfg_options))
    eager, ready = copy.deepcopy(model), copy.deepcopy(model)
    ready.optimize_for_inference()
    size = (args.size[1], args.size[0])
    found: dict[str, Any] = {
        "torch": lambda data: detect_at_size(eager, data, size),
        "torch, optimised": lambda data: detect_at_size(ready, data, size),
    }
    if args.network:
        for name, one in (("torch", eager), ("torch, optimised", ready)):
            found[f"{name}{_NETWORK}"] = network_of(TensorDetector(one, "raw"), size)
    megabytes: dict[str, float] = {}
    whole: dict[str, float] = {}
    data = []

    def lost(path: Path) -> float:
        return whole["AP"] - average_precision(load_exported(path).test_step, *data)

    for dtype in ("float32", "int8"):
        for kind in ("onnx", "openvino"):
            options = ExportOptions(kind, size=size, batch=1, dtype=dtype, calibration_images=args.calibration_images)
            limit = Limit(lost, args.max_drop, lambda text: print(text, flush=True)) if args.val else None
            path = export_detector(model, folder / dtype, options, limit=limit if dtype == "int8" else None)
            detector = load_exported(path)
            name = f"{detector.file.name}, {dtype}"
            found[name] = detector.test_step
            files = [path, path.with_suffix(".bin")] if kind == "openvino" else [path]
            megabytes[name] = sum(file.stat().st_size for file in files) / 1e6
            if args.network:
                raw = load_exported(export_detector(model, folder / f"{dtype}-raw", replace(options, head="raw")))
                found[f"{name}{_NETWORK}"] = lambda data, raw=raw: raw.run(data["inputs"], size)
            if said := detector.metadata.quantization:
                print(f"{name}: in float {', '.join(said['in_float']) or 'no convolution'}", flush=True)
            if not data:
                cfg = with_pipeline(model.cfg, detector.metadata.pipeline)
                data += [cfg, test_data(cfg)]
                if args.val:
                    whole["AP"] = average_precision(found["torch"], *data)
    return found, megabytes, *data


def network_of(network: TensorDetector, size: tuple[int, int]) -> Any:
    """A function of a batch of images that are filled up to a size."""

    def run(data: dict[str, Any]) -> Any:
        rows = [F.pad(image, (0, size[1] - image.shape[2], 0, size[0] - image.shape[1])) for image in data["inputs"]]
        with torch.no_grad():
            return network(torch.stack(rows), torch.tensor([image.shape[1:] for image in data["inputs"]]))

    return run


def average_precision(detect: Any, cfg: Any, dataset: Any) -> float:
    """AP from 0 to 1."""
    metrics = metrics_of(detect, cfg, dataset)
    return next(value for name, value in metrics.items() if name.rpartition("/")[2] == "bbox_mAP")


def main() -> None:
    parser = arguments("Exported detectors", rounds=5)
    parser.add_argument("detector", nargs="+", help="a config and a checkpoint, or a checkpoint with a config inside")
    parser.add_argument("--size", nargs=2, type=int, default=(416, 416), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--calibration-images", type=int, default=300)
    parser.add_argument("--network", action="store_true")
    parser.add_argument("--val", action="store_true")
    parser.add_argument("--max-drop", type=float, default=0.005)
    parser.add_argument("--cfg-options", nargs="+", default=[])
    args = parser.parse_args()
    keep_freed_memory()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        found, megabytes, cfg, dataset = contenders(args, Path(folder))
        one = pseudo_collate([dataset[0]])

        def copied() -> dict[str, Any]:
            return {"inputs": list(one["inputs"]), "data_samples": [sample.clone() for sample in one["data_samples"]]}

        calls = {name: lambda detect=detect: detect(copied()) for name, detect in found.items()}
        seconds = time_in_turns(calls, args.rounds, burst=10)
        for name, times in seconds.items():
            whole = f"torch{_NETWORK}" if name.endswith(_NETWORK) else "torch"
            ratio = median(times) / median(seconds[whole])
            row: dict[str, Any] = {
                "contender": name,
                "seconds": times,
                "ratio": ratio,
                "megabytes": megabytes.get(name),
            }
            text = f"{name}: {spread(times)}, ratio {ratio:.3f}"
            if name in megabytes:
                text += f", {megabytes[name]:.1f} MB"
            if args.val and not name.endswith(_NETWORK):
                row["ap"] = average_precision(found[name], cfg, dataset)
                text += f", AP {100 * row['ap']:.2f}"
            print(text, flush=True)
            rows.append(row)
    report(args.out, rows)


if __name__ == "__main__":
    main()
