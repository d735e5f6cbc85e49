"""Leer cartas: qué se queda de todo lo juzgado y en qué orden."""

from collections import Counter
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

import card_photo
import card_reader as cr
import card_trust as ct
from card_names import CLASS_NAMES, RANKS, SUITS, card_name, short_name
from drawing import demo_deck, scenes

# La evidencia de una energía de 7 es 0, y la de 13, 1
TRUST = {kind: {cr.LEAST: 7.0, "50": 13.0} for kind in ("whole", "corner")}


def outline(card, x=0, y=0, energy=15.0, size=100, kind="outline"):
    """Lectura de una carta de `size` x 1.4 `size` px con la esquina en (x, y)."""
    box = np.float32([[x, y], [x + size, y], [x + size, y + 1.4 * size], [x, y + 1.4 * size]])
    return ct.Reading(card, 0.99, False, energy, kind, box)


def corner(card, x=0, y=0, energy=15.0, confidence=0.99):
    """Lectura de un índice de 10 px de letra a palo con la esquina de la carta en (x, y)."""
    box = np.float32([[x, y], [x + 26, y], [x + 26, y + 44], [x, y + 44]])
    return ct.Reading(card, confidence, energy < 5, energy, "corner", box)


def opposite_corners(card, energy, confidence=0.99):
    """Los dos índices de una carta de 110 x 150 px con la esquina en (0, 0)."""
    turned = corner(card, -110, -150, energy, confidence)
    turned.box *= -1
    return [corner(card, 0, 0, energy, confidence), turned]


def names(readings):
    return sorted(r.card for r in cr.one_per_card(readings, TRUST))


def test_an_outline_and_its_indices_are_one_card():
    inside = [outline("a", energy=9), corner("a", 2, 2, 20)]
    (card,) = cr.one_per_card(inside, TRUST)
    assert (card.card, card.kind, card.energy) == ("a", "outline", 20)
    assert np.array_equal(card.box, outline("a").box)


def test_a_surer_index_corrects_its_outline():
    assert names([outline("a", energy=8), corner("b", 2, 2, 20)]) == ["b"]
    assert names([outline("a", energy=12), corner("b", 2, 2, 11)]) == ["a"]
    # Si el contorno lee además un índice suyo, el otro ha de ser más seguro que él
    both = [corner("a", 2, 2, 9), corner("b", 60, 60, 18)]
    assert names([outline("a", energy=25), *both]) == ["a"]
    assert names([outline("a", energy=15), *both]) == ["a", "b"]


def test_indices_and_areas_are_compared_by_evidence_and_not_by_energy():
    """Con las esquinas diez más arriba: el índice vale menos que su contorno y que el de fuera."""
    trust = {**TRUST, "corner": {cr.LEAST: 17.0, "50": 23.0}}
    found = [outline("a", 30, 30, 12), corner("a", 33, 33, 20)]
    (card,) = cr.one_per_card(found, trust)
    assert (card.card, card.kind, card.energy) == ("a", "outline", 12)
    (card,) = cr.one_per_card([*found, outline("b", size=200, energy=13)], trust)
    assert card.card == "b"
    (card,) = cr.one_per_card([*found[1:], outline("a", 30, 30, 9)], trust)
    assert (card.kind, card.energy) == ("outline", 20)
    (card,) = cr.one_per_card([*found[1:], outline("a", 30, 30, 9), outline("b", size=200)], trust)
    assert card.card == "b"


def test_a_piece_of_a_card_is_not_a_card():
    """Una sombra corta la carta: su otro índice queda fuera del trozo, y no es de otra carta."""
    pair = opposite_corners("a", 15)
    assert names([outline("a", size=40), *pair]) == ["a"]
    (card,) = cr.one_per_card([outline("a", size=60), pair[0]], TRUST)
    assert card.kind == "outline"
    assert names([outline("joker", size=40), corner("joker")]) == ["joker"]


