"""Care, stationery and toy silhouettes."""

from apps.portal.demo.paint import (
    GOLD,
    INK,
    LEAF_GREEN,
    METAL,
    METAL_DARK,
    PAPER,
    WOOD,
    Paint,
    Shape,
    box,
    disc,
    flat,
    line,
    oval,
    rect,
    ring,
    shade,
)


def soap(p: Paint) -> str:
    bubbles = "".join(
        f'<circle cx="{x}" cy="{y}" r="{r}" fill="#ffffff" opacity=".75"/>'
        for x, y, r in ((304, 120, 18), (332, 156, 11), (286, 84, 9))
    )
    if p.form == 1:
        return (
            shade(200, 318, 130)
            + oval(200, 304, 136, 16, WOOD)
            + p.body(box(92, 206, 216, 92, 42))
            + p.body(box(116, 140, 172, 78, 36), p.light)
            + oval(200, 178, 50, 18, p.pale)
            + bubbles
        )
    pump = rect(190, 74, 20, 60, METAL_DARK, 4) + line("M206 78h-66v16", METAL_DARK, 14)
    cap = rect(158, 84, 84, 42, p.deep, 10)
    return (
        shade(200, 320, 84)
        + (pump if p.form == 0 else cap)
        + rect(164, 122, 72, 20, p.dark, 6)
        + p.smooth(
            "M132 166a30 30 0 0 1 30-30h76a30 30 0 0 1 30 30v132a20 20 0 0 1-20 20h-96a20 20 0 0 1-20-20z"
        )
        + rect(150, 188, 100, 86, PAPER, 10)
        + flat("M200 256c-28-16-30-42 0-58 30 16 28 42 0 58z", LEAF_GREEN if p.turn % 2 else p.dark)
        + bubbles
    )


def handcream(p: Paint) -> str:
    if p.form == 1:
        return (
            shade(200, 318, 110)
            + p.smooth(box(100, 212, 200, 104, 26))
            + p.smooth(box(94, 166, 212, 58, 18), METAL if p.turn % 2 else WOOD)
            + rect(146, 240, 108, 50, PAPER, 25)
            + line("M166 264h68", p.dark, 6)
        )
    return (
        '<g transform="rotate(16 200 200)">'
        + rect(140, 70, 136, 258, "#1d1a2b1c", 20)
        + rect(166, 300, 68, 44, p.deep if p.turn % 2 else GOLD, 8)
        + p.body("M128 62h144l-30 244h-84z")
        + rect(122, 48, 156, 24, p.dark, 4)
        + "".join(line(f"M{x} 52v14", p.light, 3) for x in range(134, 272, 12))
        + f'<g transform="translate(200 164)">{_flower(p)}</g>'
        + line("M172 236h56M182 256h36", PAPER, 6)
        + "</g>"
    )


def _flower(p: Paint) -> str:
    petals = "".join(
        f'<ellipse cy="-22" rx="13" ry="20" fill="{PAPER}" transform="rotate({a})"/>'
        for a in range(0, 360, 60)
    )
    return petals + disc(0, 0, 11, p.accent)


def shampoo(p: Paint) -> str:
    body = (
        box(130, 128, 140, 190, 26),
        "M146 128h108c26 60 26 130 8 190H138c-18-60-18-130 8-190z",
        "M152 128h96c30 20 30 40 30 70v100a20 20 0 0 1-20 20H142a20 20 0 0 1-20-20V198c0-30 0-50 30-70z",
    )[p.form]
    top = (
        rect(166, 76, 68, 56, p.deep, 12)
        if p.turn % 2
        else rect(176, 104, 48, 28, p.deep, 5)
        + rect(192, 66, 16, 44, METAL_DARK)
        + line("M204 70h-52", METAL_DARK, 14)
    )
    waves = "".join(line(f"M152 {y}c16-14 32 14 48 0s32 14 48 0", p.dark, 6) for y in (214, 236, 258))
    return shade(200, 320, 88) + top + p.smooth(body) + rect(140, 186, 120, 98, PAPER, 12) + waves


def notebook(p: Paint) -> str:
    spiral = "".join(line(f"M116 {y}h24", METAL_DARK, 6) for y in range(92, 320, 22)) if p.form == 1 else ""
    strap = rect(254, 62, 13, 268, p.accent) if p.form != 1 else ""
    label = rect(160, 116, 76, 52, PAPER, 6) + line("M174 136h48M174 150h32", p.dark, 4)
    art = (label, disc(196, 176, 40, p.accent), line("M150 200c30-60 60-60 90 0", p.pale, 8))[p.turn % 3]
    return (
        '<g transform="rotate(-6 200 200)">'
        + rect(128, 70, 170, 270, "#1d1a2b22", 10)
        + rect(126, 66, 168, 262, PAPER, 8)
        + line("M288 80v240", "#d8d0c0", 4)
        + p.body(box(120, 62, 164, 268, 12))
        + rect(120, 62, 24, 268, p.dark, 10)
        + strap
        + spiral
        + f'<g transform="translate(6 0)">{art}</g>'
        + (flat("M180 330v34l9-9 9 9v-34z", p.accent) if p.form == 2 else "")
        + "</g>"
    )


