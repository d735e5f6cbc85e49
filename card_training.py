"""Lo que necesita un entrenamiento: etiquetas, aumento, lotes, fases, calibración y gráficas."""

import csv
import hashlib
import json
import math
import os
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import h5py
import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

import card_trust as ct
import card_utils as cu
from card_model import APART, FINDER, build_finder, load_finder
from card_names import CLASS_NAMES
from card_photo import CELL, INDEX_SIZES, UNIT
from drawing.free_deck import as_jpg, draw_free_cards
from drawing.no_cards import draw_no_cards, reframe
from drawing.scenes import draw_candidates, make_candidate_scene

FIGURES = "jack", "queen", "king", "joker"
PERCENTILES = 5, 50  # los que lee `card_reader.evidence`
FINDER_SIDE, CROPS = 192, 8  # px de los recortes con que se entrena `build_finder`; y por foto
TRUST_SEED = 90_000  # de los recortes con que se ajusta: ningún entrenamiento los dibuja


def augment(image, rng, strength, side, is_corner=False, corner=0.2, any_angle=0.7, still=0.2):
    """Aumento: cada carta sale como en otra foto, con otra postura, luz, fondo y nitidez.

    Una carta entera queda a veces en su esquina y, si no, la mitad de las veces del revés: es la
    misma carta. Una esquina se mueve menos y no se tapa, para que su índice siga entero. Nunca en
    espejo: un glifo reflejado no existe.

    Args:
        image: uint8 [n, n, 3].
        rng: `numpy.random.Generator`.
        strength: fuerza, 0..1; multiplica los cambios, salvo la media vuelta y `corner`.
        side: lado de salida, en píxeles.
        is_corner: la imagen es ya una esquina de carta.
        corner: proporción de cartas enteras que quedan en su esquina, del 28 al 63 % del ancho.
        any_angle: proporción que gira a cualquier ángulo, a fuerza 1.
        still: proporción que no se deforma: remuestrear desenfoca.

    Returns:
        uint8 [side, side, 3].
    """
    zoom = np.eye(3)
    if not is_corner and rng.random() < corner:
        is_corner, zoom = True, zoom_corner(len(image), rng)
    elif not is_corner and rng.random() < 0.5:
        image = cv2.rotate(image, cv2.ROTATE_180)
    stains = rng.uniform(0, 255, 3) + strength * rng.uniform(-80, 80, (6, 6, 3))
    ground = cv2.resize(np.uint8(stains.clip(0, 255)), (side, side))
    moved = 0 if rng.random() < still else strength * (0.4 if is_corner else 1)
    angles = 0 if is_corner else any_angle
    seen = warp(image, ground, zoom @ posture(len(image), side, rng, moved, angles))
    return relight(seen if is_corner else cover(seen, ground, rng, strength), rng, strength)


def zoom_corner(size, rng):
    """Matriz [3, 3] que lleva una imagen de lado `size` a su esquina de arriba a la izquierda."""
    wide, inset = rng.uniform(0.28, 0.63), size * rng.uniform(0, 0.04)
    tall = min(1.0, wide * rng.uniform(1, 1.3))
    return np.array(((wide, 0, inset), (0, tall, inset), (0, 0, 1)))


