"""What exports leave behind in a process that runs other tests too."""

import gc

import pytest


@pytest.fixture(scope="module", autouse=True)
def _unwatched():
    """Packages that export are a million objects, which each data set that is built later would look through."""
    yield
    gc.collect()
    gc.freeze()
