"""Qué aguanta un modelo: `valid` girado, lejos, mal iluminado, borroso, tapado..., en tres grados.

Y, aparte, cuántas cartas acierta de barajas inventadas que no ha visto.

Uso: `python benchmarks/estres.py [modelo.h5] [datos]`. Escribe en `benchmarks/estres.csv` una fila
por daño y grado, con la huella del modelo, si es el publicado. `test` no se lee.
"""

import csv
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parents[1]))

import cv2
import numpy as np

import card_utils as cu
from free_deck import draw_free_cards

SEED = 7  # la de entrenar es otra: ninguna carta inventada se repite
INVENTED = "baraja inventada"
SIDE = cu.IMAGE_SHAPE[0]
RECORD = Path(__file__).with_name("estres.csv")
# Daño: (unidad, tres grados de menos a más)
STRESSES = {
    "giro": ("grados", (15, 45, 90)),
    "inclinación": ("% del lado", (10, 20, 30)),
    "lejos": ("% del lado", (75, 55, 40)),
    "corrida": ("% del lado", (5, 10, 15)),
    "oscura": ("% de la luz", (70, 45, 25)),
    "quemada": ("% de la luz", (130, 160, 200)),
    "sombra": ("% de la luz", (60, 40, 20)),
    "tono": ("% por canal", (15, 30, 45)),
    "sin color": ("% del color", (50, 20, 0)),
    "desenfoque": ("sigma en px", (1.0, 1.8, 2.6)),
    "ruido": ("sigma en niveles", (12, 25, 50)),
    "JPEG": ("calidad", (30, 15, 8)),
    "tapada": ("% del área", (5, 10, 20)),
}


def on_table(image, corners, rng):
    """La carta llevada a otras cuatro esquinas ([4, 2] en 0..1, desde arriba a la izquierda)."""
    stains = rng.uniform(40, 200, 3) + rng.uniform(-30, 30, (5, 5, 3))
    table = cv2.resize(stains.clip(0, 255), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    ends = np.float32([[0, 0], [1, 0], [1, 1], [0, 1]]) * SIDE
    warp = cv2.getPerspectiveTransform(ends, np.float32(corners) * SIDE)
    moved, here = (
        cv2.warpPerspective(x, warp, (SIDE, SIDE), flags=cv2.INTER_AREA)
        for x in (image.astype(np.float32), np.ones_like(image, np.float32))
    )
    return moved + (1 - here) * table


def damage(image, kind, degree, rng):
    """Una imagen con un daño.

    Args:
        image: uint8 [224, 224, 3] en 0..255.
        kind: clave de STRESSES.
        degree: grado, en la unidad que da STRESSES.
        rng: `numpy.random.Generator`, de donde salen sentidos, lugares y fondos.

    Returns:
        uint8 [224, 224, 3].
    """
    x, share, side = image.astype(np.float32), degree / 100, rng.choice([-1, 1])
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2
    if kind == "giro":  # encogida lo justo para que quepa entera
        angle = np.deg2rad(side * degree)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        x = on_table(x, square @ turn / np.abs(turn[0]).sum() + 0.5, rng)
    elif kind == "inclinación":
        x = on_table(
            x, square * (1 - share / 2) + rng.uniform(-share, share, (4, 2)) / 4 + 0.5, rng
        )
    elif kind == "lejos":  # sin el aplastado a un cuadrado: 5 de ancho por 7 de alto
        away = rng.uniform(-0.5, 0.5, 2) * (1 - share)
        x = on_table(x, square * [share * 5 / 7, share] + 0.5 + away, rng)
    elif kind == "corrida":
        x = on_table(x, square + 0.5 + share * rng.choice([-1, 1], 2), rng)
    elif kind in ("oscura", "quemada"):
        x *= share
    elif kind == "sombra":
        line = np.linspace(1, share, SIDE)[::side]
        x *= line[:, None, None] if rng.random() < 0.5 else line[:, None]
    elif kind == "tono":
        x *= 1 + share * rng.permutation([-1, rng.choice([-1, 1]), 1])
    elif kind == "sin color":
        gray = x.mean(-1, keepdims=True)
        x = gray + share * (x - gray)
    elif kind == "desenfoque":
        x = cv2.GaussianBlur(x, None, degree)
    elif kind == "ruido":
        x += rng.normal(0, degree, x.shape)
    elif kind == "JPEG":
        _, code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, degree])
        x = cv2.imdecode(code, cv2.IMREAD_COLOR)
    elif kind == "tapada":
        length = int(SIDE * share**0.5)
        top, left = rng.integers(0, SIDE - length, 2)
        x[top : top + length, left : left + length] = rng.uniform(0, 255, 3)
    return np.clip(x, 0, 255).astype(np.uint8)


def main(path=cu.PUBLISHED_MODEL, data="../shared/card-data"):
    """Puntúa un modelo con cada daño y apunta las filas."""
    model, metadata = cu.load_model(path)
    images, labels, _ = cu.load_split(data, "valid", metadata["class_names"])
    mark, device = metadata["sha256"][:8], cu.environment()["device"]
    rows = []

    def score(kind, degree, unit, images, labels):
        correct = int(np.sum(cu.predict(model, images).argmax(1) == labels))
        row = {"modelo": mark, "daño": kind, "grado": degree, "unidad": unit}
        rows.append({**row, "aciertos": correct, "imágenes": len(labels), "máquina": device})
        print(f"{kind:12} {degree:5} {unit:16} {cu.score(correct, len(labels))}", flush=True)

    score(INVENTED, 0, "", *draw_free_cards(10, SEED))
    for kind, (unit, degrees) in {"ninguno": ("", (0,)), **STRESSES}.items():
        for degree in degrees:
            rng = np.random.default_rng(SEED)
            hurt = np.stack([damage(image, kind, degree, rng) for image in images])
            score(kind, degree, unit, hurt, labels)
    print(sum(row["aciertos"] for row in rows[1:]), "de", sum(row["imágenes"] for row in rows[1:]))
    if Path(path) != cu.PUBLISHED_MODEL:
        return
    with RECORD.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
