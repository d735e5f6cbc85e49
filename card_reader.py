"""Leer las cartas de una foto o de una carpeta, y dibujar lo leído.

Una carta se ve por su contorno, por su índice si solo asoma una esquina, o porque llena la foto. La
red juzga todo lo que propone `card_photo`, y aquí queda una lectura por carta.
"""

import ast
import base64
import io
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

import card_model as cm
import card_photo
import card_utils as cu
from card_names import RANKS, card_name
from card_trust import get_trust, judge_images

CHUNK = 256  # recortes a la vez: la memoria no crece con lo que haya en la foto
SURE = 0.8  # confianza de lo que se da por carta
LEAST = "10"  # percentil de la energía de lo acertado que hace falta
FAINT, FAINT_SURE = 0.5, 0.5  # lo que se perdona a dos esquinas opuestas que dicen lo mismo
TWICE = 0.3  # evidencia de dos índices iguales que no pueden ser de una carta
SMALL = 70  # px del lado corto de un contorno en que el índice apenas se lee
COLUMNS = "file number card confidence refused kind box error".split()
SYMBOLS = {"clubs": "♣", "diamonds": "♦", "hearts": "♥", "spades": "♠"}


def read_cards(model, metadata, source):
    """Lee todas las cartas de una foto cuyo índice se ve: una, una mesa o una mano en abanico.

    Args:
        model, metadata: lo que da `card_model.load_model`.
        source: lo que admite `card_utils.open_photo`: ruta, bytes, fichero, `PIL.Image` o arreglo
            RGB en 0..255.

    Returns:
        Lista de `Reading`, al menos uno: por filas y, en cada una, de izquierda a derecha. Si no
        hay ninguna carta clara, lo más parecido, que suele llevar `refused`.

    Raises:
        FileNotFoundError, TypeError, ValueError: los de `open_photo`; o falta "trust".
    """
    trust = get_trust(metadata)  # antes de leer nada
    photo, scale = cu.open_scaled(source)
    readings = judge_all(model, metadata, photo)
    cards = one_per_card(readings, trust)
    cards = reading_order(cards) if cards else [surest(readings)]
    return [replace(r, box=scale * r.box) for r in cards]


def judge_all(model, metadata, photo):
    """Un `Reading` de la foto entera y de cada contorno e índice que se propone en ella."""
    high, wide = photo.shape[:2]
    seen = [("whole", np.float32([[0, 0], [wide, 0], [wide, high], [0, high]]))]
    seen += [("outline", box) for box in card_photo.find_cards(photo)]
    seen += [("corner", box) for box in card_photo.find_indices(photo)]

    def crop(kind, box):
        if kind == "whole":
            return cu.squash(photo)
        image = card_photo.straighten(photo, box)
        return card_photo.sharpen(image) if kind == "corner" else image

    readings = []
    for start in range(0, len(seen), CHUNK):
        part = seen[start : start + CHUNK]
        judged = judge_images(model, metadata, np.stack([crop(*one) for one in part]))
        readings += [replace(r, kind=k, box=b) for r, (k, b) in zip(judged, part, strict=True)]
    return readings


def surest(readings):
    """De la foto entera y los contornos, lo más seguro; a igual confianza, lo mayor."""
    whole = card_photo.area(readings[0].box[None])[0]

    def worth(r):  # la carta, y no un palo suelto: elegido en valid
        share = min(1.0, card_photo.area(r.box[None])[0] / whole)
        return not r.refused, r.confidence * share**0.1

    return max((r for r in readings if r.kind != "corner"), key=worth)


