"""Lo que dicen README y reporte es lo que dicen los registros, y cabe en lo que alguien lee."""

import csv
import importlib
import json
import re

import numpy as np
import pytest
from conftest import PROJECT

import card_model as cm
import card_utils as cu
from card_names import card_name
from drawing.scenes import make_spread

README, REPORT = ((PROJECT / name).read_text("utf-8") for name in ("README.md", "Reporte_DL.md"))
OTHERS = REPORT[REPORT.index("## 7. Frente a otros") : REPORT.index("## 8.")]  # leído, no medido
OURS = README + REPORT.replace(OTHERS, "")


def pairs(record):
    """Las cifras (aciertos, total) de un registro JSON, a cualquier profundidad."""
    if isinstance(record, dict):
        if record.keys() >= {"correct", "total"}:
            yield record["correct"], record["total"]
        record = list(record.values())
    for part in record if isinstance(record, list) else []:
        yield from pairs(part)


@pytest.fixture(scope="module")
def metadata():
    published = cm.read_metadata(cu.PUBLISHED_MODEL)
    assert published.get("measures"), "models/ tiene otro modelo: git checkout models/"
    return published


def test_every_share_is_in_a_record_and_well_divided(metadata):
    study = json.loads((PROJECT / "benchmarks/estudio_2023.json").read_text("utf-8"))
    known = {*pairs(metadata), *pairs(study)}
    found = re.findall(r"(\d+)/(\d+) = ([\d.]+) %(?: \(([\d.]+) a ([\d.]+)\))?", OURS)
    assert len(found) > 20
    for correct, total, share, *ends in found:
        correct, total = int(correct), int(total)
        assert (correct, total) in known, f"{correct}/{total} no está en ningún registro"
        assert share == f"{100 * correct / total:.1f}"
        if any(ends):
            assert ends == [f"{100 * x:.1f}" for x in cu.wilson(correct, total)]


def test_the_figures_of_one_thing_are_those_of_its_record(metadata):
    """Aquí, cada rótulo con su cifra: que no baste con que el número exista."""
    m = metadata["measures"]
    lines = {
        "`test`, entero, una vez con este modelo": metadata["test"],
        "`valid`, con una mirada": metadata["one_look"]["valid"],
        "`test`, con una mirada": metadata["one_look"]["test"],
        "`valid`, con el que se eligió la receta": metadata["valid"],
        "`test` sin casi copias": metadata["test_clean"],
        "`valid`, viendo solo la esquina de la carta": m["stress"]["corners"],
        "imágenes de otras barajas": m["field"]["decks"],
        "cartas leídas en fotos de mesas": m["field"]["multi"]["recall"],
        "cartas leídas en fotos de manos": m["field"]["fan"]["recall"],
        "imágenes que no son cartas, rechazadas": m["no_cards"]["refused"],
    }
    for label, figure in lines.items():
        written = re.findall(rf"\| {re.escape(label)} \| (\d+)/(\d+) = ", OURS)
        assert written, label
        assert set(written) == {(str(figure["correct"]), str(figure["total"]))}, label
    for text in (
        f"{metadata['minutes']:.0f} minutos en dos núcleos",
        f"{metadata['memory_gb']} GB",
        f"es {100 * m['trust']['calibrated']['ece']:.1f} % con ella",
        f"ocupa {m['mobile']['int8']['bytes'] / 1e6:.2f} MB",
    ):
        assert text in OURS, text
    for number, phase in enumerate(metadata["parameters"]["PHASES"], 1):
        assert f"| {number} | {' | '.join(map(str, phase))} |" in REPORT


def test_what_despliegue_prints_is_in_the_record(metadata):
    """Salvo la puntuación de la baraja dibujada, que es de esa ejecución."""
    cells = json.loads((PROJECT / "Despliegue_DL.ipynb").read_text("utf-8"))["cells"]
    (source,) = [text for c in cells if "kinds |= " in (text := "".join(c["source"]))]
    asked = re.findall(r'\("(\w+)", "(\w+)"\):', source)
    assert len(asked) == 6 and all(key in metadata["measures"][part] for part, key in asked)
    outputs = [o for cell in cells for o in cell.get("outputs", []) if o.get("name") == "stdout"]
    lines = [line for o in outputs for line in "".join(o["text"]).splitlines()]
    lines = [line for line in lines if "baraja dibujada" not in line]
    told = re.findall(r"(\d+)/(\d+) = ", "\n".join(lines))
    assert len(told) >= 10 and {(int(k), int(n)) for k, n in told} <= {*pairs(metadata)}
    splits = {"valid": "valid", "test": "test", "test sin casi copias": "test_clean"}
    expected = [f"{name}: {cu.score(**metadata[key])}" for name, key in splits.items()]
    for name, key in (("mesas", "multi"), ("manos", "fan"), ("fotos sin cartas", "not_a_card")):
        clean = metadata["measures"]["field"][key]["clean"]
        expected.append(f"{name}: {clean['total']} fotos, {clean['correct']} sin un fallo")
    assert not [line for line in expected if line not in lines]


def test_errors_of_test_are_named_one_by_one(metadata):
    rows = [
        f"| `{e['file']}` | {card_name(e['truth'])} | {card_name(e['answer'])} |"
        for e in metadata["measures"]["trust"]["errors"]
    ]
    assert re.findall(r"(?m)^\| `test/.+?\|.+?\|.+?\|", REPORT) == rows


def test_ablation_rows_are_those_of_the_record():
    record = PROJECT / "benchmarks/ablacion_anterior.csv"
    rows = list(csv.DictReader(record.open(encoding="utf-8")))
    keys = ("receta", "valid", "esquinas", "otras barajas")
    short = [r for r in rows if sum(n for n, *_ in json.loads(r["fases"])) <= 10]
    told = [r for r in short if r["receta"].endswith("otra vez") or r["receta"][:3] == "160"]
    for row in told:  # de otra máquina: en el texto
        assert f"{row['valid']}, {row['esquinas']} y {row['otras barajas']}" in REPORT
    known = {f"| {' | '.join(row[key] for key in keys)} |" for row in short if row not in told}
    table = REPORT.split(f"| {' | '.join(keys)} |")[1].split("\n\n")[0]
    assert len(told) == 2 and set(table.split("\n")[2:]) == known


def test_the_hand_of_the_readme_is_the_one_that_the_notebook_draws():
    notebook = (PROJECT / "Despliegue_DL.ipynb").read_text("utf-8")
    assert "[SEED, 7]), 7, " in notebook and '"SEED = 0' in notebook
    hand = np.asarray(make_spread(np.random.default_rng([0, 7]), 7, "fan")[0], int)
    assert np.abs(cu.open_photo(PROJECT / "fotos/mano.jpg") - hand).mean() < 5


@pytest.mark.parametrize("script", sorted((PROJECT / "benchmarks").glob("*.py")))
def test_what_the_scripts_import_exists(script, monkeypatch):
    monkeypatch.syspath_prepend(script.parent)
    importlib.import_module(script.stem)


def test_they_are_short_enough_to_be_read():
    assert len(README.splitlines()) <= 90
    assert len(REPORT.split()) <= 3200
    figures = sorted(path.stem for path in (PROJECT / "reporte").iterdir())
    assert sorted(re.findall(r"!\[.+?\]\(reporte/(\w+)\.png\)", REPORT)) == figures
