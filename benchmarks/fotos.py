"""Mide `card_photo` en escenas compuestas, de una carta y de dos a cuatro.

python benchmarks/fotos.py [primera semilla] [cuántas] [modelo]

Las semillas 0..199 son las de informe, y van al JSON del modelo; se ajusta con las de 1000 en
adelante, que no lo tocan.
"""

import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parents[1]))

import cv2  # noqa: E402
import numpy as np  # noqa: E402

import card_reader as cr  # noqa: E402
import card_utils as cu  # noqa: E402
from card_photo import area, find_cards  # noqa: E402
from scenes import make_scene  # noqa: E402


def overlap(one, other):
    """Intersección entre unión, 0..1, de dos cuadriláteros convexos [4, 2]."""
    one, other = np.float32(one), np.float32(other)
    shared = cv2.intersectConvexConvex(one, other)[0]
    return shared / (area(np.stack([one, other])).sum() - shared)


def measure(path, seeds, many):
    """Cifras de las escenas de una carta (con sus nombres) o, si `many`, de dos a cuatro."""
    model, metadata = cu.load_model(path)
    count = {"cards": 0, "found": 0, "extra": 0}
    count |= {} if many else {"whole": 0, "best": 0}  # nombrarlas, solo con una carta
    milliseconds = []
    for seed in seeds:
        scene, truth = make_scene(np.random.default_rng([seed, many]), 2 + seed % 3 if many else 1)
        photo = np.asarray(scene)
        start = time.process_time()
        cards = find_cards(photo)
        milliseconds.append(1000 * (time.process_time() - start))
        found = [any(overlap(card, corners) > 0.8 for card in cards) for _, corners in truth]
        count["cards"] += len(truth)
        count["found"] += sum(found)
        count["extra"] += len(cards) - sum(found)
        if not many:
            for name, find in (("whole", False), ("best", True)):
                reading = cr.read_cards(photo, model, metadata, find)[0]
                count[name] += int(reading.card == truth[0][0])
    return {**count, "scenes": len(seeds), "ms": round(float(np.median(milliseconds)), 1)}


def main(first=0, total=200, path=cu.PUBLISHED_MODEL):
    """Mide, lo muestra y, si son las escenas de informe, lo apunta en el JSON del modelo."""
    seeds = range(int(first), int(first) + int(total))
    cv2.setNumThreads(1)
    figures = {k: measure(path, seeds, i) for i, k in enumerate(("one", "many"))}
    print(json.dumps(figures, indent=1))
    if seeds == range(200):
        cu.add_measures(path, fotos=figures)


if __name__ == "__main__":
    main(*sys.argv[1:])
