"""How good a prediction is: soft targets and weights of positives."""
