"""What a folder of somebody's data holds: which format, which parts, and where their images are."""

from rdet.datasets.folders.found import FoundData
from rdet.datasets.folders.look import FORMATS, look_at

__all__ = ["FORMATS", "FoundData", "look_at"]
