"""Fotos de mentira con varias cartas: sueltas, en cascada o en una mano, y dónde está cada una.

De ellas salen también los recortes que el lector enseña a la red (`draw_candidates`). Todo lo
decide el generador que se da: la misma semilla hace la misma foto.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from card_model import load_finder
from card_names import CLASS_NAMES
from card_photo import (
    ALONE,
    VOTE,
    contains,
    find_cards,
    find_indices,
    find_marks,
    index_parts,
    join_apart,
    overlap,
    pair_apart,
    sharpen,
    straighten,
)
from drawing.demo_deck import (
    HEIGHT,
    SQUARE,
    STYLES,
    WIDTH,
    Pen,
    background,
    cast_shadow,
    draw_card,
    expose,
    font_file,
    points,
    project,
    rotation,
    texture,
)
from drawing.free_deck import as_jpg, draw_free_card, free_style
from drawing.no_cards import TEXT_FONTS, WORDS

CARD = SQUARE * (WIDTH / HEIGHT / 2, 0.5)  # de lado largo 1


def tabletop(rng, size):
    """Mesa [alto, ancho, 3] en 0..255 con más dibujo que `background`: texto, baldosas, trastos."""
    kind = rng.choice(5, p=(0.3, 0.2, 0.15, 0.15, 0.2))
    table = background(rng, size)
    if kind == 1:  # casi blanca o casi negra, con poco grano
        tone = rng.uniform(205, 250) if rng.random() < 0.6 else rng.uniform(15, 60)
        grain = texture(rng, size[1] // 3, size[0] // 3, size) * rng.uniform(0, 8)
        table = tone + grain + rng.normal(0, 5, 3).astype("float32")
    table = Image.fromarray(table.clip(0, 255).astype("uint8"))
    draw, big = ImageDraw.Draw(table), max(size)
    if kind == 2:  # tablas, baldosas o cuadros
        step = int(rng.uniform(0.06, 0.3) * big)
        color = tuple(int(c * rng.choice((0.6, 0.8, 1.2))) for c in table.getpixel((0, 0)))
        wide, both = int(rng.choice((2, 4, step // 2))), rng.random() < 0.7
        for at in range(int(rng.integers(step)), big, step):
            draw.line((at, 0, at, big), color, wide)
            if both:
                draw.line((0, at, big, at), color, wide)
    if kind == 3:  # una hoja impresa
        table = Image.new("RGB", size, tuple(rng.integers(200, 256, 3).tolist()))
        pen, height, ink = Pen(table), rng.uniform(0.012, 0.03) * big, rng.integers(0, 120, 3)
        for y in np.arange(-size[1] / 2, size[1] / 2, 1.7 * height):
            words = "".join(rng.choice(list("aeio urnst lmdkvA "), 60))
            at = (rng.uniform(-0.1, 0) * big, y)
            pen.text(words, "DejaVuSans-Bold", *at, height, tuple(ink.tolist()))
    for _ in range(rng.integers(2, 9) if kind == 4 else 0):  # trastos
        here, length = rng.uniform(0, 1, 2) * size, rng.uniform(0.05, 0.4) * big
        turn, tall = rotation(rng.uniform(0, 2 * np.pi)), rng.uniform(0.05, 1)
        outline = SQUARE * (length / 2, tall * length / 2) @ turn + here
        color = tuple(rng.integers(0, 256, 3).tolist())
        if rng.random() < 0.6:
            draw.polygon([tuple(p) for p in outline], color)
        else:
            draw.ellipse((*outline.min(0), *outline.max(0)), color)
    if kind in (2, 3) and rng.random() < 0.5:
        turned = table.rotate(rng.uniform(-20, 20), Image.Resampling.BILINEAR)
        w, h = (round(0.18 * side) for side in size)  # la esquina vacía del giro queda fuera
        table = turned.crop((w, h, size[0] - w, size[1] - h)).resize(size)
    return np.asarray(table, "float32")


def view(rng, flat, center, size):
    """Puntos [n, 2] de la mesa, en píxeles de la foto `size`, vistos con la cámara inclinada.

    Modelo estenopeico: la mesa se inclina hasta 50 grados hacia cualquier lado y se proyecta con
    una distancia focal de 0.8 a 1.6 veces el lado mayor de la foto.
    """
    toward = rng.uniform(0, 2 * np.pi)
    tilt = np.radians(rng.choice((5, 30, 50), p=(0.4, 0.4, 0.2))) * rng.random()
    axis = np.array((np.cos(toward), np.sin(toward)))
    along = flat @ axis
    focal = rng.uniform(0.8, 1.6) * max(size)
    ray = (np.asarray(center) - np.asarray(size) / 2) / focal  # hacia el centro de la carta
    seen = flat + np.outer(along * (np.cos(tilt) - 1), axis) + ray * focal
    depth = 1 + along * np.sin(tilt) / focal
    return seen / depth[:, None] + np.asarray(size) / 2


def draw_finger(photo, corners, rng):
    """Tapa con un dedo dibujado un poco del canto de la carta de la imagen RGB `photo`."""
    side, at = rng.integers(4), rng.uniform(0.1, 0.9)
    edge = corners[side] * (1 - at) + corners[(side + 1) % 4] * at
    inward = corners.mean(0) - edge
    wide = np.linalg.norm(corners[0] - corners[2]) * rng.uniform(0.09, 0.16)
    tip = edge + inward * rng.uniform(0, 0.25)
    lean = np.array(((1, -1), (1, 1))) @ inward * rng.uniform(-0.3, 0.3)
    base = tip - (inward + lean) / np.linalg.norm(inward) * max(photo.size)
    tone = np.array(((236, 188, 160), (198, 140, 108), (120, 80, 58))[rng.integers(3)])
    mask = Image.new("L", photo.size)
    draw = ImageDraw.Draw(mask)
    draw.line((*tip, *base), 255, round(wide))
    draw.ellipse((*(tip - wide / 2), *(tip + wide / 2)), 255)
    mask = mask.filter(ImageFilter.GaussianBlur(1))
    light = 1 + 0.15 * texture(rng, 4, 4, photo.size)
    skin = Image.fromarray((tone * light).clip(0, 255).astype("uint8"))
    photo.paste(skin, (0, 0), mask)


def make_scene(rng, cards=1, size=(1024, 768)):
    """Compone una foto de móvil: cartas separadas, a cualquier giro, sobre una mesa con cosas.

    Args:
        rng: `numpy.random.Generator` de la escena.
        cards: cuántas cartas; con varias, son más pequeñas.
        size: (ancho, alto) de la foto en píxeles.

    Returns:
        (image, truth): imagen RGB y una lista con la clase y las esquinas float [4, 2], en
        píxeles y desde la de arriba a la izquierda de la carta, de cada una. Alguna puede
        asomar fuera de la foto o quedar tapada en parte por un dedo.
    """
    table = tabletop(rng, size)
    style, short, truth = rng.choice(list(STYLES)), min(size), []
    length = rng.uniform(0.3, 1) * short if cards == 1 else rng.uniform(0.3, 0.5) * short
    spill = 0.1 if rng.random() < 0.15 else -0.02  # parte de la carta que puede salirse
    discs = np.empty((0, 3))  # centro y radio de las ya puestas
    while len(truth) < cards:
        at = rng.uniform(0, 1, 2) * size
        corners = view(rng, CARD * length @ rotation(rng.uniform(0, 2 * np.pi)), at, size)
        center, room = corners.mean(0), spill * length
        radius = np.linalg.norm(corners - center, axis=1).max()
        inside = corners.min() >= -room and (corners.max(0) <= np.array(size) + room).all()
        if inside and (np.linalg.norm(discs[:, :2] - center, axis=1) > discs[:, 2] + radius).all():
            truth.append((str(rng.choice(CLASS_NAMES)), corners))
            discs = np.vstack([discs, (*center, radius)])
        else:
            length *= 0.99  # si no caben, más pequeñas
    return shoot(rng, table, truth, style), truth


def make_spread(rng, cards=7, layout="fan", size=(1024, 768)):
    """Compone una foto de cartas que se tapan: una mano en abanico o cascadas de un solitario.

    Args:
        rng: `numpy.random.Generator` de la escena.
        cards: cuántas cartas, todas distintas.
        layout: "fan", "cascade" o "touching" (en fila, canto con canto).
        size: (ancho, alto) de la foto en píxeles.

    Returns:
        (image, truth, indices): lo de `make_scene`, y por carta la lista de las esquinas
        float [4, 2], en píxeles, de sus índices que se ven enteros.
    """
    style = rng.choice(list(STYLES))
    steps = np.arange(cards) - (cards - 1) / 2
    if layout == "fan":  # giran sobre un punto bajo la mano; cada una tapa a la de su izquierda
        radius, strip = rng.uniform(1.2, 2.2), rng.uniform(0.17, 0.3)
        angle = steps * strip / radius
        flat = [(CARD - (0, radius)) @ rotation(a) + (0, radius) for a in angle]
    elif layout == "cascade":
        down = rng.uniform(0.27, 0.34)
        flat = [CARD + (0.01 * rng.normal(), k * down) for k in steps]
    else:
        flat = [(CARD @ rotation(0.03 * rng.normal())) + (k * 0.735, 0) for k in steps]
    flat = np.array(flat)
    if layout == "fan":
        turn = rng.normal(0, 0.4) if rng.random() < 0.8 else rng.uniform(0, 2 * np.pi)
    else:
        turn = rng.normal(0, 0.15) + np.pi / 2 * rng.integers(4)
    flat = flat.reshape(-1, 2) @ rotation(turn)
    flat -= (flat.max(0) + flat.min(0)) / 2
    length = rng.uniform(0.7, 0.95) * (np.array(size) / np.ptp(flat, axis=0)).min()
    length = min(length, 0.7 * min(size))
    seen = view(rng, flat * length, np.array(size) / 2, size).reshape(-1, 4, 2)
    names = rng.choice(CLASS_NAMES, cards, replace=False)
    truth = [(str(name), corners) for name, corners in zip(names, seen, strict=True)]
    image = shoot(rng, tabletop(rng, size), truth, style, fingers=False)
    return image, truth, visible_indices(truth, STYLES[style], size)


def visible_indices(truth, style, size):
    """Por carta, las esquinas [4, 2] en píxeles de los índices que se ven enteros."""
    owner = np.zeros(size[::-1], np.int32)
    for number, (_, corners) in enumerate(truth, 1):
        cv2.fillConvexPoly(owner, corners.round().astype(np.int32), number)
    wide = min(1.05 * style.index, 44) + 14 + 7 * style.border
    tall = 2.2 * style.index + 22 + 7 * style.border
    box = points("0,0 1,0 1,1 0,1") * (wide, tall)
    flat, found = np.float32(points("0,0 1,0 1,1 0,1") * (WIDTH, HEIGHT)), []
    for number, (_, corners) in enumerate(truth, 1):
        onto = cv2.getPerspectiveTransform(flat, np.float32(corners))
        boxes = [box, (WIDTH, HEIGHT) - box]
        if style.corners == 4:
            boxes += [(WIDTH, 0) + box * (-1, 1), (0, HEIGHT) + box * (1, -1)]
        boxes = cv2.perspectiveTransform(np.float32(boxes), onto)
        found.append([one for one in boxes if part_seen(owner, number, one) > 0.95])
    return found


def part_seen(owner, number, quad):
    """Parte 0..1 de un cuadrilátero [4, 2], en px, que es de la carta `number` y cae en la foto."""
    quad = quad.round().astype(np.int32)
    low, size = quad.min(0), np.ptp(quad, axis=0) + 1
    mask = cv2.fillConvexPoly(np.zeros(size[::-1], np.uint8), quad - low, 1)
    y, x = np.nonzero(mask) + low[::-1, None]
    inside = (y >= 0) & (y < owner.shape[0]) & (x >= 0) & (x < owner.shape[1])
    return (owner[y[inside], x[inside]] == number).sum() / len(y)


def shoot(rng, table, truth, style, fingers=True):
    """La foto RGB de unas cartas ya colocadas: sombras, dedos, desenfoque y luz."""
    for class_name, corners in truth:
        lay(table, draw_card(class_name, style, rng), corners, rng)
    table = Image.fromarray(table.clip(0, 255).astype("uint8"))
    for _ in range(rng.choice(4, p=(0.75, 0.15, 0.07, 0.03)) if fingers else 0):
        draw_finger(table, truth[0][1], rng)
    if rng.random() < 0.3:
        table = table.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 2)))
    return expose(table, rng)


def lay(table, card, corners, rng=None):
    """Pone una carta RGBA en `corners` ([4, 2], px) de una mesa float [alto, ancho, 3].

    Con `rng`, echa sombra.
    """
    size = np.array(table.shape[1::-1])
    low = np.maximum(corners.min(0).astype(int) - 24, 0)
    high = np.minimum(corners.max(0).astype(int) + 25, size)
    if (high <= low).any():
        return
    length = np.linalg.norm(corners - np.roll(corners, 1, 0), axis=1).max()  # como se verá
    detail = (round(length * WIDTH / HEIGHT), round(length))
    seen = project(card, corners - low, tuple((high - low).tolist()), detail)
    part = table[low[1] : high[1], low[0] : high[0]]
    if rng is not None:
        part *= 1 - cast_shadow(seen, rng)
    rgba = np.asarray(seen, np.float32)
    part += (rgba[..., :3] - part) * (rgba[..., 3:] / 255)


# --- Lo que el lector enseña a la red --------------------------------------------------------

LAYOUTS = {  # y cuántas fotos de cada cien
    "fan": 20,
    "cascade": 13,
    "row": 15,
    "columns": 14,
    "pyramid": 6,
    "poker": 8,
    "loose": 14,
    "page": 10,
}
SCREENS = "row", "columns", "pyramid", "poker", "page"  # también de frente, en una pantalla


def arrange(rng, layout, cards):
    """Esquinas [n, 4, 2] de unas cartas de lado largo 1; cada una tapa a las anteriores."""
    steps = np.arange(cards) - (cards - 1) / 2
    if layout == "fan":
        radius, strip = rng.uniform(1.2, 2.2), rng.uniform(0.12, 0.3)
        angle = steps * strip / radius
        return np.array([(CARD - (0, radius)) @ rotation(a) + (0, radius) for a in angle])
    if layout in ("loose", "page"):
        room = rng.uniform(0.4, 1) * np.sqrt(cards)
        turns = rng.uniform(0, 2 * np.pi, cards)
        return np.array([CARD @ rotation(a) + rng.uniform(-room, room, 2) for a in turns])
    if layout == "pyramid":
        down, across = rng.uniform(0.3, 0.6), rng.uniform(0.74, 0.9)
        rows = [(k, i) for k in range(7) for i in range(k + 1)][:cards]
        at = [((i - k / 2) * across, k * down) for k, i in rows]
    elif layout == "columns":
        down, tall = rng.uniform(0.1, 0.36), int(rng.integers(3, 9))
        at = [(k // tall * 0.8, k % tall * down) for k in range(cards)]
    elif layout == "poker":
        at = [(k * 0.78 - 0.8 * (k < 2), 1.3 * (k < 2)) for k in range(cards)]
    elif layout == "cascade":
        at = [(0.01 * rng.normal(), k * rng.uniform(0.14, 0.36)) for k in steps]
    else:
        step = rng.uniform(0.1, 0.35) if rng.random() < 0.7 else rng.uniform(0.7, 0.8)
        at = [(k * step, 0) for k in steps]
    lean = 0.02 * rng.normal(0, 1, cards) * (rng.random() < 0.5)
    return np.array([CARD @ rotation(a) + here for a, here in zip(lean, at, strict=True)])


def deck_card(class_name, style, rng, width, look=None):
    """Una carta de un estilo o, con None, libre: (RGBA, índices como los de `draw_free_index`).

    Del comodín, la caja de la palabra, y por letra y palo, dos puntos de ella.
    """
    if style is None:
        card, places = draw_free_card(class_name, rng, look)
        while places is None and class_name != "joker":
            card, places = draw_free_card(class_name, rng, look)
        card = Image.fromarray(card)
        mask = Image.new("L", card.size)
        box = (0, 0, card.width - 1, card.height - 1)
        corner = rng.uniform(10, 30)
        ImageDraw.Draw(mask).rounded_rectangle(box, corner, 255)
        if look and rng.random() < 0.8:  # un canto, como en las pantallas
            edge = tuple(rng.integers(0, 180, 1).repeat(3).tolist())
            ImageDraw.Draw(card).rounded_rectangle(box, corner, None, edge, int(rng.integers(2, 6)))
        card.putalpha(mask)
    else:
        card, look = draw_card(class_name, style, rng, width), STYLES[style]
        wide, left = min(0.85 * look.index, 44), 9 + 7 * look.border
        top, middle = left + 2, left + wide / 2
        places = np.array(
            [
                (middle, top + look.index / 2),
                (middle, top + look.index + 5 + 0.44 * wide),
                (left, top),
                (left + wide, top + look.index + 5 + 0.9 * wide),
            ]
        )
        far = np.array((WIDTH, HEIGHT))
        every = [places, far - places]
        if look.corners == 4:
            every += [(WIDTH, 0) + places * (-1, 1), (0, HEIGHT) + places * (1, -1)]
        places = np.array(every)
    if class_name == "joker":
        word = np.array([(22, 40), (22, 80), (0, 0), (45, 130)])
        places = np.array([word, np.array((WIDTH, HEIGHT)) - word])
    return card, places


def text_panel(rng, size):
    """Una hoja o una ventana RGB llena de líneas de texto."""
    dark = rng.random() < 0.35
    paper = rng.integers(15, 60, 3) if dark else rng.integers(215, 256, 3)
    inks = rng.integers(150, 256, (3, 3)) if dark else rng.integers(0, 90, (3, 3))
    panel = Image.new("RGB", size, tuple(paper.tolist()))
    draw, height = ImageDraw.Draw(panel), int(np.exp(rng.uniform(np.log(9), np.log(48))))
    face = ImageFont.truetype(font_file(rng.choice(TEXT_FONTS)), height)
    left, y = int(rng.integers(2, 40)), int(rng.integers(0, 30))
    while y < size[1]:
        line = " ".join(rng.choice(WORDS, int(rng.integers(2, 30))))
        ink = inks[rng.integers(3) if dark else 0]
        draw.text((left, y), line, tuple(ink.tolist()), face)
        y += int(height * rng.uniform(1.2, 1.6)) + height * int(rng.random() < 0.1)
    return panel


def make_candidate_scene(rng, layout=None, screen=None, cards=None, apart=False):
    """Una foto o una pantalla como las que se leen, con la luz que toque.

    Args:
        rng: `numpy.random.Generator` de la escena.
        layout: clave de `LAYOUTS`; screen: si es una pantalla; cards: cuántas. None: al azar.
        apart: cada carta lleva la letra y el palo en sus dos esquinas de arriba; es una pantalla.

    Returns:
        (photo, cards): uint8 [alto, ancho, 3] y, por carta, (clase, esquinas [4, 2] en px, parte
        0..1 que se ve de ella, letra y palo de cada índice [n, 2, 2] en px, parte 0..1 que se ve
        de cada uno). Con `apart`, lo alto y lo bajo de cada letra y de cada palo, por turnos, o de
        cada palabra de un comodín.
    """
    drawn = str(rng.choice(list(LAYOUTS), p=np.array(list(LAYOUTS.values())) / 100))
    if apart:  # solo en pantallas
        screen, drawn = True, drawn if drawn in SCREENS and rng.random() < 0.7 else "columns"
    layout, seen_flat = layout or drawn, rng.random() < 0.6
    screen = layout in SCREENS and seen_flat if screen is None else screen
    size = tuple(rng.integers((560, 420), (1100, 820)).tolist())
    most = {"pyramid": 22, "columns": 25, "poker": 8, "row": 14, "page": 3}.get(layout, 12)
    count = int(rng.integers(0 if layout == "page" else 3, most))
    count = count if cards is None else cards
    style = None if rng.random() < 0.5 or apart else str(rng.choice(list(STYLES)))
    look = replace(free_style(rng), index=rng.uniform(30, 85)) if apart else None
    if screen:
        table = np.ones((*size[::-1], 3), np.float32) * np.float32(rng.uniform(0, 200, 3))
    else:
        table = tabletop(rng, size)
    if layout == "page" or rng.random() < 0.15:
        whole = layout == "page" and rng.random() < 0.6
        wide, high = size if whole else (np.array(size) * rng.uniform(0.3, 0.8, 2)).astype(int)
        at = [
            int(rng.uniform(0, full - part + 1))
            for full, part in zip(size, (wide, high), strict=True)
        ]
        quad = SQUARE * (wide / 2, high / 2) + np.array(at) + (wide / 2, high / 2)
        if not screen:
            turn = rng.normal(0, 0.2) + np.pi / 2 * rng.integers(4) * (rng.random() < 0.3)
            quad = (quad - quad.mean(0)) @ rotation(turn) + quad.mean(0)
        panel = text_panel(rng, (int(wide), int(high)))
        turn = cv2.getPerspectiveTransform(
            np.float32(SQUARE * (wide / 2, high / 2) + (wide / 2, high / 2)), np.float32(quad)
        )
        cv2.warpPerspective(
            np.float32(panel), turn, size, dst=table, borderMode=cv2.BORDER_TRANSPARENT
        )
    names = rng.choice(CLASS_NAMES, count, replace=rng.random() < 0.3)
    if not count:
        return relit(table, screen, rng), []
    flat = arrange(rng, layout, count)
    if not screen:
        straight = rng.normal(0, 0.15) + np.pi / 2 * rng.integers(4) * (layout != "fan")
        turn = rng.uniform(0, 2 * np.pi) if rng.random() < 0.25 else straight
        flat = flat @ rotation(turn)
    flat = flat - (flat.max((0, 1)) + flat.min((0, 1))) / 2
    length = rng.uniform(0.6, 0.97) * (np.array(size) / np.ptp(flat, axis=(0, 1))).min()
    length = min(length, rng.uniform(0.3, 0.8) * min(size))
    flat = flat * length + np.array(size) / 2
    if not screen:
        flat = view(rng, flat.reshape(-1, 2) - np.array(size) / 2, np.array(size) / 2, size)
    seen, cards, owner = flat.reshape(-1, 4, 2), [], np.zeros(size[::-1], np.int32)
    for number, (name, corners) in enumerate(zip(names, seen, strict=True), 1):
        width = int(min(320, max(80, 0.8 * length)))
        card, places = deck_card(str(name), style, rng, width, look)
        lay(table, card, corners, None if screen else rng)
        cv2.fillConvexPoly(owner, corners.round().astype(np.int32), number)
        cards.append((str(name), corners, places))
    return relit(table, screen, rng), [
        (name, corners, *visible_parts(owner, number, corners, places))
        for number, (name, corners, places) in enumerate(cards, 1)
    ]


def visible_parts(owner, number, corners, places):
    """Qué se ve de una carta ya puesta en la foto.

    Args:
        owner: int [alto, ancho], el número de la carta que se ve en cada píxel; 0, ninguna.
        number: el de esta; corners: sus esquinas [4, 2] en px.
        places: [n, 4, 2], lo de `draw_free_index`.

    Returns:
        (parte 0..1 que se ve de la carta; los dos puntos de cada índice, [n, 2, 2] en px; y la
        parte 0..1 que se ve de cada uno, [n]).
    """
    flat = np.float32(points("0,0 1,0 1,1 0,1") * (WIDTH, HEIGHT))
    onto = cv2.getPerspectiveTransform(flat, np.float32(corners))
    low, high = places[:, 2], places[:, 3]
    low, high = np.minimum(low, high) - 3, np.maximum(low, high) + 3
    low, high = np.maximum(low, 0), np.minimum(high, (WIDTH, HEIGHT))
    ends = low[:, None] + points("0,0 1,0 1,1 0,1") * (high - low)[:, None]
    boxes = cv2.perspectiveTransform(np.float32(ends), onto)
    middles = cv2.perspectiveTransform(np.float32(places[:, :2]), onto)
    seen = np.array([part_seen(owner, number, box) for box in boxes])
    return part_seen(owner, number, corners), middles, seen


def relit(table, screen, rng):
    """La foto uint8 de una escena float, a veces estropeada.

    Con mala luz o ruido, el 15 % de las pantallas y el 60 % del resto; en JPG malo, el 40 %.
    """
    photo = Image.fromarray(table.clip(0, 255).astype("uint8"))
    if not screen:
        photo = expose(photo, rng)
    x, dim = np.float32(photo), rng.random() < (0.15 if screen else 0.6)
    high, wide = x.shape[:2]
    if dim and rng.random() < 0.6:
        x *= rng.uniform(0.25, 0.9)
    if dim and rng.random() < 0.4:  # media foto en sombra
        turn, edge = rng.uniform(0, 2 * np.pi), rng.uniform(0.02, 0.3)
        across = np.linspace(-1, 1, wide) * np.cos(turn) + np.linspace(-1, 1, high)[
            :, None
        ] * np.sin(turn)
        shade = np.clip((across - rng.uniform(-0.5, 0.5)) / edge, 0, 1)[..., None]
        x *= np.float32(1 - rng.uniform(0.3, 0.7) * shade)
    if dim and rng.random() < 0.4:  # una lámpara
        x *= np.float32(np.array((1.1, 0.85, 0.55)) ** rng.uniform(0, 1.2))
    if dim and rng.random() < 0.5:
        x = cv2.GaussianBlur(x, None, rng.uniform(0.4, 2))
    if dim:
        x += rng.standard_normal(x.shape, "float32") * np.float32(rng.uniform(0, 5))
    x = x.clip(0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(12, 80))]
        x = cv2.imdecode(cv2.imencode(".jpg", x[..., ::-1], quality)[1], cv2.IMREAD_COLOR_RGB)
    return x


def label_indices(boxes, cards):
    """Qué enseña cada esquina propuesta, int [n]: una clase, -1 si ninguna carta, -2 si es dudoso.

    Es una carta si el centro y el giro son los de un índice que se ve entero; no lo es si lejos de
    cualquiera del que se vea más de la mitad. De uno del revés, o de un comodín, no se dice nada.

    Args:
        boxes: [n, 4, 2] en px, lo de `find_indices`; cards: lo de `make_candidate_scene`.
    """
    letter, suit = index_parts(boxes)
    middle, down = (letter + suit) / 2, suit - letter
    labels, here = np.full(len(boxes), -1), np.zeros(len(boxes))
    for name, _, _, places, shares in cards:
        for (one, other), share in zip(places, shares, strict=True):
            if share < 0.55:
                continue
            size = np.linalg.norm(other - one)
            away = np.linalg.norm(middle - (one + other) / 2, axis=1) / size
            length = np.linalg.norm(down, axis=1)
            cos = down @ (other - one) / (length * size)
            mine = (away < 0.4) & (cos > 0.94) & (length > 0.72 * size) & (length < 1.4 * size)
            mine &= share > 0.95 and name != "joker"
            near = away < (2.5 if name == "joker" else 1)
            labels[near & ~mine & (here == 0)] = -2
            labels[mine], here[mine] = CLASS_NAMES.index(name), 1
    return labels


def label_pairs(pairs, cards, apart):
    """Lo mismo, de las parejas de letra y palo, [n, 2, 2, 2] en px, de `card_photo.pair_apart`.

    Con `apart`, una es una carta si letra y palo son los de arriba de ella y se ven casi enteros, y
    no lo es si está lejos de todos; sin él, nunca es una carta, y solo se dice fuera de ellas. La
    letra de una con el palo de otra parece una carta: no se dice nada.

    Args:
        pairs: las parejas; cards, apart: lo de `make_candidate_scene`.
    """
    labels = np.full(len(pairs), -1)
    for name, corners, _, places, shares in cards:
        if not apart:
            touch = [any(contains(corners, mark.mean(0)) for mark in pair) for pair in pairs]
            labels[np.array(touch, bool)] = -2
            continue
        sizes = np.linalg.norm(places[:, 1] - places[:, 0], axis=1)
        for place, size in zip(places[shares > 0.3], sizes[shares > 0.3], strict=True):
            away = np.linalg.norm(pairs.mean(2) - place.mean(0), axis=2) / size
            near = (away < (2.5 if name == "joker" else 1)).any(1)
            labels[near & (labels == -1)] = -2
        if name == "joker":
            continue
        for k in range(0, len(places), 2):
            away = np.linalg.norm(pairs - places[k : k + 2], axis=3)
            mine = (away < 0.4 * sizes[k : k + 2, None]).all((1, 2))
            labels[mine & (min(shares[k : k + 2]) >= 0.85)] = CLASS_NAMES.index(name)
    return labels


def label_outlines(quads, cards, apart=False):
    """Lo mismo que `label_indices`, int [n], de contornos de carta [n, 4, 2] en px.

    Uno es una carta si es el suyo, se ve casi entera y tiene un índice sin tapar, salvo el comodín;
    no lo es si no se parece al de ninguna ni tiene dentro un índice.
    """
    labels = []
    for quad in quads:
        shared = [overlap(quad, corners) for _, corners, *_ in cards]
        best = int(np.argmax(shared)) if cards else 0
        around = quad.mean(0) + 1.1 * (quad - quad.mean(0))
        inside = [
            contains(around, spot)
            for name, _, part, places, shares in cards
            for spot, share in zip(places.mean(1), shares, strict=True)
            if share > 0.55 or (name == "joker" and part > 0.1)
        ]
        whole = bool(cards) and shared[best] > 0.85 and cards[best][2] > 0.9
        if whole and cards[best][0] != "joker":
            whole = (cards[best][4].reshape(-1, 1 + apart) > 0.95).all(1).any()
        empty = not any(inside) and max(shared, default=0) < 0.5
        labels.append(CLASS_NAMES.index(cards[best][0]) if whole else -1 if empty else -2)
    return np.array(labels, int)


def scene_candidates(key):
    """Los recortes de la escena de una semilla: lista de (JPG, clase o -1, si es una esquina)."""
    rng = np.random.default_rng(key)
    apart = rng.random() < 0.12
    photo, cards = make_candidate_scene(rng, apart=apart)
    # También lo que menos lo parece. Con letra y palo aparte, un índice no lo es
    boxes = np.empty((0, 4, 2)) if apart else find_indices(photo, VOTE)
    pairs = np.stack(pair_apart(*find_marks(photo, ALONE, apart=True)), 1)
    quads, corners, found = find_cards(photo), len(boxes) + len(pairs), []
    labels = np.concatenate(
        [
            label_indices(boxes, cards),
            label_pairs(pairs, cards, apart),
            label_outlines(quads, cards, apart),
        ]
    )
    every = [*boxes, *pairs, *quads]
    for wanted in (labels >= 0, labels == -1):
        for i in rng.permutation(np.flatnonzero(wanted))[:10]:
            pair = len(boxes) <= i < corners
            crop = join_apart(photo, *every[i]) if pair else straighten(photo, every[i])
            crop = sharpen(crop) if i < corners else crop
            found.append((as_jpg(crop, rng), int(labels[i]), i < corners))
    return found


def draw_candidates(count, seed=0):
    """Lo que el lector propone en fotos dibujadas, con su etiqueta: la mitad, cartas.

    Args:
        count: cuántos recortes, par.
        seed: entero no negativo.

    Returns:
        (images, labels, is_corner): lista de n JPG de 224 x 224, en bytes; int32 [n], posición en
        `CLASS_NAMES` o -1 si no es una carta; y bool [n], si es una esquina y no un contorno.
    """
    for apart in (False, True):
        load_finder(apart)  # una vez, y no en cada hilo
    kept, scene = {True: [], False: []}, 0
    with ThreadPoolExecutor() as pool:
        while min(map(len, kept.values())) < count // 2:
            keys = [[seed, 3, scene + k] for k in range(16)]
            for found in pool.map(scene_candidates, keys):
                for one in found:
                    kept[one[1] >= 0].append(one)
            scene += 16
    every = [found for part in kept.values() for found in part[: count // 2]]
    images, labels, is_corner = zip(*every, strict=True) if every else ((), (), ())
    return list(images), np.array(labels, np.int32), np.array(is_corner, bool)
