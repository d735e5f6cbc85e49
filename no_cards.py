"""Dibuja imágenes que no son un naipe: unas no se parecen en nada y otras, mucho.

Con ellas la red aprende a no decidirse (Hendrycks, Mazeika y Dietterich, 2019) y se mide cuándo
se niega. Cada imagen tiene su propio generador, `default_rng([semilla, 2, número])`.
"""

import io

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from demo_deck import (
    CLASS_NAMES,
    HEIGHT,
    RANKS,
    SQUARE,
    SUITS,
    WHITE,
    WIDTH,
    Pen,
    background,
    draw_art,
    draw_number,
    font_file,
    photograph,
    points,
    smooth,
    star,
    texture,
)
from free_deck import draw_free_card, draw_free_index, free_paper, free_style

SIZE = (224, 224)
WORDS = (
    "la red mira cada foto y dice qué ve: pan, mesa, 7 kilos, 10 euros, tren, Q, K, luz, nube, "
    "casa, río, 4 de mayo, J. Pérez, A5, silla, calle, 23, puerta, libro, agua, total 98.50"
).split()
TEXT_FONTS = "DejaVuSans DejaVuSans-Bold DejaVuSerif DejaVuSansMono STIXGeneral cmr10".split()


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


def gradient(rng):
    """Degradado lineal o radial entre dos colores."""
    y, x = np.mgrid[-1:1:224j, -1:1:224j]
    angle = rng.uniform(0, 2 * np.pi)
    t = np.hypot(x, y) if rng.random() < 0.4 else x * np.cos(angle) + y * np.sin(angle)
    t = ((t - t.min()) / np.ptp(t))[..., None]
    first, second = np.array(colors(rng, 2), float)
    return Image.fromarray((first + (second - first) * t).astype("uint8"))


def text_page(rng):
    """Página de texto, a veces con título y columna estrecha."""
    light = rng.random() < 0.8
    paper, ink = ((255, 255, 255), (20, 20, 20)) if light else ((25, 28, 35), (230, 230, 220))
    page, size = Image.new("RGB", (448, 448), paper), int(rng.integers(14, 60))
    draw, left, y = ImageDraw.Draw(page), int(rng.integers(5, 80)), int(rng.integers(0, 60))
    font = ImageFont.truetype(font_file(rng.choice(TEXT_FONTS)), size)
    while y < 448:
        line = " ".join(rng.choice(WORDS, 30))
        draw.text((left, y), line, ink, font)
        y += int(size * 1.4)
        if rng.random() < 0.15:
            y += size
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
    "ruido": noise,
    "color liso": flat,
    "degradado": gradient,
    "página de texto": text_page,
    "gráfico": plot,
    "carta en blanco": blank_card,
    "dorso de carta": card_back,
    "tablero o tabla": board,
    "mesa vacía": table,
}


# --- Lo que se parece a un naipe -------------------------------------------------------------


def false_suit(rng):
    """Contorno [n, 2], en una caja de lado 1, de lo que no es un palo (estrella, disco...)."""
    kind, angle = rng.integers(6), np.linspace(0, 2 * np.pi, 41)[:-1]
    if kind == 0:
        return star(0.5, int(rng.integers(4, 9)), rng.uniform(0.3, 0.7))
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
        if index is not None and (index[2] < (70, 100)).all():
            break
    side = rng.uniform(45, 110)
    left, top = (rng.uniform(low, high - side) for low, high in ((70, 180), (100, 250)))
    box = np.array((left, top, left + side, top + side)) * card.shape[1] / WIDTH
    small = round(rng.uniform(40, 224))
    return Image.fromarray(card).resize((small, small), box=box.tolist()).resize(SIZE)


def mirrored(rng):
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


LOOKALIKES = strange_deck, bare_number, color_deck, card_middle, mirrored
LOOKALIKES += picture_card, domino, set_card


def draw_no_cards(count, seed=0):
    """Imágenes que no son naipes, la mitad parecidas a uno, para completar las de entrenamiento.

    Args:
        count: cuántas; mil tardan menos de un minuto.
        seed: entero no negativo.

    Returns:
        uint8 [count, 224, 224, 3] en 0..255.
    """
    plain, near = list(KINDS.values()), LOOKALIKES + LOOKALIKES[:5] * 2  # las más parecidas, tres
    images = np.empty((count, *SIZE, 3), np.uint8)
    for i in range(count):
        kinds, rng = (plain, near)[i % 2], np.random.default_rng([seed, 2, i])
        images[i] = np.asarray(kinds[i // 2 % len(kinds)](rng))
    return images
