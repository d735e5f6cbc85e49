"""Mide un modelo y apunta las cifras en su JSON, en "measures".

python benchmarks/medir.py MODELO DATOS [--field CAMPO] [--only PARTE ...]

Partes: stress (valid dañado, sus esquinas y barajas dibujadas), trust (calibración y rechazo),
no_cards (lo que no es una carta), candidates (lo que propone el lector), field (otras barajas,
mesas y manos de CAMPO), light (las fotos de CAMPO con mala luz), scenes (fotos dibujadas), screens
(pantallas, texto y cartas iguales) y mobile (LiteRT). CAMPO es una carpeta con LABELS.csv (file,
group, labels). `no_cards` necesita `pip install scikit-image scikit-learn`.

Solo trust y mobile leen `test`: son para un modelo ya elegido. Cada imagen se mira dos veces,
derecha y del revés; las esquinas, y todo en mobile, una.
"""

import argparse
import csv
import inspect
import json
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parents[1]))

import cv2
import numpy as np

import card_model as cm
import card_reader as cr
import card_trust as ct
import card_utils as cu
from card_names import CLASS_NAMES
from card_training import decode
from drawing.demo_deck import SQUARE, draw_card, rotation
from drawing.free_deck import draw_free_cards
from drawing.no_cards import KINDS, LOOKALIKES, SIZE
from drawing.scenes import CARD, draw_candidates, lay, make_candidate_scene, make_scene, make_spread

SEED = 70_007  # entrenar con SEED 0 a 60 000 no dibuja ninguna de estas
SIDE = cu.IMAGE_SHAPE[0]
# Daño: (unidad, tres grados de menos a más)
STRESSES = {
    "turn": ("grados", (15, 45, 90)),
    "tilt": ("% del lado", (10, 20, 30)),
    "far": ("% del lado", (75, 55, 40)),
    "moved": ("% del lado", (5, 10, 15)),
    "dark": ("% de la luz", (70, 45, 25)),
    "bright": ("% de la luz", (130, 160, 200)),
    "shadow": ("% de la luz", (60, 40, 20)),
    "tint": ("% por canal", (15, 30, 45)),
    "gray": ("% del color", (50, 20, 0)),
    "blur": ("sigma en px", (1.0, 1.8, 2.6)),
    "noise": ("sigma en niveles", (12, 25, 50)),
    "jpeg": ("calidad", (30, 15, 8)),
    "covered": ("% del área", (5, 10, 20)),
}
PHOTOS = (  # de scikit-image: solo lo que viene en el paquete, sin descargar nada
    "astronaut.png brick.png camera.png cell.png chelsea.png clock_motion.png coffee.png coins.png "
    "grass.png gravel.png horse.png hubble_deep_field.jpg ihc.png moon.png motorcycle_left.png "
    "page.png retina.jpg rocket.jpg text.png"
)


def hits(model, images, labels, look=ct.look_twice):
    """bool [n]: qué imágenes nombra bien; las esquinas, con `ct.predict_logits`."""
    return look(model, np.stack(images)).argmax(1) == labels


# --- Daños -----------------------------------------------------------------------------------


