"""Exporta el modelo a LiteRT y lo compara con Keras en test: respuesta, tamaño y tiempo.

python benchmarks/tflite.py [DATA_DIR] [MODELO]

El de int8 se queda junto al modelo, con `_int8` en el nombre.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

import card_trust as ct  # noqa: E402
import card_utils as cu  # noqa: E402


def main(data_dir="../shared/card-data", path=cu.PUBLISHED_MODEL):
    """Mide los tres, imagen a imagen y por turnos, y lo apunta en el JSON del modelo."""
    tf.config.threading.set_intra_op_parallelism_threads(2)
    model, metadata = cu.load_model(path)
    images, labels, _ = cu.load_split(data_dir, "test", metadata["class_names"])
    runs, sizes = {"keras": model.predict_on_batch}, {"keras": Path(path).stat().st_size}
    with tempfile.TemporaryDirectory() as scratch:
        for name, quantize in (("float32", False), ("int8", True)):
            folder = Path(path).parent if quantize else Path(scratch)
            file = folder / f"{Path(path).stem}_{name}.tflite"
            ct.export_tflite(model, file, metadata["class_names"], quantize)
            interpreter = tf.lite.Interpreter(model_content=file.read_bytes(), num_threads=2)
            interpreter.allocate_tensors()
            runs[name], sizes[name] = runner(interpreter), file.stat().st_size
    answers, times = {name: [] for name in runs}, {name: [] for name in runs}
    for run in runs.values():
        for _ in range(5):  # calentar
            run(images[:1].astype(np.float32))
    for image in images:
        for name, run in runs.items():
            start = time.perf_counter()
            answers[name].append(run(image[None].astype(np.float32))[0])
            times[name].append(1000 * (time.perf_counter() - start))
    keras_answers = np.argmax(answers["keras"], 1)
    result = {
        name: {
            "bytes": sizes[name],
            "coinciden_con_keras": int((np.argmax(answers[name], 1) == keras_answers).sum()),
            "aciertos": int((np.argmax(answers[name], 1) == labels).sum()),
            "imágenes": len(labels),
            "diferencia_máxima": float(np.abs(np.subtract(answers[name], answers["keras"])).max()),
            "ms_mediana": round(float(np.median(times[name])), 2),
            "ms_percentil_95": round(float(np.quantile(times[name], 0.95)), 2),
        }
        for name in runs
    }
    cu.add_measures(path, tflite={**result, "hilos": 2})
    print(json.dumps(result, indent=1, ensure_ascii=False))


def runner(interpreter):
    """Función de float32 [1, 224, 224, 3] a probabilidades [1, clases]."""
    source = interpreter.get_input_details()[0]["index"]
    target = interpreter.get_output_details()[0]["index"]

    def run(image):
        interpreter.set_tensor(source, image)
        interpreter.invoke()
        return interpreter.get_tensor(target)

    return run


if __name__ == "__main__":
    main(*sys.argv[1:])
