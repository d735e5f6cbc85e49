"""Ejecuta un cuaderno entero y guarda en él sus salidas; los valores por defecto no cambian.

python benchmarks/publish.py Entrenamiento_DL.ipynb DATA_DIR=ruta WEIGHTS=ruta/a/los/pesos.h5
"""

import base64
import io
import logging
import sys
from pathlib import Path

import nbformat
import papermill
import yaml  # lo trae papermill
from PIL import Image

LIMIT = 190_000  # bytes de un gráfico dentro del cuaderno


def publish(path, parameters):
    """Ejecuta `path` de arriba abajo y lo sustituye por su versión con salidas.

    Args:
        path: cuaderno con una celda `parameters`.
        parameters: dict con los parámetros que cambian solo en esta ejecución.

    Raises:
        ValueError: el cuaderno no tiene alguno de esos parámetros.
        papermill.PapermillExecutionError: falla una celda; el cuaderno no se toca.
    """
    logging.basicConfig(level="INFO", format="%(message)s")
    path = Path(path)
    if unknown := parameters.keys() - papermill.inspect_notebook(path).keys():
        raise ValueError(f"{path} no tiene los parámetros {sorted(unknown)}.")
    new = path.with_suffix(".new.ipynb")
    papermill.execute_notebook(path, new, parameters, progress_bar=False, log_output=True)
    notebook = clean(nbformat.read(new, as_version=4))
    nbformat.write(notebook, new)
    new.replace(path)


def clean(notebook):
    """Quita de un cuaderno ejecutado lo que papermill y TensorFlow añaden; lo devuelve."""

    def tags(cell):
        return cell.metadata.get("tags", [])

    # La celda inyectada desaparece: quien abra el cuaderno parte de los valores por defecto
    notebook.cells = [c for c in notebook.cells if "injected-parameters" not in tags(c)]
    notebook.metadata.pop("papermill", None)
    notebook.metadata.pop("widgets", None)
    code_cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code_cells, start=1):
        cell.execution_count = number
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = number
            if len(output.get("data", {}).get("image/png", "")) > LIMIT:
                output.data["image/png"] = with_palette(output.data["image/png"])
        # TensorFlow escribe en stderr al importarse; la línea de avance no se ve sin un núcleo
        kept = [output for output in cell.outputs if output.get("name") != "stderr"]
        cell.outputs = [o for o in kept if "vnd.jupyter.widget" not in " ".join(o.get("data", ()))]
    for cell in notebook.cells:
        cell.metadata = {"tags": tags(cell)} if tags(cell) else {}
    return notebook


def with_palette(png):
    """El mismo PNG (en base64) con una paleta: 256 colores o, si no cabe en `LIMIT`, menos."""
    image = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    for colors in (256, 128, 64, 32):
        small = io.BytesIO()
        image.quantize(colors, dither=Image.Dither.NONE).save(small, "PNG")
        png = base64.b64encode(small.getvalue()).decode()
        if len(png) < LIMIT:
            break
    return png


if __name__ == "__main__":
    given = (text.split("=", 1) for text in sys.argv[2:])
    publish(sys.argv[1], {name: yaml.safe_load(value) for name, value in given})
