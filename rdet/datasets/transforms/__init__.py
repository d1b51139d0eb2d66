"""What a pipeline does to one record. Everything random draws from numpy's global generator."""

from rdet.datasets.transforms.copy_paste import CopyPaste
from rdet.datasets.transforms.crop import RandomCrop
from rdet.datasets.transforms.expand import Expand
from rdet.datasets.transforms.filter_annotations import FilterAnnotations
from rdet.datasets.transforms.flip import RandomFlip
from rdet.datasets.transforms.jitter import LargeScaleJitter
from rdet.datasets.transforms.load import LoadImageFromFile
from rdet.datasets.transforms.min_iou_crop import MinIoURandomCrop
from rdet.datasets.transforms.mix_transform import MixTransform
from rdet.datasets.transforms.mixup import MixUp
from rdet.datasets.transforms.mosaic import Mosaic
from rdet.datasets.transforms.pack import PackDetInputs
from rdet.datasets.transforms.pad import Pad
from rdet.datasets.transforms.photometric import PhotoMetricDistortion
from rdet.datasets.transforms.random_affine import RandomAffine
from rdet.datasets.transforms.random_hsv import RandomHSV
from rdet.datasets.transforms.random_shift import RandomShift
from rdet.datasets.transforms.resize import FitWithin, RandomChoiceResize, RandomResize, Resize

__all__ = [
    "CopyPaste",
    "Expand",
    "FilterAnnotations",
    "FitWithin",
    "LargeScaleJitter",
    "LoadImageFromFile",
    "MinIoURandomCrop",
    "MixTransform",
    "MixUp",
    "Mosaic",
    "PackDetInputs",
    "Pad",
    "PhotoMetricDistortion",
    "RandomAffine",
    "RandomChoiceResize",
    "RandomCrop",
    "RandomFlip",
    "RandomHSV",
    "RandomResize",
    "RandomShift",
    "Resize",
]
