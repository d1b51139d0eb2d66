"""What a swap makes of a config, and how the detectors of a comparison are called."""

from pathlib import Path

import pytest

from rdet.analysis.compare.prepare import prepare
from rdet.analysis.compare.swap import parse_swap
from rdet.analysis.compare.variant import check_names, differing_slots, names_of, swapped, variants_of
from rdet.config import load_config
from rdet.errors import ComparisonError, ConfigError, RdetError


@pytest.fixture
def make(config, tmp_path):
    """Makes the detector of a swap of the tiny config."""
    (base,) = variants_of([Path(config)])
    return lambda text: swapped(base, parse_swap(text), tmp_path / "swaps")


def test_another_type_begins_with_its_own_defaults(make, config):
    made = make("loss_cls=VarifocalLoss")
    assert made.cfg.model.loss_cls == {"type": "VarifocalLoss"}
    assert (made.name, made.folder, made.kept, made.options) == (
        "loss_cls=VarifocalLoss",
        "loss_cls-VarifocalLoss",
        (),
        (),
    )
    assert differing_slots(load_config(config), made.cfg) == ["loss_cls"]


def test_neck_and_head_keep_what_both_types_take(make):
    made = make("neck=BiFPN(num_blocks=1)")
    assert made.cfg.model.neck == {"type": "BiFPN", "num_blocks": 1, "out_channels": 16, "num_extra": 1}
    assert made.kept == ("neck.out_channels=16", "neck.num_extra=1")
    assert make("neck=BiFPN(out_channels=8)").cfg.model.neck == {"type": "BiFPN", "out_channels": 8, "num_extra": 1}


def test_the_same_type_keeps_its_other_keys(make):
    assert make("bbox_head=RetinaHead(stacked_convs=2)").cfg.model.bbox_head == {
        "type": "RetinaHead", "feat_channels": 16, "stacked_convs": 2,
    }  # fmt: skip
    assert make("model.loss_cls.gamma=1").cfg.model.loss_cls == {"type": "FocalLoss", "gamma": 1}


def test_values_slots_that_are_empty_and_several_at_once(make):
    made = make("both: optim_wrapper.optimizer=AdamW(lr=0.001); bbox_weight=IoUQuality; train_cfg.max_iters=3")
    assert made.cfg.optim_wrapper.optimizer == {"type": "AdamW", "lr": 0.001}
    assert made.cfg.model.bbox_weight == {"type": "IoUQuality"}
    assert made.cfg.train_cfg.max_iters == 3
    assert made.path.name == "both.py"
    assert made.path.read_text().startswith("# tiny.py with optim_wrapper.optimizer=AdamW(lr=0.001); bbox_weight=")


def test_the_written_config_is_the_detector(make):
    made = make("neck=PAFPN")
    assert load_config(made.path).to_dict() == made.cfg.to_dict()
    hostile = make("x\nimport os: experiment_name=\"a'''\\nimport os\"")
    assert load_config(hostile.path).experiment_name == "a'''\nimport os"
    assert hostile.path.read_text().splitlines()[0].startswith("# tiny.py with ")


def test_options_hold_for_swaps_too_and_do_not_undo_them(config, tmp_path):
    (base,) = variants_of([Path(config)], ["optim_wrapper.optimizer.lr=0.5", "train_cfg.max_iters=2"])
    made = swapped(base, parse_swap("optim_wrapper.optimizer.lr=0.25"), tmp_path)
    assert (made.cfg.optim_wrapper.optimizer.lr, made.cfg.train_cfg.max_iters, made.options) == (0.25, 2, ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("los_cls=FocalLoss", "--swap 'los_cls=FocalLoss': there is no slot 'los_cls'. Did you mean 'loss_cls'"),
        ("neck=BiFPNN", "model.neck: no model part is called 'BiFPNN'."),
        ("neck=BiFPN(num_layers=2)", "model.neck: BiFPN has no key 'num_layers'. Did you mean"),
        ("optim_wrapper.optimizer.lr=hot", "optim_wrapper.optimizer.lr is 'hot' (str); it must be a number"),
        ("neck=3", "model.neck"),
        ("train_cfg.max_iters.x=3", "train_cfg.max_iters is 6 and has no key 'x'"),
    ],
)
def test_errors_are_a_line_with_the_nearest_names(make, text, message):
    with pytest.raises(RdetError) as error:
        make(text)
    assert message in str(error.value)
    assert str(error.value).startswith("--swap ")
    assert "\n" not in str(error.value)


def test_detectors_that_cannot_be_built_are_all_said_before_any_training(config, tmp_path, capsys):
    swaps = ["neck=FocalLoss", "loss_cls=Nothing", "loss_cls=VarifocalLoss"]
    with pytest.raises(ComparisonError, match="nothing was trained"):
        prepare([Path(config)], swaps, [], tmp_path / "swaps")
    first, second = capsys.readouterr().err.splitlines()
    assert "'Nothing'" in first
    assert second.startswith("error: neck=FocalLoss: ")


def test_weights_that_are_equal_at_the_start(config, tmp_path, capsys):
    """Of another loss all, of another neck those of the backbone, which is made first; biases are 0 everywhere."""
    _, shares = prepare([Path(config)], ["loss_cls=VarifocalLoss", "neck=BiFPN"], [], tmp_path / "swaps")
    assert shares["tiny"] == shares["loss_cls=VarifocalLoss"] == 1
    assert 0 < shares["neck=BiFPN"] < 1
    assert capsys.readouterr().out == "neck=BiFPN keeps neck.out_channels=16, neck.num_extra=1 of the base\n"


def test_names_are_as_long_as_it_takes_to_tell_configs_apart(tmp_path):
    fcos, retinanet, other = (tmp_path / name for name in ("a/fcos/r50.py", "a/retinanet/r50.py", "x.py"))
    assert list(names_of([fcos, retinanet, other])) == ["fcos/r50", "retinanet/r50", "x"]
    with pytest.raises(ValueError, match=r"x\.py is there twice"):
        names_of([other, fcos, tmp_path / "a" / ".." / "x.py"])


def test_swaps_of_one_name_and_those_that_change_nothing(make, config):
    (base,) = variants_of([Path(config)])
    with pytest.raises(ConfigError, match="in one folder; name one of them"):
        check_names([base, make("neck=PAFPN"), make("neck=PAFPN()")])
    with pytest.raises(ConfigError, match="changes nothing"):
        check_names([base, make("neck=FPN")])


def test_differing_slots(config):
    base = load_config(config)
    options = {"model.neck.num_extra": 2, "model.loss_bbox.beta": 1.0, "randomness.seed": 4}
    assert sorted(differing_slots(base, load_config(config, options))) == ["loss_bbox", "neck", "randomness"]
    added = {"model.bbox_weight": {"type": "IoUQuality"}}
    assert differing_slots(base, load_config(config, added)) == ["bbox_weight"]
