"""Cuánto tarda la receta, muy acortada, en pasar de `GOAL` en `valid`; y lo que da tf.data.

Uso: `python benchmarks/tiempo.py DATOS PESOS`. En la misma hora y máquina: `SHORT`, que son
parámetros del cuaderno de entrenamiento; el estudio de 2023 como se escribió (15 épocas de 200
pasos de 20 imágenes); las imágenes por segundo que leen y aumentan dos núcleos a cada lado, sin la
red; y lo que ahorra la BatchNorm fusionada. Las cifras van al JSON del modelo publicado. `test` no
se lee.
"""

import itertools
import json
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parents[1]))

from ablacion import BASE, defaults, fit
from estudio_2023 import fit_2023

import card_model as cm
import card_training as train
import card_utils as cu

GOAL = 0.9245  # 245 de las 265 imágenes de valid
SHORT = {"PHASES": [[2, 128, 0], [2, 160, 0]], "DRAWN": 0, "CANDIDATES": 0, "NO_CARDS": 0}


def pipeline_speed(data, side, strength, batches=60):
    """Imágenes por segundo que lee y aumenta tf.data, sin red."""
    names = cu.find_classes(data)
    _, labels, files = cu.load_split(data, "train", names, keep=False)
    dataset = train.make_dataset(files, labels, len(names), 32, side, strength, seed=0)
    stream = iter(dataset)
    next(stream)
    began = time.monotonic()
    for _ in itertools.islice(stream, batches):
        pass
    return 32 * batches / (time.monotonic() - began)


def step_ratio(data, weights, side=224, steps=60):
    """Lo que tarda un paso con la BatchNorm de Keras, en veces el de `card_model.fuse`."""
    names, seconds = cu.find_classes(data), []
    images, labels, _ = cu.load_split(data, "valid", names)
    dataset = train.make_dataset(images, labels, len(names), 32, side, seed=0).cache().repeat()
    for fused in (True, False):
        model = cm.build_model(len(names), weights, side=None)
        for layer in () if fused else model.layers:
            layer.__dict__.pop("call", None)  # la de su clase
        model.compile("adam", "categorical_crossentropy")
        model.fit(dataset, steps_per_epoch=10, verbose=0)
        began = time.monotonic()
        model.fit(dataset, steps_per_epoch=steps, verbose=0)
        seconds.append(time.monotonic() - began)
    return seconds[1] / seconds[0]


def main(data, weights):
    """Mide las cuatro cosas y las apunta."""
    with tempfile.TemporaryDirectory() as scratch:
        p = {**defaults(), **BASE, **SHORT}
        fit(data, weights, p, Path(scratch))
        log = train.read_log(scratch)
    valid = [float(row["val_accuracy"]) for row in log]  # a los lados con que entrena
    passed = next((i for i, value in enumerate(valid, 1) if value >= GOAL), len(valid))
    minutes = sum(float(row["seconds"]) for row in log[:passed]) / 60
    old = fit_2023(data, weights)[1]
    minutes_2023 = sum(old["seconds"]) / 60
    p, speeds, least = defaults(), {}, 0.0
    pictures = 53 * p["DRAWN"] + p["CANDIDATES"] + p["NO_CARDS"]
    pictures += sum(1 for _ in Path(data, "train").glob("*/*"))
    for epochs, side, strength in p["PHASES"]:
        speeds[side] = round(pipeline_speed(data, side, strength))
        least += epochs * pictures / speeds[side] / 60
    figures = {
        "goal_valid": GOAL,
        "phases": SHORT["PHASES"],
        "valid": round(valid[passed - 1], 4),  # al pasar
        "minutes": round(minutes, 2),
        "minutes_2023": round(minutes_2023, 2),
        "ratio": round(minutes / minutes_2023, 3) if valid[passed - 1] >= GOAL else None,
        "best_valid_2023": round(max(old["val_accuracy"]), 4),
        "unfused_step": round(step_ratio(data, weights), 2),
        "pipeline_per_second": speeds,
        "pipeline_minutes": round(least, 1),
    }
    print(json.dumps(figures, indent=1, ensure_ascii=False))
    cm.add_measures(cu.PUBLISHED_MODEL, time=figures)


if __name__ == "__main__":
    main(*sys.argv[1:])
