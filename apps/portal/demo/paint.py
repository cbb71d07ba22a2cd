"""The brush of the demo shop's pictures: flat SVG shapes with shading and patterns.

The canvas is 400 x 400; objects stand on y = 318 and hang from y = 0. A path given to `body` takes the
product's colour, its pattern and a soft light from the left; everything else is flat.
"""

from collections.abc import Callable
from dataclasses import dataclass

Shape = Callable[["Paint"], str]

METAL, METAL_DARK, METAL_LIGHT = "#c3c9cf", "#8b939b", "#e4e8eb"
WOOD, WOOD_DARK, PAPER, INK = "#c2935f", "#9a6f43", "#fbf7ef", "#34373d"
LEAF_GREEN, GOLD, FLAME = "#6f9468", "#d8b25a", "#f6b545"

# Backgrounds: the first row suits dark and vivid objects, the second pale ones.
_LIGHT = ("#f3e9dc", "#e6edf0", "#f4e1da", "#e2eadd", "#ebe5f1", "#f5ecd0", "#dde8ef", "#ece6df")
_DEEP = ("#c9b8a3", "#a9bcc6", "#d3a999", "#aebfa6", "#bdb0cd", "#d9c187", "#9db7c9", "#b9ada1")


def rgb(colour: str) -> tuple[int, int, int]:
    """'#rrggbb' as three integers."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def mix(first: str, second: str, share: float) -> str:
    """`first` with `share` (0 to 1) of `second` stirred in."""
    pairs = zip(rgb(first), rgb(second), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def luminance(colour: str) -> float:
    """Perceived lightness, 0 black to 1 white."""
    red, green, blue = rgb(colour)
    return (0.299 * red + 0.587 * green + 0.114 * blue) / 255


@dataclass(frozen=True)
class Paint:
    """Colours and choices of one picture.

    `form` is the noun's index (a shape may draw each noun differently), `turn` a number 0 to 5 that
    varies details, `pattern` the id of the fill to lay over bodies, empty for none.
    """

    main: str
    form: int
    turn: int
    pattern: str

    @property
    def light(self) -> str:
        return mix(self.main, "#ffffff", 0.35)

    @property
    def pale(self) -> str:
        return mix(self.main, "#ffffff", 0.68)

    @property
    def dark(self) -> str:
        return mix(self.main, "#1d1a2b", 0.25)

    @property
    def deep(self) -> str:
        return mix(self.main, "#1d1a2b", 0.5)

    @property
    def accent(self) -> str:
        """A second colour that goes with the main one: warm beside cool, light beside dark."""
        red, _, blue = rgb(self.main)
        options = ("#e2a65b", "#f0d9b5", "#e58f73") if blue >= red else ("#6f9aa6", "#f3e3c3", "#47607d")
        chosen = options[self.turn % 3]
        near = max(abs(a - b) for a, b in zip(rgb(chosen), rgb(self.main), strict=True)) < 60
        return "#f7f1e6" if near else chosen

    def body(self, path: str, fill: str = "") -> str:
        """A filled path with pattern and shading."""
        over = f'<path d="{path}" fill="url(#{self.pattern})"/>' if self.pattern else ""
        return f'<path d="{path}" fill="{fill or self.main}"/>{over}<path d="{path}" fill="url(#s)"/>'

    def smooth(self, path: str, fill: str = "") -> str:
        """A filled path with shading but no pattern."""
        return f'<path d="{path}" fill="{fill or self.main}"/><path d="{path}" fill="url(#s)"/>'


def flat(path: str, fill: str) -> str:
    """A plain filled path."""
    return f'<path d="{path}" fill="{fill}"/>'


def rect(x: float, y: float, width: float, height: float, fill: str, round_: float = 0) -> str:
    """A plain rectangle with rounded corners."""
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="{round_}" fill="{fill}"/>'


def box(x: float, y: float, width: float, height: float, round_: float = 0) -> str:
    """The path of a rounded rectangle, for `Paint.body`."""
    r = min(round_, width / 2, height / 2)
    return (
        f"M{x + r} {y}h{width - 2 * r}a{r} {r} 0 0 1 {r} {r}v{height - 2 * r}a{r} {r} 0 0 1 {-r} {r}"
        f"h{2 * r - width}a{r} {r} 0 0 1 {-r} {-r}v{2 * r - height}a{r} {r} 0 0 1 {r} {-r}z"
    )


def disc(x: float, y: float, radius: float, fill: str) -> str:
    """A plain circle."""
    return f'<circle cx="{x}" cy="{y}" r="{radius}" fill="{fill}"/>'


def oval(x: float, y: float, rx: float, ry: float, fill: str) -> str:
    """A plain ellipse."""
    return f'<ellipse cx="{x}" cy="{y}" rx="{rx}" ry="{ry}" fill="{fill}"/>'


def ring(x: float, y: float, rx: float, ry: float) -> str:
    """The path of an ellipse, for `Paint.body`."""
    return f"M{x - rx} {y}a{rx} {ry} 0 1 0 {2 * rx} 0a{rx} {ry} 0 1 0 {-2 * rx} 0z"


def line(path: str, stroke: str, width: float) -> str:
    """A stroked path with round ends."""
    return (
        f'<path d="{path}" fill="none" stroke="{stroke}" stroke-width="{width}"'
        ' stroke-linecap="round" stroke-linejoin="round"/>'
    )


def shade(x: float, y: float, rx: float) -> str:
    """The soft shadow an object throws on its ground."""
    return (
        f'<ellipse cx="{x}" cy="{y}" rx="{rx}" ry="{max(5.0, rx * 0.09):.1f}" fill="#1d1a2b" opacity=".16"/>'
    )


def background(main: str, turn: int) -> str:
    """A tint that sets the object off: pale for most, deeper when the object itself is pale."""
    pool = _DEEP if luminance(main) > 0.74 else _LIGHT
    ranked = sorted(pool, key=lambda tint: (abs(_warmth(tint) - _warmth(main)) < 0.08, tint))
    return ranked[turn % 5]


def _warmth(colour: str) -> float:
    red, _, blue = rgb(colour)
    return (red - blue) / 255
