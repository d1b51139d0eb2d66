"""A one-stage detector, assembled from its parts."""

import torch
import torch.distributed as dist
from mmengine.model import BaseModel
from torch import Tensor, nn

from rdet.registry import MODELS
from rdet.structures import DensePredictions, DetDataSample
from rdet.structures.assignment import BACKGROUND, IGNORE


@MODELS.register_module(name=["OneStageDetector", "RetinaNet"])
class OneStageDetector(BaseModel):
    """Dense detector: backbone, neck and head predict classes and boxes at every prior.

    With the default parts it is RetinaNet (Lin et al., "Focal Loss for Dense Object Detection",
    ICCV 2017).

    Args:
        backbone: (N, 3, H, W) -> list of maps.
        neck: list of maps -> list of maps, one a level.
        bbox_head: list of maps -> :class:`DensePredictions`.
        anchor_generator: level sizes -> priors (A, 4).
        assigner: priors, boxes, ignored boxes of one image -> (A,) indices.
        bbox_coder: Encodes and decodes boxes relative to priors.
        loss_cls: logits (..., K), labels (...,) -> (...,).
        loss_bbox: deltas (P, D), target (P, D) -> (P,).
        normalizer: positives of each image (N,) -> divisors (N,).
        postprocess: predictions -> detections.
        data_preprocessor: Images as loaded -> batch.
    """

    def __init__(
        self,
        backbone: nn.Module,
        neck: nn.Module,
        bbox_head: nn.Module,
        anchor_generator,
        assigner,
        bbox_coder,
        loss_cls: nn.Module,
        loss_bbox: nn.Module,
        normalizer,
        postprocess,
        data_preprocessor: nn.Module | None = None,
    ):
        super().__init__(data_preprocessor=data_preprocessor)
        self.backbone = backbone
        self.neck = neck
        self.bbox_head = bbox_head
        self.anchor_generator = anchor_generator
        self.assigner = assigner
        self.bbox_coder = bbox_coder
        self.loss_cls = loss_cls
        self.loss_bbox = loss_bbox
        self.normalizer = normalizer
        self.postprocess = postprocess
        # Convolutions are faster so on every device, and the head's permute becomes a view.
        self.to(memory_format=torch.channels_last)

    @classmethod
    def from_cfg(
        cls,
        backbone: dict,
        neck: dict,
        bbox_head: dict,
        anchor_generator: dict,
        assigner: dict,
        bbox_coder: dict,
        loss_cls: dict,
        loss_bbox: dict,
        postprocess: dict,
        normalizer: dict | None = None,
        data_preprocessor: dict | None = None,
        num_classes: int | None = None,
    ) -> "OneStageDetector":
        """Builds the parts in the order in which each one's facts follow from the one before."""
        if num_classes is None:
            raise ValueError("model.num_classes is not set, and no data set is there to take it from")

        def build(name: str, cfg: dict, **inferred):
            return MODELS.build(cfg, default_args=inferred, where=f"model.{name}")

        backbone = build("backbone", backbone)
        neck = build("neck", neck, in_channels=backbone.out_channels, in_strides=backbone.strides)
        priors = build("anchor_generator", anchor_generator, strides=neck.strides)
        coder = build("bbox_coder", bbox_coder)
        if len(set(neck.out_channels)) != 1:
            raise ValueError(
                f"model.neck gives levels of different widths {neck.out_channels}; a shared head needs one"
            )
        head = build(
            "bbox_head",
            bbox_head,
            in_channels=neck.out_channels[0],
            num_classes=num_classes,
            num_priors=priors.num_priors,
            box_dim=coder.box_dim,
        )
        return cls(
            backbone,
            neck,
            head,
            priors,
            build("assigner", assigner),
            coder,
            build("loss_cls", loss_cls),
            build("loss_bbox", loss_bbox),
            build("normalizer", normalizer or {"type": "BatchNormalizer"}),
            build("postprocess", postprocess),
            build("data_preprocessor", data_preprocessor or {"type": "DetDataPreprocessor"}),
        )

    def init_weights(self) -> None:
        """Loads the backbone's pretrained weights. All other layers are initialised when they are made."""
        self.backbone.init_weights()

    def forward(self, inputs: Tensor, data_samples: list[DetDataSample] | None = None, mode: str = "tensor"):
        """Runs the detector on a batch.

        Args:
            inputs: (N, 3, H, W).
            data_samples: N samples; for ``mode='predict'`` their ``img_shape`` and ``scale_factor``.
            mode: ``'tensor'`` returns :class:`DensePredictions`, ``'loss'`` a dict of scalars and
                ``'predict'`` the samples with ``pred_instances`` in pixels of the original image.
        """
        predictions = self.bbox_head(self.neck(self.backbone(inputs)))
        if mode == "tensor":
            return predictions
        priors = self.anchor_generator(predictions.level_sizes, inputs.device)
        if mode == "loss":
            return self.loss(predictions, priors, data_samples)
        if mode == "predict":
            return self.predict(predictions, priors, data_samples)
        raise ValueError(f"mode is {mode!r}; valid: 'tensor', 'loss', 'predict'")

    def loss(
        self, predictions: DensePredictions, priors: Tensor, data_samples: list[DetDataSample]
    ) -> dict[str, Tensor]:
        """The two losses of section 4.1, each divided once by what ``normalizer`` says."""
        labels, boxes = self.targets(priors, data_samples)  # (N, A), (N, A, 4)
        positive = labels >= 0
        divisor = self.normalizer(positive.sum(dim=1))  # (N,)

        loss_cls = self.loss_cls(predictions.logits, labels).sum(dim=1)  # (N,)
        image, prior = positive.nonzero(as_tuple=True)  # (P,), (P,)
        target = self.bbox_coder.encode(priors[prior], boxes[image, prior])
        loss_bbox = self.loss_bbox(predictions.deltas[image, prior], target)  # (P,)
        return {"loss_cls": (loss_cls / divisor).sum(), "loss_bbox": (loss_bbox / divisor[image]).sum()}

    def targets(self, priors: Tensor, data_samples: list[DetDataSample]) -> tuple[Tensor, Tensor]:
        """Label (N, A) and box (N, A, 4) of every prior; boxes count only where the label is a class."""
        labels, boxes = [], []
        for sample in data_samples:
            truth = sample.gt_instances
            assigned = self.assigner(priors, truth.bboxes, sample.ignored_instances.bboxes)  # (A,)
            # A last row for BACKGROUND and IGNORE, so that an image without boxes needs no case of its own.
            padded = torch.cat([truth.bboxes, truth.bboxes.new_zeros(1, 4)])
            index = torch.where(assigned >= 0, assigned, len(truth.labels))
            boxes.append(padded[index])
            padded = torch.cat([truth.labels, truth.labels.new_full((1,), BACKGROUND)])
            labels.append(torch.where(assigned == IGNORE, IGNORE, padded[index]))
        return torch.stack(labels), torch.stack(boxes)

    def predict(
        self, predictions: DensePredictions, priors: Tensor, data_samples: list[DetDataSample]
    ) -> list[DetDataSample]:
        """Adds ``pred_instances``, in pixels of the original image, to the samples."""
        sizes = [sample.img_shape for sample in data_samples]
        detections = self.postprocess(predictions, priors, self.bbox_coder, sizes)
        for sample, found in zip(data_samples, detections, strict=True):
            found.bboxes = found.bboxes / found.bboxes.new_tensor(sample.scale_factor).repeat(2)
            sample.pred_instances = found
        return data_samples

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss to differentiate, and the values to log: means over all processes, not rank 0's own.

        A process whose loss is not finite therefore makes all processes log, and stop at, the same.
        """
        total = sum(losses.values())
        logged = torch.stack([total.detach(), *(value.detach() for value in losses.values())])
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(logged)
            logged /= dist.get_world_size()
        return total, dict(zip(["loss", *losses], logged.unbind(), strict=True))
