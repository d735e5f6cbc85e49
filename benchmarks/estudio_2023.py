"""Repite el estudio de 2023: sus cuatro variantes y, de la primera, otra con un solo cambio.

Uso: `python benchmarks/estudio_2023.py DATOS PESOS`. Apunta cada variante al acabar en
`benchmarks/estudio_2023.json`, que es también la lista de lo hecho: repetir la orden sigue por la
primera que falta. `test` se puntúa con los pesos de la época de menor pérdida en `valid`.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parents[1]))

import keras
import tensorflow as tf

import card_utils as cu
from card_training import EpochLine

RECORD = Path(__file__).with_suffix(".json")
VARIANTS = {  # lo que cambia de los valores de `fit_2023`
    "inicial": {},
    "20 épocas": {"epochs": 20},
    "todos los pasos": {"steps": 382},
    "otra Dense64": {"units": (128, 64)},
    "inicial, inercia 0.98": {"momentum": 0.98},
}


def fit_2023(data, weights, epochs=15, steps=200, units=(128,), momentum=0.999, callbacks=()):
    """Entrena como en 2023: lotes de 20, tasa constante de 0.001, sin aumento ni correcciones.

    Args:
        data: carpeta de los datos; weights: pesos de partida.
        epochs, steps: épocas, y pasos de cada una.
        units: neuronas de cada capa densa intermedia.
        momentum: inercia de BatchNorm; la de Keras es 0.999.
        callbacks: callbacks de Keras que se añaden.

    Returns:
        (model, history): el historial de Keras, con `epoch` y `seconds`.
    """
    keras.utils.set_random_seed(0)
    # El primer argumento no es `rescale`: las imágenes van en 0..255, como entonces
    flow = tf.keras.preprocessing.image.ImageDataGenerator(1.0 / 255).flow_from_directory
    same = {"batch_size": 20, "seed": 0, "classes": cu.find_classes(data)}
    train, valid = (
        flow(f"{data}/{split}", (224, 224), shuffle=split == "train", **same)
        for split in ("train", "valid")
    )
    base = keras.applications.MobileNetV3Small(
        input_shape=cu.IMAGE_SHAPE, include_top=False, weights=weights
    )
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = momentum
    x = keras.layers.GlobalAveragePooling2D()(base.output)
    for count in units:
        x = keras.layers.Dense(count, activation="relu")(x)
    model = keras.Model(base.input, keras.layers.Dense(train.num_classes, "softmax")(x))

    def forever():  # Keras 3 no repite un generador con pasos contados
        while True:
            yield next(train)

    shapes = (tf.TensorSpec((None, *cu.IMAGE_SHAPE)), tf.TensorSpec((None, train.num_classes)))
    batches = tf.data.Dataset.from_generator(forever, output_signature=shapes)
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    fitted = model.fit(
        batches,
        validation_data=valid,
        epochs=epochs,
        steps_per_epoch=steps,
        callbacks=[EpochLine(epochs), *callbacks],
        verbose=0,
    )
    return model, {"epoch": fitted.epoch, **fitted.history}


def main(data, weights, record=RECORD):
    """Entrena las variantes que falten y apunta cada una al acabar."""
    record = Path(record)
    done = json.loads(record.read_text("utf-8")) if record.is_file() else {}
    names = cu.find_classes(data)
    for name in [name for name in VARIANTS if name not in done]:
        print(f"Variante: {name}", flush=True)
        with tempfile.TemporaryDirectory() as scratch:
            best = Path(scratch, "mejor.weights.h5")
            keep = keras.callbacks.ModelCheckpoint(
                str(best), monitor="val_loss", save_best_only=True, save_weights_only=True
            )
            model, history = fit_2023(data, weights, **VARIANTS[name], callbacks=[keep])
            model.load_weights(best)
        run = {"start": Path(weights).name, "parameters": VARIANTS[name]}
        for split in ("valid", "test"):
            images, labels, _ = cu.load_split(data, split, names)
            run[split] = cu.count(model.predict(images, verbose=0).argmax(1) == labels)
        run |= {"history": history, "minutes": round(sum(history["seconds"]) / 60, 1)}
        run |= {"environment": cu.environment(), "date": time.strftime("%Y-%m-%d")}
        done[name] = run
        cu.write_atomic(record, cu.as_json(done).encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
