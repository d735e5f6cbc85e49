"""Prueba una receta: entrena con nueve décimos de `train` y la puntúa con el décimo y con `valid`.

El décimo (762 imágenes, estratificado y siempre el mismo) y `valid` (265) suman 1027 imágenes con
que elegir; `test` no se lee. Añade una fila a `benchmarks/busqueda.csv`, también si sale mal.

Uso: `python benchmarks/busqueda.py "qué cambia" [clave=valor ...]`, con las claves de DEFAULTS.
Las filas más antiguas nombran opciones que se probaron y ya no existen: en `stages`, el lado de la
imagen o el giro máximo en grados (tras la fuerza); `batch`, `strength` y `frozen` (capas quietas).
"""

import ast
import csv
import functools
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parents[1]))

import keras
import numpy as np

import card_utils as cu
from demo_deck import draw_fantasies

DEFAULTS = {
    "data": "../shared/card-data",
    "weights": "../shared/weights/mobilenet_v3_small_imagenet_no_top.h5",
    "start": "",  # pesos de otra prueba, para seguir desde ahí
    # épocas, lote, fuerza, parte a cualquier ángulo, inventadas por clase, tasa
    "stages": ((2, 16, 0, 0, 0, 1e-3),),
    "schedule": "cosine",
    "decay": 0.02,
    "momentum": 0.98,
    "repair": True,
    "seed": 0,
}
RECORD = Path(__file__).with_name("busqueda.csv")


def compile_stage(model, epochs, steps, rate, decay, schedule="cosine"):
    """Prepara una etapa como el cuaderno: AdamW, media época de subida y coseno hasta cero."""
    if schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, epochs * steps - steps // 2, warmup_target=rate, warmup_steps=steps // 2
        )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=decay)
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"])


def train(p, images, labels, names, callbacks=()):
    """Entrena desde los pesos de partida, etapa por etapa.

    Args:
        p: dict con las claves de DEFAULTS.
        images: uint8 [n, 224, 224, 3]; labels: int [n].
        names: nombres de clase, en orden.
        callbacks: callbacks de Keras.

    Returns:
        (modelo, exactitud 0..1 en las imágenes de entrenamiento, en la última época).
    """
    keras.utils.set_random_seed(p["seed"])
    model, _ = cu.build_model(len(names), p["weights"], (128,), p["momentum"])
    if p["start"]:
        model.load_weights(p["start"])
    done = 0
    for epochs, batch, strength, any_angle, drawn, rate in p["stages"]:
        augment = functools.partial(cu.augment, strength=strength, any_angle=any_angle)
        drawn_images, drawn_labels = draw_fantasies(drawn, p["seed"])
        train_ds = cu.make_dataset(
            np.concatenate([images, drawn_images]) if drawn else images,
            np.concatenate([labels, drawn_labels]),
            len(names),
            batch,
            augment if strength else None,
            shuffle=True,
            seed=p["seed"] + done,
        )
        compile_stage(model, epochs, len(train_ds), rate, p["decay"], p["schedule"])
        history = model.fit(
            train_ds,
            initial_epoch=done,
            epochs=done + epochs,
            shuffle=False,  # ya baraja train_ds
            callbacks=callbacks,
            verbose=0,
        )
        done += epochs
    return model, history.history["accuracy"][-1]


def main(change, **options):
    """Entrena y apunta una receta.

    Args:
        change: qué cambia respecto a la anterior, en palabras.
        **options: valores de DEFAULTS que cambian.
    """
    p = {**DEFAULTS, **options}
    names = cu.find_classes(p["data"])
    images, labels, files = cu.load_split(p["data"], "train", names)
    valid_images, valid_labels, _ = cu.load_split(p["data"], "valid", names)
    held = np.zeros(len(labels), bool)
    for label in range(len(names)):
        mine = np.flatnonzero(labels == label)
        held[np.random.default_rng(label).permutation(mine)[: round(len(mine) / 10)]] = True
    if p["repair"]:
        labels, _ = cu.repair_labels(labels, files, names)
    chosen = np.concatenate([images[held], valid_images])
    truth = np.concatenate([labels[held], valid_labels])
    began, curve = time.monotonic(), []

    class Curve(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            right = int(np.sum(cu.predict(self.model, valid_images).argmax(1) == valid_labels))
            minutes = (time.monotonic() - began) / 60
            curve.append(f"{epoch + 1}:{right}")
            print(
                f"{epoch + 1:2d} {logs['accuracy']:.3f} {right}/265 {minutes:.1f} min", flush=True
            )

    model, accuracy = train(p, images[~held], labels[~held], names, [Curve()])
    minutes = (time.monotonic() - began) / 60
    probabilities = cu.predict(model, chosen)
    hits = probabilities.argmax(1) == truth
    loss = -np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-7))
    row = {
        "cambio": change,
        "opciones": " ".join(sys.argv[2:]),
        "semilla": p["seed"],
        "décimo": int(hits[: held.sum()].sum()),
        "valid": int(hits[held.sum() :].sum()),
        "selección (%)": round(100 * hits.mean(), 2),
        "pérdida": round(float(loss.mean()), 4),
        "train (%)": round(100 * accuracy, 1),
        "minutos": round(minutes, 1),
        "máquina": cu.environment()["device"],
        "curva de valid": " ".join(curve),
    }
    new = not RECORD.exists()
    with RECORD.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, row)
        if new:
            writer.writeheader()
        writer.writerow(row)
    print(row)


if __name__ == "__main__":
    pairs = (argument.split("=", 1) for argument in sys.argv[2:])
    main(
        sys.argv[1],
        **{k: v if isinstance(DEFAULTS[k], str) else ast.literal_eval(v) for k, v in pairs},
    )
