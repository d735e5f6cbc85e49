"""Encontrar los datos, comprobar las carpetas y leerlas."""

import csv
import shutil
import sys
from types import SimpleNamespace
from unicodedata import normalize

import numpy as np
import pytest
from conftest import PROJECT
from PIL import Image

import card_model as cm
import card_training as train
import card_utils as cu
from card_names import CLASS_NAMES, SPLITS, card_name


@pytest.fixture
def data(tiny_deck, tmp_path):
    """Copia de la baraja diminuta que la prueba puede estropear, sin deck.json."""
    root = tmp_path / "data"
    shutil.copytree(tiny_deck, root)
    (root / "deck.json").unlink()
    return root


def stand_in_kaggle(monkeypatch, download):
    monkeypatch.setitem(sys.modules, "kagglehub", SimpleNamespace(dataset_download=download))


def no_network(handle):
    raise ConnectionError("sin red")


def test_given_folder_comes_first(data, tiny_deck, monkeypatch):
    stand_in_kaggle(monkeypatch, no_network)
    assert cu.get_data(data) == (data, "carpeta")
    assert cu.get_data(tiny_deck) == (tiny_deck, cu.DEMO)


def test_then_kaggle(data, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    asked = []
    stand_in_kaggle(monkeypatch, lambda handle: asked.append(handle) or str(data))
    assert cu.get_data() == (data, "Kaggle")
    assert asked == ["gpiosenka/cards-image-datasetclassification"]


@pytest.mark.parametrize("download", [no_network, None])
def test_without_network_nor_kagglehub_the_deck_is_drawn(monkeypatch, tmp_path, capsys, download):
    if download:
        stand_in_kaggle(monkeypatch, download)
    else:
        monkeypatch.setitem(sys.modules, "kagglehub", None)
    monkeypatch.setattr(cu, "make_deck", lambda folder: folder)
    monkeypatch.chdir(tmp_path)
    assert cu.get_data() == (cu.DEMO_DATA, cu.DEMO)
    assert "Usamos la baraja dibujada" in capsys.readouterr().out


def test_own_data_are_found_one_level_down_and_never_replaced(data, monkeypatch, tmp_path):
    stand_in_kaggle(monkeypatch, lambda handle: pytest.fail("pidió otros datos"))
    assert cu.get_data(data.parent) == (data, "carpeta")
    (tmp_path / "vacía" / "fotos").mkdir(parents=True)
    (tmp_path / "nota.txt").write_text("no es una carpeta")
    for name, there in (("vacía", "fotos"), ("nota.txt", "no existe"), ("nada", "no existe")):
        with pytest.raises(FileNotFoundError, match=f"{name} no están .*{there}.*DATA_DIR"):
            cu.get_data(tmp_path / name)


def test_a_split_of_another_name_is_proposed(data):
    (data / "valid").rename(data / "val")
    with pytest.raises(FileNotFoundError, match="Hay: test, train, val. Renombra val a valid"):
        cu.find_classes(data)


@pytest.mark.parametrize("names", ["TRAIN VAL TEST", "Train Valid Test", "training valida testing"])
def test_three_splits_of_other_names_are_proposed(data, monkeypatch, names):
    stand_in_kaggle(monkeypatch, lambda handle: pytest.fail("pidió otros datos"))
    names = names.split()
    for name, split in zip(names, SPLITS, strict=True):
        (data / split).rename(data / name)
    told = ", ".join(f"{name} a {split}" for name, split in zip(names, SPLITS, strict=True))
    for where in (data, data.parent):
        with pytest.raises(FileNotFoundError, match=f"no están .* Renombra {told} en {data}"):
            cu.get_data(where)
    monkeypatch.chdir(data.parent)
    data.rename(cu.DATA)  # ni en la carpeta de omisión se cambian por los de Kaggle
    with pytest.raises(FileNotFoundError, match=f"Renombra {told}"):
        cu.get_data()


def test_of_two_data_sets_side_by_side_none_is_taken_in_silence(data, tmp_path):
    (tmp_path / "otra/train").mkdir(parents=True)
    with pytest.raises(
        ValueError, match=r"Varios datos en .*\['data', 'otra'\]. Elige en DATA_DIR"
    ):
        cu.get_data(tmp_path)
    (tmp_path / "otra").rename(tmp_path / "__MACOSX")
    assert cu.get_data(tmp_path) == (data, "carpeta")


def test_a_class_is_the_same_whoever_writes_its_accent(data):
    """Un Mac escribe la tilde aparte (NFD), y Linux, dentro de la letra (NFC)."""
    composed, apart = (normalize(form, "comodín") for form in ("NFC", "NFD"))
    for split, name in zip(SPLITS, (composed, apart, apart), strict=True):
        (data / split / "joker").rename(data / split / name)
    names = cu.find_classes(data)
    assert composed in names and apart not in names
    known = [apart if name == composed else name for name in names]
    assert cu.find_classes(data, expected=known) == known
    for split in ("train", "valid"):
        _, labels, files = cu.load_split(data, split, known)
        assert labels[["comod" in str(file) for file in files]].tolist()[:1] == [known.index(apart)]
    (data / "train" / apart).mkdir()
    if len(list((data / "train").glob("comod*"))) == 2:  # en un Mac es la misma carpeta
        with pytest.raises(ValueError, match="dos carpetas del mismo nombre"):
            cu.find_classes(data)


def test_classes_are_the_53_in_alphabetical_order(data):
    names = cu.find_classes(data)
    assert len(names) == 53 and names == sorted(names)
    assert card_name(names[0]) == "as de tréboles" and card_name("joker") == "comodín"
    assert card_name("queen of spades") == "reina de picas"
    assert card_name("otra cosa") == "otra cosa"


def test_nested_split_and_hidden_folders_are_understood(data):
    (data / "test").rename(data / "tmp")
    (data / "test").mkdir()
    (data / "tmp").rename(data / "test" / "test")
    (data / "train" / ".ipynb_checkpoints").mkdir()
    (data / "train" / "__MACOSX").mkdir()
    (data / "train" / "joker" / "Thumbs.db").write_text("no es imagen")
    assert len(cu.find_classes(data)) == 53
    assert len(cu.load_split(data, "test", cu.find_classes(data))[0]) == 53


def break_layout(data, how):
    if how == "falta la partición":
        shutil.rmtree(data / "valid")
    elif how == "partición vacía":
        shutil.rmtree(data / "valid")
        (data / "valid").mkdir()
    elif how == "falta una clase":
        shutil.rmtree(data / "valid" / "joker")
    elif how == "sobra una clase":
        shutil.copytree(data / "test" / "joker", data / "test" / "trece de picas")
    elif how == "clase vacía":
        for file in (data / "train" / "joker").iterdir():
            file.unlink()


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ("falta la partición", FileNotFoundError, "Falta la carpeta .*valid"),
        ("partición vacía", FileNotFoundError, "valid no tiene carpetas de clase"),
        ("falta una clase", ValueError, r"valid/ no son .* faltan \['joker'\]"),
        ("sobra una clase", ValueError, r"test/ no son .* sobran \['trece de picas'\]"),
        ("clase vacía", ValueError, "No hay imágenes en .*joker"),
    ],
)
def test_wrong_layout_says_what_to_mend(data, how, error, message):
    break_layout(data, how)
    with pytest.raises(error, match=message):
        cu.find_classes(data)


