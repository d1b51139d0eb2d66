"""What an assigner says of a prior besides the index of its ground truth box."""

BACKGROUND = -1
IGNORE = -2
