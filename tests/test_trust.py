"""Confianza: calibración, rechazo, Grad-CAM y LiteRT."""

import os

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

import card_model as cm
import card_training as train
import card_trust as ct
import card_utils as cu


def synthetic(temperature, count=4000, seed=0):
    """Logits [count, 10] cuyas clases salen de softmax(logits / temperature)."""
    rng = np.random.default_rng(seed)
    logits = 6 * rng.standard_normal((count, 10))
    p = np.exp(ct.log_softmax(logits, temperature))
    return logits, np.array([rng.choice(10, p=row) for row in p])


@pytest.mark.parametrize("temperature", [0.7, 2.5])
def test_temperature_is_recovered(temperature):
    assert train.fit_temperature(*synthetic(temperature)) == pytest.approx(temperature, rel=0.08)


def test_ece_by_hand():
    # Dos tramos: seguridad 0.9 y exactitud 0.5 (4 imágenes); 0.3 y 1 (1): (4 * 0.4 + 0.7) / 5
    confidence = np.array([0.9, 0.9, 0.9, 0.9, 0.3])
    correct = np.array([True, True, False, False, True])
    assert ct.reliability(confidence, correct)["ece"] == pytest.approx(0.46)
    assert ct.reliability([1.0, 1.0], [True, True])["ece"] == 0


def test_threshold_refuses_two_percent_of_correct_cards():
    logits, labels = synthetic(1.0)
    correct = logits.argmax(1) == labels
    trust = train.trust_from_logits(logits, labels)
    readings = ct.judge({"class_names": list("abcdefghij"), "trust": trust}, logits)
    refused = np.array([r.refused for r in readings])
    assert refused[correct].sum() == pytest.approx(0.02 * correct.sum(), abs=1)


def test_logits_are_those_of_the_network(published, deck):
    logits = ct.predict_logits(published[0], deck[0])
    assert logits.shape == (53, 53)
    expected = published[0].predict(deck[0], verbose=0)
    assert np.abs(np.exp(ct.log_softmax(logits)) - expected).max() < 1e-5
    for n in (1, 5):
        assert np.abs(ct.predict_logits(published[0], deck[0][:n]) - logits[:n]).max() < 1e-3
    assert ct.inner_model(published[0]) is ct.inner_model(published[0])
    with pytest.raises(ValueError, match="uint8"):
        ct.predict_logits(published[0], deck[0] / 255)


def test_a_card_upside_down_gets_the_same_answer(published, deck):
    model, (images, _) = published[0], deck
    turned = images[:, ::-1, ::-1]
    both = [ct.predict_logits(model, x) for x in (images, turned)]
    assert np.abs(both[0] - both[1]).max() > 1
    assert ct.look_twice(model, images) == pytest.approx(np.mean(both, axis=0), abs=1e-3)
    assert ct.predict(model, turned) == pytest.approx(ct.predict(model, images), abs=1e-4)
    expected = np.exp(ct.log_softmax(np.mean(both, axis=0)))
    assert ct.predict(model, images) == pytest.approx(expected, abs=1e-4)


def test_corners_are_looked_at_once_and_have_their_own_temperature(published, deck):
    model, metadata = published
    metadata = {
        **metadata,
        "trust": {**metadata["trust"], "temperature": 2, "corner_temperature": 5},
    }
    for corner, logits, temperature in (
        (False, ct.look_twice(model, deck[0]), 2),
        (True, ct.predict_logits(model, deck[0]), 5),
    ):
        readings = ct.judge_images(model, metadata, deck[0], corner)
        expected = np.exp(ct.log_softmax(logits, temperature)).max(1)
        assert [r.confidence for r in readings] == pytest.approx(expected, abs=1e-3)
        assert [r.energy for r in readings] == pytest.approx(ct.energy(logits), abs=1e-3)


def test_logits_follow_the_weights(published, deck):
    model = keras.models.clone_model(published[0])
    model.set_weights(published[0].get_weights())
    before = ct.predict_logits(model, deck[0][:2])
    bias = model.layers[-1].bias
    bias.assign(bias + 3.0)
    assert ct.predict_logits(model, deck[0][:2]) == pytest.approx(before + 3.0, abs=1e-3)
    first = model.get_layer("conv").kernel
    first.assign(0 * first)
    assert np.ptp(ct.predict_logits(model, deck[0][:2]), axis=0).max() < 1e-3


def test_noise_is_refused_and_cards_are_not(published, deck, monkeypatch):
    crops = *deck, np.arange(53) > 2
    monkeypatch.setattr(train, "draw_candidates", lambda count, seed: crops)
    model, metadata = published
    trust = train.fit_trust(model, *deck, metadata["class_names"])
    assert "corner" not in train.fit_trust(model, *deck, sorted(metadata["class_names"])[::-1])
    metadata = {**metadata, "trust": trust}
    for values in map(list, (trust["whole"].values(), trust["corner"].values())):
        assert len(values) == 2 and values[0] < values[1]
    logits = ct.predict_logits(model, deck[0][3:])
    expected = train.percentiles(train.right_energies(logits, deck[1][3:]))
    assert trust["corner"] == pytest.approx(expected, abs=1e-3)
    expected = train.fit_temperature(logits, deck[1][3:])
    assert trust["corner_temperature"] == pytest.approx(expected, abs=1e-3)
    rng, copies = np.random.default_rng(0), []
    for image in [*deck[0]] * 4:
        copies.append(train.augment(image, rng, 0.5, 224, corner=0, any_angle=0, still=0))
    expected = train.trust_from_logits(ct.look_twice(model, np.stack(copies)), np.tile(deck[1], 4))
    assert {key: trust[key] for key in expected} == expected
    assert trust["refusal_threshold"] < trust["whole"]["5"]
    noise = np.random.default_rng(0).integers(0, 256, (8, 224, 224, 3), dtype=np.uint8)
    assert all(r.refused for r in ct.judge_images(model, metadata, noise))
    cards = ct.judge_images(model, metadata, deck[0])
    assert sum(r.refused for r in cards) <= 4


def test_grad_cam_depends_on_class(published, deck):
    image, names = deck[0][0], published[1]["class_names"]
    own, other = ct.grad_cam(published[0], image), ct.grad_cam(published[0], image, 30)
    assert own.shape == (224, 224) and own.dtype == np.float32
    assert own.min() >= 0 and own.max() == pytest.approx(1)
    assert np.array_equal(own, ct.grad_cam(published[0], image, names.index("ace of clubs")))
    assert np.abs(own - other).max() > 0.2


@pytest.mark.parametrize("quantize, least, most", [(False, 53, 4.3e6), (True, 52, 1.3e6)])
def test_tflite_agrees_with_keras(published, deck, tmp_path, quantize, least, most):
    path = cm.export_tflite(*published, tmp_path / "m.tflite", quantize)
    assert path.stat().st_size < most
    assert sorted(os.listdir(tmp_path)) == ["m.json", "m.tflite"]
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    answers = []
    for image in deck[0]:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.float32(image[None]))
        interpreter.invoke()
        answers.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0])
    same = np.argmax(answers, 1) == published[0].predict(deck[0], verbose=0).argmax(1)
    assert same.sum() >= least


def test_interrupted_csv_leaves_the_old_one(tmp_path, monkeypatch):
    (tmp_path / "salida.csv").write_text("anterior")

    def full_disk(*paths):
        raise OSError("no queda espacio")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(OSError, match="espacio"):
        cu.write_atomic(tmp_path / "salida.csv", b"nuevo")
    assert (tmp_path / "salida.csv").read_text() == "anterior"
    assert os.listdir(tmp_path) == ["salida.csv"]