def test_classes_other_than_the_model_s_are_named(data):
    names = cu.find_classes(data)
    assert cu.find_classes(data, expected=names) == names
    with pytest.raises(ValueError, match=r"no son las del modelo: faltan \['caballo'\], sobran"):
        cu.find_classes(data, expected=["caballo", *names[1:]])


def test_broken_image_is_named_counted_and_skipped(data, capsys):
    names = cu.find_classes(data)
    broken = next((data / "train" / "joker").iterdir())
    broken.write_bytes(broken.read_bytes()[:700])
    (data / "train/joker/lost.png").symlink_to(data / "nada.png")
    images, labels, files = cu.load_split(data, "train", names)
    assert len(images) == len(labels) == len(files) == 105 and broken not in files
    assert all(names[label] == file.parent.name for label, file in zip(labels, files, strict=True))
    assert np.array_equal(images[-1], cu.read_image(files[-1]))
    out = capsys.readouterr().out
    assert "Saltamos 2 de 107 imágenes de train" in out and str(broken) in out


def test_class_without_readable_images_stops(data):
    names = cu.find_classes(data)
    for file in (data / "test" / "joker").iterdir():
        file.write_text("roto")
    with pytest.raises(ValueError, match="no queda ninguna imagen legible"):
        cu.load_split(data, "test", names)


def test_wrong_labels_are_repaired_only_where_the_facts_say(tmp_path, deck):
    """Y solo si la imagen es esa: la propia que se llame igual conserva su etiqueta."""
    files = [tmp_path / "train" / name for name in ("a/1.jpg", "a/2.jpg", "b/1.jpg")]
    for file, image in zip(files, deck[0], strict=False):
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(file, quality=60)  # basta que se parezca
    mark = np.packbits(train.fingerprint(deck[0][0])).tobytes().hex()
    faults = tmp_path / "faults.csv"
    rows = f"wrong_label,train/a/1.jpg,b,{mark}\nodd,train/a/2.jpg,b,{mark}\n"
    faults.write_text("kind,file,class,dhash\n" + rows)
    labels, count = train.repair_labels(np.array([0, 0, 1]), files, ["a", "b"], faults)
    assert labels.tolist() == [1, 0, 1] and count == 1
    Image.fromarray(deck[0][7]).save(files[0])
    labels, count = train.repair_labels(np.array([0, 0, 1]), files, ["a", "b"], faults)
    assert labels.tolist() == [0, 0, 1] and count == 0


def test_near_copies_are_those_the_facts_name(monkeypatch):
    facts = {"near_copy": {1: "a"}, "odd": {0: "a"}, "wrong_label": {2: "a"}}
    monkeypatch.setattr(train, "known_faults", lambda files, kind: facts[kind])
    assert train.near_copies(["x", "y", "z"]).tolist() == [False, True, False]


def test_the_facts_name_real_classes():
    rows = list(csv.DictReader(open(PROJECT / "data_faults.csv", encoding="utf-8", newline="")))
    wrong = [row for row in rows if row["kind"] == "wrong_label"]
    assert wrong and all(row["class"] in CLASS_NAMES and row["fact"] for row in wrong)
    assert all(row["file"].startswith("train/") for row in wrong), "valid y test no se tocan"
    assert all(row["file"].split("/")[1] != row["class"] for row in wrong)
    known = cm.read_metadata(cu.PUBLISHED_MODEL)
    copies = sum(row["kind"] == "near_copy" and row["file"][:5] == "test/" for row in rows)
    assert copies == known["test"]["total"] - known["test_clean"]["total"]
