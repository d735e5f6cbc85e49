"""Encontrar las cartas de una foto y enderezarlas."""

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import card_model
import card_photo
import card_training as train
from card_names import CLASS_NAMES
from card_photo import (
    find_cards,
    find_indices,
    index_parts,
    overlap,
    straighten,
)
from drawing import demo_deck, scenes


def put(turns, size=(800, 600), at=((400, 300),), length=380):
    """Foto con una carta derecha, girada `turns` grados, en cada centro; y sus esquinas."""
    photo, truth = Image.new("RGB", size, (40, 90, 60)), []
    card = demo_deck.draw_card("seven of spades", "póquer", np.random.default_rng(3))
    for turn, center in zip(turns, at, strict=True):
        half = demo_deck.SQUARE * (length / 2.8, length / 2)
        corners = half @ demo_deck.rotation(np.radians(turn)) + center
        seen = demo_deck.project(card, corners, size, (round(length / 1.4), length))
        photo.paste(seen, (0, 0), seen)
        truth.append(corners)
    return np.asarray(photo), truth


@pytest.mark.parametrize(
    "photo",
    [
        np.full((600, 800, 3), 200, np.uint8),
        np.zeros((224, 224, 3), np.uint8),
        np.full((32, 32, 3), 255, np.uint8),
        np.full((4, 900, 3), 90, np.uint8),
        np.full((1, 1, 3), 7, np.uint8),
    ],
)
def test_flat_or_tiny_pictures_have_no_cards(photo):
    assert find_cards(photo) == []
    assert find_indices(photo).shape == (0, 4, 2) and card_photo.find_corners(photo) == ([], [])


@pytest.mark.parametrize("turn", [0, 20, 45, 90, 160, 180, 270])
def test_one_card_at_any_turn_is_found_once_and_ordered(turn):
    photo, (truth,) = put([turn])
    (corners,) = find_cards(photo)
    assert corners.shape == (4, 2) and corners.dtype == np.float32
    assert overlap(corners, truth) > 0.95
    sides = np.linalg.norm(np.roll(corners, -1, 0) - corners, axis=1)
    assert max(sides[0], sides[2]) < 0.8 * min(sides[1], sides[3])  # 0-1 es corto
    assert cv2.contourArea(corners, oriented=True) > 0  # sentido del reloj, con la y hacia abajo
    assert corners[:2, 1].sum() <= corners[2:, 1].sum()  # y es el de arriba


@pytest.mark.parametrize("light", [1, 0.4, -1])  # con -1, tinta clara en papel oscuro
@pytest.mark.parametrize("turn", [0, 45, 200])
def test_both_indices_of_a_card_are_proposed_in_any_light(turn, light):
    photo, (truth,) = put([turn])
    boxes = find_indices(np.uint8(255 * (light < 0) + light * photo.astype(int)))
    for first, last in ((0, 3), (2, 1)):  # su esquina, y la del otro extremo de ese lado largo
        near = np.linalg.norm(boxes[:, 0] - truth[first], axis=1) < 25
        side, down = truth[last] - truth[first], boxes[:, 3] - boxes[:, 0]
        cos = down @ side / np.linalg.norm(side) / np.linalg.norm(down, axis=1)
        assert (near & (cos > 0.97)).any()


@pytest.mark.parametrize("gap, found", [(1.2, True), (1.8, True), (3.0, False)])
def test_letter_and_suit_may_be_apart(gap, found):
    photo = Image.new("RGB", (400, 400), "white")
    pen = demo_deck.Pen(photo)
    pen.matrix, pen.origin = np.eye(2), np.zeros(2)
    pen.text("7", "DejaVuSans-Bold", 100, 100, 20, (0, 0, 0))
    suit = demo_deck.suit_outline("spades", np.random.default_rng(0))
    pen.at(100, 100 + 20 * gap, 18).shape(suit, (0, 0, 0), line=False)
    letter, _ = index_parts(find_indices(np.asarray(photo)))
    assert (np.linalg.norm(letter - (100, 100), axis=1) < 4).any() == found


def test_of_a_page_of_text_little_is_left_and_never_too_much():
    page = np.asarray(scenes.text_panel(np.random.default_rng(0), (1000, 700)))
    assert len(find_indices(page)) < 20 and len(find_indices(page, 0)) == card_photo.INDICES


