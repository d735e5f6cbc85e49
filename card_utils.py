"""Lo que comparten los dos cuadernos: datos, imágenes, predicciones y ficheros.

Convenios únicos del proyecto: una imagen es `uint8` (o `float32`) en 0..255 de forma
[224, 224, 3], porque MobileNetV3 reescala por dentro, y las clases van en orden alfabético.
"""

import io
import json
import math
import os
import platform
import textwrap
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps, UnidentifiedImageError

from demo_deck import RANK_NAMES, SPLITS, make_deck

KAGGLE_DATASET = "gpiosenka/cards-image-datasetclassification"
IMAGE_SHAPE = (224, 224, 3)
MIN_SIDE = 32  # px: por debajo no se distingue el índice de la carta
EXTENSIONS = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".jfif", ".avif"}
HERE = Path(__file__).parent
PUBLISHED_MODEL = HERE / "models/MobileNetV3_card_classifier.h5"
DEMO_MODEL = HERE / "models/demo_card_classifier.h5"
FAULTS = HERE / "data_faults.csv"
DATA, DEMO_DATA = "card-data", Path("card-data/demo")
DEMO = "baraja dibujada"  # una de las tres procedencias de get_data

SPANISH = "as dos tres cuatro cinco seis siete ocho nueve diez jota reina rey".split()
RANKS = dict(zip(RANK_NAMES, SPANISH, strict=True))
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
    if rank in RANKS and suit in SUITS:
        return f"{RANKS[rank]} de {SUITS[suit]}"
    return "comodín" if class_name == "joker" else class_name


def get_data(data_dir=DATA):
    """Encuentra los datos: la carpeta dada; si no, Kaggle; sin red, la baraja dibujada.

    Args:
        data_dir: carpeta con train/, valid/ y test/, cada una con una carpeta por clase; o la que
            contiene a esa.

    Returns:
        (root, source): `Path` de los datos y "carpeta", "Kaggle" o "baraja dibujada".

    Raises:
        FileNotFoundError: `data_dir` no es la de omisión y no tiene las particiones: no se
            cambia por otros datos.
        FileExistsError, OSError: no se puede dibujar la baraja que los sustituye.
    """
    given = Path(data_dir).expanduser()
    inside = sorted(p for p in given.glob("*") if p.is_dir())
    for root in (given, *inside):
        is_deck = (root / "deck.json").is_file()
        if any((root / split).is_dir() for split in SPLITS) and (root == given or not is_deck):
            return root, DEMO if is_deck else "carpeta"
    if given != Path(DATA):
        there = ", ".join(p.name for p in inside) or "ninguna" if given.is_dir() else "no existe"
        raise FileNotFoundError(
            f"En {given} no están train/, valid/ y test/ (carpetas que hay: {there}). Corrige "
            f'DATA_DIR, o deja "{DATA}" para descargar los datos de Kaggle.'
        )
    print(f"En {data_dir} no están train/, valid/ y test/: los pedimos a Kaggle.")
    try:
        import kagglehub  # solo quien no tiene los datos lo necesita

        return Path(kagglehub.dataset_download(KAGGLE_DATASET)), "Kaggle"
    except Exception as error:  # kagglehub lanza tipos distintos según qué falle
        reason = textwrap.shorten(f"{type(error).__name__}: {error}", 120)
        print(f"No se pudo descargar ({reason}). Usamos la baraja dibujada.")
    return make_deck(DEMO_DATA), DEMO


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
        there = sorted(p.name for p in Path(root).glob("*") if p.is_dir())
        alike = [name for name in there if name[:3].lower() == split[:3]]
        advice = f" Renombra {alike[0]} a {split}." if alike else ""
        raise FileNotFoundError(
            f"Falta la carpeta {folder}. Esperamos {split}/<clase>/*.jpg. "
            f"Hay: {', '.join(there) or 'nada'}.{advice}"
        )
    # De Jupyter o del sistema: .ipynb_checkpoints, __MACOSX
    found = {p.name: p for p in folder.iterdir() if p.is_dir() and p.name[0] not in "._"}
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
        FileNotFoundError: falta la carpeta de `split`.
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
        except (FileNotFoundError, ValueError) as error:  # un enlace roto no existe
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


# --- Imágenes --------------------------------------------------------------------------------


def open_photo(source):
    """Lee una imagen cualquiera sin deformarla: EXIF, transparencia sobre blanco y RGB.

    Un JPG grande se decodifica a la mitad o menos, de no menos de 1024 px de lado.

    Args:
        source: ruta, bytes, fichero binario abierto, `PIL.Image` o arreglo en 0..255 de forma
            [alto, ancho], [alto, ancho, 3] en RGB o [alto, ancho, 4] en RGBA. Lo que da
            `cv2.imread` es BGR, y no se nota: pásalo como `photo[..., ::-1]`. De una animación
            se lee el primer cuadro.

    Returns:
        uint8 [alto, ancho, 3] en 0..255.

    Raises:
        FileNotFoundError: no existe la ruta.
        TypeError: `source` es de otro tipo.
        ValueError: no es una imagen legible, está cortada o mide menos de 32 px de lado.
    """
    return open_scaled(source)[0]


