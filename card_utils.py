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
from contextlib import nullcontext, suppress
from pathlib import Path
from unicodedata import normalize
from urllib.parse import unquote, urlsplit

import keras
import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps, UnidentifiedImageError

from card_names import SPLITS
from drawing.demo_deck import make_deck

KAGGLE_DATASET = "gpiosenka/cards-image-datasetclassification"
IMAGE_SHAPE = (224, 224, 3)
MIN_SIDE = 32  # px: por debajo no se distingue el índice de la carta
# Lo que Pillow abre, o cree que abre, y no es una foto: datos, documentos, iconos y vídeo
NO_PHOTO = set("BUFR CUR EPS FITS GRIB HDF5 ICNS ICO IPTC MPEG MSP PALM PCD PDF WMF".split())
HERE = Path(__file__).parent
PUBLISHED_MODEL = HERE / "models/MobileNetV3_card_classifier.h5"
DEMO_MODEL, FAULTS = HERE / "models/demo_card_classifier.h5", HERE / "data_faults.csv"
DATA, DEMO_DATA = "card-data", Path("card-data/demo")
DEMO = "baraja dibujada"  # una de las tres procedencias de get_data


# --- Datos -----------------------------------------------------------------------------------


def get_data(data_dir=DATA):
    """Encuentra los datos: la carpeta dada; si no, Kaggle; sin red, la baraja dibujada.

    Args:
        data_dir: carpeta con train/, valid/ y test/ y, dentro, una por clase; o la que la contiene.

    Returns:
        (root, source): `Path` de los datos y "carpeta", "Kaggle" o "baraja dibujada".

    Raises:
        FileNotFoundError: una carpeta tuya no tiene las particiones, o las llama de otro modo.
        ValueError: dentro hay varias carpetas de datos.
        OSError: no se puede dibujar la baraja que los sustituye.
    """
    given = Path(data_dir).expanduser()
    there = subfolders(given)
    inside = [given / name for name in there if not (given / name / "deck.json").is_file()]
    found = [r for r in (given, *inside) if any((r / split).is_dir() for split in SPLITS)]
    if found and (found[0] == given or len(found) == 1):
        return found[0], DEMO if (found[0] / "deck.json").is_file() else "carpeta"
    if found:
        raise ValueError(f"Varios datos en {given}: {[r.name for r in found]}. Elige en DATA_DIR.")
    none = f"En {given} no están train/, valid/ y test/"
    advice = "".join(map(renames, (given, *inside)))
    if given != Path(DATA) or advice:
        there = ", ".join(there) or "ninguna" if given.is_dir() else "no existe"
        advice = advice or f' Corrige DATA_DIR, o deja "{DATA}" para descargar los de Kaggle.'
        raise FileNotFoundError(f"{none} (carpetas que hay: {there}).{advice}")
    print(f"{none}: los pedimos a Kaggle.")
    try:
        import kagglehub  # solo quien no tiene los datos lo necesita

        return Path(kagglehub.dataset_download(KAGGLE_DATASET)), "Kaggle"
    except Exception as error:  # kagglehub lanza tipos distintos según qué falle
        reason = textwrap.shorten(f"{type(error).__name__}: {error}", 120)
        print(f"No se pudo descargar ({reason}). Usamos la baraja dibujada.")
    return make_deck(DEMO_DATA), DEMO


def subfolders(root):
    """Nombres de las carpetas de `root`, sin las de Jupyter o del sistema (`__MACOSX`)."""
    return sorted(p.name for p in Path(root).glob("[!._]*") if p.is_dir())


def renames(root):
    """Consejo de renombrar lo que en `root` parece una partición: TRAIN, Val, testing..."""
    there = subfolders(root)
    alike = {s: n for s in SPLITS for n in reversed(there) if n[:3].lower() == s[:3]}
    advice = ", ".join(f"{n} a {s}" for s, n in alike.items() if s not in there)
    return f" Renombra {advice} en {root}." if advice else ""


def split_folders(root, split):
    """Carpetas de clase de una partición, por nombre en orden alfabético.

    Acepta el anidamiento `test/test` que a veces trae el zip de Kaggle.

    Returns:
        dict {clase: Path}, con los acentos de la clase en forma NFC; un Mac los escribe en NFD.

    Raises:
        FileNotFoundError, ValueError: no existe o no tiene carpetas; dos son la misma clase.
    """
    folder = Path(root) / split
    if (folder / split).is_dir():
        folder = folder / split
    if not folder.is_dir():
        raise FileNotFoundError(
            f"Falta la carpeta {folder}. Esperamos {split}/<clase>/*.jpg. "
            f"Hay: {', '.join(subfolders(root)) or 'nada'}.{renames(root)}"
        )
    found = {normalize("NFC", name): folder / name for name in subfolders(folder)}
    if not found:
        raise FileNotFoundError(f"{folder} no tiene carpetas de clase ({split}/<clase>/*.jpg).")
    if len(found) < len(subfolders(folder)):
        raise ValueError(f"En {folder} hay dos carpetas del mismo nombre (NFC y NFD): únelas.")
    return dict(sorted(found.items()))


