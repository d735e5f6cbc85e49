"""Los dos cuadernos, ejecutados de verdad: sin red, con la baraja dibujada y un corte a mitad."""

import ast
import base64
import os
import re
import shutil
import subprocess
import sys
import time
from types import ModuleType, SimpleNamespace

import nbformat
import papermill
import pytest
from conftest import PROJECT

import card_model as cm
import card_reader as cr
import card_training as train
import card_trust as ct
import card_utils as cu

TRAINING, DEPLOYMENT = "Entrenamiento_DL.ipynb", "Despliegue_DL.ipynb"
NOTEBOOKS = [nbformat.read(PROJECT / name, as_version=4) for name in (TRAINING, DEPLOYMENT)]


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def stdout(notebook):
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    return "".join(o.text for o in outputs if o.output_type == "stream" and o.name == "stdout")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """Copia limpia del proyecto, como recién clonada."""
    folder = tmp_path_factory.mktemp("proyecto")
    for name in (TRAINING, DEPLOYMENT, *PROJECT.glob("*.py"), "data_faults.csv"):
        shutil.copy(PROJECT / name, folder)
    shutil.copy(PROJECT / "image1_joker.jpg", folder)
    shutil.copytree(PROJECT / "drawing", folder / "drawing")
    (folder / "models").mkdir()
    for suffix in (".h5", ".json"):
        shutil.copy(cu.PUBLISHED_MODEL.with_suffix(suffix), folder / "models")
    for weights in (cm.FINDER, cm.APART):
        shutil.copy(weights, folder / "models")
    return folder


def papermill_command(name, *parameters):
    """La orden del README, con otros parámetros."""
    arguments = [value for name, text in parameters for value in ("-y", f"{name}: {text}")]
    return [sys.executable, "-m", "papermill", name, f"salida-{name}", "--log-output", *arguments]


def test_training_survives_a_kill_and_deployment_follows(workspace):
    """Sin red: dibuja la baraja, muere tras la primera época, sigue, guarda y se despliega."""
    published = workspace / "models" / cu.PUBLISHED_MODEL.name
    before = published.read_bytes()
    phases = ("DEMO_PHASES", "[[2, 96, 0.2], [2, 128, 0.3]]")
    command = papermill_command(TRAINING, phases)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=workspace, **quiet) as first:
        while not list(workspace.glob("checkpoints/*/respaldo/training_metadata.json")):
            assert first.poll() is None, "el entrenamiento acabó antes de su primera época"
            time.sleep(0.2)
        subprocess.run(["pkill", "-9", "-P", str(first.pid)], check=True)  # muere el núcleo
    assert first.returncode != 0

    subprocess.run(command, cwd=workspace, check=True, capture_output=True)
    text = stdout(nbformat.read(workspace / f"salida-{TRAINING}", as_version=4))
    assert "Kaggle" in text and "Usamos la baraja dibujada" in text
    assert "red base de MobileNetV3_card_classifier.h5" in text
    # Sigue tras la primera, y cada época una vez: la segunda fase no empieza donde siguió la otra
    assert re.findall(r"Época +(\d)/4", text) == ["2", "3", "4"] and "4 épocas en" in text
    assert len(list(workspace.glob("checkpoints/*/historia.csv"))) == 1
    assert not list(workspace.glob("checkpoints/*/respaldo"))
    assert published.read_bytes() == before
    metadata = cm.load_model(workspace / "models" / cu.DEMO_MODEL.name)[1]
    assert metadata["test"]["total"] == 265 and metadata["test"]["correct"] > 200
    assert metadata["parameters"]["PHASES"] == [[2, 96, 0.2], [2, 128, 0.3]]

    (workspace / "rota.jpg").write_text("no es una foto")
    papermill.execute_notebook(
        workspace / DEPLOYMENT,
        workspace / f"salida-{DEPLOYMENT}",
        {"PHOTOS": ["image1_joker.jpg", "rota.jpg", "nada.png"]},
        cwd=workspace,
        progress_bar=False,
    )
    result = nbformat.read(workspace / f"salida-{DEPLOYMENT}", as_version=4)
    text = stdout(result)
    correct, total = re.search(r"test \(baraja dibujada\): (\d+)/(\d+)", text).groups()
    assert int(correct) >= 0.95 * int(total) and total == "265"
    assert "ya dividida entre 255" in text
    assert "No se puede leer rota.jpg" in text and "No existe el fichero nada.png" in text
    plots = sum("image/png" in o.get("data", {}) for c in code_cells(result) for o in c.outputs)
    # Cuatro muestras, dónde mira, el comodín, las escenas, la fiabilidad y la foto propia
    assert plots == 9


