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
DEMO = "baraja dibujada"  # una de las tres procedencias de get_data

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


def get_data(data_dir="card-data", demo_dir=DEMO_DATA):
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
        `keras.Model` de [b, side, side, 3] en 0..255 a probabilidades [b, class_count]; en su
        atributo `start`, de qué pesos parte de verdad, en palabras.

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
    model.start = start
    return model


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
        count = tf.size(inputs) / layer.gamma.shape[0]
        variance *= tf.cast(1 - 1 / count, variance.dtype)  # la fusionada la divide por n - 1
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


# --- Gráfico ---------------------------------------------------------------------------------


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
