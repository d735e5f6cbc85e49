"""Leer las cartas de una foto o de una carpeta.

Una carta se ve por su contorno, por su índice si solo asoma una esquina, o porque llena la foto. La
red juzga todo lo que propone `card_photo`, y aquí queda una lectura por carta.
"""

import ast
import base64
import io
import os
import sys
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

import card_model as cm
import card_photo
import card_utils as cu
from card_names import card_name
from card_photo import SPAN, contains, index_size, overlap, placed
from card_trust import get_trust, judge_images

SURE = 0.8  # confianza de lo que se da por carta
LEAST = "5"  # percentil de la energía de lo acertado que hace falta
TWICE = 0.3  # evidencia de dos índices iguales que no pueden ser de una carta
FAINT, FAINT_SURE = 0.5, 0.5  # lo que se perdona a dos esquinas opuestas que dicen lo mismo
COLUMNS = "file number card confidence refused kind box error".split()


def read_cards(model, metadata, source):
    """Lee todas las cartas de una foto cuyo índice se ve: una, una mesa o una mano en abanico.

    Args:
        model, metadata: lo que da `card_model.load_model`.
        source: lo que admite `card_utils.open_photo`: ruta, bytes, fichero, `PIL.Image` o arreglo
            RGB en 0..255.

    Returns:
        Lista de `Reading`, al menos uno, por filas y de izquierda a derecha. Si no hay ninguna
        carta clara, lo más parecido, con `refused`.

    Raises:
        FileNotFoundError, TypeError, ValueError: de `open_photo` o `find_marks`; o falta "trust".
    """
    trust, (photo, scale) = get_trust(metadata), cu.open_scaled(source)
    readings = judge_all(model, metadata, photo)
    cards = one_per_card(readings, trust) or [surest(readings)]
    return [replace(r, box=scale * r.box) for r in reading_order(cards)]


def judge_all(model, metadata, photo):
    """Un `Reading` de la foto entera y de cada contorno e índice que se propone en ella."""
    high, wide = photo.shape[:2]
    outlines, (corners, crops) = card_photo.find_cards(photo), card_photo.find_corners(photo)
    boxes = [np.float32([[0, 0], [wide, 0], [wide, high], [0, high]]), *outlines, *corners]
    kinds = ["whole", *["outline"] * len(outlines), *["corner"] * len(corners)]
    areas = [cu.squash(photo), *(card_photo.straighten(photo, box) for box in outlines)]
    judged = judge_images(model, metadata, np.stack(areas))
    judged += judge_images(model, metadata, np.stack(crops), corner=True) if crops else []
    return [replace(r, kind=k, box=b) for r, k, b in zip(judged, kinds, boxes, strict=True)]


def surest(readings):
    """De la foto entera y los contornos, lo más parecido a una carta, no a un palo; rechazado."""
    areas = (r for r in readings if r.kind != "corner")
    best = max(areas, key=lambda r: (not r.refused, r.confidence * card_size(r) ** 0.2))
    return replace(best, refused=True)


def one_per_card(readings, trust):
    """Una lectura por carta, de todas las de una foto.

    1. De los índices que comparten la letra o el palo queda el más seguro (`best_corners`).
    2. Los contornos y la foto, de menor a mayor: no es carta el que tiene dentro otra más clara,
       dos contornos iguales, dos índices que no pueden ser suyos, o uno solo en que casi no cabe.
    3. Si lo es, su nombre es el de lo más seguro que tiene dentro, y eso deja de contar.
    4. Los índices que quedan son cartas, salvo el otro de una y el de un comodín sin su opuesto.

    Args:
        readings: lista de `Reading`, con `kind` y `box`; trust: la clave "trust" del modelo.

    Returns:
        Lista de `Reading`.
    """
    areas = [r for r in readings if r.kind != "corner" and is_sure(r, trust)]
    areas = [r for r in areas if not disputed(r, readings, trust)]
    found = [r for r in readings if r.kind == "corner" and not any(surrounds(r, c) for c in areas)]
    corners, paired = best_corners(found, trust)
    cards, framed, sure = [], [], {r: evidence(r, trust) for r in readings}
    for r in sorted(areas, key=lambda r: card_photo.area(r.box[None])[0]):
        inside = [c for c in cards + corners if contains(r.box, spot(c))]
        mine = [c for c in inside if c.card == r.card]
        own = [c for c in mine if c.kind == "corner"] if r.kind == "outline" else []
        limit = sure[r] if own else min(sure[r], 1)
        # Un contorno en que no cabe su índice es un trozo de carta, cortado por una sombra
        if len(own) == 1 and r.card != "joker" and card_size(r) < 8 * index_size(own[0].box):
            continue
        if any(sure[c] > limit for c in inside if c not in mine):
            continue
        clear = [c for c in mine if c.kind == "corner" and sure[c] > TWICE]
        boxes = [c.box for c in mine if c.kind != "corner"]
        one = all(index_place(*two, corners) for two in combinations(clear, 2))
        if not one or any(overlap(*two) < 0.1 for two in combinations(boxes, 2)):
            continue
        best = max([r, *mine], key=sure.get)
        frame = next((c for c in (r, *mine) if c.kind == "outline"), r)
        cards = [c for c in cards if c not in inside]
        corners = [c for c in corners if c not in inside]
        cards.append(replace(best, kind=frame.kind, box=frame.box))
        sure[cards[-1]] = sure[best]
        framed += cards[-1:] if own else []
    taken = set()  # un naipe tiene un solo índice en cada sitio: otro igual es de otro naipe
    for r in corners:
        places = [(c, index_place(r, c, corners, 1.15 if c in framed else 1.7)) for c in cards]
        places = [(c, at) for c, at in places if at]
        free = [place for place in places if place not in taken or place[1] == "inside"]
        if free:
            taken.add(free[0])
        elif (r.card != "joker" or r in paired) and (not places or sure[r] >= TWICE):
            cards.append(r)
    return [replace(r, refused=False) for r in cards]  # también las que confirma otra