def find_classes(root, expected=None):
    """Clases de los datos, tras comprobar que train, valid y test tienen las mismas.

    Args:
        root: carpeta con train/, valid/ y test/.
        expected: las clases de un modelo, si los datos tienen que ser las suyas.

    Returns:
        Lista de nombres en orden alfabético; su posición es el número de clase.

    Raises:
        FileNotFoundError, ValueError: falta o sobra una partición o una clase, o está vacía.
    """
    class_names = expected or list(split_folders(root, "train"))
    asked = {normalize("NFC", name) for name in class_names}
    whose = "del modelo" if expected else "de train/"
    for split in SPLITS:
        folders = split_folders(root, split)
        missing, extra = sorted(asked - set(folders)), sorted(set(folders) - asked)
        if missing or extra:
            raise ValueError(
                f"Las clases de {split}/ no son las {whose}: faltan {missing or 'ninguna'}, "
                f"sobran {extra or 'ninguna'}. Corrige las carpetas de {root}."
            )
        if empty := [folder for folder in folders.values() if not image_files(folder)]:
            raise ValueError(f"No hay imágenes en {empty[0]}. Complétala o borra esa clase.")
    return class_names


def image_files(folder):
    """Ficheros de imagen de una carpeta (por su extensión), en orden alfabético."""
    known = extensions()
    return sorted(p for p in Path(folder).glob("[!.]*") if p.suffix.lower() in known)


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
        FileNotFoundError, ValueError: falta `split` o una clase, o esta no tiene imagen legible.
    """
    folders, names = split_folders(root, split), [normalize("NFC", n) for n in class_names]
    if missing := sorted(set(names) - set(folders)):
        raise ValueError(f"En {split}/ de {root} faltan las clases {missing}.")
    files = [file for name in names for file in image_files(folders[name])]
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
        text = f"Saltamos {len(files) - errors.count(None)} de {len(files)} imágenes de {split}:"
        print(text, *filter(None, errors), sep="\n  ")
        images = images[[error is None for error in errors]] if keep else None
        files = [file for file, error in zip(files, errors, strict=True) if error is None]
    labels = [names.index(normalize("NFC", file.parent.name)) for file in files]
    if unread := sorted({*names} - {names[i] for i in labels}):
        raise ValueError(f"En {split}/ de {root} no queda ninguna imagen legible de {unread}.")
    return images, np.array(labels, np.int32), files


# --- Imágenes --------------------------------------------------------------------------------


def extensions():
    """Terminaciones de las fotos que abre Pillow, y con `pillow-heif` también las de iPhone."""
    with suppress(ImportError):
        import pillow_heif  # Colab no lo trae

        pillow_heif.register_heif_opener()
    known = Image.registered_extensions().items()
    return {".heic", ".heif"} | {end for end, kind in known if kind not in NO_PHOTO}


def open_photo(source):
    """Lee una imagen cualquiera sin deformarla: EXIF, transparencia sobre blanco y RGB.

    De un JPG grande se lee la mitad o menos (1024 px o más); de una animación, el primer cuadro.

    Args:
        source: ruta, bytes, fichero binario abierto, `PIL.Image` o arreglo en 0..255, [alto, ancho]
            o [alto, ancho, canales]: 1 (gris), 3 (RGB) o 4 (RGBA). Lo que da `cv2.imread` es BGR,
            y no se nota: pásalo como `photo[..., ::-1]`.

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
    name, image = "la imagen", None
    extensions()  # con HEIC
    if isinstance(source, (str, os.PathLike)):
        source = name = os.fsdecode(os.path.expanduser(source))
        if name.startswith(("http:", "https:", "data:")):
            raise ValueError(f"{name[:70]} es una URL: descarga antes la imagen, o da sus bytes.")
        if name.startswith("file://"):
            source = unquote(urlsplit(name).path)
    elif isinstance(source, np.ndarray):
        source = from_array(source)
    elif isinstance(source, (bytes, bytearray)):
        source = io.BytesIO(source)
    elif not isinstance(source, Image.Image) and not hasattr(source, "read"):
        valid = "una ruta, bytes, un fichero abierto, un PIL.Image o un arreglo"
        kind = f"No es una imagen, sino {type(source).__name__}: pasa {valid}"
        raise TypeError(f"{kind}; de una lista, cada elemento por separado.")
    try:
        with nullcontext(source) if isinstance(source, Image.Image) else Image.open(source) as raw:
            before = raw.width
            if raw is not source:
                raw.draft("RGB", (1024, 1024))
            scale = before / raw.width
            image = ImageOps.exif_transpose(raw)
            if min(image.size) < MIN_SIDE:
                raise ValueError(f"mide {image.width}x{image.height} px; mínimo {MIN_SIDE} de lado")
            if image.mode[0] in "IF":  # grises de 10 a 32 bits: convert() los saturaría
                grey = np.asarray(image)
                if 255 < grey.max() < np.inf:
                    grey = grey * (255 / (2 ** int(grey.max()).bit_length() - 1))
                check_range(grey[None])
                image = Image.fromarray(grey.clip(0, 255).round().astype(np.uint8))
            if image.has_transparency_data:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            return np.asarray(image.convert("RGB")), scale
    except FileNotFoundError:
        wsl = f" En WSL, esa unidad es /mnt/{name[0].lower()}/." if name[1:2] == ":" else ""
        raise FileNotFoundError(f"No existe el fichero {name}.{wsl}") from None
    except IsADirectoryError:
        reason = "es una carpeta: léela con card_reader.read_folder"
    except UnidentifiedImageError:
        reason = "no es una imagen JPG, PNG ni otra que Pillow sepa abrir"
        if "HEIF" not in Image.OPEN and str(name).lower().endswith((".heic", ".heif")):
            reason = "es HEIC; conviértela a JPG (iPhone: Ajustes > Cámara > Más compatible)"
            reason += " o instala con qué leerla: pip install pillow-heif"
    except Image.DecompressionBombError:
        reason = f"demasiado grande; máximo {2 * Image.MAX_IMAGE_PIXELS / 1e6:.0f} megapíxeles"
    except PermissionError:
        reason = "no hay permiso para leerla"
    except MemoryError:
        reason = "no cabe en la memoria"
    except ValueError as error:  # nuestro, o de quien la decodifica
        reason = str(error) if image else f"está dañada o cortada ({str(error).strip()})"
    except Exception as error:  # Pillow lanza OSError, SyntaxError, struct.error, zlib.error...
        reason = f"está dañada o cortada ({error})"
    raise ValueError(f"No se puede leer {name}: {reason}.")


