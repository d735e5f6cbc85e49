"""Leer las cartas de una foto o de una carpeta, y dibujar lo leído.

Una carta se ve por su contorno, por su índice si solo asoma una esquina, o porque llena la foto. La
red juzga todo lo que propone `card_photo`, y aquí queda una lectura por carta.
"""

import base64
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

import card_photo
import card_trust as ct
import card_utils as cu
from demo_deck import RANKS

CHUNK = 256  # recortes a la vez: la memoria no crece con lo que haya en la foto
SURE, CORNER_SURE = 0.8, 0.9  # confianza de un contorno y de una esquina dados por carta
MARGIN = 2.0  # cuánta energía más que la del umbral; elegido con fotos de mesas y manos
FAINT_SURE, FAINT_MARGIN = 0.5, 0.5  # bastan para dos esquinas opuestas que dicen lo mismo
CLEAR_MARGIN = 6.0  # la de una esquina clara: puede deshacer un contorno o ser de otra baraja
SYMBOLS = {"clubs": "♣", "diamonds": "♦", "hearts": "♥", "spades": "♠"}


@dataclass(eq=False)  # con arreglos dentro, dos lecturas no se comparan
class Reading:
    """Lo que se lee en una imagen.

    card: nombre de clase más probable; confidence: su probabilidad calibrada, 0..1;
    refused: no parece una carta; energy: mayor cuanto más lo parece; kind: "outline" si se ve su
    contorno, "corner" si solo su índice, "whole" si es la foto entera; box: esquinas [4, 2] en
    píxeles de la foto.
    """

    card: str
    confidence: float
    refused: bool
    energy: float
    kind: str = "whole"
    box: np.ndarray | None = None


def get_trust(metadata):
    """La clave "trust" de los metadatos, o un `ValueError` que dice cómo ajustarla."""
    if "trust" not in metadata:
        raise ValueError('Falta "trust" en los metadatos: ajústalo con `card_trust.fit_trust`.')
    return metadata["trust"]


def judge(metadata, logits):
    """Carta, confianza calibrada y rechazo de cada imagen.

    Args:
        metadata: dict con "class_names" y "trust".
        logits: [n, clases].

    Returns:
        Lista de n `Reading`, sin `box`.
    """
    trust, class_names = get_trust(metadata), metadata["class_names"]
    probabilities = np.exp(ct.log_softmax(logits, trust["temperature"]))
    readings = []
    for p, energy in zip(probabilities, ct.energy(np.asarray(logits, np.float64)), strict=True):
        best, refused = int(p.argmax()), bool(energy < trust["refusal_threshold"])
        readings.append(Reading(class_names[best], float(p[best]), refused, float(energy)))
    return readings


def judge_images(model, metadata, images):
    """`judge` de unas imágenes uint8 [n, 224, 224, 3] ya del tamaño de la red."""
    return judge(metadata, ct.predict_logits(model, images))


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
    high, wide = photo.shape[:2]
    seen = [("whole", np.float32([[0, 0], [wide, 0], [wide, high], [0, high]]))]
    seen += [("outline", box) for box in card_photo.find_cards(photo)]
    seen += [("corner", box) for box in card_photo.find_indices(photo)]

    def crop(kind, box):
        return cu.squash(photo) if kind == "whole" else card_photo.straighten(photo, box)

    readings = []
    for start in range(0, len(seen), CHUNK):
        part = seen[start : start + CHUNK]
        crops = [(kind, crop(kind, box)) for kind, box in part]
        images = [card_photo.sharpen(x) if kind == "corner" else x for kind, x in crops]
        judged = judge_images(model, metadata, np.stack(images))
        readings += [replace(r, kind=k, box=b) for r, (k, b) in zip(judged, part, strict=True)]
    for i, r in enumerate(readings):
        if r.kind == "outline" and not r.refused and r.confidence < SURE:
            readings[i] = look_again(model, metadata, photo, r)
    cards = one_per_card(readings, trust["refusal_threshold"])
    cards = reading_order(cards) if cards else [surest(readings)]
    return [replace(r, box=scale * r.box) for r in cards]


def look_again(model, metadata, photo, r):
    """Juzga un contorno por la media de ocho recortes: de cuatro tamaños, derechos y del revés."""
    middle = r.box.mean(0)
    boxes = [np.float32(middle + size * (r.box - middle)) for size in (0.96, 1, 1.04, 1.09)]
    crops = [card_photo.straighten(photo, box) for box in boxes]
    logits = ct.predict_logits(model, np.stack([*crops, *(crop[::-1, ::-1] for crop in crops)]))
    return replace(judge(metadata, logits.mean(0, keepdims=True))[0], kind=r.kind, box=r.box)


def surest(readings):
    """De la foto entera y los contornos, lo más seguro; a igual confianza, lo mayor."""
    whole = card_photo.area(readings[0].box[None])[0]

    def worth(r):  # la carta, y no un palo suelto: elegido en valid
        share = min(1.0, card_photo.area(r.box[None])[0] / whole)
        return not r.refused, r.confidence * share**0.1

    return max((r for r in readings if r.kind != "corner"), key=worth)


