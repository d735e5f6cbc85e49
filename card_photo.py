"""Buscar en una foto las cartas y sus índices, y enderezarlos hasta el cuadrado que espera la red.

Las imágenes de entrenamiento son cartas recortadas; en una foto de móvil la carta es pequeña, está
girada y en perspectiva, y en una mano solo asoma su índice. Aquí se proponen contornos de carta
(`find_cards`) y esquinas con un índice (`find_indices`); qué carta es cada una lo dice la red.
"""

import math

import cv2
import numpy as np

from card_model import load_finder

WORK_SIDE = 640  # px del lado mayor con que se busca
MIN_AREA = 0.005  # de la foto
MIN_SHORT = 48  # px de la foto en el lado corto: menos no se lee, y así un palo no es una carta
MAX_CARDS = 60
ASPECT = 2.5 / 3.5  # ancho entre alto de un naipe de póquer; el de bridge, 2.25 / 3.5
FOCAL = 1.1  # del lado mayor: entre el gran angular de un móvil (0.75) y su teleobjetivo
SUPPORT = 0.7  # parte del perímetro que ha de verse como canto
INDICES = 120  # los que salen de una foto, como mucho
LIKELY, VOTE = 0.6, 0.3  # lo mínimo que la red da a un índice, y a las casillas que lo sitúan
# Esquinas del recorte de un índice desde su letra, en veces la distancia de ella al palo: el de una
# baraja corriente queda arriba a la izquierda, con el borde de la carta a su lado
INDEX_BOX = np.array([[-0.62, -0.85], [1.98, -0.85], [1.98, 3.55], [-0.62, 3.55]])
SPAN = 22  # la diagonal de un naipe de índices pequeños, en veces esa distancia
ALONE = 0.5  # lo mínimo que da a una letra o a un palo separados
INDEX_SIDE = 1280  # px del lado mayor con que se buscan los índices; una foto pequeña se amplía
INDEX_SIZES = 8.5, 20  # px de la letra al palo que ve la red; lo mayor, con la foto a la mitad
CELL, UNIT = 4, 16  # px de una casilla de la red, y de la unidad en que da distancias


def find_cards(photo):
    """Contornos de cartas de una foto, del más al menos probable.

    Propone cuadriláteros (los contornos de varias binarizaciones), los puntúa por el canto que se
    ve y las proporciones, y quita los repetidos.

    Args:
        photo: uint8 [alto, ancho, 3], RGB, de cualquier tamaño.

    Returns:
        Lista de hasta `MAX_CARDS` arreglos float32 [4, 2] de esquinas en píxeles, en el sentido
        de las agujas del reloj; el lado 0-1 es corto y, de los dos, el de arriba.
    """
    scale = min(1, WORK_SIDE / max(photo.shape[:2]))
    if min(photo.shape[:2]) * scale < 16:
        return []
    small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
    size = np.array(lab.shape[1::-1], np.float32)
    quads, aspect = plausible(contour_quads(cv2.medianBlur(lab, 5)), size)
    if not len(quads):
        return []
    field = gradient(lab)
    prior = np.exp(-((np.log(aspect / ASPECT) / 0.5) ** 2))
    # De dos que se ven igual, la mayor: la carta, y no su filete
    prior *= (area(quads) / size.prod()) ** 0.08
    keep = np.argsort(-support(quads, field, 8) * prior)[:300]
    quads, seen = quads[keep], support(quads[keep], field, 32)
    quality = seen * prior[keep]
    found = []
    for i in np.argsort(-quality):
        short = np.linalg.norm(quads[i, 1] - quads[i, 0]) / scale
        if seen[i] < SUPPORT or short < MIN_SHORT or len(found) == MAX_CARDS:
            continue
        # Dentro de otra solo vale la que se ve mejor que ella: la carta, y no lo que lleva impreso
        least = [(j, 0.3 if seen[i] > seen[j] else 0) for j in found]
        repeated = any(same_card(quads[i], quads[j], share) for j, share in least)
        if not repeated and printed(lab, quads[i]):
            found.append(i)
    return [order(refine(quads[i], field)) / scale for i in found]


