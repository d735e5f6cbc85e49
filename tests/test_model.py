"""Construir, guardar, recargar y puntuar el modelo."""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from conftest import PROJECT

import card_model as cm
import card_training as train
import card_trust as ct
import card_utils as cu

KAGGLE_DATA = PROJECT / "../shared/card-data"


@pytest.fixture(scope="module")
def small():
    """Clasificador de 3 clases sin entrenar y dos imágenes."""
    keras.utils.set_random_seed(0)
    model = cm.build_model(3, weights=None)
    return model, np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3))


META = {"class_names": ["a", "b", "c"], "nota": "ñ"}


def test_built_as_promised():
    model = cm.build_model(53, weights=None, bn_momentum=0.9)
    assert model.start == "al azar"
    kinds = [type(layer).__name__ for layer in model.layers[-3:]]
    assert kinds == ["GlobalAveragePooling2D", "Dense", "Dense"]
    assert [layer.units for layer in model.layers[-2:]] == [128, 53]
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert len(norms) == 34 and {norm.momentum for norm in norms} == {0.9}


def test_channels_first_is_told_what_to_set(monkeypatch):
    monkeypatch.setattr(keras.config, "image_data_format", lambda: "channels_first")
    with pytest.raises(ValueError, match='"image_data_format": "channels_last"'):
        cm.build_model(5, weights=None)


def test_what_reads_imports_nothing_that_trains():
    for name in ("reader", "photo", "trust", "model", "utils", "names"):
        lines = (PROJECT / f"card_{name}.py").read_text("utf-8").splitlines()
        imports = [line for line in lines if line.lstrip().startswith(("import ", "from "))]
        assert not [
            x for x in imports if "card_training" in x or "drawing" in x and name != "utils"
        ]


def ask(model, images):
    """Las probabilidades de la red, con una mirada."""
    return model.predict(images, verbose=0)


def test_reloadable_gives_the_same_features():
    base = keras.applications.MobileNetV3Small(
        input_shape=cu.IMAGE_SHAPE, include_top=False, weights=None
    )
    images = np.random.default_rng(0).uniform(0, 255, (2, *cu.IMAGE_SHAPE)).astype(np.float32)
    mine, theirs = cm.reloadable(base)(images).numpy(), base(images).numpy()
    assert np.abs(mine - theirs).max() <= 1e-5 * np.abs(theirs).max() > 0


