"""Las figuras del reporte, en `reporte/`, hechas con lo apuntado por otras órdenes.

Uso: `python benchmarks/figuras.py`.
"""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parents[1]))

import matplotlib.pyplot as plt
import numpy as np

import card_model as cm
import card_trust as ct
import card_utils as cu

FOLDER = cu.HERE / "reporte"


def draw_curves(runs):
    """Exactitud por época en train y valid; un panel por entrenamiento, {título: history}."""
    size = min(11, 4.2 * len(runs) + 1.5), 3.2
    _, axes = plt.subplots(
        1, len(runs), figsize=size, sharey=True, squeeze=False, layout="constrained"
    )
    for ax, (title, history) in zip(axes[0], runs.items(), strict=True):
        epochs = np.array(history["epoch"]) + 1
        for key, label in (("accuracy", "train"), ("val_accuracy", "valid")):
            ax.plot(epochs, 100 * np.array(history[key]), label=label)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set(xlabel="época", ylim=(0, 101))
        ax.set_title(title, fontsize=10)
        ax.grid(alpha=0.4)
    axes[0, 0].set_ylabel("exactitud (%)")
    axes[0, -1].legend(loc="lower right")


def save(name):
    """Guarda la figura que se acaba de dibujar."""
    plt.savefig(FOLDER / f"{name}.png", dpi=100)
    plt.close()


def main():
    """Dibuja las tres figuras."""
    metadata = cm.read_metadata(cu.PUBLISHED_MODEL)
    study = json.loads(Path(__file__).with_name("estudio_2023.json").read_text("utf-8"))
    draw_curves({name: run["history"] for name, run in study.items()})
    save("estudio_2023")
    draw_curves({"El modelo publicado": metadata["history"]})
    save("entrenamiento")
    trust = metadata["measures"]["trust"]
    plt.switch_backend("agg")  # para que `plt.show` no cierre la figura
    ct.plot_reliability(**{"sin calibrar": trust["raw"], "calibrada": trust["calibrated"]})
    save("fiabilidad")


if __name__ == "__main__":
    main()
