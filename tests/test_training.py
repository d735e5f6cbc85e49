"""Lo que se dibuja para entrenar: barajas que no existen, lo que no es un naipe, y su aumento."""

import math
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from conftest import PROJECT

import card_training as train
import card_utils as cu
from card_names import CLASS_NAMES
from card_photo import index_corners, index_parts
from drawing import demo_deck, free_deck, no_cards, scenes

SHAPE = 224, 224, 3
WHOLE, ZOOMED, CORNER = {"corner": 0}, {"corner": 1}, {"is_corner": True}


def test_free_cards_are_balanced_repeatable_and_a_quarter_are_corners_among_others():
    """Las cuartas de cada clase: la carta, entera, no sale; en las demás sí."""
    images, labels, is_corner = free_deck.draw_free_cards(4, seed=3)
    assert np.bincount(labels).tolist() == [4] * 53
    assert free_deck.draw_free_cards(1, seed=3)[0] == images[:53]
    assert set(free_deck.draw_free_cards(1, seed=4)[0]).isdisjoint(images)
    assert min(train.decode(image).std() for image in images) > 2  # en todas hay algo dibujado
    # El comodín, y la que no tiene el palo junto a la letra, se ven enteras
    assert not is_corner[:159].any() and 35 < is_corner.sum() <= 52
    for i in range(140, 212):
        rng = np.random.default_rng([3, i])
        whole, _ = free_deck.draw_free_card(CLASS_NAMES[labels[i]], rng)
        whole = cv2.resize(whole, (224, 224), interpolation=cv2.INTER_AREA)
        assert (images[i] == free_deck.as_jpg(whole, rng)) != is_corner[i]


def test_the_indices_of_a_free_card_are_where_it_says():
    """En cada esquina hay tinta, y la letra y el palo están dentro de su caja."""
    counts = []
    for seed in range(30):
        card, index = free_deck.draw_free_card("nine of spades", np.random.default_rng(seed))
        for letter, suit, low, high in () if index is None else (1.792 * index).astype(int):
            assert (low <= np.minimum(letter, suit)).all() and (high >= letter).all()
            assert (high >= suit).all() and (high <= card.shape[1::-1]).all() and low.min() >= 0
            r = int(np.linalg.norm(letter - suit)) // 2
            for x, y in (letter, suit):
                around = card[max(y - r, 0) : y + r, max(x - r, 0) : x + r].astype(int)
                assert np.ptp(around, axis=(0, 1)).max() > 40
        counts += [] if index is None else [len(index)]
    assert len(counts) > 15 and set(counts) == {1, 2, 4}


def test_a_suit_in_the_opposite_corner_never_falls_on_another_letter(monkeypatch):
    """Con cuatro letras, cada palo taparía una: quedan dos."""
    style, spots = free_deck.free_style(np.random.default_rng(0)), []
    rng = SimpleNamespace(
        choice=lambda *_, **__: "opposite", random=lambda: 1.0, uniform=lambda a, b: (a + b) / 2
    )
    pen = SimpleNamespace(at=lambda *spot, **_: pen, text=lambda *at: spots.append(at))
    monkeypatch.setattr(free_deck, "draw_pip", lambda *_: None)
    free_deck.draw_free_index(pen, "9", [], replace(style, corners=4), (0, 0, 0), rng)
    assert len(spots) == 2


def test_free_cards_speak_several_languages(monkeypatch):
    told = []
    monkeypatch.setattr(free_deck, "draw_free_index", lambda pen, label, *rest: told.append(label))
    for seed in range(60):
        free_deck.draw_free_card("queen of hearts", np.random.default_rng(seed))
    assert "Q" in told and len(set(told)) >= 4


def test_letters_of_a_language_never_name_two_ranks():
    assert all(len(set(letters.split())) == 4 for letters in free_deck.LETTERS)


def test_a_missing_font_is_left_out(monkeypatch):
    found = demo_deck.font_file
    monkeypatch.setattr(demo_deck, "font_file", lambda font: found(font.replace("cmti10", "falta")))
    found_now = demo_deck.available.__wrapped__(demo_deck.FONTS)  # sin lo que recuerda
    assert "cmti10" not in found_now and "cmr10" in found_now


