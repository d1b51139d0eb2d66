"""Rules that give priors their ground truth boxes."""
