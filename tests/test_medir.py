"""Lo que cuenta `benchmarks/medir.py`, contado a mano."""

import numpy as np
import pytest
from conftest import PROJECT

import card_training as train
from card_names import CLASS_NAMES
from card_trust import Reading


@pytest.fixture
def medir(monkeypatch):
    monkeypatch.syspath_prepend(PROJECT / "benchmarks")
    import medir

    return medir


def test_tally_counts_what_is_missing_and_what_is_not_there(medir, monkeypatch, capsys):
    told = {
        "bien": "ab",
        "falta": "a",
        "sobra": "abc",
        "rechaza": "aB",
        "asoma": "abd",
        "doble": "ab",
    }

    def read(model, metadata, source):  # las mayúsculas, rechazadas
        return [Reading(x.lower(), 0.9, x.isupper(), 9.0) for x in told[source]]

    monkeypatch.setattr(medir.cr, "read_cards", read)
    every = {"asoma": ["a", "b", "d"], "doble": ["a", "a", "b"]}
    cases = [(name, name, ["a", "b"], every.get(name, [])) for name in told]
    figures = medir.tally(cases, None, None)
    assert figures["recall"] == {"correct": 10, "total": 12}
    assert figures["precision"] == {"correct": 10, "total": 11}
    assert figures["clean"] == {"correct": 3, "total": 6}  # bien, asoma y doble
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["falta", "sobra", "rechaza"]


def test_every_light_hurts_more_by_degrees(medir):
    photo = np.asarray(medir.make_spread(np.random.default_rng(0), 5, "fan", (320, 240))[0])
    for kind, (_, degrees) in medir.LIGHTS.items():
        hurt = [medir.spoil(photo, kind, degree) for degree in degrees]
        assert all(x.dtype == np.uint8 and x.ndim == 3 for x in hurt), kind
        if hurt[0].shape == hurt[2].shape == photo.shape:
            away = [np.abs(x.astype(int) - photo).mean() for x in hurt]
            assert 0 < away[0] < away[1] < away[2], kind
    assert medir.spoil(photo, "dark", 40).mean() == pytest.approx(0.4 * photo.mean(), abs=1)
    assert medir.spoil(photo, "small", 60).shape == (144, 192, 3)


def test_what_is_measured_is_never_trained(medir, monkeypatch):
    def stop(count, seed):
        raise LookupError(seed)

    for name in ("draw_free_cards", "draw_candidates"):
        monkeypatch.setattr(medir, name, stop)
    monkeypatch.setattr(medir, "STRESSES", {})
    monkeypatch.setattr(medir, "hits", lambda *_: [True])
    monkeypatch.setattr(medir.cu, "load_split", lambda *_: ([], [], []))
    for part, given in (medir.stress, (None, {"class_names": []}, "")), (medir.candidates, (0, 0)):
        with pytest.raises(LookupError) as seed:
            part(*given)
        # Un entrenamiento con SEED = 60 000 llega a 64 000 en su quinta fase
        assert seed.value.args[0] == medir.SEED and 64_000 < medir.SEED != train.TRUST_SEED
    monkeypatch.setattr(np.random, "default_rng", lambda key: stop(0, key[0]))
    for draw in (
        lambda: medir.drawn_scenes("separate", [0]),
        lambda: medir.drawn_scenes("fan", [0]),
        lambda: medir.screen_scenes("row", [0]),
        medir.equal_cards,
    ):
        with pytest.raises(LookupError) as seed:
            next(iter(draw()))
        assert seed.value.args[0] == medir.SEED


def test_a_hand_is_read_in_any_light(medir, published):
    hand, truth, _ = medir.make_spread(np.random.default_rng(3), 5, "fan")
    for kind, (_, degrees) in medir.LIGHTS.items():
        photo = medir.spoil(np.asarray(hand), kind, degrees[1])
        told = {r.card for r in medir.cr.read_cards(*published, photo) if not r.refused}
        assert len(told) >= 3 and told <= {name for name, _ in truth}, kind


def test_equal_cards_and_screens_say_what_is_in_them(medir):
    cases = list(medir.equal_cards())
    assert len(cases) == 12 and all(len(set(names)) < len(names) for _, _, names, _ in cases)
    ((_, photo, seen, every),) = medir.screen_scenes("row", [3])
    assert photo.dtype == np.uint8 and set(seen) <= set(every) and len(every) > 2
    assert next(medir.screen_scenes("page", [0], 0))[2:] == ([], [])


def test_the_ablation_trains_with_the_parameters_of_the_notebook(medir, monkeypatch, deck):
    import ablacion

    told = {}
    images, labels = deck
    monkeypatch.setattr(ablacion.cu, "find_classes", lambda data: list(CLASS_NAMES))
    monkeypatch.setattr(ablacion.cu, "load_split", lambda *_, **__: (images, labels, []))
    monkeypatch.setattr(ablacion.train, "draw_others", lambda count, files, seed: [b""] * count)
    monkeypatch.setattr(ablacion.train, "fit", lambda *given, **recipe: told.update(recipe))
    parameters = {**ablacion.defaults(), **ablacion.BASE, "NO_CARDS": 3, "repair": False}
    ablacion.fit(None, None, parameters, None)
    known = ablacion.cm.read_metadata(ablacion.cu.PUBLISHED_MODEL)["parameters"]
    assert told.pop("corner") == 0.2
    assert told == {key.lower(): known[key] for key in ("BATCH", "RATE", "SEED")}
