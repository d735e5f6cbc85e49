"""Dibuja imágenes que no son un naipe: unas no se parecen en nada y otras, mucho.

Con ellas la red aprende a no decidirse (Hendrycks, Mazeika y Dietterich, 2019) y se mide cuándo
se niega. Cada imagen tiene su propio generador, `default_rng([semilla, 2, número])`.
"""

import io
from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from card_names import CLASS_NAMES, RANK_NAMES, RANKS, SUITS
from drawing.demo_deck import (
    HEIGHT,
    PIPS,
    SQUARE,
    WHITE,
    WIDTH,
    Pen,
    background,
    court_colors,
    draw_art,
    draw_court,
    draw_jester,
    draw_juggler,
    draw_number,
    font_file,
    photograph,
    points,
    smooth,
    star,
    texture,
)
from drawing.free_deck import draw_free_card, draw_free_index, free_paper, free_style

SIZE = (224, 224)
WORDS = (
    "la red mira cada foto y dice qué ve: pan, mesa, 7 kilos, 10 euros, tren, Q, K, luz, nube, "
    "casa, río, 4 de mayo, J. Pérez, A5, silla, calle, 23, puerta, libro, agua, total 98.50"
).split()
TEXT_FONTS = "DejaVuSans DejaVuSans-Bold DejaVuSerif DejaVuSansMono STIXGeneral cmr10".split()
TITLES = (
    "LA LUNA,EL SOL,THE FOOL,LE MAT,LA PAPESSE,STRENGTH,LE BATELEUR,IL MATTO,DER NARR,EL LOCO,"
    "THE STAR,LA MORT,THE TOWER,EL MAGO,JUSTICE,Dark Wizard,Forest Elf,Fire Dragon,El Caballero,"
    "Una novela de mar,GRAN FIESTA,Vino de la casa,Water,Historia,Rock Golem,CIRCO,Mountain"
).split(",")
NUMERALS = "I II III IV V VI VII VIII IX X XI XII XIII XIV XV XVI XVII XVIII XIX XX XXI".split()


def colors(rng, count):
    """`count` colores RGB al azar, como lista de tuplas de enteros."""
    return [tuple(row) for row in rng.integers(0, 256, (count, 3)).tolist()]


def noise(rng):
    """Ruido uniforme o gaussiano, por píxel o por manchas."""
    side = int(rng.choice((14, 56, 224)))
    grid = rng.uniform(0, 256, (side, side, 3))
    if rng.random() < 0.5:
        grid = rng.uniform(60, 200) + rng.uniform(10, 70) * rng.standard_normal((side, side, 3))
    if rng.random() < 0.3:
        grid[:] = grid[..., :1]
    return Image.fromarray(grid.clip(0, 255).astype("uint8")).resize(SIZE)


def flat(rng):
    """Un solo color; la mitad de las veces, un gris."""
    return Image.new(
        "RGB", SIZE, (int(rng.integers(256)),) * 3 if rng.random() < 0.5 else colors(rng, 1)[0]
    )


def color_ramp(rng):
    """Degradado lineal o radial entre dos colores."""
    y, x = np.mgrid[-1:1:224j, -1:1:224j]
    angle = rng.uniform(0, 2 * np.pi)
    t = np.hypot(x, y) if rng.random() < 0.4 else x * np.cos(angle) + y * np.sin(angle)
    t = ((t - t.min()) / np.ptp(t))[..., None]
    first, second = np.array(colors(rng, 2), float)
    return Image.fromarray((first + (second - first) * t).astype("uint8"))


def write(image, box, size, ink, rng, names=()):
    """Llena de renglones al azar la caja `box`, a veces con un nombre de uno de los colores."""
    font = ImageFont.truetype(font_file(rng.choice(TEXT_FONTS)), size)
    draw, (left, y, right, bottom) = ImageDraw.Draw(image), box
    while y + size < bottom:
        x, line = left, " ".join(rng.choice(WORDS, 30))
        if names and rng.random() < 0.6:
            name, _, line = line.partition(" ")
            draw.text((x, y), name, names[rng.integers(len(names))], font)
            x += font.getlength(name + " ")
        draw.text((x, y), line[: max(1, int((right - x) / (0.56 * size)))], ink, font)
        y += int(size * 1.4) + size * (rng.random() < 0.15)


