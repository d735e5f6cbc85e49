"""Lo que necesita un entrenamiento: etiquetas, aumento, lotes, avisos de cada época y gráficas."""

import csv
import hashlib
import json
import math
import os
import sys
import time
from pathlib import Path

import cv2
import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

import card_utils as cu


def augment(image, rng, strength, side, other=None, corner=0.2, any_angle=0.7, still=0.2):
    """Aumento: cada carta sale como en otra foto, con otra postura, luz, fondo y nitidez.

    Una sola transformación proyectiva: cuartos y medias vueltas (un naipe es simétrico), giro,
    escala, cizalla, desplazamiento y perspectiva. Algunas quedan en su esquina, otras van de lejos
    y sin aplastar, y otras llevan en el centro el de otra carta: manda el índice. Después, algo
    que tapa, desenfoque, saturación, contraste, brillo y tono. Nunca en espejo: un glifo reflejado
    no existe.

    Args:
        image: uint8 [n, n, 3].
        rng: `numpy.random.Generator`.
        strength: fuerza, 0..1; multiplica los cambios y las proporciones, salvo `corner` y `still`.
        side: lado de salida, en píxeles.
        other: otra carta, uint8 [n, n, 3], cuyo centro puede copiarse; None: ninguna.
        corner: proporción de imágenes que quedan en su esquina, del 28 al 63 % del ancho.
        any_angle: proporción que gira a cualquier ángulo, a fuerza 1.
        still: proporción que no se deforma: como mucho, cuartos de vuelta o su esquina.

    Returns:
        uint8 [side, side, 3].
    """

    def some(share):
        return rng.random() < share * strength

    def about(limit, count=None):
        return strength * rng.uniform(-limit, limit, count)

    size = len(image)
    if some(0.25) and other is not None:
        rows, columns = (int(size * rng.uniform(*gap)) for gap in ((0.13, 0.28), (0.18, 0.33)))
        center = np.s_[rows : size - rows, columns : size - columns]
        image = image.copy()
        image[center] = other[center]

    moved = rng.random() > still  # remuestrear desenfoca
    far, free = moved and some(0.35), moved and some(any_angle)
    tilt = rng.uniform(-45, 45) if free else moved * about(20)
    angle = math.radians(tilt + 180 * some(0.5) + 90 * some(0.3))
    zoom = moved * (0.05 + about(0.15))  # aleja más que acerca
    if far:  # más cuanto más grande salga, para que se lea
        zoom += 0.9 * side / size * rng.random()
    else:  # la que gira más se aleja, para que no se salga la esquina con el índice
        zoom += math.radians(max(0, abs(tilt) - 20))
    aspect, narrow = moved * about(0.08 + 0.2 * far), 0.17 * far  # 0.17 deshace el aplastado 5:7
    x_scale, y_scale = math.exp(zoom + aspect), math.exp(zoom - aspect)
    right, below = moved * about(size * (0.08 + 0.45 * far * (math.exp(zoom) - 1)), 2)
    lean, x_far, y_far = moved * about(1, 3) * (0.12 * x_scale, 0.15 / size, 0.15 / size)
    wide = tall = 1.0
    inset = 0.0
    if rng.random() < corner:
        wide, inset = rng.uniform(0.28, 0.63), size * rng.uniform(0, 0.04)
        tall = min(1.0, wide * rng.uniform(1, 1.3))
    middle, ratio, seen_middle = (size - 1) / 2, size / side, (side - 1) / 2
    cos, sin, e = math.cos(angle), math.sin(angle), math.exp(narrow)
    warp = (  # de un píxel de la salida al de la imagen
        np.array(((wide, 0, inset), (0, tall, inset), (0, 0, 1)))
        @ ((1, 0, middle), (0, 1, middle), (0, 0, 1))
        @ ((e, 0, right), (0, 1 / e, below), (0, 0, 1))
        @ ((cos, -sin, 0), (sin, cos, 0), (0, 0, 1))
        @ ((x_scale, lean, 0), (0, y_scale, 0), (x_far, y_far, 1))
        @ ((ratio, 0, -ratio * seen_middle), (0, ratio, -ratio * seen_middle), (0, 0, 1))
    )
    stains = rng.uniform(0, 255, 3) + about(1) * rng.uniform(-80, 80, (6, 6, 3))
    ground = cv2.resize(np.uint8(stains.clip(0, 255)), (side, side))
    seen = cv2.warpPerspective(
        image,
        warp,
        (side, side),
        dst=ground.copy(),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_TRANSPARENT,  # donde no llega la carta queda el fondo
    )
    half = about(0.2 * side, 2)
    if min(half) > 0:  # a una de cada cuatro la tapa un trozo de fondo
        place = side / 2 + about(side / 2, 2)
        top, left = np.maximum(place - half, 0).astype(int)
        bottom, end = (place + half).astype(int)
        seen[top:bottom, left:end] = ground[top:bottom, left:end]

    blur = max(about(1.3), -0.3)  # desenfoca o afila
    seen = cv2.addWeighted(seen, 1 - blur, cv2.blur(seen, (3, 3)), blur, 0, dtype=cv2.CV_32F)
    saturation = (1 - some(0.1)) * (1 + about(0.5))
    channels = np.roll(np.eye(3), some(0.08), 0)
    color = (saturation * channels + (1 - saturation) / 3) * math.exp(about(0.35))  # contraste
    light = 127.5 + about(40) + about(20, 3) - 127.5 * color.sum(1)
    seen = cv2.transform(seen, np.column_stack([color, light]))
    line = np.linspace(-30, 30, side, dtype=np.float32)
    seen += (line[:, None] * np.float32(about(1)) + line * np.float32(about(1)))[..., None]
    return seen.clip(0, 255).round().astype(np.uint8)


