"""Lo que se dibuja para entrenar: barajas que no existen, lo que no es un naipe, y su aumento."""

import cv2
import numpy as np
import pytest
from conftest import PROJECT
from PIL import Image

import card_training as train
import card_utils as cu
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


def test_a_quarter_are_corners_among_other_cards():
    """Las cuartas de cada clase: la carta, entera, no sale; en las demás sí."""
    images = np.empty((212, 224, 224, 3), np.uint8)
    given, labels = free_deck.draw_free_cards(4, seed=3, out=images)
    assert given is images
    other = []
    for i in range(106, 212):  # de cada clase, la tercera y la cuarta
        name, rng = demo_deck.CLASS_NAMES[labels[i]], np.random.default_rng([3, i])
        whole, _ = free_deck.draw_free_card(name, rng)
        whole = cv2.resize(whole, (224, 224), interpolation=cv2.INTER_AREA)
        other.append(not np.array_equal(images[i], whole))
    # El comodín, y la que no tiene el palo junto a la letra, se ven enteras
    assert not any(other[:53]) and 35 < sum(other[53:]) <= 52


def test_the_index_of_a_free_card_is_where_it_says():
    """Ahí hay tinta, y el palo está a su lado."""
    found = 0
    for seed in range(30):
        card, index = free_deck.draw_free_card("nine of spades", np.random.default_rng(seed))
        if index is None:
            continue
        found += 1
        letter, suit, end = (index * card.shape[1] / demo_deck.WIDTH).round().astype(int)
        assert (end >= np.maximum(letter, suit)).all()
        r = int(np.linalg.norm(letter - suit)) // 2
        for x, y in (letter, suit):
            around = card[max(y - r, 0) : y + r, max(x - r, 0) : x + r].astype(int)
            assert np.ptp(around, axis=(0, 1)).max() > 40
    assert found > 15


def test_letters_of_a_language_never_name_two_ranks():
    for letters in free_deck.LETTERS:
        assert len(set(letters.split())) == 4


def test_a_missing_font_is_left_out(monkeypatch):
    found = demo_deck.font_file
    monkeypatch.setattr(
        demo_deck, "font_file", lambda font: found("no está" if font == "cmti10" else font)
    )
    found_now = demo_deck.available.__wrapped__(demo_deck.FONTS)  # sin lo que recuerda
    assert "cmti10" not in found_now and "cmr10" in found_now


def test_no_cards_repeat_with_the_seed():
    images = no_cards.draw_no_cards(30, seed=1)
    assert images.shape == (30, 224, 224, 3) and images.dtype == np.uint8
    assert np.array_equal(no_cards.draw_no_cards(4, seed=1), images[:4])
    assert not np.array_equal(no_cards.draw_no_cards(4, seed=2), images[:4])


def augmented(image, count, *options, other=None, seed=0, **more):
    """Varias copias con aumento de una imagen, uint8 [count, lado, lado, 3]."""
    rng = np.random.default_rng(seed)
    return np.stack([train.augment(image, rng, *options, other, **more) for _ in range(count)])


def test_augment_changes_the_side_and_shows_the_corner():
    image = np.zeros((224, 224, 3), np.uint8)
    image[:134, :110] = 200  # lo que puede verse de una esquina de 28 a 63 %
    out = augmented(image, 64, 0.0, 96, corner=1.0)
    assert out.shape == (64, 96, 96, 3) and out.dtype == np.uint8
    lit = (out > 100).mean((1, 2, 3))
    assert lit.min() > 0.45 and lit.max() == 1.0  # entera serían 0.29


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


def numbered_images(count):
    """Imágenes lisas cuyo valor es su número, para reconocerlas tras barajar."""
    images = np.empty((count, 224, 224, 3), np.uint8)
    images[:] = np.arange(count)[:, None, None, None]
    return list(images), np.arange(count, dtype=np.int32) % 5


def test_dataset_shuffles_every_epoch_and_repeats_with_the_seed():
    images, labels = numbered_images(40)

    def epochs(seed):
        dataset = train.make_dataset(images, labels, 5, 8, seed=seed)
        return [[int(x) for batch, _ in dataset for x in batch[:, 0, 0, 0]] for _ in range(2)]

    first, second = epochs(seed=3)
    assert sorted(first) == sorted(second) == list(range(40)) and first != second
    assert [first, second] == epochs(seed=3) and first != epochs(seed=4)[0]


def test_dataset_reads_files_and_gives_float_0_255(tmp_path):
    image = np.full((224, 224, 3), 200, np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    images = [tmp_path / "a.png", *numbered_images(4)[0]]
    batches = list(train.make_dataset(images, np.arange(5, dtype=np.int32), 5, 3))
    assert [len(batch) for batch, _ in batches] == [3, 2]
    assert batches[0][0].dtype == "float32"
    assert [int(x) for batch, _ in batches for x in batch[:, 0, 0, 0]] == [200, 0, 1, 2, 3]
    assert [int(x) for _, labels in batches for x in labels.numpy().argmax(1)] == [0, 1, 2, 3, 4]


def test_augment_repeats_with_the_seed_and_spares_the_original():
    image = cu.read_image(PROJECT / "image1_joker.jpg")
    before = image.copy()
    one, two, other = (augmented(image, 16, 1.0, 224, other=255 - image, seed=i) for i in (1, 1, 2))
    assert np.array_equal(image, before)
    assert np.array_equal(one, two) and not np.array_equal(one, other)
    assert all(not np.array_equal(one[0], another) for another in one[1:])


def test_augment_of_no_strength_gives_the_picture_back():
    image = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)
    out = augmented(image, 8, 0.0, 224, corner=0, still=1.1).astype(int)
    assert np.abs(out - image).max() <= 1  # lo que se pierde al redondear


