"""Hace el reporte: figuras en `reporte/` y `Reporte_DL.md`, de lo apuntado por otras órdenes.

Uso: `python benchmarks/reporte.py`. Ninguna cifra medida se escribe a mano: la plantilla
`reporte/plantilla.md` las toma de los registros, y las tablas de «Qué aporta cada cosa» van también
al cuaderno de entrenamiento. Lo que aún no está medido, lo dice.
"""

import csv
import hashlib
import json
import os
import re
import sys
from collections import Counter
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parents[1]))

import h5py
import jinja2
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import seaborn as sns
from PIL import Image

import card_trust as ct
import card_utils as cu

PROJECT = Path(__file__).parents[1]
FOLDER, REPORT = PROJECT / "reporte", PROJECT / "Reporte_DL.md"
NOTEBOOK = PROJECT / "Entrenamiento_DL.ipynb"
FIRST_MODEL = "a2b6ca53"  # el primero que publicamos, para comparar lo que aguantan


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
    rows = read("benchmarks/estres.csv")
    stress = [r for r in rows if r["modelo"] == model["sha256"][:8]]
    before = {(r["daño"], r["grado"]): r for r in rows if r["modelo"] == FIRST_MODEL}
    runs = [model, *map(read, sorted(PROJECT.glob("benchmarks/semilla_*.json")))]
    damaged = Counter()
    for row in rows:
        if row["daño"] != "baraja inventada":
            damaged[row["modelo"]] += int(row["aciertos"])
    for run in runs:
        run["damaged"] = damaged[run["sha256"][:8]]
    return {
        "model": model,
        "weights": int(sum(sizes)),
        "bytes": (PROJECT / cu.PUBLISHED_MODEL).stat().st_size,
        "data": read("benchmarks/datos.json"),
        "study": read("benchmarks/estudio_2023.json") or {},
        "search": read("benchmarks/busqueda.csv"),
        "runs": runs,
        "stress": stress,
        "before": before,
        "faults": read("data_faults.csv"),
        "audit": read("benchmarks/etiquetas.csv"),
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


def seeds_of(search):
    """Recetas probadas con varias semillas: [(cambio, pruebas, mínimo, media, máximo)], en %."""
    groups = {}
    for row in search:
        recipe = re.sub(r" ?seed=\d+", "", row["opciones"])
        groups.setdefault(recipe, []).append(row)
    table = []
    for rows in groups.values():
        shares = [float(row["selección (%)"]) for row in rows]
        if len({row["semilla"] for row in rows}) > 1:
            mean = sum(shares) / len(shares)
            table.append((rows[0]["cambio"], len(rows), min(shares), mean, max(shares)))
    return table


def ablation(search):
    """Tabla Markdown de la primera etapa entera y quitándole una cosa cada vez."""
    whole, *others = [row for row in search if row["cambio"].startswith("primera etapa")]
    _, count, low, mean, high = seeds_of([whole, *others])[0]
    lines = [
        "| primera etapa | décimo y `valid` (%) | diferencia "
        f"| pérdida, semilla {whole['semilla']} |",
        "| --- | --- | --- | --- |",
        f"| entera, {count} semillas | {mean:.1f} (de {low:.1f} a {high:.1f}) | – "
        f"| {float(whole['pérdida']):.3f} |",
    ]
    for row in others:
        if row["semilla"] == whole["semilla"]:
            what, share = row["cambio"].split(", ", 1)[1], float(row["selección (%)"])
            loss = float(row["pérdida"])
            lines.append(f"| {what} | {share:.1f} | {share - mean:+.1f} | {loss:.3f} |")
    return "\n".join(lines)


def stages(model):
    """Tabla Markdown de cómo acaba cada etapa del modelo publicado, y su media de pesos."""
    history, end, total = pd.DataFrame(model["history"]), 0, model["valid"]["total"]
    means = {mean["epoch"]: mean for mean in model["valid"]["means"]}
    lines = [
        "| etapa | épocas | train, con su aumento (%) | `valid` | pérdida en `valid` | minutos |",
        "| --- | --- | --- | --- | --- | --- |",
    ]

    def add(what, epochs, train, row, minutes):
        right = f"{total * row['val_accuracy']:.0f}/{total}"
        lines.append(
            f"| {what} | {epochs} | {train} | {right} | {row['val_loss']:.3f} | {minutes} |"
        )

    for number, (epochs, *_) in enumerate(model["parameters"]["STAGES"], 1):
        rows, end = history[end : end + epochs], end + epochs
        last, minutes = rows.iloc[-1], f"{rows.seconds.sum() / 60:.0f}"
        add(number, epochs, f"{100 * last.accuracy:.1f}", last, minutes)
        if mean := means.get(end):
            share = f"{100 - 100 * mean['last_share']:.0f}"
            add(f"{number}, con un {share} % de la época {mean['best_epoch']}", *"––", mean, "–")
    return "\n".join(lines)


def seed_runs(runs):
    """Tabla Markdown de las dos últimas etapas con cada semilla, y la media de todas."""
    columns = "semilla", "`valid`", "pérdida", "daños", "escenas", "rechazadas", "`test`"
    columns += "sin casi copias", "minutos"
    epochs = sum(stage[0] for stage in runs[0]["parameters"]["STAGES"][-2:])
    rows = [
        [
            run["parameters"]["SEED"],
            run["valid"]["correct"],
            round(run["valid"]["means"][-1]["val_loss"], 3),
            run["damaged"],
            run["measures"]["fotos"]["one"]["best"],
            int(run["measures"]["confianza"]["negativos"]["rechazados"].split("/")[0]),
            run["test"]["correct"],
            run["test_clean"]["correct"],
            round(sum(run["history"]["seconds"][-epochs:]) / 60),
        ]
        for run in runs
    ]
    ends = [
        f"{np.mean(k):.{1 if max(k) > 1 else 3}f} (de {min(k)} a {max(k)})"
        for k in list(zip(*rows, strict=True))[1:]
    ]
    rows = [columns, ["---"] * len(columns), *sorted(rows), ["media", *ends]]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)


def tables(records):
    """Las dos tablas anteriores, para la celda «ablacion» del cuaderno de entrenamiento."""
    return ablation(records["search"]) + "\n\n" + stages(records["model"])


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
    env.globals |= {f.__name__: f for f in (confusions, ablation, stages, seed_runs)}
    env.globals["seeds"] = seeds_of(records["search"])
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
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    cell = next(cell for cell in notebook.cells if cell.id == "ablacion")
    cell.source = cell.source[: cell.source.index("|")] + tables(records)
    cu.write_atomic(NOTEBOOK, (nbformat.writes(notebook) + "\n").encode())


if __name__ == "__main__":
    main()
