"""Imágenes por segundo y memoria de `read_folder` con una carpeta de cartas dibujadas.

python benchmarks/carpeta.py [IMÁGENES]
"""

import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np  # noqa: E402

import card_reader as cr  # noqa: E402
import card_utils as cu  # noqa: E402
from demo_deck import CLASS_NAMES, STYLES, draw_card, photograph  # noqa: E402


def main(count=400):
    """Lee una cuarta parte de la carpeta y luego entera: la memoria no debe crecer."""
    model, metadata = cu.load_model()
    result = {}
    with tempfile.TemporaryDirectory() as scratch:
        for part, size in (("cuarta_parte", int(count) // 4), ("entera", int(count))):
            folder = Path(scratch, part)
            folder.mkdir()
            for i in range(size):  # cien cartas distintas, repetidas: dibujarlas es lo lento
                file = folder / f"{i:05d}.jpg"
                if i >= 100:
                    file.write_bytes((folder / f"{i % 100:05d}.jpg").read_bytes())
                    continue
                rng = np.random.default_rng(i)
                card = draw_card(CLASS_NAMES[i % 53], rng.choice(list(STYLES)), rng, 256)
                photograph(card, rng).save(file, quality=85)
            start = time.monotonic()
            cr.read_folder(folder, model, metadata, Path(scratch, f"{part}.csv"))
            seconds = time.monotonic() - start
            result[part] = {
                "imágenes": size,
                "imágenes_por_segundo": round(size / seconds, 1),
                "memoria_máxima_MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            }
    cu.add_measures(cu.PUBLISHED_MODEL, carpeta=result)
    print(json.dumps(result, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
