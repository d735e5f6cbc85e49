"""Cartas de barajas que no existen, en las que solo el índice dice cuál es cada una.

El índice mide hasta un tercio de la carta, en una, dos o cuatro esquinas, con las letras de siete
idiomas; lo demás (papel, tintas, centro, figuras) sale al azar.
"""

import colorsys
from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw

from demo_deck import (
    CLASS_NAMES,
    FONTS,
    HEIGHT,
    PALETTES,
    RANK_NAMES,
    RANKS,
    SUITS,
    WHITE,
    WIDTH,
    Pen,
    Style,
    available,
    court_colors,
    draw_art,
    draw_center,
    draw_court,
    draw_jester,
    draw_joker_card,
    draw_juggler,
    draw_pip,
    glyph,
    points,
    suit_outline,
    texture,
)

# Letras de as, jota, reina y rey en cada idioma, y cuántas barajas de cada cien lo hablan
LETTERS = {
    "A J Q K": 55,
    "A B D K": 9,  # alemán
    "1 V D R": 10,  # francés
    "A B V H": 4,  # neerlandés
    "A Kn D K": 6,  # escandinavo
    "Т В Д К": 12,  # ruso
    "A F D R": 4,  # italiano
}


def free_style(rng):
    """Un `Style` al azar: letra, tamaños, papel claro u oscuro y tintas que se lean sobre él."""

    def color(saturation, value):
        hsv = rng.random(), rng.uniform(*saturation), rng.uniform(*value)
        return tuple(round(255 * channel) for channel in colorsys.hsv_to_rgb(*hsv))

    dark, usual = rng.random() < 0.25, rng.random() < 0.6
    white = rng.random() < 0.55
    paper = color((0, 1), (0, 0.3)) if dark else WHITE if white else color((0, 0.4), (0.75, 1))
    inks = [color((0, 0.9), (0.75, 1)) if dark else color((0.2, 1), (0, 0.55)) for _ in SUITS]
    if usual:  # dos tintas: una roja, y negra o clara la otra
        black = color((0, 0.3), (0.75, 1)) if dark else color((0, 0.6), (0, 0.3))
        red = (round(rng.uniform(200 if dark else 150, 255)), *rng.integers(0, 50, 2).tolist())
        inks = [black, red, red, black]
    elif rng.random() < 0.5:
        inks = inks[:1] * 4
    return Style(
        str(rng.choice(available(FONTS))),
        index=float(np.exp(rng.uniform(np.log(20), np.log(117)))),
        pip=rng.uniform(30, 60),
        inks=tuple(inks),
        palettes=tuple(PALETTES),
        paper=paper,
        corners=int(rng.choice((1, 2, 4), p=(0.2, 0.62, 0.18))),
        border=rng.random() < 0.25,
        hollow=rng.random() < 0.12,
    )


def draw_free_index(pen, label, outline, style, color, rng, pip=1.0, tab=None):
    """Índice de una baraja inventada: con el palo debajo, encima, al lado o en la otra esquina.

    `pip` multiplica el palo (0: sin él); `tab` es el color de la pestaña en que va, si la hay.
    """
    layout = rng.choice(("debajo", "encima", "al lado", "enfrente"), p=(0.68, 0.04, 0.16, 0.12))
    crowded = layout == "al lado" or style.corners == 4
    height = min(style.index, 75 if crowded else 117)
    mask = glyph(label, style.fonts)
    width = height * min(mask.width / mask.height, rng.uniform(0.75, 1.3))
    width = min(width, 62 if style.corners == 4 else 100)
    size, gap = pip * height * rng.uniform(0.5, 0.95), height * rng.uniform(0.06, 0.25)
    size = min(size, 1.5 * width)
    if height < 45 and layout == "debajo" and rng.random() < 0.2:  # el palo, mayor que la letra
        size = pip * height * rng.uniform(1.0, 1.8)
    inset = rng.uniform(3, 15) + 6 * style.border
    left, top = inset - WIDTH / 2, inset - HEIGHT / 2
    block = max(width, size) if layout in ("debajo", "encima") else width
    rank, suit = (left + block / 2, top + height / 2), None
    if layout == "debajo":
        suit = (left + block / 2, top + height + gap + size / 2)
    elif layout == "encima":
        suit = (left + block / 2, top + size / 2)
        rank = (left + block / 2, top + size + gap + height / 2)
    elif layout == "al lado":
        suit = (left + width + gap + size / 2, top + height / 2)
    else:
        suit = (-left - size / 2, top + size / 2)
    letter = style.inks[rng.integers(4)] if rng.random() < 0.06 else color  # de otra tinta
    for turn in (0, 180)[: style.corners]:
        for side in (1, -1) if style.corners == 4 else (1,):
            corner = pen.at(0, 0, turn=turn)
            for (x, y), wide, tall in ((rank, width, height), (suit, size, size)) if tab else ():
                sheet = points("-1,-1 1,-1 1,1 -1,1") * (wide / 2 + 5, tall / 2 + 5)
                corner.at(side * x, y).shape(sheet, tab, line=False)
            corner.text(label, style.fonts, side * rank[0], rank[1], height, letter, width)
            if size:
                draw_pip(corner.at(side * suit[0], suit[1], size), outline, style, color)


def free_paper(style, size, rng):
    """Papel de una baraja inventada, RGB de `size`: liso, con manchas o con grano."""
    tint = rng.uniform(-60, 60, 3) * (rng.random() < 0.3)
    paper = style.paper + tint * texture(rng, *rng.integers(2, 12, 2), size)
    if rng.random() < 0.25:  # papel con grano
        paper += rng.uniform(5, 30) * texture(rng, *rng.integers(20, 160, 2), size)
    return Image.fromarray(paper.clip(0, 255).astype("uint8"))


