"""Colours of classes."""

import colorsys

Color = tuple[int, int, int]

WHITE, BLACK, GREY = (255, 255, 255), (0, 0, 0), (150, 150, 150)

# The first seven are those of Okabe and Ito, "Color Universal Design" (2008), without black. The others follow by the
# method of Glasbey et al., "Colour displays for categorical images" (2007): each is the one that is farthest, in
# CIELAB, from its nearest before it; here in the worst of three views, the normal one and those of deuteranopes and
# protanopes (Machado et al., 2009). tests/visualization/test_colors.py makes them anew.
_TABLE = """
E69F00 56B4E9 009E73 F0E442 0072B2 D55E00 CC79A7 6611FF AAFFAA 5577FF 77FFFF BB1133 77BB66 99DDBB CCEE77 884477
1155BB 7799FF 55CCDD 4444DD BB2211 337744 DD7744 FF6688 993399 CCBB55 5577DD 88DD99 55BB99 DD4455 994466 6688BB
00DDCC 3399DD EE8833 DDCC44 BB5599 AADD77 55AABB 55FFDD 00DDFF 66FFBB EEEE66 9900BB 0066FF 55EEFF BBFF00 99DD88
6655DD CC5522 DD4466 FF8866 88AAFF AA6688 CC3333 6688FF 55BBDD 889944 993388 DDCC00 9911EE 775500 5577CC 55CC99
BB2244 AAFF99 44BBBB 66BBAA FF8888 118866 DD8800 FF3333 EE00BB 77FFCC 2255FF 44DDDD 226644 44CCFF BBBB22 88DDAA
00AACC BB0077 CC7799 55AA77 CCBB44 FFCC66 336622 66FFEE 448855 22AAAA DD1144 2266CC 006699 DD0055 BBAA44 77CCAA
"""
PALETTE: tuple[Color, ...] = tuple(tuple(bytes.fromhex(code)) for code in _TABLE.split())


def class_color(label: int) -> Color:
    """Return the RGB colour of a class, always the same, and unlike those of the first 96 classes.

    Of the classes after those, the hue goes on by the golden ratio, and the brightness changes every eight.
    """
    if 0 <= label < len(PALETTE):
        return PALETTE[label]
    rgb = colorsys.hsv_to_rgb(label * 0.6180339887 % 1, 0.8, (1.0, 0.75, 0.9)[label // 8 % 3])
    return tuple(round(255 * channel) for channel in rgb)


def ink_on(color: Color) -> Color:
    """Return black or white, whichever can be read on a colour."""
    return BLACK if brightness(color) > 120 else WHITE


def halo_of(color: Color) -> Color:
    """Return a dark or a light colour that sets a line off from an image of the line's own colour."""
    return (30, 30, 30) if brightness(color) > 90 else (235, 235, 235)


def brightness(color: Color) -> float:
    """Compute how bright a colour is seen, 0 to 255 (ITU-R BT.601)."""
    return 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]