def test_what_the_finder_learns_reads_back_as_the_same_index(monkeypatch):
    """Un índice girado, dos juntos y uno del revés; el que se ve a medias o es muy grande, no.

    Además, una letra y un palo separados.
    """
    turns, sizes = np.radians((0, 37, 180, 250, 0, 90, 0, 20)), (9, 14, 19, 10, 14, 60, 12, 9)
    middles = np.array([(40, 40), (60, 40), (120, 50), (90, 140), (150, 150), (96, 96)])
    middles = np.concatenate([middles, [(30, 100), (40, 170)]])
    half = np.stack([np.sin(turns), np.cos(turns)], 1) * np.array(sizes)[:, None] / 2
    ends, seen = np.stack([middles - half, middles + half], 1), np.array((1, 1, 1, 1, 0.7, 1, 1, 1))
    target = train.finder_target(ends, seen, np.array((0, 0, 0, 0, 0, 0, 1, 2)))
    said = np.where(np.arange(15) % 5, target, 20 * target - 10)
    answer = tf.constant(np.float32(said[None]))
    answers = {False: answer[..., :5], True: answer[..., 5:]}
    monkeypatch.setattr(card_photo, "load_finder", lambda apart: lambda photo: answers[apart])
    blank = np.zeros((192, 192, 3), np.uint8)
    marks = [x for apart in answers for x in card_photo.look_for_marks(blank, 0.5, apart)]
    index, letters, suits = (card_photo.merge_marks(*found, 0.5) for found in marks)
    away = np.abs(index[:, None] - ends).max((2, 3))
    assert len(index) == 4 and (away.min(0)[:4] < 0.1).all()
    assert np.concatenate([letters, suits]) == pytest.approx(ends[6:], abs=0.1)
    assert (target[37, 37, 0], target[24, 24, 0]) == (-1, 0)


def test_crops_for_the_finder_say_where_their_indices_are():
    whole = hits = 0
    for seed in range(3):
        scene = train.finder_scene(seed, "fan", False, 7)
        images, targets = train.finder_crops(*scene, np.random.default_rng(seed))
        assert images.shape == (8, 192, 192, 3) and images.dtype == np.uint8
        assert (targets[..., 0] == 1).any() and targets.shape == (8, 48, 48, 15)
        others, _ = train.finder_crops(*scene, np.random.default_rng(seed + 1))
        assert np.abs(images - np.float32(others)).mean((1, 2, 3)).min() > 1  # otra época
        for image, target in zip(images, targets, strict=True):
            row, column = np.nonzero(target[..., 0] == 1)
            sizes = np.linalg.norm(target[row, column, 3:5] - target[row, column, 1:3], axis=1)
            assert (np.abs(16 * sizes - 14.25) < 7.5).all()
            whole += len(row)
            found = card_photo.merge_marks(*card_photo.look_for_marks(image, 0.3)[0], 0.5)
            spots = np.stack([column, row], 1) * 4 + 1.5 + 16 * target[row, column, 1:3]
            away = np.linalg.norm(spots[:, None] - found[:, 0], axis=2)
            hits += (away < 3).any(1).sum()  # lo que ya encuentra está donde dice la etiqueta
    assert whole > 30 and hits > 0.6 * whole


def test_the_finder_is_told_the_centre_of_the_pixels(monkeypatch):
    """Un cuadro blanco de la carta, llevado a la foto, cae donde dice `finder_scene`."""
    middle, corners = np.array((80, 120)), scenes.CARD * 150 + (101.3, 120.8)
    card = np.zeros((demo_deck.HEIGHT, demo_deck.WIDTH, 4), np.uint8)
    card[100:140, 60:100], card[..., 3] = 255, 255
    table = np.zeros((240, 200, 3), np.float32)
    scenes.lay(table, Image.fromarray(card), corners)
    places = np.array([[middle, middle + (0, 40), (60, 100), (100, 140)]])
    parts = scenes.visible_parts(np.ones(table.shape[:2], np.int32), 1, corners, places)
    drawn = table.clip(0, 255).astype(np.uint8), [("ace of clubs", corners, *parts)]
    monkeypatch.setattr(train, "make_candidate_scene", lambda rng, apart: drawn)
    _, ((letter, _),), seen, _ = train.finder_scene(0)
    y, x = np.mgrid[:240, :200]
    bright = table.mean(2)
    spot = np.array([(bright * x).sum(), (bright * y).sum()]) / bright.sum()
    assert seen == [1] and letter == pytest.approx(spot, abs=0.1)


