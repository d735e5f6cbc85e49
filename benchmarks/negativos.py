"""Imágenes que no son un naipe, por clases y con semilla, para medir el rechazo.

Las fotos vienen dentro de scikit-image, scikit-learn y Matplotlib; lo demás se dibuja. Una semilla
par usa la mitad de las fotos y una impar la otra: lo que se elige con una no vio las de la otra.

Además de requirements.txt necesita `pip install scikit-image scikit-learn`.
"""

import io
import sys
from pathlib import Path

import matplotlib
import numpy as np
import skimage
import sklearn.datasets
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

sys.path.insert(0, str(Path(__file__).parents[1]))
from demo_deck import background, photograph, star, texture  # noqa: E402

SIZE = (224, 224)
PHOTOS = (  # de scikit-image: solo lo que viene en el paquete, sin descargar nada
    "astronaut.png brick.png camera.png cell.png chelsea.png clock_motion.png coffee.png coins.png "
    "grass.png gravel.png horse.png hubble_deep_field.jpg ihc.png moon.png motorcycle_left.png "
    "page.png retina.jpg rocket.jpg text.png"
)
WORDS = (
    "la red mira cada foto y dice qué ve: pan, mesa, 7 kilos, 10 euros, tren, Q, K, luz, nube, "
    "casa, río, 4 de mayo, J. Pérez, A5, silla, calle, 23, puerta, libro, agua, total 98.50"
).split()
FONTS = "DejaVuSans DejaVuSans-Bold DejaVuSerif DejaVuSansMono STIXGeneral cmr10".split()


def colors(rng, count):
    """`count` colores RGB al azar, como lista de tuplas de enteros."""
    return [tuple(row) for row in rng.integers(0, 256, (count, 3)).tolist()]


def noise(rng, photos):
    """Ruido uniforme o gaussiano, por píxel o por manchas."""
    side = int(rng.choice((14, 56, 224)))
    grid = rng.uniform(0, 256, (side, side, 3))
    if rng.random() < 0.5:
        grid = rng.uniform(60, 200) + rng.uniform(10, 70) * rng.standard_normal((side, side, 3))
    if rng.random() < 0.3:
        grid[:] = grid[..., :1]
    return Image.fromarray(grid.clip(0, 255).astype("uint8")).resize(SIZE)


def flat(rng, photos):
    """Un solo color; la mitad de las veces, un gris."""
    return Image.new(
        "RGB", SIZE, (int(rng.integers(256)),) * 3 if rng.random() < 0.5 else colors(rng, 1)[0]
    )


def gradient(rng, photos):
    """Degradado lineal o radial entre dos colores."""
    y, x = np.mgrid[-1:1:224j, -1:1:224j]
    angle = rng.uniform(0, 2 * np.pi)
    t = np.hypot(x, y) if rng.random() < 0.4 else x * np.cos(angle) + y * np.sin(angle)
    t = ((t - t.min()) / np.ptp(t))[..., None]
    first, second = np.array(colors(rng, 2), float)
    return Image.fromarray((first + (second - first) * t).astype("uint8"))


def text_page(rng, photos):
    """Página de texto, a veces con título y columna estrecha."""
    light = rng.random() < 0.8
    paper, ink = ((255, 255, 255), (20, 20, 20)) if light else ((25, 28, 35), (230, 230, 220))
    page, size = Image.new("RGB", (448, 448), paper), int(rng.integers(14, 60))
    draw, left, y = ImageDraw.Draw(page), int(rng.integers(5, 80)), int(rng.integers(0, 60))
    path = Path(matplotlib.get_data_path(), "fonts", "ttf", f"{rng.choice(FONTS)}.ttf")
    while y < 448:
        line = " ".join(rng.choice(WORDS, 30))
        draw.text((left, y), line, ink, ImageFont.truetype(path, size))
        y += int(size * 1.4)
        if rng.random() < 0.15:
            y += size
    return page.resize(SIZE)


def plot(rng, photos):
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


def blank_card(rng, photos):
    """Carta en blanco sobre una mesa."""
    paper = np.array((252, 252, 250)) - rng.integers(0, 30, 3)
    return photograph(card_shape(rng, tuple(paper.tolist())), rng)


def card_back(rng, photos):
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


def board(rng, photos):
    """Tablero de ajedrez, rayas o tabla con casillas de texto."""
    first, second = colors(rng, 2)
    if rng.random() < 0.5:
        first, second = (240, 240, 235), (30, 30, 30)
    image, n = Image.new("RGB", SIZE, first), int(rng.integers(3, 13))
    draw, kind, step = ImageDraw.Draw(image), rng.integers(3), 224 / n
    path = Path(matplotlib.get_data_path(), "fonts", "ttf", f"{rng.choice(FONTS)}.ttf")
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


def table(rng, photos):
    """La mesa sola: lisa, de madera, de fieltro o con manchas, y a veces arrugada."""
    image = background(rng, SIZE) + 20 * texture(rng, 5, 5, SIZE) * rng.random()
    return Image.fromarray(np.broadcast_to(image, (224, 224, 3)).clip(0, 255).astype("uint8"))


def photo(rng, photos):
    """Recorte al azar (del 40 al 100 % del lado) de una foto, a veces en espejo."""
    image = photos[rng.integers(len(photos))]
    side = np.array(image.size) * rng.uniform(0.4, 1)
    x, y = rng.uniform(0, 1, 2) * (image.size - side)
    image = image.resize(SIZE, box=(x, y, x + side[0], y + side[1]))
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else image


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
    "foto": photo,
}


def make_negatives(seed, per_kind=50):
    """Dibuja `per_kind` imágenes de cada clase de `KINDS`; del doble, en el caso de las fotos.

    Args:
        seed: entero; su paridad elige qué mitad de las fotos se recorta.
        per_kind: imágenes de cada clase.

    Returns:
        (images, kinds): uint8 [n, 224, 224, 3] y array de n nombres de clase.
    """
    files = [Path(skimage.__file__).parent / "data" / name for name in PHOTOS.split()]
    files.append(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))
    photos = [Image.open(file).convert("RGB") for file in files]
    photos += [Image.fromarray(image) for image in sklearn.datasets.load_sample_images().images]
    images, kinds = [], []
    for k, (kind, draw) in enumerate(KINDS.items()):
        for i in range(per_kind * (2 if draw is photo else 1)):
            rng = np.random.default_rng([seed, k, i])
            images.append(np.asarray(draw(rng, photos[seed % 2 :: 2])))
            kinds.append(kind)
    return np.stack(images), np.array(kinds)
