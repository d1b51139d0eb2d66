"""The values that the parts hand to each other."""

from rdet.structures.det_data_sample import DetDataSample
from rdet.structures.predictions import DensePredictions

__all__ = ["DensePredictions", "DetDataSample"]
