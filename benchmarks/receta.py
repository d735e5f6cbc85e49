"""Entrena con fases: el lado de las imágenes y el aumento crecen juntos; todo en un solo coseno.

Uso: `python benchmarks/receta.py [datos] [pesos] [carpeta] [largo]`. Deja en la carpeta los pesos,
la historia y el modelo; no toca el publicado y no lee `test`. Un entrenamiento cortado sigue.
"""

import json
import os
import resource
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parents[1]))

import keras  # noqa: E402
import numpy as np  # noqa: E402

import card_training as train  # noqa: E402
import card_trust as ct  # noqa: E402
import card_utils as cu  # noqa: E402
from free_deck import draw_free_cards  # noqa: E402
from no_cards import draw_no_cards  # noqa: E402

# [épocas, lado, fuerza del aumento]: Tan y Le, EfficientNetV2, 2021
PHASES = [[16, 128, 0.15], [12, 160, 0.35], [10, 224, 0.5], [4, 224, 0.2]]
BATCH, RATE, WEIGHT_DECAY, SEED = 32, 1e-3, 0.02, 0
DRAWN = 64  # cartas inventadas por clase
NO_CARDS = 1800  # imágenes que no son naipes (Hendrycks, Mazeika y Dietterich, 2019)


def main(data="card-data", weights="imagenet", folder="checkpoints/receta", length=1.0):
    """Entrena, guarda el modelo y dice `valid`, los minutos y la memoria."""
    keras.utils.set_random_seed(SEED)
    folder, began = Path(folder), time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    names = cu.find_classes(data)
    _, labels, files = cu.load_split(data, "train", names, keep=False)
    labels, _ = cu.repair_labels(labels, files, names)
    valid_images, valid_labels, _ = cu.load_split(data, "valid", names)
    drawn, drawn_labels = draw_free_cards(DRAWN, SEED)
    others = draw_no_cards(NO_CARDS, SEED)
    images = [*files, *drawn, *others]
    labels = np.concatenate([labels, drawn_labels, np.full(len(others), -1, np.int32)])
    phases = [[max(1, round(float(length) * epochs)), *rest] for epochs, *rest in PHASES]
    steps = len(images) // BATCH * sum(phase[0] for phase in phases)
    warm = len(images) // BATCH // 2
    model = cu.build_model(len(names), weights, side=None)[0]
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warm, warmup_target=RATE, warmup_steps=warm
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY)
    model.compile(
        optimizer,
        "categorical_crossentropy",
        metrics=[train.accuracy],
    )
    print(f"{len(images)} imágenes, {(time.monotonic() - began) / 60:.1f} min", flush=True)
    ended = 0
    for epochs, side, strength in phases:
        model._initial_epoch = None
        model.fit(
            train.make_dataset(images, labels, len(names), BATCH, side, strength, SEED + ended),
            validation_data=train.make_dataset(valid_images, valid_labels, len(names), 8, side),
            initial_epoch=ended,
            epochs=ended + epochs,
            verbose=0,
            shuffle=False,
            callbacks=[
                cu.EpochLine(sum(phase[0] for phase in phases)),
                keras.callbacks.CSVLogger(folder / "historia.csv", append=True),
                keras.callbacks.BackupAndRestore(folder / "respaldo", delete_checkpoint=False),
            ],
        )
        ended += epochs
    final = cu.build_model(len(names), None)[0]
    final.set_weights(model.get_weights())
    correct = int(np.sum(cu.predict(final, valid_images).argmax(1) == valid_labels))
    figures = {
        "class_names": names,
        "parameters": {"PHASES": phases, "DRAWN": DRAWN, "NO_CARDS": NO_CARDS},
        "valid": {"correct": correct, "total": len(valid_labels)},
        "trust": ct.fit_trust(final, valid_images, valid_labels),
        "minutes": round((time.monotonic() - began) / 60, 1),
        "memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
        "environment": cu.environment(),
    }
    cu.save_model(final, folder / "modelo.h5", figures)
    print(json.dumps({k: v for k, v in figures.items() if k != "class_names"}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
