"""Lo que comparten los dos cuadernos: datos, imágenes, modelo, predicción y un gráfico.

Convenios únicos del proyecto: una imagen es `uint8` (o `float32`) en 0..255 de forma
[224, 224, 3], porque MobileNetV3 reescala por dentro, y las clases van en orden alfabético.
"""

import csv
import hashlib
import json
import math
import os
import platform
import re
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps, UnidentifiedImageError

from demo_deck import RANK_NAMES, SPLITS, make_deck

KAGGLE_DATASET = "gpiosenka/cards-image-datasetclassification"
IMAGE_SHAPE = (224, 224, 3)
MIN_SIDE = 32  # px: por debajo no se distingue el índice de la carta
EXTENSIONS = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
# Opciones de capa posteriores a Keras 3.5, que aquí valen lo mismo que si no estuvieran
NEW_KEYS = {"input_axes", "output_axes", "renorm", "renorm_clipping", "renorm_momentum"}
NEW_KEYS |= {"quantization_config"}
PUBLISHED_MODEL = Path("models/MobileNetV3_card_classifier.h5")
DEMO_MODEL = Path("models/demo_card_classifier.h5")
DEMO_DATA = Path("card-data/demo")
DEMO = "baraja dibujada"  # una de las tres procedencias de find_data

RANGOS = "as dos tres cuatro cinco seis siete ocho nueve diez jota reina rey".split()
SUITS = {"clubs": "tréboles", "diamonds": "diamantes", "hearts": "corazones", "spades": "picas"}


# --- Datos -----------------------------------------------------------------------------------


def card_name(class_name):
    """Nombre español de una clase: "ace of clubs" -> "as de tréboles".

    Args:
        class_name: nombre de la carpeta; uno que no sea de naipe se devuelve tal cual.

    Returns:
        str para mostrar.
    """
    rank, _, suit = class_name.partition(" of ")
    if rank in RANK_NAMES and suit in SUITS:
        return f"{RANGOS[RANK_NAMES.index(rank)]} de {SUITS[suit]}"
    return "comodín" if class_name == "joker" else class_name


def find_data(data_dir="card-data", demo_dir=DEMO_DATA):
    """Encuentra los datos: la carpeta dada; si no, Kaggle; sin red, la baraja dibujada.

    Args:
        data_dir: carpeta con train/, valid/ y test/, cada una con una carpeta por clase.
        demo_dir: dónde dibujar la baraja si hace falta.

    Returns:
        (root, source): `Path` de los datos y "carpeta", "Kaggle" o "baraja dibujada".
    """
    root = Path(data_dir).expanduser()
    if any((root / split).is_dir() for split in SPLITS):
        return root, DEMO if (root / "deck.json").is_file() else "carpeta"
    print(f"En {data_dir} no están train/, valid/ y test/: los pedimos a Kaggle.")
    try:
        import kagglehub  # solo quien no tiene los datos lo necesita

        return Path(kagglehub.dataset_download(KAGGLE_DATASET)), "Kaggle"
    except Exception as error:  # kagglehub lanza tipos distintos según qué falle
        reason = textwrap.shorten(f"{type(error).__name__}: {error}", 120)
        print(f"No se pudo descargar ({reason}). Usamos la baraja dibujada.")
    return make_deck(demo_dir), DEMO


