"""rdet: one-stage dense object detection, assembled from parts."""

__version__ = "0.1.0"
