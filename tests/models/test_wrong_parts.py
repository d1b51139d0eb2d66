"""Parts of one's own that give what their slot does not take: an error that names the part, never a wrong number."""

import re

import pytest
import torch
from small_detector import EMPTY, ONE, PRIORS, TWO, build, images

from rdet.errors import ConfigError, PartError, RdetError
from rdet.models.assigners.base import Assigner, ImageAssigner
from rdet.models.coders.delta_xywh_bbox_coder import DeltaXYWHBBoxCoder
from rdet.models.dense_heads.retina_head import RetinaHead
from rdet.models.losses.base import ClassificationLoss, PositiveLoss, SoftTargetLoss
from rdet.models.losses.normalizers import Normalizer
from rdet.models.mining.base import Mining
from rdet.models.necks.fpn import FPN
from rdet.models.quality.base import Quality
from rdet.structures.matches import Matches


def loss_cls(give):
    class Loss(ClassificationLoss):
        def of(self, priors):
            return give(priors.logits.square().sum(dim=2))

    return {"loss_cls": {"type": Loss}}


def of_positives(slot, base, give, **others):
    class Part(base):
        def of(self, positives):
            return give(positives.deltas.square().sum(dim=1))

    return {slot: {"type": Part}, **others}


def mining(give):
    class Part(Mining):
        def __call__(self, losses, labels, priors):
            return give(losses > 0)

    return {"mining": {"type": Part}}


def normalizer(give):
    class Part(Normalizer):
        def __call__(self, num_pos):
            return give(num_pos.float() + 1)

    return {"normalizer": {"type": Part}}


def assigner(give):
    class Part(ImageAssigner):
        def assign(self, image):
            return give(torch.full((len(image.priors),), -1))

    return {"assigner": {"type": Part}}


def batch_assigner(give):
    class Part(Assigner):
        def match(self, batch):
            index = torch.zeros(2, dtype=torch.int64)
            return give(Matches(index, index, index, index[:0]))

    return {"assigner": {"type": Part}}


def head(give):
    class Part(RetinaHead):
        def forward(self, levels):
            return give(super().forward(levels))

    return {"bbox_head": {"type": Part, "feat_channels": 16, "stacked_convs": 1}}


def coder(give):
    class Part(DeltaXYWHBBoxCoder):
        def decode(self, priors, deltas):
            return give(super().decode(priors, deltas))

    return {"bbox_coder": {"type": Part}}


def mean(x):
    return x.mean()


def column(x):
    return x[..., None]


def as_list(x):
    return x.tolist()


QUALITY = {"loss_cls": {"type": "QualityFocalLoss"}}
IN_EACH_BOX = {"loss_bbox_initial": {"type": "SmoothL1Loss"}}


