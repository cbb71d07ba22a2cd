"""Outdoor and electronics silhouettes."""

from apps.portal.demo.paint import (
    FLAME,
    GOLD,
    INK,
    METAL,
    METAL_DARK,
    METAL_LIGHT,
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

_PINE = "#5f7f63"


def tent(p: Paint) -> str:
    trees = flat("M40 310l34-92 34 92zM300 310l40-120 40 120z", _PINE).replace("/>", ' opacity=".45"/>')
    ground = rect(-100, 308, 600, 160, "#9fb893") if p.turn % 2 else ""
    forms = (
        p.body("M200 110L52 310h296z")
        + flat("M200 110l-20 200h76z", p.deep)
        + flat("M200 110l-20 200-58 0z", p.light),
        p.body("M52 310c0-120 62-184 148-184s148 64 148 184z")
        + flat("M200 168c-46 0-62 60-62 142h124c0-82-16-142-62-142z", p.deep)
        + flat("M200 168c-46 0-62 60-62 142h30c0-70 8-116 32-142z", p.light)
        + line("M200 126C120 150 96 220 92 306M200 126c80 24 104 94 108 180", p.dark, 4),
        p.body("M40 310c0-90 40-150 96-150h150c50 0 78 70 78 150z")
        + flat("M136 160c-48 0-60 80-60 150h120c0-70-12-150-60-150z", p.deep)
        + flat("M136 160c-48 0-60 80-60 150h30c2-60 10-120 30-150z", p.light)
        + line("M220 162c36 20 44 90 44 146", p.dark, 5),
    )
    return (
        trees + ground + shade(200, 314, 160) + forms[p.form] + line("M52 306l-26 14M348 306l26 14", INK, 4)
    )


def sleepingbag(p: Paint) -> str:
    seams = "".join(line(f"M{92 + i * 3} {150 + 34 * i}h{214 - 6 * i}", p.dark, 4) for i in range(5))
    if p.form == 0:
        coil = "".join(
            f'<circle cx="306" cy="222" r="{r}" fill="none" stroke="{p.deep}" stroke-width="6"/>'
            for r in (14, 32, 50)
        )
        return (
            shade(210, 312, 140)
            + p.body(box(78, 150, 230, 144, 40))
            + p.smooth(ring(306, 222, 64, 72), p.light)
            + coil
            + rect(120, 146, 18, 152, p.deep, 4)
            + rect(214, 146, 18, 152, p.deep, 4)
            + rect(116, 206, 26, 26, GOLD, 5)
            + rect(210, 206, 26, 26, GOLD, 5)
        )
    return (
        '<g transform="rotate(-14 200 200)">'
        + oval(208, 212, 130, 158, "#1d1a2b1c")
        + p.body(
            "M200 40c60 0 104 36 106 100l-24 188a36 36 0 0 1-36 "
            "32h-92a36 36 0 0 1-36-32L94 140C96 76 140 40 200 40z"
        )
        + seams
        + oval(200, 112, 62, 50, p.deep)
        + oval(200, 124, 48, 34, p.pale)
        + line("M262 140l22 150", METAL_LIGHT, 5)
        + "</g>"
    )


def lantern(p: Paint) -> str:
    return (
        shade(200, 322, 86)
        + f'<circle cx="200" cy="206" r="120" fill="{FLAME}" opacity=".2"/>'
        + line("M140 130C130 40 270 40 260 130", METAL_DARK, 8)
        + p.smooth("M150 110h100l20 36H130z")
        + rect(176, 92, 48, 22, p.dark, 6)
        + rect(140, 146, 120, 112, "#fff4d2", 14)
        + (
            flat("M200 170c24 28 20 54 0 56-20-2-24-28 0-56z", FLAME)
            if p.turn % 2
            else rect(186, 164, 28, 76, FLAME, 14)
        )
        + "".join(line(f"M{x} 146v112", p.dark, 5) for x in ((158, 242) if p.form else (142, 258)))
        + p.body(box(126, 256, 148, 62, 14))
        + disc(200, 288, 12, PAPER)
    )


def bottle(p: Paint) -> str:
    body = (
        "M150 150c0-20 14-30 24-36h52c10 6 24 16 24 36v148a20 20 0 0 1-20 20h-60a20 20 0 0 1-20-20z",
        (
            "M146 158c0-24 20-32 24-46h60c4 14 24 22 24 46l-10 60 10 "
            "60v20a20 20 0 0 1-20 20h-68a20 20 0 0 1-20-20v-20l10-60z"
        ),
        "M150 116h100l-10 190a14 14 0 0 1-14 12h-52a14 14 0 0 1-14-12z",
    )[p.form]
    loop = line("M176 76c0-34 48-34 48 0", p.deep, 10) if p.turn % 2 else ""
    return (
        shade(200, 320, 66)
        + loop
        + rect(164 if p.form < 2 else 146, 74, 72 if p.form < 2 else 108, 44, INK if p.turn % 3 else WOOD, 10)
        + p.body(body)
        + line("M166 168v118", "#ffffff", 7).replace("/>", ' opacity=".4"/>')
        + (
            flat("M200 196c22 28 22 52 0 54-22-2-22-26 0-54z", PAPER)
            if p.turn > 3
            else rect(180, 200, 40, 60, p.dark, 20)
        )
    )


def yogamat(p: Paint) -> str:
    lines = line("M96 300h180M140 300v-10", p.pale, 4)
    spiral = "".join(
        f'<circle cx="104" cy="250" r="{r}" fill="none" stroke="{p.deep}" stroke-width="6"/>'
        for r in (12, 27, 42)
    )
    straps = (
        rect(178, 186, 16, 128, p.accent, 4)
        + rect(264, 186, 16, 128, p.accent, 4)
        + line("M186 186c10-64 76-64 86 0", p.accent, 10)
    )
    if p.form == 0:
        return (
            shade(220, 318, 140)
            + p.body(box(104, 192, 232, 116, 0))
            + p.smooth(ring(336, 250, 20, 58), p.dark)
            + p.smooth(ring(104, 250, 56, 58), p.light)
            + spiral
            + straps
        )
    return (
        shade(200, 322, 150)
        + p.body("M96 262l220-40 52 66-270 28z", p.light)
        + lines
        + p.smooth(box(56, 222, 90, 92, 46))
        + f'<g transform="translate(-4 18)">{spiral}</g>'
    )


def dumbbells(p: Paint) -> str:
    def one(x: float, y: float) -> str:
        hexed = "M{0} {1}l18-14h34l18 14v72l-18 14h-34l-18-14z"
        plate = (lambda a: hexed.format(a, y)) if p.turn % 2 else (lambda a: box(a, y - 14, 70, 100, 20))
        return (
            rect(x + 60, y + 22, 120, 28, METAL, 10)
            + p.body(plate(x))
            + p.body(plate(x + 170))
            + line(f"M{x + 92} {y + 30}h56", METAL_LIGHT, 4)
        )

    return (
        shade(200, 318, 150)
        + (one(92, 120) if p.form == 1 else "")
        + one(72, 220)
        + ("" if p.form else line("M120 182h160", p.pale, 0.1))
    )


def headphones(p: Paint) -> str:
    cup = (box(64, 196, 78, 118, 36), box(258, 196, 78, 118, 36))
    pads = (box(122, 206, 34, 98, 16), box(244, 206, 34, 98, 16))
    band = "M102 214C92 44 308 44 298 214"
    return (
        shade(200, 324, 130)
        + line(band, p.dark, 22)
        + line("M132 128C160 76 240 76 268 128", p.pale if p.turn % 2 else p.deep, 22 if p.form == 2 else 14)
        + rect(92, 176, 20, 34, METAL, 6)
        + rect(288, 176, 20, 34, METAL, 6)
        + "".join(flat(pad, INK) for pad in pads)
        + "".join(p.smooth(part) for part in cup)
        + "".join(
            disc(x, 254, 20, p.light if p.turn % 3 else GOLD) + disc(x, 254, 11, p.dark) for x in (100, 300)
        )
    )


def earphones(p: Paint) -> str:
    def bud(x: float, sign: int) -> str:
        stem = (
            rect(x - 10, 128, 22, 92, p.main, 11)
            if p.form == 0
            else line(f"M{x} 120c{sign * -60}-50 {sign * -70} 40 {sign * -24} 70", p.dark, 10)
        )
        return (
            stem
            + p.smooth(ring(x, 120, 36, 36))
            + oval(x + 26 * sign, 126, 15, 19, INK)
            + disc(x - 6 * sign, 112, 8, p.light)
        )

    return (
        shade(200, 324, 110)
        + bud(134, 1)
        + bud(266, -1)
        + p.smooth(box(104, 226, 192, 92, 44), p.light if p.turn % 2 else p.dark)
        + line("M106 262h188", p.deep, 4)
        + disc(200, 290, 6, "#9be08c")
    )


def speaker(p: Paint) -> str:
    grille = "".join(disc(x, y, 3.5, p.deep) for x in range(150, 262, 16) for y in range(240, 300, 14))
    if p.form == 1:
        return (
            shade(200, 322, 96)
            + p.smooth(box(116, 70, 168, 248, 16), WOOD if p.turn % 2 else p.main)
            + p.smooth(box(130, 84, 140, 220, 10), p.dark)
            + disc(200, 134, 28, INK)
            + disc(200, 134, 12, METAL)
            + disc(200, 232, 54, INK)
            + disc(200, 232, 40, "#4a4d54")
            + disc(200, 232, 16, METAL)
        )
    if p.form == 2:
        return (
            shade(200, 322, 130)
            + line("M96 190c0-90 208-90 208 0", p.deep, 14)
            + p.body(box(70, 178, 260, 140, 34))
            + disc(136, 248, 44, INK)
            + disc(136, 248, 30, "#4a4d54")
            + disc(264, 248, 44, INK)
            + disc(264, 248, 30, "#4a4d54")
            + disc(200, 214, 8, GOLD)
            + line("M188 284h24", PAPER, 5)
        )
    return (
        shade(200, 322, 92)
        + p.body("M120 116c0-16 160-16 160 0v176c0 34-160 34-160 0z")
        + oval(200, 114, 80, 20, p.light)
        + line("M188 114h24M200 106v16", p.deep, 5)
        + grille
        + line("M130 216h140", p.dark, 5)
    )


def phonecase(p: Paint) -> str:
    motif = (
        line("M150 300c20-60 90-60 100-130", p.accent, 12),
        disc(200, 236, 34, p.accent) + disc(200, 236, 18, p.main),
        flat("M132 250l136-64v136H132z", p.accent),
        "",
        "".join(disc(x, y, 8, p.accent) for x in (160, 200, 240) for y in (190, 230, 270)),
        rect(132, 270, 136, 20, p.accent),
    )[p.turn]
    return (
        '<g transform="rotate(9 200 200)">'
        + rect(126, 56, 164, 304, "#1d1a2b22", 32)
        + rect(114, 120, 12, 40, p.deep, 4)
        + rect(276, 130, 10, 56, p.deep, 4)
        + p.body(box(120, 46, 160, 304, 30))
        + motif
        + p.smooth(box(136, 62, 62, 76, 20), p.dark)
        + disc(158, 84, 13, INK)
        + disc(158, 116, 13, INK)
        + disc(182, 100, 7, METAL_LIGHT)
        + (line("M160 318h80", p.deep, 12) if p.form == 2 else "")
        + "</g>"
    )


def powerbank(p: Paint) -> str:
    dots = "".join(disc(150 + 22 * i, 288, 6, "#9be08c" if i < 3 else p.deep) for i in range(4))
    return (
        shade(200, 322, 84)
        + line("M226 96C240 30 330 40 322 120", INK, 8)
        + rect(312, 116, 20, 36, METAL, 4)
        + p.smooth(box(130, 92, 140, 226, 44 if p.form else 22))
        + rect(150, 96, 34, 8, p.deep, 3)
        + rect(212, 96, 30, 10, p.deep, 3)
        + flat("M208 158l-36 58h24l-8 46 40-62h-26z", p.accent if p.turn % 2 else PAPER)
        + (rect(160, 124, 80, 26, INK, 6) + line("M172 137h30", "#9be08c", 5) if p.turn % 3 == 2 else dots)
    )


def keyboard(p: Paint) -> str:
    rows = 4 if p.form != 2 else 3
    keys = "".join(
        rect(
            64 + 28 * i + 7 * (row % 2),
            158 + 32 * row,
            23,
            24,
            p.accent if (i * 7 + row * 3 + p.turn) % 11 == 0 else p.pale,
            6,
        )
        for row in range(rows)
        for i in range(9 if row % 2 else 10)
    )
    bottom = 158 + 32 * rows
    return (
        shade(200, bottom + 52, 160)
        + p.smooth(box(46, 140, 308, bottom - 96, 18))
        + rect(54, 148, 292, bottom - 112, p.deep, 12)
        + keys
        + rect(64, bottom, 40, 22, p.accent, 6)
        + rect(112, bottom, 150, 22, p.pale, 6)
        + rect(270, bottom, 64, 22, p.pale, 6)
        + (line("M200 140c0-40 60-30 60-76", INK, 6) if p.form == 0 else "")
    )


SHAPES: dict[str, Shape] = {
    "tents": tent,
    "sleepingbags": sleepingbag,
    "lanterns": lantern,
    "bottles": bottle,
    "yogamats": yogamat,
    "dumbbells": dumbbells,
    "headphones": headphones,
    "earphones": earphones,
    "speakers": speaker,
    "phonecases": phonecase,
    "powerbanks": powerbank,
    "keyboards": keyboard,
}