def open_scaled(source):
    """(photo, scale): la de `open_photo`, y cuánto mayor es la original, por el mismo `source`."""
    is_path, name = isinstance(source, (str, os.PathLike)), "la imagen"
    if is_path:
        name = source
        if str(source).startswith(("http://", "https://")):
            raise ValueError(f"{source} es una dirección: descarga antes la imagen.")
    elif isinstance(source, np.ndarray):
        source = from_array(source)
    elif isinstance(source, (bytes, bytearray)):
        source = io.BytesIO(source)
    elif not isinstance(source, Image.Image) and not hasattr(source, "read"):
        raise TypeError(
            f"No es una imagen, sino {type(source).__name__}: pasa una ruta, bytes, un fichero "
            "abierto, un PIL.Image o un arreglo; de una lista, cada elemento por separado."
        )
    try:
        given = isinstance(source, Image.Image)
        with nullcontext(source) if given else Image.open(source) as image:
            before = image.width
            if not given:
                image.draft("RGB", (1024, 1024))
            scale = before / image.width
            image = ImageOps.exif_transpose(image)
            if min(image.size) < MIN_SIDE:
                raise ValueError(f"mide {image.width}x{image.height} px; mínimo {MIN_SIDE} de lado")
            if image.mode[0] in "IF":  # grises de 16 o 32 bits: convert() los saturaría
                grey = np.asarray(image, np.float32)
                while 255 < grey.max() < np.inf:
                    grey = grey / 256
                check_range(grey[None])
                image = Image.fromarray(grey.clip(0, 255).astype(np.uint8))
            if image.has_transparency_data:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            return np.asarray(image.convert("RGB")), scale
    except FileNotFoundError:
        raise FileNotFoundError(f"No existe el fichero {name}.") from None
    except IsADirectoryError:
        reason = "es una carpeta: léela con card_reader.read_folder"
    except UnidentifiedImageError:
        reason = "no es una imagen JPG, PNG ni otra que Pillow sepa abrir"
        if str(name).lower().endswith((".heic", ".heif")):
            reason = "es HEIC; conviértela a JPG (iPhone: Ajustes > Cámara > Más compatible)"
    except Image.DecompressionBombError:
        reason = f"demasiado grande; máximo {2 * Image.MAX_IMAGE_PIXELS / 1e6:.0f} megapíxeles"
    except PermissionError:
        reason = "no hay permiso para leerla"
    except MemoryError:
        reason = "no cabe en la memoria"
    except ValueError as error:
        reason = str(error)
    except Exception as error:  # Pillow lanza OSError, SyntaxError, struct.error, zlib.error...
        reason = f"está dañada o cortada ({error})"
    raise ValueError(f"No se puede leer {name}: {reason}.")


def from_array(array):
    """`PIL.Image` de un arreglo en 0..255: grises, RGB o RGBA."""
    if array.ndim != 2 and (array.ndim != 3 or array.shape[2] not in (3, 4)) or not array.size:
        raise ValueError(
            f"Esperamos [alto, ancho], [alto, ancho, 3] o [alto, ancho, 4] y llega {array.shape}: "
            "una imagen cada vez, con los canales al final."
        )
    check_range(array[None])
    return Image.fromarray(array.round().astype(np.uint8))


def check_range(images):
    """Un `ValueError` si alguna de [n, ...] no está en 0..255, o parece dividida entre 255."""
    axes = tuple(range(1, images.ndim))
    low, high = images.min(axis=axes), images.max(axis=axes)
    if not (low.min() >= 0 and high.max() <= 255):  # también falla con NaN
        raise ValueError(f"Los valores van de {low.min()} a {high.max()}; la red espera 0..255.")
    if images.dtype.kind in "fb" and np.any((high > 0) & (high <= 1)):
        raise ValueError(
            "La imagen parece ya dividida entre 255 (su máximo es 1 o menos). La red espera "
            "0..255 y reescala por dentro: divide solo para mostrarla con imshow."
        )


def read_image(source):
    """La imagen como la espera la red: `open_photo` y, estirada como las de Kaggle, a 224x224.

    Args:
        source: lo que admite `open_photo`.

    Returns:
        uint8 [224, 224, 3] en 0..255.
    """
    return squash(open_photo(source))


def squash(photo):
    """Estira una foto uint8 [alto, ancho, 3] a la entrada de la red, [224, 224, 3]."""
    image = Image.fromarray(photo).resize(IMAGE_SHAPE[:2], Image.Resampling.BILINEAR)
    return np.asarray(image)


# --- Predecir y puntuar ----------------------------------------------------------------------


def predict(model, images):
    """Probabilidades de cada clase; rechaza imágenes que no estén en 0..255.

    Args:
        model: clasificador de este proyecto.
        images: arreglo [n, 224, 224, 3], enteros o reales en 0..255; o una imagen, o una lista,
            de lo que admite `open_photo`.

    Returns:
        float32 [n, clases]; cada fila suma 1.

    Raises:
        ValueError: otra forma, valores fuera de 0..255, o una imagen ya dividida entre 255.
    """
    if not isinstance(images, np.ndarray) or images.ndim != 4:
        images = images if isinstance(images, (list, tuple)) else [images]
        images = np.array([read_image(image) for image in images])
    if images.shape[1:] != IMAGE_SHAPE or not len(images):
        raise ValueError(f"Esperamos imágenes [n, 224, 224, 3] y llega {images.shape}: read_image.")
    check_range(images)
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


# --- Ficheros --------------------------------------------------------------------------------


def write_atomic(path, content):
    """Escribe bytes con un nombre provisional y renombra: nunca queda un fichero a medias."""
    path = Path(path)
    draft = path.with_name(f".{path.name}.tmp")
    try:
        draft.write_bytes(content)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def as_json(metadata):
    """Texto JSON de un dict, legible y acabado en fin de línea."""
    return json.dumps(metadata, indent=1, ensure_ascii=False) + "\n"
