"""Cuántas cartas lee `read_cards` en fotos de mesas y manos, de verdad y dibujadas.

Uso: `python benchmarks/mesa.py MODELO [CAMPO]`, donde CAMPO tiene LABELS.csv (file, group, labels).
Escribe en el JSON del modelo, por clase de foto: cartas acertadas, las que había y las que dijo;
fotos sin un fallo; y milisegundos por foto. De las dibujadas cuentan las que enseñan un índice.
"""

import csv
import os
import sys
import time
from collections import Counter
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np  # noqa: E402

import card_reader as cr  # noqa: E402
import card_utils as cu  # noqa: E402
from scenes import make_scene, make_spread  # noqa: E402


def tally(cases, model, metadata):
    """Las cifras de unas fotos, y enseña los fallos.

    Args:
        cases: (nombre, foto o ruta, cartas que se ven, y las que además asoman) de cada una.
    """
    hits = cards = named = clean = 0
    seconds = []
    for name, source, truth, partly in cases:
        began = time.monotonic()
        readings = cr.read_cards(source, model, metadata)
        seconds.append(time.monotonic() - began)
        told = Counter(r.card for r in readings if not r.refused)
        truth = Counter(truth)
        told -= told & (Counter(partly) - truth)  # ni fallo ni acierto
        hits, cards = hits + (told & truth).total(), cards + truth.total()
        named, clean = named + told.total(), clean + (told == truth)
        if told != truth:
            print(name, "| falta:", *(truth - told), "| sobra:", *(told - truth), flush=True)
    figures = {"correct": hits, "total": cards, "named": named, "clean": clean}
    ms = round(1000 * float(np.median(seconds)))
    return figures | {"photos": len(seconds), "ms": ms}


def drawn(layout, count=100):
    """Escenas dibujadas: (nombre, foto, cartas con un índice a la vista, todas) de cada una."""
    for seed in range(count):
        rng = np.random.default_rng([seed, 25, len(layout)])
        if layout == "apart":
            image, truth = make_scene(rng, int(rng.integers(2, 8)))
            names = [name for name, _ in truth]
        else:
            most = 8 if layout == "touching" else 14
            image, truth, indices = make_spread(rng, int(rng.integers(5, most)), layout)
            names = [name for (name, _), seen in zip(truth, indices, strict=True) if seen]
        yield f"{layout} {seed}", np.asarray(image), names, [name for name, _ in truth]


def main(path, field=None):
    """Mide cada clase de foto y la apunta."""
    model, metadata = cu.load_model(path)
    result = {}
    for layout in ("apart", "touching", "cascade", "fan"):
        result[f"drawn_{layout}"] = tally(drawn(layout), model, metadata)
        print(layout, result[f"drawn_{layout}"], flush=True)
    if field:
        result |= real(field, model, metadata)
    cu.add_measures(path, mesa=result)


def real(field, model, metadata):
    """Las cifras de las fotos de CAMPO, por clase."""
    with open(Path(field, "LABELS.csv"), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    result = {}
    for group in ("multi", "fan", "not_a_card"):
        cases = [
            (r["file"], Path(field, r["file"]), r["labels"].split(";"), [])
            for r in rows
            if r["group"] == group
        ]
        if group == "not_a_card":
            cases = [(name, file, [], []) for name, file, *_ in cases]
        result[group] = tally(cases, model, metadata)
        print(group, result[group], flush=True)
    return result


if __name__ == "__main__":
    main(*sys.argv[1:])