def test_no_cards_repeat_with_the_seed_and_half_look_like_a_card(monkeypatch):
    images, other = no_cards.draw_no_cards(4, seed=1), no_cards.draw_no_cards(4, seed=2)
    assert np.array_equal(no_cards.draw_no_cards(30, seed=1)[:4], images)
    assert images.dtype == np.uint8 and not np.array_equal(other, images)
    rng, flat = np.random.default_rng(0), [lambda rng, k=k: np.full(SHAPE, k) for k in range(14)]
    assert [np.shape(kind(rng)) for kind in no_cards.LOOKALIKES] == [SHAPE] * 13
    monkeypatch.setattr(no_cards, "LOOKALIKES", tuple(flat[:13]))
    monkeypatch.setattr(no_cards, "KINDS", {"otros": flat[13]})
    counts = np.bincount(no_cards.draw_no_cards(112)[:, 0, 0, 0])
    assert counts.tolist() == [6] * 5 + [2] * 3 + [4] * 5 + [56]


def test_reframe_shows_only_the_middle_of_the_card(monkeypatch):
    """Del 27 al 73 % del ancho y del 22 al 78 % del alto: ahí no hay índice."""
    image, rng = np.full(SHAPE, 255, np.uint8), np.random.default_rng(0)
    image[50:174, 61:163] = rng.integers(0, 200, (124, 102, 3))
    assert no_cards.reframe(image, rng).shape == SHAPE
    for name in ("tarot", "trading_card"):
        monkeypatch.setattr(no_cards, name, lambda rng, picture: picture)
    parts = [no_cards.reframe(image, rng) for _ in range(50)]
    assert all(part.max() < 200 and part.size > 3 * 61 * 74 for part in parts)


def test_an_eighth_of_the_others_frame_figures_of_the_data(monkeypatch):
    files, read = [PROJECT / name / "1.jpg" for name in ("queen of hearts", "two of clubs")], []
    monkeypatch.setattr(train.cu, "read_image", read.append)
    monkeypatch.setattr(train, "reframe", lambda image, rng: np.zeros(SHAPE, np.uint8))
    assert len(train.draw_others(16, files, 0)) == 16 and read == files[:1] * 2


def test_candidates_are_half_cards_and_repeat_with_the_seed():
    images, labels, is_corner = scenes.draw_candidates(40, seed=5)
    assert (labels[:20] >= 0).all() and labels.max() < 53 and (labels[20:] == -1).all()
    assert len(images) == 40 and is_corner.any() and not is_corner.all()
    assert {train.decode(image).shape for image in images} == {SHAPE}
    again = [jpg for jpg, label, _ in scenes.scene_candidates([5, 3, 0]) if label >= 0]
    assert again and again == images[: len(again)]


def test_an_index_is_labelled_only_where_it_is_and_as_it_is():
    """Una caja del revés, o con el palo de otra carta, no tiene clase; lejos, no es carta."""
    count = 0
    for seed in range(6):
        _, cards = scenes.make_candidate_scene(np.random.default_rng(seed))
        seen = [(name, *at) for name, _, _, *every in cards for at in zip(*every, strict=True)]
        seen = [(name, at) for name, at, share in seen if share > 0.95 and name != "joker"]
        names, places = np.array([name for name, _ in seen]), np.array([at for _, at in seen])
        letter, suit = places.reshape(-1, 2, 2).swapaxes(0, 1)
        boxes = index_corners(letter, suit)
        assert np.allclose(index_parts(boxes), (letter, suit))
        assert [CLASS_NAMES[k] for k in scenes.label_indices(boxes, cards)] == [*names]
        assert (scenes.label_indices(index_corners(suit, letter), cards) == -2).all()
        assert (scenes.label_indices(boxes + 5000, cards) == -1).all()
        for shift in range(1, len(names)):
            mixed = scenes.label_indices(index_corners(letter, np.roll(suit, shift, 0)), cards)
            assert (mixed[names != np.roll(names, shift)] < 0).all()
        count += len(names)
    assert count > 20


def test_a_letter_and_a_suit_are_a_card_only_if_both_are_of_its_top():
    """Ni del revés, ni tapados, ni los de dos cartas; lejos de todos no son carta."""
    marks = np.array([[(10, 10), (10, 30)], [(80, 12), (80, 28)]], float)  # letra y palo
    places = np.concatenate([marks, (90, 140) - marks])
    two, nine = CLASS_NAMES.index("two of clubs"), CLASS_NAMES.index("nine of spades")

    def label(pair, shares=1.0, apart=True, name="nine of spades", step=120):
        corners = np.array([(0, 0), (90, 0), (90, 140), (0, 140)])
        shares = np.broadcast_to(shares, 4)
        cards = [
            ("two of clubs", corners + (step, 0), 1.0, places + (step, 0), np.ones(4)),
            (name, corners, 1.0, places, shares),
        ]
        return scenes.label_pairs(np.array([pair]), cards, apart).item()

    assert label(marks) == label(marks + 4) == nine and label(marks + (75, 0), step=75) == two
    assert label(marks, (1, 0.8, 1, 1)) == label(marks, (0.8, 1, 1, 1)) == -2
    assert label(marks[::-1]) == label(marks[:, ::-1]) == label(places[2:, ::-1]) == -2
    assert label(marks + (0, 9)) == label([marks[0], marks[1] + (120, 0)]) == -2
    assert label(marks, name="joker") == label(marks + (0, 45), name="joker") == -2
    assert label([marks[0] + (0, 45), marks[1]]) == -2
    assert label(marks + (0, 45)) == label(marks, (0.2, 0.2, 1, 1)) == -1
    assert label(marks, apart=False) == label([marks[0], marks[1] + 400], apart=False) == -2
    assert label(marks + 400, apart=False) == label(marks + 400) == -1


