# Positives of each image instead of the batch (section 4.1 of the Focal Loss paper).
_base_ = "./base.py"
model = dict(normalizer=dict(type="ImageNormalizer"))
