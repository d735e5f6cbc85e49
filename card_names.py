"""Los nombres: clases, rangos, palos y particiones, y cómo se dicen en español."""

SPLITS = ("train", "valid", "test")
SUITS = ("clubs", "diamonds", "hearts", "spades")
RANK_NAMES = "ace two three four five six seven eight nine ten jack queen king".split()
RANKS = dict(zip(RANK_NAMES, "A 2 3 4 5 6 7 8 9 10 J Q K".split(), strict=True))
CLASS_NAMES = sorted([f"{rank} of {suit}" for rank in RANKS for suit in SUITS] + ["joker"])

SPANISH_RANKS = "as dos tres cuatro cinco seis siete ocho nueve diez jota reina rey".split()
SPANISH = dict(zip(RANK_NAMES, SPANISH_RANKS, strict=True))
SPANISH |= {"clubs": "tréboles", "diamonds": "diamantes", "hearts": "corazones", "spades": "picas"}
SYMBOLS = {"clubs": "♣", "diamonds": "♦", "hearts": "♥", "spades": "♠"}


def card_name(class_name):
    """Nombre español de una clase: "ace of clubs" -> "as de tréboles"; otro, tal cual."""
    rank, _, suit = class_name.partition(" of ")
    if rank in RANKS and suit in SUITS:
        return f"{SPANISH[rank]} de {SPANISH[suit]}"
    return "comodín" if class_name == "joker" else class_name


def short_name(card):
    """La carta en dos o tres signos: "A♠", "10♥"; el comodín, entero."""
    rank, _, suit = card.partition(" of ")
    return RANKS.get(rank, rank) + SYMBOLS[suit] if suit in SYMBOLS else card_name(card)
