"""Fotos de mentira con varias cartas: sueltas, en cascada o en una mano, y dónde está cada una.

Todo lo decide el generador que se da: la misma semilla hace la misma foto.
"""

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from demo_deck import (
    CLASS_NAMES,
    HEIGHT,
    SQUARE,
    STYLES,
    WIDTH,
    Pen,
    background,
    cast_shadow,
    draw_card,
    expose,
    points,
    rotation,
    texture,
    warp,
)

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
        seen = []
        for one in cv2.perspectiveTransform(np.float32(boxes), onto):
            mask = cv2.fillConvexPoly(np.zeros_like(owner), one.round().astype(np.int32), 1)
            area = cv2.contourArea(one)
            if (owner[mask > 0] == number).sum() > 0.95 * area:
                seen.append(one)
        found.append(seen)
    return found


def shoot(rng, table, truth, style, fingers=True):
    """La foto RGB de unas cartas ya colocadas: sombras, dedos, desenfoque y luz."""
    size = table.shape[1::-1]
    for class_name, corners in truth:
        card = draw_card(class_name, style, rng)
        length = np.linalg.norm(corners - np.roll(corners, 1, 0), axis=1).max()  # como se verá
        detail = (round(length * WIDTH / HEIGHT), round(length))
        seen = warp(card, corners, size, detail)
        table = table * (1 - cast_shadow(seen, rng))
        table = Image.fromarray(table.clip(0, 255).astype("uint8"))
        table.paste(seen, (0, 0), seen)
        table = np.asarray(table, "float32")
    table = Image.fromarray(table.astype("uint8"))
    for _ in range(rng.choice(4, p=(0.75, 0.15, 0.07, 0.03)) if fingers else 0):
        draw_finger(table, truth[0][1], rng)
    if rng.random() < 0.3:
        table = table.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 2)))
    return expose(table, rng)