def on_table(image, corners, rng):
    """La carta llevada a otras cuatro esquinas ([4, 2] en 0..1, desde arriba a la izquierda)."""
    stains = rng.uniform(40, 200, 3) + rng.uniform(-30, 30, (5, 5, 3))
    table = cv2.resize(stains.clip(0, 255), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    ends = np.float32([[0, 0], [1, 0], [1, 1], [0, 1]]) * SIDE
    warp = cv2.getPerspectiveTransform(ends, np.float32(corners) * SIDE)
    moved, here = (
        cv2.warpPerspective(x, warp, (SIDE, SIDE))
        for x in (image.astype(np.float32), np.ones_like(image, np.float32))
    )
    return moved + (1 - here) * table


def damage(image, kind, degree, rng):
    """Una imagen uint8 [224, 224, 3] con un daño de `STRESSES`, en un grado de su unidad."""
    x, share, side = image.astype(np.float32), degree / 100, rng.choice([-1, 1])
    square = SQUARE / 2
    if kind == "turn":  # encogida lo justo para que quepa entera
        turn = rotation(np.deg2rad(side * degree))
        x = on_table(x, square @ turn / np.abs(turn[0]).sum() + 0.5, rng)
    elif kind == "tilt":
        moved = square * (1 - share / 2) + rng.uniform(-share, share, (4, 2)) / 4
        x = on_table(x, moved + 0.5, rng)
    elif kind == "far":  # sin el aplastado a un cuadrado: 5 de ancho por 7 de alto
        away = rng.uniform(-0.5, 0.5, 2) * (1 - share)
        x = on_table(x, square * [share * 5 / 7, share] + 0.5 + away, rng)
    elif kind == "moved":
        x = on_table(x, square + 0.5 + share * rng.choice([-1, 1], 2), rng)
    elif kind in ("dark", "bright"):
        x *= share
    elif kind == "shadow":
        line = np.linspace(1, share, SIDE)[::side]
        x *= line[:, None, None] if rng.random() < 0.5 else line[:, None]
    elif kind == "tint":
        x *= 1 + share * rng.permutation([-1, rng.choice([-1, 1]), 1])
    elif kind == "gray":
        gray = x.mean(-1, keepdims=True)
        x = gray + share * (x - gray)
    elif kind == "blur":
        x = cv2.GaussianBlur(x, None, degree)
    elif kind == "noise":
        x += rng.normal(0, degree, x.shape)
    elif kind == "jpeg":
        _, code = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, degree])
        x = cv2.imdecode(code, cv2.IMREAD_COLOR_RGB)
    elif kind == "covered":
        length = int(SIDE * share**0.5)
        top, left = rng.integers(0, SIDE - length, 2)
        x[top : top + length, left : left + length] = rng.uniform(0, 255, 3)
    return np.clip(x, 0, 255).astype(np.uint8)


def stress(model, metadata, data):
    """`valid` girado, lejos, mal iluminado, borroso, tapado..., y cartas de barajas dibujadas."""
    images, labels, _ = cu.load_split(data, "valid", metadata["class_names"])
    kinds = {}
    for kind, (unit, degrees) in STRESSES.items():
        kinds[kind] = {"unit": unit, "degrees": degrees, "results": []}
        for degree in degrees:
            rng = np.random.default_rng(SEED)
            hurt = [damage(image, kind, degree, rng) for image in images]
            kinds[kind]["results"].append(cu.count(hits(model, hurt, labels)))
    none = cu.count(hits(model, images, labels))
    every = [none, *(result for kind in kinds.values() for result in kind["results"])]
    drawn, drawn_labels, is_corner = draw_free_cards(12, SEED)
    drawn = np.stack([decode(image) for image in drawn])
    whole = hits(model, drawn[~is_corner], drawn_labels[~is_corner])
    seen = hits(model, drawn[is_corner], drawn_labels[is_corner], ct.predict_logits)
    return {
        "all": {key: sum(result[key] for result in every) for key in none},
        "none": none,
        "corners": corners(model, images, labels),
        "kinds": kinds,
        "drawn_decks": cu.count(whole),
        "drawn_corners": cu.count(seen),
    }


def corners(model, images, labels):
    """Los aciertos viendo solo la esquina superior izquierda: del alto el 36 %, del ancho el 30."""
    seen = [cu.squash(image[: round(0.36 * SIDE), : round(0.3 * SIDE)]) for image in images]
    return cu.count(hits(model, seen, labels, ct.predict_logits))


# --- Confianza -------------------------------------------------------------------------------