def split_folders(root, split):
    """Carpetas de clase de una partición, por nombre en orden alfabético.

    Acepta el anidamiento `test/test` que a veces trae el zip de Kaggle.

    Returns:
        dict {clase: Path}.

    Raises:
        FileNotFoundError: la partición no existe o no tiene carpetas.
    """
    folder = Path(root) / split
    if (folder / split).is_dir():
        folder = folder / split
    if not folder.is_dir():
        raise FileNotFoundError(f"Falta la carpeta {folder}. Esperamos {split}/<clase>/*.jpg.")
    # Los nombres con punto son de Jupyter o del sistema (.ipynb_checkpoints)
    found = {p.name: p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")}
    if not found:
        raise FileNotFoundError(f"{folder} no tiene carpetas de clase ({split}/<clase>/*.jpg).")
    return dict(sorted(found.items()))


def find_classes(root, expected=None):
    """Clases de los datos, tras comprobar que train, valid y test tienen las mismas.

    Args:
        root: carpeta con train/, valid/ y test/.
        expected: las clases de un modelo, si los datos tienen que ser las suyas.

    Returns:
        Lista de nombres en orden alfabético; su posición es el número de clase.

    Raises:
        FileNotFoundError: falta una partición o está vacía.
        ValueError: una partición tiene clases de menos o de más, o una clase sin imágenes.
    """
    names = expected or list(split_folders(root, "train"))
    reference = "del modelo" if expected else "de train/"
    for split in SPLITS:
        folders = split_folders(root, split)
        missing, extra = sorted(set(names) - set(folders)), sorted(set(folders) - set(names))
        if missing or extra:
            raise ValueError(
                f"Las clases de {split}/ no son las {reference}: faltan {missing or 'ninguna'}, "
                f"sobran {extra or 'ninguna'}. Corrige las carpetas de {root}."
            )
        for folder in folders.values():
            if not image_files(folder):
                raise ValueError(f"No hay imágenes en {folder}. Complétala o borra esa clase.")
    return names


def image_files(folder):
    """Ficheros de imagen de una carpeta (por su extensión), en orden alfabético."""
    return sorted(
        p
        for p in Path(folder).iterdir()
        if p.suffix.lower() in EXTENSIONS and not p.name.startswith(".")
    )


def load_split(root, split, class_names, keep=True):
    """Lee una partición entera; una imagen ilegible se salta y se nombra.

    Args:
        root: carpeta con train/, valid/ y test/.
        split: "train", "valid" o "test".
        class_names: clases, en el orden de `find_classes`.
        keep: False comprueba las imágenes sin guardarlas en memoria (`images` es None).

    Returns:
        (images, labels, files): uint8 [n, 224, 224, 3] en 0..255, int32 [n] y lista de n `Path`.

    Raises:
        ValueError: faltan clases, o una se queda sin ninguna imagen legible.
    """
    folders = split_folders(root, split)
    if missing := sorted(set(class_names) - set(folders)):
        raise ValueError(f"En {split}/ de {root} faltan las clases {missing}.")
    files = [file for name in class_names for file in image_files(folders[name])]
    images = np.empty((len(files), *IMAGE_SHAPE), np.uint8) if keep else None

    def load(i):
        try:
            image = read_image(files[i])
            if keep:
                images[i] = image
        except ValueError as error:
            return str(error)

    with ThreadPoolExecutor() as pool:
        errors = list(pool.map(load, range(len(files))))
    if any(errors):
        broken = [error for error in errors if error]
        print(f"Saltamos {len(broken)} de {len(files)} imágenes de {split}:", *broken, sep="\n  ")
        images = images[[error is None for error in errors]] if keep else None
        files = [file for file, error in zip(files, errors, strict=True) if error is None]
    labels = np.array([class_names.index(file.parent.name) for file in files], np.int32)
    if unread := sorted(set(class_names) - {class_names[i] for i in labels}):
        raise ValueError(f"En {split}/ de {root} no queda ninguna imagen legible de {unread}.")
    return images, labels, files


def repair_labels(labels, files, class_names, faults="data_faults.csv"):
    """Corrige las etiquetas de `train` que `data_faults.csv` da por equivocadas.

    Args:
        labels: int [n], la clase de la carpeta de cada fichero.
        files: lista de n `Path`, acabados en `train/<clase>/<fichero>`.
        class_names: clases, en orden.
        faults: CSV con columnas kind, file (desde la raíz de los datos) y class (la verdadera).

    Returns:
        (labels, count): int [n] corregidas, y cuántas han cambiado.
    """
    if files and (files[0].parents[2] / "deck.json").is_file():
        return np.array(labels, np.int32), 0  # la baraja dibujada repite nombres de fichero
    with open(faults, encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "wrong_label"]
    true = {row["file"]: class_names.index(row["class"]) for row in rows}
    found = [true.get("/".join(file.parts[-3:])) for file in files]
    fixed = [old if new is None else new for old, new in zip(labels, found, strict=True)]
    return np.array(fixed, np.int32), int(np.sum(fixed != labels))


def make_dataset(
    images, labels, class_count, batch_size=32, augment=None, shuffle=False, seed=0, rows=None
):
    """`tf.data` de (imágenes float32 [b, 224, 224, 3] en 0..255, clases one-hot [b, clases]).

    Args:
        images: uint8 [n, 224, 224, 3].
        labels: int [n], en 0..class_count-1.
        class_count: número de clases.
        batch_size: imágenes por lote.
        augment: función (imágenes, semilla int64 [2]) -> imágenes, o None.
        shuffle: barajar en cada época; los restos de lote se descartan.
        seed: semilla del orden y del aumento.
        rows: int [m], qué imágenes entran; alguna puede repetirse. Por omisión, todas.

    Returns:
        `tf.data.Dataset` con prefetch.
    """
    with tf.device("CPU"):  # el conjunto entero no cabe en toda GPU
        images, one_hot = tf.constant(images), tf.one_hot(labels, class_count)
    rows = np.arange(len(images)) if rows is None else rows
    order = tf.data.Dataset.from_tensor_slices(rows)
    if shuffle:  # se barajan índices: no se copia ninguna imagen
        order = order.shuffle(len(rows), seed=seed)
    order = order.batch(batch_size, drop_remainder=shuffle and len(rows) >= batch_size)
    seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).batch(2)

    def load(index, key):
        batch = tf.cast(tf.gather(images, index), tf.float32)
        return augment(batch, key) if augment else batch, tf.gather(one_hot, index)

    options = tf.data.Options()
    options.autotune.enabled = False  # con dos núcleos tarda más en afinar que en cargar
    return (
        tf.data.Dataset.zip(order, seeds)
        .map(load, os.cpu_count())
        .prefetch(2)
        .with_options(options)
    )