def test_fresh_process_with_plain_keras_reloads_it(small, tmp_path):
    model, images = small
    cm.save_model(model, META, tmp_path / "m.h5")
    np.save(tmp_path / "images.npy", images)
    code = (
        "import keras, numpy as np\n"
        "model = keras.models.load_model('m.h5')\n"
        "np.save('out.npy', model.predict(np.load('images.npy'), verbose=0))\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    assert np.abs(np.load(tmp_path / "out.npy") - ask(model, images)).max() < 1e-6


def test_offline_start_is_the_published_backbone(published, monkeypatch):
    monkeypatch.setattr(
        keras.applications, "MobileNetV3Small", refuse_download(keras.applications.MobileNetV3Small)
    )
    model = cm.build_model(53)
    assert model.start.startswith("red base de MobileNetV3_card_classifier.h5")
    name = "expanded_conv_3_depthwise"
    mine, theirs = model.get_layer(name), published[0].get_layer(name)
    assert np.array_equal(mine.get_weights()[0], theirs.get_weights()[0])


def refuse_download(build):
    """La red real puede estar o no: aquí ImageNet nunca se descarga."""

    def stand_in(*args, weights, **kwargs):
        if weights == "imagenet":
            raise OSError("URL fetch failure")
        return build(*args, weights=weights, **kwargs)

    return stand_in


def test_without_any_start_weights_it_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(cu, "PUBLISHED_MODEL", tmp_path / "nada.h5")
    monkeypatch.setattr(
        keras.applications, "MobileNetV3Small", refuse_download(keras.applications.MobileNetV3Small)
    )
    with pytest.raises(OSError, match="WEIGHTS = None"):
        cm.build_model(53)
    with pytest.raises(ValueError, match=r"No se pueden usar los pesos nada\.h5"):
        cm.build_model(53, weights="nada.h5")


def test_start_from_a_whole_model_keeps_its_head(small, tmp_path):
    """Da sus mismas respuestas, con otra inercia; con otras clases, lo dice."""
    model, images = small
    cm.save_model(model, META, tmp_path / "m.h5")
    mine = cm.build_model(3, tmp_path / "m.h5", bn_momentum=0.9)
    assert mine.start == "m.h5" and mine.get_layer("conv_bn").momentum == 0.9
    assert np.array_equal(ask(mine, images), ask(model, images))
    with pytest.raises(ValueError, match=r"m\.h5 no es un modelo de 4 clases"):
        cm.build_model(4, tmp_path / "m.h5")


def test_the_h5_carries_its_metadata(small, tmp_path):
    """El JSON es una copia: sirve para leerlo y para las medidas, si es la suya."""
    model, images = small
    path = tmp_path / "models" / "m.h5"
    cm.save_model(model, META, path)
    loaded, metadata = cm.load_model(path)
    assert metadata == META | {"measures": {}}
    assert np.array_equal(ask(loaded, images), ask(model, images))
    assert sorted(file.name for file in path.parent.iterdir()) == ["m.h5", "m.json"]

    cm.add_measures(path, uno={"x": 1})
    assert cm.load_model(path)[1]["measures"]["uno"]["x"] == 1
    text = path.with_suffix(".json").read_text("utf-8")
    for other in (text.replace("ñ", "n"), text[:20], "null", "[]"):  # de otro modelo, o a medias
        path.with_suffix(".json").write_text(other, "utf-8")
        assert cm.read_metadata(path) == META
    path.with_suffix(".json").write_text(cu.as_json({**META, "measures": None}), "utf-8")
    assert cm.read_metadata(path)["measures"] == {}
    path.with_suffix(".json").unlink()
    assert cm.load_model(path)[1] == META
    with pytest.raises(ValueError, match="elige otro nombre"):  # borraría las medidas
        cm.export_tflite(model, META, path.with_suffix(".tflite"))


def test_a_file_that_is_not_ours_says_so(small, tmp_path):
    model, _ = small
    cm.save_model(model, {"class_names": ["a", "b"]}, tmp_path / "m.h5")
    with pytest.raises(ValueError, match="da 3 salidas y nombra 2 clases"):
        cm.load_model(tmp_path / "m.h5")
    model.save(tmp_path / "ajeno.h5", include_optimizer=False)
    (tmp_path / "roto.h5").write_bytes((tmp_path / "m.h5").read_bytes()[:3000])
    model.save(tmp_path / "otro.keras")
    for name, reason in (
        ("ajeno.h5", r"está roto o no lo guardó .*card_model\.save_model"),
        ("roto.h5", "está roto o no lo guardó"),
        ("otro.keras", r"es \.keras; aquí se espera \.h5"),
    ):
        with pytest.raises(ValueError, match=f"{name} {reason}"):
            cm.load_model(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"Falta .*nada\.h5"):
        cm.load_model(tmp_path / "nada.h5")


@pytest.mark.parametrize("stage", ["h5 a medias", "antes de renombrar", "entre"])
def test_killed_while_saving(small, tmp_path, monkeypatch, stage):
    """Un corte en cada paso deja el modelo viejo o el nuevo, entero."""
    model, path, rename = small[0], tmp_path / "m.h5", os.replace
    cm.save_model(model, {**META, "versión": "vieja"}, path)

    def save(self, file, **options):
        Path(file).write_bytes(b"medio fichero")
        raise KeyboardInterrupt

    def replace(source, target):
        if stage == "antes de renombrar" or target == path.with_suffix(".json"):
            raise KeyboardInterrupt
        rename(source, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        if stage == "h5 a medias":
            patch.setattr(keras.Model, "save", save)
        patch.setattr(os, "replace", replace)
        cm.save_model(model, {**META, "versión": "nueva"}, path)
    expected = "nueva" if stage == "entre" else "vieja"
    assert cm.load_model(path)[1]["versión"] == expected
    cm.save_model(model, {**META, "versión": "tercera"}, path)
    assert cm.load_model(path)[1]["versión"] == "tercera"


def test_the_former_model_stays_beside_with_its_date(small, tmp_path, capsys):
    path = tmp_path / "m.h5"
    cm.save_model(small[0], META, path)
    (tmp_path / "m_int8.tflite").write_bytes(b"de la vieja")
    before = {file.suffix: file.read_bytes() for file in tmp_path.iterdir()}
    cm.save_model(small[0], {**META, "versión": "nueva"}, path)
    old = {file.suffix: file.read_bytes() for file in tmp_path.glob("m-20*")}
    assert old == before and not (tmp_path / "m_int8.tflite").exists()
    assert "El modelo anterior queda al lado" in capsys.readouterr().out
    alone = tmp_path / "solo/m_int8.tflite"  # su .h5 ya no estaba
    alone.parent.mkdir()
    alone.write_bytes(b"de la vieja")
    cm.save_model(small[0], META, alone.with_name("m.h5"))
    assert [file.read_bytes() for file in alone.parent.glob("m-20*")] == [b"de la vieja"]


def test_full_disk_keeps_the_old_model(small, tmp_path):
    model, _ = small
    path = tmp_path / "m.h5"
    cm.save_model(model, META, path)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    # En otro proceso: HDF5 no sabe terminar bien con un fichero que no pudo cerrar
    code = f"""
import os, resource, sys
sys.path.insert(0, {str(PROJECT)!r})
import card_model as cm
model, metadata = cm.load_model({str(path)!r})
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
try:
    cm.save_model(model, metadata, {str(path)!r})
except OSError as error:
    print(error, flush=True)
os._exit(0)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "El anterior sigue intacto" in run.stdout, run.stderr
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_run_folder_is_the_last_with_the_same_parameters(tmp_path):
    run = train.run_folder(tmp_path, {"EPOCHS": 3})
    run = run.rename(tmp_path / f"20200101-000000-{run.name[-8:]}")
    assert train.run_folder(tmp_path, {"EPOCHS": 3}) == run
    assert train.run_folder(tmp_path, {"EPOCHS": 4}) != run


def test_read_log_counts_what_the_log_has(tmp_path):
    """De ahí sale la semilla al seguir: un corte antes de la primera época deja el CSV vacío."""
    assert train.read_log(tmp_path) == []
    for text, count in (("", 0), ("epoch,val_loss\n", 0), ("epoch,val_loss\n0,3.1\n1,2.5\n", 2)):
        (tmp_path / "historia.csv").write_text(text)
        assert len(train.read_log(tmp_path)) == count


def test_one_fused_step_equals_the_one_of_keras():
    """Los mismos pesos y las mismas medias acumuladas tras un paso, con y sin fusionar."""
    images = np.random.default_rng(0).normal(3, 2, (16, 8, 8, 3)).astype(np.float32)
    ends = []
    for fused in (False, True):
        keras.utils.set_random_seed(0)
        norm = keras.layers.BatchNormalization(momentum=0.9)
        model = keras.Sequential([keras.Input((8, 8, 3)), norm, keras.layers.Conv2D(4, 3)])
        if fused:
            cm.fuse(norm)
        model.compile("sgd", "mse")
        model.train_on_batch(images, np.ones((16, 6, 6, 4), np.float32))
        ends.append(model.get_weights())
        assert np.abs(norm.moving_mean).min() > 0.1  # las medias se han movido
    for plain, fast in zip(*ends, strict=True):
        assert np.abs(plain - fast).max() < 1e-5


@pytest.mark.parametrize(
    ("correct", "low", "high"),
    [(265, 98.6, 100), (264, 97.9, 99.9), (263, 97.3, 99.8), (257, 94.2, 98.5)],
)
def test_wilson_interval(correct, low, high):
    assert [round(100 * x, 1) for x in cu.wilson(correct, 265)] == [low, high]


def test_an_older_keras_knows_every_option_that_is_written(small, tmp_path):
    """Lo prueba de verdad `tests/colab.sh`, que abre el publicado con el Keras de Colab."""
    cm.save_model(small[0], META, tmp_path / "m.h5")
    for path in (tmp_path / "m.h5", cu.PUBLISHED_MODEL):
        with h5py.File(path) as file:
            assert not [key for key in cm.NEW_KEYS if f'"{key}"' in file.attrs["model_config"]]


def test_published_model_is_light_and_documented(published):
    model, metadata = published
    assert model.count_params() == 1_019_813
    assert os.path.getsize(cu.PUBLISHED_MODEL) < 5_000_000
    assert len(metadata["class_names"]) == 53 and metadata["input"]["range"] == [0, 255]
    assert metadata["test"]["total"] == 265


def test_published_model_names_the_drawn_deck_and_the_joker(published, deck):
    model, names = published[0], published[1]["class_names"]
    assert np.mean(ct.predict(model, deck[0]).argmax(1) == deck[1]) >= 0.95
    joker = ct.predict(model, cu.read_image(PROJECT / "image1_joker.jpg"))[0]
    assert names[joker.argmax()] == "joker" and joker.max() > 0.5


@pytest.mark.skipif(not KAGGLE_DATA.is_dir(), reason="sin los datos reales en ../shared/card-data")
def test_published_model_repeats_its_figures_on_the_real_data(published):
    model, metadata = published
    for split in ("valid", "test"):
        images, labels, _ = cu.load_split(KAGGLE_DATA, split, metadata["class_names"])
        for look, told in ((ct.predict, metadata), (ask, metadata["one_look"])):
            # Otro procesador redondea distinto: una imagen en el límite puede cambiar
            correct = int(np.sum(look(model, images).argmax(1) == labels))
            assert abs(correct - told[split]["correct"]) <= 1
            assert len(labels) == told[split]["total"]


@pytest.mark.skipif(not KAGGLE_DATA.is_dir(), reason="sin los datos reales en ../shared/card-data")
def test_published_trust_is_what_its_model_and_valid_give(published):
    model, metadata = published
    valid = cu.load_split(KAGGLE_DATA, "valid", metadata["class_names"])[:2]
    expected = {kind: pytest.approx(x, abs=0.05) for kind, x in metadata["trust"].items()}
    assert train.fit_trust(model, *valid, metadata["class_names"]) == expected
