"""Lighting, decor, furniture and textile silhouettes."""

from apps.portal.demo.paint import (
    FLAME,
    GOLD,
    INK,
    LEAF_GREEN,
    METAL_DARK,
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

_GLOW = '<path d="{}" fill="#ffe9a8" opacity=".55"/>'


def lamp(p: Paint) -> str:
    if p.form == 2:
        return (
            shade(190, 318, 96)
            + _GLOW.format("M236 168l76-26 66 160H214z")
            + line("M180 304l-46-104 108-70", p.dark, 13)
            + disc(134, 200, 13, p.deep)
            + p.smooth("M118 318a62 20 0 0 1 124 0z", p.deep)
            + p.body("M222 162c-12-34 20-66 62-56l40 22-78 56z")
            + oval(284, 157, 46, 13, "#fff3cf")
        )
    shade_path = "M140 84h120l44 104H96z" if p.form == 0 else "M106 188c0-72 42-104 94-104s94 32 94 104z"
    base = (
        "M200 214c46 0 66 34 66 62s-22 40-66 40-66-12-66-40 20-62 66-62z",
        "M170 210h60l-14 66 40 40H144l40-40z",
        box(164, 208, 72, 108, 30),
    )[p.turn % 3]
    return (
        _GLOW.format("M96 188h208l50 118H46z")
        + shade(200, 318, 88)
        + p.body(base)
        + rect(192, 184, 16, 34, GOLD)
        + p.smooth(shade_path, PAPER if p.turn < 4 else p.pale)
    )


def pendant(p: Paint) -> str:
    dome = (
        "M92 236c0-66 48-104 108-104s108 38 108 104z",
        "M160 128h80l70 112H90z",
        "M104 240c-6-78 30-126 96-126s102 48 96 126z",
    )[p.form]
    return (
        line("M200 0v112", INK, 5)
        + _GLOW.format("M100 238h200l64 162H36z")
        + rect(182, 98, 36, 36, GOLD if p.turn % 2 else p.deep, 8)
        + oval(200, 238, 106, 15, "#fff3cf")
        + disc(200, 244, 22, "#fffaf0")
        + p.body(dome)
    )


def vase(p: Paint) -> str:
    stems = (
        line("M200 160C196 110 170 90 160 56M200 150c2-50 26-70 40-92", LEAF_GREEN, 5)
        + "".join(oval(x, y, 11, 17, LEAF_GREEN) for x, y in ((158, 54), (242, 54), (178, 96), (222, 100)))
        + (
            disc(158, 48, 17, p.accent) + disc(242, 50, 15, p.accent) + disc(200, 92, 13, GOLD)
            if p.turn % 2
            else ""
        )
    )
    forms = (
        "M178 140h44v34c0 26 52 36 52 88 0 40-30 56-74 56s-74-16-74-56c0-52 52-62 52-88z",
        "M184 132h32v76c40 10 52 34 52 56 0 36-28 54-68 54s-68-18-68-54c0-22 12-46 52-56z",
        "M156 140h88l22 60-22 118h-88l-22-118z",
    )
    return (
        shade(200, 320, 80)
        + stems
        + p.body(forms[p.form])
        + oval(200, 140, 24 if p.form < 2 else 43, 7, p.deep)
    )


def candle(p: Paint) -> str:
    lid = "" if p.turn % 2 else oval(200, 314, 110, 12, WOOD) + oval(200, 308, 110, 12, WOOD)
    return (
        shade(200, 322, 104)
        + lid
        + f'<circle cx="200" cy="112" r="66" fill="{FLAME}" opacity=".18"/>'
        + flat("M200 74c30 34 26 66 0 68-26-2-30-34 0-68z", FLAME)
        + flat("M200 102c13 17 12 36 0 38-12-2-13-21 0-38z", "#fff0c2")
        + line("M200 140v26", INK, 5)
        + p.body(box(128, 160, 144, 148, 20))
        + oval(200, 164, 70, 13, p.pale)
        + rect(158, 206, 84, 62, PAPER, 6 if p.form else 31)
        + line("M176 230h48M184 246h32", p.deep, 5)
    )


def clock(p: Paint) -> str:
    marks = "".join(
        f'<rect x="197" y="92" width="6" height="{22 if hour % 3 == 0 else 12}" rx="3" fill="{INK}"'
        f' transform="rotate({30 * hour} 200 200)"/>'
        for hour in range(12)
    )
    hands = (("-60", "48"), ("24", "150"), ("-24", "96"))[p.turn % 3]
    return (
        disc(206, 210, 134, "#1d1a2b22")
        + p.smooth(ring(200, 200, 132, 132))
        + disc(200, 200, 112, p.pale if p.form == 2 else PAPER)
        + (
            marks
            if p.form
            else "".join(disc(*xy, 7, p.dark) for xy in ((200, 108), (292, 200), (200, 292), (108, 200)))
        )
        + f'<g stroke="{INK}" stroke-linecap="round"><path d="M200 200'
        f'v-52" stroke-width="10" transform="rotate({hands[0]} 200 200)"/>'
        + f'<path d="M200 200v-82" stroke-width="7" transform="rotate({hands[1]} 200 200)"/></g>'
        + line("M200 224v-100", p.main if p.form != 2 else p.deep, 3)
        + disc(200, 200, 10, p.dark)
    )


def plantpot(p: Paint) -> str:
    monstera = (
        line("M200 214c-6-50-40-70-62-96M200 214c4-60 40-80 66-104M200 214V92", "#557a52", 6)
        + flat(
            "M138 124c-44 0-56-34-50-58 40-4 60 22 50 58zM266 116c44-4 50-38 42-60-38 0-54 26-42 60z",
            LEAF_GREEN,
        )
        + flat("M200 104c-34-22-26-58 0-76 26 18 34 54 0 76z", "#84a97c")
    )
    cactus = p.smooth(box(166, 92, 68, 130, 34), "#6f9468") + line(
        "M166 168h-24v-40M234 150h26v-34", "#6f9468", 22
    )
    herbs = "".join(
        line(f"M200 214Q{x} 170 {x} {y}", "#557a52", 5) + disc(x, y, 17, LEAF_GREEN)
        for x, y in ((140, 132), (168, 104), (202, 90), (236, 108), (262, 136))
    )
    pot = (
        "M118 212h164l-24 94a14 14 0 0 1-14 12h-88a14 14 0 0 1-14-12z",
        "M124 206h152v92a20 20 0 0 1-20 20H144a20 20 0 0 1-20-20z",
        "M118 212h164c0 70-30 106-82 106s-82-36-82-106z",
    )[p.form]
    plant = (monstera, cactus, herbs)[(p.turn + p.form) % 3]
    return (
        shade(200, 320, 92)
        + plant
        + p.body(pot)
        + (rect(108, 198, 184, 28, p.dark, 8) if p.form == 0 else "")
    )


def chair(p: Paint) -> str:
    leg = (WOOD, INK, WOOD_DARK)[p.turn % 3]
    back = (
        "M140 92c0-12 120-12 120 0l-8 92H148z",
        box(138, 84, 124, 66, 20),
        "M146 190V96a16 16 0 0 1 16-16h76a16 16 0 0 1 16 16v94z",
    )[p.form]
    return (
        shade(200, 322, 100)
        + line("M144 214l-18 104M256 214l18 104", leg, 12)
        + line("M160 220l-6 84M240 220l6 84", leg, 9)
        + line("M148 150v60M252 150v60", leg, 11)
        + p.body(back)
        + p.body(
            "M122 204a16 16 0 0 1 16-18h124a16 16 0 0 1 16 18l-4 18a14 14 0 0 1-14 12H140a14 14 0 0 1-14-12z",
            p.dark,
        )
    )


def sidetable(p: Paint) -> str:
    leg = (WOOD_DARK, INK, METAL_DARK)[p.turn % 3]
    book = rect(226, 166, 56, 11, p.accent, 3) + rect(232, 155, 46, 11, PAPER, 3)
    cup = rect(130, 146, 34, 31, PAPER, 8) + line("M164 154h10v12h-10", PAPER, 5)
    if p.form == 1:
        return (
            shade(200, 320, 140)
            + line("M96 206l-18 110M304 206l18 110", leg, 12)
            + line("M140 206v104M260 206v104", leg, 8)
            + p.body(box(50, 184, 300, 26, 13))
            + f'<g transform="translate(0 8)">{book}{cup}</g>'
        )
    return (
        shade(200, 322, 92)
        + line("M140 200l-26 118M260 200l26 118", leg, 11)
        + (rect(126, 258, 148, 12, p.dark, 5) if p.form == 0 else p.smooth(box(124, 198, 152, 66, 6), p.dark))
        + (disc(200, 232, 6, GOLD) if p.form == 2 else line("M200 200v110", leg, 9))
        + p.body(box(92, 178, 216, 24, 12))
        + book
        + cup
    )


def shelf(p: Paint) -> str:
    tints = (p.accent, "#d9c3a0", "#9fb3a8", "#c58b74", "#8a96ab")

    def books(x: float, y: float) -> str:
        sizes = ((14, 46), (18, 54), (12, 40), (16, 50))
        parts, at = [], x
        for i, (width, height) in enumerate(sizes):
            parts.append(rect(at, y - height, width, height, tints[(i + p.turn) % 5], 2))
            at += width + 3
        return "".join(parts)

    plant = rect(246, 0, 32, 28, PAPER, 6) + flat(
        "M262 2c-26-4-28-26-24-36 18 2 26 16 24 36zM262 2c22-6 24-28 18-40-16 4-22 20-18 40z", LEAF_GREEN
    )
    if p.form == 0:
        return (
            books(110, 180)
            + f'<g transform="translate(6 152)">{plant}</g>'
            + p.body(box(70, 180, 260, 22, 6))
            + line("M110 204v26h26M290 204v26h-26", p.deep, 8)
        )
    sides = "M104 70v248M296 70v248" if p.form == 1 else "M132 60L84 318M268 60l48 258"
    return (
        shade(200, 322, 120)
        + books(124, 148)
        + f'<g transform="translate(-4 204)">{plant}</g>'
        + books(190, 310)
        + line(sides, p.dark, 14)
        + "".join(p.body(box(94, y, 212, 15, 4)) for y in (148, 230, 304))
        + p.body(box(104, 76, 192, 14, 4))
    )


def cushion(p: Paint) -> str:
    tassels = "".join(disc(x, y, 12, p.accent) for x, y in ((82, 92), (318, 92), (82, 308), (318, 308)))
    return (
        shade(200, 322, 120)
        + (tassels if p.turn % 2 else "")
        + p.body("M84 96c40 14 192 14 232 0-14 44-14 164 0 212-40-14-192-14-232 0 14-48 14-168 0-212z")
        + (
            line("M100 112c36 10 164 10 200 0M100 292c36-10 164-10 200 0", p.pale, 4)
            if p.form
            else line("M104 116c-8 40-8 128 0 172M296 116c8 40 8 128 0 172", p.dark, 4)
        )
    )


def throw(p: Paint) -> str:
    fringe = "".join(line(f"M{x} 300v24", p.dark, 5) for x in range(96, 310, 15))
    return (
        shade(200, 326, 130)
        + p.body("M84 150h232v40a30 30 0 0 1-30 30H84z", p.light)
        + fringe
        + p.body(f"M84 {126 if p.form else 140}c60-22 120 18 190-6a44 44 0 0 1 44 44v136H84z")
        + line("M84 196c70-14 130 16 234-4M84 246c70-12 130 14 234-4", p.dark, 5)
        + flat("M274 120a44 44 0 0 1 44 44v26c-10-20-24-28-44-28z", p.dark)
    )


def towel(p: Paint) -> str:
    if p.form == 2:
        fringe = "".join(line(f"M{x} 316v18", p.light, 4) for x in range(138, 268, 12))
        return (
            line("M90 74h220", WOOD, 14)
            + fringe
            + p.body(box(128, 74, 144, 242, 6))
            + "".join(rect(128, y, 144, 8, PAPER) for y in (240, 258, 276))
        )
    folds = ((94, 244, 212, 72), (100, 178, 200, 66), (106, 118, 188, 60))[: 3 - p.form]
    tints = (p.main, p.light, p.dark)
    return shade(200, 320, 120) + "".join(
        p.body(box(x, y, width, height, 30), tints[(i + p.turn) % 3 if p.form == 0 else 0])
        + line(f"M{x + width - 30} {y + height / 2}h-{width - 70}", "#ffffff88", 4)
        for i, (x, y, width, height) in enumerate(folds)
    )


def rug(p: Paint) -> str:
    fringe = "".join(line(f"M{x} 112v-20M{x} 298v20", p.pale, 4) for x in range(78, 330, 14))
    motif = (
        "".join(
            flat(f"M{x} 205l34-44 34 44-34 44z", p.accent) + flat(f"M{x + 17} 205l17-22 17 22-17 22z", p.deep)
            for x in (82, 166, 250)
        ),
        rect(96, 142, 208, 126, "none", 6).replace(
            'fill="none"', f'fill="none" stroke="{p.accent}" stroke-width="9"'
        )
        + rect(126, 172, 148, 66, p.light, 4),
        "".join(line(f"M74 {y}c42-22 84 22 126 0s84 22 126 0", p.accent, 7) for y in (152, 190, 228, 266)),
    )[(p.form + p.turn) % 3]
    return (
        '<g transform="rotate(-8 200 205)">'
        + rect(68, 116, 272, 190, "#1d1a2b22", 4)
        + fringe
        + p.body(box(64, 108, 272, 194, 4))
        + motif
        + "</g>"
    )


SHAPES: dict[str, Shape] = {
    "lamps": lamp,
    "pendants": pendant,
    "vases": vase,
    "candles": candle,
    "clocks": clock,
    "plantpots": plantpot,
    "chairs": chair,
    "sidetables": sidetable,
    "shelves": shelf,
    "cushions": cushion,
    "throws": throw,
    "towels": towel,
    "rugs": rug,
}