def one_per_card(readings, trust):
    """Una lectura por carta, de todas las de una foto.

    1. De los índices que comparten la letra o el palo queda el más seguro (`best_corners`).
    2. Los contornos, de menor a mayor: el que tiene dentro otra carta clara no es una carta.
    3. Si lo es, su nombre es el de lo más seguro que tiene dentro, y eso deja de contar.
    4. Los índices que quedan son cartas, salvo los que son el otro índice de una (`is_same`).

    Args:
        readings: lista de `Reading`, con `kind` y `box`.
        trust: la clave "trust" del modelo.

    Returns:
        Lista de `Reading`.
    """

    def sure(r):
        return evidence(r, trust)

    areas = [r for r in readings if r.kind != "corner" and is_sure(r, trust)]
    areas.sort(key=lambda r: card_photo.area(r.box[None])[0])
    indices = [r for r in readings if r.kind == "corner"]
    indices = [r for r in indices if not any(surrounds(r, c) for c in areas)]
    corners, paired = best_corners(indices, trust)
    cards = []
    for r in areas:
        inside = [c for c in cards + corners if contains(r.box, spot(c))]
        own = r.kind == "outline" and any(c.kind == "corner" and c.card == r.card for c in inside)
        least = sure(r) if own else min(sure(r), 1)
        if any(c.card != r.card and sure(c) + 0.5 * (c in paired) > least for c in inside):
            continue
        mine = [c for c in inside if c.card == r.card and c.kind == "corner" and sure(c) > TWICE]
        if any(
            not is_same(one, other, corners) for one in mine for other in mine if one is not other
        ):
            continue
        if small(r) and not own and sure(r) < 1:
            continue
        best = max([r, *(c for c in inside if c.card == r.card)], key=lambda c: c.energy)
        frame = next((c for c in (r, *inside) if c.kind == "outline"), r)
        same = [c for c in cards if c.card == r.card and card_photo.overlap(c.box, frame.box) > 0.1]
        cards = [c for c in cards if c not in inside and c not in same]
        corners = [c for c in corners if c not in inside]
        cards.append(replace(best, kind=frame.kind, box=frame.box))
    for r in corners:
        if not any(is_same(r, c, corners) for c in cards) and (r.card != "joker" or r in paired):
            cards.append(r)
    return cards


def evidence(r, trust):
    """Cuánto se parece a lo que la red acierta: 0, como lo más dudoso; 1, como lo corriente."""
    usual = trust.get("corner" if r.kind == "corner" else "whole", trust["whole"])
    low, high = usual[LEAST], usual["50"]
    return (r.energy - low) / max(high - low, 1e-6)


def is_sure(r, trust):
    """Si una lectura basta, ella sola, para dar su carta."""
    return evidence(r, trust) > 0 and r.confidence > SURE


def best_corners(indices, trust):
    """(Índices seguros que no comparten letra ni palo, los de ellos que confirma su opuesto)."""
    faint = [r for r in indices if evidence(r, trust) > -FAINT and r.confidence > FAINT_SURE]
    paired = [r for r in faint if any(opposite(r, c) for c in faint)]
    chosen = []
    for r in sorted(faint, key=lambda r: evidence(r, trust) + FAINT * (r in paired), reverse=True):
        if r in paired or is_sure(r, trust):
            if not any(same_evidence(r, c) for c in chosen):
                chosen.append(r)
    chosen = [r for r in chosen if not any(surrounds(r, c) for c in chosen)]
    return chosen, [r for r in paired if r in chosen]


def same_evidence(one, other):
    """Si dos índices propuestos son el mismo: comparten una mancha, o uno ve dentro al otro.

    Uno que ve dentro a otro del mismo nombre y de otro tamaño no lee sus manchas, sino las de él.
    """
    small, large = sorted((index_size(one), index_size(other)))
    ends = [np.stack(card_photo.index_parts(r.box[None]))[:, 0] for r in (one, other)]
    ends = [np.vstack([end, end.mean(0)]) for end in ends]  # y el centro, de una mancha partida
    if np.linalg.norm(ends[0][:, None] - ends[1], axis=2).min() < 0.45 * small:
        return True
    seen = contains(one.box, spot(other)) or contains(other.box, spot(one))
    return one.card == other.card and seen and large > 1.3 * small


def small(r):
    """Si un contorno mide tan poco que su índice apenas se lee."""
    return np.linalg.norm(r.box - np.roll(r.box, 1, 0), axis=1).min() < SMALL


def surrounds(corner, area):
    """Si una esquina es tan grande, para una carta que tiene dentro, que no es un índice."""
    return card_size(area) < 6 * index_size(corner) and contains(corner.box, spot(area))


