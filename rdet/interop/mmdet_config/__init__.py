"""Config files of MMDetection 3 as config files of rdet."""

from rdet.interop.mmdet_config.convert import convert_config

__all__ = ["convert_config"]
