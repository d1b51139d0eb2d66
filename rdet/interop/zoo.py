"""Where released detectors of other projects are: names, addresses, checksums."""

from dataclasses import dataclass
from pathlib import Path

from rdet.errors import ConfigError
from rdet.interop.zoo_backbones import OF_OTHER_BACKBONES
from rdet.interop.zoo_heads import OF_OTHER_HEADS
from rdet.messages import nearest

_MMDETECTION = "https://download.openmmlab.com/mmdetection/v2.0/"
_MMDETECTION_3 = "https://download.openmmlab.com/mmdetection/v3.0/"
_DETECTRON2 = "https://dl.fbaipublicfiles.com/detectron2/COCO-Detection/"
_YOLOX = "https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/"
_TORCHVISION = "https://download.pytorch.org/models/"

# Name of the config in MMDetection 3 -> published box AP on COCO val2017, and where the weights are. The folder is the
# config's name in MMDetection 2, by which they can be asked for too. From its `configs/*/metafile.yml`; TOOD
# with anchors is left out.
_OF_MMDETECTION = {
    "retinanet_r18_fpn_1x_coco": (
        31.7,
        "retinanet/retinanet_r18_fpn_1x_coco/retinanet_r18_fpn_1x_coco_20220407_171055-614fd399.pth",
    ),
    "retinanet_r18_fpn_1xb8-1x_coco": (
        31.7,
        "retinanet/retinanet_r18_fpn_1x8_1x_coco/retinanet_r18_fpn_1x8_1x_coco_20220407_171255-4ea310d7.pth",
    ),
    "retinanet_r50-caffe_fpn_1x_coco": (
        36.3,
        "retinanet/retinanet_r50_caffe_fpn_1x_coco/retinanet_r50_caffe_fpn_1x_coco_20200531-f11027c5.pth",
    ),
    "retinanet_r50_fpn_1x_coco": (
        36.5,
        "retinanet/retinanet_r50_fpn_1x_coco/retinanet_r50_fpn_1x_coco_20200130-c2398f9e.pth",
    ),
    "retinanet_r50_fpn_amp-1x_coco": (
        36.4,
        "fp16/retinanet_r50_fpn_fp16_1x_coco/retinanet_r50_fpn_fp16_1x_coco_20200702-0dbfb212.pth",
    ),
    "retinanet_r50_fpn_2x_coco": (
        37.4,
        "retinanet/retinanet_r50_fpn_2x_coco/retinanet_r50_fpn_2x_coco_20200131-fdb43119.pth",
    ),
    "retinanet_r50_fpn_ms-640-800-3x_coco": (
        39.5,
        "retinanet/retinanet_r50_fpn_mstrain_3x_coco/retinanet_r50_fpn_mstrain_3x_coco_20210718_220633-88476508.pth",
    ),
    "retinanet_r101-caffe_fpn_1x_coco": (
        38.5,
        "retinanet/retinanet_r101_caffe_fpn_1x_coco/retinanet_r101_caffe_fpn_1x_coco_20200531-b428fa0f.pth",
    ),
    "retinanet_r101-caffe_fpn_ms-3x_coco": (
        40.7,
        "retinanet/retinanet_r101_caffe_fpn_mstrain_3x_coco/"
        "retinanet_r101_caffe_fpn_mstrain_3x_coco_20210721_063439-88a8a944.pth",
    ),
    "retinanet_r101_fpn_1x_coco": (
        38.5,
        "retinanet/retinanet_r101_fpn_1x_coco/retinanet_r101_fpn_1x_coco_20200130-7a93545f.pth",
    ),
    "retinanet_r101_fpn_2x_coco": (
        38.9,
        "retinanet/retinanet_r101_fpn_2x_coco/retinanet_r101_fpn_2x_coco_20200131-5560aee8.pth",
    ),
    "retinanet_r101_fpn_ms-640-800-3x_coco": (
        41.0,
        "retinanet/retinanet_r101_fpn_mstrain_3x_coco/retinanet_r101_fpn_mstrain_3x_coco_20210720_214650-7ee888e0.pth",
    ),
    "retinanet_x101-32x4d_fpn_1x_coco": (
        39.9,
        "retinanet/retinanet_x101_32x4d_fpn_1x_coco/retinanet_x101_32x4d_fpn_1x_coco_20200130-5c8b7ec4.pth",
    ),
    "retinanet_x101-32x4d_fpn_2x_coco": (
        40.1,
        "retinanet/retinanet_x101_32x4d_fpn_2x_coco/retinanet_x101_32x4d_fpn_2x_coco_20200131-237fc5e1.pth",
    ),
    "retinanet_x101-64x4d_fpn_1x_coco": (
        41.0,
        "retinanet/retinanet_x101_64x4d_fpn_1x_coco/retinanet_x101_64x4d_fpn_1x_coco_20200130-366f5af1.pth",
    ),
    "retinanet_x101-64x4d_fpn_2x_coco": (
        40.8,
        "retinanet/retinanet_x101_64x4d_fpn_2x_coco/retinanet_x101_64x4d_fpn_2x_coco_20200131-bca068ab.pth",
    ),
    "retinanet_x101-64x4d_fpn_ms-640-800-3x_coco": (
        41.6,
        "retinanet/retinanet_x101_64x4d_fpn_mstrain_3x_coco/"
        "retinanet_x101_64x4d_fpn_mstrain_3x_coco_20210719_051838-022c2187.pth",
    ),
    "fcos_r50-caffe_fpn_gn-head_1x_coco": (
        36.6,
        "fcos/fcos_r50_caffe_fpn_gn-head_1x_coco/fcos_r50_caffe_fpn_gn-head_1x_coco-821213aa.pth",
    ),
    "fcos_r50-caffe_fpn_gn-head-center-normbbox-centeronreg-giou_1x_coco": (
        38.7,
        "fcos/fcos_center-normbbox-centeronreg-giou_r50_caffe_fpn_gn-head_1x_coco/"
        "fcos_center-normbbox-centeronreg-giou_r50_caffe_fpn_gn-head_1x_coco-0a0d75a8.pth",
    ),
    "fcos_r101-caffe_fpn_gn-head-1x_coco": (
        39.1,
        "fcos/fcos_r101_caffe_fpn_gn-head_1x_coco/fcos_r101_caffe_fpn_gn-head_1x_coco-0e37b982.pth",
    ),
    "fcos_r50-caffe_fpn_gn-head_ms-640-800-2x_coco": (
        38.5,
        "fcos/fcos_r50_caffe_fpn_gn-head_mstrain_640-800_2x_coco/"
        "fcos_r50_caffe_fpn_gn-head_mstrain_640-800_2x_coco-d92ceeea.pth",
    ),
    "fcos_r101-caffe_fpn_gn-head_ms-640-800-2x_coco": (
        40.8,
        "fcos/fcos_r101_caffe_fpn_gn-head_mstrain_640-800_2x_coco/"
        "fcos_r101_caffe_fpn_gn-head_mstrain_640-800_2x_coco-511424d6.pth",
    ),
    "fcos_x101-64x4d_fpn_gn-head_ms-640-800-2x_coco": (
        42.6,
        "fcos/fcos_x101_64x4d_fpn_gn-head_mstrain_640-800_2x_coco/"
        "fcos_x101_64x4d_fpn_gn-head_mstrain_640-800_2x_coco-ede514a8.pth",
    ),
    "atss_r50_fpn_1x_coco": (39.4, "atss/atss_r50_fpn_1x_coco/atss_r50_fpn_1x_coco_20200209-985f7bd0.pth"),
    "atss_r101_fpn_1x_coco": (41.5, "atss/atss_r101_fpn_1x_coco/atss_r101_fpn_1x_20200825-dfcadd6f.pth"),
    "gfl_r50_fpn_1x_coco": (40.2, "gfl/gfl_r50_fpn_1x_coco/gfl_r50_fpn_1x_coco_20200629_121244-25944287.pth"),
    "gfl_r50_fpn_ms-2x_coco": (
        42.9,
        "gfl/gfl_r50_fpn_mstrain_2x_coco/gfl_r50_fpn_mstrain_2x_coco_20200629_213802-37bb1edc.pth",
    ),
    "gfl_r101_fpn_ms-2x_coco": (
        44.7,
        "gfl/gfl_r101_fpn_mstrain_2x_coco/gfl_r101_fpn_mstrain_2x_coco_20200629_200126-dd12f847.pth",
    ),
    "gfl_x101-32x4d_fpn_ms-2x_coco": (
        45.9,
        "gfl/gfl_x101_32x4d_fpn_mstrain_2x_coco/gfl_x101_32x4d_fpn_mstrain_2x_coco_20200630_102002-50c1ffdb.pth",
    ),
    "vfnet_r50_fpn_1x_coco": (41.6, "vfnet/vfnet_r50_fpn_1x_coco/vfnet_r50_fpn_1x_coco_20201027-38db6f58.pth"),
    "vfnet_r50_fpn_ms-2x_coco": (
        44.5,
        "vfnet/vfnet_r50_fpn_mstrain_2x_coco/vfnet_r50_fpn_mstrain_2x_coco_20201027-7cc75bd2.pth",
    ),
    "vfnet_r101_fpn_1x_coco": (43.0, "vfnet/vfnet_r101_fpn_1x_coco/vfnet_r101_fpn_1x_coco_20201027pth-c831ece7.pth"),
    "vfnet_r101_fpn_ms-2x_coco": (
        46.2,
        "vfnet/vfnet_r101_fpn_mstrain_2x_coco/vfnet_r101_fpn_mstrain_2x_coco_20201027pth-4a5d53f1.pth",
    ),
    "tood_r101_fpn_ms-2x_coco": (
        46.1,
        "tood/tood_r101_fpn_mstrain_2x_coco/tood_r101_fpn_mstrain_2x_coco_20211210_144232-a18f53c8.pth",
    ),
    "tood_x101-64x4d_fpn_ms-2x_coco": (
        47.6,
        "tood/tood_x101_64x4d_fpn_mstrain_2x_coco/tood_x101_64x4d_fpn_mstrain_2x_coco_20211211_003519-a4f36113.pth",
    ),
    "tood_r50_fpn_1x_coco": (42.4, "tood/tood_r50_fpn_1x_coco/tood_r50_fpn_1x_coco_20211210_103425-20e20746.pth"),
    "tood_r50_fpn_ms-2x_coco": (
        44.5,
        "tood/tood_r50_fpn_mstrain_2x_coco/tood_r50_fpn_mstrain_2x_coco_20211210_144231-3b23174c.pth",
    ),
    "yolov3_d53_8xb8-320-273e_coco": (27.9, "yolo/yolov3_d53_320_273e_coco/yolov3_d53_320_273e_coco-421362b6.pth"),
    "yolov3_d53_8xb8-ms-416-273e_coco": (
        30.9,
        "yolo/yolov3_d53_mstrain-416_273e_coco/yolov3_d53_mstrain-416_273e_coco-2b60fcd9.pth",
    ),
    "yolov3_d53_8xb8-ms-608-273e_coco": (
        33.7,
        "yolo/yolov3_d53_mstrain-608_273e_coco/yolov3_d53_mstrain-608_273e_coco_20210518_115020-a2c3acb8.pth",
    ),
    "yolov3_d53_8xb8-amp-ms-608-273e_coco": (
        33.8,
        "yolo/yolov3_d53_fp16_mstrain-608_273e_coco/yolov3_d53_fp16_mstrain-608_273e_coco_20210517_213542-4bc34944.pth",
    ),
    "yolov3_mobilenetv2_8xb24-320-300e_coco": (
        22.2,
        "yolo/yolov3_mobilenetv2_320_300e_coco/yolov3_mobilenetv2_320_300e_coco_20210719_215349-d18dff72.pth",
    ),
    "yolov3_mobilenetv2_8xb24-ms-416-300e_coco": (
        23.9,
        "yolo/yolov3_mobilenetv2_mstrain-416_300e_coco/"
        "yolov3_mobilenetv2_mstrain-416_300e_coco_20210718_010823-f68a07b3.pth",
    ),
    "yolox_tiny_8xb8-300e_coco": (
        32.0,
        "yolox/yolox_tiny_8x8_300e_coco/yolox_tiny_8x8_300e_coco_20211124_171234-b4047906.pth",
    ),
    "yolox_s_8xb8-300e_coco": (
        40.5,
        "yolox/yolox_s_8x8_300e_coco/yolox_s_8x8_300e_coco_20211121_095711-4592a793.pth",
    ),
    "yolox_l_8xb8-300e_coco": (
        49.4,
        "yolox/yolox_l_8x8_300e_coco/yolox_l_8x8_300e_coco_20211126_140236-d3bd2b23.pth",
    ),
    "yolox_x_8xb8-300e_coco": (
        50.9,
        "yolox/yolox_x_8x8_300e_coco/yolox_x_8x8_300e_coco_20211126_140254-1ef88d67.pth",
    ),
}
# The same of its version 3, whose folder is the config's name.
_OF_MMDETECTION_3 = {
    "rtmdet_tiny_8xb32-300e_coco": (
        40.9,
        "rtmdet/rtmdet_tiny_8xb32-300e_coco/rtmdet_tiny_8xb32-300e_coco_20220902_112414-78e30dcc.pth",
    ),
    "rtmdet_s_8xb32-300e_coco": (
        44.5,
        "rtmdet/rtmdet_s_8xb32-300e_coco/rtmdet_s_8xb32-300e_coco_20220905_161602-387a891e.pth",
    ),
    "rtmdet_m_8xb32-300e_coco": (
        49.1,
        "rtmdet/rtmdet_m_8xb32-300e_coco/rtmdet_m_8xb32-300e_coco_20220719_112220-229f527c.pth",
    ),
    "rtmdet_l_8xb32-300e_coco": (
        51.3,
        "rtmdet/rtmdet_l_8xb32-300e_coco/rtmdet_l_8xb32-300e_coco_20220719_112030-5a0be7c4.pth",
    ),
    "rtmdet_x_8xb32-300e_coco": (
        52.6,
        "rtmdet/rtmdet_x_8xb32-300e_coco/rtmdet_x_8xb32-300e_coco_20220715_230555-cc79b9ae.pth",
    ),
}
_OF_DETECTRON2 = {
    "retinanet_R_50_FPN_1x": (37.4, "retinanet_R_50_FPN_1x/190397773/model_final_bfca0b.pkl"),
    "retinanet_R_50_FPN_3x": (38.7, "retinanet_R_50_FPN_3x/190397829/model_final_5bd44e.pkl"),
    "retinanet_R_101_FPN_3x": (40.4, "retinanet_R_101_FPN_3x/190397697/model_final_971ab9.pkl"),
}
_OF_TORCHVISION = {
    "retinanet_resnet50_fpn": (36.4, "retinanet_resnet50_fpn_coco-eeacb38b.pth"),
    "retinanet_resnet50_fpn_v2": (41.5, "retinanet_resnet50_fpn_v2_coco-5905b1c5.pth"),
    "fcos_resnet50_fpn": (39.2, "fcos_resnet50_fpn_coco-99b0c9b7.pth"),
}