def evidence(r, trust):
    """Cuánto se parece a lo que la red acierta: 0, como lo más dudoso; 1, como lo corriente."""
    usual = trust.get("corner" if r.kind == "corner" else "whole", trust["whole"])
    return (r.energy - usual[LEAST]) / max(usual["50"] - usual[LEAST], 1e-6)


def is_sure(r, trust, alone=True):
    """Si una lectura basta para dar su carta: ella sola, o con otra que la confirme."""
    least, confidence = (0, SURE) if alone else (-FAINT, FAINT_SURE)
    return evidence(r, trust) > least and r.confidence > confidence


def disputed(r, readings, trust):
    """Si es la foto entera, y una parte pequeña de ella puede ser otra carta."""
    rivals = [c for c in readings if c.card != r.card and is_sure(c, trust, alone=False)]
    return r.kind == "whole" and any(overlap(c.box, r.box) < 0.2 for c in rivals)


def best_corners(indices, trust):
    """(Índices seguros que no comparten letra ni palo, los de ellos que confirma su opuesto)."""
    faint = [r for r in indices if is_sure(r, trust, alone=False)]
    paired = [r for r in faint if any(opposite(r, c) for c in faint)]
    chosen = []
    for r in sorted(faint, key=lambda r: evidence(r, trust) + FAINT * (r in paired), reverse=True):
        if (r in paired or is_sure(r, trust)) and not any(same_evidence(r, c) for c in chosen):
            chosen.append(r)
    chosen = [r for r in chosen if not any(surrounds(r, c) for c in chosen)]
    paired = [r for r in chosen if any(opposite(r, c) for c in chosen)]
    return [r for r in chosen if r in paired or is_sure(r, trust)], paired


def same_evidence(one, other):
    """Si dos índices son el mismo: comparten letra o palo, o dicen lo mismo uno junto a otro."""
    small, large = sorted((index_size(one.box), index_size(other.box)))
    ends = [np.stack(card_photo.index_parts(r.box[None]))[:, 0] for r in (one, other)]
    if np.linalg.norm(ends[0][:, None] - ends[1], axis=2).min() < 0.45 * small:
        return True
    seen = contains(one.box, spot(other)) or contains(other.box, spot(one))
    facing = placed(one.box, other.box)[0]
    near = np.linalg.norm(spot(one) - spot(other)) < (2.2 if facing > 0.9 else 0.9) * small
    return one.card == other.card and (near or seen and (large > 1.3 * small or facing < 0.5))


def surrounds(corner, area):
    """Si una esquina es tan grande, para una carta que tiene dentro, que no es un índice."""
    return card_size(area) < 4 * index_size(corner.box) and contains(corner.box, spot(area))