@pytest.mark.parametrize("size", [20, 40, 80, 160])
def test_crops_at_every_level_are_well_placed(size):
    """Un disco en la letra: su centro en el recorte es el que dice la etiqueta."""
    letter = np.array((700.0, 800.0))
    y, x = np.mgrid[:1600, :1600]
    disk = 255 * np.clip(0.3 * size - np.hypot(x - letter[0], y - letter[1]), 0, 1)
    jpg = cv2.imencode(".jpg", disk)[1].tobytes()
    ends, away = np.array([[letter, letter + (0, size)]]), []
    for seed in range(4):
        one = np.ones(1), np.zeros(1, int)
        crops = train.finder_crops(jpg, ends, *one, np.random.default_rng(seed))
        for image, target in zip(*crops, strict=True):
            row, column = np.nonzero(target[..., 0] == 1)
            bright = np.maximum(image.mean(2) - 128, 0)
            if not len(row) or image[0, 0].mean() > 100:  # sin índice, o en negativo
                continue
            said = np.array((column[0], row[0])) * 4 + 1.5 + 16 * target[row[0], column[0], 1:3]
            v, u = np.mgrid[:192, :192]
            away.append(np.array([(bright * u).sum(), (bright * v).sum()]) / bright.sum() - said)
    assert len(away) > 5 and np.median(np.linalg.norm(away, axis=1)) < 0.15


def test_the_box_of_an_index_is_as_good_in_a_large_photo(monkeypatch):
    """Al reducir la foto a un cuarto, el centro de sus píxeles no se mueve."""
    said, sides = (np.array([[(100.0, 50.0), (100.0, 60.0)]]), np.array([0.9])), []

    def look(seen, least, apart):
        sides.append(seen.shape[1])
        return [said] * (1 + apart)

    monkeypatch.setattr(card_photo, "look_for_marks", look)
    box = find_indices(np.zeros((2560, 5120, 3), np.uint8))[0]
    assert box[0] == pytest.approx((401.5 - 0.62 * 40, 201.5 - 0.85 * 40), abs=1e-3)
    assert sides == [1280, 640, 320, 160, 80]


@pytest.mark.parametrize("shape", [(40, 2560), (2560, 33), (16, 16)])
def test_a_photo_of_any_shape_is_searched(shape):
    assert find_indices(np.zeros((*shape, 3), np.uint8)).shape == (0, 4, 2)


def mark(x, y, high=40.0):
    """Lo alto y lo bajo de una letra o un palo derechos."""
    return [(x, y - high / 2), (x, y + high / 2)]


def test_letters_and_suits_at_one_height_are_pairs():
    rows = np.arange(3) * 60 + 50
    letters, suits = ([mark(x, y) for y in rows] for x in (50, 210))
    letters += [mark(400, 50), mark(260, 300, -40), [(280, 350), (320, 350)]]
    suits += [mark(460, 55), mark(900, 110), mark(420, 300, -28), mark(440, 350), mark(100, 80)]
    letters, suits = np.array(letters, float), np.array(suits, float)
    for scale in (0.3, 1, 4):
        found = card_photo.pair_apart(scale * letters[::-1], scale * suits)
        assert sorted(x[0, 1] / scale + 20 for x in found[0]) == pytest.approx(rows)
        assert np.ptp(found[1] - found[0], axis=0) == pytest.approx(0, abs=1e-9)
    # Si dos letras piden un palo, es de la más cercana; una distancia que no se repite no vale
    nearer = np.array([mark(110, 50), mark(110, 110)])
    found, _ = card_photo.pair_apart(np.concatenate([letters[:2], nearer]), suits[:2])
    assert found == pytest.approx(nearer)
    assert not len(card_photo.pair_apart(letters[:1], suits[:1])[0])
    assert not len(card_photo.pair_apart(np.stack([letters[0], nearer[1]]), suits[:2])[0])
    assert not len(card_photo.pair_apart(letters[:0], suits)[0])
    assert not len(card_photo.pair_apart(letters, suits[:0])[0])