def text_page(rng):
    """Página de texto o de conversación, con una o más columnas, a veces girada."""
    chat, light, shade = rng.random() < 0.25, rng.random() < 0.8, rng.integers(0, 45, (2, 3))
    light = 255 * (light and not chat)
    paper, ink = map(tuple, abs(np.array([[light], [255 - light]]) - shade).tolist())
    page, (left, top) = Image.new("RGB", (448, 448), paper), rng.integers(0, 60, 2).tolist()
    size, turn = int(np.exp(rng.uniform(np.log(9), np.log(60)))), rng.random()
    columns = int(rng.integers(1, 4)) if size < 22 and not chat else 1
    if chat:  # un panel sobre otra cosa
        page, size = (color_ramp, noise, table)[rng.integers(3)](rng), size // 2 + 6
        page = page.resize((448, 448))
        ImageDraw.Draw(page).rectangle((left // 2, top, 448 - left // 2, 448 - top // 3), paper)
    wide = (448 - left) // columns
    for x in range(left, 449 - wide, wide):
        box = (x + 4, top + 4, x + wide - 8, 440 + size * (not chat))
        write(page, box, size, ink, rng, colors(rng, 3) if chat else ())
    if turn < 0.45:
        turn = rng.uniform(-8, 8) if turn < 0.3 else 90 * int(rng.integers(1, 4))
        page = page.rotate(turn, Image.Resampling.BILINEAR, fillcolor=paper)
    return page.resize(SIZE)


def plot(rng):
    """Gráfico de Matplotlib: líneas, barras, puntos, tarta o mapa de calor."""
    figure = Figure(figsize=(3.2, 3.2), dpi=70)
    axes, kind, y = figure.subplots(), rng.integers(5), rng.uniform(0.1, 1, (2, 12))
    if kind == 0:
        axes.plot(y.T.cumsum(0))
    elif kind == 1:
        axes.bar(range(12), y[0], color=rng.uniform(0, 1, 3))
    elif kind == 2:
        axes.scatter(*rng.standard_normal((2, 60)), color=rng.uniform(0, 1, 3))
    elif kind == 3:
        axes.pie(y[0, :5])
    else:
        axes.imshow(rng.uniform(0, 1, (8, 8)), cmap=rng.choice(["viridis", "hot", "Blues"]))
    axes.set_title(" ".join(rng.choice(WORDS, 2)))
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return Image.open(file).convert("RGB").resize(SIZE)


def card_shape(rng, paper):
    """Rectángulo redondeado RGBA de 256 x 358, en blanco, del color `paper`."""
    card, mask = Image.new("RGB", (256, 358), paper), Image.new("L", (256, 358))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, 255, 357), rng.uniform(8, 24), 255)
    card.putalpha(mask)
    return card


def blank_card(rng):
    """Carta en blanco sobre una mesa."""
    paper = np.array((252, 252, 250)) - rng.integers(0, 30, 3)
    return photograph(card_shape(rng, tuple(paper.tolist())), rng)


