"""Leer una imagen cualquiera y rechazar con claridad la que no sirve."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import card_trust as ct
import card_utils as cu


def half_red(width=300, height=420):
    """Imagen de prueba: mitad izquierda roja, mitad derecha blanca."""
    pixels = np.full((height, width, 3), 255, np.uint8)
    pixels[:, : width // 2] = (255, 0, 0)
    return Image.fromarray(pixels)


MODES = {"jpg": "RGB CMYK", "png": "RGB RGBA P", "webp": "RGB RGBA P", "tiff": "RGB RGBA P CMYK"}


@pytest.mark.parametrize(
    "suffix, mode", [(s, m) for s, some in MODES.items() for m in some.split()]
)
def test_reads_every_mode(tmp_path, suffix, mode):
    file = tmp_path / f"carta.{suffix}"
    half_red().convert(mode).save(file)
    image = cu.read_image(file)
    assert image.shape == (224, 224, 3) and image.dtype == np.uint8
    assert np.abs(image[100, 50].astype(int) - (255, 0, 0)).max() < 12
    assert image[100, 180].min() > 243


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16"])
def test_grey_becomes_three_equal_channels(tmp_path, mode):
    grey = np.full((100, 80), 150, np.uint8)
    image = Image.fromarray(grey.astype(np.uint16) * 256) if mode == "I;16" else None
    image = image or Image.fromarray(grey).convert(mode)
    image.save(tmp_path / "gris.png")
    read = cu.read_image(tmp_path / "gris.png")
    assert np.ptp(read, axis=2).max() == 0
    if mode != "1":
        assert abs(read.mean() - 150) < 1.5


def test_transparency_goes_over_white(tmp_path):
    Image.new("RGBA", (90, 90), (0, 0, 0, 0)).save(tmp_path / "hueco.png")
    assert cu.read_image(tmp_path / "hueco.png").min() == 255


def test_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3  # media vuelta
    half_red().save(tmp_path / "girada.jpg", exif=exif)
    image = cu.read_image(tmp_path / "girada.jpg")
    assert image[100, 180, 1] < 20 and image[100, 50, 1] > 235


def test_reads_what_people_have(tmp_path):
    """Ruta, texto, bytes, fichero, `PIL.Image` y arreglos: la misma imagen."""
    picture, file = half_red(), tmp_path / "carta.png"
    picture.save(file)
    array, expected = np.asarray(picture), cu.read_image(file)
    grey = np.asarray(picture.convert("L"))
    sources = [str(file), file.read_bytes(), io.BytesIO(file.read_bytes()), picture, array]
    sources += [
        array.astype(np.float32),
        array.astype(np.int64),
        np.dstack([array, grey * 0 + 255]),
    ]
    sources += [file.as_uri(), file.as_uri().replace("carta", "c%61rta")]
    for source in sources:
        assert np.array_equal(cu.read_image(source), expected)
    assert np.ptp(cu.read_image(grey), axis=2).max() == 0
    assert np.array_equal(cu.read_image(grey[..., None]), cu.read_image(grey))


def test_home_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    half_red().save(tmp_path / "x.png")
    assert cu.open_photo("~/x.png").shape == cu.open_photo(Path("~/x.png")).shape == (420, 300, 3)


def forget_heic(monkeypatch):
    """Pillow como si nadie le hubiera enseñado a abrir HEIC."""
    monkeypatch.setattr(Image, "ID", [kind for kind in Image.ID if kind != "HEIF"])
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_photo_of_an_iphone_is_read(tmp_path, monkeypatch, orientation):
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()  # para escribirla
    exif = Image.Exif()
    exif[0x0112] = orientation  # 6: un cuarto de vuelta
    half_red().save(tmp_path / "a.heic", exif=exif.tobytes())
    forget_heic(monkeypatch)
    photo = cu.open_photo(tmp_path / "a.heic")
    assert photo.shape == ((300, 420, 3) if orientation == 6 else (420, 300, 3))
    assert photo[5, 5, 1] < 15 and (photo[5, -5, 1] < 15) == (orientation == 6)


def test_heic_without_what_reads_it_says_what_to_install(tmp_path, monkeypatch):
    forget_heic(monkeypatch)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ValueError, match="HEIC; conviértela a JPG .*pip install pillow-heif"):
        cu.read_image(bad_file(tmp_path, "heic"))


@pytest.mark.parametrize("bits", [10, 12, 16, 31])
def test_grey_is_scaled_by_the_bits_it_uses(bits):
    """De negro al gris del medio y al blanco, venga de un escáner o de una cámara."""
    dtype = np.uint16 if bits <= 16 else np.int32
    grey = np.full((40, 90), 2**bits - 1, dtype)
    grey[:, :30], grey[:, 30:60] = 0, 2 ** (bits - 1)
    assert cu.open_photo(Image.fromarray(grey))[20, [5, 45, 85], 0].tolist() == [0, 128, 255]


def test_a_large_jpg_is_halved_and_the_user_s_picture_is_left_alone(tmp_path):
    half_red(3000, 4000).save(tmp_path / "a.jpg")
    photo, scale = cu.open_scaled(tmp_path / "a.jpg")
    assert photo.shape == (2000, 1500, 3) and scale == 2
    with Image.open(tmp_path / "a.jpg") as lazy:
        assert cu.open_scaled(lazy)[1] == 1 and lazy.size == (3000, 4000)


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (None, TypeError, "sino NoneType"),
        (["a.jpg"], TypeError, "sino list.*cada elemento por separado"),
        ("https://algo/carta.jpg", ValueError, "descarga antes"),
        ("data:image/png;base64," + "iVBO" * 999, ValueError, "^data:.{65} es una URL.* sus bytes"),
        (r"C:\fotos\x.jpg", FileNotFoundError, "En WSL, esa unidad es /mnt/c/"),
        ("file:///nada/x.jpg", FileNotFoundError, "No existe el fichero file:///nada"),
        (np.zeros((3, 50, 50)), ValueError, r"llega \(3, 50, 50\)"),
        (np.zeros((1, 50, 50, 3)), ValueError, "una imagen cada vez"),
        (np.full((50, 50, 3), 0.5), ValueError, "ya dividida entre 255"),
        (np.full((50, 50), True), ValueError, "de tipo bool.*una máscara, por 255"),
        (np.full((50, 50, 3), 9, object), ValueError, "de tipo object: conviértelos a uint8"),
        (Image.fromarray(np.full((50, 50), 0.5, np.float32)), ValueError, "ya dividida entre 255"),
        ("a" * 5000, ValueError, "dañada o cortada"),
    ],
)
def test_what_is_no_picture_says_so(source, error, message):
    with pytest.raises(error, match=message):
        cu.open_photo(source)


def test_too_large_a_picture_gives_the_limit(tmp_path, monkeypatch):
    half_red().save(tmp_path / "enorme.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ValueError, match="demasiado grande; máximo"):
        cu.open_photo(tmp_path / "enorme.png")


@pytest.mark.parametrize("error, reason", [(PermissionError, "permiso"), (MemoryError, "memoria")])
def test_what_the_system_refuses_says_so(tmp_path, monkeypatch, error, reason):
    def refuse(*_, **__):
        raise error

    half_red().save(tmp_path / "carta.png")
    monkeypatch.setattr(cu.Image, "open", refuse)
    with pytest.raises(ValueError, match=reason):
        cu.read_image(tmp_path / "carta.png")


def test_training_size_is_not_resampled(tiny_deck):
    file = next((tiny_deck / "train").rglob("*.jpg"))
    assert np.array_equal(cu.read_image(file), np.asarray(Image.open(file)))


def bad_file(tmp_path, kind):
    """Un fichero que no se puede leer, de la clase pedida."""
    file = tmp_path / f"{kind}.jpg"
    half_red().save(file)
    if kind == "cortada":
        file.write_bytes(file.read_bytes()[:900])
    elif kind == "vacía":
        file.write_bytes(b"")
    elif kind == "texto":
        file.write_text("esto no es una imagen")
    elif kind == "mínima":
        Image.new("RGB", (1, 1)).save(file)
    elif kind == "heic":
        file = file.with_suffix(".heic")
        file.write_bytes(b"\x00\x00\x00\x18ftypheic" + bytes(200))
    elif kind == "heic cortada":
        file = file.with_suffix(".heic")
        pillow_heif = pytest.importorskip("pillow_heif")
        noise = np.random.default_rng(0).integers(0, 256, (99, 99, 3), np.uint8)
        pillow_heif.from_pillow(Image.fromarray(noise)).save(file)
        file.write_bytes(file.read_bytes()[:900])
    elif kind == "carpeta":
        file = tmp_path
    return file


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("cortada", "dañada o cortada"),
        ("vacía", "no es una imagen"),
        ("texto", "no es una imagen"),
        ("mínima", "mide 1x1 px; mínimo 32"),
        ("heic cortada", "dañada o cortada"),
        ("carpeta", "es una carpeta: léela con card_reader.read_folder"),
    ],
)
def test_bad_files_are_named_with_the_reason(tmp_path, kind, message):
    file = bad_file(tmp_path, kind)
    with pytest.raises(ValueError, match=message) as error:
        cu.read_image(file)
    assert str(file) in str(error.value)


def test_missing_file():
    with pytest.raises(FileNotFoundError, match=r"No existe el fichero nada\.jpg"):
        cu.read_image("nada.jpg")


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.full((224, 224, 3), 0.5), "ya dividida entre 255"),
        (np.stack([np.full((224, 224, 3), 200.0), np.full((224, 224, 3), 1.0)]), "ya dividida"),
        (np.full((224, 224, 3), -1.0), r"espera 0\.\.255"),
        (np.full((224, 224, 3), 300), r"espera 0\.\.255"),
        (np.full((224, 224, 3), np.nan), r"espera 0\.\.255"),
        (np.zeros((10, 10, 3)), "mide 10x10 px"),
        (np.zeros((2, 10, 10, 3)), "read_image"),
        (np.zeros((0, 224, 224, 3)), "read_image"),
        ([], "read_image"),
    ],
)
def test_predict_refuses_wrong_input(images, message):
    with pytest.raises(ValueError, match=message):
        ct.predict(None, images)


def test_predict_accepts_a_black_image_and_any_integer(published):
    model, _ = published
    bright = np.full((1, 224, 224, 3), 99.6)
    assert np.allclose(ct.predict(model, bright), ct.predict(model, bright.round()))
    black = np.zeros((224, 224, 3), np.float32)
    assert np.allclose(ct.predict(model, black), ct.predict(model, black.astype(np.int64)))
