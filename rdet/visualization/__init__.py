"""Pictures of boxes."""

from rdet.visualization.draw import draw_boxes, draw_comparison, save_image

__all__ = ["draw_boxes", "draw_comparison", "save_image"]