def is_same(corner, card, corners):
    """Si una esquina es el otro índice de una carta ya leída, y no el de otra igual.

    Los de una carta miran a lados opuestos desde extremos opuestos; los de una de cuatro índices,
    además, al mismo lado a un ancho de carta, sin otro índice de `corners` en medio.
    """
    if card.card != corner.card:
        return False
    if card.kind != "corner":  # 1.7: el contorno puede ser solo el marco
        middle = card.box.mean(0)
        return contains(middle + 1.7 * (card.box - middle), spot(corner))
    between = (spot(corner) + spot(card)) / 2
    reach = 0.4 * gap(corner, card)
    others = [c for c in corners if c is not corner and c is not card]
    alone = all(np.linalg.norm(spot(c) - between) > reach for c in others)
    facing, along, across = placed(corner, card)
    if facing < -0.9:  # desde el otro extremo
        return 2 < along < 22 and abs(across) < 1.9 * along
    return facing > 0.9 and 3.9 < abs(across) < 10 and abs(along) < 0.35 * abs(across) and alone


def placed(one, other):
    """Dónde está un índice visto desde otro.

    Returns:
        (facing, along, across): coseno del giro entre los dos, y lo que hay hacia abajo y hacia la
        derecha de `one`, en veces el tamaño medio de los dos.
    """
    axes = [np.stack([r.box[1] - r.box[0], r.box[3] - r.box[0]]) for r in (one, other)]
    (right, down), (_, back) = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in axes)
    away = (spot(other) - spot(one)) / np.sqrt(index_size(one) * index_size(other))
    return down @ back, away @ down, away @ right


def opposite(one, other):
    """Si dos índices dicen lo mismo y están como los de dos esquinas opuestas de una carta."""
    if not one.card == other.card or not one.kind == other.kind == "corner":
        return False
    facing, along, across = placed(one, other)
    small, large = sorted((index_size(one), index_size(other)))
    alike = large < 1.5 * small and facing < -0.9
    return alike and 4 < along < 22 and 0.3 * along < across < 1.1 * along


def index_size(r):
    """De la letra al palo, en píxeles, en una lectura de una esquina."""
    return float(np.linalg.norm(r.box[1] - r.box[0])) / 2.6


def card_size(r):
    """Diagonal de la carta de una lectura, en píxeles; la de una esquina, aproximada."""
    return 22 * index_size(r) if r.kind == "corner" else np.linalg.norm(r.box[2] - r.box[0])


def spot(r):
    """Dónde está una lectura, [2] en píxeles: el centro de la carta o el de su índice."""
    if r.kind != "corner":
        return r.box.mean(0)
    return r.box[0] + 0.24 * (r.box[1] - r.box[0]) + 0.31 * (r.box[3] - r.box[0])


def gap(one, other):
    """Distancia en píxeles entre dos lecturas."""
    return float(np.linalg.norm(spot(one) - spot(other)))


def contains(box, point):
    """Si un cuadrilátero [4, 2] tiene dentro un punto [2]."""
    return cv2.pointPolygonTest(np.float32(box), np.float32(point).tolist(), False) >= 0


def reading_order(cards):
    """Las lecturas por filas, de arriba abajo, y en cada una de izquierda a derecha."""
    rows = []
    for r in sorted(cards, key=lambda r: spot(r)[1]):
        if rows and spot(r)[1] - spot(rows[-1][0])[1] < 0.4 * card_size(rows[-1][0]):
            rows[-1].append(r)
        else:
            rows.append([r])
    return [r for row in rows for r in sorted(row, key=lambda r: spot(r)[0])]


def short_name(card):
    """La carta en dos o tres signos: "A♠", "10♥"; el comodín, entero."""
    rank, _, suit = card.partition(" of ")
    return RANKS.get(rank, rank) + SYMBOLS[suit] if suit in SYMBOLS else card_name(card)


