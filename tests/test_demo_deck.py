"""La baraja dibujada: completa, repetible y sin dejar nada a medias."""

import pytest
from PIL import Image

from card_names import CLASS_NAMES
from drawing import demo_deck


def test_draws_53_classes_of_224_jpg(tiny_deck):
    files = sorted(tiny_deck.rglob("*.jpg"))
    assert len(files) == 53 * 4
    assert {file.parent.name for file in files} == set(CLASS_NAMES)
    assert {Image.open(file).size + (Image.open(file).mode,) for file in files} == {
        (224, 224, "RGB")
    }
    assert len({file.read_bytes() for file in files}) == len(files)


def test_same_seed_same_bytes_whatever_else_is_drawn(tiny_deck, tmp_path):
    test_only = demo_deck.make_deck(tmp_path / "a", {"test": 1})
    other = demo_deck.make_deck(tmp_path / "b", {"test": 1}, seed=1)
    for file in test_only.rglob("*.jpg"):
        relative = file.relative_to(test_only)
        assert file.read_bytes() == (tiny_deck / relative).read_bytes()
        assert file.read_bytes() != (other / relative).read_bytes()


def test_existing_deck_is_reused_and_other_folders_are_left_alone(tiny_deck, tmp_path):
    before = {file: file.stat().st_mtime_ns for file in tiny_deck.rglob("*")}
    assert demo_deck.make_deck(tiny_deck, {"train": 2, "valid": 1, "test": 1}) == tiny_deck
    assert {file: file.stat().st_mtime_ns for file in tiny_deck.rglob("*")} == before
    (tmp_path / "mías.txt").write_text("fotos")
    with pytest.raises(FileExistsError, match="ya existe y no es la baraja"):
        demo_deck.make_deck(tmp_path)
    assert (tmp_path / "mías.txt").read_text() == "fotos"


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_interrupted_drawing_leaves_nothing(tmp_path, monkeypatch, error):
    drawn = []

    def photograph(card, rng):
        drawn.append(card)
        if len(drawn) == 5:
            raise error
        return Image.new("RGB", (224, 224))

    monkeypatch.setattr(demo_deck, "photograph", photograph)
    expected = KeyboardInterrupt if error is KeyboardInterrupt else OSError
    with pytest.raises(expected, match=None if expected is KeyboardInterrupt else "espacio"):
        demo_deck.make_deck(tmp_path / "deck", {"train": 1})
    assert list(tmp_path.iterdir()) == []