def contour_quads(lab):
    """Cuadriláteros [n, 4, 2] que envuelven los contornos de una foto Lab [alto, ancho, 3]."""
    masks = []
    for channel in cv2.split(lab):
        for low, high in ((15, 45), (60, 150)):
            masks.append(cv2.dilate(cv2.Canny(channel, low, high), np.ones((3, 3), np.uint8)))
        masks.append(cv2.threshold(channel, 0, 255, cv2.THRESH_OTSU)[1])
    frame = np.concatenate([lab[0], lab[-1], lab[:, 0], lab[:, -1]])
    away = cv2.split(cv2.absdiff(lab, np.full_like(lab, np.median(frame, axis=0))))
    away = cv2.max(cv2.max(away[0], away[1]), away[2])
    masks.append(cv2.threshold(away, 0, 255, cv2.THRESH_OTSU)[1])  # lo que no es la mesa
    masks.append(cv2.adaptiveThreshold(lab[..., 0], 255, 0, 0, 51, -4))
    quads = []
    for mask in masks:
        for contour in cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)[0]:
            hull = cv2.convexHull(contour)
            if len(hull) > 3 and cv2.contourArea(hull) > MIN_AREA * mask.size:
                quads.append(cv2.approxPolyN(hull, 4, ensure_convex=True)[0])
    return np.array(quads, np.float32).reshape(-1, 4, 2)


def plausible(quads, size):
    """Los cuadriláteros convexos que, en perspectiva, pueden ser una carta, y su proporción.

    La proporción sale de la homografía con una focal supuesta: Zhang y He, «Whiteboard scanning
    and image enhancement», 2007, ecuaciones 11 a 20.

    Args:
        quads: [n, 4, 2] en píxeles; size: [2], (ancho, alto) de la foto.

    Returns:
        (quads, aspect): [m, 4, 2] en el sentido del reloj, con el lado 0-1 corto, y [m] en 0..1.
    """
    turned = area(quads, signed=True) < 0
    quads = np.where(turned[:, None, None], quads[:, ::-1], quads)
    sides = np.roll(quads, -1, 1) - quads
    lengths = np.linalg.norm(sides, axis=2)
    sin = cross2(sides, np.roll(sides, -1, 1)) / (lengths * np.roll(lengths, -1, 1) + 1e-6)
    middle, spill = quads.mean(1), 0.15 * size
    good = (sin > 0.5).all(1) & (area(quads) > MIN_AREA * size.prod())
    good &= (lengths.min(1) > 0.25 * lengths.max(1)) & (area(quads) < 1.02 * size.prod())
    good &= ((quads > -spill) & (quads < size + spill)).all((1, 2))
    good &= ((middle > 0) & (middle < size)).all(1)
    quads = quads[good]
    rays = np.concatenate(
        [(quads - size / 2) / (FOCAL * size.max()), np.ones((len(quads), 4, 1))], 2
    )
    m1, m2, m4, m3 = rays.transpose(1, 0, 2)
    k2 = (np.cross(m1, m4) * m3).sum(1) / (np.cross(m2, m4) * m3).sum(1)
    k3 = (np.cross(m1, m4) * m2).sum(1) / (np.cross(m3, m4) * m2).sum(1)
    wide = np.linalg.norm(k2[:, None] * m2 - m1, axis=1)
    high = np.linalg.norm(k3[:, None] * m3 - m1, axis=1)
    aspect = wide / high
    quads = np.where((aspect > 1)[:, None, None], np.roll(quads, 1, 1), quads)
    aspect = np.minimum(aspect, 1 / aspect)
    return quads[aspect > 0.45], aspect[aspect > 0.45]


def cross2(a, b):
    """Producto vectorial de vectores del plano [..., 2]."""
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def area(quads, signed=False):
    """Área [n] de cuadriláteros [n, 4, 2]; con signo, positiva en el sentido del reloj."""
    twice = cross2(quads[:, 2] - quads[:, 0], quads[:, 3] - quads[:, 1])
    return twice / 2 if signed else np.abs(twice) / 2