def test_areas_are_looked_at_twice_and_corners_once(monkeypatch):
    photo = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    area, *indices = (r.box for r in (outline("a", 90, 40), corner("b", 5, 9), corner("c", 99, 9)))
    monkeypatch.setattr(cr.card_photo, "find_cards", lambda photo: [area])
    crops = list(np.random.default_rng(1).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8))
    monkeypatch.setattr(cr.card_photo, "find_corners", lambda photo: (indices, crops))
    seen = []

    def judge(model, metadata, images, corner=False):
        seen.append((images, corner))
        return [ct.Reading("a", 0.5, False, float(i)) for i in range(len(images))]

    monkeypatch.setattr(cr, "judge_images", judge)
    readings = cr.judge_all(None, None, photo)
    assert [r.kind for r in readings] == ["whole", "outline", "corner", "corner"]
    assert [r.energy for r in readings] == [0, 1, 0, 1]
    for r, box in zip(readings[1:], (area, *indices), strict=True):
        assert np.array_equal(r.box, box)
    (areas, once), (shown, corner_once) = seen
    assert not once and corner_once
    assert np.array_equal(areas[1], card_photo.straighten(photo, area))
    assert np.array_equal(shown, crops)


def test_what_holds_several_cards_is_not_a_card():
    two = [corner("a", 10, 10), corner("b", 60, 10)]
    for kind in ("outline", "whole"):
        assert names([outline("z", size=300, energy=30, kind=kind), *two]) == ["a", "b"]
    apart = [outline("a", 10, 10), outline("b", 300, 10)]
    assert names([outline("z", size=900, energy=30, kind="whole"), *apart]) == ["a", "b"]
    fan = [corner(card, 60 * i, 10) for i, card in enumerate("abcde")]
    assert names([outline("a", -50, -50, 30, 600, "whole"), *fan]) == [*"abcde"]


def test_two_readings_alike_in_everything_do_not_break_it():
    twice = [corner("a", 500), corner("a", 900), outline("b"), outline("b")]
    assert names(twice) == ["a", "a", "b"]


def test_equal_cards_are_two_if_their_indices_cannot_be_of_one():
    assert names(opposite_corners("a", 15)) == ["a"]
    for x, y in ((30, 12), (40, 30), (0, 40), (900, 0)):  # miran al mismo lado
        assert names([corner("a"), corner("a", x, y)]) == ["a", "a"], (x, y)
    for x in (16, 60, 140):  # a la misma altura: de una carta de cuatro índices
        assert names([corner("a"), corner("a", x, 1)]) == ["a"], x
    one, turned = opposite_corners("a", 15)
    for x in (30, 45, -60):  # la carta es tan ancha como dice el índice de enfrente
        assert names([one, turned, corner("a", x, 1)]) == ["a", "a"], x
    joined = outline("a", -35, -5, 25, 150)  # ni el contorno de las dos las junta
    assert names([joined, one, turned, corner("a", -30, 1)]) == ["a", "a"]
    assert names([corner("a"), corner("b", 30, 1), corner("a", 60, 1)]) == ["a", "a", "b"]
    assert names([one, replace(turned, box=turned.box + (0, -300))]) == ["a"]  # el palo, arriba
    assert names([one, replace(turned, box=turned.box + (0, 200))]) == ["a", "a"]
    assert names([one, turned, replace(one, box=one.box + (30, 20))]) == ["a", "a"]
    assert names([outline("a", 0, 0), outline("a", 98, 0)]) == ["a", "a"]  # canto con canto
    assert names([outline("a", 0, 0), outline("a", 40, 0)]) == ["a"]
    assert (
        names([outline("a", 0, 0), outline("a", 150, 0), outline("a", 0, 0, 30, 300)]) == ["a"] * 2
    )
    assert names([outline("a", 0, 0, 20), corner("a", 190, 0)]) == ["a", "a"]
    assert names([outline("a", 0, 0, 20), corner("a", 120, 0)]) == ["a"]  # marco, o contorno corto


