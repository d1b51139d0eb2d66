"""Released detectors of MMDetection with further heads; see :mod:`rdet.interop.zoo`."""

# Name of the config in MMDetection 3 -> published box AP on COCO val2017, and where the weights are.
_OF_GHM = {
    "retinanet_r50_fpn_ghm-1x_coco": (
        37.0,
        "ghm/retinanet_ghm_r50_fpn_1x_coco/retinanet_ghm_r50_fpn_1x_coco_20200130-a437fda3.pth",
    ),
    "retinanet_r101_fpn_ghm-1x_coco": (
        39.1,
        "ghm/retinanet_ghm_r101_fpn_1x_coco/retinanet_ghm_r101_fpn_1x_coco_20200130-c148ee8f.pth",
    ),
    "retinanet_x101-32x4d_fpn_ghm-1x_coco": (
        40.7,
        "ghm/retinanet_ghm_x101_32x4d_fpn_1x_coco/retinanet_ghm_x101_32x4d_fpn_1x_coco_20200131-e4333bd0.pth",
    ),
    "retinanet_x101-64x4d_fpn_ghm-1x_coco": (
        41.4,
        "ghm/retinanet_ghm_x101_64x4d_fpn_1x_coco/retinanet_ghm_x101_64x4d_fpn_1x_coco_20200131-dd381cef.pth",
    ),
}
_OF_YOLOF = {
    "yolof_r50-c5_8xb8-1x_coco": (
        37.5,
        "yolof/yolof_r50_c5_8x8_1x_coco/yolof_r50_c5_8x8_1x_coco_20210425_024427-8e864411.pth",
    ),
}
_OF_PAA = {
    "paa_r50_fpn_1x_coco": (
        40.4,
        "paa/paa_r50_fpn_1x_coco/paa_r50_fpn_1x_coco_20200821-936edec3.pth",
    ),
    "paa_r50_fpn_1.5x_coco": (
        41.4,
        "paa/paa_r50_fpn_1.5x_coco/paa_r50_fpn_1.5x_coco_20200823-805d6078.pth",
    ),
    "paa_r50_fpn_2x_coco": (
        41.6,
        "paa/paa_r50_fpn_2x_coco/paa_r50_fpn_2x_coco_20200821-c98bfc4e.pth",
    ),
    "paa_r50_fpn_ms-3x_coco": (
        43.3,
        "paa/paa_r50_fpn_mstrain_3x_coco/paa_r50_fpn_mstrain_3x_coco_20210121_145722-06a6880b.pth",
    ),
    "paa_r101_fpn_1x_coco": (
        42.6,
        "paa/paa_r101_fpn_1x_coco/paa_r101_fpn_1x_coco_20200821-0a1825a4.pth",
    ),
    "paa_r101_fpn_2x_coco": (
        43.5,
        "paa/paa_r101_fpn_2x_coco/paa_r101_fpn_2x_coco_20200821-6829f96b.pth",
    ),
    "paa_r101_fpn_ms-3x_coco": (
        45.1,
        "paa/paa_r101_fpn_mstrain_3x_coco/paa_r101_fpn_mstrain_3x_coco_20210122_084202-83250d22.pth",
    ),
}
_OF_DDOD = {
    "ddod_r50_fpn_1x_coco": (
        41.7,
        "ddod/ddod_r50_fpn_1x_coco/ddod_r50_fpn_1x_coco_20220523_223737-29b2fc67.pth",
    ),
}
_OF_SSD = {
    "ssd300_coco": (25.5, "ssd/ssd300_coco/ssd300_coco_20210803_015428-d231a06e.pth"),
    "ssd512_coco": (29.5, "ssd/ssd512_coco/ssd512_coco_20210803_022849-0a47a1ca.pth"),
}
OF_OTHER_HEADS = (_OF_GHM, _OF_PAA, _OF_DDOD, _OF_YOLOF, _OF_SSD)
