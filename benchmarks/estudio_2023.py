"""Repite el estudio de 2023: sus cuatro variantes y, de la primera, otra con un solo cambio.

Uso: `python benchmarks/estudio_2023.py [NOMBRE=valor ...]`, con parámetros del cuaderno (por
ejemplo `DATA_DIR=ruta` y `WEIGHTS=ruta`) y `RECORD=fichero`. Ejecuta `Entrenamiento_DL.ipynb`
con los valores de 2023 y apunta lo que deja cada variante en `benchmarks/estudio_2023.json`, que
es también la lista de lo hecho: repetir la orden sigue por la primera que falta, y una variante
cortada sigue por su época. El modelo publicado no se toca.
"""

import ast
import json
import logging
import sys
import tempfile
from pathlib import Path

import numpy as np
import papermill

sys.path.insert(0, str(Path(__file__).parents[1]))

import card_utils as cu

PROJECT = Path(__file__).parents[1]
BASE = {
    "STAGES": [[15, 20, 0, 0, 0, 1e-3]],  # 15 épocas de lotes de 20, sin aumento
    "LAST_STAGES": [],
    "STEPS_PER_EPOCH": 200,
    "SCHEDULE": "constant",
    "WEIGHT_DECAY": 0,
    "BN_MOMENTUM": 0.999,
    "REPAIR_LABELS": False,
    "LAST_SHARES": [0],
}
VARIANTS = {  # la inicial son las quince primeras épocas de la de veinte: misma semilla
    "20 épocas": {"STAGES": [[20, 20, 0, 0, 0, 1e-3]]},
    "todos los pasos": {"STEPS_PER_EPOCH": 382},
    "otra Dense64": {"DENSE_UNITS": [128, 64]},
    "inicial, inercia 0.98": {"BN_MOMENTUM": 0.98},
}
KEYS = "start valid test history minutes parameters environment date".split()


def first_epochs(run, model_path, folder, data, epochs=15):
    """Lo que habría apuntado la misma ejecución si hubiera acabado antes.

    Args:
        run: claves KEYS de la ejecución entera.
        model_path: su modelo, que presta la red.
        folder: dónde está la carpeta de sus puntos de control.
        data: carpeta de los datos.
        epochs: cuántas épocas contar.

    Returns:
        dict con las mismas claves.
    """
    history = {key: values[:epochs] for key, values in run["history"].items()}
    files = (file for file in sorted(folder.glob("*/epoca-*")) if number(file) <= epochs)
    *_, best = files  # cada una baja la pérdida: la última es la mejor
    model, metadata = cu.load_model(model_path)
    model.load_weights(best)
    hits = {}
    for split in ("valid", "test"):
        images, labels, _ = cu.load_split(data, split, metadata["class_names"])
        correct = int(np.sum(cu.predict(model, images).argmax(1) == labels))
        hits[split] = {"correct": correct, "total": len(labels)}
    minutes = round(sum(history["seconds"]) / 60, 1)
    parameters = {**run["parameters"], "STAGES": BASE["STAGES"]}
    return {**run, **hits, "history": history, "minutes": minutes, "parameters": parameters}


def number(file):
    """La época de un punto de control."""
    return int(file.name.split("-")[1])


def main(RECORD=PROJECT / "benchmarks/estudio_2023.json", **parameters):
    """Entrena las variantes que falten y apunta cada una al acabar.

    Args:
        RECORD: JSON {variante: claves KEYS del JSON de su modelo}.
        **parameters: parámetros del cuaderno, los mismos para todas.
    """
    logging.basicConfig(level="INFO", format="%(message)s")
    record = Path(RECORD).resolve()
    done = json.loads(record.read_text("utf-8")) if record.is_file() else {}
    for name, change in VARIANTS.items():
        if name in done:
            continue
        print(f"Variante: {name}", flush=True)
        folder = PROJECT / "checkpoints" / name  # fuera de scratch: sobrevive a un corte
        with tempfile.TemporaryDirectory() as scratch:
            model = Path(scratch, "variante.h5")
            papermill.execute_notebook(
                PROJECT / "Entrenamiento_DL.ipynb",
                Path(scratch, "variante.ipynb"),
                {
                    **BASE,
                    **change,
                    **parameters,
                    "MODEL_PATH": str(model),
                    "CHECKPOINTS_DIR": str(folder),
                },
                cwd=PROJECT,
                progress_bar=False,
                log_output=True,
            )
            metadata = json.loads(model.with_suffix(".json").read_text("utf-8"))
            run = {key: metadata[key] for key in KEYS}
            if name == "20 épocas":
                data = PROJECT / parameters.get("DATA_DIR", "card-data")
                done["inicial"] = first_epochs(run, model, folder, data)
            done[name] = run
        text = json.dumps(done, indent=1, ensure_ascii=False) + "\n"
        cu.write_atomic(record, text.encode())


if __name__ == "__main__":
    values = {}
    for pair in sys.argv[1:]:
        key, _, text = pair.partition("=")
        try:
            values[key] = ast.literal_eval(text)
        except (ValueError, SyntaxError):  # un texto sin comillas, como una ruta
            values[key] = text
    main(**values)
