"""Where MMDetection's released detectors with other backbones and necks are than a ResNet and an FPN."""

# Name of the config in MMDetection 3 -> published box AP on COCO val2017, and where the weights are, as in zoo.py.
OF_OTHER_BACKBONES = {
    "gfl_r101-dconv-c3-c5_fpn_ms-2x_coco": (
        47.1,
        "gfl/gfl_r101_fpn_dconv_c3-c5_mstrain_2x_coco/"
        "gfl_r101_fpn_dconv_c3-c5_mstrain_2x_coco_20200630_102002-134b07df.pth",
    ),
    "gfl_x101-32x4d-dconv-c4-c5_fpn_ms-2x_coco": (
        48.1,
        "gfl/gfl_x101_32x4d_fpn_dconv_c4-c5_mstrain_2x_coco/"
        "gfl_x101_32x4d_fpn_dconv_c4-c5_mstrain_2x_coco_20200630_102002-14a2bf25.pth",
    ),
    "vfnet_r50-mdconv-c3-c5_fpn_ms-2x_coco": (
        48.0,
        "vfnet/vfnet_r50_fpn_mdconv_c3-c5_mstrain_2x_coco/"
        "vfnet_r50_fpn_mdconv_c3-c5_mstrain_2x_coco_20201027pth-6879c318.pth",
    ),
    "vfnet_r101-mdconv-c3-c5_fpn_ms-2x_coco": (
        49.2,
        "vfnet/vfnet_r101_fpn_mdconv_c3-c5_mstrain_2x_coco/"
        "vfnet_r101_fpn_mdconv_c3-c5_mstrain_2x_coco_20201027pth-7729adb5.pth",
    ),
    "vfnet_x101-32x4d-mdconv-c3-c5_fpn_ms-2x_coco": (
        50.0,
        "vfnet/vfnet_x101_32x4d_fpn_mdconv_c3-c5_mstrain_2x_coco/"
        "vfnet_x101_32x4d_fpn_mdconv_c3-c5_mstrain_2x_coco_20201027pth-d300a6fc.pth",
    ),
    "vfnet_x101-64x4d-mdconv-c3-c5_fpn_ms-2x_coco": (
        50.8,
        "vfnet/vfnet_x101_64x4d_fpn_mdconv_c3-c5_mstrain_2x_coco/"
        "vfnet_x101_64x4d_fpn_mdconv_c3-c5_mstrain_2x_coco_20201027pth-b5f6da5e.pth",
    ),
    "fcos_r50-dcn-caffe_fpn_gn-head-center-normbbox-centeronreg-giou_1x_coco": (
        42.3,
        "fcos/fcos_center-normbbox-centeronreg-giou_r50_caffe_fpn_gn-head_dcn_1x_coco/"
        "fcos_center-normbbox-centeronreg-giou_r50_caffe_fpn_gn-head_dcn_1x_coco-ae4d8b3d.pth",
    ),
    "tood_r101-dconv-c3-c5_fpn_ms-2x_coco": (
        49.3,
        "tood/tood_r101_fpn_dconv_c3-c5_mstrain_2x_coco/"
        "tood_r101_fpn_dconv_c3-c5_mstrain_2x_coco_20211210_213728-4a824142.pth",
    ),
    "retinanet_regnetx-800MF_fpn_1x_coco": (
        35.6,
        "regnet/retinanet_regnetx-800MF_fpn_1x_coco/retinanet_regnetx-800MF_fpn_1x_coco_20200517_191403-f6f91d10.pth",
    ),
    "retinanet_regnetx-1.6GF_fpn_1x_coco": (
        37.3,
        "regnet/retinanet_regnetx-1.6GF_fpn_1x_coco/retinanet_regnetx-1.6GF_fpn_1x_coco_20200517_191403-37009a9d.pth",
    ),
    "retinanet_regnetx-3.2GF_fpn_1x_coco": (
        39.1,
        "regnet/retinanet_regnetx-3.2GF_fpn_1x_coco/retinanet_regnetx-3.2GF_fpn_1x_coco_20200520_163141-cb1509e8.pth",
    ),
    "retinanet_pvtv2-b0_fpn_1x_coco": (
        37.1,
        "pvt/retinanet_pvtv2-b0_fpn_1x_coco/retinanet_pvtv2-b0_fpn_1x_coco_20210831_103157-13e9aabe.pth",
    ),
    "retinanet_pvtv2-b1_fpn_1x_coco": (
        41.2,
        "pvt/retinanet_pvtv2-b1_fpn_1x_coco/retinanet_pvtv2-b1_fpn_1x_coco_20210831_103318-7e169a7d.pth",
    ),
    "retinanet_pvtv2-b2_fpn_1x_coco": (
        44.6,
        "pvt/retinanet_pvtv2-b2_fpn_1x_coco/retinanet_pvtv2-b2_fpn_1x_coco_20210901_174843-529f0b9a.pth",
    ),
    "retinanet_pvtv2-b3_fpn_1x_coco": (
        46.0,
        "pvt/retinanet_pvtv2-b3_fpn_1x_coco/retinanet_pvtv2-b3_fpn_1x_coco_20210903_151512-8357deff.pth",
    ),
    "retinanet_pvtv2-b4_fpn_1x_coco": (
        46.3,
        "pvt/retinanet_pvtv2-b4_fpn_1x_coco/retinanet_pvtv2-b4_fpn_1x_coco_20210901_170151-83795c86.pth",
    ),
    "retinanet_pvtv2-b5_fpn_1x_coco": (
        46.1,
        "pvt/retinanet_pvtv2-b5_fpn_1x_coco/retinanet_pvtv2-b5_fpn_1x_coco_20210902_201800-3420eb57.pth",
    ),
    "fcos_hrnetv2p-w18-gn-head_4xb4-1x_coco": (
        35.3,
        "hrnet/fcos_hrnetv2p_w18_gn-head_4x4_1x_coco/"
        "fcos_hrnetv2p_w18_gn-head_4x4_1x_coco_20201212_100710-4ad151de.pth",
    ),
    "fcos_hrnetv2p-w18-gn-head_4xb4-2x_coco": (
        38.2,
        "hrnet/fcos_hrnetv2p_w18_gn-head_4x4_2x_coco/"
        "fcos_hrnetv2p_w18_gn-head_4x4_2x_coco_20201212_101110-5c575fa5.pth",
    ),
    "fcos_hrnetv2p-w32-gn-head_4xb4-1x_coco": (
        39.5,
        "hrnet/fcos_hrnetv2p_w32_gn-head_4x4_1x_coco/"
        "fcos_hrnetv2p_w32_gn-head_4x4_1x_coco_20201211_134730-cb8055c0.pth",
    ),
    "fcos_hrnetv2p-w32-gn-head_4xb4-2x_coco": (
        40.8,
        "hrnet/fcos_hrnetv2p_w32_gn-head_4x4_2x_coco/"
        "fcos_hrnetv2p_w32_gn-head_4x4_2x_coco_20201212_112133-77b6b9bb.pth",
    ),
    "fcos_hrnetv2p-w18-gn-head_ms-640-800-4xb4-2x_coco": (
        38.3,
        "hrnet/fcos_hrnetv2p_w18_gn-head_mstrain_640-800_4x4_2x_coco/"
        "fcos_hrnetv2p_w18_gn-head_mstrain_640-800_4x4_2x_coco_20201212_111651-441e9d9f.pth",
    ),
    "fcos_hrnetv2p-w32-gn-head_ms-640-800-4xb4-2x_coco": (
        41.9,
        "hrnet/fcos_hrnetv2p_w32_gn-head_mstrain_640-800_4x4_2x_coco/"
        "fcos_hrnetv2p_w32_gn-head_mstrain_640-800_4x4_2x_coco_20201212_090846-b6f2b49f.pth",
    ),
    "fcos_hrnetv2p-w40-gn-head_ms-640-800-4xb4-2x_coco": (
        42.7,
        "hrnet/fcos_hrnetv2p_w40_gn-head_mstrain_640-800_4x4_2x_coco/"
        "fcos_hrnetv2p_w40_gn-head_mstrain_640-800_4x4_2x_coco_20201212_124752-f22d2ce5.pth",
    ),
    "atss_r50-caffe_fpn_dyhead_1x_coco": (
        42.5,
        "dyhead/atss_r50_fpn_dyhead_for_reproduction_1x_coco/"
        "atss_r50_fpn_dyhead_for_reproduction_4x4_1x_coco_20220107_213939-162888e6.pth",
    ),
    "atss_r50_fpn_dyhead_1x_coco": (
        43.3,
        "dyhead/atss_r50_fpn_dyhead_4x4_1x_coco/atss_r50_fpn_dyhead_4x4_1x_coco_20211219_023314-eaa620c6.pth",
    ),
}
