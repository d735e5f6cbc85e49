"""Cuánto fiarse de la red: calibrarla, rechazar lo que no es una carta y ver dónde mira.

Todo parte de los logits de la red ya entrenada. Lo que ajusta `card_training.fit_trust` va en los
metadatos del modelo, clave "trust".
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

import card_utils as cu
from card_names import card_name, short_name

BATCH = 32  # imágenes por pasada: la memoria no crece con la carpeta


# --- Predecir --------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def inner_model(model):
    """`keras.Model` con los mismos pesos que da (logits [n, clases], último mapa [n, 7, 7, m]).

    Args:
        model: clasificador de este proyecto, acabado en Dense(softmax).
    """
    head = model.layers[-1]
    # El mismo producto que hace la última capa, con sus variables y sin el softmax
    logits = keras.ops.matmul(head.input, head.kernel) + head.bias
    pooled = model.layers[-3]  # GlobalAveragePooling2D
    return keras.Model(model.input, [logits, pooled.input])


def predict_logits(model, images):
    """Logits de unas imágenes, en lotes de 32.

    Args:
        model: clasificador de este proyecto.
        images: uint8 [n, 224, 224, 3], lo que dan `read_image` y `straighten`.

    Returns:
        float32 [n, clases].

    Raises:
        ValueError: otra forma u otro tipo.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.shape[1:] != cu.IMAGE_SHAPE or not len(images):
        raise ValueError(
            f"Esperamos uint8 [n, 224, 224, 3] y llega {images.dtype} {images.shape}: read_image."
        )
    run = logits_of(model)
    return np.concatenate(
        [run(images[i : i + BATCH]).numpy() for i in range(0, len(images), BATCH)]
    )


def look_twice(model, images):
    """Logits [n, clases] de cartas enteras: la media de mirar cada una derecha y del revés.

    Así una carta del revés recibe la misma respuesta. Las esquinas, que no se giran, van con
    `predict_logits`; las dos piden imágenes uint8 [n, 224, 224, 3].
    """
    images = np.asarray(images)
    return (predict_logits(model, images) + predict_logits(model, images[:, ::-1, ::-1])) / 2


def predict(model, images):
    """Probabilidades de cada clase, sin calibrar, mirando cada imagen derecha y del revés.

    Args:
        model: clasificador de este proyecto.
        images: arreglo [n, 224, 224, 3], enteros o reales en 0..255, que se redondean; o una
            imagen, o una lista, de lo que admite `card_utils.open_photo`.

    Returns:
        float32 [n, clases]; cada fila suma 1.

    Raises:
        ValueError: otra forma, valores fuera de 0..255, o una imagen ya dividida entre 255.
    """
    if not isinstance(images, np.ndarray) or images.ndim != 4:
        images = images if isinstance(images, (list, tuple)) else [images]
        images = np.array([cu.read_image(image) for image in images])
    if images.shape[1:] != cu.IMAGE_SHAPE or not len(images):
        raise ValueError(f"Esperamos imágenes [n, 224, 224, 3] y llega {images.shape}: read_image.")
    cu.check_range(images)
    logits = look_twice(model, np.rint(images).astype(np.uint8))
    return np.exp(log_softmax(logits)).astype(np.float32)


@lru_cache(maxsize=4)
def logits_of(model):
    """Función de uint8 [n, 224, 224, 3] a los logits que da `model` con sus pesos de ahora."""
    inner = inner_model(model)

    @tf.function(input_signature=[tf.TensorSpec((None, *cu.IMAGE_SHAPE), tf.uint8)])
    def run(images):
        return inner(tf.cast(images, tf.float32), training=False)[0]

    return run


def log_softmax(logits, temperature=1.0):
    """Logaritmo de las probabilidades [n, clases] a una temperatura, sin desbordar."""
    z = np.asarray(logits, np.float64) / temperature
    return z - energy(z)[:, None]


def energy(logits):
    """Energía [n] de Liu et al. (2020), con el signo cambiado: mayor si parece una carta."""
    return np.logaddexp.reduce(logits, axis=1)


