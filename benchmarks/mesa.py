"""Cuántas cartas lee `read_cards` en fotos de mesas y manos.

Uso: `python benchmarks/mesa.py MODELO CAMPO`, donde CAMPO tiene LABELS.csv (file, group, labels).
Escribe en el JSON del modelo, por clase de foto: cartas acertadas, las que había y las que dijo;
fotos sin un fallo; y milisegundos por foto.
"""

import csv
import json
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


def tally(cases, model, metadata):
    """Las cifras de unas fotos, lista de (nombre, foto o ruta, cartas que tiene); y las enseña."""
    hits = cards = named = clean = 0
    seconds = []
    for name, source, truth in cases:
        began = time.monotonic()
        readings = cr.read_cards(source, model, metadata)
        seconds.append(time.monotonic() - began)
        told = Counter(r.card for r in readings if not r.refused)
        truth = Counter(truth)
        hits, cards = hits + (told & truth).total(), cards + truth.total()
        named, clean = named + told.total(), clean + (told == truth)
        if told != truth:
            print(name, "| falta:", *(truth - told), "| sobra:", *(told - truth), flush=True)
    figures = {"correct": hits, "cards": cards, "named": named, "clean": clean}
    ms = round(1000 * float(np.median(seconds)))
    return figures | {"photos": len(cases), "ms": ms}


def main(path, field):
    """Mide cada clase de foto y la apunta."""
    model, metadata = cu.load_model(path)
    with open(Path(field, "LABELS.csv"), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    result = {}
    for group in ("multi", "fan", "not_a_card"):
        cases = [
            (r["file"], Path(field, r["file"]), r["labels"].split(";"))
            for r in rows
            if r["group"] == group
        ]
        if group == "not_a_card":
            cases = [(name, file, []) for name, file, _ in cases]
        result[group] = tally(cases, model, metadata)
        print(group, result[group], flush=True)
    print(json.dumps(result))
    cu.add_measures(path, mesa=result)


if __name__ == "__main__":
    main(*sys.argv[1:])
