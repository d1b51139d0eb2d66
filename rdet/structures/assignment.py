"""What a prior is assigned if it is matched to no ground truth box."""

BACKGROUND = -1
IGNORE = -2