@pytest.mark.parametrize(
    "across, along, high",
    [(45, 0, 40), (500, 0, 40), (150, 18, 40), (150, -26, 40), (150, 0, 10), (150, 0, 70)],
    ids=["cerca", "lejos", "abajo", "arriba", "bajo", "alto"],
)
def test_letters_and_suits_too_unlike_are_no_pairs(across, along, high):
    def pairs(across, along, high):
        letters, suits = (
            np.array([mark(x, y + down, tall) for y in (50, 250)])
            for x, down, tall in ((50, 0, 40), (50 + across, along, high))
        )
        return len(card_photo.pair_apart(letters, suits)[0])

    assert pairs(across, along, high) == 0
    assert pairs(*(0.9 * np.array((across, along, high)) + 0.1 * np.array((150, -4, 40)))) == 2


def test_a_letter_and_its_suit_are_joined_as_an_index():
    photo = np.full((300, 500, 3), 255, np.uint8)
    cv2.rectangle(photo, (80, 80), (119, 119), (0, 0, 255), -1)
    cv2.rectangle(photo, (385, 85), (414, 114), (255, 0, 0), -1)
    crop = card_photo.join_apart(photo, np.array(mark(99.5, 99.5)), np.array(mark(399.5, 99.5, 30)))
    letter, suit = crop[..., 0] < 128, crop[..., 2] < 128
    box = card_photo.index_corners(np.array([(0, 0)]), np.array([(0, 1)]))[0]
    for seen, at in ((letter, 0), (suit, 1)):  # donde los tiene el recorte de un índice
        y, x = np.nonzero(seen)
        wanted = 224 * (-box[0] + (0, at)) / (box[2] - box[0])
        assert (x.mean(), y.mean()) == pytest.approx(wanted, abs=1.5)
    assert letter.sum() > suit.sum() > 0.4 * letter.sum()


def test_no_more_corners_than_the_network_is_given(monkeypatch):
    many = np.array([mark(30 * k, 100, 20.0) for k in range(130)])
    letters = np.array([mark(50, 60.0 * k) for k in range(9)])
    found, photo = [many], np.random.default_rng(0).integers(0, 256, (600, 800, 3), np.uint8)

    def marks(photo, likely, apart=False):
        assert likely == (card_photo.ALONE if apart else card_photo.LIKELY)
        return [letters, letters + (160, 0)] if apart else found

    monkeypatch.setattr(card_photo, "find_marks", marks)
    boxes, crops = card_photo.find_corners(photo)
    assert len(boxes) == len(crops) == card_photo.INDICES
    found[0] = many[:3]
    boxes, crops = card_photo.find_corners(photo)
    assert len(boxes) == len(crops) == 12 and {x.shape for x in crops} == {(224, 224, 3)}
    assert np.array_equal(crops[0], card_photo.sharpen(straighten(photo, boxes[0])))
    parts = np.stack(card_photo.index_parts(np.stack(boxes)), 1)
    assert parts[:3] == pytest.approx(many[:3], abs=1e-3)
    assert parts[3:, 0] == pytest.approx(letters.mean(1), abs=1e-3)


def test_scenes_with_letter_and_suit_apart_say_where_each_is():
    jpg, ends, seen, kinds = train.finder_scene(5, "row", True, 4, apart=True)
    photo = train.decode(jpg)
    whole = [i for i in np.flatnonzero(seen > 0.95) if kinds[i]]
    assert {kinds[i] for i in whole} == {1, 2}
    for i in whole:  # hay tinta entre lo alto y lo bajo
        (x, top), (_, bottom) = ends[i].round().astype(int)
        low, high = sorted((top, bottom))
        assert np.ptp(photo[low : high + 1, x - 4 : x + 5].astype(int).sum(2)) > 60
    assert not train.finder_scene(5, "row", True, 4)[3].any()