def augment(images, seed, strength=1.0, any_angle=0.0):
    """Aumento: cada carta sale como en otra foto, con otra postura, luz, fondo y nitidez.

    Una sola transformación proyectiva por imagen (tres capas sueltas cuestan el triple): cuartos
    y medias vueltas (un naipe es simétrico), giro, escala, cizalla, desplazamiento y
    perspectiva; una de cada tres, tomada de lejos y sin aplastar. Antes, una de cada cuatro lleva
    en el centro el de otra carta: manda el índice de la esquina. Después, fondo de manchas, algo
    que tapa, desenfoque, saturación (hasta gris, o con los canales cambiados: hay barajas de
    rombos azules), contraste, brillo y tono. Nunca en espejo: un glifo reflejado no existe.

    Args:
        images: float32 [b, n, n, 3] en 0..255.
        seed: int [2]; la misma semilla da el mismo resultado.
        strength: fuerza, 0..1; multiplica ángulos, cambios y proporciones.
        any_angle: proporción de las imágenes que salen a cualquier ángulo, 0..1; las demás, a
            menos de 20 grados de un cuarto de vuelta.

    Returns:
        float32 [b, n, n, 3] en 0..255.
    """
    count, size = tf.shape(images)[0], images.shape[1]
    chance = tf.random.stateless_uniform([36, count], seed, -1.0, 1.0)
    u = strength * chance
    one = tf.ones(count)

    def some(row, share):  # 1.0 en esa proporción de las imágenes, 0.0 en las demás
        return tf.cast(tf.abs(chance[row]) < share * strength, tf.float32)

    def matrix(*rows):  # tres filas de escalares o [b] -> [b, 3, 3]
        return tf.stack([tf.stack([one * value for value in row], -1) for row in rows], -2)

    def each(values):  # [b] o [b, 3] -> para sumar o multiplicar a las imágenes
        return tf.reshape(values, [count, 1, 1, -1])

    line = tf.linspace(-1.0, 1.0, size)
    down, along = line[:, None, None], line[None, :, None]
    center = tf.abs(down) < each(0.6 + 0.15 * chance[15])
    center &= (tf.abs(along) < each(0.5 + 0.15 * chance[16])) & (each(some(17, 0.25)) > 0)
    images = tf.where(center, tf.roll(images, 1, 0), images)

    far = some(0, 0.35)
    free = tf.cast(tf.abs(chance[34]) < any_angle, tf.float32)
    tilt = (1 - free) * math.radians(20) * u[1] + free * math.pi / 4 * chance[35]
    angle = tilt + math.pi * some(2, 0.5) + math.pi / 2 * some(3, 0.3)
    zoom = 0.05 + 0.15 * u[4] + 0.9 * far * tf.abs(u[5])  # aleja más que acerca
    # La que gira más se aleja, para que no se salga la esquina con el índice
    zoom += (1 - far) * tf.maximum(0.0, tf.abs(tilt) - math.radians(20))
    aspect, narrow = (0.08 + 0.2 * far) * u[6], 0.17 * far  # 0.17 deshace el aplastado 5:7
    x_scale, y_scale = tf.exp(zoom + aspect), tf.exp(zoom - aspect)
    shift = size * (0.08 + 0.45 * far * (tf.exp(zoom) - 1))
    middle = (size - 1) / 2
    warp = (
        matrix((1, 0, middle), (0, 1, middle), (0, 0, 1))
        @ matrix((tf.exp(narrow), 0, shift * u[7]), (0, tf.exp(-narrow), shift * u[8]), (0, 0, 1))
        @ matrix((tf.cos(angle), -tf.sin(angle), 0), (tf.sin(angle), tf.cos(angle), 0), (0, 0, 1))
        @ matrix(
            (x_scale, 0.12 * u[9] * x_scale, 0),
            (0, y_scale, 0),
            (0.15 / size * u[10], 0.15 / size * u[11], 1),
        )
        @ matrix((1, 0, -middle), (0, 1, -middle), (0, 0, 1))
    )
    warp = tf.reshape(warp, [-1, 9])
    flat = each(127.5 + 127.5 * tf.transpose(chance[12:15]))
    seen = keras.ops.image.affine_transform(images - flat, warp[:, :8] / warp[:, 8:])

    # Fuera de la carta la resta da cero; ahí, y en un rectángulo que la tapa, va el fondo
    cover = tf.abs(down - each(u[31])) < each(0.4 * u[18])
    cover &= tf.abs(along - each(u[32])) < each(0.4 * u[33])
    stains = tf.random.stateless_uniform([count, 6, 6, 3], tf.add(seed, 1), -80.0, 80.0)
    stains = tf.image.resize(stains * each(u[19]), (size, size))
    images = tf.where(cover | (seen[..., :1] == 0.0), stains, seen) + flat

    kernel = tf.ones([3, 3, 3, 1]) / 9
    soft = tf.nn.depthwise_conv2d(images, kernel, [1, 1, 1, 1], "SAME")
    images += each(tf.maximum(1.3 * u[20], -0.3)) * (soft - images)  # desenfoca o afila
    saturation = ((1 - some(21, 0.1)) * (1 + 0.5 * u[22]))[:, None, None]
    channels = tf.where(some(23, 0.08)[:, None, None] > 0, tf.roll(tf.eye(3), 1, 0), tf.eye(3))
    color = saturation * channels + (1 - saturation) / 3
    color *= tf.exp(0.35 * u[24])[:, None, None]  # contraste
    light = each(127.5 + 40 * u[25]) + each(20 * tf.transpose(u[26:29]))
    light += 30 * (down * each(u[29]) + along * each(u[30]))
    flattened = tf.reshape(images - 127.5, [count, -1, 3]) @ color
    return tf.clip_by_value(tf.reshape(flattened, tf.shape(images)) + light, 0.0, 255.0)


