# The same run as retinanet_lite0_fpn_bccd.py, read through COCO json instead of VOC xml. Convert first:
#   for split in trainval test; do
#       python tools/dataset_converters/voc_to_coco.py data/bccd ImageSets/Main/$split.txt data/bccd/$split.json \
#           --classes RBC WBC Platelets
#   done
#   python tools/train.py configs/bccd/retinanet_lite0_fpn_bccd_coco.py
# Both readers give the same images, boxes and ids, hence the same result.
_base_ = "./retinanet_lite0_fpn_bccd.py"
_images = dict(img="JPEGImages")
train_dataloader = dict(dataset=dict(type="CocoDataset", ann_file="trainval.json", data_prefix=_images))
val_dataloader = dict(dataset=dict(type="CocoDataset", ann_file="test.json", data_prefix=_images))