def make_dataset(
    images, labels, class_count, batch=32, side=224, strength=0.0, seed=None, corner=0.2
):
    """`tf.data` de (imágenes float32 [b, lado, lado, 3] en 0..255, probabilidades [b, clases]).

    Args:
        images: lista de uint8 [224, 224, 3], que no se copian, o de rutas, que se leen cada vez.
        labels: int [n]; -1 es «no es un naipe»: la misma probabilidad para todas las clases.
        class_count: número de clases.
        batch: imágenes por lote.
        side: lado de salida en píxeles.
        strength: fuerza del aumento, 0..1.
        seed: con semilla se baraja y se descartan los restos de lote.
        corner: la proporción de esquinas de `augment`.
    """

    targets = tf.one_hot(labels, class_count)
    targets += tf.cast(labels < 0, tf.float32)[:, None] / class_count

    def load(index, key):
        chosen = [images[i] for i in index]
        chosen = [cu.read_image(x) if isinstance(x, os.PathLike) else x for x in chosen]
        if strength:
            rng = np.random.default_rng(key)
            chosen = [
                augment(x, rng, strength, side, chosen[i - 1], corner) for i, x in enumerate(chosen)
            ]
        elif side != cu.IMAGE_SHAPE[0]:
            chosen = [cv2.resize(x, (side, side), interpolation=cv2.INTER_AREA) for x in chosen]
        return np.stack(chosen)

    def read(index, key):
        loaded = tf.numpy_function(load, [index, key], tf.uint8)
        loaded = tf.ensure_shape(loaded, [None, side, side, 3])
        return tf.cast(loaded, tf.float32), tf.gather(targets, index)

    order = tf.data.Dataset.range(len(images))
    if seed is not None:
        order = order.shuffle(len(images), seed=seed)
    order = order.batch(batch, drop_remainder=seed is not None)
    seeds = tf.data.Dataset.random(seed or 0, rerandomize_each_iteration=True).batch(2)
    options = tf.data.Options()
    options.autotune.enabled = False
    data = tf.data.Dataset.zip(order, seeds).map(read, os.cpu_count())
    return data.prefetch(2).with_options(options)


def accuracy(truth, predicted):
    """Acierta si nombra la carta o, donde no la hay, si a ninguna le da la mitad."""
    is_card = tf.reduce_max(truth, -1) > 0.5
    named = tf.equal(tf.argmax(truth, -1), tf.argmax(predicted, -1))
    return tf.cast(tf.where(is_card, named, tf.reduce_max(predicted, -1) < 0.5), tf.float32)


def fingerprint(image):
    """Las 64 diferencias entre vecinos de la imagen en 9 x 8 (dhash), bool [64]."""
    small = cv2.resize(
        cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (9, 8), interpolation=cv2.INTER_AREA
    )
    return (small[:, 1:] > small[:, :-1]).ravel()


def known_faults(files, kind, faults=cu.FAULTS):
    """Qué imágenes nombra `data_faults.csv`.

    Args:
        files: lista de n `Path`, acabados en `<partición>/<clase>/<fichero>`.
        kind: "wrong_label", etiqueta equivocada; "near_copy", casi copia de una de `train`; u
            "odd", rareza que no se corrige.
        faults: CSV con columnas kind, file (desde la raíz de los datos), class (la verdadera),
            fact (por qué, en inglés) y dhash (`fingerprint`, en hexadecimal): otra imagen del
            mismo nombre no cuenta.

    Returns:
        dict {posición en `files`: clase verdadera}.
    """
    with open(faults, encoding="utf-8", newline="") as file:
        rows = {row["file"]: row for row in csv.DictReader(file) if row["kind"] == kind}
    found = {}
    for i, file in enumerate(files):
        if row := rows.get("/".join(file.parts[-3:])):
            bits = np.unpackbits(np.frombuffer(bytes.fromhex(row["dhash"]), np.uint8))
            if np.sum(fingerprint(cu.read_image(file)) != bits) <= 8:
                found[i] = row["class"]
    return found


def repair_labels(labels, files, class_names, faults=cu.FAULTS):
    """Corrige las etiquetas que `data_faults.csv` da por equivocadas.

    Args:
        labels: int [n], la clase de la carpeta de cada fichero.
        files, faults: los de `known_faults`.
        class_names: clases, en orden.

    Returns:
        (labels, count): int [n] corregidas, y cuántas han cambiado.
    """
    fixed = np.array(labels, np.int32)
    for i, name in known_faults(files, "wrong_label", faults).items():
        fixed[i] = class_names.index(name) if name in class_names else fixed[i]
    return fixed, int(np.sum(fixed != labels))