def near_copies(files, faults="data_faults.csv"):
    """bool [n]: qué ficheros de test, con su ruta entera, son casi copia de uno de train."""
    with open(faults, encoding="utf-8", newline="") as file:
        copies = {row["file"] for row in csv.DictReader(file) if row["kind"] == "near_copy"}
    return np.array([f"test/{file.parent.name}/{file.name}" in copies for file in files])


def open_photo(source, max_side=None):
    """Lee una imagen cualquiera sin deformarla: EXIF, transparencia sobre blanco y RGB.

    Args:
        source: ruta o fichero binario abierto (JPG, PNG y lo demás que abra Pillow).
        max_side: píxeles del lado mayor, si hay que reducirla; por omisión no se reduce, salvo
            el JPG grande, que puede decodificarse a una fracción de no menos de 1024 px de lado.

    Returns:
        uint8 [alto, ancho, 3] en 0..255.

    Raises:
        FileNotFoundError: no existe la ruta.
        ValueError: no es una imagen legible, está cortada o mide menos de 32 px de lado.
    """
    name = source if isinstance(source, (str, os.PathLike)) else "la imagen"
    try:
        with Image.open(source) as image:
            side = max(max_side or 0, 1024)
            image.draft("RGB", (side, side))  # un JPG de 12 Mpx se decodifica ya reducido
            image = ImageOps.exif_transpose(image)
            if min(image.size) < MIN_SIDE:
                raise ValueError(f"mide {image.width}x{image.height} px; mínimo {MIN_SIDE} de lado")
            if image.mode[0] in "IF":  # grises de 16 o 32 bits: convert() los saturaría
                grey = np.asarray(image, np.float32)
                grey = grey / 256 if grey.max() > 255 else grey
                image = Image.fromarray(grey.clip(0, 255).astype(np.uint8))
            if image.has_transparency_data:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            image = image.convert("RGB")
            if max_side and max(image.size) > max_side:
                image.thumbnail((max_side, max_side))
            return np.asarray(image)
    except FileNotFoundError:
        raise FileNotFoundError(f"No existe el fichero {name}.") from None
    except UnidentifiedImageError:
        reason = "no es una imagen JPG, PNG ni otra que Pillow sepa abrir"
        if str(name).lower().endswith((".heic", ".heif")):
            reason = "es HEIC; conviértela a JPG (iPhone: Ajustes > Cámara > Más compatible)"
    except ValueError as error:
        reason = str(error)
    except Exception as error:  # Pillow lanza OSError, SyntaxError, struct.error, zlib.error...
        reason = f"está dañada o cortada ({error})"
    raise ValueError(f"No se puede leer {name}: {reason}.")


