"""What most tools import and look up, once for all copies of the process that imports this; see :mod:`forked`."""

import gc

import hotcoco  # noqa: F401
import mmengine.runner.runner
import remembered  # noqa: F401
import torch.utils.data  # noqa: F401

import rdet.apis.build
import rdet.apis.cli  # noqa: F401
from rdet import registry

for _parts in [value for value in vars(registry).values() if isinstance(value, registry.Registry)]:
    _parts.parts()
mmengine.runner.runner.collect_env()
gc.collect()
gc.freeze()  # each data set has the collector look at all there is
