"""Baraja incrustada: dibuja sin red las 53 clases de cartas y las «fotografía» por simulación.

Sustituye a las imágenes de Kaggle cuando no hay conexión. Cada imagen tiene su propio generador,
`default_rng([semilla, partición, clase, número])`: no depende de cuántas más se dibujen.
"""

import json
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from card_names import CLASS_NAMES, RANKS, SPLITS, SUITS

VERSION = 1  # se sube cuando cambia el dibujo: una baraja de otra versión no se reutiliza
PER_CLASS = {"train": 10, "valid": 3, "test": 5}
WIDTH, HEIGHT = 250, 350  # la carta en sus unidades (2.5 x 3.5 pulgadas), origen en el centro

# Sitio de los palos, en columnas y filas extremas (+-1); los de la mitad baja van invertidos.
PIPS = {
    "2": "0,-1 0,1",
    "3": "0,-1 0,0 0,1",
    "4": "-1,-1 1,-1 -1,1 1,1",
    "5": "-1,-1 1,-1 0,0 -1,1 1,1",
    "6": "-1,-1 1,-1 -1,0 1,0 -1,1 1,1",
    "7": "-1,-1 1,-1 0,-.5 -1,0 1,0 -1,1 1,1",
    "8": "-1,-1 1,-1 0,-.5 -1,0 1,0 0,.5 -1,1 1,1",
    "9": "-1,-1 1,-1 -1,-.333 1,-.333 0,0 -1,.333 1,.333 -1,1 1,1",
    "10": "-1,-1 1,-1 0,-.667 -1,-.333 1,-.333 -1,.333 1,.333 0,.667 -1,1 1,1",
}
# Mitad derecha de cada palo, de arriba abajo: Béziers cúbicas encadenadas en una caja de lado 1.
SUIT_PATHS = {
    "hearts": "0,-.29 .05,-.5 .5,-.62 .5,-.2 .5,.1 .17,.22 0,.5",
    "diamonds": "0,-.5 .12,-.3 .25,-.14 .41,0 .25,.14 .12,.3 0,.5",
    "spades": "0,-.5 .12,-.27 .48,-.1 .48,.19 .48,.42 .14,.44 .05,.22 .06,.36 .1,.46 .21,.5"
    " .13,.5 .06,.5 0,.5",
    "clubs": "0,-.5 .13,-.5 .235,-.39 .235,-.265 .235,-.16 .16,-.09 .07,-.05 .1,-.09 .2,-.115"
    " .265,-.115 .395,-.115 .5,-.01 .5,.12 .5,.25 .395,.355 .265,.355 .16,.355 .08,.3 .045,.2"
    " .055,.36 .1,.46 .21,.5 .13,.5 .06,.5 0,.5",
}
RED, BLACK, BLUE, GREEN = (200, 22, 36), (22, 22, 26), (28, 68, 170), (18, 118, 62)
WHITE, STEEL, RUST, SEPIA = (252, 252, 250), (226, 232, 240), (166, 44, 38), (58, 42, 36)
PALETTES = {  # rojo, amarillo, azul, oscuro y piel de las figuras
    "inglesa": ((205, 30, 40), (247, 200, 50), (40, 80, 170), (25, 25, 35), (252, 228, 205)),
    "verde": ((196, 36, 44), (240, 190, 60), (40, 130, 80), (30, 45, 110), (250, 222, 196)),
    "tinta": ((190, 30, 44), (250, 238, 214), (60, 60, 74), (25, 25, 30), (253, 248, 240)),
    "sepia": ((160, 62, 48), (214, 170, 92), (74, 92, 118), SEPIA, (236, 208, 172)),
}
HAIR = {  # mitad derecha, con el centro de la cara en el origen
    "king": "11,-21 24,-18 30,-4 28,10 36,20 27,30 17,24 14,4",
    "queen": "6,-23 21,-20 28,-4 26,14 33,30 26,42 14,36 15,4",
    "jack": "9,-20 22,-18 27,0 26,10 36,17 29,27 17,21 14,2",
}
BEARD = "17,-2 19,16 13,34 6,44 0,36 -6,44 -13,34 -19,16 -17,-2 -11,9 0,9 11,9"
LIPS = "-5,14 -5,14 0,12.5 5,14 5,14 0,17"


@dataclass(frozen=True)
class Style:
    """Un estilo de baraja; las medidas van en unidades de carta (250 x 350)."""

    fonts: str  # nombres de las fuentes, separados por espacios
    index: float = 32  # altura de la letra del índice
    pip: float = 50  # altura del palo en las cartas de número
    inks: tuple = (BLACK, RED, RED, BLACK)  # en el orden de SUITS
    palettes: tuple = ("inglesa", "verde")  # de las figuras
    paper: tuple = WHITE
    corners: int = 2  # índices: uno, dos o cuatro
    border: bool = False  # filete
    ornate: bool = False  # as de picas adornado
    stained: bool = False  # papel viejo
    hollow: bool = False  # los palos del índice y de número, en hueco