def read_image(source):
    """Lee una imagen cualquiera y la deja como la espera la red.

    Única definición del preproceso: lo que hace `open_photo` y tamaño 224x224, estirada como las
    del conjunto de datos.

    Args:
        source: ruta o fichero binario abierto (JPG, PNG y lo demás que abra Pillow).

    Returns:
        uint8 [224, 224, 3] en 0..255.

    Raises:
        FileNotFoundError, ValueError: los de `open_photo`.
    """
    return squash(open_photo(source))


def squash(photo):
    """Estira una foto uint8 [alto, ancho, 3] a la entrada de la red, [224, 224, 3]."""
    image = Image.fromarray(photo).resize(IMAGE_SHAPE[:2], Image.Resampling.BILINEAR)
    return np.asarray(image)


# --- Modelo ----------------------------------------------------------------------------------


def build_model(
    class_count, weights="imagenet", dense_units=(128,), bn_momentum=0.98, side=IMAGE_SHAPE[0]
):
    """MobileNetV3Small -> GlobalAveragePooling2D -> Dense(s) relu -> Dense(clases, softmax).

    Args:
        class_count: número de clases.
        weights: "imagenet", la ruta de unos pesos sin cabeza o de un modelo entero hecho aquí, o
            None (al azar). Si ImageNet no se puede descargar, se parte de la columna del modelo
            publicado y se avisa.
        dense_units: neuronas de cada capa densa intermedia.
        bn_momentum: inercia de BatchNorm, 0..1. La de Keras, 0.999, deja las estadísticas de
            evaluación unos 1000 pasos atrás.
        side: lado de las imágenes en píxeles, o None si cambia al entrenar (siempre par).

    Returns:
        (model, start): `keras.Model` de [b, side, side, 3] en 0..255 a probabilidades
        [b, class_count], y de qué pesos parte de verdad, en palabras.

    Raises:
        ValueError: `weights` no es un fichero de pesos de MobileNetV3Small sin cabeza, ni un
            modelo entero con esas clases y capas densas.
        OSError: no hay red ni modelo publicado del que partir.
    """

    def mobilenet(weights):
        return keras.applications.MobileNetV3Small(
            input_shape=(side, side, 3), include_top=False, weights=weights
        )

    start, whole = Path(weights).name if weights else "al azar", False
    try:
        if weights and weights != "imagenet":
            with h5py.File(weights) as file:
                whole = "model_weights" in file
        base = mobilenet(None if whole else weights)
    except Exception as error:  # sin red, fichero que falta o pesos de otra red
        if weights != "imagenet":
            raise ValueError(f"No se pueden usar los pesos {weights}: {error}") from error
        if not PUBLISHED_MODEL.is_file():
            raise OSError(
                f"Sin red para bajar ImageNet y sin {PUBLISHED_MODEL}: recupera ese fichero, o "
                'pon WEIGHTS = None para empezar al azar o WEIGHTS = "ruta" a unos pesos tuyos.'
            ) from error
        start = f"columna de {PUBLISHED_MODEL.name}, porque ImageNet no se pudo descargar"
        base, published = mobilenet(None), keras.models.load_model(PUBLISHED_MODEL, compile=False)
        for layer in base.layers:
            if layer.weights:
                layer.set_weights(published.get_layer(layer.name).get_weights())

    base = reloadable(base)
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = bn_momentum
            fuse(layer)
    x = keras.layers.GlobalAveragePooling2D()(base.output)
    for units in dense_units:
        x = keras.layers.Dense(units, activation="relu")(x)
    outputs = keras.layers.Dense(class_count, activation="softmax")(x)
    model = keras.Model(base.input, outputs, name="MobileNetV3_card_classifier")
    if whole:
        try:
            model.load_weights(weights)
        except ValueError as error:
            raise ValueError(
                f"{weights} no es un modelo de {class_count} clases con DENSE_UNITS = "
                f"{list(dense_units)}: {error}"
            ) from error
    return model, start