def gradient(lab):
    """Gradiente (dx, dy), float32 [alto, ancho], del canal Lab que más cambia en cada píxel.

    Va en unidades de un canto claro, que lo es menos en una foto sin grano ni dibujo.
    """
    soft = cv2.GaussianBlur(lab, (5, 5), 0)
    (x, *dx), (y, *dy) = (cv2.split(cv2.Sobel(soft, cv2.CV_32F, *d)) for d in ((1, 0), (0, 1)))
    for u, v in zip(dx, dy, strict=True):
        more = u * u + v * v > x * x + y * y
        x, y = np.where(more, u, x), np.where(more, v, y)
    clear = np.clip(4 * np.median(np.hypot(x, y)), 10, 30)
    return x / clear, y / clear


def support(quads, field, count):
    """Parte 0..1 del perímetro [n] con un cambio perpendicular al lado, siempre del mismo signo.

    Args:
        quads: [n, 4, 2] en píxeles; field: salida de `gradient`.
        count: puntos que se miran por lado.
    """
    sides = np.roll(quads, -1, 1) - quads
    unit = sides / (np.linalg.norm(sides, axis=2, keepdims=True) + 1e-6)
    unit_x, unit_y = -unit[..., 1, None, None], unit[..., 0, None, None]  # normal al lado
    at = np.linspace(0.06, 0.94, count)[:, None]  # sin las esquinas, que son redondas
    reach = np.arange(-2, 3)
    x = quads[..., 0, None, None] + at * sides[..., 0, None, None] + reach * unit_x
    y = quads[..., 1, None, None] + at * sides[..., 1, None, None] + reach * unit_y
    x, y = np.rint(x).astype(int), np.rint(y).astype(int)
    high, wide = field[0].shape
    inside = (x > 1) & (x < wide - 2) & (y > 1) & (y < high - 2)
    here = y.clip(0, high - 1) * wide + x.clip(0, wide - 1)
    dx, dy = (part.ravel()[here] for part in field)
    across = dx * unit_x + dy * unit_y
    across *= inside & (across**2 > 0.7 * (dx**2 + dy**2))
    strong = np.minimum(np.abs(across), 1) * np.sign(across)
    votes = np.stack([strong.max(3).mean(2), (-strong).max(3).mean(2)], 2).max(2)
    votes += 0.5 * (1 - inside.any(3).mean(2))  # lo que queda fuera de la foto no se sabe
    return votes.mean(1) * 0.6 + 0.4 * np.sort(votes, 1)[:, 1]  # un lado malo se perdona


def refine(quad, field):
    """Ajusta los lados de un cuadrilátero [4, 2] al cambio más fuerte a menos de 4 px de ellos."""
    lines = []
    high, wide = field[0].shape
    for start, end in zip(quad, np.roll(quad, -1, 0), strict=True):
        unit = (end - start) / np.linalg.norm(end - start)
        normal = np.array([-unit[1], unit[0]])
        at = np.linspace(0.1, 0.9, 40)[:, None, None]
        points = start + at * (end - start) + np.arange(-4, 5)[:, None] * normal
        x, y = np.rint(points).astype(int).transpose(2, 0, 1)
        x, y = x.clip(0, wide - 1), y.clip(0, high - 1)
        across = np.abs(field[0][y, x] * normal[0] + field[1][y, x] * normal[1])
        across -= 1e-3 * np.abs(np.arange(-4, 5))  # donde nada cambia, el lado se queda
        edge = points[np.arange(40), across.argmax(1)].astype(np.float32)
        u, v, x, y = cv2.fitLine(edge, cv2.DIST_HUBER, 0, 0.01, 0.01).ravel()
        lines.append((v, -u, u * y - v * x))
    corners = np.cross(np.roll(lines, 1, 0), lines)
    corners = corners[:, :2] / corners[:, 2:]
    return corners if np.abs(corners - quad).max() < 8 else quad


def overlap(one, other):
    """Intersección entre unión, 0..1, de dos cuadriláteros convexos [4, 2]."""
    one, other = np.float32(one), np.float32(other)
    shared = cv2.intersectConvexConvex(one, other)[0]
    return shared / (area(np.stack([one, other])).sum() - shared)