def test_what_is_seen_of_a_card_and_of_its_indices():
    owner = np.ones((157, 112), np.int32)  # a la mitad de su tamaño
    owner[:, 56:] = 2
    corners = np.array([(0, 0), (112, 0), (112, 157), (0, 157)])
    left = np.array([(20, 20), (20, 40), (10, 10), (30, 50)], float)
    places = np.stack([left, left + (200, 0), left + (92, 0)])  # entera, tapada y a medias
    places *= (demo_deck.WIDTH / 224, demo_deck.HEIGHT / 314)
    part, middles, seen = scenes.visible_parts(owner, 1, corners, places)
    assert part == pytest.approx(0.5, abs=0.01) and seen == pytest.approx((1, 0, 0.5), abs=0.06)
    assert middles == pytest.approx(
        places[:, :2] * corners[2] / (demo_deck.WIDTH, demo_deck.HEIGHT)
    )


def test_an_outline_is_labelled_only_if_its_card_is_seen_whole():
    quad = np.array([(100, 100), (200, 100), (200, 240), (100, 240)], float)
    spots, nine = quad[0] + [[(10, 10), (10, 30)]], CLASS_NAMES.index("nine of spades")

    def label(outline, part=1.0, share=1.0, name="nine of spades"):
        cards = [(name, quad, part, spots, np.array([share]))]
        return scenes.label_outlines([outline], cards).item()

    assert label(quad) == label(quad + 4) == nine
    assert label(quad, name="joker", share=0) == CLASS_NAMES.index("joker")
    assert label(quad, part=0.8) == label(quad + 10) == label(quad, share=0.9) == -2
    assert label(quad + 900) == scenes.label_outlines([quad], []).item() == -1
    card = "nine of spades", quad, 1.0, np.concatenate([spots, spots + (60, 0)]), np.array([1, 0.9])
    assert scenes.label_outlines([quad], [card]).item() == nine  # uno de los dos se ve
    assert scenes.label_outlines([quad], [card], apart=True).item() == -2  # del único, la mitad
    half = quad.mean(0) + 0.6 * (quad - quad.mean(0))  # sin el índice
    assert (label(half), label(half, name="joker"), label(quad + (-60, 0))) == (-1, -1, -2)
    assert label(half - (18, 28)) == -2 and label(half - (18, 28), share=0.5) == -1
    assert label(half - (18, 28), 0.5, 0, "joker") == -2


def test_gather_puts_together_what_a_phase_sees(monkeypatch):
    cards, crops = ([b"carta"], [4], [True]), ([b"recorte"] * 2, [6, -1], [True, False])
    monkeypatch.setattr(train, "draw_free_cards", lambda *given: {(1, 7): cards}[given])
    monkeypatch.setattr(train, "draw_candidates", lambda *given: {(2, 7): crops}[given])
    images, labels, is_corner = train.gather(["ruta"], [3], [b"nada"], 1, 2, seed=7)
    assert images == ["ruta", b"carta", b"recorte", b"recorte", b"nada"]
    assert labels.tolist() == [3, 4, 6, -1, -1] and labels.dtype == np.int32
    assert is_corner.tolist() == [False, True, True, False, False]


def augmented(image, count, *options, seed=0, **more):
    """Varias copias con aumento de una imagen, uint8 [count, lado, lado, 3]."""
    rng = np.random.default_rng(seed)
    return np.stack([train.augment(image, rng, *options, **more) for _ in range(count)])


def test_augment_changes_the_side_and_shows_the_corner():
    image = np.zeros((224, 224, 3), np.uint8)
    image[:134, :110] = 200  # lo que puede verse de una esquina de 28 a 63 %
    out = augmented(image, 64, 0.0, 96, corner=1.0)
    assert out.shape == (64, 96, 96, 3) and out.dtype == np.uint8
    lit = (out > 100).mean((1, 2, 3))
    assert lit.min() > 0.45 and lit.max() == 1.0  # entera serían 0.29