def draw_free_card(class_name, rng):
    """Carta de una baraja inventada, en la que solo es de fiar el índice.

    El índice mide hasta un tercio de la carta, en una, dos o cuatro esquinas, con las letras de
    un idioma. El centro lleva los palos o la figura que tocan, un palo grande, la letra, una
    ilustración, un bufón, una figura cualquiera o nada.

    Args:
        class_name: una de `CLASS_NAMES`.
        rng: `numpy.random.Generator`.

    Returns:
        uint8 [224, 224, 3] en 0..255: la carta llena el cuadro, aplastada.
    """
    style, (rank, _, suit) = free_style(rng), class_name.partition(" of ")
    size = (448, 627)
    card = free_paper(style, size, rng)
    pen, color = Pen(card), style.inks[SUITS.index(suit) if suit else rng.integers(4)]
    if rank == "joker":
        word = str(rng.choice(("JOKER", "Joker", "joker", "JOLLY"), p=(0.6, 0.25, 0.1, 0.05)))
        draw_joker_card(card, style, style.fonts, color, rng, word)
        if rng.random() < 0.3:  # sin bufón: solo la palabra
            paper = points("-1,-1 1,-1 1,1 -1,1") * (95, 150)
            pen.shape(paper, style.paper, line=False)
            draw_art(pen.at(0, 0, 0.9), color, rng) if rng.random() < 0.6 else None
            pen.text(word, style.fonts, 0, 0, rng.uniform(20, 45), color, 180)
    else:
        draw_face_side(pen, rank, suit, style, color, rng)
    if style.border:
        box = np.array((0, 0, *size)) + rng.uniform(4, 20) * np.array((1, 1, -1, -1))
        ImageDraw.Draw(card).rounded_rectangle(box.tolist(), 10, None, color, 5)
    if style.index > 50 and rng.random() < 0.15:  # de píxeles gordos
        wide = int(rng.integers(44, 80))
        card = card.resize((wide, round(1.4 * wide)), Image.Resampling.NEAREST)
        card = card.resize(size, Image.Resampling.NEAREST)
    return np.asarray(card.resize((224, 224), Image.Resampling.LANCZOS))


def draw_face_side(pen, rank, suit, style, color, rng):
    """Centro e índice de una carta inventada que no es comodín."""
    odds = np.array(list(LETTERS.values())) / 100
    letters = str(rng.choice(list(LETTERS), p=odds))
    label = RANKS[rank]
    if label in "AJQK":
        label = letters.split()["AJQK".index(label)]
    if not label.isascii() and style.fonts.startswith("cm"):  # sin alfabeto cirílico
        style = replace(style, fonts="DejaVuSerif")
    outline, pip, tab = suit_outline(suit, rng), rng.uniform(0.8, 1.2), None
    kinds = "el suyo", "un palo", "letra", "ilustración", "bufón", "figura", "nada"
    center = rng.choice(kinds, p=(0.34, 0.2, 0.05, 0.16, 0.05, 0.09, 0.11))
    if label == "V":  # la jota francesa y la reina neerlandesa solo difieren en la figura
        center = "el suyo"
    if center == "un palo":
        own = rng.random() < 0.75
        big = outline if own else suit_outline(str(rng.choice(SUITS)), rng)
        at = pen.at(*(rng.uniform(-1, 1, 2) * (70, 110)), rng.uniform(50, 200))
        draw_pip(at, big, style, color)
        if own and rng.random() < 0.3:
            pip = 0  # el palo ya se ve
        elif rng.random() < 0.3:
            draw_art(pen.at(0, 0, rng.uniform(0.35, 0.9)), style.paper, rng)
    elif center == "letra":
        font = style.fonts
        pen.text(label, font, 0, 0, rng.uniform(80, 180), color, 150)
    elif center == "ilustración":
        whole = rng.random() < 0.4  # también en las esquinas, y el índice en una pestaña
        tab = style.paper if whole else None
        draw_art(pen.at(0, 0, 1.7 if whole else 1), color, rng)
    elif center == "bufón":
        draw = (draw_jester, draw_juggler)[rng.integers(2)]
        draw(pen.at(0, 5, rng.uniform(0.8, 1)), court_colors(style, rng), rng)
    elif center == "figura":
        court = rank if rank in RANK_NAMES[-3:] else str(rng.choice(RANK_NAMES[-3:]))
        draw_court(pen.image, court, outline, style, color, rng)
    elif center == "el suyo":
        ornate = rank == "ace" and rng.random() < 0.3
        draw_center(pen, rank, outline, style, ornate, color, rng)
    if style.index > 42 or pip == 0:
        tab = style.paper  # un índice grande va despejado
    draw_free_index(pen, label, outline, style, color, rng, pip, tab)


def draw_free_cards(per_class, seed=0):
    """Cartas inventadas de todas las clases, para completar las de entrenamiento.

    Cada una tiene su propio generador, `default_rng([semilla, número])`.

    Args:
        per_class: cuántas de cada clase; 48 de las 53 clases tardan un minuto.
        seed: entero no negativo.

    Returns:
        (images, labels): uint8 [n, 224, 224, 3] e int32 [n], posición en `CLASS_NAMES`.
    """
    labels = np.tile(np.arange(len(CLASS_NAMES), dtype=np.int32), per_class)
    images = np.empty((len(labels), 224, 224, 3), np.uint8)
    for i, label in enumerate(labels):
        images[i] = draw_free_card(CLASS_NAMES[label], np.random.default_rng([seed, i]))
    return images, labels
