"""Hace el reporte: figuras en `reporte/` y `Reporte_DL.md`, de lo apuntado por otras órdenes.

Uso: `python benchmarks/reporte.py`. Ninguna cifra medida se escribe a mano: la plantilla
`reporte/plantilla.md` las toma de los registros. Lo que aún no está medido, lo dice.
"""

import csv
import hashlib
import json
import os
import sys
from collections import Counter
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parents[1]))

import h5py
import jinja2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from PIL import Image

import card_trust as ct
import card_utils as cu

PROJECT = Path(__file__).parents[1]
FOLDER, REPORT = PROJECT / "reporte", PROJECT / "Reporte_DL.md"


def load_records():
    """Los registros, dict de nombre a su contenido; None o lista vacía si no se ha medido."""

    def read(path):
        path, table = PROJECT / path, str(path).endswith(".csv")
        if not path.is_file():
            return [] if table else None
        text = path.read_text("utf-8")
        return list(csv.DictReader(text.splitlines())) if table else json.loads(text)

    model = read(cu.PUBLISHED_MODEL.with_suffix(".json"))
    model.setdefault("measures", {})
    with h5py.File(PROJECT / cu.PUBLISHED_MODEL) as file:
        sizes = []
        file["model_weights"].visititems(lambda _, node: sizes.append(getattr(node, "size", 0)))
    stress = read("benchmarks/estres.csv")
    stress = [r for r in stress if r["modelo"] == model["sha256"][:8]]
    rows = read("benchmarks/ablacion.csv")
    whole = [r for r in rows if r["receta"].startswith("semilla")]
    part = [r for r in rows if "mitad" in r["receta"] or "cuarto" in r["receta"]]
    return {
        "model": model,
        "weights": int(sum(sizes)),
        "bytes": (PROJECT / cu.PUBLISHED_MODEL).stat().st_size,
        "data": read("benchmarks/datos.json"),
        "study": read("benchmarks/estudio_2023.json") or {},
        "ablation": [r for r in rows if r not in whole and "mitad" not in r["receta"]],
        "seeds": whole,
        "lengths": part + whole[:1],
        "campo": model["measures"].get("campo"),
        "stress": stress,
        "faults": read("data_faults.csv"),
    }


# --- Tablas ----------------------------------------------------------------------------------


def split_card(name):
    """(rango, palo) en español de una clase; el comodín es los dos."""
    rank, _, suit = cu.card_name(name).partition(" de ")
    return rank, suit or rank


def confusions(errors):
    """Errores de test contados por rangos y por palos: dos `Counter` de (verdad, respuesta)."""
    pairs = [(split_card(e["truth"]), split_card(e["answer"])) for e in errors]
    return [Counter((t[k], a[k]) for t, a in pairs if t[k] != a[k]) for k in (0, 1)]


def table(rows, means=False):
    """Tabla Markdown de filas de `ablacion.csv`; con `means`, también la media y los extremos."""
    columns = "minutos", "valid", "pérdida en valid", "esquinas", "otras barajas", "no naipes"
    lines = [[row["receta"], *(row[column] for column in columns)] for row in rows]
    if means:
        values = [[float(row[column]) for row in rows] for column in columns]
        ends = [f"{np.mean(v):.3g} (de {min(v):g} a {max(v):g})" for v in values]
        lines.append(["media", *ends])
    head = "receta", "minutos", "`valid`", "pérdida", "esquina", "otras barajas", "no naipes"
    lines = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def render(records=None):
    """El texto de `Reporte_DL.md`, sin escribir nada."""
    records = records or load_records()
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        undefined=jinja2.ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    env.filters["card"] = cu.card_name
    env.filters["short"] = lambda text: text.replace("Wilson 95 %: ", "")
    env.filters["score"] = lambda pair: env.filters["short"](cu.score(*pair))
    env.filters["percent"] = lambda x: f"{x} %" if x else "–"
    env.filters["pct"] = lambda x, digits=1: f"{100 * x:.{digits}f} %"
    env.globals |= {"confusions": confusions, "table": table}
    env.filters["inside"] = lambda files, split: [f for f in files if f.startswith(f"{split}/")]
    env.filters["share"] = lambda row: f"{100 * int(row['aciertos']) / int(row['imágenes']):.1f} %"
    env.filters["median"] = lambda values: f"{np.median(list(values)):.0f}"
    return env.get_template("plantilla.md").render(**records)


