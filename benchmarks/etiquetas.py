"""Busca etiquetas equivocadas en `train`: lo que contesta una red que no vio esa imagen.

Uso: `python benchmarks/etiquetas.py [datos] [pesos]`. Parte `train` en cinco, estratificado;
entrena con cuatro quintos, tres épocas sin aumento, y contesta el otro. Deja en
`benchmarks/etiquetas.csv` las imágenes a cuya etiqueta da menos de un 5 %, o menos de un 35 % si
otra carta pasa del 50 %: las que hay que mirar una a una. Dice también cuántas de las que ya
nombra `data_faults.csv` están ahí. Se entrena con estas corregidas: 22 cuando se hizo el registro.
"""

import csv
import io
import sys
from pathlib import Path

import numpy as np
from busqueda import DEFAULTS, train

import card_utils as cu

FOLDS = 5
RECORD = Path(__file__).with_name("etiquetas.csv")


def main(data=DEFAULTS["data"], weights=DEFAULTS["weights"]):
    """Entrena las cinco redes y apunta las imágenes sospechosas, de más a menos."""
    p = {**DEFAULTS, "weights": weights, "stages": ((3, 16, 0, 0, 0, 1e-3),)}
    names = cu.find_classes(data)
    images, labels, files = cu.load_split(data, "train", names)
    repaired, _ = cu.repair_labels(labels, files, names)
    fold = np.zeros(len(labels), int)
    for label in range(len(names)):
        mine = np.random.default_rng(label).permutation(np.flatnonzero(labels == label))
        fold[mine] = np.arange(len(mine)) % FOLDS
    probabilities = np.zeros((len(labels), len(names)), np.float32)
    for number in range(FOLDS):
        out = fold == number
        model, _ = train(p, images[~out], repaired[~out], names)
        probabilities[out] = cu.predict(model, images[out])
        right = np.mean(probabilities[out].argmax(1) == repaired[out])
        print(f"parte {number + 1} de {FOLDS}: {100 * right:.1f} %", flush=True)

    mine = probabilities[np.arange(len(labels)), labels]
    suspect = np.flatnonzero((mine < 0.05) | (mine < 0.35) & (probabilities.max(1) > 0.5))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["imagen", "respuesta", "p respuesta", "p etiqueta"])
    for i in suspect[np.argsort(mine[suspect], kind="stable")]:
        name, best = f"train/{names[labels[i]]}/{files[i].name}", probabilities[i].argmax()
        row = [name, names[best], f"{probabilities[i, best]:.3f}", f"{mine[i]:.1e}"]
        writer.writerow(row)
    cu.write_atomic(RECORD, text.getvalue().encode())
    wrong = np.flatnonzero(repaired != labels)
    found = np.isin(wrong, suspect).sum()
    print(f"{len(suspect)} sospechosas, con {found} de las {len(wrong)} que ya conocíamos.")


if __name__ == "__main__":
    main(*sys.argv[1:])