def one_per_card(readings, threshold):
    """Una lectura por carta, de todas las de una foto.

    Una carta puede verse por su contorno y por dos o cuatro índices: son una. Dos índices opuestos
    que dicen lo mismo se confirman, y dan su nombre al contorno que los tiene dentro si el mejor
    pasa del umbral más de la mitad de lo que pasa el contorno. Un contorno con dos cartas dentro no
    es una carta, salvo que lea uno de los dos índices y sea más seguro que el otro. La misma carta
    dos veces (dos barajas) sigue siendo dos si se ven dos contornos que no se tapan, un índice
    claro lejos del contorno de la otra, o dos índices a más de una carta o de tamaños muy
    distintos.

    Args:
        readings: lista de `Reading`, con `kind` y `box`.
        threshold: energía por debajo de la cual no parece una carta.

    Returns:
        Lista de `Reading`.
    """

    def passes(r, margin, sure):
        return r.energy >= threshold + margin and r.confidence >= sure

    def confirmed(r, others):
        return any(opposite(r, c) and gap(r, c) < card_size(r) for c in others)

    areas = [r for r in readings if r.kind != "corner" and passes(r, MARGIN, SURE)]
    indices = [r for r in readings if r.kind == "corner"]
    indices = [r for r in indices if not any(surrounds(r, c) for c in areas)]
    faint = [r for r in indices if passes(r, FAINT_MARGIN, FAINT_SURE)]
    corners = []
    for r in sorted(faint, key=lambda r: -r.energy):
        if confirmed(r, faint) or passes(r, MARGIN, CORNER_SURE):
            if all(gap(r, c) > 0.9 * max(index_size(r), index_size(c)) for c in corners):
                corners.append(r)
    corners = [r for r in corners if not any(surrounds(r, c) for c in corners)]
    cards, chosen = [], corners
    for r in sorted(areas, key=lambda r: card_photo.area(r.box[None])[0]):
        weak = not passes(r, CLEAR_MARGIN, 0)
        held = [c for c in cards + chosen if contains(r.box, spot(c)) or (weak and frames(r, c))]
        inside = [c for c in held if c in cards + corners]
        names = {c.card for c in inside}
        pairs = [c for c in held if c.card != r.card and confirmed(c, held)]
        for other in (r, *inside):
            least = (threshold + other.energy) / 2  # la mitad de su margen
            pairs = [c for c in pairs if c.card == other.card or c.energy > least]
        # Si lee un índice suyo y solo hay otro nombre, este ha de ser más seguro que el contorno
        own = any(c.kind == "corner" and c.card == r.card for c in inside)
        own = own and r.kind == "outline" and len(names) == 2
        most = r.energy if own else min(r.energy, threshold + CLEAR_MARGIN)
        clear = {c.card for c in inside if c.kind != "corner" or c.energy > most or c in pairs}
        if len(names) > 1 and clear - {r.card}:
            continue
        best = max(pairs or ([r, *inside] if len(names) == 1 else [r]), key=lambda c: c.energy)
        outlines = [c for c in (r, *inside) if c.kind == "outline"]
        frame = outlines[0] if outlines else r
        same = [c for c in cards if c.card == best.card]
        same = [c for c in same if card_photo.overlap(c.box, frame.box) > 0.1]
        best = max([best, *same], key=lambda c: c.energy)
        cards = [c for c in cards if c not in inside and c not in same]
        cards.append(replace(best, kind=frame.kind, box=frame.box))
        corners = [c for c in corners if c not in inside]
    for r in corners:
        if not any(is_same(r, c, passes(r, CLEAR_MARGIN, 0)) for c in cards):
            cards.append(r)
    return cards


def frames(area, r):
    """Si un contorno puede ser el marco de la figura de una carta, con ese índice a su lado."""
    return r.kind == "corner" and contains(area.box, r.box.mean(0))


def surrounds(corner, area):
    """Si una esquina es tan grande, para una carta que tiene dentro, que no es un índice."""
    return card_size(area) < 6 * index_size(corner) and contains(corner.box, spot(area))


def is_same(corner, card, is_clear):
    """Si una esquina es de una carta ya leída: el mismo nombre, y no tan lejos como otra baraja."""
    if card.card != corner.card:
        return False
    if card.kind != "corner" and is_clear:  # 1.7: el contorno puede ser solo el marco
        middle = card.box.mean(0)
        return contains(middle + 1.7 * (card.box - middle), spot(corner))
    small, large = sorted((card_size(corner), card_size(card)))
    if card.kind == "corner" and large > 3 * small:
        return False
    away = gap(corner, card)
    if opposite(corner, card):
        away /= 2
    return away < large