def test_the_loss_of_the_finder_by_hand():
    truth, output = np.zeros((1, 1, 4, 5), np.float32), np.zeros((1, 1, 4, 5), np.float32)
    truth[0, 0, :, 0] = 1, 0, -1, 0  # índice, nada, no se dice y nada
    truth[0, 0, :2, 1:] = 0.5  # dónde están letra y palo, en las dos primeras
    output[0, 0, :2, 0] = np.log(4)  # cree índice, al 80 %, a las dos
    sure, wrong, half = 0.2**2 * -np.log(0.8), 0.8**2 * -np.log(0.2), 0.5**2 * np.log(2)
    seen = (sure + 0.25 * (wrong + half)) / 2  # lo que no es índice cuenta la cuarta parte
    moved = 2 * 4 * 0.5 / 3
    assert float(train.finder_loss(truth, output)) == pytest.approx(seen + moved, abs=1e-5)
    output[0, 0, 2] = 5
    assert float(train.finder_loss(truth, output)) == pytest.approx(seen + moved, abs=1e-5)
    both = [np.concatenate([x, x], 3) for x in (truth, output)]  # cada clase de marca, lo suyo
    assert float(train.finder_loss(*both)) == pytest.approx(2 * (seen + moved), abs=1e-5)


def test_the_surest_index_comes_first():
    ends = np.array([[(0, 0), (0, 10)], [(50, 0), (50, 10)], [(51, 0), (51, 10)]], float)
    merged = card_photo.merge_marks(ends, np.array((0.6, 0.9, 0.4)), 0.5)
    assert len(merged) == 2 and 50 < merged[0, 0, 0] < 50.5 and np.array_equal(merged[1], ends[0])


def test_marks_of_one_place_size_and_direction_are_averaged_and_the_rest_left_out():
    def merged(x, y, size=10.0, turn=0, sure=0.4):  # con uno de 10 px en (0, 0)
        half = size / 2 * np.array((np.sin(np.radians(turn)), np.cos(np.radians(turn))))
        ends = np.array([[(0, -5), (0, 5)], [(x, y) - half, (x, y) + half]])
        return card_photo.merge_marks(ends, np.array((0.8, sure)), 0.3)

    assert merged(2, 0) == pytest.approx(np.array([[(0.4, -5), (0.4, 5)]]))  # pesan 0.64 y 0.16
    for other in ((4, 0), (0, -4), (2, 0, 7)):
        assert len(merged(*other)) == 1, other
    for other in ((5, 0), (3, 0, 5), (5, 0, 20), (0, 0, 10, 180), (0, 0, 10, 90)):
        assert len(merged(*other)) == 2, other
    for other in ((1, 0, 10, 45), (1, 0, 16), (1, 0, 6)):
        assert np.array_equal(merged(*other), [[(0, -5), (0, 5)]]), other


def test_the_finder_is_told_nothing_of_jokers_nor_of_what_is_upside_down(monkeypatch):
    ends = np.array([mark(20, 20), mark(60, 20), mark(20, 80, -40), mark(60, 80, -40)])
    shares, photo = np.array((0.9, 0.8, 1, 1)), np.zeros((100, 100, 3), np.uint8)
    cards = [(name, None, 1, ends, shares) for name in ("joker", "two of clubs")]
    monkeypatch.setattr(train, "make_candidate_scene", lambda rng, apart: (photo, cards))
    _, told, seen, kinds = train.finder_scene(0)
    assert seen.tolist() == [0.9, 0.8, 0.9, 0.9, 0.9, 0.8, 1, 1] and not kinds.any()
    assert np.array_equal(told, np.concatenate([ends, ends]) - 0.5)
    _, _, seen, kinds = train.finder_scene(0, apart=True)
    assert kinds.tolist() == [0] * 4 + [1, 2, 1, 2]
    assert seen[4:] == pytest.approx((1.02, 0.92, 0.9, 0.9))


@pytest.mark.parametrize("apart", [False, True])
def test_the_finder_trains_and_is_written_whole(apart, tmp_path, monkeypatch):
    path, cut, keys = tmp_path / "buscador.weights.h5", train.finder_crops, []

    def crops(jpg, ends, seen, kinds, rng, turned):
        keys.append((jpg, rng.integers(1 << 60), turned, kinds.any()))
        return cut(jpg, ends, seen, kinds, rng, turned)

    monkeypatch.setattr(train, "finder_crops", crops)
    train.fit_finder(apart, str(path), photos=4, epochs=2)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    # Cada foto, una vez por época y con otra semilla
    assert len({key[0] for key in keys}) == 4 and len({key[1] for key in keys}) == 8
    assert {key[2] for key in keys} == {not apart}
    assert {key[3] for key in keys} == {False, apart}
    keras.utils.set_random_seed(0)
    model = card_model.build_finder(1 + apart)
    before = model.get_weights()
    model.load_weights(path)
    moved = [np.abs(a - b).max() for a, b in zip(model.get_weights(), before, strict=True)]
    assert np.isfinite(moved).all() and min(moved) > 0
    first = path.read_bytes()  # los que había quedan al lado
    train.fit_finder(apart, path, photos=1, epochs=1, seed=1)
    (old,) = (file for file in tmp_path.iterdir() if file != path)
    assert old.read_bytes() == first != path.read_bytes()


