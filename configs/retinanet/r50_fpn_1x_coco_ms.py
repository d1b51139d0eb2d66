# RetinaNet, ResNet-50-FPN, COCO, 12 epochs, short side chosen among six from 640 to 800 pixels.
#   python tools/train.py configs/retinanet/r50_fpn_1x_coco_ms.py
# Should reach about 37.4 box AP on val2017 (Detectron2's twin). Not trained in full by this project yet.
_base_ = "./r50_fpn_1x_coco.py"
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="RandomChoiceResize", scales=[(1333, s) for s in range(640, 801, 32)], keep_ratio=True),
            dict(type="RandomFlip", prob=0.5),
            dict(type="PackDetInputs"),
        ]
    )
)