def plot_readings(source, readings, ax=None):
    """Dibuja la foto con lo que se vio de cada carta, y su nombre donde no tapa el índice.

    Args:
        source: la foto, como se dio a `read_cards`.
        readings: lo que da `read_cards`.
        ax: ejes de Matplotlib en que dibujar; None: una figura nueva, que se muestra.
    """
    photo, scale = cu.open_scaled(source)
    readings = [replace(r, box=r.box / scale) for r in readings]
    alone = ax is None
    ax = plt.subplots(figsize=(5.5, 4.2), layout="tight")[1] if alone else ax
    ax.imshow(photo)
    ax.axis("off")
    first = readings[0]
    text = f"{card_name(first.card)} ({100 * first.confidence:.0f} %)"
    if first.refused:
        text = f"No parece una carta; lo más cercano: {text}"
    ax.set_title(text if len(readings) == 1 else f"Cartas leídas: {len(readings)}")
    label = {"ha": "center", "va": "center", "fontsize": 9}
    for i, r in enumerate(readings):
        if r.kind == "whole":
            continue
        color = f"C{i % 10}"  # el mismo en el borde y en el nombre
        ax.add_patch(plt.Polygon(r.box, fill=False, edgecolor=color, linewidth=2))
        # El de una esquina, más allá de su borde: el índice queda a la vista
        at = spot(r) if r.kind == "outline" else 1.15 * r.box[0] - 0.15 * r.box[2]
        ax.text(*at, short_name(r.card), **label, bbox={"fc": "white", "ec": color, "pad": 2})
    if alone:
        plt.show()


def take_photo(path):
    """En Colab, enseña la cámara y un botón; al pulsarlo guarda la foto en `path`, y lo devuelve.

    Raises:
        ValueError: no hay cámara o no se le dio permiso.
    """
    from google.colab.output import eval_js  # solo existe en Colab

    script = """(async () => {
      const video = document.createElement('video'), button = document.createElement('button');
      button.textContent = 'Hacer la foto';
      video.srcObject = await navigator.mediaDevices.getUserMedia(
        {video: {facingMode: 'environment'}});
      document.body.append(video, button);
      await video.play();
      google.colab.output.setIframeHeight(document.documentElement.scrollHeight, true);
      await new Promise(resolve => button.onclick = resolve);
      const canvas = document.createElement('canvas');
      [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
      canvas.getContext('2d').drawImage(video, 0, 0);
      video.srcObject.getTracks().forEach(track => track.stop());
      video.remove(); button.remove();
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
        csv_path: destino, acabado en .csv; bórralo para leer de nuevo todas las fotos.

    Returns:
        `pandas.DataFrame` con file (desde `folder`), number (la carta dentro de la foto, desde 1),
        card, confidence, refused, kind, box (esquinas en píxeles) y error. Una foto
        ilegible tiene una fila con `error`; una sin cartas, una con `refused`.

    Raises:
        FileNotFoundError: no existe la carpeta.
        ValueError: no es una carpeta, no tiene imágenes, `csv_path` no acaba en .csv o es otra
            cosa, que no se toca, o falta "trust".
        OSError: no se puede escribir ahí el CSV; se comprueba antes de leer nada.
    """
    get_trust(metadata)
    if Path(str(csv_path)).suffix.lower() != ".csv":
        raise ValueError(f"csv_path pide un nombre acabado en .csv, y llega {csv_path!r}.")
    folder, csv_path = Path(folder).expanduser(), Path(csv_path).expanduser()
    if not folder.exists():
        raise FileNotFoundError(f"No existe la carpeta {folder}.")
    if not folder.is_dir():
        raise ValueError(f"{folder} no es una carpeta: una foto suelta se lee con read_cards.")
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
        kinds = [f"{count} {kind}" for kind, count in others.most_common()]
        print(f"Quedan fuera {others.total()} ficheros: {', '.join(kinds)}.")
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
    for photo in sys.argv[1:]:
        told = [r for r in read_cards(network, facts, photo) if not r.refused]
        cards = [f"{card_name(r.card)} ({100 * r.confidence:.0f} %)" for r in told]
        print(f"{photo}: {', '.join(cards) or 'ninguna carta'}")
