"""Leer una carpeta: fotos rotas, lo que queda fuera, un corte y el CSV que ya estaba."""

import os
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import card_reader as cr
import card_trust as ct

METADATA = {"trust": {"whole": {}}}  # basta cuando `read_cards` es de mentira
HEADER = "file,number,card,confidence,refused,kind,box,error\n"


@pytest.fixture
def asked(monkeypatch):
    """Nombres de las fotos que se leen, con un lector de mentira que ve dos cartas en cada una."""
    names = []

    def read(model, metadata, file):
        names.append(file.name)
        if file.name.startswith("corte") and names.count(file.name) == 1:
            shutil.copy(file.with_name("salida.csv"), file.with_name("disco"))  # lo ya escrito
            raise KeyboardInterrupt
        if file.name.startswith("falla") and names.count(file.name) == 1:
            raise MemoryError
        box = np.float32([[0, 0.6], [9, 0], [9, 9], [0, 9]])
        return [ct.Reading(card, 0.98764, False, 9.0, "corner", box) for card in ("NA", "b")]

    monkeypatch.setattr(cr, "read_cards", read)
    return names


def make(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def test_folder_with_a_broken_picture(trusted, deck, tmp_path):
    Image.fromarray(deck[0][0]).save(tmp_path / "a0.ppm")
    (tmp_path / "b0.jpg").write_bytes(b"rota")
    Image.new("RGB", (300, 200), "gray").save(tmp_path / "c0.png")
    make(tmp_path, "viaje/d0.HEIC", "._a0.png", ".cache/e0.png", "__MACOSX/e0.png")
    Image.new("RGB", (300, 200), "gray").save(tmp_path / "_MG_1.png")
    files = ["_MG_1.png", "a0.ppm", "b0.jpg", "c0.png", "viaje/d0.HEIC"]
    if sys.platform != "darwin":  # allí no puede haber un nombre que no sea UTF-8
        make(tmp_path, os.fsdecode(b"z\xf3.jpg"))
        files.append(r"z\udcf3.jpg")
    table = cr.read_folder(*trusted, tmp_path, tmp_path / "lecturas/salida.csv")
    assert table.card[1] == trusted[1]["class_names"][0] and table.number[1] == 1
    assert "no es una imagen" in table.error[2] and "d0.HEIC" in table.error[4]
    assert table.refused[3] is True and table.error[3] == ""
    saved = pd.read_csv(tmp_path / "lecturas/salida.csv")
    assert list(saved.columns) == HEADER.strip().split(",") and list(saved.file) == files


def test_an_error_in_a_photo_spares_the_others_and_is_tried_again(asked, tmp_path):
    make(tmp_path, "a.jpg", "falla.jpg", "z.jpg")
    table = cr.read_folder(None, METADATA, tmp_path, tmp_path / "salida.csv")
    assert list(table.card) == ["NA", "b", "", "NA", "b"] and table.error[2] == "MemoryError"
    assert table.box[0] == [[0, 1], [9, 0], [9, 9], [0, 9]] and table.confidence[0] == 0.9876
    table = cr.read_folder(None, METADATA, tmp_path, tmp_path / "salida.csv")
    assert asked == ["a.jpg", "falla.jpg", "z.jpg", "falla.jpg"]
    assert sorted(table.file) == sorted([*asked[:3], *asked[:3]]) and not any(table.error)


@pytest.mark.parametrize("cut", [0, 20, 60])
def test_what_was_read_before_a_cut_is_kept(asked, tmp_path, capsys, cut):
    """También si la última línea quedó a medias: la foto en que se cortó se lee otra vez."""
    make(tmp_path, "a.jpg", "b.jpg", "corte.jpg", "d.jpg")
    out = tmp_path / "salida.csv"
    with pytest.raises(KeyboardInterrupt):
        cr.read_folder(None, METADATA, tmp_path, out)
    on_disk = (tmp_path / "disco").read_text()  # lo que quedaría si la matan
    assert out.read_text() == on_disk and on_disk.count("\n") == 5  # cabecera y dos cartas por foto
    out.write_text(out.read_text()[: -cut or None])
    table = cr.read_folder(None, METADATA, tmp_path, out)
    again = ["b.jpg"] if cut else []
    assert asked == ["a.jpg", "b.jpg", "corte.jpg", *again, "corte.jpg", "d.jpg"]
    assert sorted(table.file) == sorted(2 * ["a.jpg", "b.jpg", "corte.jpg", "d.jpg"])
    assert list(table.number) == 4 * [1, 2] and out.read_text().count(HEADER) == 1
    left = 2 + len(again)
    assert f"salida.csv tiene {4 - left} fotos y faltan {left}" in capsys.readouterr().out


def test_a_name_is_no_formula_and_is_known_again(asked, tmp_path):
    names = ["'a.jpg", "+b.jpg", "-c.jpg", "=d(1).jpg", "@e.jpg", "f\ng.jpg"]
    make(tmp_path, *names)
    for _ in range(3):
        table = cr.read_folder(None, METADATA, tmp_path, tmp_path / "salida.csv")
        assert list(table.file[::2]) == [*names[:5], "f g.jpg"] and asked == names
    cells = [line.split(",")[0] for line in (tmp_path / "salida.csv").read_text().splitlines()[1:]]
    assert cells[::2] == ["''a.jpg", "'+b.jpg", "'-c.jpg", "'=d(1).jpg", "'@e.jpg", "f g.jpg"]


def test_what_is_left_out_is_counted(asked, tmp_path, capsys):
    make(
        tmp_path, "a.jpg", "b.CR2", "c.mp4", "d/e.MP4", "f.pdf", "g.eps", "modelo.h5", "nota", ".h"
    )
    for _ in range(2):  # la segunda vez, también está el CSV
        cr.read_folder(None, METADATA, tmp_path, tmp_path / "salida.csv")
        told = capsys.readouterr().out
        assert "Quedan fuera: 1 .cr2, 2 .mp4, 1 .pdf" in told and "1 sin terminación" in told
    assert asked == ["a.jpg"]


def test_folder_is_checked_before_reading(asked, tmp_path):
    make(tmp_path, "a.jpg", "vacía/nota.txt")
    for folder, name, error, message in (
        ("nada", "salida.csv", FileNotFoundError, "nada no existe"),
        ("a.jpg", "salida.csv", FileNotFoundError, "no es una carpeta"),
        ("vacía", "salida.csv", ValueError, "No hay imágenes"),
        ("", "cartas.xlsx", ValueError, r"Pide una carpeta y un .csv"),
        ("", "cartas", ValueError, r"Pide una carpeta y un .csv"),
        ("", "a.jpg/salida.csv", OSError, "a.jpg"),  # ahí no se puede escribir
    ):
        with pytest.raises(error, match=message):
            cr.read_folder(None, METADATA, tmp_path / folder, tmp_path / name)
    for name in (["a.csv"], None):
        with pytest.raises(ValueError, match=r"Pide una carpeta y un .csv"):
            cr.read_folder(None, METADATA, tmp_path, name)
    with pytest.raises(ValueError, match="Pide una carpeta y un .csv"):
        cr.read_folder(None, METADATA, [tmp_path], tmp_path / "salida.csv")
    assert not asked and not list(tmp_path.glob("*.csv"))


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "una línea", HEADER.replace("box", "caja"), "\n"])
def test_another_csv_is_not_overwritten(asked, tmp_path, text):
    make(tmp_path, "a.jpg")
    (tmp_path / "b.csv").write_text(text)
    with pytest.raises(ValueError, match=r"b\.csv no es un CSV de read_folder"):
        cr.read_folder(None, METADATA, tmp_path, tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text() == text and not asked
