"""A one-stage detector, assembled from its parts."""

from typing import NamedTuple

import torch
import torch.distributed as dist
from mmengine.model import BaseModel
from torch import Tensor, nn

from rdet.models.detectors.checks import check_parts, names_quality
from rdet.models.detectors.offers import Offers, inputs_of
from rdet.models.detectors.optimize import optimize_for_inference
from rdet.registry import MODELS, class_of, parameters_of
from rdet.structures import DensePredictions, DetDataSample
from rdet.structures.assignment import BACKGROUND, IGNORE
from rdet.structures.prior_grid import PriorGrid


class Targets(NamedTuple):
    """What each prior of N images shall learn.

    Attributes:
        labels: (N, A) int64, class, ``BACKGROUND`` or ``IGNORE``.
        boxes: (G, 4) ground truth of all images.
        image, prior: (P,) int64 each, where the label is a class.
        object: (P,) int64, which of ``boxes`` it is there.
    """

    labels: Tensor
    boxes: Tensor
    image: Tensor
    prior: Tensor
    object: Tensor


@MODELS.register_module(name=["OneStageDetector", "RetinaNet"])
class OneStageDetector(BaseModel):
    """Dense detector: backbone, neck and head predict classes and boxes at every prior.

    With the default parts it is RetinaNet (Lin et al., "Focal Loss for Dense Object Detection",
    ICCV 2017); with others FCOS, ATSS, GFL or TOOD. Assigner, losses, quality and weights name in
    the signature of their call which of these they see (N images, A priors, K classes, G boxes of
    an image, P positives of the batch, D numbers that encode a box):

    - an assigner, for each image: ``priors`` (A, 4) and their ``grid``, which is None if the
      generator does not tell it, ``boxes`` (G, 4), ``ignored`` (I, 4), ``labels`` (G,),
      ``level_lengths`` (priors of each level), ``scores`` (A, K) and ``predicted`` (A, 4) boxes;
      without gradient. One that names ``box_counts`` is called once for all images: ``boxes`` and
      ``ignored`` are then those of all, as they were loaded, on the host, and ``box_counts`` and
      ``ignored_counts`` say how many are of each;
    - ``loss_cls``: ``logits`` (N, A, K), ``labels`` (N, A), ``quality`` (N, A), 0 but at positives;
    - ``mining``, for each image: ``losses`` (A,) of the classification, ``labels`` (A,), ``priors``;
      without gradient;
    - all others: ``priors``, ``boxes`` and ``predicted`` (P, 4), ``deltas`` (P, D) and
      ``target_deltas``, ``labels``, ``scores`` of these labels, ``max_scores`` over all classes,
      ``quality``, ``quality_logits`` and ``objects`` (P,), the last below ``num_objects`` and equal
      for priors of one object.

    Args:
        backbone: (N, 3, H, W) -> list of maps.
        neck: list of maps -> list of maps, one a level.
        bbox_head: list of maps -> :class:`DensePredictions`.
        anchor_generator: level sizes -> priors (A, 4).
        assigner: -> (A,), or (N, A) for all images, index of each prior's box, ``BACKGROUND`` or
            ``IGNORE``.
        bbox_coder: Encodes and decodes boxes relative to priors.
        loss_cls: -> (N, A). Its ``binary_logits``, if it has that, turns (..., K) logits into those
            whose sigmoid is the score; other losses mean independent binary predictions.
        loss_bbox: -> (P,).
        normalizer: mass of positives of each image (N,) -> divisors (N,).
        postprocess: predictions -> detections.
        loss_dfl: -> (P,), a second loss of the boxes, weighted as ``loss_bbox`` is.
        loss_quality: -> (P,), the loss of the head's quality branch, which exists only with it.
        quality: -> (P,) in [0, 1], how good each prediction is; needed if a part names it. A
            config that leaves it out then has :class:`IoUQuality`.
        bbox_weight: -> (P,), weights in ``loss_bbox`` and ``loss_dfl``, which are then divided by
            their sum; default 1.
        cls_mass: -> (P,), what a positive counts in the divisor of ``loss_cls``; default 1.
        mining: -> (A,) bool, the priors whose classification is trained, by whose number ``loss_cls``
            is then divided; default all.
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
        loss_dfl: nn.Module | None = None,
        loss_quality: nn.Module | None = None,
        quality=None,
        bbox_weight=None,
        cls_mass=None,
        mining=None,
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
        self.loss_dfl = loss_dfl
        self.loss_quality = loss_quality
        self.quality = quality
        self.bbox_weight = bbox_weight
        self.cls_mass = cls_mass
        self.mining = mining
        check_parts(self)
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
        loss_dfl: dict | None = None,
        loss_quality: dict | None = None,
        quality: dict | None = None,
        bbox_weight: dict | None = None,
        cls_mass: dict | None = None,
        mining: dict | None = None,
        normalizer: dict | None = None,
        data_preprocessor: dict | None = None,
        num_classes: int | None = None,
    ) -> "OneStageDetector":
        """Builds the parts in the order in which each one's facts follow from the one before."""
        if num_classes is None:
            raise ValueError("model.num_classes is not set, and no data set is there to take it from")

        def build(name: str, cfg: dict | None, **facts):
            """Builds a part; it gets those facts that its constructor names."""
            if cfg is None:
                return None
            if isinstance(cfg, dict) and "type" in cfg:
                kind = class_of(cfg["type"], MODELS, f"model.{name}")
                named = parameters_of(kind)
                if facts.get("with_quality") and named is not None and "with_quality" not in named:
                    raise ValueError(f"model.bbox_head: {kind.__name__} has no quality branch for model.loss_quality")
                facts = {key: value for key, value in facts.items() if named is None or key in named}
            return MODELS.build(cfg, default_args=facts, where=f"model.{name}")

        backbone = build("backbone", backbone)
        neck = build("neck", neck, in_channels=backbone.out_channels, in_strides=backbone.strides)
        priors = build("anchor_generator", anchor_generator, strides=neck.strides)
        scale = getattr(priors, "prior_scale", None)
        coder = build("bbox_coder", bbox_coder, **({} if scale is None else {"prior_scale": scale}))
        if len(set(neck.out_channels)) != 1:
            raise ValueError(
                f"model.neck gives levels of different widths {neck.out_channels}; a shared head needs one"
            )
        head = build(
            "bbox_head",
            bbox_head,
            in_channels=neck.out_channels[0],
            num_levels=len(neck.out_channels),
            num_classes=num_classes,
            num_priors=priors.num_priors,
            box_dim=coder.box_dim,
            with_quality=loss_quality is not None,
        )
        losses_and_weights = {
            "loss_cls": build("loss_cls", loss_cls, num_classes=num_classes),
            "loss_bbox": build("loss_bbox", loss_bbox),
            "loss_dfl": build("loss_dfl", loss_dfl),
            "loss_quality": build("loss_quality", loss_quality),
            "bbox_weight": build("bbox_weight", bbox_weight),
            "cls_mass": build("cls_mass", cls_mass),
        }
        if quality is None and names_quality(losses_and_weights.values()):
            quality = {"type": "IoUQuality"}
        return cls(
            backbone,
            neck,
            head,
            priors,
            build("assigner", assigner, strides=neck.strides),
            coder,
            **losses_and_weights,
            quality=build("quality", quality),
            mining=build("mining", mining),
            normalizer=build("normalizer", normalizer or {"type": "BatchNormalizer"}),
            postprocess=build("postprocess", postprocess),
            data_preprocessor=build("data_preprocessor", data_preprocessor or {"type": "DetDataPreprocessor"}),
        )

    def init_weights(self) -> None:
        """Loads the backbone's pretrained weights. All other layers are initialised when they are made."""
        self.backbone.init_weights()

    def optimize_for_inference(self, dtype: torch.dtype | None = None) -> None:
        """See :func:`~rdet.models.detectors.optimize.optimize_for_inference`."""
        optimize_for_inference(self, dtype)

    def compile(self, **options) -> None:
        """Compiles backbone, neck, head and classification loss in place.

        Targets and the losses of boxes have shapes that change with the number of boxes.

        Args:
            **options: Of :func:`torch.compile`.
        """
        for part in (self.backbone, self.neck, self.bbox_head, self.loss_cls):
            part.compile(**options)

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
        """The two losses of section 4.1 and those of the optional slots, each divided once."""
        targets = self.targets(predictions, priors, data_samples)
        image, prior = targets.image, targets.prior
        at = self._at_positives(predictions, priors, targets)

        def divisor(mass: Tensor) -> Tensor:
            """(P,) what each positive counts -> (N,)"""
            return self.normalizer(mass.new_zeros(len(targets.labels)).index_add(0, image, mass))

        ones = torch.ones_like(prior, dtype=torch.float32)
        number = divisor(ones)
        loss_cls = Offers(
            logits=predictions.logits,
            labels=targets.labels,
            quality=lambda _: ones.new_zeros(targets.labels.shape).index_put((image, prior), at["quality"]),
        ).give(self.loss_cls)  # (N, A)
        cls_divisor = number if self.cls_mass is None else divisor(at.give(self.cls_mass).detach())
        if self.mining is not None:
            chosen = self._mine(loss_cls.detach(), targets.labels, priors)  # (N, A)
            loss_cls = loss_cls.masked_fill(~chosen, 0)
            cls_divisor = self.normalizer(chosen.sum(dim=1))
        losses = {"loss_cls": (loss_cls.sum(dim=1) / cls_divisor).sum()}

        weight, box_divisor = ones, number
        if self.bbox_weight is not None:
            weight = at.give(self.bbox_weight).detach()
            box_divisor = divisor(weight)
        losses["loss_bbox"] = (at.give(self.loss_bbox) * weight / box_divisor[image]).sum()
        if self.loss_dfl is not None:
            losses["loss_dfl"] = (at.give(self.loss_dfl) * weight / box_divisor[image]).sum()
        if self.loss_quality is not None:
            losses["loss_quality"] = (at.give(self.loss_quality) / number[image]).sum()
        return losses

    @torch.no_grad()
    def targets(self, predictions: DensePredictions, priors: Tensor, data_samples: list[DetDataSample]) -> Targets:
        """Assigns the priors of every image: by one call for all, if the assigner names ``box_counts``."""
        truths = [sample.gt_instances for sample in data_samples]
        crowds = [sample.ignored_instances.bboxes for sample in data_samples]
        boxes = torch.cat([truth.bboxes for truth in truths])  # (G, 4) of all images, where they were loaded
        counts = [len(truth.bboxes) for truth in truths]
        device = priors.device
        offers = Offers(
            priors=priors,
            grid=lambda _: self._grid(predictions.level_sizes),
            level_lengths=lambda _: predictions.level_lengths,
        )
        if "box_counts" in inputs_of(self.assigner):
            objects = offers.also(
                boxes=boxes,
                box_counts=counts,
                ignored=lambda _: torch.cat(crowds),
                ignored_counts=lambda _: [len(regions) for regions in crowds],
            ).give(self.assigner)  # (N, A)
        else:
            objects = []
            for index, (truth, regions) in enumerate(zip(truths, crowds, strict=True)):
                assigned = offers.also(
                    boxes=truth.bboxes.to(device, non_blocking=True),
                    labels=truth.labels.to(device, non_blocking=True),
                    ignored=regions.to(device, non_blocking=True),
                    scores=lambda _, i=index: self._scores(predictions.logits[i]),
                    predicted=lambda _, i=index: self.bbox_coder.decode(priors, predictions.deltas[i].float()),
                ).give(self.assigner)  # (A,)
                objects.append(torch.where(assigned >= 0, assigned + sum(counts[:index]), assigned))
            objects = torch.stack(objects)  # (N, A)
        # The few priors that are no background are looked for where the assigner worked: on the host, that waits for
        # no device.
        objects = objects.flatten()
        claimed = (objects != BACKGROUND).nonzero().squeeze(1)
        where = claimed[objects[claimed] >= 0]  # (P,)
        classes = torch.cat([truth.labels for truth in truths]).to(objects.device)[objects[where]]  # (P,)
        claimed, where, classes, own = (
            x.to(device, non_blocking=True) for x in (claimed, where, classes, objects[where])
        )
        labels = torch.full((len(truths), len(priors)), BACKGROUND, device=device)
        labels.view(-1)[claimed] = IGNORE
        labels.view(-1)[where] = classes
        return Targets(labels, boxes.to(device, non_blocking=True), where // len(priors), where % len(priors), own)

    def _grid(self, level_sizes: list[tuple[int, int]]) -> PriorGrid | None:
        """How the priors lie, if their generator knows."""
        grid = getattr(self.anchor_generator, "grid", None)
        return None if grid is None else grid(level_sizes)

    def _mine(self, loss_cls: Tensor, labels: Tensor, priors: Tensor) -> Tensor:
        """(N, A) bool, the priors that each image's classification is trained on."""
        images = zip(loss_cls, labels, strict=True)
        return torch.stack([Offers(losses=x, labels=y, priors=priors).give(self.mining) for x, y in images])

    def _scores(self, logits: Tensor) -> Tensor:
        """(..., K) logits -> (..., K) probabilities, without gradient."""
        return self._binary(logits.detach()).float().sigmoid()

    def _binary(self, logits: Tensor) -> Tensor:
        """(..., K) logits -> (..., K) whose sigmoid is the probability, see ``loss_cls``."""
        convert = getattr(self.loss_cls, "binary_logits", None)
        return logits if convert is None else convert(logits)

    def _at_positives(self, predictions: DensePredictions, priors: Tensor, targets: Targets) -> Offers:
        """What losses, quality and weights may ask for, at the P positives."""
        image, prior = targets.image, targets.prior

        def quality_logits(_: Offers) -> Tensor:
            if predictions.quality is None:
                raise ValueError(
                    f"{type(self.bbox_head).__name__} predicts no quality, which a loss of the model needs"
                )
            return predictions.quality[image, prior]

        return Offers(
            priors=lambda _: priors[prior],
            boxes=lambda _: targets.boxes[targets.object],
            labels=lambda _: targets.labels[image, prior],
            objects=targets.object,
            num_objects=len(targets.boxes),
            deltas=lambda _: predictions.deltas[image, prior],
            target_deltas=lambda at: self.bbox_coder.encode(at["priors"], at["boxes"]),
            predicted=lambda at: self.bbox_coder.decode(at["priors"], at["deltas"].float()),
            all_scores=lambda _: self._scores(predictions.logits[image, prior]),
            scores=lambda at: at["all_scores"].gather(1, at["labels"][:, None]).squeeze(1),
            max_scores=lambda at: at["all_scores"].amax(dim=1),
            quality=lambda at: at.give(self.quality).detach(),
            quality_logits=quality_logits,
        )

    def predict(
        self, predictions: DensePredictions, priors: Tensor, data_samples: list[DetDataSample]
    ) -> list[DetDataSample]:
        """Adds ``pred_instances``, in pixels of the original image, to the samples."""
        predictions = predictions._replace(logits=self._binary(predictions.logits))
        sizes = [sample.img_shape for sample in data_samples]
        detections = self.postprocess(predictions, priors, self.bbox_coder, sizes)
        for sample, found in zip(data_samples, detections, strict=True):
            found.bboxes = found.bboxes / found.bboxes.new_tensor(sample.scale_factor).repeat(2)
            sample.pred_instances = found
        return data_samples

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss to differentiate, and the values to log: means over all processes, not rank 0's own.

        The loss is the sum of those whose name contains ``loss``, as everywhere in mmengine; the others are logged
        alone. A process whose loss is not finite therefore makes all processes log, and stop at, the same.
        """
        total = sum(value for name, value in losses.items() if "loss" in name)
        logged = torch.stack([total.detach(), *(value.detach() for value in losses.values())])
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(logged)
            logged /= dist.get_world_size()
        return total, dict(zip(["loss", *losses], logged.unbind(), strict=True))