def with_initial(give):
    return lambda p: p._replace(initial_deltas=give(p.deltas))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (loss_cls(mean), "model.loss_cls (Loss) gave a tensor (); it must be (N, A), here (2, 1161)"),
        (loss_cls(column), "model.loss_cls (Loss) gave a tensor (2, 1161, 1); it must be (N, A)"),
        (loss_cls(lambda x: x.sum(dim=1)), "model.loss_cls (Loss) gave a tensor (2,); it must be (N, A)"),
        (loss_cls(torch.flatten), "model.loss_cls (Loss) gave a tensor (2322,); it must be (N, A)"),
        (loss_cls(as_list), "model.loss_cls (Loss) gave a list; it must be a tensor (N, A)"),
        (of_positives("loss_bbox", PositiveLoss, mean), "model.loss_bbox (Part) gave a tensor (); it must be (P,)"),
        (of_positives("loss_bbox", PositiveLoss, column), "model.loss_bbox (Part) gave a tensor ("),
        (of_positives("loss_bbox", PositiveLoss, lambda x: x[:1]), "model.loss_bbox (Part) gave a tensor (1,)"),
        (
            of_positives("loss_quality", PositiveLoss, mean),
            "model.loss_quality (Part) gave a tensor (); it must be (P,)",
        ),
        (of_positives("bbox_weight", Quality, mean), "model.bbox_weight (Part) gave a tensor (); it must be (P,)"),
        (of_positives("cls_mass", Quality, column), "model.cls_mass (Part) gave a tensor ("),
        (of_positives("quality", Quality, mean, **QUALITY), "model.quality (Part) gave a tensor (); it must be (P,)"),
        (mining(lambda x: x[None]), "model.mining (Part) gave a tensor (1, 1161); it must be (A,), here (1161,)"),
        (mining(lambda x: x[:1]), "model.mining (Part) gave a tensor (1,); it must be (A,), here (1161,)"),
        (normalizer(mean), "model.normalizer (Part) gave a tensor (); it must be (N,), here (2,)"),
        (normalizer(lambda x: x.sum(dim=0, keepdim=True)), "model.normalizer (Part) gave a tensor (1,); it must"),
        (assigner(lambda x: x[:-1]), "model.assigner (Part) gave a tensor (1160,); it must be (A,), here (1161,)"),
        (assigner(column), "model.assigner (Part) gave a tensor (1161, 1); it must be (A,)"),
        (assigner(lambda x: x.float()), "model.assigner (Part) gave torch.float32; it must be int64"),
        (assigner(lambda x: x >= 0), "model.assigner (Part) gave torch.bool; it must be int64"),
        (
            assigner(lambda x: x.index_fill(0, torch.tensor([7]), 2)),
            "model.assigner (Part): image 0 of the batch has 2 boxes, but prior 7 is assigned 2; it must be the index",
        ),
        (
            assigner(lambda x: x.index_fill(0, torch.tensor([7]), 1)),
            "model.assigner (Part): image 1 of the batch has 1 boxes, but prior 7 is assigned 1; it must be the index",
        ),
        (assigner(lambda x: x - 2), "image 0 of the batch has 2 boxes, but prior 0 is assigned -3"),
        (batch_assigner(tuple), "model.assigner (Part) gave a tuple; it must be Matches"),
        (
            batch_assigner(lambda m: m._replace(gt_index=m.gt_index + 3)),
            "gt_index of model.assigner (Part) has numbers from 3 to 3 of 3",
        ),
        (
            batch_assigner(lambda m: m._replace(prior=m.prior - 1)),
            "prior of model.assigner (Part) has numbers from -1 to -1 of 1161",
        ),
        (
            batch_assigner(lambda m: m._replace(image=m.image[:1])),
            "image of model.assigner (Part) gave a tensor (1,); it must be (P,), here (2,)",
        ),
        (
            batch_assigner(lambda m: m._replace(ignored=m.ignored.float())),
            "ignored of model.assigner (Part) gave torch.float32; it must be int64",
        ),
        (head(lambda p: (p.logits, p.deltas)), "model.bbox_head (Part) gave a tuple; it must be DensePredictions"),
        (head(lambda p: None), "model.bbox_head (Part) gave a NoneType; it must be DensePredictions"),
        (
            head(lambda p: p._replace(logits=p.logits[:, 1:])),
            "logits of model.bbox_head (Part) gave a tensor (2, 1160, 3); it must be (N, A, K), here (2, 1161, 3)",
        ),
        (
            head(lambda p: p._replace(logits=p.logits[..., :2])),
            "logits of model.bbox_head (Part) gave a tensor (2, 1161, 2); it must be (N, A, K), here (2, 1161, 3)",
        ),
        (
            head(lambda p: p._replace(deltas=p.deltas[..., :2])),
            "deltas of model.bbox_head (Part) gave a tensor (2, 1161, 2); it must be (N, A, D), here (2, 1161, 4)",
        ),
        (
            head(lambda p: p._replace(quality_logits=p.logits[..., :1])),
            "quality_logits of model.bbox_head (Part) gave a tensor (2, 1161, 1); it must be (N, A), here (2, 1161)",
        ),
        (
            {**head(with_initial(lambda x: x[:1])), **IN_EACH_BOX},
            "initial_deltas of model.bbox_head (Part) gave a tensor (1, 1161, 4); it must be (N, A, D)",
        ),
    ],
)
def test_a_part_that_gives_another_shape(changes, message):
    model = build(**changes)
    assert PRIORS == 1161
    with pytest.raises(PartError, match=re.escape(message)):
        model(images(2), [TWO, ONE], mode="loss")


