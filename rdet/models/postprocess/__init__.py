"""From dense predictions to the final detections."""