def test_each_place_of_a_card_has_one_index():
    """Dos nueves que se tapan, con los dos índices de uno y el de arriba del otro."""
    one, turned = opposite_corners("a", 15)
    for x, y in ((-30, -12), (0, -40), (-20, -30)):
        assert names([one, turned, replace(one, box=one.box + (x, y))]) == ["a", "a"], (x, y)
    # El contorno de las dos juntas no es una carta; el de una, con su índice, no es la otra
    joined = [outline("a", -30, -12, 25, 150), one, turned, replace(one, box=one.box + (-30, -12))]
    assert names(joined) == ["a", "a"]
    under = corner("a", -22, 0)
    assert names([outline("a", 0, 0), corner("a", 3, 3), under]) == ["a", "a"]
    four = [one, turned, corner("a", 90, 0), replace(turned, box=turned.box - (90, 0))]
    assert names([replace(r, energy=r.energy + k) for k, r in enumerate(four)]) == ["a"]


def test_the_whole_photo_is_silent_if_a_small_part_may_be_another_card():
    whole = outline("a", size=600, kind="whole")
    assert names([whole]) == ["a"]
    far = corner("b", 300, 300, 6, 0.6)
    assert names([whole, far]) == []
    for other in (replace(far, card="a"), replace(far, energy=2.0), outline("b", 0, 0, 6, 500)):
        assert names([whole, other]) == ["a"]


def test_two_faint_opposite_indices_confirm_each_other():
    faint, turned = opposite_corners("a", 4.5, 0.6)
    assert names([faint]) == names([turned]) == [] and faint.refused
    (card,) = cr.one_per_card([faint, turned], TRUST)
    assert card.card == "a" and not card.refused
    # Si lo que la confirmaba es de otra carta, no la confirma
    other = replace(turned, card="b", energy=15.0, confidence=0.99)
    assert names([faint, turned, other]) == ["b"]
    beside = corner("a", 97, 123, 6, 0.6)  # sin girar
    assert names([faint, beside]) == []
    # Ni por ancho, ni por estrecho, ni por cerca, ni por tamaño
    for move, scale in (((60, 0), 1), ((-65, 0), 1), ((-68, -92), 1), ((0, 0), 1.8)):
        other = replace(turned, box=(turned.box - (84, 106)) * scale + (84, 106) + move)
        assert names([faint, other]) == []
    assert names([faint, replace(turned, card="b")]) == []
    assert names([faint, replace(turned, box=turned.box + (500, 700))]) == []


def test_a_joker_needs_its_card():
    assert names([corner("joker", energy=30)]) == []
    assert names(opposite_corners("joker", 15)) == ["joker"]
    assert names([outline("joker"), corner("joker", 3, 3)]) == ["joker"]


def test_a_whole_card_is_not_part_of_an_index():
    """Dos cosas de la mesa, cada una a un lado de una carta, parecen un índice enorme."""
    huge = corner("b", energy=25)
    huge.box = np.float32([[-180, -280], [340, -280], [340, 600], [-180, 600]])
    assert names([outline("a", 0, 0, 20), huge]) == ["a"]
    assert names([corner("a", 20, 20), huge]) == ["a"]


def test_a_doubtful_twin_is_no_other_card():
    """Un índice igual, más flojo, en un sitio que no puede ser suyo."""
    for energy, cards in ((8, ["a"]), (10, ["a", "a"])):
        twin = corner("a", 45, 25, energy)
        assert names([outline("a", energy=20, size=150), corner("a", 5, 5), twin]) == cards
        one, turned = opposite_corners("a", 15)
        assert names([one, turned, replace(turned, box=turned.box - 20, energy=energy)]) == cards


def test_an_index_with_its_opposite_wins_over_one_alone():
    assert names([*opposite_corners("a", 8.2), corner("b", 1, 0, 9.4)]) == ["a"]
    assert names([opposite_corners("a", 8.2)[0], corner("b", 1, 0, 9.4)]) == ["b"]


def test_weak_indices_and_those_that_share_a_letter_or_a_suit_are_left_out():
    assert names([corner("a", energy=6.9), corner("b", 300, 0, confidence=0.8)]) == []
    assert names([outline("a", energy=6.9)]) == []
    for y in (0, 10):  # el palo de una es la letra de la otra
        assert names([corner("a", 0, 0, 20), corner("b", 1, y, 15)]) == ["a"]
    assert names([corner("a", 0, 0, 20), corner("b", 9, 0, 15)]) == ["a", "b"]  # vecinas


