"""Entrenar por fases: seguir tras un corte, la mejor época y repartir entre dispositivos."""

import gc
import json
import os
import re
import shutil
import subprocess
import sys
import weakref
from pathlib import Path

import keras
import numpy as np
import pytest

import card_model as cm
import card_training as train

PHASES = [[2, 32, 0.1], [2, 48, 0.2]]
RECIPE = {"batch": 8, "rate": 0.01, "weight_decay": 1e-3, "seed": 1}


def tiny_base(input_shape, **_):
    """Lo que `build_model` pide a Keras, con una sola convolución: se entrena en un momento."""
    inputs = keras.Input(input_shape)
    x = keras.layers.Rescaling(1 / 127.5, -1)(inputs)
    x = keras.layers.Conv2D(8, 3, strides=2, use_bias=False)(x)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(name="norm")(x))
    return keras.Model(inputs, x)


def make_data(count):
    """(imágenes, etiquetas) de tres clases: cuadros con más contraste cuanto mayor es la clase."""
    labels = np.arange(count) % 3
    squares = np.random.default_rng(0).uniform(-1, 1, (count, 28, 28, 3)).repeat(8, 1).repeat(8, 2)
    return np.uint8(160 + squares * (10 + 40 * labels)[:, None, None, None]), labels


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setattr(keras.applications, "MobileNetV3Small", tiny_base)


def start_fit(run, phases=PHASES, drawn=None, start="al azar", seed=0):
    """El modelo que deja `train.fit` en la carpeta `run`; apunta en `drawn` lo que dibuja."""
    run.mkdir(exist_ok=True)
    drawn = [] if drawn is None else drawn
    keras.utils.set_random_seed(seed)
    model = cm.build_model(3, None, side=None)
    model.start = start
    data = *make_data(16), np.zeros(16, bool)
    draw = lambda number: drawn.append(number) or data  # noqa: E731
    train.fit(model, draw, make_data(4), phases, run, **RECIPE)
    return model


def test_a_phase_frees_its_pictures(tmp_path):
    seen, run = [], tmp_path / "fotos"
    run.mkdir()

    def draw(number):
        images = [np.zeros((224, 224, 3), np.uint8) for _ in range(16)]
        seen.append(weakref.ref(images[0]))
        return images, np.zeros(16, int), np.zeros(16, bool)

    train.fit(cm.build_model(3, None, side=None), draw, make_data(4), PHASES, run, **RECIPE)
    gc.collect()
    assert len(seen) == len(PHASES) and all(picture() is None for picture in seen)


def cut(monkeypatch, run, epoch, moment="on_epoch_begin", **options):
    """Corta un entrenamiento en esa época: lo que hay en disco es lo que dejaría un apagón."""

    def stop(self, number, logs=None):
        usual(self, number, logs)
        if number == epoch:
            raise KeyboardInterrupt

    usual = getattr(train.EpochLine, moment)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(train.EpochLine, moment, stop)
        start_fit(run, **options)


def epochs(run):
    return [int(row["epoch"]) for row in train.read_log(run)]


def guess(model):
    return model.predict(make_data(6)[0], verbose=0)


def test_a_finished_training_is_loaded_and_not_repeated(tmp_path, capsys):
    first = start_fit(tmp_path, [[1, 32, 0.1]], start="pesos")
    log = (tmp_path / "historia.csv").read_bytes()
    assert epochs(tmp_path) == [0] and not (tmp_path / "respaldo").exists()
    drawn = []
    again = start_fit(tmp_path, [[1, 32, 0.1]], drawn, "otros", seed=9)
    assert "ya acabó" in capsys.readouterr().out
    assert not drawn and not again.compiled and again.start == "pesos"
    assert (tmp_path / "historia.csv").read_bytes() == log
    np.testing.assert_allclose(guess(again), guess(first), atol=1e-6)


def test_a_cut_training_goes_on_in_any_phase(tmp_path, monkeypatch):
    """Cortes dentro de la primera fase, entre las dos y antes de guardar la última época."""
    drawn = []
    for moment, epoch, seen in (("begin", 1, [0]), ("begin", 2, [0, 1]), ("end", 3, [1])):
        options = {"drawn": drawn, "start": f"corte {epoch}", "seed": epoch}
        cut(monkeypatch, tmp_path, epoch, f"on_epoch_{moment}", **options)
        assert drawn == seen and epochs(tmp_path) == [0, 1, 2][:epoch]
        drawn.clear()
    model = start_fit(tmp_path, drawn=drawn, start="otro", seed=9)
    assert drawn == [1] and epochs(tmp_path) == [0, 1, 2, 3]
    assert model.start == "corte 1" and model.optimizer.iterations == 4 * 16 // 8


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """Carpeta de un entrenamiento cortado al empezar la cuarta época."""
    run = tmp_path_factory.mktemp("cortado") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.applications, "MobileNetV3Small", tiny_base)
        cut(patch, run, 3)
    return run


