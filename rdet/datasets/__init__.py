"""Data sets: annotations read, checked and turned into the records that a pipeline gets."""

from rdet.datasets.base import DetDataset
from rdet.datasets.coco import CocoDataset
from rdet.datasets.csv_boxes import CsvDataset
from rdet.datasets.report import LoadReport
from rdet.datasets.summary import check_same_classes, classes_of, dataset_table
from rdet.datasets.voc import VocDataset
from rdet.datasets.yolo import YoloDataset
from rdet.errors import BadImageError, DatasetError

__all__ = [
    "BadImageError",
    "CocoDataset",
    "CsvDataset",
    "DatasetError",
    "DetDataset",
    "LoadReport",
    "VocDataset",
    "YoloDataset",
    "check_same_classes",
    "classes_of",
    "dataset_table",
]