def same_card(one, other, share):
    """Si dos cuadriláteros [4, 2] comparten más de `share` del mayor y la mitad del menor."""
    shared = cv2.intersectConvexConvex(one, other)[0]
    small, large = sorted(area(np.stack([one, other])))
    return shared > share * large and shared > 0.5 * small


def printed(lab, quad):
    """Si dentro de un cuadrilátero [4, 2] hay papel liso junto al canto y tinta en medio.

    Los límites dejan pasar casi todas las cartas compuestas de ajuste y descartan los palos, las
    baldosas y los trastos lisos.
    """
    card = straighten(lab, quad, (48, 64)).astype(np.int16)
    inner = card[10:-10, 8:-8].reshape(-1, 3)
    band = card[2:6, 6:-6], card[-6:-2, 6:-6], card[6:-6, 2:5], card[6:-6, -5:-2]
    band = np.concatenate([part.reshape(-1, 3) for part in band])
    paper = np.median(band, axis=0)
    clean = (np.abs(band - paper).max(1) < 25).mean()
    ink = (np.abs(inner - paper).max(1) > 25).mean()
    return clean > 0.25 and 0.02 < ink < 0.85


def order(quad):
    """El cuadrilátero [4, 2] de `plausible`, en float32, con el lado corto de arriba primero."""
    top = quad[:2, 1].sum() <= quad[2:, 1].sum()
    return (quad if top else np.roll(quad, 2, 0)).astype(np.float32)


def find_indices(photo, likely=LIKELY):
    """Esquinas de carta de una foto que pueden llevar un índice: una letra y, al lado, un palo.

    Una red pequeña, `card_model.build_finder`, los busca en la foto, en su mitad, en su cuarto...

    Args:
        photo: uint8 [alto, ancho, 3], RGB, de cualquier tamaño.
        likely: lo mínimo que esa red ha de dar a un índice, 0..1.

    Returns:
        float32 [n, 4, 2] en píxeles, `INDICES` como mucho, del más al menos probable: la esquina de
        la carta primero, en el sentido del reloj. El lado 0-1 mide 2.6 veces la distancia de la
        letra al palo, y el 1-2, 4.4.

    Raises:
        FileNotFoundError: faltan los pesos de esa red.
    """
    (ends,) = find_marks(photo, likely)
    return np.float32(index_corners(ends[:, 0], ends[:, 1]))


