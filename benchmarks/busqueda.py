"""Prueba una receta: entrena con nueve décimos de `train` y la puntúa con el décimo y con `valid`.

El décimo (762 imágenes, estratificado y siempre el mismo) y `valid` (265) suman 1027 imágenes con
que elegir; `test` no se lee. Añade una fila a `benchmarks/busqueda.csv`, también si sale mal.

Uso: `python benchmarks/busqueda.py "qué cambia" [clave=valor ...]`, con las claves de DEFAULTS.
"""

import ast
import csv
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parents[1]))

import keras
import numpy as np

import card_utils as cu

DEFAULTS = {
    "data": "../shared/card-data",
    "weights": "../shared/weights/mobilenet_v3_small_imagenet_no_top.h5",
    "start": "",  # pesos de otra prueba, para seguir desde ahí
    "stages": ((224, 3, 16, 0.3, 1e-3), (224, 9, 32, 1.0, 1e-3)),  # lado, épocas, lote, aumento, tasa
    "schedule": "cosine",
    "decay": 0.02,
    "momentum": 0.98,
    "repair": True,
    "ema": 0.0,
    "frozen": (),  # etapas con la columna quieta hasta expanded_conv_3
    "seed": 0,
}
RECORD = Path(__file__).with_name("busqueda.csv")


def main(change, **options):
    """Entrena y apunta una receta.

    Args:
        change: qué cambia respecto a la anterior, en palabras.
        **options: valores de DEFAULTS que cambian.
    """
    p = {**DEFAULTS, **options}
    keras.utils.set_random_seed(p["seed"])
    names = cu.find_classes(p["data"])
    images, labels, files = cu.load_split(p["data"], "train", names)
    valid_images, valid_labels, _ = cu.load_split(p["data"], "valid", names)
    held = np.zeros(len(labels), bool)
    for label in range(len(names)):
        mine = np.flatnonzero(labels == label)
        held[np.random.default_rng(label).permutation(mine)[: round(len(mine) / 10)]] = True
    if p["repair"]:
        labels, _ = cu.repair_labels(labels, files, names)
    model, _ = cu.build_model(len(names), p["weights"], (128,), p["momentum"])
    if p["start"]:
        model.load_weights(p["start"])
    chosen = np.concatenate([images[held], valid_images])
    truth = np.concatenate([labels[held], valid_labels])
    began, done, curve = time.monotonic(), 0, []

    class Curve(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            small = cu.shrink(valid_images, size)
            right = int(np.sum(self.model.predict(small, verbose=0).argmax(1) == valid_labels))
            minutes = (time.monotonic() - began) / 60
            curve.append(f"{epoch + 1}:{right}")
            print(f"{epoch + 1:2d} {logs['accuracy']:.3f} {right}/265 {minutes:.1f} min", flush=True)
            if "save" in os.environ:
                self.model.save_weights(f"{os.environ['save']}-{epoch + 1:02d}.weights.h5")

    for number, (size, epochs, batch, strength, rate) in enumerate(p["stages"]):
        for layer in model.layers:
            if layer.name.startswith("expanded_conv_3"):
                break
            layer.trainable = number not in p["frozen"]

        def augment(images, seed, strength=strength):
            return cu.augment(images, seed, strength)

        train_ds = cu.make_dataset(
            cu.shrink(images[~held], size), labels[~held], len(names), batch,
            augment if strength else None, shuffle=True, seed=p["seed"] + done,
        )
        steps = len(train_ds)
        if p["schedule"] == "cosine":
            rate = keras.optimizers.schedules.CosineDecay(
                0.0, epochs * steps - steps // 2, warmup_target=rate, warmup_steps=steps // 2
            )
        ema = {"use_ema": True, "ema_momentum": p["ema"]} if p["ema"] else {}
        model.compile(
            keras.optimizers.AdamW(rate, weight_decay=p["decay"], **ema),
            "categorical_crossentropy",
            metrics=["accuracy"],
        )
        history = model.fit(
            train_ds, initial_epoch=done, epochs=done + epochs, verbose=0, callbacks=[Curve()]
        )
        done += epochs
    minutes = (time.monotonic() - began) / 60
    probabilities = model.predict(cu.shrink(chosen, size), verbose=0)
    hits = probabilities.argmax(1) == truth
    loss = -np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-7))
    np.savez(f"/tmp/held-{int(time.time())}.npz", p=probabilities, files=[str(f) for f, h in zip(files, held) if h])
    row = {
        "cambio": change,
        "opciones": " ".join(f"{k}={v}" for k, v in options.items() if k not in ("data", "weights", "start")).replace(", ", ","),
        "semilla": p["seed"],
        "décimo": int(hits[: held.sum()].sum()),
        "valid": int(hits[held.sum() :].sum()),
        "selección (%)": round(100 * hits.mean(), 2),
        "pérdida": round(float(loss.mean()), 4),
        "train (%)": round(100 * history.history["accuracy"][-1], 1),
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
    main(sys.argv[1], **{k: v if k in ("data", "weights", "schedule", "start") else ast.literal_eval(v) for k, v in pairs})