@dataclass(frozen=True)
class Release:
    """A released file.

    Attributes:
        name: How it is asked for, ``project://name``.
        address: Where it is.
        algorithm: ``'sha256'`` or ``'md5'``.
        checksum: First hexadecimal digits of the file's checksum, or all; in most files the name ends in them.
        box_ap: Published box AP on COCO val2017.
    """

    name: str
    address: str
    algorithm: str
    checksum: str
    box_ap: float

    @property
    def style(self) -> str:
        """Kind of the backbone: ``'caffe'`` for all of Detectron2's, and where MMDetection's name says it."""
        return (
            "caffe" if self.name.startswith(("detectron2://", "mmdet://yolof")) or "caffe" in self.name else "pytorch"
        )


def _release(project: str, name: str, base: str, box_ap: float, path: str, algorithm: str) -> Release:
    digits = path.rpartition(".")[0].replace("_", "-").rpartition("-")[2]
    return Release(f"{project}://{name}", base + path, algorithm, digits, box_ap)


# The digits are the start of SHA-256 in MMDetection's and torchvision's names, of MD5 in Detectron2's.
RELEASES = {
    release.name: release
    for project, base, algorithm, table in (
        ("mmdet", _MMDETECTION, "sha256", _OF_MMDETECTION),
        *(("mmdet", _MMDETECTION, "sha256", table) for table in (OF_OTHER_BACKBONES, *OF_OTHER_HEADS)),
        ("mmdet", _MMDETECTION_3, "sha256", _OF_MMDETECTION_3),
        ("detectron2", _DETECTRON2, "md5", _OF_DETECTRON2),
        ("torchvision", _TORCHVISION, "sha256", _OF_TORCHVISION),
    )
    for release in (_release(project, name, base, *entry, algorithm) for name, entry in table.items())
}
# An export in another repository, at one commit: the authors' own file is on a drive that needs a browser.
_NANODET = Release(
    "nanodet://nanodet_m_416",
    "https://raw.githubusercontent.com/DefTruth/nanodet.lite.ai.toolkit/c96fa66fa634f53adca3f944474bb494ecc951a2/"
    "examples/hub/onnx/cv/nanodet_m_416.onnx",
    "sha256",
    "4b82da9944b88577175ee23a459dce2e26e6e4be573def65b1055dc2d9720186",
    23.5,
)
RELEASES[_NANODET.name] = _NANODET
# Box AP on val2017 as YOLOX's README lists it, and SHA-256, which others that ship these files give.
_OF_YOLOX = {
    "nano": (25.8, "cd28f55fbbc1829f99d9ac9b38a16d259a22889739c8728ea877610201feff7b"),
    "tiny": (32.8, "9de513de589ac98bb92d3bca53b5af7b9acfa9b0bacb831f7999d0f7afaee8f0"),
    "s": (40.5, "f55ded7181e1b0c13285c56e7790b8f0e8f8db590fe4edb37f0b7f345c913a30"),
    "m": (46.9, "60076992b32da82951c90cfa7bd6ab70eba9eda243e08b940a396f60ac2d19b6"),
    "l": (49.7, "1e6b7fa6240375370b2a8a8eab9066b3cdd43fd1d0bfa8d2027fd3a51def2917"),
    "x": (51.1, "5652330b6ae860043f091b8f550a60c10e1129f416edfdb65c259be6caf355cf"),
}
for _size, (_box_ap, _checksum) in _OF_YOLOX.items():
    _name = f"yolox://yolox_{_size}"
    RELEASES[_name] = Release(_name, f"{_YOLOX}yolox_{_size}.pth", "sha256", _checksum, _box_ap)
