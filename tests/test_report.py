"""El reporte dice lo que dicen los registros, también cuando falta alguno o llega uno nuevo."""

import re

import nbformat
import pytest
from conftest import PROJECT

from benchmarks import reporte

REPORT = (PROJECT / "Reporte_DL.md").read_text("utf-8")
HISTORY = {"epoch": [0, 1], "accuracy": [0.5, 0.9], "val_accuracy": [0.1, 0.8]}
HISTORY |= {"val_loss": [2.5, 0.75], "seconds": [100, 80]}


@pytest.fixture()
def records():
    """Los registros del repositorio, leídos de nuevo para poder cambiarlos."""
    return reporte.load_records()


def test_report_matches_the_records(records):
    """Un número cambiado a mano en el texto, o una medida nueva sin rehacerlo, falla."""
    assert reporte.render(records) == REPORT, "Ejecuta `python benchmarks/reporte.py`."
    cells = nbformat.read(reporte.NOTEBOOK, as_version=4).cells
    (cell,) = (cell for cell in cells if cell.id == "ablacion")
    assert cell.source.endswith(reporte.tables(records)), "Ejecuta `python benchmarks/reporte.py`."


def test_figures_match_the_records(records):
    """Cada figura se hizo con los datos de ahora, se enlaza una vez y pesa poco."""
    wanted = reporte.figures(records)
    assert {path.stem for path in reporte.FOLDER.glob("*.png")} == set(wanted)
    assert sorted(re.findall(r"!\[.+?\]\(reporte/(\w+)\.png\)", REPORT)) == sorted(wanted)
    for name, (_, data) in wanted.items():
        path = reporte.FOLDER / f"{name}.png"
        assert reporte.mark_in(path) == reporte.mark(data), f"{name}: rehaz el reporte"
        assert path.stat().st_size < 150_000, name


def test_length_is_four_to_seven_pages():
    """Páginas de 450 palabras de prosa, sin tablas, figuras ni títulos."""
    prose = [line for line in REPORT.splitlines() if not re.match(r"[|#!]", line)]
    assert 4 <= len(" ".join(prose).split()) / 450 <= 7


def test_a_changed_figure_changes_the_text(records):
    """Las cifras vienen de los registros: con otro acierto, el texto es otro."""
    records["model"]["test"]["correct"] -= 1
    text = reporte.render(records)
    assert f"{records['model']['test']['correct']}/265 = " in text and text != REPORT


def test_pending_records_fill_their_places(records):
    """Con todos los registros no queda nada pendiente, y cada error sale en su fila."""
    run = {key: records["model"][key] for key in ("valid", "test", "minutes", "environment")}
    names = "inicial|20 épocas|todos los pasos|otra Dense64|inicial, inercia 0.98".split("|")
    records["study"] = {name: {**run, "history": HISTORY} for name in names}
    errors = [
        ("test/joker/1.jpg", "joker", "king of hearts", 0.7),
        ("test/two of clubs/3.jpg", "two of clubs", "two of spades", 0.61),
    ]
    keys = ("file", "truth", "answer", "confidence")
    errors = [dict(zip(keys, error, strict=True)) for error in errors]
    records["model"]["history"] = HISTORY
    records["model"]["parameters"]["STAGES"] = [[2, 16, 0, 0, 0, 1e-3]]
    mean = {"epoch": 2, "best_epoch": 1, "last_share": 0.75}
    mean |= {"val_accuracy": 0.9, "val_loss": 0.25}
    records["model"]["valid"]["means"] = [mean]
    records["model"]["measures"]["confianza"]["test"]["errores"] = errors
    times = {"minutos_hasta_la_meta": 5, "minutos_2023": 20, "razón": 0.25}
    times |= {"meta_valid": 0.9245, "mejor_valid_2023": 0.6, "parte_de_los_datos": 0.1}
    records["model"]["measures"]["tiempo"] = times
    base = {"modelo": "x", "unidad": "%", "imágenes": "265", "máquina": "CPU"}
    records["stress"] = [
        {**base, "daño": kind, "grado": "5", "aciertos": "250"} for kind in ("ninguno", "ruido")
    ]
    text = reporte.render(records)
    assert "| `test/two of clubs/3.jpg` | dos de tréboles | dos de picas | 61.0 % |" in text
    assert "| 1 | 2 | 90.0 | 212/265 | 0.750 | 3 |" in text
    assert "| 1, con un 25 % de la época 1 | – | – | 238/265 | 0.250 | – |" in text
    assert "(92.45 %) en 5 minutos" in text and "una razón de 0.25" in text
    assert "en 1 falla el rango y en 2 el palo" in text
    assert "pendiente de medir" not in text.replace("con la semilla: *pendiente de medir*", "")
    assert len(reporte.figures(records)) == 5