def test_accuracy_counts_a_no_card_right_when_nothing_is_named():
    uniform, one = np.full(4, 0.25, np.float32), np.eye(4, dtype=np.float32)
    truth = np.stack([one[1], one[1], uniform, uniform])
    predicted = np.stack([one[1], one[2], uniform, one[3]])
    assert train.accuracy(truth, predicted).numpy().tolist() == [1, 0, 1, 0]


def numbered_images(count):
    """Imágenes lisas cuyo valor es su número, para reconocerlas tras barajar."""
    return [np.full(SHAPE, i, np.uint8) for i in range(count)], np.arange(count) % 5


@pytest.mark.parametrize("count, strength", [(40, 0), (1, 0.5)], ids=["orden", "aumento"])
def test_every_epoch_is_another_and_repeats_with_the_seed(count, strength):
    images, labels = numbered_images(count)

    def epochs(seed):
        dataset = train.make_dataset(images, labels, 5, 1, 32, strength, seed)
        return [np.concatenate([batch for batch, _ in dataset]) for _ in range(2)]

    first, second = epochs(3)
    assert not np.array_equal(first, second) and not np.array_equal(first, epochs(4)[0])
    assert np.array_equal((first, second), epochs(3))
    assert strength or sorted(first[:, 0, 0, 0]) == sorted(second[:, 0, 0, 0]) == [*range(40)]


@pytest.mark.parametrize("side", [96, 224])
def test_dataset_reads_all_alike_and_spreads_no_card_over_all_classes(tmp_path, side):
    image, file = cu.read_image(PROJECT / "image1_joker.jpg"), tmp_path / "a.jpg"
    file.write_bytes(free_deck.as_jpg(image, np.random.default_rng(0)))
    images = [file, file.read_bytes(), cu.read_image(file), np.full(SHAPE, 7, np.uint8)]
    data = train.make_dataset(images, np.array([0, 2, 1, -1]), 5, 3, side)
    (three, targets), (one, uniform) = ((x.numpy(), y.numpy()) for x, y in data)
    assert three.shape == (3, side, side, 3) and three.dtype == np.float32 and three.max() > 200
    assert np.ptp(three, axis=0).max() <= 3, "Pillow y OpenCV redondean distinto"
    assert (one == 7).all() and np.allclose(uniform, 0.2)
    assert np.array_equal(targets, np.eye(5)[[0, 2, 1]])


def test_dataset_tells_which_are_corners(monkeypatch):
    (images, labels), given = numbered_images(40), {}
    monkeypatch.setattr(train, "augment", lambda x, *by: given.update({x.max(): by[3:]}) or x)
    list(train.make_dataset(images, labels, 5, 8, 224, 0.5, 0, 0.1, np.arange(40) % 3 == 0))
    assert given == {i: (i % 3 == 0, 0.1) for i in range(40)}


def test_augment_repeats_with_the_seed_and_spares_the_original():
    image = cu.read_image(PROJECT / "image1_joker.jpg")
    before = image.copy()
    one, two, other = (augmented(image, 16, 1.0, 224, seed=i) for i in (1, 1, 2))
    assert np.array_equal(image, before)
    assert np.array_equal(one, two) and not np.array_equal(one, other)
    assert all(not np.array_equal(one[0], another) for another in one[1:])


def test_augment_of_no_strength_gives_the_picture_or_its_half_turn():
    image = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)
    out = augmented(image, 16, 1e-9, 224, corner=0, still=0).astype(int)
    same, turned = (np.abs(out - x).max((1, 2, 3)) <= 1 for x in (image, image[::-1, ::-1]))
    assert (same | turned).all() and same.any() and turned.any()


def test_a_background_shows_around_and_over_a_quarter_of_whole_cards_and_no_corner():
    white = np.full((64, 64, 3), 255, np.uint8)
    edges = augmented(white, 64, 0.3, 64, corner=0, still=0)[:, 0, 0].astype(int)
    assert len(np.unique(edges, axis=0)) > 32 and edges.std() > 40
    for kind, least, most in ((WHOLE, 30, 75), (ZOOMED, 0, 0), (CORNER, 0, 0)):
        seen = augmented(white, 200, 1.0, 64, still=1.1, **kind).astype(int)
        inside = np.abs(np.diff(seen[:, 8:56, 8:56], axis=2)).max((1, 2, 3)) > 12
        assert least <= inside.sum() <= most