def posture(size, side, rng, strength, any_angle):
    """Otra postura de la carta: matriz [3, 3] de un píxel de la salida a uno de la imagen.

    Giro, escala, cizalla, desplazamiento y perspectiva en una sola transformación. Con `any_angle`,
    algunas giran a cualquier ángulo o un cuarto de vuelta, y otras van de lejos y sin aplastar.
    """

    def some(share):
        return rng.random() < share * strength

    def about(limit, count=None):
        return strength * rng.uniform(-limit, limit, count)

    far, free = any_angle and some(0.35), some(any_angle)
    tilt = rng.uniform(-45, 45) if free else about(20)
    angle = math.radians(tilt + 90 * (any_angle > 0 and some(0.3)))
    zoom = 0.08 * strength + about(0.15)  # aleja más que acerca
    if far:  # con más lado se puede alejar más y aún se lee
        zoom += 0.9 * side / size * rng.random()
    else:  # la que gira más se aleja, para que no se salga la esquina con el índice
        zoom += math.radians(max(0, abs(tilt) - 20))
    aspect, narrow = about(0.08 + 0.2 * far), 0.17 * far  # 0.17 deshace el aplastado 5:7
    x_scale, y_scale = math.exp(zoom + aspect), math.exp(zoom - aspect)
    right, below = about(size * (0.08 + 0.45 * far * (math.exp(zoom) - 1)), 2)
    lean, x_far, y_far = about(1, 3) * (0.12 * x_scale, 0.15 / size, 0.15 / size)
    middle, ratio, seen_middle = (size - 1) / 2, size / side, (side - 1) / 2
    cos, sin, e = math.cos(angle), math.sin(angle), math.exp(narrow)
    return (
        np.array(((1, 0, middle), (0, 1, middle), (0, 0, 1)))
        @ ((e, 0, right), (0, 1 / e, below), (0, 0, 1))
        @ ((cos, -sin, 0), (sin, cos, 0), (0, 0, 1))
        @ ((x_scale, lean, 0), (0, y_scale, 0), (x_far, y_far, 1))
        @ ((ratio, 0, -ratio * seen_middle), (0, ratio, -ratio * seen_middle), (0, 0, 1))
    )


def warp(image, ground, matrix):
    """La imagen vista por `matrix`, uint8 como `ground`; donde no llega queda ese fondo."""
    return cv2.warpPerspective(
        image,
        matrix,
        ground.shape[:2],
        dst=ground.copy(),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_TRANSPARENT,
    )


def cover(image, ground, rng, strength):
    """A una de cada cuatro, un trozo de fondo le tapa algo: hasta 0.4 del lado, por la fuerza."""
    side = len(image)
    half = strength * rng.uniform(-0.2, 0.2, 2) * side
    if min(half) > 0:
        place = side / 2 * (1 + strength * rng.uniform(-1, 1, 2))
        top, left = np.maximum(place - half, 0).astype(int)
        bottom, end = (place + half).astype(int)
        image[top:bottom, left:end] = ground[top:bottom, left:end]
    return image


def relight(image, rng, strength):
    """Otra nitidez, saturación, contraste, brillo y tono, y luz desigual; uint8 [n, n, 3]."""

    def some(share):
        return rng.random() < share * strength

    def about(limit, count=None):
        return strength * rng.uniform(-limit, limit, count)

    blur = max(about(1.3), -0.3)  # desenfoca o afila
    seen = cv2.addWeighted(image, 1 - blur, cv2.blur(image, (3, 3)), blur, 0, dtype=cv2.CV_32F)
    saturation = (1 - some(0.1)) * (1 + about(0.5))
    channels = np.roll(np.eye(3), some(0.08), 0)
    color = (saturation * channels + (1 - saturation) / 3) * math.exp(about(0.35))  # contraste
    light = 127.5 + about(40) + about(20, 3) - 127.5 * color.sum(1)
    seen = cv2.transform(seen, np.column_stack([color, light]))
    line = np.linspace(-30, 30, len(image), dtype=np.float32)
    seen += (line[:, None] * np.float32(about(1)) + line * np.float32(about(1)))[..., None]
    return seen.clip(0, 255).round().astype(np.uint8)


def gather(files, labels, no_cards, drawn, candidates, seed):
    """Todo lo que ve una fase del entrenamiento: los datos y lo que se dibuja con esa semilla.

    Args:
        files, labels: n rutas de `train` y su clase, int [n].
        no_cards: lo que da `draw_others`.
        drawn: cartas inventadas por clase.
        candidates: recortes que el lector propone en fotos dibujadas.
        seed: entero no negativo.

    Returns:
        (images, labels, is_corner), lo que pide `make_dataset`: rutas y JPG en bytes; int32, -1 si
        no es un naipe; y bool, si es una esquina.
    """
    cards, card_labels, card_corner = draw_free_cards(drawn, seed)
    crops, crop_labels, crop_corner = draw_candidates(candidates, seed)
    none = np.full(len(no_cards), -1)
    return (
        [*files, *cards, *crops, *no_cards],
        np.concatenate([labels, card_labels, crop_labels, none]).astype(np.int32),
        np.concatenate([np.zeros(len(files), bool), card_corner, crop_corner, none > 0]),
    )