PROJECTS = ("mmdet", "detectron2", "torchvision", "nanodet", "yolox")

_OLD_NAMES = {
    f"mmdet://{release.address.split('/')[-2]}": release.name
    for release in RELEASES.values()
    if release.name.startswith("mmdet://")
}


def is_name(source: str) -> bool:
    """Tell whether ``source`` asks for a released detector: ``project://name``."""
    return str(source).startswith(tuple(f"{project}://" for project in PROJECTS))


def check_name(source: str | Path) -> None:
    """Raise if what should be a path or a name looks like the name of a released detector and is none.

    Raises:
        ConfigError: It begins with another ``project://`` than rdet knows; or no file is there, and a project has a
            detector of that name.
    """
    project, is_there, _ = str(source).partition("://")
    if is_there and project not in (*PROJECTS, "http", "https"):
        valid = [f"{name}://" for name in PROJECTS]
        raise ConfigError(
            f"{source}: released detectors have no {project + '://'!r}. {nearest(project + '://', valid)}"
        )
    names = [name for name in (f"{project}://{source}" for project in PROJECTS) if name in {*RELEASES, *_OLD_NAMES}]
    if names and not Path(source).exists():
        raise ConfigError(f"there is no file {source}. Did you mean {' or '.join(map(repr, names))}?")


def release(name: str) -> Release:
    """Find a released detector.

    Args:
        name: ``mmdet://atss_r50_fpn_1x_coco``, ``detectron2://retinanet_R_50_FPN_3x``,
            ``torchvision://retinanet_resnet50_fpn_v2``, ...; of MMDetection's the names of its releases 2 and 3.

    Raises:
        ConfigError: There is none of that name.
    """
    name = _OLD_NAMES.get(name, name)
    if name not in RELEASES:
        project = name.partition("://")[0]
        valid = [known for known in RELEASES if known.startswith(f"{project}://")]
        raise ConfigError(f"no released detector is called {name!r}. {nearest(name, valid, all_valid=False)}")
    return RELEASES[name]


def release_of_file(filename: str) -> Release | None:
    """Find the release that a file of this name is, or None."""
    return next((found for found in RELEASES.values() if found.address.endswith(f"/{filename}")), None)
