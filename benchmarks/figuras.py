"""Las figuras del reporte y del README: `python benchmarks/figuras.py`."""

import base64
import io
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parents[1]))

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import card_model as cm
import card_training as train
import card_trust as ct
import card_utils as cu
from drawing.scenes import make_spread


def draw_curves(runs):
    """Exactitud por época en train y valid; un panel por entrenamiento, {título: history}."""
    _, axes = plt.subplots(1, len(runs), figsize=(11, 3.2), sharey=True, layout="constrained")
    for ax, (title, history) in zip(axes, runs.items(), strict=True):
        table = 100 * pd.DataFrame(history)[["accuracy", "val_accuracy"]]
        table = table.set_axis(["train", "valid"], axis=1).set_axis(table.index + 1)
        words = {"xlabel": "época", "ylabel": "exactitud (%)", "title": title}
        table.plot(ax=ax, ylim=(0, 101), grid=True, legend=ax is axes[-1], **words)


def save(name):
    """Guarda la figura que se acaba de dibujar."""
    plt.savefig(cu.HERE / f"reporte/{name}.png", dpi=100)
    plt.close()


def main():
    """Las tres del reporte; `ejemplo.png`, de Despliegue; y su mano, dibujada otra vez."""
    metadata = cm.read_metadata(cu.PUBLISHED_MODEL)
    study = json.loads(Path(__file__).with_name("estudio_2023.json").read_text("utf-8"))
    plt.switch_backend("agg")  # para que `plt.show` no cierre la figura
    draw_curves({name: run["history"] for name, run in study.items()})
    save("estudio_2023")
    train.plot_history(pd.DataFrame(metadata["history"]), metadata["parameters"]["PHASES"])
    save("entrenamiento")
    trust = metadata["measures"]["trust"]
    ct.plot_reliability(**{"sin calibrar": trust["raw"], "calibrada": trust["calibrated"]})
    save("fiabilidad")
    notebook = json.loads((cu.HERE / "Despliegue_DL.ipynb").read_text("utf-8"))
    (cell,) = [c for c in notebook["cells"] if "make_spread(np" in "".join(c["source"])]
    (image,) = [o["data"]["image/png"] for o in cell["outputs"] if "data" in o]
    cu.write_atomic(cu.HERE / "ejemplo.png", base64.b64decode(image))
    hand = make_spread(np.random.default_rng([0, 7]), 7, "fan")[0]
    hand.save(file := io.BytesIO(), "JPEG", quality=92)
    cu.write_atomic(cu.HERE / "fotos/mano.jpg", file.getvalue())


if __name__ == "__main__":
    main()