def pen(p: Paint) -> str:
    metal = GOLD if p.turn % 2 else METAL
    nib = (
        flat("M182 300h36l-18 62z", metal) + line("M200 318v34", INK, 3),
        flat("M184 300h32l-10 44h-12z", metal) + flat("M194 344h12l-6 16z", INK),
        flat("M182 300h36l-14 50h-8z", p.dark) + flat("M196 350h8l-4 12z", INK),
    )[p.form]
    stroke = line("M62 330c40-30 60 20 100-4", p.deep, 6)
    return (
        stroke
        + '<g transform="rotate(38 200 200)">'
        + rect(186, 50, 44, 300, "#1d1a2b18", 20)
        + p.body(box(178, 36, 44, 152, 18))
        + p.body(box(178, 186, 44, 116, 4), p.dark)
        + rect(176, 180, 48, 12, metal, 3)
        + line("M214 52v92", metal, 8)
        + (rect(190, 18, 20, 24, metal, 5) if p.form == 2 else "")
        + nib
        + "</g>"
    )


def plush(p: Paint) -> str:
    ears = (
        disc(138, 96, 34, p.main)
        + disc(138, 96, 18, p.pale)
        + disc(262, 96, 34, p.main)
        + disc(262, 96, 18, p.pale),
        p.smooth(ring(166, 70, 22, 62))
        + oval(166, 74, 10, 42, p.pale)
        + p.smooth(ring(234, 70, 22, 62))
        + oval(234, 74, 10, 42, p.pale),
        flat("M124 128l6-66 60 34zM276 128l-6-66-60 34z", p.main)
        + flat("M138 108l4-28 28 16zM262 108l-4-28-28 16z", p.pale),
    )[p.form]
    whiskers = line("M150 158h-30M150 168l-28 8M250 158h30M250 168l28 8", INK, 3) if p.form == 2 else ""
    extra = (
        flat("M168 216l32 14 32-14v34l-32-14-32 14z", p.accent)
        if p.turn % 2
        else rect(156, 208, 88, 18, p.accent, 9)
    )
    return (
        shade(200, 328, 104)
        + line("M136 236c-34 10-44 30-48 54M264 236c34 10 44 30 48 54", p.dark, 36)
        + p.body(ring(200, 262, 76, 66))
        + oval(200, 272, 44, 42, p.pale)
        + p.smooth(ring(144, 312, 34, 22), p.dark)
        + p.smooth(ring(256, 312, 34, 22), p.dark)
        + ears
        + p.body(ring(200, 148, 86, 76))
        + oval(200, 176, 36, 26, p.pale)
        + disc(168, 140, 9, INK)
        + disc(232, 140, 9, INK)
        + oval(200, 166, 12, 8, INK)
        + line("M200 174v8M186 188c8 8 20 8 28 0", INK, 4)
        + whiskers
        + extra
    )


def blocks(p: Paint) -> str:
    arch = p.body("M130 318v-62a70 70 0 0 1 140 0v62h-36v-54a34 34 0 0 0-68 0v54z")
    cube = p.smooth(box(84, 254, 64, 64, 6), p.accent)
    roof = flat("M200 74l62 66H138z", p.accent)
    stack = "".join(
        p.body(box(140 + 10 * i, 268 - 46 * i, 120 - 20 * i, 42, 20), (p.main, p.accent, p.light, WOOD)[i])
        for i in range(4)
    )
    if p.form == 1:
        return (
            shade(200, 322, 110)
            + rect(126, 308, 148, 16, WOOD, 8)
            + rect(194, 92, 12, 220, WOOD, 6)
            + stack
            + disc(200, 100, 20, p.dark)
        )
    star = disc(304, 290, 28, GOLD) if p.form == 0 else flat("M272 318l32-60 32 60z", GOLD)
    return (
        shade(206, 322, 140)
        + arch
        + p.smooth(box(138, 140, 124, 48, 6), p.light)
        + (cube if p.turn % 2 else p.smooth(ring(104, 288, 30, 30), p.accent))
        + roof
        + star
    )


def picturebook(p: Paint) -> str:
    sky = disc(252, 126, 24, GOLD)
    hills = flat("M128 262c30-50 70-40 90-16 20-20 46-14 60 16v44a8 8 0 0 1-8 8H136a8 8 0 0 1-8-8z", p.dark)
    house = (
        rect(166, 206, 52, 46, PAPER, 3)
        + flat("M158 208l34-34 34 34z", p.accent)
        + rect(186, 226, 14, 26, p.deep)
    )
    fox = (
        flat("M158 250l8-46 24 18h24l24-18 8 46c-14 28-74 28-88 0z", "#e08a4c")
        + disc(186, 240, 5, INK)
        + disc(218, 240, 5, INK)
        + flat("M190 258h24l-12 12z", PAPER)
    )
    boat = (
        flat("M150 240h104l-20 28h-64z", p.accent)
        + line("M200 240v-66", INK, 5)
        + flat("M206 176l44 54h-44z", PAPER)
    )
    return (
        '<g transform="rotate(5 200 200)">'
        + rect(112, 74, 196, 262, "#1d1a2b22", 8)
        + rect(112, 70, 190, 256, PAPER, 6)
        + p.body(box(104, 64, 188, 256, 8))
        + rect(104, 64, 16, 256, p.deep, 6)
        + sky
        + hills
        + (house, fox, boat)[p.turn % 3]
        + rect(146, 86, 82, 14, PAPER, 7)
        + rect(146, 108, 56, 10, PAPER, 5)
        + "</g>"
    )


SHAPES: dict[str, Shape] = {
    "soap": soap,
    "handcream": handcream,
    "shampoo": shampoo,
    "notebooks": notebook,
    "pens": pen,
    "plush": plush,
    "blocks": blocks,
    "books": picturebook,
}