# --- Juzgar una imagen -----------------------------------------------------------------------


@dataclass(eq=False)  # con arreglos dentro, dos lecturas no se comparan
class Reading:
    """Lo que se lee en una imagen.

    card: nombre de clase más probable; confidence: su probabilidad calibrada, 0..1;
    refused: no hay una carta clara; energy: mayor cuanto más lo parece; kind: "outline" si se ve su
    contorno, "corner" si solo su índice, "whole" si es la foto entera; box: esquinas [4, 2] en
    píxeles de la foto, ya girada según su EXIF.
    """

    card: str
    confidence: float
    refused: bool
    energy: float
    kind: str = "whole"
    box: np.ndarray | None = None


def get_trust(metadata):
    """La clave "trust" de los metadatos, o un `ValueError` que dice cómo ajustarla."""
    if "whole" not in metadata.get("trust", {}):
        raise ValueError('Falta "trust" en los metadatos: ajústalo con `card_training.fit_trust`.')
    return metadata["trust"]


def judge(metadata, logits, corner=False):
    """Carta, confianza calibrada y rechazo de cada imagen.

    Args:
        metadata: dict con "class_names" y "trust".
        logits: [n, clases]; de `look_twice` o, si son de esquinas, de `predict_logits`.
        corner: si son de esquinas, que tienen su temperatura; con clases propias, la misma.

    Returns:
        Lista de n `Reading`, sin `box`.
    """
    trust, class_names = get_trust(metadata), metadata["class_names"]
    temperature = trust["temperature"]
    temperature = trust.get("corner_temperature", temperature) if corner else temperature
    probabilities = np.exp(log_softmax(logits, temperature))
    readings = []
    for p, e in zip(probabilities, energy(np.asarray(logits, np.float64)), strict=True):
        best, refused = int(p.argmax()), bool(e < trust["refusal_threshold"])
        readings.append(Reading(class_names[best], float(p[best]), refused, float(e)))
    return readings


def judge_images(model, metadata, images, corner=False):
    """`judge` de unas imágenes uint8 [n, 224, 224, 3], todas cartas enteras o todas esquinas."""
    look = predict_logits if corner else look_twice
    return judge(metadata, look(model, images), corner)


# --- Medir la confianza ----------------------------------------------------------------------


def reliability(confidence, correct, bins=15):
    """Error de calibración esperado (ECE) y sus tramos, de igual ancho (Guo et al. 2017).

    Args:
        confidence: [n], 0..1.
        correct: bool [n].
        bins: número de tramos.

    Returns:
        dict con "ece", 0..1, la distancia media entre confianza y exactitud, y "bins", por cada
        tramo usado [confianza media, exactitud, número de imágenes].
    """
    confidence, correct = np.asarray(confidence), np.asarray(correct)
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    used = [index == b for b in np.unique(index)]
    table = np.array([(confidence[i].mean(), correct[i].mean(), i.sum()) for i in used])
    ece = np.abs(table[:, 0] - table[:, 1]) @ table[:, 2] / len(index)
    return {"ece": float(ece), "bins": table.tolist()}


def plot_reliability(**measured):
    """Diagrama de fiabilidad: exactitud de cada tramo de confianza, y la diagonal ideal.

    Args:
        **measured: rótulo = lo que da `reliability`.
    """
    _, axes = plt.subplots(figsize=(5, 4.8), layout="tight")
    axes.plot((0, 100), (0, 100), "--", color="tab:gray", label="ideal")
    for name, result in measured.items():
        confidence, accuracy, count = np.transpose(result["bins"])
        label = f"{name}: ECE {100 * result['ece']:.1f} %"
        axes.scatter(100 * confidence, 100 * accuracy, 20 + count, alpha=0.6, label=label)
    axes.set(xlabel="confianza media del tramo (%)", ylabel="exactitud del tramo (%)")
    axes.set(title="Fiabilidad (más imágenes, punto mayor)")
    axes.legend(markerscale=0.6, loc="upper center", bbox_to_anchor=(0.5, -0.2))  # no tapa ninguno
    plt.show()