@pytest.mark.parametrize("wide", (60, 120, 400))
def test_order_scale_and_turn_of_the_candidates_change_nothing(wide):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        hand = [outline("z", -20, -20, 14, 260), *opposite_corners("a", 9)]
        hand += [corner(c, *rng.uniform(0, wide, 2), rng.uniform(6, 20)) for c in "abcdab" * 4]
        told, spin = names(hand), demo_deck.rotation(1.1)
        for _ in range(4):
            assert names([hand[i] for i in rng.permutation(len(hand))]) == told
        assert names([replace(r, box=np.float32(2.5 * r.box @ spin + 70)) for r in hand]) == told


def test_reading_order_is_by_rows():
    cards = [outline("d", 130, 220), outline("b", 140, 0), outline("c", 0, 200), outline("a", 0, 9)]
    assert [r.card for r in cr.reading_order(cards)] == ["a", "b", "c", "d"]


def test_the_surest_is_the_one_that_fills_most_of_the_photo_and_is_refused():
    whole = outline("z", size=300, kind="whole", energy=9)
    whole.confidence, whole.refused = 0.5, True
    small, large = outline("a", size=30), outline("b", 100, size=150)
    small.confidence, large.confidence = 0.97, 0.96
    best = cr.surest([whole, small, large])  # a casi igual confianza, la mayor
    assert best.card == "b" and best.refused
    large.confidence = 0.6
    assert cr.surest([whole, small, large]).card == "a"
    assert cr.surest([whole, corner("c")]).card == "z"  # una esquina floja no basta


def test_top_five_are_drawn_from_the_likeliest(monkeypatch):
    monkeypatch.setattr(ct.plt, "show", lambda: None)
    names, probabilities = CLASS_NAMES, np.linspace(0, 0.03, 53)
    ct.plot_top5(np.zeros((224, 224, 3), np.uint8), probabilities, names, truth="joker")
    axes = ct.plt.gcf().axes[1]
    shown = [label.get_text() for label in axes.get_yticklabels()]
    assert shown == [card_name(name) for name in names[:-6:-1]]
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == sorted(widths, reverse=True)
    ct.plt.close()