def draw_others(count, files, seed):
    """JPG de `count` imágenes que no son naipes, dibujadas.

    Una de cada ocho lleva el centro de una figura o de un comodín de `files`, enmarcado.
    """
    rng = np.random.default_rng([seed, 4])
    figures = [file for file in files if file.parent.name.split()[0] in FIGURES]
    chosen = rng.integers(len(figures), size=count // 8) if figures else ()
    framed = [reframe(cu.read_image(figures[i]), rng) for i in chosen]
    return [as_jpg(x, rng) for x in (*framed, *draw_no_cards(count - len(framed), seed))]


def make_dataset(
    images,
    labels,
    class_count,
    batch=64,
    side=224,
    strength=0.0,
    seed=None,
    corner=0.2,
    is_corner=None,
):
    """`tf.data` de (imágenes float32 [b, lado, lado, 3] en 0..255, probabilidades [b, clases]).

    Args:
        images: lista de uint8 [224, 224, 3], que no se copian; de rutas, que se leen cada vez; o de
            JPG en bytes.
        labels: int [n]; -1 es «no es un naipe»: la misma probabilidad para todas las clases.
        class_count: número de clases.
        batch: imágenes por lote.
        side: lado de salida en píxeles.
        strength: fuerza del aumento, 0..1; con 0 no hay ninguno.
        seed: con semilla se baraja y se descartan los restos de lote.
        corner: la proporción de esquinas de `augment`.
        is_corner: bool [n], cuáles son ya esquinas; None: ninguna.
    """

    targets = tf.one_hot(labels, class_count)
    targets += tf.cast(labels < 0, tf.float32)[:, None] / class_count
    is_corner = np.zeros(len(images), bool) if is_corner is None else is_corner

    def load(index, key):
        chosen = [decode(images[i]) for i in index]
        if strength:
            rng, flags = np.random.default_rng(key), is_corner[index]
            chosen = [
                augment(x, rng, strength, side, flag, corner)
                for x, flag in zip(chosen, flags, strict=True)
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
    # Con varias GPU, cada una toma sus imágenes de cada lote
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    data = tf.data.Dataset.zip(order, seeds).map(read, os.cpu_count())
    return data.prefetch(2).with_options(options)


def decode(image):
    """uint8 [alto, ancho, 3] de un arreglo, una `Path` (a 224 x 224) o los bytes de un JPG."""
    if isinstance(image, bytes):
        return cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR_RGB)
    return cu.read_image(image) if isinstance(image, os.PathLike) else image


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
    """Carpeta de esta ejecución: la última con los mismos parámetros, o una nueva.

    Args:
        checkpoints_dir: carpeta de todas las ejecuciones.
        parameters: dict que admita JSON; otros parámetros nunca continúan esta ejecución.

    Returns:
        `Path` creada, `<fecha>-<huella>`.
    """
    mark = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()[:8]
    before = sorted(Path(checkpoints_dir).glob(f"*-{mark}"))
    run = before[-1] if before else Path(checkpoints_dir, time.strftime(f"%Y%m%d-%H%M%S-{mark}"))
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
    losses = [float(row["val_loss"]) for row in read_log(run)]
    return [
        EpochLine(epochs),
        # La época que menos pierde en valid; `build_model(weights=...)` la carga. Tras un corte,
        # solo la cambia otra mejor
        keras.callbacks.ModelCheckpoint(
            str(run / "mejor.weights.h5"),
            save_best_only=True,
            save_weights_only=True,
            initial_value_threshold=min(losses, default=None),
        ),
        keras.callbacks.CSVLogger(run / "historia.csv", append=True),
        # Dos copias, por si el corte llega mientras se escribe una
        keras.callbacks.BackupAndRestore(
            run / "respaldo", double_checkpoint=True, delete_checkpoint=False
        ),
    ]


def mend_log(log):
    """Quita de `historia.csv` la línea que un corte dejó a medias."""
    if log.is_file():
        text = log.read_bytes()
        cu.write_atomic(log, text[: text.rfind(b"\n") + 1])


def mend_backup(backup):
    """Épocas hechas según un respaldo; si un corte lo dejó roto, vuelve a su copia o a empezar."""
    note, copy = backup / "training_metadata.json", backup / "training_metadata.json.bkp"
    for file in (note, copy):
        try:
            epoch = json.loads(file.read_text("utf-8"))["epoch"]
            h5py.File(backup / f"latest.weights.h5{'.bkp' * (file is copy)}").close()
        except (OSError, ValueError, KeyError):
            continue
        if file is copy:
            print(f"El corte rompió el último respaldo: seguimos desde la época {epoch}.")
            for part in (note, backup / "latest.weights.h5"):
                shutil.copy(part.with_name(part.name + ".bkp"), part)
        return epoch
    if backup.exists():
        print("El corte rompió el respaldo y no hay copia: el entrenamiento empieza de nuevo.")
        shutil.rmtree(backup)
    return 0


def strategy():
    """Cómo se reparte cada lote: entre las GPU de esta máquina si hay varias, o sin repartir.

    Raises:
        RuntimeError: `TF_CONFIG` nombra varias máquinas. Keras 3 no sabe: su `fit` falla con
            `MultiWorkerMirroredStrategy` (https://github.com/keras-team/keras/issues/20585).
    """
    cluster = json.loads(os.environ.get("TF_CONFIG") or "{}").get("cluster", {})
    if sum(map(len, cluster.values())) > 1:
        raise RuntimeError(
            "TF_CONFIG pide entrenar en varias máquinas, y Keras 3 no lo hace "
            "(https://github.com/keras-team/keras/issues/20585). Quita TF_CONFIG y entrena en una, "
            "que reparte cada lote entre todas sus GPU."
        )
    if len(tf.config.list_logical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def fit(model, draw, valid, phases, run, *, batch, rate, seed, weight_decay=0.02, corner=0.2):
    """Entrena por fases. Un entrenamiento cortado sigue, y el que acabó se carga y no se repite.

    La tasa de AdamW sube media época, para no romper los pesos, y baja como un coseno hasta cero al
    final de la última fase (Loshchilov y Hutter, 2017).

    Args:
        model: lo que da `card_model.build_model`; cambia en su sitio. Su `start` pasa a ser el de
            la primera vez que se ejecutó este entrenamiento.
        draw: función del número de fase, desde 0, a lo que da `gather`, siempre igual de largo.
        valid: (imágenes, etiquetas) de `valid`, uint8 [n, 224, 224, 3] e int [n].
        phases: lista de [épocas, lado en píxeles, fuerza del aumento].
        run: carpeta de `run_folder`.
        batch: imágenes por lote.
        rate, weight_decay: tasa máxima y decaimiento de AdamW; sin decaimiento es Adam.
        seed: del orden y del aumento.
        corner: la de `augment`.

    Raises:
        ValueError: hay menos imágenes que `batch`.
    """
    run, final, start = Path(run), Path(run, "final.weights.h5"), Path(run, "inicio.txt")
    if not start.exists():
        cu.write_atomic(start, model.start.encode())
    model.start = start.read_text("utf-8")
    if final.exists():
        print(f"Este entrenamiento ya acabó: cargamos {final}. Para repetirlo, borra su carpeta.")
        return model.load_weights(final)
    mend_log(run / "historia.csv")
    epochs, ended, done = sum(n for n, *_ in phases), 0, mend_backup(run / "respaldo")
    classes, callbacks = model.output_shape[-1], make_callbacks(run, epochs)
    # Las GPU se reparten a partes iguales valid, hasta una imagen menos por GPU: la que se quedara
    # sin ninguna en el último lote lo estropea
    replicas = model.distribute_strategy.num_replicas_in_sync
    valid = [part[: len(part) - len(part) % replicas] for part in valid]
    for number, (count, side, strength) in enumerate(phases):
        ended += count
        if ended <= done and ended < epochs:
            continue  # la hizo antes de un corte
        images, labels, is_corner = draw(number)
        images = [*images]
        if not model.compiled:
            if not (steps := len(images) // batch):
                raise ValueError(f"Hay {len(images)} imágenes: pon en BATCH ese número o menos.")
            cosine = keras.optimizers.schedules.CosineDecay(
                0.0, epochs * steps - steps // 2, warmup_target=rate, warmup_steps=steps // 2
            )
            with model.distribute_strategy.scope():
                optimizer = keras.optimizers.AdamW(cosine, weight_decay=weight_decay)
                model.compile(optimizer, "categorical_crossentropy", metrics=[accuracy])
        again = seed + len(read_log(run))  # tras un corte, otro orden y otro aumento
        model._initial_epoch = None  # Keras recuerda dónde siguió la fase anterior
        print(f"{len(images)} imágenes de {side} px, aumento {strength}:")
        data = make_dataset(
            images, labels, classes, batch, side, strength, again, corner, is_corner
        )
        try:
            model.fit(
                data,
                validation_data=make_dataset(*valid, classes, 8 * replicas, side),
                initial_epoch=ended - count,
                epochs=ended,
                shuffle=False,  # ya barajan los datos
                callbacks=callbacks,
                verbose=0,
            )
        finally:
            images.clear()  # TensorFlow guarda para siempre lo que usa `tf.numpy_function`
    draft = run / "nuevo.weights.h5"
    model.save_weights(draft)
    os.replace(draft, final)  # un corte no deja unos finales a medias
    shutil.rmtree(run / "respaldo", ignore_errors=True)


# --- Calibrar --------------------------------------------------------------------------------


def fit_temperature(logits, labels):
    """Temperatura que minimiza la log-verosimilitud negativa (Guo et al. 2017), en 0.1..10.

    Args:
        logits: [n, clases].
        labels: int [n].

    Returns:
        float; más de 1 si la red peca de segura.
    """

    def loss(log_t):
        return -ct.log_softmax(logits, np.exp(log_t))[np.arange(len(labels)), labels].mean()

    low, high = np.log(0.1), np.log(10)
    for _ in range(5):  # la pérdida es unimodal: cada rejilla estrecha el intervalo diez veces
        grid = np.linspace(low, high, 21)
        best = np.argmin([loss(x) for x in grid])
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, 20)]
    return float(np.exp((low + high) / 2))


def fit_trust(model, images, labels, class_names):
    """Ajusta lo que `judge` necesita, con `valid`, y el lector, con recortes dibujados.

    Usa cuatro copias de `valid` con medio aumento, como fotos corrientes: tal cual sirvió para
    elegir la receta, y lo ajustado confiaría de más. El umbral de rechazo es el percentil 2 de la
    energía de las cartas acertadas: rechaza el 2 % de ellas.

    Args:
        model: clasificador de este proyecto.
        images: uint8 [n, 224, 224, 3] de `valid`.
        labels: int [n].
        class_names: clases, en orden.

    Returns:
        dict para la clave "trust" del JSON: temperature, refusal_threshold y whole, los percentiles
        `PERCENTILES` de la energía de las cartas acertadas, mirando cada una dos veces. Si las
        clases son las 53 de Kaggle, también corner_temperature y corner: la temperatura y los
        percentiles de las esquinas que propone el lector, con una mirada.
    """
    rng = np.random.default_rng(0)
    copies = [
        augment(image, rng, 0.5, 224, corner=0, any_angle=0, still=0)
        for _ in range(4)
        for image in images
    ]
    logits, labels = ct.look_twice(model, np.stack(copies)), np.tile(labels, 4)
    trust = trust_from_logits(logits, labels)
    if class_names == CLASS_NAMES:
        crops, crop_labels, is_corner = draw_candidates(1200, seed=TRUST_SEED)
        chosen = np.flatnonzero(is_corner & (crop_labels >= 0))
        logits = ct.predict_logits(model, np.stack([decode(crops[i]) for i in chosen]))
        trust["corner_temperature"] = fit_temperature(logits, crop_labels[chosen])
        trust["corner"] = percentiles(right_energies(logits, crop_labels[chosen]))
    return trust


def trust_from_logits(logits, labels):
    """Lo de `fit_trust`, salvo lo de las esquinas, a partir de los logits [n, clases]."""
    right = right_energies(logits, labels)
    return {
        "temperature": fit_temperature(logits, labels),
        "refusal_threshold": float(np.quantile(right, 0.02)),
        "whole": percentiles(right),
    }


def right_energies(logits, labels):
    """La energía de las imágenes acertadas; de todas, si la red no acierta ninguna."""
    correct = logits.argmax(1) == labels
    return ct.energy(logits[correct] if correct.any() else logits)


def percentiles(energies):
    """{percentil: energía}, de `PERCENTILES`."""
    return {str(p): round(float(np.percentile(energies, p)), 4) for p in PERCENTILES}


# --- Buscar índices --------------------------------------------------------------------------


def fit_finder(apart=False, path=None, photos=2400, epochs=10, seed=0):
    """Entrena `card_model.build_finder` con fotos dibujadas y guarda sus pesos.

    Los que había quedan al lado, con la fecha en el nombre.

    Args:
        apart: la red que busca letras y palos separados, y no la que busca índices.
        path: destino, acabado en .weights.h5; None: el de `card_model.load_finder`.
        photos: cuántas se dibujan; cada época ve otros `CROPS` recortes de cada una.
        epochs: épocas.
        seed: de los dibujos y del entrenamiento.
    """
    keras.utils.set_random_seed(seed)
    path = Path(path or (APART if apart else FINDER))

    def draw(i):  # con `apart`, una foto de cada dos los lleva separados
        return finder_scene([seed, 9 + 3 * apart, i], apart=apart and i % 2 == 0)

    with ThreadPoolExecutor() as pool:
        scenes = list(pool.map(draw, range(photos)))
    print(f"{photos} fotos dibujadas.", flush=True)
    cells = FINDER_SIDE // CELL
    wanted = slice(5, 15) if apart else slice(5)
    shapes = [CROPS, FINDER_SIDE, FINDER_SIDE, 3], [CROPS, cells, cells, 5 + 5 * apart]

    def cut(index, key):
        images, targets = finder_crops(*scenes[index], np.random.default_rng(key), not apart)
        return images, targets[..., wanted]

    def read(index, key):
        crops = tf.numpy_function(cut, [index, key], (tf.uint8, tf.float32))
        return tuple(
            tf.ensure_shape(part, shape) for part, shape in zip(crops, shapes, strict=True)
        )

    order = tf.data.Dataset.range(photos).shuffle(photos, seed)
    keys = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).batch(2)
    data = tf.data.Dataset.zip(order, keys).map(read, os.cpu_count()).unbatch()
    data = data.shuffle(64 * CROPS, seed).batch(16).prefetch(2)
    model, steps = build_finder(1 + apart), epochs * math.ceil(CROPS * photos / 16)
    warmup = steps // 40
    cosine = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warmup, warmup_target=3e-3, warmup_steps=warmup
    )
    whole = keras.Model(model.inputs, model.outputs)  # AdamW no se guarda con los pesos
    whole.compile(keras.optimizers.AdamW(cosine, weight_decay=0.01), finder_loss)
    try:
        whole.fit(data, epochs=epochs, shuffle=False, verbose=2)
    finally:
        scenes.clear()  # TensorFlow guarda para siempre lo que usa `tf.numpy_function`
    draft = path.with_name(path.name.replace(".", ".new.", 1))
    model.save_weights(draft)
    if path.exists():
        name = path.name.replace(".", time.strftime("-%Y%m%d-%H%M%S."), 1)
        os.replace(path, path.with_name(name))
        print(f"Los pesos anteriores quedan al lado: {name}.")
    os.replace(draft, path)
    load_finder.cache_clear()