def test_a_coder_is_asked_when_the_model_is_built():
    with pytest.raises(
        PartError, match=re.escape("decode of model.bbox_coder (Part) gave a tensor (1, 2); it must be")
    ):
        build(**coder(lambda boxes: boxes[..., :2]))


def test_a_quality_that_reads_itself_without_saying_so():
    class Circle(Quality):
        def of(self, positives):
            return positives.quality

    with pytest.raises(RdetError, match=r"model\.quality reads the quality, which it is itself"):
        build(quality={"type": Circle}, **QUALITY)(images(1), [TWO], mode="loss")


def test_a_misspelt_declaration_is_said_when_it_matters():
    class Weight(Quality):
        needs_qualty = True

        def of(self, positives):
            return positives.quality

    with pytest.raises(RdetError, match="set `needs_quality = True` on its class"):
        build(bbox_weight={"type": Weight})(images(1), [TWO], mode="loss")


@pytest.mark.parametrize("samples", [[TWO, ONE], [EMPTY, EMPTY]])
def test_right_shapes_pass(samples):
    def same(x):
        return x

    for changes in (loss_cls(same), of_positives("loss_bbox", PositiveLoss, same), mining(same), normalizer(same)):
        model = build(**changes)
        assert all(value.isfinite() for value in model(images(2), samples, mode="loss").values())


@pytest.mark.parametrize("kind", [3, 1.5, True, ["ResNet"]])
def test_a_type_that_is_no_name(kind):
    with pytest.raises(RdetError, match=re.escape(f"model.neck.type is {kind!r}; it must be a name or a class")):
        build(neck__type=kind)


class Neck(FPN):
    """A neck of one's own that goes wrong in one way."""

    def __init__(self, in_channels, in_strides, wrong, **options):
        super().__init__(in_channels, in_strides, **options)
        self.wrong = wrong
        if wrong == "unsaid":
            del self.strides

    def forward(self, maps):
        levels = super().forward(maps)
        return {"fewer": levels[:-1], "wider": [torch.cat([x, x], dim=1) for x in levels]}.get(self.wrong, levels)


def test_a_neck_that_does_not_say_its_strides():
    with pytest.raises(
        ConfigError, match=r"model\.neck: Neck\.strides is None; it must be the strides of its maps, a list"
    ):
        build(neck__type=Neck, neck__wrong="unsaid")


@pytest.mark.parametrize(
    ("wrong", "found"), [("fewer", r"4 maps of \[16, 16, 16, 16\]"), ("wider", r"5 maps of \[32, 32")]
)
def test_a_neck_that_gives_other_maps_than_it_says(wrong, found):
    with pytest.raises(
        PartError, match=rf"model\.neck \(Neck\) gave {found}.* its out_channels say \[16, 16, 16, 16, 16\]"
    ):
        build(neck__type=Neck, neck__wrong=wrong)(images(1))


def test_a_loss_that_reads_the_quality_is_named_by_its_own_name():
    class Loss(SoftTargetLoss):
        needs_quality = True

        def of(self, priors):
            return priors.quality.sum()

        def forward(self, logits, labels, quality):
            raise NotImplementedError

    with pytest.raises(PartError, match=r"model\.loss_cls \(Loss\) gave a tensor \(\)"):
        build(loss_cls={"type": Loss})(images(1), [ONE], mode="loss")