def test_without_the_finder_it_says_which_file_is_missing(monkeypatch, tmp_path):
    photo, _ = put([0])
    monkeypatch.setattr(card_model, "FINDER", tmp_path / "nada.weights.h5")
    card_model.load_finder.cache_clear()
    with pytest.raises(FileNotFoundError, match="Falta .*nada.weights.h5.*fit_finder"):
        find_indices(photo)
    monkeypatch.setattr(card_model, "APART", tmp_path / "otra.weights.h5")
    with pytest.raises(FileNotFoundError, match=r"Falta .*otra.weights.h5.*fit_finder\(apart=True"):
        card_photo.find_marks(photo, 0.5, apart=True)


def test_size_of_the_photo_only_scales_the_corners():
    photo, _ = put([30])
    large = np.asarray(Image.fromarray(photo).resize((2400, 1800)))
    assert np.abs(find_cards(large)[0] / 3 - find_cards(photo)[0]).max() < 4


def test_two_cards_are_found_once_each():
    photo, truth = put([10, 100], at=((200, 300), (590, 300)), length=300)
    found = find_cards(photo)
    assert len(found) == 2
    for corners in truth:
        assert sum(overlap(corners, card) > 0.9 for card in found) == 1


@pytest.mark.parametrize("turn", [0, 75, 180])
def test_straighten_gives_back_the_card(turn):
    photo, (truth,) = put([turn])
    card = demo_deck.draw_card("seven of spades", "póquer", np.random.default_rng(3))
    plain = Image.new("RGB", card.size, (40, 90, 60))
    plain.paste(card, (0, 0), card)
    plain = np.asarray(plain.resize((224, 224), Image.Resampling.BOX)).astype(int)
    image = straighten(photo, truth)
    assert image.shape == (224, 224, 3) and image.dtype == np.uint8
    assert np.abs(image - plain).mean() < 4
    found = straighten(photo, find_cards(photo)[0]).astype(int)
    either = (np.abs(found - plain).mean(), np.abs(found[::-1, ::-1] - plain).mean())
    assert min(either) < 8 and max(either) > 1.5 * min(either)


def test_most_cards_of_composed_scenes_are_found():
    hits = 0
    for seed in range(12):
        rng = np.random.default_rng([seed, 5])
        scene, ((_, truth),) = scenes.make_scene(rng, size=(640, 480))
        hits += any(overlap(card, truth) > 0.8 for card in find_cards(np.asarray(scene)))
    assert hits >= 11


def test_scenes_repeat_with_the_seed():
    one, truth = scenes.make_scene(np.random.default_rng(8), cards=3)
    other, _ = scenes.make_scene(np.random.default_rng(8), cards=3)
    assert one.tobytes() == other.tobytes() and one.size == (1024, 768)
    assert len(truth) == 3 and {name for name, _ in truth} <= set(CLASS_NAMES)
    assert all(cv2.contourArea(np.float32(c), oriented=True) > 0 for _, c in truth)


@pytest.mark.parametrize("layout", ["fan", "cascade", "touching"])
def test_spreads_repeat_and_say_which_indices_are_seen(layout):
    one, truth, indices = scenes.make_spread(np.random.default_rng(4), 6, layout)
    other, *_ = scenes.make_spread(np.random.default_rng(4), 6, layout)
    assert one.tobytes() == other.tobytes() and one.size == (1024, 768)
    assert len({name for name, _ in truth}) == len(truth) == len(indices) == 6
    assert len(indices[-1]) >= 2  # la de encima enseña los dos; las tapadas, uno
    assert layout == "touching" or [len(seen) for seen in indices[:-1]] == [1] * 5
    for (_, corners), seen in zip(truth, indices, strict=True):
        for box in seen:
            assert cv2.pointPolygonTest(np.float32(corners), box.mean(0).tolist(), False) > 0
