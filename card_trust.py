"""Una seguridad de la que fiarse: calibrar, rechazar, leer cartas, explicar y llevar al móvil.

Todo parte de los logits de la red ya entrenada; aquí no se entrena nada. Lo ajustado con `valid`
va en el JSON del modelo, clave "trust": lo escribe Entrenamiento_DL.ipynb, y de nuevo quien mide,
`python benchmarks/confianza.py`.
"""

import base64
import io
import json
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import tensorflow as tf
from tqdm.auto import tqdm

import card_photo
import card_utils as cu
from card_training import augment

BATCH = 32  # imágenes por pasada: la memoria no crece con la carpeta
FIT_COMMAND = "python benchmarks/confianza.py"


@dataclass
class Reading:
    """Lo que se lee en una imagen.

    card: nombre de clase más probable; confidence: su probabilidad calibrada, 0..1;
    set: clases del conjunto conforme, la más segura primero; refused: no parece una carta;
    score: energía, mayor cuanto más parece una carta; box: esquinas [4, 2] en píxeles de la foto,
    o None si es la foto entera; image: uint8 [224, 224, 3] que se juzgó.
    """

    card: str
    confidence: float
    set: list
    refused: bool
    score: float
    box: np.ndarray | None = None
    image: np.ndarray | None = None


# --- Logits y ajuste -------------------------------------------------------------------------


@lru_cache(maxsize=4)
def inner_model(model, with_map=False):
    """`keras.Model` con los mismos pesos que da (logits [n, clases], rasgos [n, 128]).

    Args:
        model: clasificador de este proyecto, acabado en Dense(softmax).
        with_map: dar en lugar de los rasgos el último mapa, [n, 7, 7, canales].
    """
    head = model.layers[-1]
    # El mismo producto que hace la última capa, con sus variables y sin el softmax
    logits = keras.ops.matmul(head.input, head.kernel) + head.bias
    last_map = next(layer for layer in model.layers[::-1] if len(layer.output.shape) == 4)
    return keras.Model(model.input, [logits, last_map.output if with_map else head.input])