def test_augment_puts_a_background_around_and_over_the_card():
    white = np.full((64, 64, 3), 255, np.uint8)
    far = augmented(white, 64, 0.0, 64, corner=0, still=0)
    edges = far[:, 0, 0].astype(int)  # de lejos o de cerca, un 5 % más pequeña: asoma el fondo
    assert len(np.unique(edges, axis=0)) > 32 and edges.std() > 40
    covered = augmented(white, 200, 1.0, 64, corner=0, still=1.1).astype(int)
    inside = np.abs(np.diff(covered[:, 8:56, 8:56], axis=2)).max((1, 2, 3)) > 12
    assert 20 < inside.sum() < 80, "a una de cada cuatro la tapa algo"


def test_augment_changes_light_color_and_sharpness():
    """De un dibujo que no se mueve, en su mitad central: el 10 y el 90 % de cada medida."""
    rng = np.random.default_rng(0)
    blocks = np.kron(rng.integers(70, 186, (14, 14, 3)), np.ones((16, 16, 1), int))
    image = np.uint8(blocks + rng.integers(-20, 21, blocks.shape))
    seen = augmented(image, 200, 1.0, 224, corner=0, still=1.1)[:, 64:160, 64:160].astype(float)
    tiles = seen.reshape(200, 6, 16, 6, 16, 3).mean((2, 4)).reshape(200, 36, 3)

    def spread(values):
        return np.quantile(values, 0.9) - np.quantile(values, 0.1)

    color = tiles.mean(1) - tiles.mean((1, 2))[:, None]
    contrast = tiles.mean(2).std(1)
    gray = np.linalg.norm(tiles - tiles.mean(2, keepdims=True) - color[:, None], axis=(1, 2))
    grain = np.diff(seen[:, 4:12, 4:12], axis=2).std((1, 2, 3))
    assert spread(tiles.mean((1, 2))) > 35, "brillo"
    assert spread(np.log(contrast)) > 0.3, "contraste"
    assert spread(color[:, 0]) > 12, "tono"
    assert spread(gray / contrast) > 2.5, "saturación"
    assert spread(np.log(grain / contrast)) > 1.2, "nitidez"


@pytest.fixture
def warps(monkeypatch):
    """Lo que `augment` da a la transformación: (imagen, matriz) de cada una, sin aplicarla."""
    calls = []

    def transform(image, matrix, size, dst, **options):
        calls.append((image, matrix))
        return dst

    monkeypatch.setattr(train.cv2, "warpPerspective", transform)
    return calls


def test_augment_turns_by_quarters_and_never_mirrors(warps):
    augmented(np.zeros((8, 8, 3), np.uint8), 400, 1.0, 8, corner=0, any_angle=0)
    a, b, _, c, d, *_ = np.array([matrix.ravel() for _, matrix in warps]).T
    assert np.all(a * d - b * c > 0), "un determinante negativo es un espejo"
    degrees = np.degrees(np.arctan2(c, a)) % 360  # (x, y) -> (a x + b y, c x + d y)
    quarters = np.bincount(np.round(degrees / 90).astype(int) % 4, minlength=4)
    assert np.all(np.abs(quarters - [140, 60, 140, 60]) < 40)
    assert np.abs((degrees + 45) % 90 - 45).max() < 35


def test_augment_turns_the_share_that_is_asked_to_any_angle(warps):
    augmented(np.zeros((8, 8, 3), np.uint8), 400, 0.5, 8, corner=0, any_angle=1.2)
    a, b, _, c, *_ = np.array([matrix.ravel() for _, matrix in warps]).T
    rest = np.abs((np.degrees(np.arctan2(c, a)) + 45) % 90 - 45)
    # De las que van a cualquier ángulo, dos de cada tres pasan de 15 grados; de las demás, ninguna
    assert 0.3 < np.mean(rest > 15) < 0.5 and rest.max() > 42


def test_augment_swaps_the_center_of_a_quarter_and_keeps_every_corner(warps):
    mine, other = np.full((32, 32, 3), 40, np.uint8), np.full((32, 32, 3), 90, np.uint8)
    augmented(mine, 400, 1.0, 32, other=other, corner=0)
    seen = np.stack([image for image, _ in warps])
    assert 70 < np.sum(seen[:, 16, 16, 0] == 90) < 130
    assert (seen[:, [0, 0, -1, -1], [0, -1, 0, -1]] == 40).all()


def test_dataset_lends_each_card_another_one(monkeypatch):
    images, labels = numbered_images(40)
    pairs = []

    def augment(image, rng, strength, side, other, corner):
        pairs.append((int(image[0, 0, 0]), int(other[0, 0, 0])))
        return image

    monkeypatch.setattr(train, "augment", augment)
    list(train.make_dataset(images, labels, 5, 8, 224, 0.5, seed=0))
    assert sorted(mine for mine, _ in pairs) == list(range(40))
    assert all(mine != other for mine, other in pairs)