def reloadable(base):
    """La misma red, con `hard_sigmoid` como capa: así su `.h5` se recarga con Keras a secas.

    Keras 3 escribe `hard_sigmoid` como `ReLU(6.)(x + 3.0) * (1/6)`, y esos escalares sueltos
    guardan un `.h5` que `load_model` rechaza. Las salidas son iguales, salvo el redondeo.

    Args:
        base: `keras.Model` de la familia MobileNetV3.

    Returns:
        `keras.Model` equivalente con las mismas capas y pesos.
    """

    def call(operation, *args, **kwargs):
        if not isinstance(operation, keras.layers.Layer):  # suma o producto por un escalar
            return args[0]
        if isinstance(operation, keras.layers.ReLU) and operation.max_value == 6:
            return keras.layers.Activation("hard_sigmoid")(args[0])
        return operation(*args, **kwargs)

    return keras.models.clone_model(base, clone_function=lambda layer: layer, call_function=call)


def fuse(layer):
    """Al entrenar, esta `BatchNormalization` usa la operación fusionada de TensorFlow.

    Keras 3 la escribe con seis operaciones sueltas: fusionada, el paso de entrenamiento de
    MobileNetV3 baja a tres cuartos. La capa sigue siendo la de Keras, y así se guarda.

    Args:
        layer: `keras.layers.BatchNormalization` de 4 dimensiones; se cambia en su sitio.
    """
    plain = layer.call

    def call(inputs, training=None, mask=None):
        if not (training and layer.trainable):
            return plain(inputs, training=training, mask=mask)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, layer.gamma, layer.beta, epsilon=layer.epsilon, is_training=True
        )
        for moving, batch in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
            moving.assign(layer.momentum * moving + (1 - layer.momentum) * batch)
        return outputs

    layer.call = call