def predict_logits(model, images):
    """Logits y rasgos de unas imágenes, en lotes de 32.

    Args:
        model: clasificador de este proyecto.
        images: uint8 [n, 224, 224, 3], lo que dan `read_image` y `straighten`.

    Returns:
        (logits, features): float32 [n, clases] y [n, 128].

    Raises:
        ValueError: otra forma u otro tipo.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.shape[1:] != cu.IMAGE_SHAPE or not len(images):
        raise ValueError(
            f"Esperamos uint8 [n, 224, 224, 3] y llega {images.dtype} {images.shape}: read_image."
        )
    if len(images) > 2 * BATCH:
        return inner_model(model).predict(images, batch_size=BATCH, verbose=0)
    # Para pocas imágenes, preparar `predict` cuesta más que la red; con solo tres tamaños de lote
    # (1, 8 y 32) se compila tres veces como mucho
    parts = []
    for i in range(0, len(images), BATCH):
        batch = images[i : i + BATCH]
        size = next(size for size in (1, 8, BATCH) if size >= len(batch))
        padded = np.concatenate([batch, np.zeros((size - len(batch), *cu.IMAGE_SHAPE), np.uint8)])
        parts.append([part[: len(batch)] for part in inner_model(model).predict_on_batch(padded)])
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def log_softmax(logits, temperature=1.0):
    """Logaritmo de las probabilidades [n, clases] a una temperatura, sin desbordar."""
    z = np.asarray(logits, np.float64) / temperature
    return z - energy(z)[:, None]


def energy(logits):
    """logsumexp de cada fila (Liu et al. 2020): mayor cuanto más parece una carta conocida."""
    top = logits.max(1)
    return top + np.log(np.exp(logits - top[:, None]).sum(1))


def fit_temperature(logits, labels):
    """Temperatura que minimiza la verosimilitud negativa (Guo et al. 2017), en 0.1..10.

    Args:
        logits: [n, clases].
        labels: int [n].

    Returns:
        float; más de 1 si la red peca de segura.
    """

    def loss(log_t):
        return -log_softmax(logits, np.exp(log_t))[np.arange(len(labels)), labels].mean()

    low, high = np.log(0.1), np.log(10)
    for _ in range(5):  # la pérdida es unimodal: cada rejilla estrecha el intervalo diez veces
        grid = np.linspace(low, high, 21)
        best = np.argmin([loss(x) for x in grid])
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, 20)]
    return float(np.exp((low + high) / 2))


def reliability(confidence, correct, bins=15):
    """Error de calibración esperado (ECE) y sus tramos, de igual ancho (Guo et al. 2017).

    Args:
        confidence: [n], 0..1.
        correct: bool [n].
        bins: número de tramos.

    Returns:
        dict con "ece", 0..1, la distancia media entre seguridad y exactitud, y "bins", por cada
        tramo usado [seguridad media, exactitud, número de imágenes].
    """
    confidence, correct = np.asarray(confidence), np.asarray(correct)
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    used = [index == b for b in np.unique(index)]
    table = np.array([(confidence[i].mean(), correct[i].mean(), i.sum()) for i in used])
    ece = np.abs(table[:, 0] - table[:, 1]) @ table[:, 2] / len(index)
    return {"ece": float(ece), "bins": table.tolist()}


def plot_reliability(**measured):
    """Diagrama de fiabilidad: exactitud de cada tramo de seguridad, y la diagonal ideal.

    Args:
        **measured: rótulo = lo que da `reliability`.
    """
    _, axes = plt.subplots(figsize=(5, 4), layout="tight")
    axes.plot((0, 100), (0, 100), "--", color="tab:gray", label="ideal")
    for name, result in measured.items():
        confidence, accuracy, count = np.transpose(result["bins"])
        label = f"{name}: ECE {100 * result['ece']:.1f} %"
        axes.scatter(100 * confidence, 100 * accuracy, 20 + count, alpha=0.6, label=label)
    axes.set(xlabel="seguridad media del tramo (%)", ylabel="exactitud del tramo (%)")
    axes.set(title="Fiabilidad (área del punto: imágenes)")
    axes.legend(markerscale=0.6)
    plt.show()


def conformal_threshold(scores, coverage=0.95):
    """Cuantil conforme de muestra finita: el k-ésimo, k = ceil((n + 1) * coverage).

    Args:
        scores: [n], no conformidad de la clase verdadera en datos de calibrar.
        coverage: cobertura pedida, 0..1.

    Returns:
        float; infinito si n es demasiado pequeño (entonces el conjunto lo lleva todo).
    """
    k = int(np.ceil((len(scores) + 1) * coverage))
    return float(np.sort(scores)[k - 1]) if k <= len(scores) else float("inf")


def fit_trust(model, images, labels):
    """Ajusta con `valid` lo que `judge` necesita.

    Usa cuatro copias de `valid` con medio aumento, como fotos corrientes: tal cual sirvió para
    elegir los pesos, y lo ajustado confiaría de más. El conjunto conforme es LAC (Sadinle et al.
    2019): no conformidad 1 - p. El umbral de rechazo es el percentil 2 de la energía de las cartas
    acertadas: rechaza el 2 % de ellas.

    Args:
        model: clasificador de este proyecto.
        images: uint8 [n, 224, 224, 3] de `valid`.
        labels: int [n].

    Returns:
        dict para la clave "trust" del JSON.
    """
    logits = [
        predict_logits(model, np.uint8(augment(np.float32(batch), [copy, i], 0.5, 224, 0, 0, 0)))[0]
        for copy in range(4)
        for i, batch in enumerate(np.split(images, range(BATCH, len(images), BATCH)))
    ]
    return trust_from_logits(np.concatenate(logits), np.tile(labels, 4))


def trust_from_logits(logits, labels):
    """Lo mismo que `fit_trust`, a partir de los logits [n, clases]."""
    temperature = fit_temperature(logits, labels)
    true = np.exp(log_softmax(logits, temperature))[np.arange(len(labels)), labels]
    correct = logits.argmax(1) == labels
    return {
        "temperature": temperature,
        "conformal_quantile": min(conformal_threshold(1 - true), 1.0),
        "coverage": 0.95,
        "refusal_score": "energy",
        "refusal_threshold": float(np.quantile(energy(logits[correct]), 0.02)),
        "images": len(labels),
    }


def judge(logits, trust, class_names):
    """Carta, seguridad calibrada, conjunto y rechazo de cada imagen.

    Args:
        logits: [n, clases].
        trust: dict de `fit_trust`.
        class_names: clases, en orden.

    Returns:
        Lista de n `Reading`, sin `box` ni `image`.
    """
    probabilities = np.exp(log_softmax(logits, trust["temperature"]))
    readings = []
    for p, score in zip(probabilities, energy(np.asarray(logits, np.float64)), strict=True):
        order = np.argsort(-p)
        # La más segura va siempre: con más aciertos que cobertura, LAC daría conjuntos vacíos
        size = max(1, int((1 - p <= trust["conformal_quantile"]).sum()))
        readings.append(
            Reading(
                class_names[order[0]],
                float(p[order[0]]),
                [class_names[i] for i in order[:size]],
                bool(score < trust["refusal_threshold"]),
                float(score),
            )
        )
    return readings


def judge_images(model, images, metadata):
    """`judge` de unas imágenes uint8 [n, 224, 224, 3] ya del tamaño de la red."""
    logits = predict_logits(model, images)[0]
    return judge(logits, get_trust(metadata), metadata["class_names"])


# --- Leer una foto o una carpeta -------------------------------------------------------------


def get_trust(metadata):
    """La clave "trust" de los metadatos, o un `ValueError` que dice cómo ajustarla."""
    if "trust" not in metadata:
        raise ValueError(f'Los metadatos no tienen "trust": ajústalo con `{FIT_COMMAND}`.')
    return metadata["trust"]


def read_cards(source, model, metadata, find=True):
    """Lee las cartas de una foto.

    Se juzgan en un solo lote la foto entera y cada carta encontrada. Si dos o más encontradas
    parecen cartas, valen todas ellas; si no, la más segura de todo lo juzgado.

    Args:
        source: ruta, fichero binario abierto o foto uint8 [alto, ancho, 3].
        model, metadata: lo que da `card_utils.load_model`, con "trust".
        find: buscar las cartas con `card_photo`; si no, solo la foto entera.

    Returns:
        Lista de `Reading`, al menos uno, el más seguro primero.

    Raises:
        FileNotFoundError: no existe la ruta.
        ValueError: no es una imagen legible, o falta "trust".
    """
    get_trust(metadata)  # antes de leer nada
    photo = source if isinstance(source, np.ndarray) else cu.open_photo(source)
    images, boxes = [cu.squash(photo)], [None]
    if find:
        for corners in card_photo.find_cards(photo):
            boxes.append(np.asarray(corners))
            images.append(card_photo.straighten(photo, corners))
    judged = judge_images(model, np.stack(images), metadata)
    readings = [
        replace(reading, box=box, image=image)
        for reading, box, image in zip(judged, boxes, images, strict=True)
    ]
    whole = float(np.prod(photo.shape[:2]))

    def worth(r):  # a igual seguridad, la carta y no un palo suelto: elegido en valid
        share = 1.0 if r.box is None else min(1.0, card_photo.area(r.box[None])[0] / whole)
        return not r.refused, r.confidence * share**0.1

    surest = sorted(readings, key=worth, reverse=True)
    several = [r for r in surest if r.box is not None and not r.refused]
    return several if len(several) > 1 else surest[:1]


def plot_readings(photo, readings):
    """Dibuja la foto con el contorno, la carta y la seguridad de cada lectura.

    Args:
        photo: uint8 [alto, ancho, 3].
        readings: lo que da `read_cards`.
    """
    _, ax = plt.subplots(figsize=(5, 3.75), layout="tight")
    ax.imshow(photo)
    ax.axis("off")
    titles = []
    for r in readings:
        text = " o ".join(cu.card_name(name) for name in r.set[:3])
        text = f"{text} ({100 * r.confidence:.0f} %)"
        if r.refused:
            text = f"No parece una carta; lo más cercano: {text}"
        if r.box is None:
            titles.append(text)
        else:
            ax.add_patch(plt.Polygon(r.box, fill=False, edgecolor="tab:red", linewidth=2))
            box = {"facecolor": "white", "alpha": 0.85, "edgecolor": "tab:red"}
            ax.text(*r.box.mean(0), text, ha="center", va="center", fontsize=8, bbox=box)
    ax.set_title("; ".join(titles) or f"Cartas encontradas: {len(readings)}")
    plt.show()


def take_photo(path):
    """En Colab, enseña la cámara y un botón; al pulsarlo guarda la foto en `path`.

    Raises:
        ValueError: no hay cámara o no se le dio permiso.
    """
    from google.colab.output import eval_js  # solo existe en Colab

    script = """(async () => {
      const video = document.createElement('video'), button = document.createElement('button');
      button.textContent = 'Hacer la foto';
      video.srcObject = await navigator.mediaDevices.getUserMedia(
        {video: {facingMode: 'environment'}});
      document.body.append(video, button);
      await video.play();
      google.colab.output.setIframeHeight(document.documentElement.scrollHeight, true);
      await new Promise(resolve => button.onclick = resolve);
      const canvas = document.createElement('canvas');
      [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
      canvas.getContext('2d').drawImage(video, 0, 0);
      video.srcObject.getTracks().forEach(track => track.stop());
      video.remove(); button.remove();
      return canvas.toDataURL('image/jpeg', 0.9);
    })()"""
    try:
        content = eval_js(script)
    except Exception as error:  # Colab lanza MessageError con lo que dijo el navegador
        raise ValueError(f"No se pudo usar la cámara ({error}). Sube la foto.") from error
    cu.write_atomic(path, base64.b64decode(content.split(",")[1]))
    return path


def read_folder(folder, model, metadata, csv_path):
    """Lee todas las imágenes de una carpeta, enteras y de 32 en 32, y escribe un CSV.

    Args:
        folder: carpeta con las imágenes, sin subcarpetas.
        model, metadata: lo que da `card_utils.load_model`, con "trust".
        csv_path: destino; se escribe al lado y se renombra al final.

    Returns:
        `pandas.DataFrame` con file, card, confidence, set, refused y error, una fila por fichero.

    Raises:
        ValueError: la carpeta no tiene imágenes, o falta "trust".
    """
    get_trust(metadata)  # antes de leer nada
    files, rows = cu.image_files(folder), []
    if not files:
        raise ValueError(f"No hay imágenes en {folder} ({', '.join(sorted(cu.EXTENSIONS))}).")
    progress = tqdm(total=len(files), unit=" imágenes", desc="Leyendo")
    for start in range(0, len(files), BATCH):
        images, good, batch = [], [], files[start : start + BATCH]
        progress.update(len(batch))
        for file in batch:
            rows.append({"file": file.name, "error": ""})
            try:
                images.append(cu.read_image(file))
                good.append(rows[-1])
            except (OSError, ValueError) as error:
                rows[-1]["error"] = str(error)
        if not images:
            continue
        judged = judge_images(model, np.stack(images), metadata)
        for row, r in zip(good, judged, strict=True):
            row |= {"card": r.card, "confidence": round(r.confidence, 4), "refused": r.refused}
            row["set"] = "; ".join(r.set)
    progress.close()
    table = pd.DataFrame(rows, columns="file card confidence set refused error".split())
    cu.write_atomic(csv_path, table.to_csv(index=False).encode())
    return table


# --- Explicar y llevar al móvil --------------------------------------------------------------


def grad_cam(model, image, class_index=None):
    """Grad-CAM (Selvaraju et al. 2017): qué zonas suben el logit de una clase.

    Args:
        model: clasificador de este proyecto.
        image: uint8 o float [224, 224, 3] en 0..255.
        class_index: clase que se explica; por omisión, la más probable.

    Returns:
        float32 [224, 224] en 0..1; todo ceros si ninguna zona la sube.
    """
    inner = inner_model(model, with_map=True)
    with tf.GradientTape() as tape:
        logits, maps = inner(tf.cast(image[None], tf.float32), training=False)
        target = logits[0, int(np.argmax(logits[0])) if class_index is None else class_index]
    slope = tape.gradient(target, maps)
    heat = tf.nn.relu(tf.reduce_sum(maps * tf.reduce_mean(slope, (1, 2), keepdims=True), -1))
    heat = tf.image.resize(heat[..., None], cu.IMAGE_SHAPE[:2])[0, ..., 0].numpy()
    return heat / max(heat.max(), 1e-12)


def export_tflite(model, path, class_names, quantize=False):
    """Exporta a LiteRT (TFLite), con un JSON al lado que nombra las clases y la entrada.

    `quantize` guarda en int8 por canal los pesos de las capas con 2500 o más y calcula en float:
    no hacen falta fotos de calibrar. Las primeras capas pesan poco y, en int8, cambiaban
    respuestas, como al pasar a int8 también las activaciones. Lo hace `ai-edge-quantizer`; sin
    él, con aviso, el conversor de TensorFlow (rango dinámico).

    Args:
        model: clasificador de este proyecto.
        path: destino, acabado en .tflite; el JSON lleva el mismo nombre.
        class_names: clases, en orden.
        quantize: pesos en int8 (menos de un tercio) en vez de float32.

    Returns:
        `Path` del fichero; entran float32 [1, 224, 224, 3] en 0..255 y salen probabilidades.
    """
    converter, recipe = tf.lite.TFLiteConverter.from_keras_model(model), None
    if quantize:
        try:
            from ai_edge_quantizer import quantizer, recipe  # Colab no lo trae
        except ImportError:
            print("Falta ai-edge-quantizer (pip install ai-edge-quantizer): int8 algo menos fiel.")
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    labels = {
        "class_names": list(class_names),
        "input": {"shape": [1, *cu.IMAGE_SHAPE], "dtype": "float32", "range": [0, 255]},
        "preprocess": "RGB, estirada a 224x224 (bilineal), sin dividir: la red reescala dentro",
        "output": "probabilidades en el orden de class_names, sin calibrar",
    }
    with redirect_stdout(io.StringIO()):  # Keras cuenta ahí cada variable que exporta
        content = converter.convert()
        if recipe:
            weights = recipe.weight_only_wi8_afp32()
            weights[0]["op_config"]["min_weight_elements"] = 2500
            content = quantizer.Quantizer(content, weights).quantize().quantized_model
    cu.write_atomic(path, content)
    text = json.dumps(labels, indent=1, ensure_ascii=False) + "\n"
    cu.write_atomic(path.with_suffix(".json"), text.encode())
    return path
