"""Clothing, shoe, accessory and bag silhouettes."""

from apps.portal.demo.paint import (
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


def tshirt(p: Paint) -> str:
    sleeves = (
        "M150 92l-62 34-34 70 44 22 26-40v134a10 10 0 0 0 10 "
        "10h132a10 10 0 0 0 10-10V178l26 40 44-22-34-70-62-34"
        if p.form < 2
        else "M150 92l-58 32-44 180 42 12 34-126v122a10 10 0 0 0 10 "
        "10h132a10 10 0 0 0 10-10V190l34 126 42-12-44-180-58-32"
    )
    neck = "c-14 34-86 34-100 0z" if p.turn % 3 else "l-50 52-50-52z"
    pocket = rect(222, 170, 40, 44, p.dark, 5) + line("M222 182h40", p.light, 3) if p.form == 1 else ""
    return (
        p.body(sleeves + neck)
        + line("M148 94c16 38 88 38 104 0" if p.turn % 3 else "M148 94l52 54 52-54", p.dark, 7)
        + pocket
    )


def shirt(p: Paint) -> str:
    buttons = "".join(disc(200, y, 5, PAPER) for y in range(150, 310, 32))
    return (
        p.body("M156 84l-68 30-36 176 42 12 30-112v126c0 8 152 8 152 0V190l30 112 42-12-36-176-68-30-44 24z")
        + line("M200 118v202", p.dark, 4)
        + buttons
        + flat("M156 82l44 34-24 34-34-54zM244 82l-44 34 24 34 34-54z", p.light if p.form < 2 else p.dark)
        + rect(222, 176, 42, 46, p.dark, 4)
        + (rect(136, 176, 42, 46, p.dark, 4) if p.form == 2 else "")
    )


def sweater(p: Paint) -> str:
    ribs = "".join(line(f"M{x} 304v16", p.deep, 3) for x in range(132, 276, 10))
    front = (
        line("M200 130v184", p.deep, 6) + "".join(disc(200, y, 7, GOLD) for y in (170, 214, 258))
        if p.form == 1
        else ""
    )
    neck = (
        p.smooth(box(158, 62, 84, 44, 14), p.dark)
        if p.form == 2
        else line("M154 92c14 36 78 36 92 0" if p.form == 0 else "M156 90l44 62 44-62", p.dark, 12)
    )
    band = "" if p.turn % 2 else flat("M124 168h152v16H124zM124 194h152v8H124z", p.pale)
    return (
        p.body(
            "M152 88c-40 6-68 26-76 62L46 296l46 12 34-112v110a12 12 0 0 0 12 12h124a12 "
            "12 0 0 0 12-12V196l34 112 46-12-30-146c-8-36-36-56-76-62-12 26-84 26-96 0z"
        )
        + band
        + ribs
        + line("M50 280l44 12M350 280l-44 12", p.deep, 5)
        + neck
        + front
    )


def jacket(p: Paint) -> str:
    length = 320 if p.form < 2 else 292
    collar = "M150 86l50 26 50-26 12 28-42 30-20-14-20 14-42-30z"
    quilt = (
        "".join(line(f"M126 {y}h148", p.dark, 3) for y in range(160, length - 10, 30))
        if p.turn % 3 == 1
        else ""
    )
    return (
        p.body(
            f"M150 86l-60 30-44 176 46 14 30-106v{length - 202}a8 8 0 0 "
            f"0 8 8h140a8 8 0 0 0 8-8V200l30 106 46-14-44-176-60-30-50 24z"
        )
        + quilt
        + flat(collar, p.dark)
        + line(f"M200 138v{length - 140}", METAL_LIGHT if p.turn % 2 else GOLD, 6)
        + (
            rect(134, 228, 46, 50, p.dark, 6) + rect(220, 228, 46, 50, p.dark, 6)
            if p.form == 1
            else line("M148 232l22 40M252 232l-22 40", p.deep, 7)
        )
        + (rect(122, length - 14, 156, 16, p.deep, 5) if p.form == 2 else "")
    )


def dress(p: Paint) -> str:
    skirt = (
        "M162 190l-66 134h208l-66-134z",
        "M162 190c-16 50-50 96-54 134h160c24-40-10-92-30-134z",
        "M160 190l-34 148h148l-34-148z",
    )[p.form]
    return (
        p.body(skirt)
        + p.body(
            "M158 74l-8 22-28 30 26 26 14 38h76l14-38 26-26-28-30-8-22-18 44h-48z"
            if p.turn % 2
            else "M166 68c0 40-10 54-18 66l14 56h76l14-56c-8-12-18-26-18-66h-10c-2 34-46 34-48 0z"
        )
        + rect(158, 182, 84, 16, p.deep, 6)
        + (line("M216 198l18 56M206 198l6 50", p.deep, 7) if p.form == 1 else "")
        + line("M178 220l-26 100M222 220l26 100", p.dark, 4)
    )


def trousers(p: Paint) -> str:
    leg = (0, 8, 34)[p.form]
    return (
        p.body(f"M136 74h128l{14 + leg} 250h-{58 + leg * 0.6}l-20-176-20 176h-{58 + leg * 0.6}z")
        + rect(134, 70, 132, 22, p.dark, 5)
        + "".join(rect(x, 66, 9, 30, p.deep, 3) for x in (152, 195, 240))
        + line("M200 92v46M148 96c2 18-4 28-12 32M252 96c-2 18 4 28 12 32", p.deep, 4)
        + disc(200, 81, 5, GOLD)
        + (line("M158 140l-8 168M242 140l8 168", p.dark, 3) if p.turn % 2 else "")
    )


def sneaker(p: Paint) -> str:
    high = "" if p.form != 1 else flat("M92 150l10-44a12 12 0 0 1 12-10h52l10 54z", p.dark)
    stripe = (
        line("M214 240l-24-44M240 246l-24-44M266 252l-24-42", PAPER, 9),
        line("M150 250c40 6 70-8 92-44", PAPER, 12),
        disc(150, 216, 20, PAPER),
    )[p.turn % 3]
    return (
        shade(202, 312, 150)
        + high
        + p.body("M92 148h78c24 42 54 58 96 66 48 8 78 20 80 62H74c-8-40 4-84 18-128z")
        + flat("M84 190c-10 30-14 58-10 86h60c-2-46-16-76-50-86z", p.dark)
        + stripe
        + "".join(
            line(f"M{x} {y}l26-14", PAPER if p.turn != 4 else p.accent, 7)
            for x, y in ((176, 186), (192, 204), (212, 218))
        )
        + flat("M66 274h284c6 0 8 36-8 36H84c-14 0-22-36-18-36z", PAPER)
        + line("M72 294h276", p.accent if p.turn % 2 else p.dark, 6)
    )


def boots(p: Paint) -> str:
    laces = "".join(line(f"M206 {y}l34 8", PAPER, 6) for y in range(112, 212, 24))
    panel = p.smooth("M150 120h44l10 84h-44z", p.deep)
    return (
        shade(205, 322, 130)
        + p.body("M122 76h112l8 118c10 30 86 24 92 96H122c-8-60 6-140 0-214z")
        + rect(116, 68, 124, 26, p.dark, 10)
        + (
            laces
            if p.form == 2
            else panel
            if p.form == 1
            else line("M122 200h112", p.dark, 8) + disc(222, 200, 9, GOLD)
        )
        + line("M128 68c-4-22 22-22 20 0", p.dark, 7)
        + flat(
            "M114 286h224c6 0 6 34-2 34H176l-6-12h-10v12h-40c-8 0-10-34-6-34z", INK if p.turn % 2 else p.deep
        )
    )


def sandals(p: Paint) -> str:
    def one(x: float) -> str:
        straps = (
            p.body(f"M{x - 44} 170q44-40 88 0v38q-44-34-88 0z")
            + line(f"M{x - 40} 262q40-26 80 0", p.main, 14),
            p.body(f"M{x - 46} 150q46-44 92 0v74q-46-34-92 0z"),
            line(f"M{x} 126l-40 66M{x} 126l40 66M{x - 40} 214l80 44M{x + 40} 214l-80 44", p.main, 13),
        )[p.form]
        return (
            flat(
                f"M{x} 84c34 0 52 40 50 92-2 34-12 56-10 92 0 36-18 "
                f"54-40 54s-40-18-40-54c2-36-8-58-10-92-2-52 16-92 50-92z",
                WOOD if p.turn % 2 else p.pale,
            )
            + straps
            + (disc(x + 38, 262, 7, GOLD) if p.form == 0 else "")
        )

    return (
        '<g transform="rotate(-7 200 200)">'
        + rect(92, 110, 224, 214, "#1d1a2b18", 80)
        + one(134)
        + one(258)
        + "</g>"
    )


def scarf(p: Paint) -> str:
    def fringe(x: float, y: float) -> str:
        return "".join(line(f"M{x + 11 * i} {y}v22", p.deep, 5) for i in range(6))

    return (
        fringe(122, 300)
        + fringe(216, 320 - 24 * p.form)
        + p.body("M112 150h78v152h-78z", p.dark)
        + p.body(f"M208 170h76v{152 - 24 * p.form}h-76z")
        + (rect(208, 270, 76, 12, p.pale) + rect(112, 262, 78, 12, p.pale) if p.turn % 2 else "")
        + p.body("M102 120c0-60 196-60 196 0 4 62-60 78-98 78s-102-16-98-78z")
        + flat("M130 112c14-30 126-30 140 0-22 22-118 22-140 0z", p.deep)
        + line("M118 150c30 26 134 26 164 0", p.dark, 5)
    )


def hat(p: Paint) -> str:
    ribs = "".join(line(f"M{x} 244v52", p.dark, 6) for x in range(104, 306, 18))
    lines = "".join(line(f"M200 92C{x} 130 {x} 190 {x} 236", p.dark, 3) for x in (128, 164, 200, 236, 272))
    return (
        shade(200, 314, 116)
        + (disc(200, 76, 34, p.accent) + disc(190, 68, 12, "#ffffff66") if p.form == 1 else "")
        + p.body("M96 246c0-100 40-156 104-156s104 56 104 156z")
        + lines
        + p.smooth(box(84, 234, 232, 72, 22), p.light if p.turn % 2 else p.dark)
        + ribs
        + (rect(184, 258, 32, 24, PAPER, 4) if p.turn % 3 == 0 else "")
    )


def sunglasses(p: Paint) -> str:
    lens = mixed = p.deep if p.turn % 2 else "#4a4f57"
    if p.form == 1:
        eyes = [
            (ring(132, 214, 68, 68), ring(132, 214, 52, 52)),
            (ring(268, 214, 68, 68), ring(268, 214, 52, 52)),
        ]
    else:
        outer = "M{0} 160h{1}c10 60-10 108-66 108s-72-48-{2}-108z"
        inner = "M{0} 176h{1}c6 46-8 76-48 76s-54-30-{2}-76z"
        eyes = [
            (outer.format(60, 132, 66), inner.format(78, 98, 50)),
            (outer.format(208, 132, 66), inner.format(226, 98, 50)),
        ]
    return (
        shade(200, 304, 140)
        + line("M62 186l-26-34M338 186l26-34", p.dark, 14)
        + line("M180 196c10-16 30-16 40 0", p.main, 14)
        + "".join(p.smooth(frame) + flat(glass, mixed) for frame, glass in eyes)
        + line("M104 236l36-44M128 244l24-30M240 236l36-44M264 244l24-30", "#ffffff", 6).replace(
            "/>", ' opacity=".35"/>'
        )
        + (disc(70, 176, 5, GOLD) + disc(330, 176, 5, GOLD) if lens != INK else "")
    )


def watch(p: Paint) -> str:
    marks = "".join(
        f'<rect x="197" y="136" width="6" height="{14 if h % 3 == 0 else 8}" '
        f'fill="{INK}" transform="rotate({30 * h} 200 200)"/>'
        for h in range(12)
    )
    case = (METAL, GOLD, METAL_DARK)[p.turn % 3]
    dial = PAPER if p.form != 1 else p.deep
    square = p.form == 2 and p.turn % 2
    return (
        shade(206, 372, 60)
        + p.body("M156 30h88l10 110H146z")
        + p.body("M146 260h108l-10 112h-88z")
        + "".join(disc(200, y, 4, p.deep) for y in (300, 320, 340))
        + rect(278, 190, 22, 22, METAL_DARK, 5)
        + (
            p.smooth(box(116, 116, 168, 168, 30), case) + rect(130, 130, 140, 140, dial, 20)
            if square
            else p.smooth(ring(200, 200, 88, 88), case) + disc(200, 200, 72, dial)
        )
        + marks.replace(INK, PAPER if p.form == 1 else INK)
        + line("M200 200l-26-30M200 200l38-26", PAPER if p.form == 1 else INK, 7)
        + line("M200 222v-70", p.accent, 3)
        + disc(200, 200, 7, p.accent)
    )


def belt(p: Paint) -> str:
    coil = (
        "M306 206a106 106 0 1 1-212 0a94 94 0 1 1 188 0a80 80 0 1 1-160 0a66 66 0 1 1 132 0a52 52 0 1 1-104 0"
    )
    buckle = GOLD if p.turn % 2 else METAL
    holes = "".join(disc(306, y, 4, p.pale) for y in (112, 134, 156))
    dashes = ' stroke-dasharray="9 9"/>' if p.form else ' stroke-dasharray="1 9"/>'
    return (
        oval(204, 218, 128, 122, "#1d1a2b1c")
        + line(coil, p.dark, 20)
        + line(coil, p.main, 14)
        + line(coil, p.light, 2).replace("/>", dashes)
        + line("M306 206V84", p.dark, 26)
        + line("M306 206V84", p.main, 20)
        + holes
        + rect(280, 52, 52, 56, "none", 12).replace(
            'fill="none"', f'fill="none" stroke="{buckle}" stroke-width="11"'
        )
        + line("M306 106V62", buckle, 7)
    )


def socks(p: Paint) -> str:
    def one(dx: float, fill: str) -> str:
        return (
            f'<g transform="translate({dx} {abs(dx) / 6})">'
            + p.body("M150 70h78v138c0 18 10 28 40 44 30 18 24 66-14 66-44 0-104-24-104-86z", fill)
            + flat(
                "M150 232c0 38 24 60 52 72 6-30-12-60-52-72zM268 252"
                "c30 18 24 66-14 66-6 0-14-1-22-2 0-24 12-48 36-64z",
                p.accent,
            )
            + rect(144, 60, 90, 36, p.dark, 10)
            + "".join(line(f"M{x} 66v24", p.deep, 3) for x in range(156, 230, 12))
            + (rect(150, 116, 78, 10, p.accent) + rect(150, 136, 78, 10, p.accent) if p.turn % 2 else "")
            + "</g>"
        )

    return shade(220, 330, 110) + one(50, p.dark) + one(-46, p.main)


def backpack(p: Paint) -> str:
    roll = p.form == 1
    return (
        shade(200, 322, 106)
        + line("M106 150c-30 40-30 110-10 150M294 150c30 40 30 110 10 150", p.deep, 16)
        + line("M176 86c0-34 48-34 48 0", p.deep, 12)
        + p.body(
            f"M112 {110 if roll else 160}c0-60 30-82 88-82s88 22 "
            f"88 82v126a32 32 0 0 1-32 32H144a32 32 0 0 1-32-32z"
        )
        + (
            p.smooth(box(104, 92, 192, 52, 20), p.dark)
            + line("M200 144v44", WOOD, 11)
            + rect(188, 176, 24, 22, GOLD, 4)
            if roll
            else line("M132 148c30-16 106-16 136 0", METAL_LIGHT, 5)
        )
        + p.body(box(134, 208, 132, 92, 18), p.dark)
        + line("M146 230h108", METAL_LIGHT, 5)
        + rect(216, 228, 10, 20, WOOD, 3)
        + (rect(178, 250, 44, 26, p.accent, 5) if p.turn % 2 else disc(200, 264, 14, p.accent))
    )


def tote(p: Paint) -> str:
    return (
        shade(200, 322, 116)
        + line("M144 164C144 50 256 50 256 164", p.deep if p.turn % 2 else WOOD, 13)
        + p.body(
            (
                "M104 152h192l16 158a10 10 0 0 1-10 10H98a10 10 0 0 1-10-10z",
                "M112 140h176l4 172a8 8 0 0 1-8 8H116a8 8 0 0 1-8-8z",
                "M78 176h244l-12 136a10 10 0 0 1-10 8H100a10 10 0 0 1-10-8z",
            )[p.form]
        )
        + (line("M100 192h200", p.dark, 6) if p.form < 2 else line("M84 206h232", WOOD, 9))
        + (
            disc(200, 244, 32, p.accent) + disc(200, 244, 18, p.main)
            if p.turn % 3 == 0
            else rect(168, 216, 64, 56, p.dark, 6)
            if p.turn % 3 == 1
            else ""
        )
    )


def wallet(p: Paint) -> str:
    cards = "".join(
        rect(96 + 10 * i, 118 + 16 * i, 196 - 10 * i, 60, tint, 10)
        for i, tint in enumerate((p.accent, PAPER, p.pale))
    )
    zip_ = line("M84 176h232", METAL, 6) + rect(306, 168, 12, 34, GOLD, 4)
    return (
        shade(200, 312, 132)
        + (cards if p.form != 2 else "")
        + p.body(box(72, 160, 256, 150, 22))
        + line("M88 296h224" if p.turn % 2 else "M88 176h224M88 294h224", p.pale, 3).replace(
            "/>", ' stroke-dasharray="7 9"/>'
        )
        + (
            zip_
            if p.form == 2
            else p.smooth(box(248, 208, 92, 52, 26), p.dark) + disc(274, 234, 10, GOLD)
            if p.form == 0
            else line("M160 160c6 26 74 26 80 0", p.deep, 6)
        )
    )


SHAPES: dict[str, Shape] = {
    "tshirts": tshirt,
    "shirts": shirt,
    "sweaters": sweater,
    "jackets": jacket,
    "dresses": dress,
    "trousers": trousers,
    "sneakers": sneaker,
    "boots": boots,
    "sandals": sandals,
    "scarves": scarf,
    "hats": hat,
    "sunglasses": sunglasses,
    "watches": watch,
    "belts": belt,
    "socks": socks,
    "backpacks": backpack,
    "totes": tote,
    "wallets": wallet,
}