def finder_loss(truth, output):
    """La pérdida focal (Lin et al., 2017) de lo que es índice, y lo que se apartan letra y palo.

    Args:
        truth, output: [b, k, k, 5] o, con `apart`, 10: lo de `finder_target` y lo de la red.
    """
    if output.shape[-1] > 5:  # de cada clase de marca, la suya
        return finder_loss(truth[..., :5], output[..., :5]) + finder_loss(
            truth[..., 5:], output[..., 5:]
        )
    known, is_middle = (tf.cast(truth[..., 0] > least, tf.float32) for least in (-0.5, 0.5))
    near = tf.cast(tf.reduce_any(truth[..., 1:] != 0, -1), tf.float32)
    wrong = tf.abs(is_middle - tf.sigmoid(output[..., 0]))
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(is_middle, output[..., 0])
    focal = known * (0.25 + 0.75 * is_middle) * wrong**2 * entropy
    moved = near * tf.reduce_sum(tf.abs(truth[..., 1:] - output[..., 1:]), -1)
    seen = tf.reduce_sum(focal) / (tf.reduce_sum(is_middle) + 1)
    return seen + tf.reduce_sum(moved) / (tf.reduce_sum(near) + 1)


def finder_scene(key, *scene, apart=False):
    """Una foto de `make_candidate_scene`, para cortar de ella recortes.

    Returns:
        (JPG en bytes; letra y palo de cada índice, [n, 2, 2] en px; qué parte de él se ve, [n];
        qué es, [n]: un índice, 0; con `apart`, lo alto y lo bajo de una letra, 1, o de un palo, 2).
    """
    rng = np.random.default_rng(key)
    photo, cards = make_candidate_scene(rng, *scene, apart=apart)
    ends = np.concatenate([np.empty((0, 2, 2)), *(places for *_, places, _ in cards)])
    # De un comodín, que no tiene índice, no se dice nada
    seen = [np.minimum(shares, 0.9 if name == "joker" else 1) for name, *_, shares in cards]
    if apart:  # en columnas apretadas se tapa algo; de lo que está del revés no se dice nada
        seen = [
            np.where(places[:, 1, 1] > places[:, 0, 1], shares + 0.12, np.minimum(shares, 0.9))
            for (*_, places, _), shares in zip(cards, seen, strict=True)
        ]
    kinds = [
        apart * (name != "joker") * (1 + np.arange(len(s)) % 2)
        for (name, *_), s in zip(cards, seen, strict=True)
    ]
    parts = (np.concatenate([np.empty(0, int), *part]) for part in (seen, kinds))
    # Al dibujar, el primer píxel va de 0 a 1; desde aquí, su centro es el 0
    return as_jpg(photo, rng), ends - 0.5, *parts


