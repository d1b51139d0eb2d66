"""Detections of anyone against a truth: where they are right, and where and how they fail.

Letters in shapes: N detections, K classes, R points of recall, S thresholds of the score.
"""
