"""What a pipeline does to one record. Everything random draws from numpy's global generator."""

from rdet.datasets.transforms.crop import RandomCrop
from rdet.datasets.transforms.flip import RandomFlip
from rdet.datasets.transforms.load import LoadImageFromFile
from rdet.datasets.transforms.pack import PackDetInputs
from rdet.datasets.transforms.photometric import PhotoMetricDistortion
from rdet.datasets.transforms.resize import RandomChoiceResize, RandomResize, Resize

__all__ = [
    "LoadImageFromFile",
    "PackDetInputs",
    "PhotoMetricDistortion",
    "RandomChoiceResize",
    "RandomCrop",
    "RandomFlip",
    "RandomResize",
    "Resize",
]