def read_with(monkeypatch, trusted, whole, found):
    """`read_cards` con un buscador de mentira que da las imágenes `found`, en fila."""
    square = np.float32([[0, 0], [50, 0], [50, 70], [0, 70]])
    boxes = [square + (60 * i, 0) for i in range(len(found))]
    monkeypatch.setattr(card_photo, "find_cards", lambda photo: boxes)
    monkeypatch.setattr(card_photo, "find_corners", lambda photo: ([], []))
    monkeypatch.setattr(
        card_photo, "straighten", lambda photo, box: found[int(box[:, 0].mean()) // 60]
    )
    return cr.read_cards(*trusted, whole)


def test_read_cards_policy(monkeypatch, trusted, deck):
    blank, (first, second, third) = np.full((224, 224, 3), 90, np.uint8), deck[0][[0, 20, 40]]
    classes = trusted[1]["class_names"]

    (alone,) = read_with(monkeypatch, trusted, first, [])
    assert (alone.card, alone.kind, alone.refused) == (classes[0], "whole", False)
    (found,) = read_with(monkeypatch, trusted, blank, [second])  # la carta, no el fondo
    assert found.card == classes[20] and found.kind == "outline" and not found.refused
    (whole,) = read_with(monkeypatch, trusted, first, [blank])  # lo encontrado no era carta
    assert whole.card == classes[0] and whole.kind == "whole"
    (nothing,) = read_with(monkeypatch, trusted, blank, [blank])
    assert nothing.refused
    several = read_with(monkeypatch, trusted, blank, [second, blank, third])
    assert [r.card for r in several] == [classes[20], classes[40]]


def test_read_cards_says_what_is_wrong(trusted, tmp_path):
    model, metadata = trusted
    (tmp_path / "nota.jpg").write_text("hola")
    with pytest.raises(ValueError, match="no es una imagen"):
        cr.read_cards(model, metadata, tmp_path / "nota.jpg")
    with pytest.raises(ValueError, match="card_training.fit_trust"):
        bare = {key: value for key, value in metadata.items() if key != "trust"}
        cr.read_cards(model, bare, tmp_path / "nota.jpg")


def drawn_text(lines, size=(900, 700), height=26):
    """Página blanca con renglones de texto."""
    page = Image.new("RGB", size, (245, 245, 240))
    pen = demo_deck.Pen(page)
    pen.matrix, pen.origin = np.eye(2), np.array((0, 0))
    for k, line in enumerate(lines):
        pen.text(line, "DejaVuSans-Bold", size[0] / 2, 40 + 1.7 * k * height, height, (20, 20, 25))
    return np.asarray(page)


CALENDAR = ["L M X J V S D"] + [" ".join(str(7 * k + d) for d in range(1, 8)) for k in range(4)]
PAGE = ["Los 10 ases de la baraja K Q J A", "ganaron 7 de 9 partidas, 8 a 2"] * 6


@pytest.mark.parametrize(
    "photo",
    [
        drawn_text(PAGE),
        drawn_text(CALENDAR, height=60),
        np.kron(np.indices((8, 8)).sum(0) % 2, np.ones((80, 80)))[..., None].repeat(3, 2) * 220,
        np.full((100, 4000, 3), 180),
    ],
    ids=["texto", "calendario", "ajedrez", "tira"],
)
def test_what_has_no_cards_names_none(published, photo):
    assert all(r.refused for r in cr.read_cards(*published, photo.astype(np.uint8)))


def test_a_huge_photo_and_a_hand_are_read(published):
    hand, truth, indices = scenes.make_spread(np.random.default_rng(3), 5, "fan")
    huge = np.asarray(hand.resize((8000, 6000)))  # 48 megapíxeles
    told = [r.card for r in cr.read_cards(*published, huge)]
    assert len(told) >= 4 and set(told) <= {name for name, _ in truth}


def flat_cards(names, places, size, width):
    """Captura de pantalla: cartas dibujadas de frente sobre verde, cada una en su sitio."""
    photo = Image.new("RGB", size, (30, 95, 60))
    for name, place in zip(names, places, strict=True):
        card = demo_deck.draw_card(name, "póquer", np.random.default_rng(1), width)
        photo.paste(card, place, card)
    return np.asarray(photo)


def told(photo, published):
    """`Counter` de lo que se nombra sin rechazar, en su orden."""
    return Counter(r.card for r in cr.read_cards(*published, photo) if not r.refused)


def test_sixty_cards_are_read_by_rows(published):
    names = [name for name in CLASS_NAMES if name != "joker"]
    names += names[:8]
    places = [(20 + 132 * (k % 12), 20 + 190 * (k // 12)) for k in range(60)]
    found = [r.card for r in cr.read_cards(*published, flat_cards(names, places, (1610, 990), 120))]
    assert (Counter(found) & Counter(names)).total() >= 57 and len(found) <= 61
    assert found[:3] == names[:3]


def test_a_game_of_patience_on_the_screen(published):
    names = [name for name in CLASS_NAMES if name != "joker"][::2]
    places = [(30 + 150 * (k % 7), 30 + 45 * (k // 7)) for k in range(26)]
    found = told(flat_cards(names, places, (1100, 420), 130), published)
    assert (found & Counter(names)).total() >= 22 and (found - Counter(names)).total() <= 1


def test_boxes_are_in_pixels_of_the_photo_given(published, tmp_path):
    """También de un JPG grande, que se decodifica a la mitad."""
    photo = Image.fromarray(flat_cards(["nine of hearts"], [(700, 500)], (2800, 2000), 700))
    photo.save(tmp_path / "a.jpg", quality=90)
    (reading,) = cr.read_cards(*published, tmp_path / "a.jpg")
    assert reading.card == "nine of hearts"
    assert np.abs(reading.box - [[700, 500], [1400, 500], [1400, 1480], [700, 1480]]).max() < 25


def test_a_card_cut_by_the_frame_is_read_by_the_index_that_is_left(published):
    photo = flat_cards(["nine of hearts"], [(520, 380)], (600, 500), 230)
    assert set(told(photo, published)) == {"nine of hearts"}


NINE, CLUBS = "nine of spades", [f"{rank} of clubs" for rank in ("jack", "queen", "king")]
ROW = [name for name in CLASS_NAMES if name != "joker"][::4]
COLUMN = [f"{name} of {suit}" for name in ("eight", "jack") for suit in SUITS]


@pytest.mark.parametrize(
    "names, places, size, width, least",
    [
        ([NINE] * 2, [(60, 60), (60, 130)], (300, 420), 150, 2),
        (CLUBS, [(60, 60), (160, 60), (260, 60)], (400, 200), 56, 0),
        (ROW, [(20 + 30 * k, 30) for k in range(13)], (560, 270), 150, 12),
        (COLUMN, [(50, 30 + 33 * k) for k in range(8)], (230, 470), 130, 0),
    ],
    ids=["dos iguales", "figuras pequeñas", "tiras estrechas", "palos a medias"],
)
def test_hard_screens_name_nothing_that_is_not_there(published, names, places, size, width, least):
    found = told(flat_cards(names, places, size, width), published)
    assert not found - Counter(names) and (found & Counter(names)).total() >= least


def apart_cards(names, places, width=170):
    """Captura con la letra y el palo de cada carta en sus dos esquinas de arriba."""
    photo = Image.new("RGB", (760, 460), (30, 95, 60))
    for number, (name, place) in enumerate(zip(names, places, strict=True)):
        rank, _, suit = name.partition(" of ")
        card = Image.new("RGB", (width, round(1.4 * width)), (252, 252, 250))
        pen, color = demo_deck.Pen(card), ((22, 22, 26), (200, 22, 36))[suit in SUITS[1:3]]
        pen.text(RANKS[rank], "DejaVuSans-Bold", -88, -135, 56, color, 60)
        outline = demo_deck.suit_outline(suit, np.random.default_rng(number))
        demo_deck.draw_pip(pen.at(92, -137, 46), outline, demo_deck.STYLES["póquer"], color)
        demo_deck.draw_pip(pen.at(0, 60, 120), outline, demo_deck.STYLES["póquer"], color)
        pen.stroke(demo_deck.SQUARE * (124, 174), (120, 120, 120), 2, closed=True)
        photo.paste(card, place)
    return np.asarray(photo)


def test_letter_and_suit_in_the_two_upper_corners_are_one_card(published):
    names = [name for name in CLASS_NAMES if name != "joker"][3::4][:12]
    places = [(30 + 240 * (k // 4), 30 + 48 * (k % 4)) for k in range(12)]
    found = told(apart_cards(names, places), published)
    assert not found - Counter(names) and found.total() >= 9


def test_hard_photos_name_nothing_that_is_not_there(published):
    """Una figura lejana y girada, otra movida, y una carta junto a una hoja."""
    table = Image.new("RGB", (1200, 900), (30, 95, 60))
    king = demo_deck.draw_card("king of hearts", "póquer", np.random.default_rng(0), 120)
    king = king.rotate(60, Image.Resampling.BICUBIC, expand=True)
    table.paste(king, (500, 400), king)
    assert set(told(np.asarray(table), published)) <= {"king of hearts"}
    queen = flat_cards(["queen of hearts"], [(110, 50)], (320, 240), 100)
    shaken = cv2.blur(queen, (5, 1))
    assert set(told(shaken, published)) <= {"queen of hearts"}
    photo = flat_cards(["queen of hearts"], [(40, 120)], (640, 480), 150).copy()
    photo[60:390, 320:600] = drawn_text(PAGE, (280, 330), 15)
    assert told(photo, published) == {"queen of hearts": 1}


def test_mirrored_hands_name_few_cards_wrong(published):
    wrong = 0
    for seed in range(3, 7):
        hand, truth, _ = scenes.make_spread(np.random.default_rng(seed), 5, "fan")
        found = told(np.asarray(hand)[:, ::-1], published)
        wrong += (found - Counter(name for name, _ in truth)).total()
    assert wrong <= 6  # de veinte cartas


def test_short_names():
    names = [short_name(name) for name in ("ten of hearts", "joker", "2 of hearts", "dorso")]
    assert names == ["10♥", "comodín", "2♥", "dorso"]
