"""DDOD's parts: two rules of matching, ratings of predictions, weights of levels, towers that begin deformable."""

import pytest
import torch
from matching import batch_of, dense
from small_detector import EMPTY, ONE, TWO, build, images

from rdet.errors import ConfigError, UnknownNameError
from rdet.models.assigners.aligned_atss_assigner import AlignedATSSAssigner
from rdet.models.assigners.atss_assigner import ATSSAssigner
from rdet.models.assigners.max_iou_assigner import MaxIoUAssigner
from rdet.models.assigners.separate_assigner import SeparateAssigner
from rdet.models.deformable import DeformableConv2d
from rdet.models.dense_heads.ddod_head import DDODHead
from rdet.models.level_weights.base import LevelWeight
from rdet.models.level_weights.rare_level_weight import RareLevelWeight
from rdet.models.priors.anchor_generator import AnchorGenerator
from rdet.registry import MODELS

PRIORS = AnchorGenerator([8, 16], octave_base_scale=4, scales_per_octave=1, ratios=(1.0,))([(8, 8), (4, 4)])
BOXES = torch.tensor([[4.0, 5, 37, 42], [20, 10, 60, 61]])
LABELS = torch.tensor([2, 0])
LENGTHS = [64, 16]


def predictions():
    generator = torch.Generator().manual_seed(0)
    scores = 0.02 + 0.9 * torch.rand(len(PRIORS), 3, generator=generator)
    return scores, PRIORS + torch.rand(len(PRIORS), 4, generator=generator) * 8


def test_an_alpha_of_1_rates_predicted_boxes_alone():
    """Where these are the priors, that is ATSS."""
    scores, _ = predictions()
    found = AlignedATSSAssigner(alpha=1.0)(PRIORS, BOXES, LABELS, scores, PRIORS, LENGTHS)
    assert torch.equal(found, ATSSAssigner()(PRIORS, BOXES, LENGTHS))
    assert set(found.tolist()) == {-1, 0, 1}


def test_an_alpha_of_0_rates_scores_of_the_boxs_class_alone():
    scores = torch.full((len(PRIORS), 3), 0.1)
    candidates = ATSSAssigner()(PRIORS, BOXES[:1], LENGTHS).eq(0).nonzero()[:, 0].tolist()
    scores[candidates[0], 1] = 0.9
    scores[candidates[1], 2] = 0.9  # of another class
    _, predicted = predictions()
    found = AlignedATSSAssigner(alpha=0.0)(PRIORS, BOXES[:1], torch.tensor([1]), scores, predicted, LENGTHS)
    assert found.eq(0).nonzero()[:, 0].tolist() == candidates[:1]


def test_ratings_by_hand():
    priors = torch.tensor([[0.0, 0, 20, 20], [2, 2, 22, 22], [100, 100, 120, 120]])
    predicted = torch.tensor([[0.0, 0, 20, 20], [0, 0, 20, 10], [0, 0, 20, 20]])
    scores = torch.tensor([[0.2], [0.9], [0.01]])
    rated = torch.tensor([0.2**0.5, (0.9 * 0.5) ** 0.5, 0.01**0.5])
    assert (rated >= rated.mean() + rated.std()).tolist() == [False, False, False]
    rated = torch.tensor([0.2**0.8, 0.9**0.8 * 0.5**0.2, 0.01**0.8])
    assert (rated >= rated.mean() + rated.std()).tolist() == [False, True, False]
    given = priors, torch.tensor([[0.0, 0, 20, 20]]), torch.tensor([0]), scores, predicted
    assert AlignedATSSAssigner(alpha=0.5)(*given).tolist() == [-1, -1, -1]
    assert AlignedATSSAssigner(alpha=0.2)(*given).tolist() == [-1, 0, -1]


def test_each_rule_matches_as_it_does_alone():
    scores, predicted = predictions()
    image = {"boxes": BOXES, "labels": LABELS, "scores": scores, "predicted": predicted}
    batch = batch_of(PRIORS, [image, {**image, "boxes": BOXES[:0], "labels": LABELS[:0]}], level_lengths=LENGTHS)
    rules = MaxIoUAssigner(), AlignedATSSAssigner(alpha=0.5)
    for classes, boxes in (rules, rules[::-1]):
        found = SeparateAssigner(classes, boxes).match(batch)
        assert all(map(torch.equal, found[:4], classes.match(batch)[:4]))
        assert torch.equal(dense(found.of_boxes, batch), dense(boxes.match(batch), batch))
        assert not torch.equal(dense(found, batch), dense(found.of_boxes, batch))
    nested = SeparateAssigner(rules[0], SeparateAssigner(*rules)).match(batch)
    assert torch.equal(nested.of_boxes.prior, rules[1].match(batch).prior)
    assert nested.of_boxes.of_boxes is None


def test_assigners_of_a_config_are_told_the_strides():
    grid, atss = {"type": "GridAssigner"}, {"type": "ATSSAssigner"}
    found = MODELS.build({"type": "SeparateAssigner", "classes": grid, "boxes": atss, "strides": [8]})
    assert found.classes.strides == [8]
    with pytest.raises(ConfigError, match=r"model\.assigner\.boxes: FocalLoss does not derive from Assigner"):
        MODELS.build({"type": "SeparateAssigner", "classes": grid, "boxes": {"type": "FocalLoss"}})
    with pytest.raises(UnknownNameError, match=r"model\.assigner\.classes.*'topkk'"):
        MODELS.build({"type": "SeparateAssigner", "classes": {**atss, "topkk": 3}, "boxes": grid})