def perfect_ece(confidence):
    """El ECE que daría el azar si cada seguridad fuera exacta, de media."""
    rng, confidence = np.random.default_rng(0), np.asarray(confidence)
    right = rng.random((1000, len(confidence))) < confidence
    return float(np.mean([ct.reliability(confidence, row)["ece"] for row in right]))


def trust(model, metadata, data):
    """Calibración y rechazo en `test`."""
    images, labels, files = cu.load_split(data, "test", metadata["class_names"])
    logits = ct.look_twice(model, images)
    readings, right = ct.judge(metadata, logits), logits.argmax(1) == labels
    refused = np.array([r.refused for r in readings])
    errors = [
        {
            **{"file": "/".join(file.parts[-3:]), "truth": file.parent.name},
            **{"answer": r.card, "confidence": round(r.confidence, 4)},
        }
        for file, r, good in zip(files, readings, right, strict=True)
        if not good
    ]
    return {
        "raw": ct.reliability(np.exp(ct.log_softmax(logits)).max(1), right),
        "calibrated": ct.reliability([r.confidence for r in readings], right),
        "perfect_ece": perfect_ece([r.confidence for r in readings]),
        "cards_refused": cu.count(refused),
        "errors_refused": cu.count(refused[~right]),
        "errors": errors,
    }


def photo_crop(rng, photos):
    """Recorte al azar (del 40 al 100 % del lado) de una foto, a veces en espejo."""
    image = photos[rng.integers(len(photos))]
    side = np.array(image.size) * rng.uniform(0.4, 1)
    x, y = rng.uniform(0, 1, 2) * (image.size - side)
    image = image.resize(SIZE, box=(x, y, x + side[0], y + side[1]))
    return image.transpose(0) if rng.random() < 0.5 else image  # 0: espejo


def no_cards(model, metadata, data):
    """Lo que no es una carta, rechazado: dibujos, fotos y parecidos a un naipe."""
    import matplotlib
    import skimage
    import sklearn.datasets
    from PIL import Image

    files = [Path(skimage.__file__).parent / "data" / name for name in PHOTOS.split()]
    files.append(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))
    photos = [Image.open(file).convert("RGB") for file in files]
    photos += [Image.fromarray(image) for image in sklearn.datasets.load_sample_images().images]
    draw = {**KINDS, "photo": lambda rng: photo_crop(rng, photos)}
    kinds, scores = {}, []

    def judged(draw, k, many):
        rngs = [np.random.default_rng([SEED, k, i]) for i in range(many)]
        return ct.judge_images(model, metadata, np.stack([np.asarray(draw(rng)) for rng in rngs]))

    for k, kind in enumerate(draw):
        readings = judged(draw[kind], k, 100 if kind == "photo" else 50)
        kinds[kind] = cu.count([r.refused for r in readings])
        scores += [r.energy for r in readings]
    alike = [r.refused for k, one in enumerate(LOOKALIKES) for r in judged(one, k, 40)]
    images = cu.load_split(data, "valid", metadata["class_names"])[0]
    cards = np.array([r.energy for r in ct.judge_images(model, metadata, images)])
    return {
        "refused": {k: sum(kind[k] for kind in kinds.values()) for k in ("correct", "total")},
        "kinds": kinds,
        "lookalikes": cu.count(alike),
        "auroc": float(np.mean(cards[:, None] > scores)),  # Mann-Whitney
    }


# --- Fotos -----------------------------------------------------------------------------------


