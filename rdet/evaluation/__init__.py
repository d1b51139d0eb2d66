"""How good the detections are."""

from rdet.evaluation.coco_eval import CocoScores, evaluate_coco

__all__ = ["CocoScores", "evaluate_coco"]
