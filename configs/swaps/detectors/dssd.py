# DSSD's deconvolutions and prediction modules on the SSD beside it, of fewer channels, and all layers learn at once;
# configs/ssd/dssd513_r101_coco.py has it as published.
_base_ = "./ssd.py"
model = dict(
    neck=dict(
        _delete_=True,
        type="DSSDNeck",
        deconv_channels=128,
        num_extra=3,
        extra_channels=256,
        # Its coarsest maps give batch normalisation 8 and 32 values a channel, and the products hand that noise down.
        norm_cfg=dict(type="GN", num_groups=32),
    ),
    bbox_head=dict(_delete_=True, type="DSSDHead", module_channels=256, middle_channels=64),
)