def opposite(one, other):
    """Si dos índices dicen lo mismo y están como los de dos esquinas opuestas de una carta."""
    if not one.card == other.card or not one.kind == other.kind == "corner":
        return False
    right, down, back = (
        one.box[1] - one.box[0],
        one.box[3] - one.box[0],
        other.box[0] - other.box[3],
    )
    away = spot(other) - spot(one)
    along, across = (away @ axis / np.linalg.norm(axis) for axis in (down, right))
    small, large = sorted((index_size(one), index_size(other)))
    facing = down @ back > 0.9 * np.linalg.norm(down) * np.linalg.norm(back)
    alike = large < 1.5 * small and along > 5 * large
    return alike and facing and 0.3 * along < across < 1.1 * along


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
    return RANKS.get(rank, rank) + SYMBOLS[suit] if suit in SYMBOLS else cu.card_name(card)


def plot_top5(image, probabilities, class_names, truth=None):
    """Dibuja la imagen y, al lado, las cinco cartas más probables como barras.

    Args:
        image: uint8 [224, 224, 3] o float en 0..1, lo que admite `imshow`.
        probabilities: [clases], una fila de `predict`.
        class_names: clases, en orden.
        truth: clase verdadera, si se conoce; su barra va en verde.
    """
    best = np.argsort(probabilities)[::-1][:5]
    names = [class_names[i] for i in best]
    _, (left, right) = plt.subplots(1, 2, figsize=(8, 2.6), width_ratios=(1, 2), layout="tight")
    left.imshow(image)
    left.axis("off")
    left.set_title(f"Es: {cu.card_name(truth)}" if truth else "")
    colors = ["tab:green" if name == truth else "tab:gray" for name in names]
    bars = right.barh([cu.card_name(n) for n in names], 100 * probabilities[best], color=colors)
    right.bar_label(bars, fmt="%.1f %%", padding=3)
    right.set(
        xlim=(0, 125),
        xticks=range(0, 101, 20),
        xlabel="probabilidad (%)",
        title=f"Vemos: {cu.card_name(names[0])}",
    )
    right.invert_yaxis()
    plt.show()


def plot_readings(source, readings):
    """Dibuja la foto con lo que se vio de cada carta, y su nombre donde no tapa el índice.

    Args:
        source: la foto, como se dio a `read_cards`.
        readings: lo que da `read_cards`.
    """
    photo, scale = cu.open_scaled(source)
    readings = [replace(r, box=r.box / scale) for r in readings]
    _, ax = plt.subplots(figsize=(5.5, 4.2), layout="tight")
    ax.imshow(photo)
    ax.axis("off")
    first = readings[0]
    text = f"{cu.card_name(first.card)} ({100 * first.confidence:.0f} %)"
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

    Args:
        model, metadata: lo que da `card_model.load_model`.
        folder: carpeta con las imágenes; también se leen las de sus subcarpetas.
        csv_path: destino; se escribe al lado y se renombra al final.

    Returns:
        `pandas.DataFrame` con file (desde `folder`), number (la carta dentro de la foto, desde 1),
        card, confidence, refused, kind, box (esquinas en píxeles) y error. Una foto
        ilegible o HEIC tiene una fila con `error`; una sin cartas, una con `refused`.

    Raises:
        FileNotFoundError: no existe la carpeta.
        ValueError: no es una carpeta, no tiene imágenes, `csv_path` es una carpeta o una imagen, o
            falta "trust".
        OSError: no se puede escribir ahí el CSV; se comprueba antes de leer nada.
    """
    get_trust(metadata)
    folder, csv_path, rows = Path(folder), Path(csv_path), []
    if not folder.exists():
        raise FileNotFoundError(f"No existe la carpeta {folder}.")
    if not folder.is_dir():
        raise ValueError(f"{folder} no es una carpeta: una foto suelta se lee con read_cards.")
    known = cu.EXTENSIONS | {".heic", ".heif"}  # estas no se abren: tendrán su error
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in known)
    hidden = ("__MACOSX", ".")  # del sistema
    files = [p for p in files if not any(n.startswith(hidden) for n in p.relative_to(folder).parts)]
    if not files:
        raise ValueError(f"No hay imágenes en {folder} ({', '.join(sorted(cu.EXTENSIONS))}).")
    if csv_path.is_dir() or csv_path.suffix.lower() in known:
        raise ValueError(f"{csv_path} es una carpeta o una imagen: falta el nombre del CSV.")
    csv_path.parent.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=csv_path.parent).close()  # falla si ahí no se puede escribir
    for file in tqdm(files, unit=" fotos", desc="Leyendo"):
        name = file.relative_to(folder).as_posix()
        try:
            readings = read_cards(model, metadata, file)
        except Exception as error:  # la que sea: una foto no para a las demás
            rows.append({"file": name, "error": str(error) or type(error).__name__})
            continue
        for number, r in enumerate(readings, 1):
            row = {"file": name, "number": number, "card": r.card, "refused": r.refused}
            row |= {"confidence": round(r.confidence, 4), "kind": r.kind, "error": ""}
            row["box"] = r.box.round().astype(int).tolist()
            rows.append(row)
    columns = "file number card confidence refused kind box error".split()
    table = pd.DataFrame(rows, columns=columns)
    text = table.to_csv(index=False)  # un nombre de otro sistema puede no ser UTF-8
    cu.write_atomic(csv_path, text.encode(errors="backslashreplace"))
    return table