def index_place(corner, card, corners, reach=1.7):
    """En qué sitio de una carta ya leída está una esquina que puede ser suya; si no, None.

    Los índices de una carta miran a lados opuestos: "diagonal", hacia donde queden, porque el palo
    puede ir bajo la letra, sobre ella o al lado. Los de una de cuatro, además, "straight", y
    "beside": al mismo lado y a la misma altura, sin otro de `corners` en medio. Si la carta es un
    contorno, "inside": caen en él ampliado `reach` veces.
    """
    if card.card != corner.card:
        return None
    if card.kind != "corner":
        grown = reach * card.box + (1 - reach) * card.box.mean(0)
        return "inside" if contains(grown, spot(corner)) else None
    facing, along, across = placed(corner.box, card.box)
    if facing < -0.9 and 1.5 < np.hypot(along, across) < SPAN:
        return "diagonal" if abs(across) > 0.3 * abs(along) else "straight"
    between, away = (spot(corner) + spot(card)) / 2, np.linalg.norm(spot(corner) - spot(card))
    others = [spot(c) for c in corners if c not in (corner, card)]
    alone = all(np.linalg.norm(other - between) > 0.4 * away for other in others)
    beside = facing > 0.9 and 1.5 < abs(across) < 15 and abs(along) < 0.35 * abs(across)
    # La carta es tan ancha como dice el índice de enfrente, si se ve
    wide = [across / placed(corner.box, c.box)[2] for c in corners if opposite(corner, c)]
    wide += [-across / placed(card.box, c.box)[2] for c in corners if opposite(card, c)]
    fits = not wide or any(0.5 < w < 1.5 for w in wide)
    return "beside" if beside and alone and fits else None


def opposite(one, other):
    """Si dos índices dicen lo mismo y están como los de dos esquinas opuestas de una carta."""
    if one.card != other.card or abs(np.log(index_size(one.box) / index_size(other.box))) > 0.4:
        return False
    facing, along, across = placed(one.box, other.box)
    return facing < -0.9 and 4 < along < SPAN and 0.3 * along < across < 1.1 * along


def card_size(r):
    """Diagonal de la carta de una lectura, en píxeles; la de una esquina, aproximada."""
    return SPAN * index_size(r.box) if r.kind == "corner" else np.linalg.norm(r.box[2] - r.box[0])


def spot(r):
    """Dónde está una lectura, [2] en píxeles: el centro de la carta o el de su índice."""
    return card_photo.index_middle(r.box) if r.kind == "corner" else r.box.mean(0)


def reading_order(cards):
    """Las lecturas por filas, de arriba abajo, y en cada una de izquierda a derecha."""
    rows = []
    for r in sorted(cards, key=lambda r: spot(r)[1]):
        if not rows or spot(r)[1] - spot(rows[-1][0])[1] >= 0.4 * card_size(rows[-1][0]):
            rows.append([])
        rows[-1].append(r)
    return [r for row in rows for r in sorted(row, key=lambda r: spot(r)[0])]


def take_photo(path):
    """`path`, con la foto que se hace en Colab al pulsar un botón; sin cámara, un `ValueError`."""
    from google.colab.output import eval_js  # solo existe en Colab

    script = """(async () => {
      const box = document.body.appendChild(document.createElement('div'));
      box.innerHTML = '<video></video><button>Hacer la foto</button>';
      const [video, button] = box.children, canvas = document.createElement('canvas');
      const camera = {video: {facingMode: 'environment'}};
      video.srcObject = await navigator.mediaDevices.getUserMedia(camera);
      await video.play();
      google.colab.output.setIframeHeight(document.documentElement.scrollHeight, true);
      await new Promise(resolve => button.onclick = resolve);
      [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
      canvas.getContext('2d').drawImage(video, 0, 0);
      video.srcObject.getTracks().forEach(track => track.stop());
      box.remove();
      return canvas.toDataURL('image/jpeg', 0.9);
    })()"""
    try:
        content = eval_js(script)
    except Exception as error:  # Colab lanza MessageError con lo que dijo el navegador
        raise ValueError(f"No se pudo usar la cámara ({error}). Sube la foto.") from error
    cu.write_atomic(path, base64.b64decode(content.split(",")[1]))
    return path