def test_levels_that_had_few_positives_count_twice():
    weigh = RareLevelWeight(3)
    assert weigh(torch.tensor([0.0, 0, 0])).tolist() == [2, 2, 2]
    assert weigh(torch.tensor([10.0, 4, 0])).tolist() == pytest.approx([1, 1.6, 2])
    assert weigh(torch.tensor([0.0, 6, 20])).tolist() == pytest.approx([2, 2, 1])
    kept = weigh.eval()(torch.tensor([500.0, 0, 0]))
    assert kept.tolist() == pytest.approx([2, 2, 1])
    assert weigh.counts.tolist() == [10, 10, 20]
    other = RareLevelWeight(3)
    other.load_state_dict(weigh.state_dict())
    assert torch.equal(other.eval()(torch.zeros(3)), kept)
    weigh.train()(torch.tensor([2.0**24, 0, 0]))
    weigh(torch.tensor([1.0, 0, 0]))
    assert weigh.counts.tolist() == [10 + 2**24 + 1, 10, 20]  # float32 would not count the last


class Fixed(LevelWeight):
    def __init__(self, factors):
        super().__init__()
        self.factors = factors

    def forward(self, num_pos):
        assert len(num_pos) == len(self.factors)
        return torch.tensor(self.factors)


RULES = {"type": "SeparateAssigner", "classes": {"type": "MaxIoUAssigner"}, "boxes": {"type": "ATSSAssigner"}}
OBJECTS = {"loss_obj": {"type": "CrossEntropyLoss"}, "assigner": RULES}
QUALITY = {"loss_quality": {"type": "BinaryCrossEntropyLoss"}, "mining": {"type": "OHEM"}}


@pytest.mark.parametrize("more", [QUALITY, OBJECTS], ids=["quality", "objects"])
def test_losses_are_linear_in_the_weights_of_levels(more):
    """Those of each level alone, times its weight, add up to those of all."""

    def losses(factors):
        weigh = {} if factors is None else {"level_weight": {"type": Fixed, "factors": factors}}
        model = build(bbox_head__type="ATSSHead", **more, **weigh)
        return {name: value.detach() for name, value in model(images(2), [TWO, ONE], mode="loss").items()}

    torch.testing.assert_close(losses([1.0] * 5), losses(None))
    factors = [0.5, 0.0, 1.5, 2.0, 1.0]
    alone = [losses([float(level == other) for other in range(5)]) for level in range(5)]
    for name, value in losses(factors).items():
        torch.testing.assert_close(value, sum(f * each[name] for f, each in zip(factors, alone, strict=True)))
    assert sum(each["loss_bbox"] > 0 for each in alone) > 1


def test_positives_of_classes_and_boxes_are_counted():
    model = build(assigner=RULES, level_weight={"type": "RareLevelWeight"})
    match, seen = model.match, []
    model.match = lambda *given: seen.append(match(*given)) or seen[-1]
    model(images(3), [TWO, EMPTY, ONE], mode="loss")
    counts = model.criterion.level_weight.counts.clone()
    assert int(counts.sum()) == len(seen[0].prior) + len(seen[0].of_boxes.prior)
    model.eval()(images(3), [TWO, EMPTY, ONE], mode="loss")
    assert torch.equal(model.criterion.level_weight.counts, counts)


@pytest.mark.parametrize("share", ["all", "convs", "none"])
def test_the_first_convolutions_of_a_head_are_deformable(share):
    head = DDODHead(8, 3, 1, num_levels=2, feat_channels=8, stacked_convs=2, share=share, norm_cfg={"type": "BN"})
    towers = [head.cls_convs, head.reg_convs] if share == "all" else [*head.cls_convs, *head.reg_convs]
    for tower in towers:
        assert [isinstance(layer.conv, DeformableConv2d) for layer in tower] == [True, False]
        assert tower[0].conv.parts == (18, 0)
        assert 0.005 < float(tower[0].conv.weight.detach().std()) < 0.02
    assert len({id(tower[0].conv) for tower in towers}) == (4 if share == "none" else 2)
    with pytest.raises(ValueError, match="stacked_convs is 0"):
        DDODHead(8, 3, 1, stacked_convs=0)


def test_without_offsets_it_is_the_head_of_atss():
    torch.manual_seed(0)
    options = {"num_levels": 2, "feat_channels": 8, "stacked_convs": 2, "with_quality": True}
    head, other = DDODHead(8, 3, 1, **options), MODELS.get("ATSSHead")(8, 3, 1, **options)
    other.load_state_dict({name: value for name, value in head.state_dict().items() if "conv_offset" not in name})
    levels = [torch.randn(1, 8, 5, 6), torch.randn(1, 8, 3, 3)]
    found, expected = head(levels), other(levels)
    for name in ("logits", "deltas", "quality_logits"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name), rtol=1e-4, atol=1e-6)
