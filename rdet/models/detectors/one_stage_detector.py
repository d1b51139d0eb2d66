"""A one-stage detector, assembled from its parts."""

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

import torch
from mmengine.structures import InstanceData
from torch import Tensor, nn

from rdet.errors import ConfigError, NonFiniteDetectionError, PartError
from rdet.models.assigners.base import Assigner
from rdet.models.coders.base import BBoxCoder
from rdet.models.convolution import fuse_biases
from rdet.models.dense_heads.base import BaseDenseHead
from rdet.models.detectors.assembly import QUALITY_SLOTS, Cfg, build_network, build_part, build_training
from rdet.models.detectors.base_criterion import ExtraLosses
from rdet.models.detectors.base_detector import BaseDetector, in_original_pixels
from rdet.models.detectors.captured import Captured
from rdet.models.detectors.checks import check_boxes, check_levels, check_matches, check_predictions
from rdet.models.detectors.criterion import DenseCriterion
from rdet.models.detectors.finite_images import FiniteImages, finite_if_all
from rdet.models.detectors.graphed_network import GraphedNetwork
from rdet.models.detectors.image_losses import ImageLosses, image_losses
from rdet.models.detectors.phases import PhasedCriterion
from rdet.models.detectors.small_maps import small_maps_explained
from rdet.models.losses.base import ClassificationLoss
from rdet.models.norms import keep_half_precision
from rdet.models.postprocess.dense_postprocess import DensePostprocess
from rdet.models.priors.grid_priors import GridPriors
from rdet.registry import MODELS
from rdet.schema import Count
from rdet.structures import DensePredictions, DetDataSample
from rdet.structures.ground_truth import GroundTruth
from rdet.structures.match_batch import MatchBatch
from rdet.structures.matches import Matches
from rdet.structures.shapes import name_of