# --- Figuras ---------------------------------------------------------------------------------


def draw_classes(counts):
    """Barras: imágenes de train por clase."""
    rows = sorted((n, cu.card_name(name)) for name, n in counts.items())
    _, ax = plt.subplots(figsize=(10, 3.4), layout="constrained")
    ax.bar([name for _, name in rows], [n for n, _ in rows], width=0.8)
    ax.set(title="Imágenes de train por clase", ylabel="imágenes")
    ax.tick_params(axis="x", labelsize=8, rotation=90)
    ax.margins(x=0.01)
    ax.grid(axis="x", visible=False)


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
    axes[0, 0].set_ylabel("exactitud (%)")
    axes[0, -1].legend(loc="lower right")


def draw_confusions(errors):
    """Errores de test entre rangos y entre palos, en número de imágenes."""
    _, axes = plt.subplots(1, 2, figsize=(10, 4.6), width_ratios=(14, 7), layout="constrained")
    groups = (cu.RANGOS, "rangos"), (cu.SUITS.values(), "palos")
    for ax, count, (names, what) in zip(axes, confusions(errors), groups, strict=True):
        names = [*names, "comodín"]
        matrix = pd.DataFrame(0, names, names)
        for (truth, answer), n in count.items():
            matrix.loc[truth, answer] = n
        text = matrix.astype(str).replace("0", "")
        lines = {"linewidths": 0.5, "linecolor": "lightgray"}
        sns.heatmap(matrix, vmin=0, annot=text, fmt="", cmap="Blues", cbar=False, ax=ax, **lines)
        ax.set(title=f"Errores entre {what} (imágenes)")
        ax.set(xlabel="respuesta", ylabel="verdad")


def figures(records):
    """Las figuras que se pueden hacer: {nombre: (función, datos)}."""
    model, data, study = records["model"], records["data"], records["study"]
    found = {}
    if data:
        found["clases"] = draw_classes, data["counts"]["train"]
    if study:
        found["estudio_2023"] = draw_curves, {name: run["history"] for name, run in study.items()}
    if "history" in model:
        found["entrenamiento"] = draw_curves, {"El modelo publicado": model["history"]}
    if "confianza" in model["measures"]:
        test = model["measures"]["confianza"]["test"]
        if test.get("errores"):
            found["confusiones"] = draw_confusions, test["errores"]
        names = {"fiabilidad_sin_calibrar": "sin calibrar", "fiabilidad": "calibrada"}
        measured = {label: test[key] for key, label in names.items()}
        found["fiabilidad"] = lambda data: ct.plot_reliability(**data), measured
    return found


def mark(data):
    """Huella de los datos de una figura; va dentro de su PNG."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def mark_in(path):
    """La huella que lleva un PNG, o None si no existe."""
    return Image.open(path).text.get("Comment") if path.is_file() else None


def main():
    """Rehace las figuras y escribe el texto."""
    records = load_records()
    sns.set_theme(style="whitegrid")
    wanted = figures(records)
    for old in FOLDER.glob("*.png"):
        if old.stem not in wanted:
            old.unlink()
    for name, (draw, data) in wanted.items():
        draw(data)
        plt.savefig(FOLDER / f"{name}.png", dpi=100, metadata={"Comment": mark(data)})
        plt.close()
    cu.write_atomic(REPORT, render(records).encode())


if __name__ == "__main__":
    main()
