"""From a folder of somebody's data to a config that trains on it."""

from rdet.apis.own_data.backbones import BACKBONES
from rdet.apis.own_data.prepare import Wishes, prepare
from rdet.apis.own_data.split import BY_NAME

__all__ = ["BACKBONES", "BY_NAME", "Wishes", "prepare"]