def test_own_classes_train_without_drawings(tiny_deck, tmp_path, monkeypatch, capsys):
    """Dos clases propias, sin dibujos y sin pesos de partida; las celdas, en este proceso."""
    for split in ("train", "valid", "test"):
        for name in ("joker", "ace of spades"):
            shutil.copytree(tiny_deck / split / name, tmp_path / "datos" / split / f"mi {name}")
    for name in ("card_utils.py", "image1_joker.jpg"):
        shutil.copy(PROJECT / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, "plot_row", lambda images: None)
    given = {"DRAWN": 0, "CANDIDATES": 0, "NO_CARDS": 0, "WEIGHTS": None, "PHASES": [[2, 96, 0.1]]}
    given |= {"BATCH": 2, "DATA_DIR": "datos", "MODEL_PATH": "models/propias.h5"}
    space = {}
    for cell in code_cells(NOTEBOOKS[0]):
        exec(cell.source, space)
        space.update(given if "parameters" in cell.metadata.get("tags", []) else {})
    text = capsys.readouterr().out
    assert "4 imágenes de 96 px" in text and "2 épocas en" in text
    metadata = cm.load_model("models/propias.h5")[1]
    assert len(metadata["class_names"]) == 2 and "corner" not in metadata["trust"]


def test_published_model_has_the_parameters_of_the_notebook(published):
    """El cuaderno trae los parámetros con que se entrenó el modelo publicado."""
    known = papermill.inspect_notebook(str(PROJECT / TRAINING))
    default = {key: ast.literal_eval(value["default"]) for key, value in known.items()}
    assert len(default) <= 13
    for key, value in published[1]["parameters"].items():
        if key != "WEIGHTS":  # de una ruta, o los que descarga Keras
            assert value == default[key], key
    assert len(published[1]["history"]["epoch"]) == sum(n for n, *_ in default["PHASES"])


def test_committed_training_is_the_run_of_the_published_model(published):
    """Lo que se ve en el cuaderno: todas las épocas, una vez y en orden, y las cifras del JSON."""
    history, text = published[1]["history"], stdout(NOTEBOOKS[0])
    lines = re.findall(r"Época +(\d+)/(\d+) · pérdida ([\d.]+)", text)
    total = len(history["loss"])
    assert [line[:2] for line in lines] == [(str(n + 1), str(total)) for n in range(total)]
    assert [float(line[2]) for line in lines] == pytest.approx(history["loss"], abs=1e-3)
    for name, split in (
        ("valid", "valid"),
        ("test", "test"),
        ("test sin casi copias", "test_clean"),
    ):
        assert f"\n{name}: {cu.score(**published[1][split])}" in "\n" + text
    for split, figure in published[1]["one_look"].items():
        assert f"\n{split}, con una mirada: {cu.score(**figure)}" in text


def test_no_picture_of_kaggle_is_shown():
    """El cuaderno enseña lo dibujado; `draw_others` lleva trozos de sus figuras."""
    text = "\n".join(cell.source for cell in code_cells(NOTEBOOKS[0]))
    shown = re.findall(r"plot_row\(.*", text)
    assert len(shown) == 4 and not re.search(r"draw_others|files|_images", "\n".join(shown))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=[TRAINING, DEPLOYMENT])
def test_committed_outputs_are_clean(notebook):
    cells = code_cells(notebook)
    for output in [output for cell in cells for output in cell.outputs]:
        assert output.output_type != "error" and len(str(output)) < 200_000
        assert not re.search(r"/(home|root|work|tmp|content)/|\x1b|\r|\x08", str(output))
        assert not re.search("WARNING:|jupyter.widget", str(output)[:400])
    assert sum("parameters" in cell.metadata.get("tags", []) for cell in cells) == 1
    lengths = sorted(len(cell.source.splitlines()) for cell in cells)
    assert lengths[-1] <= 20
    assert lengths[len(lengths) // 2] <= 6 and lengths[9 * len(lengths) // 10] <= 12


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=[TRAINING, DEPLOYMENT])
def test_parameters_are_flat_and_each_has_its_reason(notebook):
    (cell,) = [c for c in code_cells(notebook) if "parameters" in c.metadata.get("tags", [])]
    for line in cell.source.splitlines():
        assert re.fullmatch(r"[A-Z_]+ = .+?  # .+", line), line