# --- Explicar --------------------------------------------------------------------------------


def plot_top5(image, probabilities, class_names, truth=None):
    """Dibuja la imagen y, al lado, las cinco cartas más probables como barras.

    Args:
        image: uint8 [224, 224, 3] o float en 0..1, lo que admite `imshow`.
        probabilities: [clases], una fila de `predict`.
        class_names: clases, en orden.
        truth: clase verdadera, si se conoce; su barra va en verde.
    """
    best = np.argsort(probabilities)[::-1][:5]
    names = [class_names[i] for i in best]
    _, (left, right) = plt.subplots(1, 2, figsize=(8, 2.6), width_ratios=(1, 2), layout="tight")
    left.imshow(image)
    left.axis("off")
    left.set_title(f"Es: {card_name(truth)}" if truth else "")
    colors = ["tab:green" if name == truth else "tab:gray" for name in names]
    bars = right.barh([card_name(n) for n in names], 100 * probabilities[best], color=colors)
    right.bar_label(bars, fmt="%.1f %%", padding=3)
    right.set(
        xlim=(0, 125),
        xticks=range(0, 101, 20),
        xlabel="probabilidad (%)",
        title=f"Vemos: {card_name(names[0])}",
    )
    right.invert_yaxis()
    plt.show()


def plot_readings(source, readings, ax=None):
    """Dibuja la foto con lo que se vio de cada carta, y su nombre donde no tapa el índice.

    Args:
        source: la foto, como se dio a `card_reader.read_cards`.
        readings: lo que da `card_reader.read_cards`.
        ax: ejes de Matplotlib en que dibujar; None: una figura nueva, que se muestra.
    """
    photo, scale = cu.open_scaled(source)
    readings = [replace(r, box=r.box / scale) for r in readings]
    alone = ax is None
    ax = plt.subplots(figsize=(5.5, 4.2), layout="tight")[1] if alone else ax
    ax.imshow(photo)
    ax.axis("off")
    title = f"Cartas nombradas: {len(readings)}"
    if len(readings) == 1:
        (r,) = readings
        title = f"{card_name(r.card)} ({100 * r.confidence:.0f} %)"
        title = f"Ninguna carta clara; lo más cercano: {title}" if r.refused else title
    ax.set_title(title)
    label = {"ha": "center", "va": "center", "fontsize": 9}
    for i, r in enumerate(readings):
        if r.kind == "whole":
            continue
        color = f"C{i % 10}"  # el mismo en el borde y en el nombre
        ax.add_patch(plt.Polygon(r.box, fill=False, edgecolor=color, linewidth=2))
        # El de una esquina, más allá de su borde: el índice queda a la vista
        at = r.box.mean(0) if r.kind == "outline" else 1.15 * r.box[0] - 0.15 * r.box[2]
        ax.text(*at, short_name(r.card), **label, bbox={"fc": "white", "ec": color, "pad": 2})
    if alone:
        plt.show()


def grad_cam(model, image, class_index=None):
    """Grad-CAM (Selvaraju et al. 2017): qué zonas suben el logit de una clase.

    Args:
        model: clasificador de este proyecto.
        image: uint8 o float [224, 224, 3] en 0..255.
        class_index: clase que se explica; por omisión, la más probable.

    Returns:
        float32 [224, 224] en 0..1; todo ceros si ninguna zona la sube.
    """
    inner = inner_model(model)
    with tf.GradientTape() as tape:
        logits, maps = inner(tf.cast(image[None], tf.float32), training=False)
        target = logits[0, int(np.argmax(logits[0])) if class_index is None else class_index]
    slope = tape.gradient(target, maps)
    heat = tf.nn.relu(tf.reduce_sum(maps * tf.reduce_mean(slope, (1, 2), keepdims=True), -1))
    heat = tf.image.resize(heat[..., None], cu.IMAGE_SHAPE[:2])[0, ..., 0].numpy()
    return heat / max(heat.max(), 1e-12)