def save_model(model, path, metadata):
    """Guarda el modelo `.h5` y, al lado, su `.json`; si algo falla, queda el anterior.

    Args:
        model: `keras.Model`.
        path: destino, acabado en .h5; el JSON lleva el mismo nombre.
        metadata: dict que admita JSON; se le añade el sha256 del `.h5`.

    Raises:
        OSError: no se pudo escribir (disco lleno, permisos); los ficheros anteriores siguen.
    """
    path = Path(path)
    new_h5, new_json = path.with_suffix(".new.h5"), path.with_suffix(".new.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        model.save(new_h5, include_optimizer=False)
        with h5py.File(new_h5, "r+") as file:
            config = json.loads(file.attrs["model_config"], object_hook=drop_new_keys)
            file.attrs["model_config"] = json.dumps(config)
        metadata = {**metadata, "sha256": sha256(new_h5)}
        new_json.write_text(json.dumps(metadata, indent=1, ensure_ascii=False) + "\n", "utf-8")
    except (OSError, RuntimeError) as error:  # h5py usa los dos si el disco se llena
        new_h5.unlink(missing_ok=True)
        new_json.unlink(missing_ok=True)
        raise OSError(f"No se pudo guardar {path} ({error}). El anterior sigue intacto.") from error
    os.replace(new_h5, path)
    os.replace(new_json, path.with_suffix(".json"))


def add_measures(path, **measures):
    """Añade medidas al JSON de un modelo ya guardado, clave "measures", con su máquina y fecha.

    Args:
        path: fichero `.h5` del modelo.
        **measures: nombre de la orden que mide = dict que admita JSON.
    """
    path = Path(path).with_suffix(".json")
    metadata = json.loads(path.read_text("utf-8"))
    for name, values in measures.items():
        values = {**values, "environment": environment(), "date": time.strftime("%Y-%m-%d")}
        metadata.setdefault("measures", {})[name] = values
    write_atomic(path, json.dumps(metadata, indent=1, ensure_ascii=False).encode() + b"\n")


def write_atomic(path, content):
    """Escribe bytes con un nombre provisional y renombra: nunca queda un fichero a medias."""
    path = Path(path)
    draft = path.with_name(f".{path.name}.tmp")
    try:
        draft.write_bytes(content)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def drop_new_keys(config):
    """El mismo dict sin las claves que Keras 3.5 no conoce: así el `.h5` se abre desde 3.5."""
    return {key: value for key, value in config.items() if key not in NEW_KEYS}


def load_model(path=PUBLISHED_MODEL):
    """Carga un modelo con `keras.models.load_model` y comprueba que su JSON es el suyo.

    Args:
        path: fichero `.h5` con su `.json` al lado.

    Returns:
        (model, metadata): `keras.Model` y dict del JSON.

    Raises:
        FileNotFoundError: falta el `.h5` o el `.json`.
        ValueError: el `.json` es de otro `.h5`, o sus clases no son las salidas de la red.
    """
    path = Path(path)
    for file in (path, path.with_suffix(".json")):
        if not file.is_file():
            raise FileNotFoundError(f"Falta {file}. Ejecuta Entrenamiento_DL.ipynb o recupéralo.")
    digest, pending = sha256(path), path.with_suffix(".new.json")
    # Un corte entre los dos renombrados de save_model deja el JSON nuevo pendiente
    if pending.is_file() and f'"{digest}"' in pending.read_text("utf-8"):
        os.replace(pending, path.with_suffix(".json"))
    try:
        metadata = json.loads(path.with_suffix(".json").read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path.with_suffix('.json')} no es un JSON entero: {error}.") from error
    if metadata.get("sha256") != digest:
        raise ValueError(
            f"{path.with_suffix('.json')} no es de {path.name}: el sha256 no coincide."
        )
    model = keras.models.load_model(path, compile=False)
    if model.output_shape[-1] != len(metadata["class_names"]):
        raise ValueError(
            f"{path} da {model.output_shape[-1]} salidas y su JSON nombra "
            f"{len(metadata['class_names'])} clases: no se corresponden."
        )
    return model, metadata


def sha256(path):
    """Huella SHA-256 de un fichero, en hexadecimal."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def predict(model, images):
    """Probabilidades de cada clase; rechaza imágenes que no estén en 0..255.

    Args:
        model: clasificador de este proyecto.
        images: [224, 224, 3] o [n, 224, 224, 3], enteros o reales en 0..255.

    Returns:
        float32 [n, clases]; cada fila suma 1.

    Raises:
        ValueError: otra forma, valores fuera de 0..255, o una imagen ya dividida entre 255.
    """
    images = np.asarray(images)
    if images.ndim == 3:
        images = images[None]
    if images.shape[1:] != IMAGE_SHAPE or not len(images):
        raise ValueError(f"Esperamos imágenes [n, 224, 224, 3] y llega {images.shape}: read_image.")
    low, high = images.min(axis=(1, 2, 3)), images.max(axis=(1, 2, 3))
    if not (low.min() >= 0 and high.max() <= 255):  # también falla con NaN
        raise ValueError(f"Los valores van de {low.min()} a {high.max()}; la red espera 0..255.")
    if images.dtype.kind == "f" and np.any((high > 0) & (high <= 1)):
        raise ValueError(
            "La imagen parece ya dividida entre 255 (su máximo es 1 o menos). La red espera "
            "0..255 y reescala por dentro: divide solo para mostrarla con imshow."
        )
    return model.predict(images, verbose=0)


def wilson(correct, total):
    """Intervalo de Wilson al 95 % de una proporción (Wilson, 1927).

    Args:
        correct: aciertos, 0..total.
        total: ensayos, más de 0.

    Returns:
        (low, high) en 0..1.
    """
    z2 = 1.959964**2
    middle = (correct + z2 / 2) / (total + z2)
    half = math.sqrt(z2 * (correct * (total - correct) / total + z2 / 4)) / (total + z2)
    return max(0.0, middle - half), min(1.0, middle + half)


def score(correct, total):
    """Texto de una cifra: "250/265 = 94.3 % (Wilson 95 %: 90.9 a 96.5)"."""
    low, high = wilson(correct, total)
    share = f"{correct}/{total} = {100 * correct / total:.1f} %"
    return f"{share} (Wilson 95 %: {100 * low:.1f} a {100 * high:.1f})"


def environment():
    """Versiones y máquina, para escribirlas junto a cada cifra."""
    gpus = [
        tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    return {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "device": ", ".join(gpus) or f"CPU de {os.cpu_count()} núcleos, sin GPU",
    }


# --- Entrenamiento y gráfico -----------------------------------------------------------------


def peak_memory():
    """Memoria máxima que ha ocupado este proceso, en GB; None donde el sistema no la dice."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1e9 if sys.platform == "darwin" else 1e6
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 2)


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


