"""Mide `card_photo` en escenas compuestas. Uso: `python -m benchmarks.fotos [primera] [cuántas]`.

Escribe `benchmarks/fotos.json` con las semillas de informe (0..199); se ajusta con las de 1000 en
adelante, que no lo tocan.
"""

import json
import sys
import time
from pathlib import Path

import cv2
import numpy as np

import card_utils as cu
from card_photo import area, find_cards, straighten
from demo_deck import make_scene


def overlap(one, other):
    """Intersección entre unión, 0..1, de dos cuadriláteros convexos [4, 2]."""
    one, other = np.float32(one), np.float32(other)
    shared = cv2.intersectConvexConvex(one, other)[0]
    return shared / (area(np.stack([one, other])).sum() - shared)


def measure(seeds, many):
    """Cifras de las escenas de una carta (con sus nombres) o, si `many`, de dos a cuatro."""
    model, metadata = cu.load_model()
    count = {"cards": 0, "found": 0, "extra": 0, "whole": 0, "best": 0}
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
            whole = np.asarray(scene.resize(cu.IMAGE_SHAPE[:2]))
            views = [whole, *(straighten(photo, corners) for corners in cards)]
            p = cu.predict(model, np.stack(views))
            answer = metadata["class_names"].index(truth[0][0])
            count["whole"] += int(p[0].argmax() == answer)
            count["best"] += int(p[p.max(1).argmax()].argmax() == answer)
    return {**count, "scenes": len(seeds), "ms": round(float(np.median(milliseconds)), 1)}


if __name__ == "__main__":
    first, total = (int(text) for text in (sys.argv[1:] + ["0", "200"][len(sys.argv) - 1 :])[:2])
    cv2.setNumThreads(1)
    figures = {k: measure(range(first, first + total), i) for i, k in enumerate(("one", "many"))}
    print(json.dumps(figures, indent=1))
    if (first, total) == (0, 200):
        Path(__file__).with_suffix(".json").write_text(json.dumps(figures, indent=1) + "\n")
