"""The parts of a dense detector. Only ``detectors`` knows the others.

Letters in shapes: N images, A priors over all levels, K classes, G boxes of one image, D numbers
that encode one box, P positives.
"""