SERIF = "DejaVuSerif-Bold STIXGeneralBol cmb10"
SEPIAS = {"inks": (SEPIA, RUST, RUST, SEPIA), "palettes": ("sepia",), "paper": (240, 226, 192)}
STYLES = {
    "inglesa": Style(SERIF, ornate=True),
    "póquer": Style("DejaVuSans-Bold cmss10", 38, 44, palettes=("inglesa", "tinta")),
    "jumbo": Style("DejaVuSans-Bold STIXGeneralBol", 58, 42),
    "cuatro colores": Style("DejaVuSans-Bold " + SERIF, 40, inks=(GREEN, BLUE, RED, BLACK)),
    "antigua": Style(SERIF, 30, ornate=True, stained=True, **SEPIAS),
    "marco": Style(SERIF, 30, 44, paper=(250, 248, 240), border=True, ornate=True),
    "cuatro índices": Style(SERIF, 28, 44, corners=4),
    "mono": Style("DejaVuSansMono-Bold cmtt10", 36, 40, palettes=("tinta", "verde")),
}
# Las de las barajas inventadas
FONTS = SERIF + " DejaVuSans DejaVuSans-Bold DejaVuSans-BoldOblique DejaVuSansMono DejaVuSerif"
FONTS += " DejaVuSansMono-Bold DejaVuSerif-BoldItalic STIXGeneral STIXGeneralItalic"
FONTS += " STIXGeneralBolIta cmr10 cmss10 cmti10 cmtt10"


def points(text):
    """Convierte `"x,y x,y ..."` en un arreglo [n, 2]."""
    return np.array([pair.split(",") for pair in text.split()], float)


SQUARE = points("-1,-1 1,-1 1,1 -1,1")


def rotation(angle):
    """Matriz [2, 2] que gira puntos fila `angle` radianes, hacia la derecha en una foto."""
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def mirrored(half):
    """Cierra una figura simétrica a partir de su mitad derecha [n, 2], de arriba abajo."""
    return np.concatenate([half, half[::-1] * (-1, 1)])


def smooth(knots, steps=6):
    """Curva cerrada de Catmull-Rom por `knots` (texto o [n, 2]); un punto repetido es esquina."""
    b = points(knots) if isinstance(knots, str) else knots
    a, c, d = (np.roll(b, -k, 0) for k in (-1, 1, 2))
    t = np.linspace(0, 1, steps, endpoint=False)
    cubic = [2 * b, c - a, 2 * a - 5 * b + 4 * c - d, 3 * b - a - 3 * c + d]
    return sum(0.5 * p[:, None] * t[:, None] ** k for k, p in enumerate(cubic)).reshape(-1, 2)


def suit_outline(suit, rng):
    """Contorno [n, 2] de un palo en una caja de lado 1, con proporciones al azar."""
    knots, t = points(SUIT_PATHS[suit]), np.linspace(0, 1, 9)[:, None]
    pieces = (knots[i : i + 4, None] for i in range(0, len(knots) - 1, 3))
    bezier = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3]
    half = np.concatenate(
        [sum(w * p for w, p in zip(bezier, four, strict=True)) for four in pieces]
    )
    half[:, 0] *= rng.uniform(0.84, 1.0) * (1 + rng.uniform(-0.15, 0.15) * half[:, 1])
    return mirrored(half)


def draw_pip(pen, outline, style, color):
    """Un palo de lado 1, lleno o en hueco."""
    pen.shape(outline, color, line=False)
    if style.hollow:
        pen.at(0, -0.01, 0.84).shape(outline, style.paper, line=False)


def star(size, count=5, inner=0.42):
    """Estrella [2 * count, 2] de radio `size`."""
    angle = np.arange(2 * count) * np.pi / count - np.pi / 2
    radius = size * np.where(np.arange(2 * count) % 2, inner, 1)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)


def font_file(font):
    """Ruta de una fuente de Matplotlib."""
    return Path(get_data_path(), "fonts", "ttf", f"{font}.ttf")


@lru_cache
def available(fonts):
    """De unas fuentes separadas por espacios, la lista de las que este Matplotlib trae."""
    return [font for font in fonts.split() if font_file(font).is_file()]


@lru_cache(maxsize=512)
def glyph(text, font):
    """Máscara recortada de `text` con una de las fuentes que trae Matplotlib."""
    face = ImageFont.truetype(font_file(font), 160)
    left, top, right, bottom = face.getbbox(text)
    mask = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(mask).text((-left, -top), text, 255, font=face)
    return mask