def epochs_done(run):
    """Cuántas épocas lleva una ejecución, contando las que un corte hizo repetir.

    Args:
        run: carpeta con la `historia.csv` de `keras.callbacks.CSVLogger`; puede no estar aún.
    """
    log = Path(run, "historia.csv")
    lines = log.read_text("utf-8").splitlines() if log.is_file() else []
    return len(lines[1:])


def best_checkpoint(run, last=math.inf):
    """El mejor punto de control de una ejecución, por la pérdida que lleva en su nombre.

    Args:
        run: carpeta con `epoca-07-valid-0.9321-perdida-0.2103.weights.h5` y semejantes.
        last: época hasta la que se mira.

    Returns:
        (file, epoch, loss); (None, 0, None) si no hay ninguno. A igualdad, el primero.
    """
    found = []
    for file in sorted(Path(run).glob("epoca-*-valid-*-perdida-*.weights.h5")):
        epoch, loss = re.findall(r"epoca-(\d+)-.*-perdida-(\d+\.\d+)", file.name)[0]
        if int(epoch) <= last:
            found.append((file, int(epoch), float(loss)))
    return min(found, key=lambda item: item[2], default=(None, 0, None))


def average_with_best(model, run, began, ended, share, valid_ds):
    """Al acabar una etapa, deja en el modelo la media de sus pesos con los mejores anteriores.

    En el camino recto entre una red y ella misma ajustada a algo más suele haber redes mejores que
    ambas (Wortsman et al., 2022). La media se guarda como otro punto de control, que desde
    entonces compite por ser el mejor; si la guardó una ejecución cortada, se carga.

    Args:
        model: `keras.Model` compilado, con los pesos de la época `ended`.
        run: carpeta de sus puntos de control.
        began: épocas antes de la etapa; de ellas es la mejor o, si no hay, de la etapa.
        ended: épocas al acabarla.
        share: parte de la última en la media, 0..1; 0 deja la mejor.
        valid_ds: `tf.data` con que se puntúa.

    Returns:
        dict con la época, la mejor, la parte, y la exactitud (0..1) y la pérdida en `valid`.
    """
    saved = next(Path(run).glob(f"epoca-{ended:02d}-*-media.weights.h5"), None)
    file, best_epoch, _ = best_checkpoint(run, began)
    if not file:
        file, best_epoch, _ = best_checkpoint(run, ended)
    last = model.get_weights()
    if saved or file:  # en una etapa sin épocas, la media es el modelo de partida
        model.load_weights(saved or file)
    if not saved:
        pairs = zip(model.get_weights(), last, strict=True)
        model.set_weights([(1 - share) * best + share * end for best, end in pairs])
    loss, accuracy = model.evaluate(valid_ds, verbose=0)
    if not saved:
        name = f"epoca-{ended:02d}-valid-{accuracy:.4f}-perdida-{loss:.4f}-media.weights.h5"
        draft = Path(run, "media.weights.h5")
        model.save_weights(draft)
        os.replace(draft, Path(run, name))
    mean = {"epoch": ended, "best_epoch": best_epoch, "last_share": share}
    return mean | {"val_accuracy": round(accuracy, 4), "val_loss": round(loss, 4)}


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
            f"{logs['seconds']:.0f} s · faltan {left:.0f} min",
            flush=True,
        )


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
