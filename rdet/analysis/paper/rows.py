"""The rows of the paper's tables, each with its config and its AP on COCO."""

from dataclasses import dataclass
from typing import NamedTuple

from rdet.errors import ConfigError


class AP(NamedTuple):
    """COCO's average precision in percent, as the paper prints it; None where it does not say."""

    ap: float | None
    ap50: float | None = None
    ap75: float | None = None


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        config: Path below ``configs/paper``, without ``.py``; the folder is the table.
        label: What the row is, in the paper's terms.
        paper: What the paper reports; None where it gives no number.
        seeds: With how many seeds it is trained at the small scale; 0: only COCO shows it.
        milliseconds: Time of an image on an Nvidia M40, where the paper reports it.
    """

    config: str
    label: str
    paper: AP | None = None
    seeds: int = 3
    milliseconds: float | None = None

    @property
    def table(self) -> str:
        """Name of the table: ``'1a'`` of ``'table_1a/alpha_10'``, ``'section_5_1'`` of ``'section_5_1/prior'``."""
        return self.config.split("/")[0].removeprefix("table_")


def _speed(depth: int, scale: int, paper: tuple, milliseconds: float) -> Row:
    label = f"ResNet-{depth}, {scale} pixels"
    return Row(f"table_1e/r{depth}_{scale}", label, AP(*paper), seeds=0, milliseconds=milliseconds)


ROWS = (
    Row("section_5_1/no_prior", "cross entropy without the prior"),
    Row("section_5_1/prior", "cross entropy, π = .01", AP(30.2)),
    Row("section_5_1/hinge", "hinge loss on p_t"),
    Row("table_1a/alpha_10", "CE, α = .10", AP(0.0, 0.0, 0.0)),
    Row("table_1a/alpha_25", "CE, α = .25", AP(10.8, 16.0, 11.7)),
    Row("table_1a/alpha_50", "CE, α = .50", AP(30.2, 46.7, 32.8)),
    Row("table_1a/alpha_75", "CE, α = .75", AP(31.1, 49.4, 33.0)),
    Row("table_1a/alpha_90", "CE, α = .90", AP(30.8, 49.7, 32.3)),
    Row("table_1a/alpha_99", "CE, α = .99", AP(28.7, 47.4, 29.9)),
    Row("table_1a/alpha_999", "CE, α = .999", AP(25.1, 41.7, 26.1)),
    Row("table_1b/gamma_0", "γ = 0, α = .75", AP(31.1, 49.4, 33.0)),
    Row("table_1b/gamma_0_1", "γ = 0.1, α = .75", AP(31.4, 49.9, 33.1)),
    Row("table_1b/gamma_0_2", "γ = 0.2, α = .75", AP(31.9, 50.7, 33.4)),
    Row("table_1b/gamma_0_5", "γ = 0.5, α = .50", AP(32.9, 51.7, 35.2)),
    Row("table_1b/gamma_1", "γ = 1, α = .25", AP(33.7, 52.0, 36.2)),
    Row("table_1b/gamma_2", "γ = 2, α = .25", AP(34.0, 52.5, 36.5)),
    Row("table_1b/gamma_5", "γ = 5, α = .25", AP(32.2, 49.6, 34.8)),
    Row("alpha_sweep/gamma_0_5_alpha_25", "γ = 0.5, α = .25"),
    Row("alpha_sweep/gamma_0_5_alpha_75", "γ = 0.5, α = .75"),
    Row("alpha_sweep/gamma_2_alpha_10", "γ = 2, α = .10"),
    # "alpha = .5 works nearly as well (.4 AP lower)" (section 5.1)
    Row("alpha_sweep/gamma_2_alpha_50", "γ = 2, α = .50", AP(33.6)),
    Row("alpha_sweep/gamma_2_alpha_75", "γ = 2, α = .75"),
    Row("alpha_sweep/gamma_5_alpha_10", "γ = 5, α = .10"),
    Row("alpha_sweep/gamma_5_alpha_50", "γ = 5, α = .50"),
    Row("alpha_sweep/gamma_5_alpha_75", "γ = 5, α = .75"),
    Row("table_1c/scales_1_ratios_1", "1 scale, 1 ratio", AP(30.3, 49.0, 31.8)),
    Row("table_1c/scales_2_ratios_1", "2 scales, 1 ratio", AP(31.9, 50.0, 34.0)),
    Row("table_1c/scales_3_ratios_1", "3 scales, 1 ratio", AP(31.8, 49.4, 33.7)),
    Row("table_1c/scales_1_ratios_3", "1 scale, 3 ratios", AP(32.4, 52.3, 33.9)),
    Row("table_1c/scales_2_ratios_3", "2 scales, 3 ratios", AP(34.2, 53.1, 36.5)),
    Row("table_1c/scales_3_ratios_3", "3 scales, 3 ratios", AP(34.0, 52.5, 36.5)),
    Row("table_1c/scales_4_ratios_3", "4 scales, 3 ratios", AP(33.8, 52.1, 36.2)),
    Row("table_1d/ohem_128_nms_7", "OHEM, 128, nms .7", AP(31.1, 47.2, 33.2)),
    Row("table_1d/ohem_256_nms_7", "OHEM, 256, nms .7", AP(31.8, 48.8, 33.9)),
    Row("table_1d/ohem_512_nms_7", "OHEM, 512, nms .7", AP(30.6, 47.0, 32.6)),
    Row("table_1d/ohem_128_nms_5", "OHEM, 128, nms .5", AP(32.8, 50.3, 35.1)),
    Row("table_1d/ohem_256_nms_5", "OHEM, 256, nms .5", AP(31.0, 47.4, 33.0)),
    Row("table_1d/ohem_512_nms_5", "OHEM, 512, nms .5", AP(27.6, 42.0, 29.2)),
    Row("table_1d/ohem_1_3_128_nms_5", "OHEM 1:3, 128, nms .5", AP(31.1, 47.2, 33.2)),
    Row("table_1d/ohem_1_3_256_nms_5", "OHEM 1:3, 256, nms .5", AP(28.3, 42.4, 30.3)),
    Row("table_1d/ohem_1_3_512_nms_5", "OHEM 1:3, 512, nms .5", AP(24.0, 35.5, 25.8)),
    Row("table_1d/focal_loss", "FL", AP(36.0, 54.9, 38.7)),
    _speed(50, 400, (30.5, 47.8, 32.7), 64),
    _speed(50, 500, (32.5, 50.9, 34.8), 72),
    _speed(50, 600, (34.3, 53.2, 36.9), 98),
    _speed(50, 700, (35.1, 54.2, 37.7), 121),
    _speed(50, 800, (35.7, 55.0, 38.5), 153),
    _speed(101, 400, (31.9, 49.5, 34.1), 81),
    _speed(101, 500, (34.4, 53.1, 36.8), 90),
    _speed(101, 600, (36.0, 55.2, 38.7), 122),
    _speed(101, 700, (37.1, 56.6, 39.8), 154),
    _speed(101, 800, (37.8, 57.5, 40.8), 198),
    Row("table_2/yolov2_d19", "YOLOv2, DarkNet-19", AP(21.6, 44.0, 19.2), seeds=0),
    Row("table_2/ssd513_r101", "SSD513, ResNet-101-SSD", AP(31.2, 50.4, 33.3), seeds=0),
    Row("table_2/dssd513_r101", "DSSD513, ResNet-101-DSSD", AP(33.2, 53.3, 35.2), seeds=0),
    Row("table_2/r101_800_jitter", "RetinaNet, ResNet-101-FPN", AP(39.1, 59.1, 42.3), seeds=0),
    Row("table_2/x101_32x8d_800_jitter", "RetinaNet, ResNeXt-101-FPN", AP(40.8, 61.1, 44.1), seeds=0),
    Row("table_3/cross_entropy", "CE", AP(31.1, 49.4, 33.0)),
    Row("table_3/focal_loss", "FL, γ = 2", AP(34.0, 52.5, 36.5)),
    Row("table_3/fl_star_2_1", "FL*, γ = 2, β = 1", AP(33.8, 52.7, 36.3)),
    Row("table_3/fl_star_4_0", "FL*, γ = 4, β = 0", AP(33.9, 51.8, 36.4)),
    # Figure 7 has many settings, without their numbers; here it has these, whose order no claim is about.
    *(
        Row(f"star_sweep/fl_star_{gamma}_{beta}", f"FL*, γ = {gamma}, β = {beta}", seeds=1)
        for gamma, beta in ((1, 1), (1, 2), (2, 0), (2, 2), (4, 1), (4, 2))
    ),
)


def rows_of(names: list[str]) -> list[Row]:
    """Find the rows of tables (``'1a'``, ``'section_5_1'``) and single rows (``'table_1a/alpha_75'``) in order.

    The order is the paper's. A table is also known by its folder (``'table_1a'``), a row by its file
    (``'table_1a/alpha_75.py'``).

    Raises:
        ConfigError: There is no such table or row.
    """
    names = [name.removesuffix(".py").removeprefix("" if "/" in name else "table_") for name in names]
    valid = {row.table for row in ROWS} | {row.config for row in ROWS}
    for name in names:
        if name not in valid:
            tables = ", ".join(dict.fromkeys(row.table for row in ROWS))
            raise ConfigError(
                f"the paper has no table or row {name!r}; tables: {tables}; a row is TABLE_FOLDER/CONFIG; name one"
            )
    return [row for row in ROWS if row.table in names or row.config in names]
