#!/usr/bin/env bash
# Ejecuta los dos cuadernos, acortados, con la baraja dibujada y las versiones de Colab (tests/colab.txt)
set -euo pipefail
cd "$(dirname "$0")/.."
python=""
for candidate in python3.13 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13*/bin/python3; do
  if "$candidate" -c "" 2>/dev/null; then python=$candidate && break; fi
done
if [ -z "$python" ]; then
  echo "AVISO: no hay Python 3.13 en esta máquina; usamos $(python3 --version) con las versiones de Colab."
  python=python3
fi
"$python" -m venv .venv-colab
.venv-colab/bin/pip install -q -r tests/colab.txt papermill
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r ./*.py drawing ./*.ipynb data_faults.csv image1_joker.jpg models "$copy"
cd "$copy"
papermill="$OLDPWD/.venv-colab/bin/python -m papermill --no-progress-bar -k python3"
export https_proxy=http://127.0.0.1:9 http_proxy=http://127.0.0.1:9 # sin red, como en las pruebas
$papermill Entrenamiento_DL.ipynb salida-1.ipynb -y "DEMO_PHASES: [[1, 128, 0.3], [1, 160, 0.3]]"
$papermill Despliegue_DL.ipynb salida-2.ipynb
echo "Los dos cuadernos corren con las versiones de Colab: $("$OLDPWD/.venv-colab/bin/python" --version)."
