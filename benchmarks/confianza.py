"""Ajusta la confianza con valid, la escribe en el JSON del modelo y la mide en test.

python benchmarks/confianza.py [DATA_DIR] [MODELO]

Las medidas de rechazo se comparan con valid y los negativos de la semilla de elegir; las cifras
son de test y de los negativos de la semilla de informar, con fotos que la otra no usa. Todo va
al JSON del modelo, en "trust" y en "measures".
"""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np  # noqa: E402
from negativos import make_negatives  # noqa: E402

import card_reader as cr  # noqa: E402
import card_trust as ct  # noqa: E402
import card_utils as cu  # noqa: E402
from demo_deck import CLASS_NAMES, STYLES, draw_card, photograph  # noqa: E402

TUNING, REPORTING = 1, 2


def auroc(cards, others):
    """Probabilidad de que una carta puntúe más que un negativo (Mann-Whitney)."""
    return float(np.mean(cards[:, None] > others) + np.mean(cards[:, None] == others) / 2)


def perfect_ece(confidence, draws=1000):
    """El ECE que daría el azar si cada seguridad fuera exacta: media y percentil 95."""
    rng, confidence = np.random.default_rng(0), np.asarray(confidence)
    hits = rng.random((draws, len(confidence))) < confidence
    found = [ct.reliability(confidence, row)["ece"] for row in hits]
    return {"media": float(np.mean(found)), "percentil_95": float(np.quantile(found, 0.95))}


def candidates(logits, features, head):
    """Medidas de rechazo que no guardan nada aparte del modelo; mayor, más carta."""
    return {
        "max_logit": logits.max(1),
        "energy": ct.energy(logits),
        "max_softmax": np.exp(ct.log_softmax(logits)).max(1),
        "feature_norm": np.linalg.norm(features, axis=1),
        "cosine_to_weights": (features @ head / np.linalg.norm(head, axis=0)).max(1)
        / np.linalg.norm(features, axis=1).clip(1e-9),
    }


def cross_validated_sets(logits, labels, folds=5):
    """Cobertura y tamaño medio de LAC y APS (Romano et al. 2020, sin azar), en valid."""
    order, found = np.random.default_rng(0).permutation(len(labels)), {"LAC": [], "APS": []}
    for held in np.array_split(order, folds):
        rest = np.setdiff1d(order, held)
        p = np.exp(ct.log_softmax(logits, ct.fit_temperature(logits[rest], labels[rest])))
        ranked = -np.sort(-p, 1)
        mass = np.take_along_axis(np.cumsum(ranked, 1), np.argsort(np.argsort(-p)), 1)
        for name, scores in (("LAC", 1 - p), ("APS", mass)):
            limit = ct.conformal_threshold(scores[rest, labels[rest]])
            inside = (scores[held] <= limit) | (p[held] == p[held].max(1, keepdims=True))
            found[name] += zip(inside[range(len(held)), labels[held]], inside.sum(1), strict=True)
    return {
        name: dict(zip(("coverage", "size"), np.mean(v, 0), strict=True))
        for name, v in found.items()
    }


def main(data_dir="../shared/card-data", path=cu.PUBLISHED_MODEL):
    """Ajusta, escribe "trust" en el JSON del modelo y guarda confianza.json."""
    model, metadata = cu.load_model(path)
    names, head = metadata["class_names"], model.layers[-1].get_weights()[0]
    images, labels, _ = cu.load_split(data_dir, "valid", names)
    valid, valid_features = ct.predict_logits(model, images)
    trust = ct.fit_trust(model, images, labels)
    metadata["trust"] = trust  # lo demás, también el sha256, queda como estaba
    text = json.dumps(metadata, indent=1, ensure_ascii=False) + "\n"
    cu.write_atomic(Path(path).with_suffix(".json"), text.encode())

    correct = valid.argmax(1) == labels
    cards = candidates(valid, valid_features, head)
    others = candidates(*ct.predict_logits(model, make_negatives(TUNING)[0]), head)
    tuning = {}
    for name in cards:
        limit = np.quantile(cards[name][correct], 0.02)
        refused = float(np.mean(others[name] < limit))
        tuning[name] = {"auroc": auroc(cards[name], others[name]), "refused": refused}
    sets = cross_validated_sets(valid, labels)

    images, labels, files = cu.load_split(data_dir, "test", names)
    test = ct.predict_logits(model, images)[0]
    readings, correct = cr.judge(test, trust, names), test.argmax(1) == labels
    raw = np.exp(ct.log_softmax(test)).max(1)
    refused = np.array([r.refused for r in readings])
    images, kinds = make_negatives(REPORTING)
    others = ct.predict_logits(model, images)[0]
    other_refused = ct.energy(others) < trust["refusal_threshold"]
    drawn = []
    for c, name in enumerate(CLASS_NAMES):
        for i in range(3):
            rng = np.random.default_rng([REPORTING, c, i])
            drawn.append(photograph(draw_card(name, rng.choice(list(STYLES)), rng, 256), rng))
    drawn = ct.energy(ct.predict_logits(model, np.stack([np.asarray(x) for x in drawn]))[0])
    result = {
        "elegido_con_valid": {"rechazo": tuning, "conjuntos": sets},
        "test": {
            "fiabilidad_sin_calibrar": ct.reliability(raw, correct),
            "fiabilidad": ct.reliability([r.confidence for r in readings], correct),
            "ece_de_una_perfecta": perfect_ece([r.confidence for r in readings]),
            "cobertura": float(
                np.mean([names[k] in r.options for k, r in zip(labels, readings, strict=True)])
            ),
            "tamaño_del_conjunto": float(np.mean([len(r.options) for r in readings])),
            "cartas_rechazadas": cu.score(int(refused.sum()), len(refused)),
            "errores": [
                {
                    **{"file": "/".join(file.parts[-3:]), "truth": file.parent.name},
                    **{"answer": r.card, "confidence": round(r.confidence, 4)},
                }
                for file, r, right in zip(files, readings, correct, strict=True)
                if not right
            ],
            "errores_rechazados": f"{int(refused[~correct].sum())} de {int((~correct).sum())}",
        },
        "negativos": {
            "auroc": auroc(ct.energy(test), ct.energy(others)),
            "rechazados": cu.score(int(other_refused.sum()), len(other_refused)),
            "por_clase": {
                k: f"{other_refused[kinds == k].sum()}/{(kinds == k).sum()}"
                for k in dict.fromkeys(kinds.tolist())
            },
        },
        "baraja_dibujada_rechazada": cu.score(
            int((drawn < trust["refusal_threshold"]).sum()), len(drawn)
        ),
    }
    cu.add_measures(path, confianza=result)
    print(json.dumps(result, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