def tally(cases, model, metadata, quiet=False):
    """Las cifras de unas fotos con varias cartas, y enseña los fallos si no es `quiet`.

    Args:
        cases: (nombre, foto o ruta, cartas que se ven, y las que además asoman) de cada una.
    """
    found = cards = named = clean = 0
    seconds = []
    for name, source, truth, partly in cases:
        began = time.monotonic()
        readings = cr.read_cards(model, metadata, source)
        seconds.append(time.monotonic() - began)
        told = Counter(r.card for r in readings if not r.refused)
        truth = Counter(truth)
        told -= (told - truth) & (Counter(partly) - truth)  # ni fallo ni acierto
        found, cards = found + (told & truth).total(), cards + truth.total()
        named, clean = named + told.total(), clean + (told == truth)
        if told != truth and not quiet:
            print(name, "| falta:", *(truth - told), "| sobra:", *(told - truth), flush=True)
    recall = {"correct": found, "total": cards}
    figures = {"recall": recall, "precision": {"correct": found, "total": named}}
    ms = round(1000 * float(np.median(seconds or [0])))
    return {**figures, "clean": {"correct": clean, "total": len(seconds)}, "ms": ms}


def read_labels(photos, group):
    """(nombre, ruta, lista de cartas) de cada foto de un grupo de LABELS.csv."""
    with open(Path(photos, "LABELS.csv"), encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    rows = [(row["file"], row["labels"].split(";")) for row in rows if row["group"] == group]
    return [(name, Path(photos, name), [x.strip() for x in row if x.strip()]) for name, row in rows]


def decks(model, metadata, photos):
    """Las cartas de otras barajas bien nombradas: cuenta la primera lectura, también rechazada."""
    cases = read_labels(photos, "deck")
    told = [(cr.read_cards(model, metadata, file)[0].card, truth) for _, file, truth in cases]
    return cu.count([truth == [card] for card, truth in told])


def field(model, metadata, photos):
    """Imágenes de otras barajas, de mesas, de manos y sin cartas: los grupos de LABELS.csv."""
    result = {"decks": decks(model, metadata, photos)}
    for group in ("multi", "fan", "not_a_card"):
        cases = [(*case, []) for case in read_labels(photos, group)]
        result[group] = tally(cases, model, metadata)
    return result


# Luz, nitidez y tamaño de una foto: (unidad, tres grados de menos a más)
LIGHTS = {
    "dark": ("% de la luz", (70, 40, 25)),
    "shadow": ("% de la luz", (60, 35, 20)),
    "lamp": ("% de una bombilla cálida", (50, 100, 150)),
    "blur": ("sigma en px", (0.8, 1.5, 2.2)),
    "small": ("% del lado", (80, 60, 45)),
    "jpeg": ("calidad", (30, 15, 8)),
    "turn": ("grados", (20, 37, 75)),
}


def spoil(photo, kind, degree):
    """Una foto uint8 [alto, ancho, 3] con un daño de `LIGHTS`."""
    x, share, (high, wide) = photo.astype(np.float32), degree / 100, photo.shape[:2]
    if kind in ("dark", "blur", "jpeg"):
        return damage(photo, kind, degree, np.random.default_rng(0))
    if kind == "shadow":  # media foto
        x *= 1 - (1 - share) / (1 + np.exp(-np.linspace(-20, 20, wide)))[:, None]
    elif kind == "lamp":
        x *= np.array((1.1, 0.85, 0.55)) ** share
    elif kind == "small":
        x = cv2.resize(photo, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    elif kind == "turn":
        turn = cv2.getRotationMatrix2D((wide / 2, high / 2), degree, 1)
        size = np.abs(turn[:, :2]) @ (wide, high)
        turn[:, 2] += (size - (wide, high)) / 2
        size = tuple(size.astype(int).tolist())
        x = cv2.warpAffine(photo, turn, size, borderValue=np.median(photo, (0, 1)).tolist())
    return np.asarray(x).clip(0, 255).astype(np.uint8)


def light(model, metadata, photos):
    """Las fotos de CAMPO con mesas, manos y sin cartas, con cada daño en sus tres grados."""
    result = {}
    for kind, (unit, degrees) in LIGHTS.items():
        result[kind] = {"unit": unit, "degrees": degrees, "multi": [], "fan": [], "not_a_card": []}
        for group in ("multi", "fan", "not_a_card"):
            for degree in degrees:
                rows = read_labels(photos, group)
                cases = ((n, spoil(cu.open_photo(f), kind, degree), t, []) for n, f, t in rows)
                result[kind][group].append(tally(cases, model, metadata, quiet=True))
    return result


def screens(model, metadata):
    """Pantallas dibujadas, hojas y ventanas de texto, y cartas iguales que se tapan."""
    layouts = "columns", "pyramid", "row", "poker"
    cases = {name: screen_scenes(name, range(24)) for name in layouts}
    cases |= {"pages": screen_scenes("page", range(100), 0), "equal": equal_cards()}
    cases["opposite"] = (x for name in layouts for x in screen_scenes(name, range(12), apart=True))
    return {name: tally(case, model, metadata) for name, case in cases.items()}


def screen_scenes(layout, seeds, cards=None, apart=False):
    """Lo de `drawn_scenes`, de pantallas (y hojas en foto); `apart`: la letra, lejos del palo."""
    for seed in seeds:
        rng, screen = np.random.default_rng([SEED, 31, seed]), layout != "page" or seed % 2 == 0
        photo, truth = make_candidate_scene(rng, layout, screen, cards, apart)
        shares = [(name, np.reshape(share, (-1, 1 + apart))) for name, *_, share in truth]
        seen = [name for name, share in shares if (share > 0.95).all(1).any()]
        yield f"{layout} {seed}", photo, seen, [name for name, *_ in truth]


def equal_cards():
    """Cartas iguales que se tapan: desplazadas, giradas, cruzadas, tres y en un abanico."""
    nine, king = "nine of spades", "king of diamonds"
    moved = [(60, 0), (60, 30), (30, 60), (0, 70), (100, 20), (130, 0)]
    cases = [[(nine, 200, 190, 0), (nine, 200 + x, 190 + y, 0)] for x, y in moved]
    cases += [[(nine, 200, 200, -a), (nine, 260, 200, a)] for a in (15, 30, 45)]
    cases.append([(nine, 230, 210, 0), (nine, 250, 210, 90)])
    cases.append([(king, 160 + 60 * k, 200, 0) for k in range(3)])
    fan = (nine, "seven of hearts", nine, "two of clubs")
    cases.append([(name, 150 + 60 * k, 210, 12 * k - 18) for k, name in enumerate(fan)])
    for number, case in enumerate(cases):
        rng = np.random.default_rng([SEED, 32, number])
        table = np.float32((30, 95, 60)) + rng.normal(0, 1, (420, 500, 1)).astype(np.float32)
        for name, x, y, turn in case:
            corners = CARD * 210 @ rotation(np.radians(turn)) + (x, y)
            lay(table, draw_card(name, "inglesa", np.random.default_rng(0), 150), corners)
        names = [name for name, *_ in case]
        yield f"iguales {number}", table.clip(0, 255).astype(np.uint8), names, names


def candidates(model, metadata):
    """Recortes como los de entrenar: cartas bien nombradas, y lo demás callado."""
    images, labels, is_corner = draw_candidates(2000, SEED)
    images, readings = np.stack([decode(image) for image in images]), np.empty(len(labels), object)
    for corner in (False, True):
        judged = ct.judge_images(model, metadata, images[is_corner == corner], corner)
        kind = "corner" if corner else "outline"
        readings[is_corner == corner] = [replace(r, kind=kind) for r in judged]
    named = np.array([cr.is_sure(r, metadata["trust"]) for r in readings])
    card, right = labels >= 0, np.array([r.card for r in readings]) == np.array(CLASS_NAMES)[labels]
    return {
        "right": cu.count(right[card]),
        "named_right": cu.count(right[card & named]),
        "silent": cu.count(~named[~card]),
    }


def drawn_scenes(layout, seeds):
    """Escenas dibujadas: (nombre, foto, cartas con un índice a la vista, todas) de cada una."""
    for seed in seeds:
        if layout in ("one", "separate"):
            many = layout == "separate"
            rng = np.random.default_rng([SEED, 33, seed, many])
            image, truth = make_scene(rng, 2 + seed % 3 if many else 1)
            names = [name for name, _ in truth]
        else:
            most = 8 if layout == "touching" else 14
            rng = np.random.default_rng([SEED, 34, seed, len(layout)])
            image, truth, indices = make_spread(rng, int(rng.integers(5, most)), layout)
            names = [name for (name, _), seen in zip(truth, indices, strict=True) if seen]
        yield f"{layout} {seed}", np.asarray(image), names, [name for name, _ in truth]


def scenes(model, metadata):
    """Fotos dibujadas de una carta, de dos a cuatro sueltas, en fila, en cascada y en abanico."""
    layouts = "one", "separate", "touching", "cascade", "fan"
    return {name: tally(drawn_scenes(name, range(60)), model, metadata) for name in layouts}


# --- Móvil ------------------------------------------------------------------------------------


def runner(content):
    """Función de float32 [1, 224, 224, 3] a probabilidades [1, clases], de un .tflite en bytes."""
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(model_content=content, num_threads=2).get_signature_runner()
    (name,), (answer,) = run.get_input_details(), run.get_output_details()
    return lambda image: run(**{name: image})[answer]


def mobile(model, metadata, data, path):
    """LiteRT frente a Keras en `test`, imagen a imagen y por turnos; el de int8 se queda."""
    images, labels, _ = cu.load_split(data, "test", metadata["class_names"])
    runs, sizes = {"keras": model.predict_on_batch}, {"keras": path.stat().st_size}
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("float32", "int8"):
            folder = path.parent if name == "int8" else Path(scratch)
            file = folder / f"{path.stem}_{name}.tflite"
            cm.export_tflite(model, metadata, file, quantize=name == "int8")
            runs[name], sizes[name] = runner(file.read_bytes()), file.stat().st_size
    runs["predict_logits"] = lambda image: ct.predict_logits(model, image.astype(np.uint8))
    sizes["predict_logits"] = sizes["keras"]
    answers, times = {name: [] for name in runs}, {name: [] for name in runs}
    for run in runs.values():
        for _ in range(5):  # calentar
            run(images[:1].astype(np.float32))
    for image in images:
        for name, run in runs.items():
            start = time.perf_counter()
            answers[name].append(run(image[None].astype(np.float32))[0])
            times[name].append(1000 * (time.perf_counter() - start))
    best = {name: np.argmax(answer, 1) for name, answer in answers.items()}
    return {
        name: {
            "bytes": sizes[name],
            "as_keras": cu.count(best[name] == best["keras"]),
            "test": cu.count(best[name] == labels),
            "ms": round(float(np.median(times[name])), 2),
        }
        for name in runs
    }


PARTS = (stress, trust, no_cards, candidates, field, light, scenes, screens, mobile)
PARTS = {part.__name__: part for part in PARTS}


def main():
    """Mide las partes pedidas, una tras otra, y apunta cada una."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="el .h5")
    parser.add_argument("data", help="carpeta con train/, valid/ y test/")
    parser.add_argument("--field", help="carpeta con LABELS.csv")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    chosen = parser.parse_args()
    model, metadata = cm.load_model(chosen.model)
    given = {"model": model, "metadata": metadata, "path": Path(chosen.model)}
    given |= {"data": chosen.data, "photos": chosen.field}
    for name in chosen.only:
        wanted = inspect.signature(PARTS[name]).parameters
        if "photos" in wanted and not chosen.field:
            print(f"{name}: sin --field no se mide; lo medido antes sigue.")
            continue
        figures = PARTS[name](**{key: given[key] for key in wanted if key in given})
        print(name, json.dumps(figures, ensure_ascii=False), flush=True)
        cm.add_measures(chosen.model, **{name: figures})


if __name__ == "__main__":
    main()