def finder_crops(jpg, ends, seen, kinds, rng, turned=True):
    """Recortes de una foto de `finder_scene`, y lo que la red ha de decir de cada uno.

    Siete de cada diez llevan un índice, al tamaño y al giro que toquen; los demás, cualquier cosa.

    Args:
        jpg, ends, seen, kinds: lo que da `finder_scene`.
        rng: `numpy.random.Generator`.
        turned: giran a cualquier lado; si no, casi nada.

    Returns:
        (uint8 [`CROPS`, `FINDER_SIDE`, `FINDER_SIDE`, 3], lo de `finder_target` de cada uno).
    """
    levels, crops, targets = [decode(jpg)], [], []
    whole, half = np.flatnonzero(seen > 0.95), FINDER_SIDE / 2
    size = np.array(levels[0].shape[1::-1])
    while min(levels[-1].shape[:2]) > 64:
        levels.append(cv2.resize(levels[-1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    for _ in range(CROPS):
        if len(whole) and rng.random() < 0.7:
            letter, suit = ends[rng.choice(whole)]
            scale = np.exp(rng.uniform(*np.log(INDEX_SIZES))) / np.linalg.norm(suit - letter)
            center = (letter + suit) / 2 + rng.uniform(-0.8, 0.8, 2) * half / scale
        else:
            scale, center = 2 ** rng.uniform(-3, 1), rng.uniform(0, 1, 2) * size
        margin = np.minimum(half / scale, size / 2)
        center = np.clip(center, margin, size - margin)
        lean = rng.uniform(-45, 45) if rng.random() < 0.5 else rng.normal(0, 8)
        angle = 90 * rng.integers(4) + lean if turned else rng.normal(0, 2)
        turn = cv2.getRotationMatrix2D(center, angle, scale)
        turn[:, 2] += half - center
        level = int(np.clip(np.round(-np.log2(scale)), 0, len(levels) - 1))  # como en la pirámide
        onto = turn * (2**level, 2**level, 1)
        onto[:, 2] += turn[:, :2].sum(1) * (2**level - 1) / 2  # un píxel es el medio de 2**level
        crop = cv2.warpAffine(
            levels[level], onto, (FINDER_SIDE, FINDER_SIDE), borderMode=cv2.BORDER_REPLICATE
        )
        crops.append(relight(255 - crop if rng.random() < 0.08 else crop, rng, 0.6))
        targets.append(finder_target(ends @ turn[:, :2].T + turn[:, 2], seen, kinds))
    return np.stack(crops), np.stack(targets)


def finder_target(ends, seen, kinds):
    """Lo que la red que busca índices ha de decir de un recorte.

    Args:
        ends, seen, kinds: lo que da `finder_scene`, con `ends` en px del recorte.

    Returns:
        float32 [k, k, 15], con k = `FINDER_SIDE` / `CELL`: 1 en el medio de un índice entero de
        `INDEX_SIZES`, -1 donde no se dice, y 0; y dónde quedan su letra y su palo. Lo mismo, de las
        letras y de los palos separados.
    """
    at = np.arange(FINDER_SIDE // CELL) * CELL + (CELL - 1) / 2
    cells = np.stack(np.meshgrid(at, at), -1)
    every = np.zeros((*cells.shape[:2], 15), np.float32)
    sizes = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
    small, large = INDEX_SIZES
    for i in np.argsort(-sizes):
        if seen[i] < 0.55 or not small / 2 < sizes[i] < 1.8 * large:
            continue
        target = every[..., 5 * kinds[i] :][..., :5]
        away = np.linalg.norm(cells - ends[i].mean(0), axis=2)
        target[(away < max(0.65 * sizes[i], 6)) & (target[..., 0] < 1), 0] = -1
        if seen[i] > 0.95 and 0.94 * small < sizes[i] < 1.06 * large:
            target[away < max(0.28 * sizes[i], 3), 0] = 1
            near = away < max(0.45 * sizes[i], 4)
            target[near, 1:] = ((ends[i] - cells[near][:, None]) / UNIT).reshape(-1, 4)
    return every


# --- Enseñarlo -------------------------------------------------------------------------------


def peak_memory():
    """Memoria máxima que ha ocupado este proceso, en GB; None donde el sistema no la dice."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1e9 if sys.platform == "darwin" else 1e9 / 1024  # macOS la da en bytes; Linux, en KiB
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 2)


def plot_row(images):
    """Muestra unas pocas imágenes, uint8, rutas o JPG en bytes, en una fila."""
    _, axes = plt.subplots(1, len(images), figsize=(12, 1.9), layout="tight", squeeze=False)
    for ax, image in zip(axes[0], images, strict=True):
        ax.imshow(decode(image))
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
