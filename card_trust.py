"""Cuánto fiarse de la red: calibrarla, rechazar lo que no es una carta y ver dónde mira.

Todo parte de los logits de la red ya entrenada; aquí no se entrena nada. Lo ajustado con `valid`
va en los metadatos del modelo, clave "trust": lo escribe Entrenamiento_DL.ipynb.
"""

import zlib
from functools import lru_cache

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

import card_utils as cu

BATCH = 32  # imágenes por pasada: la memoria no crece con la carpeta


# --- Logits y ajuste -------------------------------------------------------------------------


@lru_cache(maxsize=4)
def inner_model(model):
    """`keras.Model` con los mismos pesos que da (logits [n, clases], último mapa [n, 7, 7, m]).

    Args:
        model: clasificador de este proyecto, acabado en Dense(softmax).
    """
    head = model.layers[-1]
    # El mismo producto que hace la última capa, con sus variables y sin el softmax
    logits = keras.ops.matmul(head.input, head.kernel) + head.bias
    pooled = model.layers[-3]  # GlobalAveragePooling2D
    return keras.Model(model.input, [logits, pooled.input])


def predict_logits(model, images):
    """Logits de unas imágenes, en lotes de 32.

    Args:
        model: clasificador de este proyecto.
        images: uint8 [n, 224, 224, 3], lo que dan `read_image` y `straighten`.

    Returns:
        float32 [n, clases].

    Raises:
        ValueError: otra forma u otro tipo.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.shape[1:] != cu.IMAGE_SHAPE or not len(images):
        raise ValueError(
            f"Esperamos uint8 [n, 224, 224, 3] y llega {images.dtype} {images.shape}: read_image."
        )
    weights = b"".join(value.tobytes() for value in model.get_weights())
    network = frozen(model, zlib.crc32(weights))  # otra si se sigue entrenando
    parts = [network(images[i : i + BATCH]).numpy() for i in range(0, len(images), BATCH)]
    return np.concatenate(parts)


@lru_cache(maxsize=4)
def frozen(model, checksum):
    """Los logits de `inner_model` con los pesos constantes: TensorFlow simplifica y tarda menos."""
    inner = inner_model(model)
    parts = inner.trainable_variables, inner.non_trainable_variables
    values = [[variable.numpy() for variable in part] for part in parts]

    @tf.function(input_signature=[tf.TensorSpec((None, *cu.IMAGE_SHAPE), tf.uint8)])
    def network(images):
        images = tf.cast(images, tf.float32)
        return inner.stateless_call(*values, images, training=False)[0][0]

    return network


def log_softmax(logits, temperature=1.0):
    """Logaritmo de las probabilidades [n, clases] a una temperatura, sin desbordar."""
    z = np.asarray(logits, np.float64) / temperature
    return z - energy(z)[:, None]


def energy(logits):
    """Energía [n] de Liu et al. (2020), con el signo cambiado: mayor si parece una carta."""
    return np.logaddexp.reduce(logits, axis=1)


def reliability(confidence, correct, bins=15):
    """Error de calibración esperado (ECE) y sus tramos, de igual ancho (Guo et al. 2017).

    Args:
        confidence: [n], 0..1.
        correct: bool [n].
        bins: número de tramos.

    Returns:
        dict con "ece", 0..1, la distancia media entre confianza y exactitud, y "bins", por cada
        tramo usado [confianza media, exactitud, número de imágenes].
    """
    confidence, correct = np.asarray(confidence), np.asarray(correct)
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    used = [index == b for b in np.unique(index)]
    table = np.array([(confidence[i].mean(), correct[i].mean(), i.sum()) for i in used])
    ece = np.abs(table[:, 0] - table[:, 1]) @ table[:, 2] / len(index)
    return {"ece": float(ece), "bins": table.tolist()}


def plot_reliability(**measured):
    """Diagrama de fiabilidad: exactitud de cada tramo de confianza, y la diagonal ideal.

    Args:
        **measured: rótulo = lo que da `reliability`.
    """
    _, axes = plt.subplots(figsize=(5, 4.8), layout="tight")
    axes.plot((0, 100), (0, 100), "--", color="tab:gray", label="ideal")
    for name, result in measured.items():
        confidence, accuracy, count = np.transpose(result["bins"])
        label = f"{name}: ECE {100 * result['ece']:.1f} %"
        axes.scatter(100 * confidence, 100 * accuracy, 20 + count, alpha=0.6, label=label)
    axes.set(xlabel="confianza media del tramo (%)", ylabel="exactitud del tramo (%)")
    axes.set(title="Fiabilidad (más imágenes, punto mayor)")
    axes.legend(markerscale=0.6, loc="upper center", bbox_to_anchor=(0.5, -0.2))  # no tapa ninguno
    plt.show()


# --- Explicar --------------------------------------------------------------------------------


def grad_cam(model, image, class_index=None):
    """Grad-CAM (Selvaraju et al. 2017): qué zonas suben el logit de una clase.

    Args:
        model: clasificador de este proyecto.
        image: uint8 o float [224, 224, 3] en 0..255.
        class_index: clase que se explica; por omisión, la más probable.

    Returns:
        float32 [224, 224] en 0..1; todo ceros si ninguna zona la sube.
    """
    inner = inner_model(model)
    with tf.GradientTape() as tape:
        logits, maps = inner(tf.cast(image[None], tf.float32), training=False)
        target = logits[0, int(np.argmax(logits[0])) if class_index is None else class_index]
    slope = tape.gradient(target, maps)
    heat = tf.nn.relu(tf.reduce_sum(maps * tf.reduce_mean(slope, (1, 2), keepdims=True), -1))
    heat = tf.image.resize(heat[..., None], cu.IMAGE_SHAPE[:2])[0, ..., 0].numpy()
    return heat / max(heat.max(), 1e-12)
