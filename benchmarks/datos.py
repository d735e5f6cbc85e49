"""Describe los datos: cuántas imágenes, cómo son y cuánto se repiten. Ningún modelo interviene.

Uso: `python benchmarks/datos.py [DATA_DIR]`. Escribe `benchmarks/datos.json`.

Se repiten de tres maneras. Iguales: los mismos píxeles. Casi copias: dos imágenes de una clase
cuyas miniaturas en color de 64x64, tal cual o con media vuelta, se correlacionan más de 0.96; por
debajo empiezan a mezclarse cartas parecidas. Mismo dibujo: una imagen de valid o test que, alineada
antes con otra de train de su clase (Evangelidis y Psarakis, 2008), pasa de 0.98; ahí están,
además, las recortadas de otra manera.
"""

import hashlib
import os
import sys
import time
from collections import defaultdict
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parents[1]))

import cv2
import numpy as np

import card_utils as cu
from card_names import SPLITS

RECORD = Path(__file__).with_name("datos.json")
SIDE, NEAR, ALIGNED = 64, 0.96, 0.98


def unit(images):
    """Cada imagen [n, ...] como vector float32 [n, d] de media 0 y norma 1."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    flat = flat - flat.mean(1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)


def alike(thumbs):
    """Parejas (i, j, r, half) de miniaturas uint8 [n, 64, 64, 3] con correlación r > NEAR."""
    straight, found = unit(thumbs), []
    for half, other in ((False, straight), (True, unit(thumbs[:, ::-1, ::-1]))):
        r = np.triu(straight @ other.T, 1)
        found += [(i, j, float(r[i, j]), half) for i, j in np.argwhere(r > NEAR)]
    return found


def aligned(one, other):
    """Correlación de dos miniaturas tras alinear la segunda con una transformación afín, o 0."""
    warp, size = np.eye(2, 3, dtype=np.float32), (SIDE, SIDE)
    one, other = one.astype(np.float32), np.ascontiguousarray(other, np.float32)
    stop = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 40, 1e-4)
    try:
        gray = one.mean(-1), other.mean(-1)
        warp = cv2.findTransformECC(*gray, warp, cv2.MOTION_AFFINE, stop, None, 3)[1]
    except cv2.error:  # no converge: no se parecen
        return 0.0
    flags = cv2.INTER_LINEAR + cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(other, warp, size, flags=flags)
    shared = cv2.warpAffine(np.ones(size, np.float32), warp, size, flags=flags) > 0.99
    if shared.mean() < 0.7:
        return 0.0
    return float(np.prod(unit(np.stack([one[shared], moved[shared]])), 0).sum())


def drawn_in(train, others):
    """{i: (j, r)}: cuáles de otras miniaturas [m, 64, 64, 3] tienen su dibujo en train [n, ...]."""
    soft, soft_others = (
        unit(np.stack([cv2.GaussianBlur(x.mean(-1), None, 2)[::2, ::2] for x in thumbs]))
        for thumbs in (train, others)
    )
    found = {}
    for i, other in enumerate(others):
        for step in (1, -1):
            similar = soft @ soft_others[i, ::step]
            for j in np.argsort(-similar)[:6]:  # las seis más parecidas sin alinear
                if similar[j] > 0.8:
                    r = aligned(train[j], other[::step, ::step])
                    if r > max(ALIGNED, found.get(i, (0, 0))[1]):
                        found[i] = (j, r)
    return found


def main(data_dir=cu.DATA):
    """Lee todas las imágenes una vez y escribe lo que se ha contado."""
    began, names = time.monotonic(), cu.find_classes(data_dir)
    files, thumbs, sizes, equal = [], [], defaultdict(int), defaultdict(list)
    for split in SPLITS:
        for name, folder in cu.split_folders(data_dir, split).items():
            for file in cu.image_files(folder):
                image = cu.open_photo(file)
                files.append(f"{split}/{name}/{file.name}")
                thumbs.append(cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA))
                sizes["x".join(map(str, image.shape))] += 1
                equal[hashlib.sha256(image.tobytes()).hexdigest()].append(files[-1])
    thumbs, files = np.stack(thumbs), np.array(files)
    splits, classes = (np.array([file.split("/")[k] for file in files]) for k in (0, 1))
    near, drawn = [], []
    for name in names:
        mine, train = classes == name, splits == "train"
        near += [(*files[mine][[i, j]], r, half) for i, j, r, half in alike(thumbs[mine])]
        for i, (j, r) in drawn_in(thumbs[mine & train], thumbs[mine & ~train]).items():
            drawn.append([files[mine & ~train][i], files[mine & train][j], round(r, 3)])
    across = [p for p in near if p[0].split("/")[0] != p[1].split("/")[0]]
    result = {
        "counts": {
            split: {name: int(np.sum((splits == split) & (classes == name))) for name in names}
            for split in SPLITS
        },
        "sizes": sizes,
        "equal": [group for group in equal.values() if len(group) > 1],
        "near": {"limit": NEAR, "across": [[*p[:2], round(p[2], 3), p[3]] for p in across]},
        "drawn": {"limit": ALIGNED, "pairs": drawn},
        "minutes": round((time.monotonic() - began) / 60, 1),
        "environment": cu.environment(),
        "date": time.strftime("%Y-%m-%d"),
    }
    cu.write_atomic(RECORD, cu.as_json(result).encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
