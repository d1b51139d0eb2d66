"""Names of the layers of YOLOv3 in MMDetection and in rdet."""

LEVELS = 3
_BLOCKS_OF_DARKNET = (1, 2, 8, 8, 4)
_BLOCKS_OF_MOBILENET = (1, 2, 3, 4, 3, 3, 1)  # of MMDetection's layers; torchvision counts blocks without layers


def layers(mobile: bool) -> dict[str, str]:
    """List MMDetection's name of each layer -> rdet's, but for those that rdet has in three.

    Args:
        mobile: Whether the backbone is MobileNetV2, with torchvision's names, and not Darknet-53.
    """
    backbone = _mobilenet() if mobile else _darknet()
    found = {f"backbone.{theirs}": f"backbone.{ours}" for theirs, ours in backbone.items()}
    for level in range(LEVELS):  # MMDetection counts them from the highest, the detect blocks from 1
        mirrored = LEVELS - 1 - level
        for conv in range(5):
            found[f"neck.detect{level + 1}.conv{conv + 1}"] = f"neck.blocks.{mirrored}.{conv}"
        if level:
            found[f"neck.conv{level}"] = f"neck.reduce_layers.{mirrored}"
        found[f"bbox_head.convs_bridge.{level}"] = f"bbox_head.convs.{mirrored}"
    return found


def _darknet() -> dict[str, str]:
    found = {"conv1": "stem.0", "conv_res_block1.conv": "stem.1", "conv_res_block1.res0": "stem.2"}
    for stage, count in enumerate(_BLOCKS_OF_DARKNET[1:], start=1):
        found[f"conv_res_block{stage + 1}.conv"] = f"stage{stage}.0"
        found |= {f"conv_res_block{stage + 1}.res{block}": f"stage{stage}.{block + 1}" for block in range(count)}
    return found


def _mobilenet() -> dict[str, str]:
    found = {"conv1.conv": "features.0.0", "conv1.bn": "features.0.1"}
    places = [(layer + 1, block) for layer, count in enumerate(_BLOCKS_OF_MOBILENET) for block in range(count)]
    for index, (layer, block) in enumerate(places, start=1):
        theirs, ours = f"layer{layer}.{block}", f"features.{index}.conv"
        wide = [] if index == 1 else ["expand_conv"]  # the first block expands nothing
        for place, name in enumerate([*wide, "depthwise_conv"]):
            found |= {f"{theirs}.{name}.conv": f"{ours}.{place}.0", f"{theirs}.{name}.bn": f"{ours}.{place}.1"}
        last = len(wide) + 1
        found |= {f"{theirs}.linear_conv.conv": f"{ours}.{last}", f"{theirs}.linear_conv.bn": f"{ours}.{last + 1}"}
    return found