def near_copies(files):
    """bool [n]: qué ficheros de test, con su ruta entera, son casi copia de uno de train."""
    return np.isin(np.arange(len(files)), list(known_faults(files, "near_copy")))


def run_folder(checkpoints_dir, parameters):
    """Carpeta de esta ejecución: la que quedó a medias con los mismos parámetros, o una nueva.

    Args:
        checkpoints_dir: carpeta de todas las ejecuciones.
        parameters: dict que admita JSON; otros parámetros nunca continúan esta ejecución.

    Returns:
        `Path` creada, `<fecha>-<huella>`; dentro, `respaldo/` existe solo si hay que continuar.
    """
    mark = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()[:8]
    halfway = sorted(Path(checkpoints_dir).glob(f"*-{mark}/respaldo"))
    new = Path(checkpoints_dir) / f"{time.strftime('%Y%m%d-%H%M%S')}-{mark}"
    run = halfway[-1].parent if halfway else new
    run.mkdir(parents=True, exist_ok=True)
    return run


def read_log(run):
    """Las épocas que ha hecho una ejecución, contando las que un corte hizo repetir.

    Args:
        run: carpeta con la `historia.csv` de `keras.callbacks.CSVLogger`; puede no estar aún.

    Returns:
        Lista de dict {columna: texto}, uno por época.
    """
    log = Path(run, "historia.csv")
    return list(csv.DictReader(log.read_text("utf-8").splitlines())) if log.is_file() else []


class EpochLine(keras.callbacks.Callback):
    """Una línea por época, en español y con el tiempo que falta; añade `seconds` al historial.

    Args:
        epochs: épocas de todo el entrenamiento, aunque `fit` se llame por etapas.
    """

    def __init__(self, epochs):
        super().__init__()
        self.epochs = epochs

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        logs["seconds"] = time.monotonic() - self.began
        left = logs["seconds"] * (self.epochs - epoch - 1) / 60
        train, valid = 100 * logs["accuracy"], 100 * logs["val_accuracy"]
        print(
            f"Época {epoch + 1:2d}/{self.epochs} · pérdida {logs['loss']:.3f} · "
            f"exactitud {train:.1f} % · valid {valid:.1f} % · "
            f"{logs['seconds']:.0f} s · a este ritmo faltan {left:.0f} min",
            flush=True,
        )


def make_callbacks(run, epochs):
    """Callbacks de un entrenamiento que muestra cada época y sigue donde se cortó.

    Args:
        run: carpeta del entrenamiento, la de `run_folder`.
        epochs: épocas de todas las fases.
    """
    name = "epoca-{epoch:02d}-valid-{val_accuracy:.4f}-perdida-{val_loss:.4f}.weights.h5"
    return [
        EpochLine(epochs),
        keras.callbacks.ModelCheckpoint(
            str(run / name),
            monitor="val_loss",
            save_best_only=True,
            save_weights_only=True,
        ),
        keras.callbacks.CSVLogger(run / "historia.csv", append=True),
        # Dos copias, por si el corte llega mientras se escribe una
        keras.callbacks.BackupAndRestore(
            run / "respaldo", double_checkpoint=True, delete_checkpoint=False
        ),
    ]


def peak_memory():
    """Memoria máxima que ha ocupado este proceso, en GB; None donde el sistema no la dice."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1e9 if sys.platform == "darwin" else 1e9 / 1024  # macOS la da en bytes; Linux, en KiB
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 2)


def plot_row(images):
    """Muestra unas pocas imágenes, uint8 o 0..1, en una fila."""
    _, axes = plt.subplots(1, len(images), figsize=(12, 1.9), layout="tight", squeeze=False)
    for ax, image in zip(axes[0], images, strict=True):
        ax.imshow(image)
        ax.axis("off")
    plt.show()


def plot_history(history, phases):
    """Exactitud y pérdida por época, con una línea vertical entre fases.

    Args:
        history: `DataFrame` con epoch, accuracy, loss, val_accuracy y val_loss.
        phases: lista de [épocas, lado, fuerza del aumento].
    """
    _, axes = plt.subplots(1, 2, figsize=(12, 4), layout="tight")
    titles = {"accuracy": "Exactitud (%)", "loss": "Pérdida"}
    for ax, (metric, title) in zip(axes, titles.items(), strict=True):
        factor = 100 if metric == "accuracy" else 1
        for column, label in ((metric, "train (con aumento)"), (f"val_{metric}", "valid")):
            ax.plot(history["epoch"] + 1, factor * history[column], marker="o", label=label)
        for end in np.cumsum([epochs for epochs, *_ in phases])[:-1]:
            ax.axvline(end + 0.5, color="gray", linestyle=":")
        ax.set(title=f"{title} por época", xlabel="época", ylabel=title.lower())
        ax.legend()
    plt.show()