def test_ablation_compares_with_the_mean_of_the_seeds():
    """Las filas sin más opción que la semilla son la base; las demás, diferencias."""
    row = {"cambio": "primera etapa: 3 épocas", "opciones": "", "pérdida": "0.4", "semilla": "0"}
    row["selección (%)"] = "90"
    other = {**row, "opciones": "seed=1", "semilla": "1", "selección (%)": "92"}
    worse = {**row, "cambio": "primera etapa, sin algo", "opciones": "a=0", "selección (%)": "81"}
    text = reporte.ablation([row, {**row, "cambio": "otra cosa"}, worse, other])
    assert "| entera, 2 semillas | 91.0 (de 90.0 a 92.0) | – | 0.400 |" in text
    assert "| sin algo | 81.0 | -10.0 | 0.400 |" in text and len(text.splitlines()) == 4


def test_seeds_are_grouped_by_recipe():
    """Las filas que solo cambian de semilla dan mínimo, media y máximo."""
    row = {"cambio": "a", "opciones": "decay=0", "semilla": "0", "selección (%)": "90"}
    other = {**row, "opciones": "decay=0 seed=1", "semilla": "1", "selección (%)": "92"}
    alone = {**row, "opciones": "decay=1"}
    assert reporte.seeds_of([row, other, alone]) == [("a", 2, 90, 91, 92)]


def test_seed_runs_give_mean_and_range(records):
    """Una fila por semilla de las dos últimas etapas, y entre qué valores queda la media."""
    model, *others = records["runs"]
    for run in others:
        same = {key: model["parameters"][key] for key in ("WEIGHTS", "STAGES", "SEED")}
        assert {**run["parameters"], **same} == model["parameters"]
        assert run["parameters"]["STAGES"][-2:] == same["STAGES"][-2:]
        assert run["damaged"], "Ejecuta `python benchmarks/estres.py` con su .h5."
        assert run["valid"]["correct"] <= model["valid"]["correct"], "Ese es el que se publica."
    run = {"valid": {"correct": 261, "means": [{"val_loss": 0.036}]}, "test": {"correct": 263}}
    run |= {"test_clean": {"correct": 253}, "damaged": 10123}
    stages = {"STAGES": [[9, 16, 0, 0, 0, 1e-3]] * 2 + [[1, 32, 0, 0, 0, 1e-3]] * 2}
    run["history"] = {"seconds": [1000, 60, 120]}
    run["measures"] = {"fotos": {"one": {"best": 199}}}
    run["measures"]["confianza"] = {"negativos": {"rechazados": "541/550 = 98.4 %"}}
    other = {**run, "test": {"correct": 260}, "parameters": {"SEED": 0, **stages}}
    text = reporte.seed_runs([{**run, "parameters": {"SEED": 1, **stages}}, other])
    row_0, row_1, mean = text.splitlines()[2:]
    assert row_0 == "| 0 | 261 | 0.036 | 10123 | 199 | 541 | 260 | 253 | 3 |"
    assert row_1.startswith("| 1 |")
    assert "| 261.5 (de 260 a 263) |" in mean and "| 0.036 (de 0.036 a 0.036) |" in mean
