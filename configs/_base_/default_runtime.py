# What every run shares.
default_hooks = dict(
    logger=dict(type="LoggerHook", interval="auto"),
    checkpoint=dict(type="CheckpointHook", interval=1, max_keep_ckpts=3, save_best="coco/bbox_mAP", rule="greater"),
    loss_check=dict(type="LossCheckHook"),
    # What a run looks like, in its work dir; each can be turned off: results=None.
    results=dict(type="ResultsHook"),
    labels=dict(type="LabelsHook"),
    batches=dict(type="BatchesHook"),
    curves=dict(type="CurvesHook"),
)
# The learning rate of a config is for this many images a step, and is scaled to the real number.
auto_scale_lr = dict(enable=True, base_batch_size=16)
randomness = dict(seed=0, deterministic=False)