class TestColab:
    """La primera celda, con un `google.colab` de pega."""

    @pytest.fixture(autouse=True)
    def colab(self, monkeypatch, tmp_path):
        monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
        monkeypatch.chdir(tmp_path)

    @staticmethod
    def set_up(notebook, repo_url=""):
        source = code_cells(notebook)[0].source
        assert 'REPO_URL = ""  # @param {type:"string"}' in source
        exec(source.replace('REPO_URL = ""', f'REPO_URL = "{repo_url}"'), {})

    @pytest.mark.parametrize("notebook", NOTEBOOKS)
    def test_alone_it_says_what_to_upload(self, notebook):
        with pytest.raises(FileNotFoundError, match=r"--cwd.*escribe en REPO_URL"):
            self.set_up(notebook)

    @pytest.mark.parametrize("notebook", NOTEBOOKS)
    def test_clones_once_and_twice_is_harmless(self, notebook, tmp_path):
        origin = tmp_path / "origen"
        origin.mkdir()
        (origin / "card_utils.py").write_text("")
        for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "uno"]):
            identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
            subprocess.run(["git", *identity, *command], cwd=origin, check=True)
        for _ in range(2):
            self.set_up(notebook, origin.as_uri())
            assert os.getcwd() == str(tmp_path / "naipes") and os.path.exists("card_utils.py")

    def test_wrong_address_says_what_to_do(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="escribe en REPO_URL"):
            self.set_up(NOTEBOOKS[0], (tmp_path / "no hay").as_uri())

    def test_upload_and_camera_go_to_the_same_function(self, monkeypatch, published, capsys):
        shutil.copy(PROJECT / "image1_joker.jpg", "subida.jpg")
        photo = base64.b64encode((PROJECT / "image1_joker.jpg").read_bytes()).decode()
        output = SimpleNamespace(eval_js=lambda script: f"data:image/jpeg;base64,{photo}")
        monkeypatch.setitem(sys.modules, "google.colab.output", output)
        colab = sys.modules["google.colab"]
        colab.files = SimpleNamespace(upload=lambda: {"subida.jpg": b"..."})
        drawn = []
        monkeypatch.setattr(ct, "plot_readings", lambda image, readings: drawn.append(readings))
        source = "\n".join(cell.source for cell in code_cells(NOTEBOOKS[1])[-2:])
        exec(
            source,
            {
                **{"PHOTOS": "nada.jpg", "UPLOAD": True, "CAMERA": True, "sys": sys},
                **{"cu": cu, "cr": cr, "ct": ct, "model": published[0], "metadata": published[1]},
            },
        )
        assert "No existe el fichero nada.jpg" in capsys.readouterr().out
        assert [reading.card for (reading,) in drawn] == ["joker", "joker"]
        assert sorted(os.listdir()) == ["camara.jpg", "subida.jpg"]


def test_readme_keeps_its_promises():
    readme = (PROJECT / "README.md").read_text("utf-8")
    for command in (PROJECT / ".ci/run").read_text("utf-8").strip().splitlines()[-2:]:
        assert command in readme
    block = readme.split("```bash")[1].split("```")[0]
    photos = re.findall(r"\S+\.jpg", block)
    assert len(photos) == 2 and all((PROJECT / photo).is_file() for photo in photos)
    (folder,) = re.findall(r'read_folder\(model, metadata, "(\w+)"', readme)
    assert list((PROJECT / folder).glob("*.jpg"))
    images = [
        o.data.get("image/png") for c in code_cells(NOTEBOOKS[1]) for o in c.outputs if "data" in o
    ]
    assert (PROJECT / "ejemplo.png").read_bytes() in [base64.b64decode(x) for x in images if x]
