"""Cuánto tarda la primera etapa en pasar del mejor `valid` de 2023, y cuánto todo aquel estudio.

Uso: `python benchmarks/tiempo.py [datos] [pesos]`. En la misma hora y máquina: nuestra primera
etapa, con los parámetros del cuaderno; el estudio de 2023 como se escribió (15 épocas de 200 pasos
de 20 imágenes, `ImageDataGenerator`); y la parte de un paso que se va en leer y aumentar, en la
tercera etapa. Las cifras van al JSON del modelo publicado. `test` no se lee.
"""

import ast
import functools
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parents[1]))

import keras  # noqa: E402
import papermill  # noqa: E402
import tensorflow as tf  # noqa: E402
from busqueda import compile_stage  # noqa: E402

import card_utils as cu  # noqa: E402

GOAL = 0.9245  # la mejor exactitud de valid publicada en 2023
NOTEBOOK = Path(__file__).parents[1] / "Entrenamiento_DL.ipynb"


class Clock(keras.callbacks.Callback):
    """Segundos desde que empieza `fit` hasta el final de cada época, con su `valid`."""

    def on_train_begin(self, logs=None):
        self.began, self.epochs = time.monotonic(), []

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append((time.monotonic() - self.began, logs["val_accuracy"]))
        print(f"{epoch + 1:2d} {self.epochs[-1][0]:5.0f} s {100 * logs['val_accuracy']:.2f} %")


def timed_fit(model, train, valid, **options):
    """Entrena y devuelve [(segundos, valid en 0..1)] de cada época."""
    clock = Clock()
    model.fit(train, validation_data=valid, verbose=0, callbacks=[clock], **options)
    return clock.epochs


def ours(data, weights):
    """La primera etapa del cuaderno, y lo que ocupan los datos (0..1) en un paso de la tercera."""
    known = papermill.inspect_notebook(str(NOTEBOOK))
    p = {key: known[key]["default"] for key in ("STAGES", "WEIGHT_DECAY", "BN_MOMENTUM")}
    p = {key: ast.literal_eval(value) for key, value in p.items()}
    names = cu.find_classes(data)
    images, labels, files = cu.load_split(data, "train", names)
    labels, _ = cu.repair_labels(labels, files, names)
    valid = cu.make_dataset(*cu.load_split(data, "valid", names)[:2], len(names), 8)

    def stage_dataset(batch, strength, any_angle):
        augment = functools.partial(cu.augment, strength=strength, any_angle=any_angle)
        augment = augment if strength else None
        return cu.make_dataset(images, labels, len(names), batch, augment, shuffle=True)

    epochs, *how, _, rate = p["STAGES"][0]
    train = stage_dataset(*how)
    model, _ = cu.build_model(len(names), weights, (128,), p["BN_MOMENTUM"])
    compile_stage(model, epochs, len(train), rate, p["WEIGHT_DECAY"])
    curve = timed_fit(model, train, valid, epochs=epochs)

    train, seconds = stage_dataset(*p["STAGES"][-1][1:4]), []
    # Con un solo lote repetido, el paso salía más lento que con datos nuevos
    still = train.take(10).cache().repeat()
    for dataset in (train, still):  # el mismo paso, con los datos y con diez lotes ya listos
        model.fit(dataset, steps_per_epoch=10, verbose=0)
        began = time.monotonic()
        model.fit(dataset, steps_per_epoch=100, verbose=0)
        seconds.append(time.monotonic() - began)
    return curve, 1 - seconds[1] / seconds[0]


def study_2023(data, weights, epochs=15):
    """El estudio de 2023: [(segundos, valid en 0..1)] de cada época."""
    flow = tf.keras.preprocessing.image.ImageDataGenerator(1.0 / 255).flow_from_directory
    train, valid = (
        flow(f"{data}/{split}", (224, 224), batch_size=20) for split in ("train", "valid")
    )
    base = keras.applications.MobileNetV3Small(
        input_shape=cu.IMAGE_SHAPE, include_top=False, weights=weights
    )
    x = keras.layers.GlobalAveragePooling2D()(base.output)
    x = keras.layers.Dense(128, activation="relu")(x)
    model = keras.Model(base.input, keras.layers.Dense(train.num_classes, "softmax")(x))

    def forever():  # Keras 3 no repite un generador con pasos contados
        while True:
            yield next(train)

    shapes = (tf.TensorSpec((None, *cu.IMAGE_SHAPE)), tf.TensorSpec((None, train.num_classes)))
    batches = tf.data.Dataset.from_generator(forever, output_signature=shapes)
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return timed_fit(model, batches, valid, epochs=epochs, steps_per_epoch=200)


def main(
    data="../shared/card-data",
    weights="../shared/weights/mobilenet_v3_small_imagenet_no_top.h5",
):
    """Mide las tres cosas y las apunta."""
    keras.utils.set_random_seed(0)
    curve, share = ours(data, weights)
    passed = next((seconds for seconds, valid in curve if valid >= GOAL), None)
    old = study_2023(data, weights)
    figures = {
        "meta_valid": GOAL,
        "minutos_hasta_la_meta": passed and round(passed / 60, 2),
        "minutos_2023": round(old[-1][0] / 60, 2),
        "razón": passed and round(passed / old[-1][0], 3),
        "mejor_valid_2023": round(max(valid for _, valid in old), 4),
        "parte_de_los_datos": round(share, 3),
    }
    print(json.dumps(figures, indent=1, ensure_ascii=False))
    cu.add_measures(cu.PUBLISHED_MODEL, tiempo=figures)


if __name__ == "__main__":
    main(*sys.argv[1:])
