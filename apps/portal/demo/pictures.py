"""The demo shop's product pictures: one SVG per product, drawn from its category, colour, style and size."""

import zlib
from pathlib import Path

from apps.portal.demo.paint import Paint, background, luminance, mix
from apps.portal.demo.shapes import fashion, gear, home, kitchen, living
from apps.portal.demo.wording import Look

SHAPES = kitchen.SHAPES | home.SHAPES | fashion.SHAPES | gear.SHAPES | living.SHAPES

# Goods whose surface carries a woven, printed or glazed pattern; metal and plastic stay plain.
_PATTERNED = {
    "mugs",
    "plates",
    "jars",
    "tea",
    "coffee",
    "chocolate",
    "lamps",
    "pendants",
    "vases",
    "plantpots",
    "candles",
    "cushions",
    "throws",
    "towels",
    "rugs",
    "tshirts",
    "shirts",
    "sweaters",
    "dresses",
    "scarves",
    "hats",
    "socks",
    "backpacks",
    "totes",
    "notebooks",
    "phonecases",
    "plush",
    "bottles",
    "sleepingbags",
    "yogamats",
    "tents",
    "handcream",
}
_PATTERNS = {
    "minimal": ("", "", "pin"),
    "nordic": ("", "check", "cross"),
    "rustic": ("speckle", "speckle", "pin"),
    "modern": ("", "block", "bars"),
    "classic": ("pin", "check", ""),
    "vintage": ("dots", "check", "wave"),
    "boho": ("zigzag", "wave", "diamond"),
    "playful": ("dots", "bars", "confetti"),
    "industrial": ("", "", "pin"),
    "sporty": ("slant", "", "block"),
}
_INK = 'fill="none" stroke="{c}" stroke-width="{w}"'


def _pattern(name: str, ink: str) -> str:
    """The definition of pattern `name` in translucent `ink`."""
    stroke = f'fill="none" stroke="{ink}"'
    tiles = {
        "pin": (18, 18, f'<path d="M9 0v18" {stroke} stroke-width="2"/>'),
        "bars": (10, 36, f'<path d="M0 9h10" {stroke} stroke-width="12"/>'),
        "slant": (34, 34, f'<path d="M-6 40L40-6" {stroke} stroke-width="9"/>'),
        "block": (400, 120, f'<path d="M0 30h400" {stroke} stroke-width="46"/>'),
        "check": (36, 36, f'<path d="M9 0v36M0 9h36" {stroke} stroke-width="10"/>'),
        "cross": (34, 34, f'<path d="M17 11v12M11 17h12" {stroke} stroke-width="4"/>'),
        "dots": (
            30,
            30,
            f'<circle cx="8" cy="8" r="5" fill="{ink}"/><circle cx="23" cy="23" r="5" fill="{ink}"/>',
        ),
        "speckle": (
            44,
            40,
            "".join(
                f'<circle cx="{x}" cy="{y}" r="{r}" fill="{ink}"/>'
                for x, y, r in ((6, 8, 2), (22, 20, 1.5), (36, 6, 2.4), (12, 32, 1.6), (32, 33, 2))
            ),
        ),
        "wave": (40, 26, f'<path d="M0 13c10-14 10 14 20 0s10 14 20 0" {stroke} stroke-width="5"/>'),
        "zigzag": (32, 30, f'<path d="M0 22l16-14 16 14" {stroke} stroke-width="5"/>'),
        "diamond": (44, 44, f'<path d="M22 8l14 14-14 14L8 22z" fill="{ink}"/>'),
        "confetti": (
            48,
            48,
            (
                f'<path d="M8 10l8 6M32 8l-3 9M12 34l9-2M36 32l5 8" '
                f'{stroke} stroke-width="5" stroke-linecap="round"/>'
            ),
        ),
    }
    width, height, content = tiles[name]
    return (
        f'<pattern id="p" width="{width}" height="{height}" patternUnits="userSpaceOnUse">{content}</pattern>'
    )