def find_marks(photo, likely, apart=False):
    """Los extremos [n, 2, 2] en px de lo que ve una red de `load_finder`, por clases.

    Args:
        photo, likely: los de `find_indices`.
        apart: letras y palos separados, y no índices; son grandes: se buscan desde la mitad.

    Returns:
        Lista de [n, 2, 2]: la de los índices, o las de las letras y los palos.

    Raises:
        FileNotFoundError: faltan los pesos de esa red.
    """
    scale = min(INDEX_SIDE / max(photo.shape[:2]), 2.0) / (1 + apart)
    if min(photo.shape[:2]) * scale < 16:
        return [np.empty((0, 2, 2))] * (1 + apart)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    seen, levels = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=method), []
    while not levels or max(seen.shape) >= 80 and min(seen.shape[:2]) > 1:
        marks = look_for_marks(seen, min(likely, VOTE), apart)
        # Los píxeles se cuentan por su centro
        levels.append([((ends + 0.5) / scale - 0.5, sure) for ends, sure in marks])
        seen = cv2.resize(seen, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        scale /= 2
    kinds = zip(*levels, strict=True)
    kinds = [[np.concatenate(part) for part in zip(*kind, strict=True)] for kind in kinds]
    return [merge_marks(*kind, likely) for kind in kinds]


def find_corners(photo):
    """Lo que puede ser un índice, también con el palo en la otra esquina de arriba.

    Args:
        photo: uint8 [alto, ancho, 3], RGB.

    Returns:
        (boxes, crops): listas de hasta `INDICES` esquinas float32 [4, 2] en px, y de lo que ha de
        ver la red en cada una, uint8 [224, 224, 3], RGB.

    Raises:
        FileNotFoundError: el de `find_marks`.
    """
    boxes = [*find_indices(photo)]
    crops = [straighten(photo, box) for box in boxes]
    letters, suits = pair_apart(*find_marks(photo, ALONE, apart=True))
    crops += [join_apart(photo, *pair) for pair in zip(letters, suits, strict=True)]
    boxes += [*np.float32(index_corners(letters.mean(1), letters[:, 1]))]
    return boxes[:INDICES], [sharpen(crop) for crop in crops[:INDICES]]


def look_for_marks(seen, least, apart=False):
    """Lo que la red ve a un tamaño: de cada clase, extremos [n, 2, 2] en px, y cuánto, [n]."""
    padding = 0, -len(seen) % 8, 0, -seen.shape[1] % 8
    padded = cv2.copyMakeBorder(seen, *padding, cv2.BORDER_REPLICATE)
    found = []
    for out in np.split(load_finder(apart)(padded[None]).numpy()[0], 1 + apart, -1):
        sure = 1 / (1 + np.exp(-out[..., 0]))
        row, column = np.nonzero(sure > least)
        best = np.argsort(-sure[row, column])[: 10 * INDICES]
        row, column = row[best], column[best]
        cell = np.stack([column, row], 1) * CELL + (CELL - 1) / 2
        ends = cell[:, None] + UNIT * out[row, column, 1:].reshape(-1, 2, 2)
        found.append((ends, sure[row, column]))
    return found


def merge_marks(ends, sure, likely):
    """De cada marca, la media de lo que dicen sus casillas: [n, 2, 2], del más seguro al menos."""
    middle, down = ends.mean(1), ends[:, 1] - ends[:, 0]
    size = np.linalg.norm(down, axis=1) + 1e-6
    down /= size[:, None]
    left, merged = np.argsort(-sure), []
    while len(left) and sure[best := left[0]] > likely and len(merged) < INDICES:
        away = np.linalg.norm(middle[left] - middle[best], axis=1)
        cos, ratio = down[left] @ down[best], size[left] / size[best]
        same = (away < 0.45 * size[best] * np.minimum(ratio, 1)) & (cos > 0.5)
        alike = same & (cos > 0.8) & (np.abs(np.log(ratio)) < 0.4)
        merged.append(np.average(ends[left[alike]], 0, sure[left[alike]] ** 2))
        left = left[~same]
    return np.reshape(merged, (-1, 2, 2))


def pair_apart(letters, suits):
    """Las letras y los palos que, derechos y a una altura, pueden ser los dos extremos de un naipe.

    En muchas pantallas van en las dos esquinas de arriba. Cada uno es el más cercano al otro, y la
    distancia se repite, porque los naipes de una pantalla son iguales.

    Args:
        letters, suits: [n, 2, 2] y [m, 2, 2] en px, lo alto y lo bajo de cada uno.

    Returns:
        Dos [k, 2, 2], como `letters` y `suits`: las parejas.
    """
    across, along = np.moveaxis(suits.mean(1) - letters.mean(1)[:, None], 2, 0)
    tall, high = suits[:, 1, 1] - suits[:, 0, 1], (letters[:, 1, 1] - letters[:, 0, 1])[:, None]
    fits = (1.2 * high < across) & (across < 12 * high) & (np.abs(along + 0.1 * high) < 0.5 * high)
    fits &= (0.28 * high < tall) & (tall < 1.7 * high)
    far = np.where(fits, across, np.inf)
    nearest = np.minimum.outer(*(far.min(axis, initial=np.inf) for axis in (1, 0)))
    i, j = np.nonzero(fits & (far == nearest))
    alike = np.abs(np.log(far[i, j] / far[i, j][:, None])) < 0.2
    again = alike.sum(0) > 1
    return letters[i[again]], suits[j[again]]


def join_apart(photo, letter, suit):
    """El recorte [224, 224, 3] de una pareja de `pair_apart`, como si el palo fuera debajo."""
    at, spot = letter.mean(0)[None], suit.mean(0)[None]
    # De la letra al palo de un índice hay 1.05 letras, o 1.5 palos
    below, above = (0, 1.05 * np.ptp(letter[:, 1])), (0, 1.5 * np.ptp(suit[:, 1]))
    upper = straighten(photo, index_corners(at, at + below)[0])
    lower = straighten(photo, index_corners(spot - above, spot)[0])
    cut = round(len(upper) * (0.5 - INDEX_BOX[0, 1]) / np.ptp(INDEX_BOX[:, 1]))
    return np.concatenate([upper[:cut], lower[cut:]])


def index_corners(letter, suit):
    """Esquinas de carta [n, 4, 2] cuya letra y cuyo palo están en esos sitios, [n, 2] en px."""
    down = (suit - letter)[:, None]
    right = down[..., ::-1] * (1, -1)
    across, along = INDEX_BOX.T
    return letter[:, None] + across[:, None] * right + along[:, None] * down


def index_parts(boxes):
    """Lo contrario de `index_corners`: (letter, suit), [n, 2] en px, de unas esquinas [n, 4, 2]."""
    (left, top), (right, bottom) = INDEX_BOX[0], INDEX_BOX[2]
    across = (boxes[:, 1] - boxes[:, 0]) / (right - left)
    down = (boxes[:, 3] - boxes[:, 0]) / (bottom - top)
    letter = boxes[:, 0] - left * across - top * down
    return letter, letter + down


def index_size(box):
    """De la letra al palo, en píxeles, en una esquina [4, 2]."""
    return math.dist(box[0], box[1]) / (INDEX_BOX[2, 0] - INDEX_BOX[0, 0])


def index_middle(box):
    """Entre la letra y el palo, [2] en píxeles, de una esquina [4, 2]."""
    return np.mean(index_parts(box[None]), axis=0)[0]


def placed(one, other):
    """Dónde está la esquina `other`, [4, 2], vista desde `one`.

    Returns:
        (facing, along, across): coseno del giro entre las dos, y lo que hay hacia abajo y hacia la
        derecha de `one`, en veces el tamaño medio de sus índices.
    """
    axes = [np.stack([box[1] - box[0], box[3] - box[0]]) for box in (one, other)]
    (right, down), (_, back) = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in axes)
    away = index_middle(other) - index_middle(one)
    away /= np.sqrt(index_size(one) * index_size(other))
    return down @ back, away @ down, away @ right