def from_array(array):
    """`PIL.Image` de un arreglo en 0..255: grises, RGB o RGBA."""
    array = array[..., 0] if array.shape[2:] == (1,) else array
    if array.ndim != 2 and (array.ndim != 3 or array.shape[2] not in (3, 4)) or not array.size:
        shape = f"Esperamos [alto, ancho] o [alto, ancho, 1, 3 o 4] y llega {array.shape}"
        raise ValueError(f"{shape}: una imagen cada vez, con los canales al final.")
    check_range(array[None])
    return Image.fromarray(array.round().astype(np.uint8))


def check_range(images):
    """Un `ValueError` si alguna de [n, ...] no está en 0..255, o parece dividida entre 255."""
    if images.dtype.kind not in "uif":
        kind = f"Esperamos números en 0..255 y llegan de tipo {images.dtype}"
        raise ValueError(f"{kind}: conviértelos a uint8 (una máscara, por 255).")
    axes = tuple(range(1, images.ndim))
    low, high = images.min(axis=axes), images.max(axis=axes)
    if not (low.min() >= 0 and high.max() <= 255):  # también falla con NaN
        raise ValueError(f"Los valores van de {low.min()} a {high.max()}; la red espera 0..255.")
    if images.dtype.kind == "f" and np.any((high > 0) & (high <= 1)):
        scaled = "La imagen parece ya dividida entre 255 (su máximo es 1 o menos)"
        raise ValueError(f"{scaled}: divide solo para imshow; la red reescala por dentro.")


def read_image(source):
    """`open_photo`, y estirada como las de Kaggle: uint8 [224, 224, 3], la entrada de la red."""
    return squash(open_photo(source))


def squash(photo):
    """Estira una foto uint8 [alto, ancho, 3] a la entrada de la red, [224, 224, 3]."""
    return np.asarray(Image.fromarray(photo).resize(IMAGE_SHAPE[:2], Image.Resampling.BILINEAR))


# --- Puntuar ---------------------------------------------------------------------------------


def count(hits):
    """{"correct": k, "total": n} de una lista de aciertos, bool [n]."""
    return {"correct": int(np.sum(hits)), "total": len(hits)}


def wilson(correct, total):
    """Intervalo de Wilson al 95 % de `correct` aciertos en `total` ensayos, en 0..1 (1927)."""
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
    details = tf.config.experimental.get_device_details
    gpus = [details(g).get("device_name", "GPU") for g in tf.config.list_physical_devices("GPU")]
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
