"""Imágenes que no son un naipe, por clases y con semilla, para medir el rechazo.

Las fotos vienen dentro de scikit-image, scikit-learn y Matplotlib; lo demás lo dibuja `no_cards`.
Una semilla par usa la mitad de las fotos y una impar la otra: lo que se elige con una no vio las de
la otra.

Además de requirements.txt necesita `pip install scikit-image scikit-learn`.
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np
import skimage
import sklearn.datasets
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
from no_cards import KINDS, SIZE  # noqa: E402

PHOTOS = (  # de scikit-image: solo lo que viene en el paquete, sin descargar nada
    "astronaut.png brick.png camera.png cell.png chelsea.png clock_motion.png coffee.png coins.png "
    "grass.png gravel.png horse.png hubble_deep_field.jpg ihc.png moon.png motorcycle_left.png "
    "page.png retina.jpg rocket.jpg text.png"
)


def photo(rng, photos):
    """Recorte al azar (del 40 al 100 % del lado) de una foto, a veces en espejo."""
    image = photos[rng.integers(len(photos))]
    side = np.array(image.size) * rng.uniform(0.4, 1)
    x, y = rng.uniform(0, 1, 2) * (image.size - side)
    image = image.resize(SIZE, box=(x, y, x + side[0], y + side[1]))
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else image


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
    half = photos[seed % 2 :: 2]
    kinds_drawn = {**KINDS, "foto": lambda rng: photo(rng, half)}
    for k, (kind, draw) in enumerate(kinds_drawn.items()):
        for i in range(per_kind * (2 if kind == "foto" else 1)):
            rng = np.random.default_rng([seed, k, i])
            images.append(np.asarray(draw(rng)))
            kinds.append(kind)
    return np.stack(images), np.array(kinds)