def contains(box, point):
    """Si un cuadrilátero [4, 2] tiene dentro un punto [2]."""
    return cv2.pointPolygonTest(np.float32(box), np.float32(point).tolist(), False) >= 0


def straighten(photo, corners, size=(224, 224)):
    """Endereza una carta de la foto, aplastada como las del conjunto de datos.

    Args:
        photo: uint8 [alto, ancho, 3], RGB.
        corners: [4, 2] en píxeles, como las de `find_cards`.
        size: (ancho, alto) del resultado.

    Returns:
        uint8 [size[1], size[0], 3], RGB.
    """
    corners = np.asarray(corners, np.float32)
    sides = np.linalg.norm(corners - np.roll(corners, 1, 0), axis=1)
    finer = 2 if sides.max() > max(size) else 1  # al doble, y al final se promedia
    wide, high = (finer * side for side in size)
    target = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float32) - 0.5
    turn = cv2.getPerspectiveTransform(corners, target)
    large = cv2.warpPerspective(photo, turn, (wide, high), borderMode=cv2.BORDER_REPLICATE)
    return cv2.resize(large, size, interpolation=cv2.INTER_AREA)


def sharpen(image):
    """Realza el contraste local de una imagen uint8 [alto, ancho, 3].

    Un índice pequeño, ampliado, sale borroso y pálido. Es una máscara de enfoque de 8 px, cuyo
    desenfoque se hace a un cuarto por rapidez.
    """
    small = cv2.resize(image, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    soft = cv2.resize(cv2.GaussianBlur(small, (0, 0), 1.9), image.shape[1::-1])
    return cv2.addWeighted(image, 2.5, soft, -1.5, 0)
