"""Qué aporta cada elección de la receta: el cuaderno de entrenamiento, acortado y sin una de ellas.

Uso: `python benchmarks/ablacion.py DATOS PESOS CAMPO`. Entrena las filas que falten en
`benchmarks/ablacion.csv`; un entrenamiento cortado sigue. CAMPO es la carpeta de `medir.py`.

`python benchmarks/ablacion.py DATOS PESOS CAMPO "otra semilla.h5"` añade la fila de un modelo que
ya hizo el cuaderno, por ejemplo con otro `SEED`; se llama como el fichero. Aquí `test` no se
lee: su columna es la del cuaderno.
"""

import ast
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parents[1]))

import keras
import medir
import pandas as pd
import papermill

import card_model as cm
import card_training as train
import card_utils as cu

RECORD = cu.HERE / "benchmarks/ablacion.csv"
PHASES = [[3, 128, 0.15], [3, 160, 0.35], [2, 192, 0.6], [2, 224, 0.3]]  # diez épocas
VARIANTS = {  # lo que cambia; las demás claves, como en BASE o en el cuaderno
    "la receta, diez épocas": {},
    "la receta, diez épocas, semilla 1": {"SEED": 1},  # cuánto es azar
    "sin recortes del lector": {"CANDIDATES": 0},
    "sin cartas dibujadas": {"DRAWN": 0},
    "sin lo que no es un naipe": {"NO_CARDS": 0},
    "sin ampliar la esquina": {"corner": 0},
    "inercia de BatchNorm de fábrica": {"momentum": 0.999},
    "etiquetas sin corregir": {"repair": False},
}
BASE = {"PHASES": PHASES, "corner": 0.2, "momentum": 0.98, "repair": True}


def defaults():
    """Los parámetros del cuaderno de entrenamiento, con sus valores."""
    known = papermill.inspect_notebook(str(cu.HERE / "Entrenamiento_DL.ipynb"))
    return {key: ast.literal_eval(value["default"]) for key, value in known.items()}


def fit(data, weights, p, run):
    """Entrena como el cuaderno.

    Args:
        data: carpeta de los datos; weights: pesos de partida.
        p: dict con los parámetros del cuaderno y las claves de BASE.
        run: carpeta de los puntos de control.

    Returns:
        (modelo de 224 px, clases, imágenes de `valid` y sus etiquetas).
    """
    keras.utils.set_random_seed(p["SEED"])
    class_names = cu.find_classes(data)
    _, labels, files = cu.load_split(data, "train", class_names, keep=False)
    if p["repair"]:
        labels, _ = train.repair_labels(labels, files, class_names)
    valid = cu.load_split(data, "valid", class_names)[:2]
    others = train.draw_others(p["NO_CARDS"], files, p["SEED"])

    def draw(phase):
        seed = p["SEED"] + 1000 * phase
        return train.gather(files, labels, others, p["DRAWN"], p["CANDIDATES"], seed)

    model = cm.build_model(len(class_names), weights, bn_momentum=p["momentum"], side=None)
    recipe = {key.lower(): p[key] for key in ("BATCH", "RATE", "SEED")}
    train.fit(model, draw, valid, p["PHASES"], run, corner=p["corner"], **recipe)
    final = cm.build_model(len(class_names), None)
    final.set_weights(model.get_weights())
    return final, class_names, *valid


def add_row(name, path, data, field):
    """Apunta la fila de un modelo ya guardado, con lo que mide `medir.py`."""
    model, m = cm.load_model(path)
    p, none = m["parameters"], [(*case, []) for case in medir.read_labels(field, "not_a_card")]
    valid = cu.load_split(data, "valid", m["class_names"])[:2]
    row = {
        "receta": name,
        "semilla": p["SEED"],
        "fases": json.dumps(p["PHASES"]),
        "minutos": m["minutes"],
        "valid": m["valid"]["correct"],
        "test": m.get("test", {}).get("correct", ""),
        "pérdida en valid": round(m["history"]["val_loss"][-1], 3),
        "esquinas": medir.corners(model, *valid)["correct"],
        "otras barajas": medir.decks(model, m, field)["correct"],
        "no naipes": medir.tally(none, model, m)["clean"]["correct"],
        "máquina": m["environment"]["device"],
        "fecha": m["date"],
    }
    rows = [old for old in read_rows() if old["receta"] != name] + [row]
    cu.write_atomic(RECORD, pd.DataFrame(rows).to_csv(index=False).encode())
    print(row)


def read_rows():
    """Las filas apuntadas, lista de dict."""
    if not RECORD.is_file():
        return []
    return pd.read_csv(RECORD, dtype=str, keep_default_na=False).to_dict("records")


def main(data, weights, field, *paths):
    """Entrena y apunta lo que falte, o apunta los modelos dados."""
    medir.read_labels(field, "deck")  # si falta, ahora y no después de entrenar
    for path in map(Path, paths):
        add_row(path.stem, path, data, field)
    for name, change in {} if paths else VARIANTS.items():
        if name in [row["receta"] for row in read_rows()]:
            continue
        print(name, flush=True)
        p = {**defaults(), **BASE, **change, "WEIGHTS": str(weights), "DATA_DIR": str(data)}
        path = cu.HERE / "checkpoints" / name / "modelo.h5"
        run = train.run_folder(path.parent, p)
        model, class_names, images, labels = fit(data, weights, p, run)
        history = pd.read_csv(run / "historia.csv").drop_duplicates("epoch", keep="last")
        metadata = {
            "class_names": class_names,
            "parameters": p,
            "valid": cu.count(medir.hits(model, images, labels)),
            "trust": train.fit_trust(model, images, labels, class_names),
            "history": history.to_dict("list"),
            "minutes": round(history["seconds"].sum() / 60, 1),
            "environment": cu.environment(),
            "date": time.strftime("%Y-%m-%d"),
        }
        cm.save_model(model, metadata, path)
        add_row(name, path, data, field)


if __name__ == "__main__":
    main(*sys.argv[1:])
