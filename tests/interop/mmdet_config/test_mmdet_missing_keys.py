"""A key of MMDetection's that is not there, or None, is left to its default or refused in one line."""

import copy

import pytest
from interop.mmdet_config.test_mmdet_ssd_config import SSD300
from interop.mmdet_sources import FAMILIES, write_source
from interop.test_yolov3 import MODEL as YOLOV3

from rdet.config import read_config
from rdet.errors import ConfigError
from rdet.interop.mmdet_config.model import convert_model
from rdet.interop.mmdet_config.source import Entry, Notes


def paths(values, above=()):
    """The path of each key of a nested dict."""
    for key, value in values.items():
        yield (*above, key)
        if isinstance(value, dict):
            yield from paths(value, (*above, key))


OTHERS = {"SSD": SSD300, "YOLOv3": YOLOV3}


@pytest.mark.parametrize(
    ("family", "changes"),
    [*((family, "") for family in FAMILIES), *(("RetinaNet", text) for text in OTHERS.values())],
    ids=[*FAMILIES, *OTHERS],
)
def test_each_key_missing_or_none(tmp_path, family, changes):
    source = read_config(write_source(tmp_path, family, changes)).model.to_dict()
    convert_model(Entry(copy.deepcopy(source), "model", Notes()))
    said = []
    for *above, key in paths(source):
        for missing in (True, False):
            model = copy.deepcopy(source)
            entry = model
            for step in above:
                entry = entry[step]
            if missing:
                del entry[key]
            else:
                entry[key] = None
            try:
                convert_model(Entry(model, "model", Notes()))
            except ConfigError as error:  # any other is a failure
                said.append(str(error))
    assert len(said) > 10
    assert not [line for line in said if not line.startswith("model") or ";" not in line]


def test_what_the_line_says(tmp_path):
    source = read_config(write_source(tmp_path, "RetinaNet", SSD300)).model.to_dict()
    said, needs = r"^model\.neck\.level_paddings is", ", which MMDetection's SSDNeck needs; set it$"
    del source["neck"]["level_paddings"]
    with pytest.raises(ConfigError, match=f"{said} not there{needs}"):
        convert_model(Entry(source, "model", Notes()))
    source["neck"]["level_paddings"] = None
    with pytest.raises(ConfigError, match=f"{said} None{needs}"):
        convert_model(Entry(source, "model", Notes()))
