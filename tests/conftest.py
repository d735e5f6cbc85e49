"""Lo que comparten las pruebas: una baraja diminuta, sin red, y el modelo publicado."""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
PROJECT = Path(__file__).parents[1]
sys.path.insert(0, str(PROJECT))

import pytest  # noqa: E402

import card_model as cm  # noqa: E402
import card_reader as cr  # noqa: E402
import card_utils as cu  # noqa: E402
from drawing.demo_deck import make_deck  # noqa: E402


def pytest_collection_modifyitems(items):
    """La prueba más larga empieza la primera; el otro proceso pasa las demás entretanto."""
    items.sort(key=lambda item: "survives_a_kill" not in item.name)


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """Ninguna prueba sale a la red, tampoco los cuadernos que lanza: el proxy no existe."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


@pytest.fixture(scope="session")
def tiny_deck(tmp_path_factory):
    """Baraja dibujada de solo lectura: 2 imágenes por clase en train, 1 en valid y 1 en test."""
    return make_deck(tmp_path_factory.mktemp("deck") / "tiny", {"train": 2, "valid": 1, "test": 1})


@pytest.fixture(scope="session")
def published():
    """(modelo, metadatos) publicados en models/."""
    return cm.load_model(cu.PUBLISHED_MODEL)


@pytest.fixture(scope="session")
def deck(tiny_deck, published):
    """(imágenes, clases) de las 53 cartas dibujadas de valid."""
    return cu.load_split(tiny_deck, "valid", published[1]["class_names"])[:2]


@pytest.fixture(scope="session")
def trusted(published):
    """El modelo publicado, con una confianza fija: no depende de que su JSON la traiga."""
    model, metadata = published
    usual = {cr.LEAST: 7.0, "50": 13.0}
    trust = {"temperature": 1.0, "refusal_threshold": 6.0, "whole": usual, "corner": usual}
    return model, {**metadata, "trust": trust}