@MODELS.register_module(name=["OneStageDetector", "RetinaNet"])
class OneStageDetector(BaseDetector):
    """Dense detector: backbone, neck and head predict classes and boxes at every prior.

    With the default parts it is RetinaNet (Lin et al., "Focal Loss for Dense Object Detection",
    ICCV 2017); with others FCOS, ATSS, GFL, VFNet, TOOD, NanoDet, SSD, YOLOv2, YOLOv3, YOLOX, RTMDet, PAA, DDOD or
    YOLOF. An assigner is given a :class:`~rdet.structures.match_batch.MatchBatch`, a loss of the classes
    :class:`~rdet.structures.all_priors.AllPriors`, and all other losses, qualities and weights
    :class:`~rdet.structures.positives.Positives`: these hold all that a part may read.

    Args:
        backbone: (N, 3, H, W) -> list of maps.
        neck: List of maps -> list of maps, one a level.
        bbox_head: List of maps -> predictions.
        anchor_generator: Level sizes -> priors (A, 4).
        assigner: Matches priors to ground truth.
        bbox_coder: Encodes and decodes boxes relative to priors.
        criterion: The losses and what divides them.
        postprocess: Predictions -> detections.
        data_preprocessor: Images as loaded -> batch.
        num_classes: K, with which the head's predictions are compared.

    Attributes:
        on_predictions: Called with predictions, priors and samples of a batch before they become detections; None: not.
        captured: Replays :meth:`begin_detections` on a GPU, once the detector is optimised for inference.
        graphed: Trains backbone, neck and head on a GPU, once :meth:`use_cuda_graphs` is called.
    """

    on_predictions: Callable[[DensePredictions, Tensor, list[DetDataSample]], None] | None = None
    captured: Captured | None = None
    graphed: GraphedNetwork | None = None

    # A config has the criterion's parts as slots of the detector.
    cfg_behind_kwargs = DenseCriterion

    def __init__(
        self,
        backbone: nn.Module,
        neck: nn.Module,
        bbox_head: BaseDenseHead,
        anchor_generator: GridPriors,
        assigner: Assigner,
        bbox_coder: BBoxCoder,
        criterion: DenseCriterion | PhasedCriterion,
        postprocess: DensePostprocess,
        data_preprocessor: nn.Module | None = None,
        num_classes: Count | None = None,
    ):
        super().__init__(data_preprocessor=data_preprocessor)
        self.num_classes = num_classes
        self.backbone = backbone
        self.neck = neck
        self.bbox_head = bbox_head
        self.anchor_generator = anchor_generator
        self.assigner = assigner
        self.bbox_coder = bbox_coder
        self.criterion = criterion
        self.postprocess = postprocess
        for module in criterion.modules():
            if isinstance(module, DenseCriterion):
                check_boxes(bbox_head, bbox_coder, module)
        keep_half_precision(self)
        fuse_biases(self)
        # Convolutions are faster so on every device, and the head's permute becomes a view.
        self.to(memory_format=torch.channels_last)

    @classmethod
    def from_cfg(
        cls,
        backbone: Cfg,
        neck: Cfg,
        bbox_head: Cfg,
        anchor_generator: Cfg,
        assigner: Cfg,
        bbox_coder: Cfg,
        postprocess: Cfg,
        data_preprocessor: Cfg | None = None,
        num_classes: Count | None = None,
        initial: Cfg | None = None,
        **slots: Cfg | None,
    ) -> "OneStageDetector":
        """Build a detector from the slots of a config.

        Args:
            backbone, neck, bbox_head, anchor_generator, assigner, bbox_coder, postprocess, data_preprocessor: Configs
                of the parts.
            num_classes: K.
            initial: ``epochs``, and other configs of ``assigner`` and ``slots`` for that many first epochs.
            **slots: Configs of the parts of :class:`DenseCriterion`.

        Raises:
            ValueError: Parts do not go together.
        """
        if num_classes is None:
            raise ValueError("model.num_classes is not set, and no data set is there to take it from")
        with_quality = any(slots.get(slot) is not None for slot in QUALITY_SLOTS)
        network = build_network(backbone, neck, bbox_head, anchor_generator, bbox_coder, num_classes, with_quality)
        matching, criterion = build_training(assigner, slots, initial, num_classes, network["neck"].strides)
        return cls(
            **network,
            assigner=matching,
            criterion=criterion,
            postprocess=build_part("postprocess", postprocess),
            data_preprocessor=build_part("data_preprocessor", data_preprocessor or {"type": "DetDataPreprocessor"}),
            num_classes=num_classes,
        )

    def init_weights(self) -> None:
        """Load the backbone's pretrained weights, if it has any; other layers are initialised when they are made."""
        load_pretrained = getattr(self.backbone, "init_weights", None)
        if load_pretrained is not None:
            load_pretrained()

    def compile(self, **options: Any) -> None:
        """Compile backbone, neck, head and classification loss in place.

        Matches and the losses of boxes have shapes that change with the number of boxes.

        Args:
            **options: Of :func:`torch.compile`.
        """
        losses = [module for module in self.criterion.modules() if isinstance(module, ClassificationLoss)]
        for part in (self.backbone, self.neck, self.bbox_head, *losses):
            part.compile(**options)

    def forward(
        self, inputs: Tensor, data_samples: list[DetDataSample] | None = None, mode: str = "tensor"
    ) -> DensePredictions | dict[str, Tensor] | list[DetDataSample]:
        """Run the detector on a batch.

        Args:
            inputs: (N, 3, H, W).
            data_samples: N samples; for ``mode='predict'`` their ``img_shape`` and ``scale_factor``.
            mode: ``'tensor'`` returns :class:`DensePredictions`, ``'loss'`` a dict of scalars and
                ``'predict'`` the samples with ``pred_instances`` in pixels of the original image.

        Raises:
            ValueError: There is no such ``mode``, or it needs samples and there are none.
        """
        if mode == "tensor":
            return self.network(inputs)
        if mode not in ("loss", "predict"):
            raise ValueError(f"mode is {mode!r}; valid: 'tensor', 'loss', 'predict'")
        if data_samples is None:
            raise ValueError(f"mode {mode!r} needs data_samples, one for each image")
        if mode == "predict" and self.captured is not None and self._is_usual():
            limits = self.postprocess.limits([sample.img_shape for sample in data_samples], inputs.device)
            with self.captured.lock:  # until what the next call overwrites is read
                few, begun, _ = self.captured(inputs, limits)
                finite = FiniteImages(few)
                return self._with_detections(data_samples, self.postprocess.finish(begun), finite, inputs.device)
        predictions, priors = self._predictions(inputs)
        if mode == "loss":
            return self.loss(predictions, priors, data_samples)
        return self.predict(predictions, priors, data_samples)

    def _is_usual(self) -> bool:
        """Tell whether nothing looks at predictions, and the postprocess has no way of its own."""
        return self.on_predictions is None and type(self.postprocess).__call__ is DensePostprocess.__call__

    def use_cuda_graphs(self) -> None:
        """Train backbone, neck and head by CUDA graphs from now on; see :class:`GraphedNetwork`."""
        self.graphed = GraphedNetwork(self.network_parts, self._network)

    def network_parts(self) -> dict[str, nn.Module]:
        """Return the modules that :meth:`network` runs."""
        return {"backbone": self.backbone, "neck": self.neck, "bbox_head": self.bbox_head}

    def network(self, inputs: Tensor) -> DensePredictions:
        """Run backbone, neck and head."""
        if self.graphed is not None and self.training and torch.is_grad_enabled():
            return self.graphed(inputs)
        return self._network(inputs)

    def _network(self, inputs: Tensor) -> DensePredictions:
        levels = self.neck(self.backbone(inputs))
        check_levels(levels, self.neck)
        predictions: DensePredictions = self.bbox_head(levels)
        return predictions

    def _predictions(self, inputs: Tensor) -> tuple[DensePredictions, Tensor]:
        """Run the network; returns also the priors of what it predicts."""
        with small_maps_explained(inputs):
            predictions = self.network(inputs)
        if not isinstance(predictions, DensePredictions):
            who = name_of("bbox_head", self.bbox_head)
            raise PartError(f"{who} gave a {type(predictions).__name__}; it must be DensePredictions")
        priors = self.anchor_generator(predictions.level_sizes, inputs.device)
        check_predictions(predictions, priors, len(inputs), self.num_classes, self.bbox_coder.box_dim, self.bbox_head)
        return predictions, priors

    @torch.no_grad()
    def begin_detections(self, inputs: Tensor, limits: Tensor) -> tuple[Tensor, Any, Tensor]:
        """Do what of a detection on a GPU needs no look at a value.

        Args:
            inputs: (N, 3, H, W).
            limits: Sizes of the images, see :meth:`DensePostprocess.limits`.

        Returns:
            A few numbers of each image, (N, few), finite if its logits are; what :meth:`DensePostprocess.finish` takes;
            and the priors, which a recording reads, and must keep.
        """
        predictions, priors = self._predictions(inputs)
        predictions = predictions._replace(logits=self.criterion.loss_cls.binary_logits(predictions.logits))
        candidates = self.postprocess.candidates(predictions, priors, self.bbox_coder, limits)
        return finite_if_all(predictions.logits), self.postprocess.begin(*candidates), priors

    def loss(
        self, predictions: DensePredictions, priors: Tensor, data_samples: list[DetDataSample]
    ) -> dict[str, Tensor]:
        """Compute the losses of the slots and of the head, each divided once (Focal Loss paper, section 4.1)."""
        truth = GroundTruth.of_samples(data_samples)
        matches = self.match(predictions, priors, truth)
        return self.criterion(predictions, priors, matches, truth, self.bbox_coder, self._extra_losses())

    def image_losses(
        self, predictions: DensePredictions, priors: Tensor, data_samples: list[DetDataSample]
    ) -> ImageLosses:
        """Compute the losses of each image as a part of the loss of many, without gradients."""
        extra = self._extra_losses()
        return image_losses(self.criterion, self.match, predictions, priors, data_samples, self.bbox_coder, extra)

    def _extra_losses(self) -> ExtraLosses | None:
        return self.bbox_head.extra_losses if self.bbox_head.has_extra_losses else None

    def match(self, predictions: DensePredictions, priors: Tensor, truth: GroundTruth) -> Matches:
        """Match the priors of every image to its ground truth; the matches come to the device of the priors.

        An assigner that works on the host does so while the device computes: nothing here waits for it.
        """
        make_grid = getattr(self.anchor_generator, "grid", None)
        batch = MatchBatch(
            predictions,
            priors,
            truth,
            make_grid=None if make_grid is None else partial(make_grid, predictions.level_sizes),
            decode=self.bbox_coder.decode,
            binary_logits=self.criterion.loss_cls.binary_logits,
        )
        matches = self.assigner.match(batch)
        check_matches(matches, truth, len(priors), self.assigner)
        return matches.to(priors.device)

    def predict(
        self, predictions: DensePredictions, priors: Tensor, data_samples: list[DetDataSample]
    ) -> list[DetDataSample]:
        """Add ``pred_instances``, in pixels of the original image, to the samples.

        Raises:
            NonFiniteDetectionError: Nothing is found in an image, since the network gives it no numbers.
        """
        if self.on_predictions is not None:
            self.on_predictions(predictions, priors, data_samples)
        predictions = predictions._replace(logits=self.criterion.loss_cls.binary_logits(predictions.logits))
        sizes = [sample.img_shape for sample in data_samples]
        finite = FiniteImages(predictions.logits)
        detections = self.postprocess(predictions, priors, self.bbox_coder, sizes)
        return self._with_detections(data_samples, detections, finite, priors.device)

    def optimize_for_inference(self, dtype: torch.dtype | None = None) -> None:
        super().optimize_for_inference(dtype)
        has_own_way = type(self).predict is not OneStageDetector.predict
        if next(self.parameters()).is_cuda and not has_own_way:
            self.captured = Captured(self.begin_detections, self.read_by_recordings)

    def read_by_recordings(self) -> Hashable:
        """Say what :meth:`begin_detections` reads: where weights lie, and the settings of the postprocess."""
        weights = (tensor.data_ptr() for tensors in (self.parameters(), self.buffers()) for tensor in tensors)
        return id(self.postprocess), repr(vars(self.postprocess)), *weights

    def _with_detections(
        self,
        data_samples: list[DetDataSample],
        detections: list[InstanceData],
        finite: FiniteImages,
        device: torch.device,
    ) -> list[DetDataSample]:
        """Give each sample what was found in it, in pixels of the original image; see :meth:`predict`.

        Args:
            data_samples: N samples.
            detections: In pixels of the network's input, on ``device``.
            finite: Whose numbers are.
            device: Of the detections.
        """
        factors = in_original_pixels(data_samples, device)
        for index, (sample, found, factor) in enumerate(zip(data_samples, detections, factors, strict=True)):
            if not len(found) and not finite[index]:  # NaN exceeds no threshold
                name = sample.get("img_path", sample.get("img_id"))
                raise NonFiniteDetectionError(
                    f"{name}: the network gives numbers that are not finite; take another checkpoint"
                )
            found.bboxes = found.bboxes / factor
            if self.captured is not None:  # the next call overwrites them
                found.scores, found.labels = found.scores.clone(), found.labels.clone()
            sample.pred_instances = found
        return data_samples


def made_of_parts(model: nn.Module, what: str) -> OneStageDetector:
    """Return the detector if it is made of rdet's parts.

    Args:
        model: Any detector.
        what: Needs the parts, as the message says it.

    Raises:
        ConfigError: It is of another kind.
    """
    if not isinstance(model, OneStageDetector):
        raise ConfigError(f"{what}: needs a OneStageDetector, and the config's model is a {type(model).__name__}")
    return model
