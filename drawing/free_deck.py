"""Cartas de barajas que no existen, en las que solo el índice dice cuál es cada una.

El índice mide hasta un tercio de la carta, en una, dos o cuatro esquinas, con las letras de siete
idiomas; lo demás (papel, tintas, centro, figuras) sale al azar. De una de cada cinco se ve solo la
esquina, entre otras cartas, como en una mano.
"""

import colorsys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
from PIL import Image, ImageDraw

from card_names import CLASS_NAMES, RANK_NAMES, RANKS, SUITS
from card_photo import index_corners, sharpen
from drawing.demo_deck import (
    FONTS,
    HEIGHT,
    PALETTES,
    SQUARE,
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


def draw_free_index(pen, label, outline, style, color, rng, pip=1.0, tab=None, apart=False):
    """Índice de una baraja inventada: con el palo debajo, encima, al lado o en la otra esquina.

    `pip` multiplica el palo (0: sin él); `tab` es el color de la pestaña en que va, si la hay.
    Devuelve [n, 4, 2], en unidades de carta desde su esquina: de cada índice, el centro de la
    letra, el del palo y desde dónde y hasta dónde llega; None si letra y palo no están juntos. Si
    `apart` lo pide así, letra y palo por turnos: de cada uno, lo alto, lo bajo, desde dónde y hasta
    dónde.
    """
    layout = rng.choice(("below", "above", "beside", "opposite"), p=(0.68, 0.04, 0.16, 0.12))
    layout = "opposite" if apart else layout
    if layout == "opposite":  # con cuatro esquinas, letra y palo quedarían uno sobre otro
        style = replace(style, corners=min(style.corners, 2))
    crowded = layout == "beside" or style.corners == 4
    height = min(style.index, 75 if crowded else 117)
    mask = glyph(label, style.fonts)
    width = height * min(mask.width / mask.height, rng.uniform(0.75, 1.3))
    width = min(width, 62 if style.corners == 4 else 100)
    size, gap = pip * height * rng.uniform(0.5, 0.95), height * rng.uniform(0.06, 0.25)
    size = min(size, 1.5 * width)
    if height < 45 and layout == "below" and rng.random() < 0.2:  # el palo, mayor que la letra
        size = pip * height * rng.uniform(1.0, 1.8)
    inset = rng.uniform(3, 15) + 6 * style.border
    left, top = inset - WIDTH / 2, inset - HEIGHT / 2
    block = max(width, size) if layout in ("below", "above") else width
    rank, suit = (left + block / 2, top + height / 2), None
    if layout == "below":
        suit = (left + block / 2, top + height + gap + size / 2)
    elif layout == "above":
        suit = (left + block / 2, top + size / 2)
        rank = (left + block / 2, top + size + gap + height / 2)
    elif layout == "beside":
        suit = (left + width + gap + size / 2, top + height / 2)
    else:
        suit = (-left - size / 2, top + size / 2)
    letter = style.inks[rng.integers(4)] if rng.random() < 0.06 else color  # de otra tinta
    for turn in (0, 180)[: style.corners]:
        for side in (1, -1) if style.corners == 4 else (1,):
            corner = pen.at(0, 0, turn=turn)
            for (x, y), wide, tall in ((rank, width, height), (suit, size, size)) if tab else ():
                sheet = SQUARE * (wide / 2 + 5, tall / 2 + 5)
                corner.at(side * x, y).shape(sheet, tab, line=False)
            corner.text(label, style.fonts, side * rank[0], rank[1], height, letter, width)
            if size:
                draw_pip(corner.at(side * suit[0], suit[1], size), outline, style, color)
    if not size or layout == "opposite" and not apart:
        return None
    rank, suit, half = np.array(rank), np.array(suit), np.array((width, height)) / 2
    low, high = np.minimum(rank - half, suit - size / 2), np.maximum(rank + half, suit + size / 2)
    own = [(rank, suit, low, high)]
    if apart:
        own = [(rank, half), (suit, np.array((size, size)) / 2)]
        own = [(at - (0, h[1]), at + (0, h[1]), at - h, at + h) for at, h in own]
    places = [(1, 1), (-1, -1), (-1, 1), (1, -1)][: style.corners]  # signos de x y de y
    every = [np.array(one) * signs for signs in places for one in own]
    every = [(a, b, np.minimum(c, d), np.maximum(c, d)) for a, b, c, d in every]
    return np.array(every) + (WIDTH / 2, HEIGHT / 2)


def free_paper(style, size, rng):
    """Papel de una baraja inventada, RGB de `size`: liso, con manchas o con grano."""
    paper = np.float32(style.paper)
    if rng.random() < 0.3:
        tint = np.float32(rng.uniform(-60, 60, 3))
        paper = paper + tint * texture(rng, *rng.integers(2, 12, 2), size)
    if rng.random() < 0.25:  # con grano
        paper = paper + rng.uniform(5, 30) * texture(rng, *rng.integers(20, 160, 2), size)
    if paper.ndim == 1:
        return Image.new("RGB", size, style.paper)
    return Image.fromarray(paper.clip(0, 255).astype("uint8"))


def draw_free_card(class_name, rng, look=None):
    """Carta de una baraja inventada, en la que solo es de fiar el índice.

    El índice mide hasta un tercio de la carta, en una, dos o cuatro esquinas, con las letras de
    un idioma. El centro lleva los palos o la figura que tocan, un palo grande, la letra, una
    ilustración, un bufón, una figura cualquiera o nada.

    Args:
        class_name: una de `CLASS_NAMES`.
        rng: `numpy.random.Generator`.
        look: el `Style` de una carta con el palo en la otra esquina de arriba; None: al azar.

    Returns:
        (card, index): uint8 [627, 448, 3] en 0..255, y dónde está el índice, como lo da
        `draw_free_index`.
    """
    style, (rank, _, suit), index = look or free_style(rng), class_name.partition(" of "), None
    size = (448, 627)
    card = free_paper(style, size, rng)
    pen, color = Pen(card), style.inks[SUITS.index(suit) if suit else rng.integers(4)]
    if rank == "joker":
        word = str(rng.choice(("JOKER", "Joker", "joker", "JOLLY"), p=(0.6, 0.25, 0.1, 0.05)))
        draw_joker_card(card, style, style.fonts, color, rng, word)
        if rng.random() < 0.3:  # sin bufón: solo la palabra
            pen.shape(SQUARE * (95, 150), style.paper, line=False)
            if rng.random() < 0.6:
                draw_art(pen.at(0, 0, 0.9), color, rng)
            pen.text(word, style.fonts, 0, 0, rng.uniform(20, 45), color, 180)
    else:
        index = draw_face_side(pen, rank, suit, style, color, rng, look is not None)
    if style.border:
        box = np.array((0, 0, *size)) + rng.uniform(4, 20) * np.array((1, 1, -1, -1))
        ImageDraw.Draw(card).rounded_rectangle(box.tolist(), 10, None, color, 5)
    if rng.random() < 0.25:  # marcas de pocos píxeles: baraja pixelada o foto de lejos
        wide = min(200, round(2600 / style.index * np.exp(rng.uniform(0, 0.8))))
        down, up = Image.Resampling.BOX, Image.Resampling.BICUBIC
        if rng.random() < 0.5:
            down, up = (down, Image.Resampling.NEAREST)[rng.integers(2)], Image.Resampling.NEAREST
        card = card.resize((wide, round(1.4 * wide)), down).resize(size, up)
    return np.asarray(card), index


def draw_covered(card, index, others, rng):
    """La esquina de una carta con otra debajo y otra encima, como en una mano o una cascada.

    Args:
        card: la que da `draw_free_card`; index: su índice, [4, 2].
        others: las otras dos, uint8 [224, 224, 3].
        rng: `numpy.random.Generator`.

    Returns:
        uint8 [224, 224, 3]: el encuadre de `card_photo.find_indices` o algo más, y tan poco nítido
        como el índice de una carta pequeña en una foto.
    """
    letter, suit, _, (right, bottom) = index + rng.normal(0, 0.04 * np.ptp(index[:2]), (4, 2))
    box = index_corners(letter[None], suit[None])[0]
    box = box[0] + (box - box[0]) * np.exp(rng.uniform(-0.05, 0.6))
    size = round(np.exp(rng.uniform(np.log(44), np.log(224))))
    to_view = cv2.getPerspectiveTransform(
        np.float32(box), np.float32([[0, 0], [size, 0], [size, size], [0, size]])
    )
    seen = np.full((size, size, 3), rng.uniform(0, 255, 3))
    seen += rng.uniform(0, 30) * texture(rng, *rng.integers(2, 9, 2), (size, size))

    def put(seen, sheet, x, y, turn):  # encima, con su sombra
        place = np.vstack([cv2.getRotationMatrix2D((0, 0), -turn, 1), (0, 0, 1)])
        place[:2, 2] = x, y
        high, wide = sheet.shape[:2]
        place = to_view @ place @ np.diag((WIDTH / wide, HEIGHT / high, 1))
        mask = cv2.warpPerspective(np.ones((high, wide), np.float32), place, (size, size))
        shade = cv2.GaussianBlur(mask, (0, 0), 0.03 * size)[..., None]
        sheet = cv2.warpPerspective(sheet, place, (size, size), borderMode=cv2.BORDER_REPLICATE)
        return seen * (1 - 0.4 * shade) * (1 - mask[..., None]) + sheet * mask[..., None]

    under, over = others
    side, turn, lean = rng.uniform(0.1, 0.9), rng.uniform(0, 14), rng.normal(0, 4)
    layout = rng.choice(("fan", "cascade", "row"), p=(0.5, 0.3, 0.2))
    if layout == "fan":
        below = -side * WIDTH, rng.uniform(-0.1, 0.2) * HEIGHT, -turn
        above = right + rng.uniform(3, 60), rng.normal(0, 12), turn
    elif layout == "cascade":
        below = rng.normal(0, 5), -side * HEIGHT, lean
        above = rng.normal(0, 5), bottom + rng.uniform(3, 50), lean
    else:
        below, above = (-rng.uniform(1, 1.1) * WIDTH, rng.normal(0, 10), lean), None
    seen = put(put(seen, under, *below), card, 0, 0, 0)
    seen = put(seen, over, *above) if above else seen
    seen = seen.clip(0, 255).astype(np.uint8)  # ampliada y realzada, como al leerla
    return sharpen(cv2.resize(seen, (224, 224), interpolation=cv2.INTER_CUBIC))


def draw_face_side(pen, rank, suit, style, color, rng, apart):
    """Centro e índice de una carta inventada que no es comodín; devuelve dónde queda el índice."""
    odds = np.array(list(LETTERS.values())) / 100
    letters = str(rng.choice(list(LETTERS), p=odds))
    label = RANKS[rank]
    if label in "AJQK":
        label = letters.split()["AJQK".index(label)]
    if not label.isascii() and style.fonts.startswith("cm"):  # sin alfabeto cirílico
        style = replace(style, fonts="DejaVuSerif")
    outline, pip, tab = suit_outline(suit, rng), rng.uniform(0.8, 1.2), None
    kinds = "own", "pip", "letter", "art", "jester", "court", "nothing"
    center = rng.choice(kinds, p=(0.34, 0.2, 0.05, 0.16, 0.05, 0.09, 0.11))
    if label == "V":  # la jota francesa y la reina neerlandesa solo difieren en la figura
        center = "own"
    if center == "pip":
        own = rng.random() < 0.75
        big = outline if own else suit_outline(str(rng.choice(SUITS)), rng)
        at = pen.at(*(rng.uniform(-1, 1, 2) * (70, 110)), rng.uniform(50, 200))
        draw_pip(at, big, style, color)
        if own and rng.random() < 0.3:
            pip = 0  # el palo ya se ve
        elif rng.random() < 0.3:
            draw_art(pen.at(0, 0, rng.uniform(0.35, 0.9)), style.paper, rng)
    elif center == "letter":
        pen.text(label, style.fonts, 0, 0, rng.uniform(80, 180), color, 150)
    elif center == "art":
        whole = rng.random() < 0.4  # también en las esquinas, y el índice en una pestaña
        tab = style.paper if whole else None
        draw_art(pen.at(0, 0, 1.7 if whole else 1), color, rng)
    elif center == "jester":
        draw = (draw_jester, draw_juggler)[rng.integers(2)]
        draw(pen.at(0, 5, rng.uniform(0.8, 1)), court_colors(style, rng), rng)
    elif center == "court":
        court = rank if rank in RANK_NAMES[-3:] else str(rng.choice(RANK_NAMES[-3:]))
        draw_court(pen.image, court, outline, style, color, rng)
    elif center == "own":
        ornate = rank == "ace" and rng.random() < 0.3
        draw_center(pen, rank, outline, style, ornate, color, rng)
    if style.index > 42 or pip == 0:
        tab = style.paper  # un índice grande va despejado
    return draw_free_index(pen, label, outline, style, color, rng, pip, tab, apart)


def as_jpg(image, rng):
    """La imagen uint8 [alto, ancho, 3] como bytes de un JPG de calidad 70 a 95."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(70, 96))]
    return cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)[1].tobytes()


def draw_free_cards(per_class, seed=0):
    """Cartas inventadas de todas las clases, para completar las de entrenamiento.

    Cada una tiene su propio generador, `default_rng([semilla, número])`. De la cuarta de cada clase
    se ve solo la esquina, entre otras dos, si su índice está en ella.

    Args:
        per_class: cuántas de cada clase.
        seed: entero no negativo.

    Returns:
        (images, labels, is_corner): lista de n JPG de 224 x 224, en bytes; int32 [n], posición en
        `CLASS_NAMES`; y bool [n], de cuáles se ve solo la esquina.
    """
    labels = np.tile(np.arange(len(CLASS_NAMES), dtype=np.int32), per_class)
    images, is_corner, recent = [], np.zeros(len(labels), bool), []

    def draw(i):
        rng = np.random.default_rng([seed, i])
        return *draw_free_card(CLASS_NAMES[labels[i]], rng), rng

    with ThreadPoolExecutor() as pool:
        for start in range(0, len(labels), 212):  # por partes: enteras ocupan mucho
            numbers = range(start, min(start + 212, len(labels)))
            for i, (card, index, rng) in zip(numbers, pool.map(draw, numbers), strict=True):
                is_corner[i] = i // len(CLASS_NAMES) % 4 == 3 and index is not None
                if is_corner[i]:
                    others = [recent[k] for k in rng.integers(len(recent), size=2)]
                    card = draw_covered(card, index[0], others, rng)
                else:
                    card = cv2.resize(card, (224, 224), interpolation=cv2.INTER_AREA)
                    recent = [*recent[-159:], card]
                images.append(as_jpg(card, rng))
    return images, labels, is_corner
