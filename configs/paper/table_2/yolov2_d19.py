# Table 2, "YOLOv2, DarkNet-19" of Redmon and Farhadi, with their schedule and batches of changing sizes.
_base_ = "../../yolov2/yolov2_d19_544_coco.py"
