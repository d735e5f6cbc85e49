"""Lo que se dibuja para entrenar: barajas que no existen, lo que no es un naipe, y su aumento."""

import numpy as np
import pytest

import card_training as train
import demo_deck
import free_deck
import no_cards


def test_free_cards_are_balanced_repeatable_and_do_not_depend_on_how_many():
    images, labels = free_deck.draw_free_cards(2, seed=3)
    assert images.shape == (106, 224, 224, 3) and images.dtype == np.uint8
    assert np.bincount(labels).tolist() == [2] * 53
    fewer, _ = free_deck.draw_free_cards(1, seed=3)
    assert np.array_equal(images[:53], fewer)
    assert not np.array_equal(free_deck.draw_free_cards(1, seed=4)[0], fewer)
    assert min(image.std() for image in images) > 2  # en todas hay algo dibujado


def test_letters_of_a_language_never_name_two_ranks():
    assert sum(free_deck.LETTERS.values()) == 100
    for letters in free_deck.LETTERS:
        assert len(set(letters.split())) == 4


def test_index_grows_to_a_third_of_the_card_and_has_one_two_or_four_corners():
    styles = [free_deck.free_style(np.random.default_rng(seed)) for seed in range(300)]
    heights = [style.index / demo_deck.HEIGHT for style in styles]
    assert min(heights) < 0.07 and 0.3 < max(heights) < 0.34
    assert {style.corners for style in styles} == {1, 2, 4}


def test_a_missing_font_is_left_out(monkeypatch):
    found = demo_deck.font_file
    monkeypatch.setattr(
        demo_deck, "font_file", lambda font: found("no está" if font == "cmti10" else font)
    )
    assert "cmti10" not in demo_deck.available(demo_deck.FONTS)
    assert "cmr10" in demo_deck.available(demo_deck.FONTS)


def test_no_cards_repeat_with_the_seed_and_half_look_like_cards():
    images = no_cards.draw_no_cards(30, seed=1)
    assert images.shape == (30, 224, 224, 3) and images.dtype == np.uint8
    assert np.array_equal(no_cards.draw_no_cards(4, seed=1), images[:4])
    assert not np.array_equal(no_cards.draw_no_cards(4, seed=2), images[:4])


def test_augment_changes_the_side_and_shows_the_corner():
    batch = np.zeros((64, 224, 224, 3), np.float32)
    batch[:, :134, :110] = 200.0  # lo que puede verse de una esquina de 28 a 60 %
    out = train.augment(batch, [1, 2], 0.0, 96, corner=1.0).numpy()
    assert out.shape == (64, 96, 96, 3)
    lit = (out > 100).mean((1, 2, 3))
    assert lit.min() > 0.5 and lit.max() == 1.0  # entera serían 0.29
    same = train.augment(batch, [1, 2], 0.0, 96, corner=1.0).numpy()
    assert np.array_equal(out, same)


@pytest.mark.parametrize("side", [96, 224])
def test_dataset_spreads_no_card_over_all_classes(side):
    images = [np.full((224, 224, 3), 10 * i, np.uint8) for i in range(4)]
    labels = np.array([0, 2, -1, 1], np.int32)
    batch, targets = next(iter(train.make_dataset(images, labels, 5, 4, side)))
    assert batch.shape == (4, side, side, 3)
    assert np.allclose(batch.numpy().mean((1, 2, 3)), [0, 10, 20, 30])
    assert np.allclose(targets.numpy()[2], 0.2) and targets.numpy()[1].argmax() == 2


def test_accuracy_counts_a_no_card_right_when_nothing_is_named():
    uniform, one = np.full(4, 0.25, np.float32), np.eye(4, dtype=np.float32)
    truth = np.stack([one[1], one[1], uniform, uniform])
    predicted = np.stack([one[1], one[2], uniform, one[3]])
    assert train.accuracy(truth, predicted).numpy().tolist() == [1, 0, 1, 0]
