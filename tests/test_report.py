"""El reporte dice lo que dicen los registros, también cuando falta alguno o llega uno nuevo."""

import re

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
    records["model"]["measures"]["confianza"]["test"]["errores"] = errors
    times = {"minutos": 5, "minutos_2023": 20, "razón": 0.25, "PHASES": [[1, 128, 0]]}
    times |= {"meta_valid": 0.9245, "valid": 0.93, "imágenes_por_segundo_sin_red": {"128": 600}}
    times |= {"minutos_sin_red": 20}
    records["model"]["measures"]["tiempo"] = times
    records["ablation"] = [ROW]
    base = {"modelo": "x", "unidad": "%", "imágenes": "265", "máquina": "CPU"}
    records["stress"] = [
        {**base, "daño": kind, "grado": "5", "aciertos": "250"}
        for kind in ("baraja inventada", "ninguno", "ruido")
    ]
    text = reporte.render(records)
    assert "| `test/two of clubs/3.jpg` | dos de tréboles | dos de picas | 61.0 % |" in text
    assert "(92.45 %) en 5 minutos" in text and "una razón de 0.25" in text
    assert "En total, 500 aciertos de 530" in text
    assert "en 1 falla el rango y en 2 el palo" in text
    assert "pendiente de medir" not in text
    assert len(reporte.figures(records)) == 5


ROW = {"receta": "semilla 0", "minutos": "80", "valid": "260", "pérdida en valid": "0.05"}
ROW |= {"esquinas": "250", "otras barajas": "138", "no naipes": "25", "máquina": "CPU"}


def test_seeds_give_mean_and_range():
    text = reporte.table([ROW, {**ROW, "receta": "semilla 1", "valid": "262"}], means=True)
    assert "| semilla 0 | 80 | 260 | 0.05 | 250 | 138 | 25 |" in text
    assert "| media | 80 (de 80 a 80) | 261 (de 260 a 262) | 0.05 (de 0.05 a 0.05) |" in text
