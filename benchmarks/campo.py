"""Cuánto lee un modelo de las fotos de otras barajas y de la esquina sola de las cartas de `valid`.

Uso: `python benchmarks/campo.py MODELO DATOS CAMPO`, donde CAMPO tiene LABELS.csv (file, group,
labels). Escribe las cifras en el JSON del modelo, en "measures". `test` no se lee.
"""

import csv
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np  # noqa: E402

import card_reader as cr  # noqa: E402
import card_utils as cu  # noqa: E402


def corner(image, share=(0.36, 0.30)):
    """La esquina superior izquierda de una carta, estirada: lo que ocupa del alto y del ancho."""
    height, width = (round(side * part) for side, part in zip(image.shape, share, strict=False))
    return cu.squash(image[:height, :width])


def main(path, data, field):
    """Mide las tres cosas, las muestra con los fallos y las apunta."""
    model, metadata = cu.load_model(path)
    with open(Path(field, "LABELS.csv"), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    hits, refused, failures = [], [], []
    for row in rows:
        if row["group"] not in ("deck", "not_a_card"):
            continue
        reading = cr.read_cards(Path(field, row["file"]), model, metadata)[0]
        if row["group"] == "deck":
            hits.append(reading.card == row["labels"])
            if not hits[-1]:
                failures.append(f"{row['file']}: {row['labels']} -> {reading.card}")
        else:
            refused.append(reading.refused)
    images, labels, _ = cu.load_split(data, "valid", metadata["class_names"])
    corners = np.stack([corner(image) for image in images])
    named = cu.predict(model, corners).argmax(1) == labels
    figures = {
        "decks": {"correct": int(sum(hits)), "total": len(hits)},
        "no_cards_refused": {"correct": int(sum(refused)), "total": len(refused)},
        "corners": {"correct": int(named.sum()), "total": len(named)},
    }
    print("\n".join(failures))
    print(json.dumps(figures))
    cu.add_measures(path, campo=figures)


if __name__ == "__main__":
    main(*sys.argv[1:])
