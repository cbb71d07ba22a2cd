"""Kitchen and pantry silhouettes."""

from apps.portal.demo.paint import (
    GOLD,
    INK,
    LEAF_GREEN,
    METAL,
    METAL_DARK,
    METAL_LIGHT,
    PAPER,
    WOOD,
    WOOD_DARK,
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


def mug(p: Paint) -> str:
    steam = "".join(
        line(f"M{x} 112c-12-14 12-22 0-38", "#ffffff", 6) for x in (165, 200, 235)[: 2 + p.turn % 2]
    )
    if p.form == 2:
        return (
            shade(200, 312, 130)
            + oval(200, 304, 124, 15, p.light)
            + oval(200, 300, 94, 9, p.dark)
            + line("M285 205c52-6 50 66-18 60", p.main, 17)
            + p.body("M108 180h184c0 78-32 118-92 118s-92-40-92-118z")
            + oval(200, 180, 92, 17, p.dark)
            + oval(200, 183, 78, 12, "#6b4632")
            + steam
        )
    top, inset = (140, 0) if p.form == 0 else (132, 14)
    handle = (
        "M272 180c66-8 66 92-4 84" if p.turn % 2 else "M274 178h30a18 18 0 0 1 18 18v48a18 18 0 0 1-18 18h-34"
    )
    return (
        shade(205, 316, 100)
        + line(handle, p.dark, 20)
        + p.body(f"M120 {top}h160l{-inset} 158a18 18 0 0 1-18 18H{138 + inset}a18 18 0 0 1-18-18z")
        + oval(200, top, 80, 15, p.dark)
        + oval(200, top + 3, 67, 10, "#6b4632" if p.turn < 4 else "#a9783c")
        + steam
    )


def plate(p: Paint) -> str:
    inner = 84 if p.form == 2 else 100
    return (
        disc(204, 208, 132, "#1d1a2b22")
        + p.body(ring(200, 200, 130, 130), p.light if p.form == 2 else "")
        + p.body(ring(200, 200, inner, inner))
        + disc(200, 200, inner - 12, p.pale if p.turn % 2 else p.light)
        + (
            line(
                "M200 250c-4-40 4-70 0-104M200 190c-22-4-30-18-30-34 "
                "20 2 30 14 30 34zM200 214c22-4 32-18 32-34"
                "-22 2-32 14-32 34z",
                LEAF_GREEN,
                5,
            )
            if p.turn > 2
            else ""
        )
    )


def pan(p: Paint) -> str:
    depth = 26 if p.form != 1 else 52
    return (
        shade(165, 300, 125)
        + line("M268 236L372 196", p.deep if p.turn % 2 else WOOD_DARK, 22)
        + line("M268 236L300 224", METAL_DARK, 22)
        + p.body(f"M42 238h238l-22 {depth + 26}a20 20 0 0 1-18 12H82a20 20 0 0 1-18-12z")
        + oval(161, 238, 119, 26, p.dark)
        + oval(161, 241, 104, 20, p.deep)
        + oval(130, 238, 26, 8, PAPER)
        + disc(128, 235, 9, GOLD)
        + line("M196 206c-10-14 10-20 0-36M232 210c-10-14 10-20 0-36", "#ffffff", 5)
    )


def knife(p: Paint) -> str:
    blade = (
        "M70 200h188v42c-70 6-150-2-188-42z",
        "M74 186h184v60H124c-28 0-48-22-50-60z",
        "M86 206h172v30c-60 4-130 0-172-30z",
    )[p.form]
    return (
        f'<g transform="rotate(-32 200 210)">{shade(214, 276, 150)}'
        + flat(blade, METAL)
        + line("M96 214c50 22 110 24 160 22", METAL_LIGHT, 5)
        + rect(256, 186, 16, 62, METAL_DARK, 4)
        + p.smooth("M270 190h92a18 18 0 0 1 18 22l-5 26a14 14 0 0 1-18 10c-30-12-56-12-87-8z")
        + "".join(disc(x, 214, 5, GOLD) for x in (294, 324, 354))
        + "</g>"
    )


def kettle(p: Paint) -> str:
    spout = "M262 262c60-8 34-92 70-116" if p.form == 1 else "M262 250l62-70"
    return (
        shade(196, 316, 110)
        + line(spout, p.dark, 13 if p.form == 1 else 24)
        + (
            line("M122 176c-64-14-66 96 0 92", WOOD, 15)
            if p.form == 1
            else line("M128 176C120 70 270 70 262 176", WOOD if p.turn % 2 else INK, 15)
        )
        + p.body("M118 190c0-34 34-48 78-48s78 14 78 48l18 102a22 22 0 0 1-22 24H122a22 22 0 0 1-22-24z")
        + oval(196, 152, 52, 14, p.light)
        + disc(196, 136, 12, WOOD if p.turn % 2 else INK)
    )


def jar(p: Paint) -> str:
    low = p.form == 2
    top = 160 if low else 128
    return (
        shade(200, 316, 92)
        + p.smooth(box(118, top, 164, 316 - top, 26), p.pale)
        + p.body(f"M118 {top + 66}h164v{224 - top}a26 26 0 0 1-26 26H144a26 26 0 0 1-26-26z")
        + rect(150, top + 76, 100, 50, PAPER, 8)
        + line(f"M168 {top + 94}h64M180 {top + 110}h40", p.dark, 5)
        + rect(128, top - 8, 144, 16, METAL_LIGHT, 6)
        + p.smooth(box(122, top - 40, 156, 36, 12), WOOD if p.turn % 2 else p.dark)
        + (disc(200, top - 52, 13, WOOD_DARK) if p.turn % 3 == 0 else "")
    )


def _bag(p: Paint, mark: str) -> str:
    return (
        shade(200, 318, 92)
        + p.body("M122 118h156l10 200H112z")
        + flat("M122 118h156l-8-34H130z", p.dark)
        + line("M132 100h136", p.light, 5)
        + rect(146, 172, 108, 106, PAPER, 10)
        + mark
    )


def coffee(p: Paint) -> str:
    bean = "".join(
        f'<g transform="rotate({turn} {x} {y})">{oval(x, y, 15, 22, "#6b4632")}'
        f"{line(f'M{x} {y - 18}c8 12-8 24 0 36', '#3f291d', 4)}</g>"
        for x, y, turn in ((178, 216, 24), (222, 216, -24), (200, 250, 90))[: 2 + p.turn % 2]
    )
    return (
        _bag(p, bean + line("M170 188h60", p.dark, 6))
        + disc(200, 142, 9, PAPER)
        + _loose(("#6b4632", "#4d3122"))
    )


def _loose(colours: tuple[str, str]) -> str:
    spots = ((86, 312), (66, 318), (318, 314), (336, 319), (304, 320))
    return "".join(oval(x, y, 11, 7, colours[i % 2]) for i, (x, y) in enumerate(spots))


def tea(p: Paint) -> str:
    leaf = line("M200 262c-2-24 2-44 0-62", LEAF_GREEN, 5) + flat(
        "M200 226c-34-2-40-26-38-40 26 0 38 16 38 40zM200 206c30-2 38-24 36-38-24 0-36 14-36 38z", LEAF_GREEN
    )
    if p.form == 0:
        return _bag(p, leaf)
    if p.form == 2:
        return (
            shade(200, 318, 110)
            + p.body(box(96, 150, 208, 168, 10))
            + flat("M96 186l104 34 104-34v-26a10 10 0 0 0-10-10H106a10 10 0 0 0-10 10z", p.dark)
            + rect(150, 214, 100, 86, PAPER, 8)
            + f'<g transform="translate(0 24)">{leaf}</g>'
            + line("M262 150c26-46 40-20 62-46", PAPER, 4)
            + rect(314, 84, 30, 34, PAPER, 4)
        )
    return (
        shade(200, 318, 84)
        + p.body(box(124, 132, 152, 186, 16))
        + rect(118, 112, 164, 36, p.dark, 14)
        + oval(200, 113, 76, 10, p.light)
        + rect(150, 180, 100, 98, PAPER, 50 if p.turn % 2 else 8)
        + leaf
    )


def chocolate(p: Paint) -> str:
    squares = "".join(
        rect(136 + 45 * column, 78 + 44 * row, 39, 38, "#7b4b33", 5)
        + rect(143 + 45 * column, 84 + 44 * row, 25, 24, "#8d5a3f", 4)
        for column in range(3)
        for row in range(2)
    )
    return (
        shade(200, 326, 96)
        + rect(130, 72, 141, 100, "#5d3725", 8)
        + squares
        + flat(
            "M124 160l12-10 13 10 13-10 13 10 13-10 12 10 13-10 13 10 13-10 13 10 13-10 11 10v30H124z",
            METAL_LIGHT,
        )
        + p.body("M118 178h164v134a12 12 0 0 1-12 12H130a12 12 0 0 1-12-12z")
        + rect(144, 214, 112, 68, PAPER, 34 if p.turn % 2 else 6)
        + line("M164 238h72M178 258h44", p.dark, 6)
    )


def oil(p: Paint) -> str:
    shoulder = "M168 150c0 30-40 36-40 80v74a14 14 0 0 0 14 14h116a14 14 0 0 0 14-14v-74c0-44-40-50-40-80z"
    square = (
        "M168 150v22h-34a12 12 0 0 0-12 12v120a14 14 0 0 0 14 "
        "14h128a14 14 0 0 0 14-14V184a12 12 0 0 0-12-12h-34v-22z"
    )
    return (
        shade(200, 320, 86)
        + rect(172, 88, 56, 70, p.dark, 6)
        + p.smooth(square if p.turn % 2 else shoulder)
        + rect(166, 66, 68, 34, GOLD if p.form else WOOD, 8)
        + rect(144, 212, 112, 84, PAPER, 8)
        + line("M172 274c16-30 36-36 62-40", LEAF_GREEN, 5)
        + "".join(oval(x, y, 11, 15, "#7b8a3a") for x, y in ((178, 242), (206, 262), (228, 250)))
    )


SHAPES: dict[str, Shape] = {
    "mugs": mug,
    "plates": plate,
    "pans": pan,
    "knives": knife,
    "kettles": kettle,
    "jars": jar,
    "coffee": coffee,
    "tea": tea,
    "chocolate": chocolate,
    "oliveoil": oil,
}