class Pen:
    """Pluma sobre una imagen, en unidades de carta: origen en el centro, y hacia abajo."""

    def __init__(self, image, ink=BLACK, width=1.2):
        """Pluma de contornos de color `ink` y grosor `width`."""
        self.image, self.ink, self.width = image, ink, width
        self.unit, self.draw = image.width / WIDTH, ImageDraw.Draw(image)
        self.matrix, self.origin = np.eye(2) * self.unit, np.array(image.size) / 2

    def at(self, x, y, sx=1.0, sy=None, turn=0.0):
        """Otra pluma con el origen en (x, y), escalada y girada `turn` grados."""
        pen = Pen(self.image, self.ink, self.width)
        spin = rotation(np.radians(turn)).T
        pen.matrix = self.matrix @ spin @ np.diag([sx, sx if sy is None else sy])
        pen.origin = self.origin + self.matrix @ (x, y)
        return pen

    def stroke(self, outline, color=None, width=None, closed=False):
        """Línea quebrada de grosor `width`, abierta o cerrada."""
        xy = list(map(tuple, (np.asarray(outline) @ self.matrix.T + self.origin).tolist()))
        pixels = max(1, round((width or self.width) * self.unit))
        self.draw.line(xy + xy[:2] * closed, color or self.ink, pixels, joint="curve")

    def shape(self, outline, fill, line=True):
        """Polígono relleno, con contorno de la tinta de la pluma si `line`."""
        xy = np.asarray(outline) @ self.matrix.T + self.origin
        self.draw.polygon(xy.ravel().tolist(), fill)
        if line:
            self.stroke(outline, closed=True)

    def oval(self, x, y, rx, ry=None, fill=WHITE, line=True):
        """Elipse de centro (x, y) y radios rx, ry."""
        angle = np.linspace(0, 2 * np.pi, 40 if rx > 20 else 20, endpoint=False)
        ring = [x + rx * np.cos(angle), y + (ry or rx) * np.sin(angle)]
        self.shape(np.stack(ring, 1), fill, line)

    def strip(self, start, end, width, colors, count):
        """Banda recta de `count` tramos que alternan `colors`."""
        start, end = np.array(start, float), np.array(end, float)
        side = (end - start)[::-1] * (-1, 1) / np.hypot(*(end - start)) * width / 2
        cuts = [start + (end - start) * k / count for k in range(count + 1)]
        for k in range(count):
            a, b = cuts[k], cuts[k + 1]
            self.shape([a - side, a + side, b + side, b - side], colors[k % len(colors)])

    def text(self, text, font, x, y, height, color, width=1e9):
        """Texto centrado en (x, y), de `height` unidades de alto y `width` de ancho como mucho."""
        mask = glyph(text, font)
        size = (min(width, height * mask.width / mask.height) * self.unit, height * self.unit)
        mask = mask.resize([max(1, round(v)) for v in size], Image.Resampling.BILINEAR)
        turn = np.degrees(np.arctan2(self.matrix[1, 0], self.matrix[0, 0]))
        mask = mask.rotate(-round(turn), expand=True)
        corner = self.origin + self.matrix @ (x, y) - np.array(mask.size) / 2
        self.image.paste(color, tuple(corner.round().astype(int).tolist()), mask)