def test_relight_changes_light_color_and_sharpness():
    """De un dibujo a cuadros: del 10 al 90 % de cada medida hay una buena distancia."""
    rng = np.random.default_rng(0)
    blocks = np.kron(rng.integers(70, 186, (6, 6, 3)), np.ones((16, 16, 1), int))
    image = np.uint8(blocks + rng.integers(-20, 21, blocks.shape))
    seen = np.stack([train.relight(image, rng, 1.0) for _ in range(200)]).astype(float)
    tiles = seen.reshape(200, 6, 16, 6, 16, 3).mean((2, 4)).reshape(200, 36, 3)
    color = tiles.mean(1) - tiles.mean((1, 2))[:, None]
    contrast = tiles.mean(2).std(1)
    gray = np.linalg.norm(tiles - tiles.mean(2, keepdims=True) - color[:, None], axis=(1, 2))
    grain = np.log(np.diff(seen[:, 4:12, 4:12], axis=2).std((1, 2, 3)) / contrast)
    # Brillo, contraste, tono, saturación y nitidez
    every = tiles.mean((1, 2)), np.log(contrast), color[:, 0], gray / contrast, grain
    low, high = np.quantile(every, (0.1, 0.9), axis=1)
    assert (high - low > (35, 0.3, 12, 2.5, 1.2)).all(), high - low


@pytest.fixture
def warps(monkeypatch):
    """Lo que `augment` da a `warp`: (imagen, matriz) de cada una, sin aplicarla."""
    calls = []
    monkeypatch.setattr(train, "warp", lambda image, ground, m: calls.append((image, m)) or ground)
    return calls


@pytest.mark.parametrize("kind", [WHOLE, ZOOMED, CORNER], ids=["entera", "ampliada", "sola"])
def test_augment_sees_in_perspective_and_never_mirrors(warps, kind):
    for strength in (1, 0):
        augmented(np.zeros((32, 32, 3), np.uint8), 200, strength, 32, still=0, **kind)
    matrices = np.stack([matrix for _, matrix in warps])
    assert np.linalg.det(matrices).min() > 0, "un determinante negativo es un espejo"
    depth = matrices[:, 2] @ np.array([(0, 0, 1), (31, 0, 1), (0, 31, 1), (31, 31, 1)]).T
    assert depth.min() > 0, "nada queda detrás de la cámara"
    assert (np.ptp(depth[:200], 1) > 0.01).mean() > 0.9 and np.ptp(depth[200:]) == 0


@pytest.mark.parametrize("strength", [0.15, 0.6])
def test_augment_turns_over_half_of_the_whole_cards_and_no_corner(warps, strength):
    image = np.zeros((8, 8, 3), np.uint8)
    image[0] = 255
    for kind in (WHOLE, ZOOMED, CORNER):
        augmented(image, 300, strength, 8, **kind)
    turned = np.reshape([seen[0, 0, 0] == 0 for seen, _ in warps], (3, 300)).mean(1)
    assert 0.4 < turned[0] < 0.6 and turned[1:].tolist() == [0, 0]
    corners = [math.atan2(matrix[1, 0], matrix[0, 0]) for _, matrix in warps[300:]]
    assert np.abs(corners).max() < math.radians(12)


def test_zoomed_corners_are_not_always_square():
    zooms = [train.zoom_corner(224, np.random.default_rng(seed)) for seed in range(100)]
    wide, tall = np.array([(zoom[0, 0], zoom[1, 1]) for zoom in zooms]).T
    assert wide.min() >= 0.28 and wide.max() <= 0.63 and tall.max() <= 1
    assert np.sum(tall > 1.05 * wide) > 50 and (tall <= 1.3 * wide).all()


@pytest.mark.parametrize("strength, any_angle, steep", [(1, 1e-9, 0), (0.5, 1.2, 0.2)])
def test_augment_turns_to_any_angle_and_by_quarters(warps, strength, any_angle, steep):
    """De las que van a cualquier ángulo, una de cada tres pasa de 30 grados; de las demás, no."""
    options = {"corner": 0, "any_angle": any_angle, "still": 0}
    augmented(np.zeros((8, 8, 3), np.uint8), 400, strength, 8, **options)
    degrees = np.degrees([math.atan2(matrix[1, 0], matrix[0, 0]) for _, matrix in warps])
    quarters = np.round(degrees / 90)
    assert set(quarters) <= {-1, 0, 1, 2} and abs(quarters.mean() - 0.3 * strength) < 0.08
    assert abs(np.mean(np.abs(degrees - 90 * quarters) > 30) - steep) < 0.05
