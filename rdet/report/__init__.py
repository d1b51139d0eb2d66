"""A page that shows how good detections are and where they fail: one file, without a network."""
