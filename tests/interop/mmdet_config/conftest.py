"""What the tests of converted configs share."""

import pytest
from interop.mmdet_sources import write_source

from rdet.config import load_config
from rdet.interop.mmdet_config import convert_config


@pytest.fixture
def convert(tmp_path):
    """Convert a source with changes; rdet's config."""

    def converted(family="RetinaNet", changes="", depth=50):
        convert_config(write_source(tmp_path, family, changes, depth), tmp_path / "out.py")
        return load_config(tmp_path / "out.py")

    return converted