def card_back(rng):
    """Dorso de una carta sobre una mesa: rombos, rayas, círculos o estrellas con marco."""
    first, second = colors(rng, 2)
    second = (250, 250, 245) if rng.random() < 0.7 else second
    card, step, kind = card_shape(rng, second), int(rng.integers(10, 40)), rng.integers(5)
    inner, inset = Image.new("RGB", (256, 358), first), int(rng.integers(0, 24))
    draw = ImageDraw.Draw(inner)
    for x in range(-358, 614, step):
        if kind < 2:
            draw.line((x, 0, x + 358, 358), second, max(2, step // 6))
        if kind == 0:
            draw.line((x, 0, x - 358, 358), second, max(2, step // 6))
    for x in range(0, 256 + step, step) if kind >= 2 else ():
        for y in range(0, 358 + step, step):
            if kind == 2:
                draw.ellipse((x - step / 3, y - step / 3, x + step / 3, y + step / 3), second)
            elif kind == 3:
                draw.ellipse((x - step, y - step, x + step, y + step), outline=second, width=2)
            else:
                draw.polygon([tuple(p) for p in star(step / 2.2) + (x, y)], second)
    if rng.random() < 0.5:
        draw.ellipse((78, 129, 178, 229), second, first, 6)
        draw.polygon([tuple(p) for p in star(40, int(rng.integers(4, 9))) + (128, 179)], first)
    box = (inset, inset, 256 - inset, 358 - inset)
    card.paste(inner.crop(box), box[:2], card.getchannel("A").crop(box))
    return photograph(card, rng)


def board(rng):
    """Tablero de ajedrez, rayas o tabla con casillas de texto."""
    first, second = colors(rng, 2)
    if rng.random() < 0.5:
        first, second = (240, 240, 235), (30, 30, 30)
    image, n = Image.new("RGB", SIZE, first), int(rng.integers(3, 13))
    draw, kind, step = ImageDraw.Draw(image), rng.integers(3), 224 / n
    path = font_file(rng.choice(TEXT_FONTS))
    font = ImageFont.truetype(path, max(9, step * 0.4))
    for i in range(n):
        for j in range(n if kind else 1):
            box = (i * step, j * step, (i + 1) * step, (j + 1) * step)
            if kind == 0 and i % 2:
                draw.rectangle((i * step, 0, (i + 1) * step, 224), second)
            elif kind == 1 and (i + j) % 2:
                draw.rectangle(box, second)
            elif kind == 2:
                draw.rectangle(box, outline=second)
                draw.text((box[0] + 3, box[1] + 3), str(rng.integers(100)), second, font)
    return image.rotate(float(rng.uniform(-20, 20)), Image.Resampling.BILINEAR, fillcolor=second)


def table(rng):
    """La mesa sola: lisa, de madera, de fieltro o con manchas, y a veces arrugada."""
    image = background(rng, SIZE) + 20 * texture(rng, 5, 5, SIZE) * rng.random()
    return Image.fromarray(image.clip(0, 255).astype("uint8"))


KINDS = {
    "noise": noise,
    "flat": flat,
    "color ramp": color_ramp,
    "text page": text_page,
    "plot": plot,
    "blank card": blank_card,
    "card back": card_back,
    "board": board,
    "table": table,
}


# --- Lo que se parece a un naipe -------------------------------------------------------------


def false_suit(rng):
    """Contorno [n, 2], en una caja de lado 1, de lo que no es un palo (estrella, disco...)."""
    kind, angle = rng.integers(6), np.linspace(0, 2 * np.pi, 41)[:-1]
    if kind == 0:
        return star(0.5, int(rng.integers(5, 9)), rng.uniform(0.3, 0.7))  # de cuatro: diamante
    if kind == 1:
        return np.stack([np.cos(angle), np.sin(angle)], 1) * (0.5, rng.uniform(0.25, 0.5))
    if kind == 2:
        radius = rng.uniform(0.25, 0.55, 8)
        turn = np.arange(8) * np.pi / 4
        return smooth(np.stack([radius * np.cos(turn), radius * np.sin(turn)], 1))
    if kind == 3:  # triángulo, cuadrado, pentágono
        sides = int(rng.integers(3, 7))
        turn = np.arange(sides) * 2 * np.pi / sides - np.pi / 2 + np.pi / 4 * (sides == 4)
        return 0.5 * np.stack([np.cos(turn), np.sin(turn)], 1)
    if kind == 4:  # luna
        inner = np.stack([0.2 + 0.36 * np.cos(angle[::-1]), 0.36 * np.sin(angle[::-1])], 1)
        return np.concatenate([0.5 * np.stack([np.cos(angle), np.sin(angle)], 1), inner])[4:]
    arm = rng.uniform(0.1, 0.2)  # cruz o flecha
    if rng.random() < 0.5:
        x = np.array((arm, 0.5, 0.5, arm, arm, -arm, -arm, -0.5, -0.5, -arm, -arm, arm))
        y = np.array((-arm, -arm, arm, arm, 0.5, 0.5, arm, arm, -arm, -arm, -0.5, -0.5))
        return np.stack([x, y], 1)
    return np.array(((0, -0.5), (0.5, 0), (arm, 0), (arm, 0.5), (-arm, 0.5), (-arm, 0), (-0.5, 0)))


def blank_sheet(rng):
    """(carta RGB en blanco, pluma, estilo) de una baraja inventada."""
    style = free_style(rng)
    card = free_paper(style, (448, 627), rng)
    return card, Pen(card), style


def finish(card):
    """La carta, aplastada al tamaño de la red."""
    return card.resize(SIZE, Image.Resampling.LANCZOS)


def strange_deck(rng):
    """Carta con índice y palos que no son de ningún palo."""
    card, pen, style = blank_sheet(rng)
    outline, color = false_suit(rng), style.inks[rng.integers(4)]
    label = str(rng.choice(list(RANKS.values())))
    if rng.random() < 0.3:
        label = (
            str(rng.integers(0, 30)) if rng.random() < 0.6 else str(rng.choice(list("BCEGHKMNSX")))
        )
    kind = rng.integers(4)
    if kind == 0 and label in RANKS.values() and label not in "AJQK":
        draw_number(pen, label, outline, style, color, rng)
    elif kind < 2:
        pen.at(0, 0, rng.uniform(60, 180)).shape(outline, color, line=False)
    elif kind == 2:
        draw_art(pen, color, rng)
    tab = style.paper if style.index > 42 else None
    draw_free_index(pen, label, outline, style, color, rng, 1.0, tab)
    return finish(card)


def color_deck(rng):
    """Carta de un juego de colores y números, como el UNO: sin palos."""
    first, second = colors(rng, 2)
    hue = ((215, 40, 40), (40, 120, 210), (50, 150, 70), (240, 200, 40), (25, 25, 28), first)
    hue = hue[rng.integers(6)]
    card = Image.new("RGB", (448, 627), WHITE if rng.random() < 0.8 else second)
    pen, style = Pen(card), free_style(rng)
    inset = rng.uniform(0, 16)
    box = SQUARE * (WIDTH / 2 - inset, HEIGHT / 2 - inset)
    pen.shape(box, hue, line=False)
    if rng.random() < 0.8:
        oval = pen.at(0, 0, turn=rng.uniform(15, 60))
        ring = rng.random() < 0.5
        oval.oval(0, 0, rng.uniform(70, 105), rng.uniform(100, 165), WHITE, line=False)
        if ring:
            oval.oval(0, 0, rng.uniform(60, 80), rng.uniform(85, 140), hue, line=False)
    label = (
        str(rng.integers(0, 16)) if rng.random() < 0.7 else str(rng.choice(["+2", "+4", "", "S"]))
    )
    ink, outline = (WHITE, (20, 20, 20), hue)[rng.integers(3)], false_suit(rng)
    if label and rng.random() < 0.8:
        pen.text(label, style.fonts, 0, 0, rng.uniform(70, 190), ink, 150)
    else:
        pen.at(0, 0, rng.uniform(60, 150)).shape(outline, ink)
    corner = (WHITE, (20, 20, 20))[rng.integers(2)]
    height = rng.uniform(20, 60)
    for turn in (0, 180):
        at = pen.at(0, 0, turn=turn).at(height / 2 + inset - 110, height / 2 + inset - 162)
        if label:
            at.text(label, style.fonts, 0, 0, height, corner, 1.1 * height)
        else:
            at.at(0, 0, height).shape(outline, corner)
    return finish(card)


def bare_number(rng):
    """Carta con un número o una letra y sin palo."""
    card, pen, style = blank_sheet(rng)
    color, outline = style.inks[rng.integers(4)], false_suit(rng)
    label = str(rng.choice(list(RANKS.values())))
    if rng.random() < 0.4:
        draw_art(pen, color, rng)
    draw_free_index(pen, label, outline, style, color, rng, 0, style.paper)
    return finish(card)


def card_middle(rng):
    """Trozo del centro de un naipe, sin su índice: dos palos juntos no dicen qué carta es."""
    while True:
        card, index = draw_free_card(str(rng.choice(CLASS_NAMES)), rng)
        if index is not None and (index[0, 3] < (70, 100)).all():
            break
    side = rng.uniform(45, 110)
    left, top = (rng.uniform(low, high - side) for low, high in ((70, 180), (100, 250)))
    box = np.array((left, top, left + side, top + side)) * card.shape[1] / WIDTH
    small = round(rng.uniform(40, 224))
    return Image.fromarray(card).resize((small, small), box=box.tolist()).resize(SIZE)


def mirrored_card(rng):
    """Naipe en un espejo: sus cifras no existen. Sin letras, que en algún idioma son simétricas."""
    rank = str(rng.choice("two three four five six seven nine".split()))
    card, _ = draw_free_card(f"{rank} of {rng.choice(SUITS)}", rng)
    return Image.fromarray(card[:, ::-1]).resize(SIZE)


def picture_card(rng):
    """Carta ilustrada sin índice, como las de hanafuda o las de colección."""
    card, pen, style = blank_sheet(rng)
    draw_art(pen.at(0, 0, rng.uniform(1, 1.8)), style.inks[0], rng)
    if rng.random() < 0.4:
        draw_art(pen.at(0, 0, rng.uniform(0.4, 1)), style.inks[1], rng)
    return finish(card)


def domino(rng):
    """Ficha de dominó o dado: puntos en una o dos mitades, derecha o tumbada."""
    light = rng.random() < 0.7
    paper, ink = ((245, 242, 230), (25, 25, 25)) if light else ((30, 30, 34), (240, 240, 235))
    ink = colors(rng, 1)[0] if rng.random() < 0.3 else ink
    card = Image.new("RGB", (448, 627), paper)
    pen = Pen(card)
    spots = ["", "0,0", "-1,-1 1,1", "-1,-1 0,0 1,1", "-1,-1 1,-1 -1,1 1,1"]
    spots += [spots[4] + " 0,0", spots[4] + " -1,0 1,0"]
    radius, gap = rng.uniform(10, 20), rng.uniform(40, 55)
    for half in (-1, 1):
        for x, y in points(spots[k]) if (k := rng.integers(7)) else ():
            pen.oval(gap * 1.4 * x, half * 87 + gap * y, radius, radius, ink, line=False)
    pen.stroke([(-110, 0), (110, 0)], ink, 3)
    card = card.rotate(90, expand=True) if rng.random() < 0.5 else card
    return finish(card)


def set_card(rng):
    """Carta del juego SET: de una a tres figuras iguales, llenas, huecas o rayadas."""
    card = Image.new("RGB", (448, 627), WHITE)
    pen, color = Pen(card, width=4), ((220, 40, 40), (60, 150, 60), (110, 50, 150))[rng.integers(3)]
    shapes = (
        points("-1,0 0,-.45 1,0 0,.45"),
        smooth("-1,0 -.7,-.42 .7,-.42 1,0 .7,.42 -.7,.42"),
        smooth("-1,.2 -.8,-.4 -.1,-.3 .6,-.45 1,-.2 .8,.4 .1,.3 -.6,.45"),
    )
    outline, count = shapes[rng.integers(3)], int(rng.integers(1, 4))
    size, filled = rng.uniform(55, 85), rng.integers(3)
    for k in range(count):
        at = pen.at(0, (k - (count - 1) / 2) * size * 1.15, size)
        at.ink = color
        at.shape(outline, color if filled == 0 else WHITE)
        for x in np.linspace(-0.7, 0.7, 12) if filled == 1 else ():
            at.stroke([(x, -0.22), (x, 0.22)], color, 1.5)
    card = card.rotate(90, expand=True) if rng.random() < 0.5 else card
    return finish(card)


def contrast(color):
    """Tinta, negra o blanca, que se lee sobre `color`."""
    return (20, 20, 20) if sum(color) > 380 else WHITE


def figure(style, rng):
    """Figura sin índice y con un palo que no lo es, o ninguno; a veces, solo la mitad de arriba."""
    sheet, outline = free_paper(style, (448, 627), rng), false_suit(rng) * rng.integers(2)
    draw_court(sheet, str(rng.choice(RANK_NAMES[-3:])), outline, style, style.inks[0], rng)
    return sheet.crop((80, 62, 368, int(rng.integers(250, 330)) if rng.random() < 0.4 else 565))


def scene(style, rng):
    """Ilustración abstracta sobre papel, un degradado, ruido o una mesa."""
    kind = rng.integers(5)
    sheet = (color_ramp, noise, table)[kind](rng) if kind < 3 else free_paper(style, SIZE, rng)
    sheet = sheet.resize((448, 627))
    if kind or rng.random() < 0.7:
        draw_art(Pen(sheet).at(0, 0, rng.uniform(1, 1.8)), style.inks[0], rng)
    return sheet


def mount(picture, style, rng, edge, top=0, bottom=0):
    """(Carta, color de su marco): `picture` con hueco para texto arriba y abajo, y filetes."""
    hue = style.paper if rng.random() < 0.4 else colors(rng, 1)[0]
    card = free_paper(replace(style, paper=hue), (448, 627), rng)
    left, high, right, low = edge, edge + top, 448 - edge, 627 - edge - bottom
    card.paste(picture.resize((right - left, low - high)), (left, high))
    boxes = [(k, k, 447 - k, 626 - k) for k in (edge // 3, edge * 2 // 3)] + [
        (left, high, right, low)
    ]
    for k in rng.permutation(3)[: rng.integers(4)] if edge else ():
        ink = (contrast(hue), style.inks[1])[rng.integers(2)]
        ImageDraw.Draw(card).rectangle(boxes[k], None, ink, int(rng.integers(2, 7)))
    return card, hue


def band(card, text, x, y, height, width, style, hue, rng):
    """Texto centrado en (x, y), en unidades, a veces en una banda que no es del color `hue`."""
    fill, pen = colors(rng, 1)[0] if rng.random() < 0.5 else hue, Pen(card)
    if fill != hue:
        pen.at(x, y).shape(SQUARE * (width / 2 + 8, height * 0.8), fill, rng.random() < 0.7)
    pen.text(text, style.fonts, x, y, height, contrast(fill), width)


def tarot(rng, picture=None):
    """Carta de tarot: una figura, un bufón o una escena con número romano, título o los dos."""
    style, kind, sign = free_style(rng), rng.integers(6), rng.integers(1, 4)
    if picture is None and kind < 2:  # un bufón lleva siempre título
        picture, sign = free_paper(style, (448, 627), rng), sign | 2
        pen, draw = Pen(picture).at(0, 10, rng.uniform(1, 1.3)), (draw_jester, draw_juggler)[kind]
        draw(pen, court_colors(style, rng), rng)
    picture = picture or (scene if kind == 5 else figure)(style, rng)
    edge, high, title = int(rng.integers(8, 45)), rng.uniform(12, 24), str(rng.choice(TITLES))
    top, bottom = (round(3.4 * high) * bool(sign & bit) for bit in (1, 2))
    card, hue = mount(picture, style, rng, edge, top, bottom)
    y, wide = edge / 1.792 + 0.95 * high - HEIGHT / 2, min(210 - edge, 0.8 * high * len(title))
    if sign & 1:
        band(card, str(rng.choice(NUMERALS)), 0, y, high, rng.uniform(30, 60), style, hue, rng)
    if sign & 2:
        band(card, title, 0, -y, high, wide, style, hue, rng)
    return finish(card)


def trading_card(rng, picture=None):
    """Carta de colección: marco, título, ilustración y un recuadro de texto pequeño."""
    style, edge, low = free_style(rng), int(rng.integers(14, 40)), int(rng.integers(120, 260))
    picture = picture or (figure if rng.random() < 0.4 else scene)(style, rng)
    card, hue = mount(picture, style, rng, edge, 58, low)
    pen, y, right = Pen(card), (edge + 28) / 1.792 - HEIGHT / 2, 112 - edge / 1.792
    band(card, str(rng.choice(TITLES)), -28, y, rng.uniform(11, 17), 125, style, hue, rng)
    ink, kind = contrast(hue), rng.integers(4)
    if kind == 0:
        pen.text(str(rng.integers(1, 40) * 10), style.fonts, right - 12, y, 13, ink, 30)
    elif kind == 1:
        pen.at(right - 5, y, 18).shape(false_suit(rng), style.inks[0])
    for k in range(rng.integers(1, 5)) if kind == 2 else ():
        pen.at(right - 11 * k, y, 5).shape(star(1), (240, 200, 40))
    left, high, far, end = edge, 639 - edge - low, 448 - edge, 601 - edge
    paper = tuple((255 - rng.integers(0, 70, 3)).tolist()) if rng.random() < 0.8 else hue
    ImageDraw.Draw(card).rectangle((left, high, far, end), paper, ink, 3)
    size = min(max(11, (end - high) // int(rng.integers(3, 10))), 30)
    write(card, (left + 10, high + 6, far - 10, end - 2), size, contrast(paper), rng)
    if rng.random() < 0.6:
        number = "{}/{}".format(*rng.integers(1, (10, 250)[rng.integers(2)], 2))
        pen.text(number, style.fonts, right - 14, HEIGHT / 2 - edge / 1.792 - 4, 10, ink, 40)
    return finish(card)


def court_alone(rng, picture=None):
    """Figura de la baraja sin índice ni palo, con marco o sin él."""
    style, edge = free_style(rng), int(rng.integers(0, 75)) * (rng.random() < 0.8)
    picture = picture or figure(style, rng)
    return finish(mount(picture, style, rng, edge, *rng.integers(0, 1 + edge // 2, 2).tolist())[0])


def poster(rng):
    """Cartel, etiqueta o cubierta de libro: una ilustración, un título y algo de texto."""
    style, edge = free_style(rng), int(rng.integers(0, 60)) * (rng.random() < 0.6)
    card, hue = mount(scene(style, rng), style, rng, edge, *rng.integers(0, 160, 2).tolist())
    for _ in range(rng.integers(1, 4)):
        x, y, wide, high = rng.integers((20, 20, 120, 40), (200, 540, 400, 160)).tolist()
        size, ink = int(rng.integers(12, 36)), (contrast(hue), *colors(rng, 1))[rng.integers(2)]
        write(card, (x, y, min(x + wide, 440), y + high), size, ink, rng)
    high, y = rng.uniform(18, 50), rng.choice((-1, 1)) * rng.uniform(30, 135)
    band(card, str(rng.choice(TITLES)), 0, y, high, rng.uniform(150, 225), style, hue, rng)
    return finish(card)


RING = np.stack([np.cos(np.arange(40) * np.pi / 20), np.sin(np.arange(40) * np.pi / 20)], 1) / 2
CUP = points("-.4,-.55 .4,-.55 .3,-.1 .06,.1 .06,.4 .3,.55 -.3,.55 -.06,.4 -.06,.1 -.3,-.1")
GUARD = points("-.26,.36 .26,.36 .26,.44 .06,.44 .06,.7 -.06,.7 -.06,.44 -.26,.44")
SPANISH = (  # oros, copas, espadas y bastos: contornos y el número de su color
    ((RING, 0), (RING * 0.72, 1), (RING * 0.44, 0)),
    ((CUP, 0), (SQUARE * (0.36, 0.07) - (0, 0.4), 1)),
    ((points("-.08,.4 0,-.85 .08,.4"), 2), (GUARD, 0)),
    ((points("-.1,.75 -.24,-.6 0,-.8 .24,-.6 .1,.75"), 1), (RING / 6 + (0.15, -0.3), 0)),
)


def spanish_figure(rng):
    """Carta de la baraja española: número, marco con cortes y oros, copas, espadas o bastos."""
    paper, number = tuple((255 - rng.integers(0, 40, 3)).tolist()), int(rng.integers(1, 13))
    style, suit = replace(free_style(rng), paper=paper), int(rng.integers(4))
    card, high = free_paper(style, (448, 627), rng), rng.uniform(14, 34)
    pen, side = Pen(card), np.array((WIDTH, HEIGHT)) / 2 - rng.uniform(8, 22)
    ink = style.inks[0] if sum(style.inks[0]) < 300 else (30, 40, 80)
    pen.stroke(SQUARE * side, ink, rng.uniform(1, 4), closed=True)
    for x in np.linspace(-60, 60, suit + 2)[1:-1]:  # los cortes dicen el palo
        for y in (-side[1], side[1]):
            pen.at(x, y).shape(SQUARE * (8, 4), paper, line=False)
    hues = colors(rng, 2) if rng.random() < 0.3 else [(235, 180, 50), (200, 40, 40), (40, 120, 70)]
    hues, size = hues[:: (1, -1)[suit == 3]][:2] + [(150, 180, 220)], rng.uniform(30, 54)
    if court := number > 9 or rng.random() < 0.15:
        wide, tall = rng.integers((190, 280), (330, 460)).tolist()
        card.paste(figure(style, rng).resize((wide, tall)), (224 - wide // 2, 313 - tall // 2))
    for x, y in points(PIPS.get(str(number), "0,0")) if not court else ():
        turn = rng.choice((0, 40)) * (suit > 1)
        at = pen.at(x * 52, y * 95, size * (1 + (number == 1)), turn=turn)
        for outline, k in SPANISH[suit]:
            at.shape(outline, hues[k])
    for turn in (0, 180)[: rng.integers(1, 3)]:
        x, y = high / 2 + 5 - side
        pen.at(0, 0, turn=turn).text(str(number), style.fonts, x, y, high, ink, high)
    return finish(card)


def reframe(image, rng):
    """Trozo sin índice de una carta de verdad, uint8 [224, 224, 3], de ilustración en otra."""
    low, side = np.array((61, 50)), np.array((102, 124))  # del 27 al 73 % y del 22 al 78 %
    part = np.ceil(side * rng.uniform(0.6, 1, 2)).astype(int)
    left, top = low + rng.integers(0, side - part + 1)
    picture = Image.fromarray(image[top : top + part[1], left : left + part[0]])
    return np.asarray((tarot, trading_card)[rng.integers(2)](rng, picture))  # con título o número


LOOKALIKES = strange_deck, bare_number, color_deck, card_middle, mirrored_card
LOOKALIKES += picture_card, domino, set_card
LOOKALIKES += tarot, trading_card, court_alone, poster, spanish_figure


def draw_no_cards(count, seed=0):
    """Imágenes que no son naipes, la mitad parecidas a uno, para completar las de entrenamiento.

    Args:
        count: cuántas; mil tardan menos de un minuto.
        seed: entero no negativo.

    Returns:
        uint8 [count, 224, 224, 3] en 0..255.
    """
    plain = list(KINDS.values())  # de los parecidos, tres veces los más; dos, los enmarcados
    near = LOOKALIKES + LOOKALIKES[:5] * 2 + LOOKALIKES[8:]
    images = np.empty((count, *SIZE, 3), np.uint8)
    for i in range(count):
        kinds, rng = (plain, near)[i % 2], np.random.default_rng([seed, 2, i])
        images[i] = np.asarray(kinds[i // 2 % len(kinds)](rng))
    return images