@pytest.mark.parametrize(
    "file, content, copy",
    [
        ("training_metadata.json", "", True),
        ("training_metadata.json", '{"epoch": 3, "ba', False),
        ("latest.weights.h5", "a medias", True),
    ],
)
def test_a_broken_backup_loses_one_epoch_or_all(interrupted, tmp_path, capsys, file, content, copy):
    run = shutil.copytree(interrupted, tmp_path / "run")
    (run / "respaldo" / file).write_text(content)
    if not copy:
        for part in (run / "respaldo").glob("*.bkp"):
            part.unlink()
    start_fit(run, seed=9)
    assert epochs(run) == [0, 1, 2, *([2, 3] if copy else [0, 1, 2, 3])]
    out, message = capsys.readouterr().out, "seguimos desde la época 2" if copy else "de nuevo"
    assert message in out


def test_a_half_written_line_of_the_log_is_dropped(interrupted, tmp_path):
    log = shutil.copytree(interrupted, tmp_path / "run") / "historia.csv"
    log.write_bytes(log.read_bytes()[:-25])
    start_fit(log.parent, seed=9)
    assert epochs(log.parent) == [0, 1, 3]


def test_the_best_epoch_can_be_loaded_and_a_cut_keeps_it(interrupted, tmp_path):
    best = shutil.copytree(interrupted, tmp_path / "run") / "mejor.weights.h5"
    plain = cm.build_model(3, None)
    plain.load_weights(best)
    model = cm.build_model(3, best)
    np.testing.assert_array_equal(guess(model), guess(plain))
    assert model.start == best.name
    with pytest.raises(ValueError, match="no es un modelo de 4 clases"):
        cm.build_model(4, best)
    log = best.with_name("historia.csv")
    before, text = best.read_bytes(), log.read_text("utf-8")
    assert text.startswith("epoch,accuracy,loss,seconds,val_accuracy,val_loss\n")
    log.write_text(re.sub(r"[\d.]+\n", "0.0\n", text))  # como si nada mejorara lo de antes
    start_fit(best.parent, seed=9)
    assert best.read_bytes() == before


def test_strategy_uses_the_devices_of_one_machine(monkeypatch):
    distribute = train.tf.distribute
    assert train.strategy() is distribute.get_strategy()
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"chief": ["a:1"], "worker": ["b:1"]}}')
    with pytest.raises(RuntimeError, match="varias máquinas, y Keras 3 no lo hace"):
        train.strategy()
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1"]}}')  # una sola máquina
    assert train.strategy() is distribute.get_strategy()
    monkeypatch.setattr(distribute, "MirroredStrategy", lambda: "varias GPU")
    monkeypatch.setattr(train.tf.config, "list_logical_devices", lambda kind: [kind] * 2)
    assert train.strategy() == "varias GPU"


def train_on(count, run):
    """Entrena con `count` CPU lógicas y deja en `run` lo que resulta; con dos, en otro proceso."""
    tf, strategy = train.tf, train.tf.distribute.get_strategy()
    if count > 1:
        cpu = tf.config.list_physical_devices("CPU")[0]
        parts = [tf.config.LogicalDeviceConfiguration()] * count
        tf.config.set_logical_device_configuration(cpu, parts)
        strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(count)])
        keras.applications.MobileNetV3Small = tiny_base
    run.mkdir()
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = cm.build_model(3, None, bn_momentum=0.5, side=None)
    data = *make_data(128), np.zeros(128, bool)
    # De las 9 de valid, el último lote es de una imagen: una CPU se quedaría sin ninguna
    recipe = RECIPE | {"batch": 64, "rate": 0.003}
    train.fit(model, lambda _: data, make_data(9), [[2, 32, 0.1]], run, **recipe)
    norm = model.get_layer("norm")
    moving = [strategy.experimental_local_results(x.value) for x in norm.non_trainable_weights]
    moving = [[copy.numpy().tolist() for copy in copies] for copies in moving]
    steps = int(model.optimizer.iterations.numpy())
    (run / "resultado.json").write_text(json.dumps([steps, moving]))


def test_two_devices_share_each_batch_and_train_like_one(tmp_path):
    code = "import sys; sys.path.insert(0, sys.argv[1]); import conftest, test_fit; from pathlib"
    code += " import Path; test_fit.train_on(2, Path(sys.argv[2]))"
    runs, tests = {1: tmp_path / "una", 2: tmp_path / "dos"}, Path(__file__).parent
    train_on(1, runs[1])
    env, command = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}, [sys.executable, "-c", code, tests]
    done = subprocess.run([*command, runs[2]], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    results = (json.loads((run / "resultado.json").read_text()) for run in runs.values())
    (steps, one), (same_steps, two) = results
    assert steps == same_steps == 2 * 128 // 64, "cada paso ve el lote entero"
    # Otro orden, y cada dispositivo normaliza con su medio lote: difieren, pero menos del 2 %
    for row, other in zip(*map(train.read_log, runs.values()), strict=True):
        assert float(other["loss"]) == pytest.approx(float(row["loss"]), rel=0.02)
    assert all(copy == other for copy, other in two), "las dos guardan la misma estadística"
    (mean,), (variance,) = np.array(one)
    np.testing.assert_allclose(two[1][0], variance, rtol=0.1)
    assert np.all(np.abs(two[0][0] - mean) < 0.2 * np.sqrt(variance))