def read_folder(model, metadata, folder, csv_path):
    """Lee cada foto de una carpeta con `read_cards` y escribe un CSV con una fila por carta.

    El CSV crece foto a foto: si se corta, otra llamada lee las que faltan y las que dieron error.

    Args:
        model, metadata: lo que da `card_model.load_model`.
        folder: carpeta con las imágenes; también se leen las de sus subcarpetas.
        csv_path: destino, acabado en .csv, uno por carpeta; bórralo para leer todas de nuevo.

    Returns:
        `pandas.DataFrame` con las columnas `COLUMNS`; file parte de `folder` y number, de 1 en cada
        foto. Una ilegible tiene una fila con `error`; una sin cartas, una con `refused`.

    Raises:
        FileNotFoundError, OSError: no existe la carpeta o `FINDER`; no se puede escribir el CSV.
        ValueError: no hay imágenes, un argumento o el CSV son de otra cosa, o falta "trust".
    """
    if not isinstance(folder, str | os.PathLike) or Path(str(csv_path)).suffix.lower() != ".csv":
        raise ValueError(f"Pide una carpeta y un .csv, y llegan {folder!r} y {csv_path!r}.")
    get_trust(metadata)
    for apart in (False, True):  # si falta una red, se sabe antes de leer
        cm.load_finder(apart)
    folder, csv_path = Path(folder).expanduser(), Path(csv_path).expanduser()
    if not folder.is_dir():
        kind = "no es una carpeta: una foto suelta se lee con read_cards"
        raise FileNotFoundError(f"{folder} {kind if folder.exists() else 'no existe'}.")
    table, files, others, known = read_table(csv_path), {}, Counter(), cu.extensions()
    for file in sorted(p for p in folder.rglob("*") if not p.is_dir()):
        name, kind = file.relative_to(folder).as_posix(), file.suffix.lower()
        if any(part.startswith(("__MACOSX", ".")) for part in name.split("/")):  # del sistema
            continue
        if kind in known:  # un nombre de otro sistema puede no ser UTF-8
            files[" ".join(name.encode(errors="backslashreplace").decode().splitlines())] = file
        elif file.resolve() != csv_path.resolve():
            others[kind or "sin terminación"] += 1
    if others:
        print("Quedan fuera:", ", ".join(f"{count} {kind}" for kind, count in others.items()))
    if not files:
        raise ValueError(f"No hay imágenes en {folder} (.jpg, .png, .heic...).")
    table = table[table.error == ""]
    done = set(table.file)
    left = [name for name in files if name not in done]
    if done:
        print(f"{csv_path} tiene {len(done)} fotos y faltan {len(left)}. Bórralo para leer todas.")
    csv_path.parent.mkdir(parents=True, exist_ok=True)
    cu.write_atomic(csv_path, as_csv(table, header=True))
    with open(csv_path, "ab") as out:
        for name in tqdm(left, unit=" fotos", desc="Leyendo"):
            rows = []
            try:
                for r in read_cards(model, metadata, files[name]):
                    box = r.box.round().astype(int).tolist()
                    rows.append({**vars(r), "number": len(rows) + 1, "box": box})
            except Exception as error:  # la que sea: una foto no para a las demás
                text = str(error).encode(errors="backslashreplace").decode()
                rows = [{"error": " ".join(text.split()) or type(error).__name__}]
            out.write(as_csv(pd.DataFrame(rows, columns=COLUMNS).assign(file=name)))
            out.flush()
    return read_table(csv_path)


def as_csv(table, header=False):
    """Las filas de una tabla en CSV; a lo que Excel vería como fórmula, un apóstrofo (OWASP)."""
    table = table.map(lambda x: f"'{x}" if str(x).startswith(tuple("=+-@\t\r'")) else x)
    return table.to_csv(header=header, index=False, float_format="%.4f").encode()


def read_table(csv_path):
    """La tabla de un CSV de `read_folder`, sin la foto en que se cortó; si no existe, vacía."""
    data = csv_path.read_bytes() if csv_path.exists() else b""
    whole = data[: data.rfind(b"\n") + 1] or data or ",".join(COLUMNS).encode()
    if whole.splitlines()[0].decode("utf-8-sig", "replace").split(",") != COLUMNS:
        raise ValueError(f"{csv_path} no es un CSV de read_folder: elige otro nombre.")
    values = dict.fromkeys(("file", "card", "error"), lambda x: x.removeprefix("'"))
    values["box"] = lambda x: ast.literal_eval(x or "None")
    types = {"dtype": {"number": "Int64"}, "keep_default_na": False}  # "NA" puede ser un nombre
    types["na_values"] = dict.fromkeys(("number", "confidence", "refused", "kind"), "")
    table = pd.read_csv(io.BytesIO(whole), converters=values, **types)
    cut = not data.endswith(b"\n") and len(table)
    return table[table.file != table.file.iloc[-1]] if cut else table


if __name__ == "__main__":  # python card_reader.py foto.jpg ...
    network, facts = cm.load_model()
    for photo in sys.argv[1:] or sys.exit("Uso: python card_reader.py foto.jpg ..."):
        try:
            cards = [r for r in read_cards(network, facts, photo) if not r.refused]
            cards = [f"{card_name(r.card)} ({100 * r.confidence:.0f} %)" for r in cards]
            print(f"{photo}: {', '.join(cards) or 'ninguna carta'}")
        except (FileNotFoundError, ValueError) as error:
            print(error)