def draw_index(pen, label, outline, style, font, color, rng):
    """Índice y palo debajo, en dos esquinas opuestas o en las cuatro."""
    height, inset = style.index * rng.uniform(0.92, 1.1), 9 + 7 * style.border
    width = min(height * (0.95 if label == "10" else 0.8), 44)
    size = width * rng.uniform(0.8, 0.98)
    x, y = inset + (width - WIDTH) / 2, inset + 2 + (height - HEIGHT) / 2
    for turn in (0, 180):
        for side in (1, -1)[: style.corners // 2]:
            corner = pen.at(0, 0, turn=turn)
            corner.text(label, font, side * x, y, height, color, width)
            draw_pip(
                corner.at(side * x, y + height / 2 + size / 2 + 5, size), outline, style, color
            )


def draw_number(pen, label, outline, style, color, rng):
    """Palos de un 2 a un 10 en su disposición de siempre."""
    size = style.pip * rng.uniform(0.88, 1.08)
    column, row = rng.uniform(44, 54), rng.uniform(104, 120) - 8 * style.border
    for x, y in points(PIPS[label]):
        pip = pen.at(x * column, y * row, size, -size if y > 0 else size)
        draw_pip(pip, outline, style, color)


def draw_ace(pen, outline, ornate, paper, color, rng):
    """Palo grande en el centro; si `ornate`, con filete y roseta."""
    big = pen.at(0, 0, rng.uniform(130, 170) if ornate else rng.uniform(55, 110))
    big.shape(outline, color, line=False)
    if ornate:
        big.at(0, -0.02, 0.78).shape(outline, paper, line=False)
        big.at(0, -0.03, 0.68).shape(outline, color, line=False)
        for turn in np.linspace(0, 360, int(rng.integers(6, 11)), endpoint=False):
            petal = big.at(0, 0.06, turn=turn)
            petal.oval(0, -0.1, 0.025, 0.05, paper, line=False)
            petal.at(0, -0.19, 0.025).shape(star(1, 4), paper, line=False)


def draw_face(pen, skin, red, look):
    """Cara de 34 x 48 unidades centrada en el origen, que mira hacia `look` (-3..3)."""
    pen.shape(smooth(mirrored(points("1,-24 13,-20 17,-4 14,12 6,22 1,24"))), skin)
    for side in (-1, 1):
        eye = pen.at(7.5 * side + look, -4)
        eye.shape(smooth("-5,0 -5,0 0,-2.6 5,0 5,0 0,2.2"), WHITE)
        eye.oval(look / 2, -0.2, 1.7, fill=pen.ink)
        eye.stroke(points("-5,-5 0,-7.5 5,-6"))
    pen.at(look, 0, -1 if look > 0 else 1, 1).stroke(points("-2,-4 -1,4 -3,8 2,8.5"))
    pen.at(look, 0).shape(smooth(LIPS), red, line=False)


def draw_hat(pen, rank, colors, rng):
    """Corona del rey, diadema de la reina o gorra con pluma de la jota."""
    red, yellow, blue, _, skin = colors
    if rank == "jack":
        feather = pen.at(18, -34, turn=rng.uniform(-10, 25))
        feather.shape(smooth("0,0 0,0 10,-12 28,-10 38,6 38,6 30,8 12,2"), skin)
        feather.stroke(points("0,0 14,-5 28,-3 36,5"))
        pen.shape(smooth("-23,-26 -25,-40 -8,-46 14,-44 25,-36 22,-26"), red)
        for x in (-12, 0, 12):
            pen.stroke([(x, -44), (x * 1.2, -28)], yellow, 2.5)
        pen.shape(smooth("-28,-19 -28,-19 0,-25 28,-19 28,-19 25,-30 0,-33 -25,-30"), blue)
        return
    king = rank == "king"
    width, top, lean = (20, -46, 1.25) if king else (23, -40, 1.1)
    pen.oval(0, -28, width - 4, 12 if king else 9, red if king else blue)
    tips = np.linspace(-width, width, int(rng.integers(3, 6)))
    teeth = [(x * lean, top) for x in tips]
    for k, x in enumerate((tips[1:] + tips[:-1]) / 2):
        teeth.insert(2 * k + 1, (x, -32))
    pen.shape([(-width, -26), *teeth, (width, -26), (width - 2, -20), (2 - width, -20)], yellow)
    pen.strip((1 - width, -23), (width - 1, -23), 6, (yellow, red, yellow, blue), 9)
    for x, y in teeth[::2]:
        pen.oval(x, y, 3, fill=red if king else WHITE)


def draw_head(pen, rank, colors, rng):
    """Cabeza con pelo, barba o velo y su tocado; el centro de la cara es el origen."""
    red, yellow, blue, dark, skin = colors
    hair = (yellow, dark, WHITE, (150, 96, 50))[rng.integers(4)]
    locks = WHITE if hair == dark else dark
    lobe, tip = smooth(HAIR[rank]), points(HAIR[rank])[5]
    for side in (-1, 1):
        half = pen.at(0, 0, side, 1)
        if rank == "queen":
            half.shape(smooth("0,-30 24,-28 38,0 44,44 44,44 10,48 0,20"), blue)
            for k in range(5):
                half.oval(35 + 1.6 * k, -4 + 9 * k, 1.8, fill=yellow, line=False)
        half.shape(lobe, hair)
        for k in (0, 1.6, 3.2):
            half.stroke(lobe[8:38] * (1 - 0.05 * k, 1) - (k, 0), locks, 0.8)
        half.oval(tip[0] + 2, tip[1] - 5, 4, fill=hair)
    draw_face(pen, skin, red, rng.uniform(-3, 3))
    if rank == "king":
        pen.shape(smooth(BEARD), hair)
        for x in (-11, -6, 0, 6, 11):
            pen.stroke([(x, 16 if x else 22), (x * 0.8, 34)], locks)
        pen.shape(smooth(LIPS), red, line=False)
        for side in (-1, 1):
            pen.at(0, 0, side, 1).shape(smooth("0,9 6,8 16,15 16,15 7,13"), hair)
    draw_hat(pen, rank, colors, rng)


def draw_robe(pen, rank, colors, rng):
    """Busto con mangas, bandas cruzadas, pechera y cuello, bajo la cabeza."""
    red, yellow, blue, dark, _ = colors
    a, b, c = (colors[k] for k in rng.permutation(3))
    gold = red if c == yellow else yellow
    pen.shape(mirrored(points("0,-66 14,-64 34,-56 64,-48 82,-24 90,60 0,60")), a)
    for side in (-1, 1):
        half = pen.at(0, 0, side, 1)
        half.strip((78, -36), (92, 60), 26, (b, WHITE, c), 7)
        for k, pair in enumerate(((c, dark), (yellow, red), (b, WHITE))):
            ends = (28 + 15 * k, -62 + 5 * k), (15 * k - 24, 60)
            half.strip(*ends, 11, pair, int(rng.integers(7, 14)))
        for y in range(-40, 10, 9):
            half.oval(50 - 0.25 * y, y, 2.4, fill=yellow, line=False)
    pen.shape(points("-13,-64 13,-64 15,60 -15,60"), c)
    motif = rng.integers(3)
    for y in range(-52, 12, 13):
        if motif == 0:
            pen.at(0, y).shape(star(9, 2, 0.75), gold)
        elif motif == 1:
            chevron = points("-13,-5 0,3 13,-5 13,1 0,9 -13,1")
            pen.at(0, y).shape(chevron, (gold, dark)[y % 2])
        else:
            pen.oval(0, y, 5.5, fill=gold)
            pen.oval(0, y, 2, fill=blue)
    king = rank == "king"  # el rey lleva armiño; los demás, collar de perlas
    fur, chain = "1,-44 22,-46 40,-58 30,-68 16,-62 1,-58", "1,-46 14,-48 28,-60 16,-70 1,-60"
    pen.shape(smooth(mirrored(points(fur if king else chain))), WHITE if king else yellow)
    for x in np.linspace(-28, 28, 5) if king else np.linspace(-20, 20, 7):
        pearl = dark if king else WHITE if rank == "queen" else red
        pen.oval(x, -51 - 0.011 * x * x, 1.4 if king else 2.2, 3 if king else 2.2, pearl, not king)


def draw_attribute(pen, rank, colors):
    """Espada del rey, flor de la reina o alabarda de la jota, y la mano que la sujeta."""
    red, yellow, blue, _, skin = colors
    if rank == "king":
        pen.shape(points("48,-50 48,-126 52,-138 56,-126 56,-50"), STEEL)
        pen.stroke([(52, -126), (52, -52)], blue)
        pen.strip((36, -50), (68, -50), 5, (yellow,), 1)
        pen.strip((52, -48), (52, -22), 6, (red, yellow), 5)
        pen.oval(52, -20, 5, fill=yellow)
    elif rank == "queen":
        pen.stroke(points("54,-24 51,-44 54,-72"), GREEN, 3)
        pen.shape(smooth("52,-50 52,-50 64,-62 68,-58 60,-50"), GREEN)
        for turn in range(0, 360, 60):
            pen.at(54, -80, turn=turn).oval(0, -8, 5.5, 6.5, red)
        pen.oval(54, -80, 5, fill=yellow)
    else:
        pen.strip((54, 20), (54, -112), 5, (yellow, red), 13)
        pen.shape(smooth("54,-140 54,-140 63,-122 54,-108 54,-108 45,-122"), STEEL)
        pen.shape(smooth("56,-112 72,-120 70,-96 56,-104"), blue)
    pen.shape(smooth("40,-40 56,-44 64,-38 62,-28 48,-26 38,-30"), skin)
    for y in (-39, -35, -31):
        pen.stroke([(51, y), (62, y + 1)])
    pen.strip((22, -20), (42, -33), 16, (WHITE, red, WHITE), 3)


def court_colors(style, rng):
    """Una de las paletas del estilo, con cada color algo movido."""
    palette = np.array(PALETTES[style.palettes[rng.integers(len(style.palettes))]])
    shifted = np.clip(palette + rng.normal(0, 7, palette.shape), 0, 255).astype(int)
    return [tuple(color) for color in shifted.tolist()]


def draw_court(card, rank, outline, style, color, rng):
    """Figura de dos cabezas: se dibuja media y la otra es la misma a media vuelta."""
    colors, tilt = court_colors(style, rng), rng.uniform(-0.35, 0.35)
    half_w, half_h = rng.uniform(76, 83) - 9 * (style.index > 50), rng.uniform(137, 145)
    paper = (style.paper, style.paper, (252, 240, 200), (222, 234, 246))[rng.integers(4)]
    sheet = Image.new("RGB", card.size, paper)
    pen = Pen(sheet, (colors[3], BLACK)[rng.integers(2)], rng.uniform(0.9, 1.5))
    figure = pen.at(rng.uniform(-3, 5), 0, rng.uniform(0.95, 1.03))
    draw_robe(figure, rank, colors, rng)
    left = rng.random() < 0.3  # a la izquierda, bajo el palo, el atributo va más corto
    draw_attribute(figure.at(0, 12, -1, 0.7) if left else figure, rank, colors)
    draw_head(figure.at(0, -87), rank, colors, rng)
    size, ends = rng.uniform(30, 38), ((-half_w, -tilt * half_w), (half_w, tilt * half_w))
    pip = pen.at(6 + size / 2 - half_w, 6 + size / 2 - half_h, size)
    pip.shape(outline, color, line=False)
    pen.strip(*ends, rng.uniform(4, 14), colors[:3], int(rng.integers(3, 9)) * 2 + 1)
    window = Image.new("L", card.size)
    Pen(window).shape([(-half_w, -half_h), (half_w, -half_h), *ends[::-1]], 255, line=False)
    for _ in range(2):
        card.paste(sheet, (0, 0), window)
        sheet, window = (im.transpose(Image.Transpose.ROTATE_180) for im in (sheet, window))
    if rng.random() < 0.85:
        frame = SQUARE * (half_w, half_h)
        Pen(card).stroke(frame, (pen.ink, colors[2], color)[rng.integers(3)], 1.6, closed=True)


def draw_center(pen, rank, outline, style, ornate, color, rng):
    """Lo que toca en el centro: los palos del número, el as o la figura."""
    label = RANKS[rank]
    if label in PIPS:
        draw_number(pen, label, outline, style, color, rng)
    elif label == "A":
        draw_ace(pen, outline, ornate, style.paper, color, rng)
    else:
        draw_court(pen.image, rank, outline, style, color, rng)


def draw_jester(pen, colors, rng):
    """Cabeza de bufón: gorro de tres puntas con cascabeles, sonrisa y cuello de picos."""
    red, yellow, _, dark, skin = colors
    cloth = [colors[k] for k in rng.permutation(3)]
    bells = [(70, -12), (-70, -12), (4, -86)]
    for k, angle in enumerate(np.linspace(0, np.pi, int(rng.integers(6, 10)))):
        around = angle + np.array([-0.32, 0.32])
        base = np.stack([24 * np.cos(around), 14 + 18 * np.sin(around)], 1)
        bells.append((58 * np.cos(angle), 16 + 44 * np.sin(angle)))
        pen.shape([base[0], bells[-1], base[1], (0, 10)], cloth[k % 3])
    pen.oval(0, 20, 23, 14, cloth[0])
    pen.shape(smooth("-15,-16 -18,-46 -6,-78 4,-84 8,-60 17,-38 15,-16"), cloth[2])
    horn = smooth("0,-26 14,-54 42,-64 64,-44 70,-16 70,-16 56,-30 42,-34 32,-24 22,-6")
    for side, fill in ((1, cloth[0]), (-1, cloth[1])):
        half = pen.at(0, 0, side, 1)
        half.shape(horn, fill)
        for x, y in ((20, -42), (38, -50), (54, -42)):
            half.oval(x, y, 2.5, fill=red if fill == yellow else WHITE, line=False)
    for x, y in bells:
        pen.oval(x, y, 6.5, fill=yellow)
        pen.stroke([(x - 4, y + 1.5), (x + 4, y + 1.5)])
        pen.oval(x, y + 3, 1.2, fill=dark)
    draw_face(pen.at(0, 0, 1.25), skin, red, rng.uniform(-2, 2))
    pen.strip((-23, -20), (23, -20), 8, (yellow, dark), 8)
    for x, y in ((-14, 8), (14, 8), (0, 8)):
        pen.oval(x, y, 5, fill=red, line=x == 0)
    pen.shape(smooth("-15,12 -15,12 0,18 15,12 15,12 8,24 0,27 -8,24"), red)
    pen.shape(smooth("-12,15 -12,15 0,19.5 12,15 12,15 0,22"), WHITE, line=False)


def draw_juggler(pen, colors, rng):
    """Bufón de cuerpo entero que hace malabares con los cuatro palos."""
    red, yellow, blue, dark, skin = colors
    for side, a, b in ((1, red, blue), (-1, blue, red)):
        half, lift = pen.at(0, 0, side, 1), rng.uniform(-30, 25)
        elbow, hand = (52, 10 + lift / 3), (74, -25 + lift)
        half.strip((12, 45), (26, 96), 20, (a, yellow), 4)
        half.strip((26, 92), (18, 132), 15, (b, yellow), 4)
        half.shape(smooth("10,128 26,126 48,138 60,128 60,128 54,148 12,146"), a)
        half.oval(60, 126, 4.5, fill=yellow)
        half.strip((16, -16), elbow, 17, (b, yellow), 4)
        half.oval(*elbow, 9, fill=b)
        half.strip(elbow, hand, 14, (a, yellow), 3)
        half.oval(*hand, 7, fill=skin)
        half.shape(points("0,-32 22,-26 28,0 18,26 30,56 16,50 8,62 0,52"), a)
        for y in (0, 16, 32):
            half.at(10, y).shape(star(7, 2, 0.8), yellow)
    for k, suit in enumerate(SUITS):
        angle = np.pi * (0.05 + 0.3 * k)
        ball = pen.at(-82 * np.cos(angle), -62 - 88 * np.sin(angle), 24)
        ball.shape(suit_outline(suit, rng), (dark, red, red, dark)[k], line=False)
    draw_jester(pen.at(0, -58, 0.72), colors, rng)


def draw_joker_card(card, style, font, color, rng, word="JOKER"):
    """Comodín: busto, dos cabezas o malabarista, con `word` en dos esquinas."""
    colors = court_colors(style, rng)
    if rng.random() < 0.2:  # comodín en blanco y negro
        colors = [(sum(c) // 3,) * 3 for c in colors]
    pen, kind, backdrop = Pen(card, BLACK, rng.uniform(1, 1.8)), rng.integers(4), rng.integers(4)
    if backdrop == 1:
        pen.shape(star(rng.uniform(92, 104), int(rng.integers(8, 20)), 0.75), colors[1])
    elif backdrop == 2:
        pen.oval(0, 0, rng.uniform(74, 88), rng.uniform(96, 120), colors[rng.integers(5)])
    if kind == 0:
        draw_juggler(pen.at(0, 8, rng.uniform(0.88, 0.98)), colors, rng)
    elif kind == 1:
        draw_jester(pen.at(0, -76, rng.uniform(0.85, 0.95)), colors, rng)
        top = card.crop((0, 0, card.width, card.height // 2))
        card.paste(top.transpose(Image.Transpose.ROTATE_180), (0, card.height - top.height))
        pen.strip((-80, 0), (80, 0), 8, colors[:3], 15)
    else:
        draw_jester(pen.at(0, rng.uniform(-5, 15), rng.uniform(1.05, 1.35)), colors, rng)
    height, stacked, starred = rng.uniform(15, 20), rng.random() < 0.6, rng.random() < 0.6
    x, y, lean = 12 + (height - WIDTH) / 2, 16 - HEIGHT / 2, rng.choice((90, -90))
    for turn in (0, 180):
        corner = pen.at(x, y, turn=0) if turn == 0 else pen.at(-x, -y, turn=180)
        length = 4.2 * height
        if stacked:
            length = 5.8 * height
            for k, letter in enumerate(word):
                corner.text(letter, font, 0, height * (0.5 + 1.2 * k), height, color, height)
        else:
            corner.at(0, length / 2, turn=lean).text(word, font, 0, 0, height, color, length)
        if starred:
            corner.at(0, length + 0.8 * height).shape(star(0.62 * height), color, line=False)


def texture(rng, rows, cols, size):
    """Ruido suave [alto, ancho, 1] en -1..1: una rejilla de rows x cols al azar, ampliada."""
    grid = Image.fromarray(rng.uniform(-1, 1, (rows, cols)).astype("float32"))
    return np.asarray(grid.resize(size, Image.Resampling.BICUBIC))[..., None]


def draw_card(class_name, style, rng, width=320):
    """Dibuja una carta plana.

    Args:
        class_name: una de `CLASS_NAMES`.
        style: nombre de un estilo de `STYLES`.
        rng: `numpy.random.Generator` del que salen fuente, colores y proporciones.
        width: ancho en píxeles; el alto es 1.4 veces mayor.

    Returns:
        Imagen RGBA de width x 1.4 width, transparente fuera de las esquinas redondeadas.
    """
    style, fonts = STYLES[style], STYLES[style].fonts.split()
    font, size = fonts[rng.integers(len(fonts))], (2 * width, 2 * round(width * HEIGHT / WIDTH))
    card = Image.new("RGB", size, style.paper)  # al doble, y al final se promedia
    rank, _, suit = class_name.partition(" of ")
    ink = np.array(style.inks[SUITS.index(suit)] if suit else (RED, BLACK, BLUE)[rng.integers(3)])
    color = tuple(np.clip(ink + rng.normal(0, 9, 3), 0, 255).astype(int).tolist())
    if rank == "joker":
        draw_joker_card(card, style, font, color, rng)
    else:
        outline, label, pen = suit_outline(suit, rng), RANKS[rank], Pen(card)
        ornate = style.ornate and suit == "spades"
        draw_center(pen, rank, outline, style, ornate, color, rng)
        draw_index(pen, label, outline, style, font, color, rng)
    unit, edge, mask = size[0] / WIDTH, ImageDraw.Draw(card), Image.new("L", size)
    radius = rng.uniform(8, 16) * unit

    def rounded(draw, inset, fill=None, line=None, thick=1):
        far = [side - 1 - inset * unit for side in size]
        box = (inset * unit, inset * unit, *far)
        draw.rounded_rectangle(box, radius - inset * unit / 2, fill, line, round(thick * unit))

    for inset, thick in ((6, 2), (10, 0.5)) if style.border else ():
        rounded(edge, inset, line=color, thick=thick)
    if rng.random() < 0.6:
        rounded(edge, 0, line=(130, 130, 130))
    rounded(ImageDraw.Draw(mask), 0, fill=255)
    card, mask = card.reduce(2), mask.reduce(2)
    if style.stained:
        stains = 0.06 * texture(rng, 7, 5, card.size) + 0.03 * texture(rng, 90, 60, card.size)
        card = Image.fromarray((np.asarray(card) * (1 + stains)).clip(0, 255).astype("uint8"))
    card.putalpha(mask)
    return card


def draw_art(pen, ink, rng):
    """Ilustración abstracta: manchas, estrellas, trazos y letras, a veces igual a media vuelta."""
    inks = [ink, *(tuple(rng.integers(0, 256, 3).tolist()) for _ in range(rng.integers(5)))]
    spread, angle = rng.uniform((25, 30), (80, 125)), np.linspace(0, 2 * np.pi, 9)[:-1]
    for _ in range(rng.integers(3, 22)):
        at = pen.at(*rng.uniform(-1, 1, 2) * spread, rng.uniform(8, 65), turn=rng.uniform(0, 360))
        radius, fill = rng.uniform(0.3, 1.2, 8), inks[rng.integers(len(inks))]
        blob = smooth(np.stack([radius * np.cos(angle), rng.uniform(0.3, 1) * np.sin(angle)], 1))
        kind = rng.integers(5)
        if kind < 2:
            at.shape(blob, fill, line=rng.random() < 0.4)
        elif kind == 2:
            at.stroke(blob, fill, rng.uniform(2, 9))
        elif kind == 3:
            at.shape(star(1, int(rng.integers(3, 14)), rng.uniform(0.2, 0.9)), fill, line=False)
        else:
            words = "".join(rng.choice(list("ABCDEMNORSTU"), rng.integers(2, 9)))
            at.text(words, str(rng.choice(available(FONTS))), 0, 0, rng.uniform(8, 30), fill)
    if rng.random() < 0.4:
        width, height = pen.image.size
        top = pen.image.crop((0, 0, width, height // 2)).transpose(Image.Transpose.ROTATE_180)
        pen.image.paste(top, (0, height - top.height))


def background(rng, size):
    """Mesa [alto, ancho, 3] en 0..255: lisa, degradada, de madera, de fieltro o con manchas."""
    kind = rng.choice(6, p=(0.35, 0.1, 0.15, 0.2, 0.1, 0.1))
    flat = np.ones((size[1], size[0], 3), "float32")
    first, second = rng.uniform(30, 230, (2, 3)).astype("float32")
    if kind < 2:
        return flat * (rng.uniform(215, 255) if kind == 0 else first * 0.3)
    if kind == 2:
        wood = np.array((150, 100, 58), "float32") * rng.uniform(0.5, 1.35)
        rows, cols = (1, 0.06) if rng.random() < 0.5 else (0.06, 1)
        fine, coarse = (
            texture(rng, int(n * rows), int(n * cols), size) for n in (size[0] // 2, size[0] // 4)
        )
        return wood * (1 + 0.12 * fine + 0.18 * coarse)
    if kind == 3:
        felt = np.array(((20, 100, 55), (25, 60, 120), (120, 25, 40))[rng.integers(3)], "float32")
        return felt * (1 + 0.12 * rng.standard_normal((size[1], size[0], 1), "float32"))
    mix = texture(rng, 2, 2, size) if kind == 4 else texture(rng, 6, 6, size)
    return first + (second - first) * (0.5 + 0.5 * mix)


def project(card, corners, size, detail=None):
    """Lleva las esquinas de la carta a `corners` ([4, 2], píxeles) de una imagen RGBA `size`.

    Antes la reduce a `detail` (ancho, alto), por omisión `size`, para que no haga dientes.
    """
    detail = detail or size
    card = ImageOps.expand(card.resize(detail, Image.Resampling.BICUBIC), 2, (0, 0, 0, 0))
    source = points("0,0 1,0 1,1 0,1") * detail + 2  # el reborde transparente suaviza el canto
    # De la foto a la carta, que es lo que pide `transform`
    homography = cv2.getPerspectiveTransform(np.float32(corners), np.float32(source)).ravel()[:8]
    return card.transform(size, Image.Transform.PERSPECTIVE, homography, Image.Resampling.BILINEAR)


def cast_shadow(seen, rng):
    """Sombra [alto, ancho, 1] en 0..1 que echa sobre la mesa lo opaco de la imagen RGBA `seen`."""
    alpha, far = seen.getchannel("A"), tuple(rng.integers(-5, 6, 2).tolist())
    shade = np.asarray(alpha.filter(ImageFilter.BoxBlur(rng.uniform(4, 12))), "float32") / 255
    return np.roll(shade, far, (0, 1))[..., None] * np.float32(rng.uniform(0.1, 0.6))


def expose(table, rng):
    """La foto RGB de la escena RGB `table`: desenfoque, luz desigual, tono y ruido."""
    if rng.random() < 0.4:  # desenfoque
        table = table.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 0.9)))
    y, x = (np.linspace(-1, 1, n, dtype="float32") for n in table.size[::-1])
    across, along, vignette = rng.normal(0, 0.07), rng.normal(0, 0.07), rng.uniform(0, 0.06)
    light = across * x - vignette * x**2 + (along * y - vignette * y**2)[:, None]
    cast = (1 + rng.normal(0, 0.03, 3)) * rng.uniform(0.85, 1.05)
    light = (rng.uniform(0.85, 1.1) + light.astype("float32"))[..., None] * cast.astype("float32")
    photo = np.asarray(table) * light + np.float32(rng.uniform(-6, 24))
    photo += rng.standard_normal(photo.shape, "float32") * np.float32(rng.uniform(0, 6))
    return Image.fromarray(photo.clip(0, 255).astype("uint8"))


def photograph(card, rng):
    """Simula una foto: la carta, aplastada hasta casi llenar el cuadro, sobre una mesa.

    Args:
        card: imagen RGBA de `draw_card`.
        rng: `numpy.random.Generator` de la toma.

    Returns:
        Imagen RGB de 224 x 224.
    """
    square, size = SQUARE.copy(), (224, 224)
    still = rng.random() < 0.3  # como un escaneo: ni giro ni margen
    widest = 0 if still else rng.choice((2, 7, 15), p=(0.5, 0.35, 0.15))
    turn = rng.uniform(-1, 1) * widest + 180 * (rng.random() < 0.15)
    margin = rng.uniform(-0.01, 0.01) if still else rng.uniform(0, 0.08)
    if rng.random() < 0.15:
        square[:, 0] *= rng.uniform(0.75, 1)  # menos aplastada
    square += rng.normal(0, 0 if still else 0.012, (4, 2))
    corners = square @ rotation(np.radians(turn))
    corners *= (1 - 2 * margin) * np.abs(square).max(0) / np.abs(corners).max(0)
    corners += rng.uniform(-1, 1, 2) * max(margin, 0)
    seen = project(card, (corners + 1) * size / 2, size)

    shadow = cast_shadow(seen, rng)
    table = background(rng, size) * (1 - shadow)
    table = Image.fromarray(table.clip(0, 255).astype("uint8"))
    table.paste(seen, (0, 0), seen)
    return expose(table, rng)


def draw_splits(root, counts, seed):
    """Dibuja y guarda `counts[split]` imágenes de cada clase; cada una, con su generador."""
    for s, split in enumerate(SPLITS):
        for c, class_name in enumerate(CLASS_NAMES):
            folder = root / split / class_name
            folder.mkdir(parents=True)
            for i in range(counts[split]):
                rng = np.random.default_rng([seed, s, c, i])
                card = draw_card(class_name, rng.choice(list(STYLES)), rng, 256)
                quality = int(rng.integers(60, 96))
                photograph(card, rng).save(folder / f"{i + 1:03d}.jpg", quality=quality)


def make_deck(root, per_class=None, seed=0):
    """Dibuja la baraja en `root/{train,valid,test}/<clase>/{001,002,...}.jpg`.

    Args:
        root: carpeta que se crea; si ya contiene esta misma baraja, se reutiliza.
        per_class: imágenes por clase de cada partición; las de `PER_CLASS`, si no se dice.
        seed: entero no negativo.

    Returns:
        `Path` de la baraja: imágenes JPEG de 224 x 224 x 3.

    Raises:
        FileExistsError: si `root` existe y no es esta baraja; no se toca lo que haya.
        OSError: si no se puede escribir; no queda nada a medias.
    """
    root, per_class = Path(root), PER_CLASS if per_class is None else per_class
    counts = {split: int(per_class.get(split, 0)) for split in SPLITS}
    recipe = json.dumps({"version": VERSION, "seed": int(seed), "per_class": counts})
    if root.exists():
        note = root / "deck.json"
        if note.is_file() and note.read_bytes() == recipe.encode():
            return root
        raise FileExistsError(
            f"«{root}» ya existe y no es la baraja {recipe}. No se ha tocado: "
            "elige otra carpeta, o bórrala si ya no la necesitas."
        )
    root.parent.mkdir(parents=True, exist_ok=True)
    # Se dibuja al lado y se renombra al final: una interrupción no deja media baraja
    with tempfile.TemporaryDirectory(dir=root.parent, prefix=f".{root.name}-") as scratch:
        draft = Path(scratch, "deck")
        try:
            draw_splits(draft, counts, seed)
            (draft / "deck.json").write_bytes(recipe.encode())
            draft.rename(root)
        except OSError as error:
            raise OSError(f"No se pudo dibujar en {root} ({error}). ¿Queda espacio?") from error
    return root
