"""An exported file behind the calls of a detector."""

import copy
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData
from torch import Tensor, nn

from rdet.apis.build import build_detector
from rdet.apis.infer.pipeline import inference_pipeline
from rdet.deploy.metadata import Metadata
from rdet.deploy.outputs import check_outputs
from rdet.deploy.runtimes import RunnableFile
from rdet.errors import CheckpointError, ConfigError, NonFiniteDetectionError, PipelineError, RdetError
from rdet.interop.saved_config import check_harmless, saved_config
from rdet.messages import in_one_line
from rdet.models.detectors.one_stage_detector import OneStageDetector
from rdet.models.postprocess.dense_postprocess import DensePostprocess
from rdet.registry import MODELS
from rdet.structures import DensePredictions, DetDataSample
from rdet.structures.unfinished_image import Image, finished

_Found = tuple[Tensor, Tensor, Tensor]


class ExportedDetector(nn.Module):
    """A detector that runs an exported file: ``inference_detector``, ``DetInferencer`` and a test take it as another.

    Args:
        file: What runs it.
        metadata: What it says of itself.
        path: Of the file, for messages.

    Attributes:
        classes: Names of the classes.
        cfg: A config with the pipeline of its images alone; :meth:`config` is the whole.

    Raises:
        CheckpointError: What the file says of itself cannot be used.
    """

    def __init__(self, file: RunnableFile, metadata: Metadata, path: str):
        super().__init__()
        self.file = file
        self.metadata = metadata
        self.path = path
        self.classes = tuple(metadata.classes)
        try:
            check_harmless({"pipeline": metadata.pipeline, "postprocess": metadata.postprocess})
            self.cfg = Config({"test_dataloader": {"dataset": {"pipeline": copy.deepcopy(metadata.pipeline)}}})
            inference_pipeline(self.cfg)  # before an image needs it
        except RdetError as error:
            raise CheckpointError(f"{path}: {error}; export it again") from error
        # mmengine asks a parameter where the model is.
        self.place = nn.Parameter(torch.empty(0), requires_grad=False)
        self.eval()

    @property
    def batch_size(self) -> int | None:
        """The images that the file always takes, or None."""
        return self.metadata.batch

    def batch_key(self, image: Image) -> tuple[int, ...]:
        """Return the shape to which an image (C, H, W) is filled up: those of one shape run together."""
        channels, height, width = image.shape
        divisor = self.metadata.divisor
        rows, columns = self.metadata.size or (-(-height // divisor) * divisor, -(-width // divisor) * divisor)
        return int(channels), rows, columns

    def config(self) -> Config:
        """Return the config that the file carries; nothing of it is executed.

        Raises:
            CheckpointError: It cannot be used here.
        """
        found = saved_config({"meta": {"cfg": self.metadata.config}}, self.path)
        assert found is not None
        return found

    @cached_property
    def postprocess(self) -> DensePostprocess:
        """The detector's suppression, for files that end before it and for what merges views of an image."""
        return MODELS.build(copy.deepcopy(self.metadata.postprocess), where=f"{self.path}: postprocess")

    @cached_property
    def _decoder(self) -> OneStageDetector:
        """The detector without its weights, whose priors, coder and suppression make detections of raw outputs."""
        cfg = self.config()
        return build_detector(cfg, self.classes).eval()

    def optimize_for_inference(self, dtype: torch.dtype | None = None) -> None:
        """Do nothing: a file is as it was exported.

        Raises:
            ConfigError: Another precision is asked for.
        """
        if dtype is not None:
            raise ConfigError(f"{self.path} has the precision that it was exported with; leave out --amp")

    def test_step(self, data: dict[str, Any]) -> list[DetDataSample]:
        """Detect in a batch, as if each image were alone; see ``test_step`` of a detector.

        Args:
            data: ``inputs``, N images (C, H_i, W_i) uint8; ``data_samples``, N samples.

        Returns:
            The samples, in their order, with ``pred_instances`` in pixels of the original image.
        """
        if "inputs" not in data or "data_samples" not in data:
            raise PipelineError(f"the pipeline of {self.path} gives no inputs; end it with dict(type='PackDetInputs')")
        images, samples = [finished(image) for image in data["inputs"]], list(data["data_samples"])
        groups: dict[tuple[int, int], list[int]] = {}
        for index, image in enumerate(images):
            groups.setdefault(self._size_for(image), []).append(index)
        for size, members in groups.items():
            step = self.metadata.batch or len(members)
            for start in range(0, len(members), step):
                part = members[start : start + step]
                found = self.detect([images[index] for index in part], size)
                for index, result in zip(part, found, strict=True):
                    samples[index].pred_instances = self._in_original(samples[index], result)
        return samples

    val_step = test_step

    def detect(self, images: Sequence[Tensor], size: tuple[int, int]) -> list[_Found | None]:
        """Run the file on images (C, H_i, W_i) that are filled up to one size.

        Returns:
            Of each image boxes (n, 4) in pixels of the network's input, scores (n,) and labels (n,), best first; None
            where the network gives numbers that are not finite.
        """
        outputs = self.run(images, size)
        sizes = [(int(image.shape[1]), int(image.shape[2])) for image in images]
        if self.metadata.head == "raw":
            return self._of_raw(outputs, sizes)
        boxes, scores, labels = outputs["boxes"], outputs["scores"], outputs["labels"]
        if self.metadata.head == "decoded":
            kept = self.postprocess.suppress_images(boxes, scores, labels, scores >= 0)
            most = self.postprocess.max_per_img
            broken = scores.isnan().any(dim=1).tolist()
            return [
                None if bad else (b[:most], s[:most], c[:most]) for bad, (b, s, c) in zip(broken, kept, strict=True)
            ]
        counts = outputs["counts"].tolist()
        return [
            None if n < 0 else (b[:n], s[:n], c[:n]) for n, b, s, c in zip(counts, boxes, scores, labels, strict=True)
        ]

    def run(self, images: Sequence[Tensor], size: tuple[int, int]) -> dict[str, Tensor]:
        """Run the file as it is: images (C, H_i, W_i) -> name -> output, a row for each image."""
        wanted = self.metadata.batch or len(images)
        batch = np.zeros((wanted, self.metadata.channels, *size), dtype=self.metadata.input)
        sizes = np.ones((wanted, 2), dtype=np.int64)
        for row, (image, (height, width)) in enumerate((image, image.shape[1:]) for image in images):
            batch[row, :, :height, :width] = image.cpu().numpy()
            sizes[row] = height, width
        try:
            outputs = self.file(batch, sizes)
        except Exception as error:  # runtimes have no common kind
            reason = in_one_line(str(error).strip().partition("\n")[0])[:200]
            raise CheckpointError(
                f"{self.path} cannot run on {wanted} images of {size[1]} x {size[0]} ({reason}); export it again, or "
                "give fewer or smaller ones"
            ) from error
        if len(outputs) != len(self.metadata.outputs):
            raise CheckpointError(
                f"{self.path} gives {len(outputs)} outputs, but says {len(self.metadata.outputs)}; export it again"
            )
        named = dict(zip(self.metadata.outputs, outputs, strict=True))
        check_outputs(named, self.metadata, wanted, self.path)
        return {
            name: torch.from_numpy(value if name == "level_sizes" else value[: len(images)])
            for name, value in named.items()
        }

    def _of_raw(self, outputs: dict[str, Tensor], sizes: list[tuple[int, int]]) -> list[_Found | None]:
        model = self._decoder
        levels = [(height, width) for height, width in outputs["level_sizes"].tolist()]
        cells = getattr(model.bbox_head, "priors_per_cell", None)
        logits = outputs["logits"]
        predictions = DensePredictions(logits, outputs["deltas"], levels, outputs.get("quality"), priors_per_cell=cells)
        try:
            priors = model.anchor_generator(levels)
            found = model.postprocess(predictions, priors, model.bbox_coder, sizes)
        except (RuntimeError, ValueError, IndexError) as error:  # shapes that do not go together
            reason = in_one_line(str(error).partition("\n")[0])[:200]
            raise CheckpointError(
                f"{self.path} gives other outputs than its config has ({reason}); export it again"
            ) from error
        broken = [not len(one) and not bool(row.isfinite().all()) for one, row in zip(found, logits, strict=True)]
        return [None if bad else (f.bboxes, f.scores, f.labels) for bad, f in zip(broken, found, strict=True)]

    def _in_original(self, sample: DetDataSample, found: _Found | None) -> InstanceData:
        if found is None:
            name = sample.get("img_path") or sample.get("img_id")
            raise NonFiniteDetectionError(
                f"{name}: {self.path} gives numbers that are not finite; export it with --dtype float32, or another "
                "checkpoint"
            )
        boxes, scores, labels = found
        factor = torch.tensor([*sample.scale_factor, *sample.scale_factor], dtype=torch.float32)
        return InstanceData(bboxes=boxes / factor, scores=scores, labels=labels.long())

    def _size_for(self, image: Tensor) -> tuple[int, int]:
        """Return the height and width to which an image (C, H, W) is filled up.

        Raises:
            PipelineError: The file takes no image like it.
        """
        channels, height, width = image.shape
        if channels != self.metadata.channels:
            raise PipelineError(
                f"an image has {channels} channels, but {self.path} takes {self.metadata.channels}; set channels of "
                "LoadImageFromFile"
            )
        _, rows, columns = self.batch_key(image)
        if height > rows or width > columns:
            raise PipelineError(
                f"an image has {width} x {height} pixels, but {self.path} takes {columns} x {rows}; resize it, or "
                "export with --size dynamic"
            )
        return rows, columns