def _scenery(style: str, tint: str, turn: int) -> str:
    """What stands behind the object: quiet geometry that belongs to the style."""
    soft, warm = mix(tint, "#ffffff", 0.45), mix(tint, "#6b5a52", 0.12)
    return {
        "minimal": f'<path d="M0 296h400v104H0z" fill="{warm}"/>',
        "nordic": f'<circle cx="{190 + 6 * turn}" cy="190" r="150" '
        f'fill="{soft}"/><path d="M0 318h400v82H0z" fill="{warm}"/>',
        "rustic": f'<path d="M70 400V200a130 130 0 0 1 260 0v200z" '
        f'fill="{soft}"/><path d="M0 322h400v78H0z" fill="{warm}"/>',
        "modern": f'<path d="M0 400L400 {60 + 20 * turn}V400z" fill="{warm}"/>',
        "classic": f'<rect x="34" y="34" width="332" height="332" rx="22" fill="{soft}"/>',
        "vintage": f'<g fill="{soft}">'
        + "".join(
            f'<path d="M200 330L{x} -60h64z" transform="rotate({a} 200 330)"/>'
            for x, a in ((168, -60), (168, -30), (168, 0), (168, 30), (168, 60))
        )
        + f'</g><path d="M0 322h400v78H0z" fill="{warm}"/>',
        "boho": f'<path d="M0 250C60 120 150 60 230 90s120 30 170 {20 + 10 * turn}V400H0z" '
        f'fill="{soft}"/><circle cx="{310 - 14 * turn}" cy="92" r="44" fill="{warm}"/>',
        "playful": "".join(
            f'<circle cx="{x}" cy="{y}" r="{r}" fill="{soft if i % 2 else warm}"/>'
            for i, (x, y, r) in enumerate(
                (
                    (54, 66, 30),
                    (346, 88, 42),
                    (70, 330, 46),
                    (352, 318, 28),
                    (206, 30, 16),
                    (24, 196, 14),
                    (384, 204, 16),
                )
            )
        ),
        "industrial": f'<path d="M0 100h400M0 200h400M100 0v318M200 0v318M300 0v318" '
        f'stroke="{soft}" stroke-width="3"/><path d="M0 318h400v82H0z" fill="{warm}"/>',
        "sporty": f'<path d="M-20 330L250-40h70L-20 430zM120 420L420 10v96L190 420z" fill="{soft}"/>',
    }[style]


def picture(look: Look) -> str:
    """The whole SVG document of one product."""
    leaf = look.leaf
    seed = zlib.crc32(f"{look.brand.name}|{look.series}|{leaf.code}".encode())
    turn = seed % 6
    main = look.pack.hex
    patterns = _PATTERNS[look.style]
    name = patterns[(seed // 6) % len(patterns)] if leaf.code in _PATTERNED else ""
    paint = Paint(main=main, form=look.noun, turn=turn, pattern="p" if name else "")
    ink = "#ffffff66" if luminance(main) < 0.6 else "#3b2f2f2b"
    tint = background(main, seed // 36)
    scale = 1.0
    if look.size and len(leaf.sizes) > 1:
        scale = 0.86 + 0.16 * leaf.sizes.index(look.size) / (len(leaf.sizes) - 1)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 400" width="400" height="400"><defs>'
        '<linearGradient id="s" x1="0" x2="1"><stop offset="0" stop-color="#fff" stop-opacity=".2"/>'
        '<stop offset=".45" stop-color="#fff" stop-opacity="0"/>'
        '<stop offset="1" stop-color="#1d1a2b" stop-opacity=".2"/>'
        f"</linearGradient>{_pattern(name, ink) if name else ''}"
        f'</defs><rect width="400" height="400" fill="{tint}"/>'
        f"{_scenery(look.style, tint, turn)}"
        f'<g transform="translate(200 318) scale({scale:.3g}) '
        f'translate(-200 -318)">{SHAPES[leaf.code](paint)}</g></svg>'
    )


def pictures_write(*, skus: list[str], looks: list[Look], folder: Path) -> int:
    """Write `<sku>.svg` for every product into `folder`; returns how many files changed."""
    folder.mkdir(parents=True, exist_ok=True)
    changed = 0
    for sku, look in zip(skus, looks, strict=True):
        path, text = folder / f"{sku}.svg", picture(look)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed += 1
    return changed
