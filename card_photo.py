"""Buscar las cartas de una foto y enderezarlas hasta el cuadrado que espera la red.

Las imágenes de entrenamiento son cartas recortadas; en una foto de móvil la carta es pequeña, está
girada y en perspectiva. Aquí se proponen contornos, sin red: cuál es una carta, lo dice ella.
"""

import cv2
import numpy as np

WORK_SIDE = 640  # px del lado mayor con que se busca
MIN_AREA = 0.008  # de la foto
MAX_CARDS = 6
ASPECT = 2.5 / 3.5  # ancho entre alto de un naipe de póquer; el de bridge, 2.25 / 3.5
FOCAL = 1.1  # del lado mayor: entre el gran angular de un móvil (0.75) y su teleobjetivo
SUPPORT = 0.55  # parte del perímetro que ha de verse como canto
LINES = 22  # rectas largas que se combinan de cuatro en cuatro


def find_cards(photo):
    """Contornos de cartas de una foto, del más al menos probable.

    Propone cuadriláteros (los contornos de varias binarizaciones y las rectas largas, de cuatro
    en cuatro), los puntúa por el canto que se ve y las proporciones, y quita los repetidos.

    Args:
        photo: uint8 [alto, ancho, 3], RGB, de cualquier tamaño.

    Returns:
        Lista de hasta `MAX_CARDS` arreglos float32 [4, 2] de esquinas en píxeles, en el sentido
        de las agujas del reloj; el lado 0-1 es corto y, de los dos, el de arriba.
    """
    scale = min(1, WORK_SIDE / max(photo.shape[:2]))
    small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if min(small.shape[:2]) < 16:
        return []
    lab = cv2.medianBlur(cv2.cvtColor(small, cv2.COLOR_RGB2LAB), 5)
    size = np.array(lab.shape[1::-1], np.float32)
    quads = np.concatenate([contour_quads(lab), line_quads(small)])
    quads, aspect = plausible(quads, size)
    if not len(quads):
        return []
    field = gradient(small)
    rough = support(quads, field, 8)
    keep = np.argsort(-rough)[:150]
    quads, aspect, seen = quads[keep], aspect[keep], support(quads[keep], field, 32)
    quality = seen * np.exp(-((np.log(aspect / ASPECT) / 0.5) ** 2))
    quality *= (area(quads) / size.prod()) ** 0.08  # a igual canto, la carta y no su marco
    found = []
    for i in np.argsort(-quality):
        if seen[i] > SUPPORT and not any(same_card(quads[i], quads[j]) for j in found):
            found.append(i)
    return [order(quads[i]) / scale for i in found[:MAX_CARDS]]


def contour_quads(lab):
    """Cuadriláteros [n, 4, 2] que envuelven los contornos de una foto Lab [alto, ancho, 3]."""
    masks = []
    for channel in cv2.split(lab):
        for low, high in ((15, 45), (60, 150)):
            masks.append(cv2.dilate(cv2.Canny(channel, low, high), np.ones((3, 3), np.uint8)))
        masks.append(cv2.threshold(channel, 0, 255, cv2.THRESH_OTSU)[1])
    frame = np.concatenate([lab[0], lab[-1], lab[:, 0], lab[:, -1]])
    away = np.linalg.norm(lab - np.median(frame, axis=0), axis=2).clip(0, 255).astype(np.uint8)
    masks.append(cv2.threshold(away, 0, 255, cv2.THRESH_OTSU)[1])  # lo que no es la mesa
    masks.append(cv2.adaptiveThreshold(lab[..., 0], 255, 0, 0, 51, -4))
    quads = []
    for mask in masks:
        for contour in cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)[0]:
            hull = cv2.convexHull(contour)
            if len(hull) > 3 and cv2.contourArea(hull) > MIN_AREA * mask.size:
                quads.append(cv2.approxPolyN(hull, 4, ensure_convex=True)[0])
    return np.array(quads, np.float32).reshape(-1, 4, 2)


def line_quads(small):
    """Cuadriláteros [n, 4, 2] que forman las rectas más largas de una foto [alto, ancho, 3].

    Encuentran la carta cuyo contorno cortan un dedo, el borde o la falta de contraste.
    """
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    segments = cv2.createLineSegmentDetector().detect(grey)[0]
    if segments is None:
        return np.empty((0, 4, 2), np.float32)
    segments = segments.reshape(-1, 4)
    lengths = np.hypot(*(segments[:, 2:] - segments[:, :2]).T)
    lines, total = np.empty((0, 3)), np.empty(0)  # (a, b, c): ax + by + c = 0 con a2 + b2 = 1
    for i in np.argsort(-lengths)[:150]:
        x, y, u, v = segments[i]
        ends = np.array([[x, u], [y, v], [1, 1]])
        near = np.flatnonzero((np.abs(lines @ ends) < 2.5).all(1))
        if len(near):
            total[near[0]] += lengths[i]
        elif lengths[i] > 12:
            line = np.array([v - y, x - u, u * y - x * v]) / lengths[i]
            lines, total = np.vstack([lines, line]), np.append(total, lengths[i])
    lines = lines[np.argsort(-total)[:LINES]]
    first, second = np.triu_indices(len(lines), 1)
    cos = np.abs((lines[first, :2] * lines[second, :2]).sum(1))
    facing = np.flatnonzero(cos > 0.8)
    one, other = np.triu_indices(len(facing), 1)
    a, c = first[facing[one]], second[facing[one]]
    b, d = first[facing[other]], second[facing[other]]
    crossed = np.abs((lines[a, :2] * lines[b, :2]).sum(1)) < 0.7
    a, b, c, d = (lines[k[crossed]] for k in (a, b, c, d))
    corners = np.stack([np.cross(*pair) for pair in ((a, b), (b, c), (c, d), (d, a))], 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        corners = corners[..., :2] / corners[..., 2:]
    return corners[np.isfinite(corners).all((1, 2))].astype(np.float32)


def plausible(quads, size):
    """Los cuadriláteros convexos que, en perspectiva, pueden ser una carta, y su proporción.

    La proporción sale de la homografía con una focal supuesta: Zhang y He, «Whiteboard scanning
    and image enhancement», 2007, ecuaciones 11 a 20.

    Args:
        quads: [n, 4, 2] en píxeles.
        size: [2], (ancho, alto) de la foto.

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
    good &= ((quads > -spill) & (quads < size + spill)).all((1, 2)) & (middle > 0).all(1)
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


def gradient(small):
    """Gradiente float32 [alto, ancho, 2] del canal Lab que más cambia en cada píxel."""
    lab = cv2.GaussianBlur(cv2.cvtColor(small, cv2.COLOR_RGB2LAB), (5, 5), 0)
    both = np.stack([cv2.Sobel(lab, cv2.CV_32F, 1, 0), cv2.Sobel(lab, cv2.CV_32F, 0, 1)], 3)
    best = (both**2).sum(3).argmax(2)
    return np.take_along_axis(both, best[..., None, None], 2)[:, :, 0]


def support(quads, field, count):
    """Parte 0..1 del perímetro [n] con un cambio perpendicular al lado, siempre del mismo signo.

    Args:
        quads: [n, 4, 2] en píxeles.
        field: salida de `gradient`.
        count: puntos que se miran por lado.
    """
    sides = np.roll(quads, -1, 1) - quads
    normal = np.stack([-sides[..., 1], sides[..., 0]], 2)
    normal /= np.linalg.norm(normal, axis=2, keepdims=True) + 1e-6
    at = np.linspace(0.06, 0.94, count)  # sin las esquinas, que son redondas
    points = quads[:, :, None] + at[:, None] * sides[:, :, None]
    reach = np.arange(-2, 3)
    points = points[:, :, :, None] + reach[:, None] * normal[:, :, None, None]
    x, y = np.rint(points).astype(int).transpose(4, 0, 1, 2, 3)
    high, wide = field.shape[:2]
    inside = (x > 1) & (x < wide - 2) & (y > 1) & (y < high - 2)
    here = field[y.clip(0, high - 1), x.clip(0, wide - 1)]
    across = (here * normal[:, :, None, None]).sum(4)
    across *= inside & (np.abs(across) > 0.85 * np.linalg.norm(here, axis=4))
    strong = np.clip(np.abs(across) / 30, 0, 1) * np.sign(across)
    votes = np.stack([strong.max(3).mean(2), (-strong).max(3).mean(2)], 2).max(2)
    votes += 0.5 * (1 - inside.any(3).mean(2))  # lo que queda fuera de la foto no se sabe
    return votes.mean(1) * 0.6 + 0.4 * np.sort(votes, 1)[:, 1]  # un lado malo se perdona


def same_card(one, other):
    """Si dos cuadriláteros [4, 2] son la misma carta, o uno es el marco impreso del otro."""
    shared = cv2.intersectConvexConvex(one, other)[0]
    small, large = sorted(area(np.stack([one, other])))
    return shared > 0.2 * large and shared > 0.5 * small


def order(quad):
    """El cuadrilátero [4, 2] de `plausible`, en float32, con el lado corto de arriba primero."""
    top = quad[:2, 1].sum() <= quad[2:, 1].sum()
    return (quad if top else np.roll(quad, 2, 0)).astype(np.float32)


def straighten(photo, corners, size=(224, 224)):
    """Endereza una carta de la foto, aplastada como las del conjunto de datos.

    Args:
        photo: uint8 [alto, ancho, 3], RGB.
        corners: [4, 2] en píxeles, como las de `find_cards`.
        size: (ancho, alto) del resultado.

    Returns:
        uint8 [size[1], size[0], 3], RGB.
    """
    wide, high = (2 * side for side in size)  # al doble, y al final se promedia
    target = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float32) - 0.5
    turn = cv2.getPerspectiveTransform(np.asarray(corners, np.float32), target)
    border = cv2.BORDER_REPLICATE
    large = cv2.warpPerspective(photo, turn, (wide, high), borderMode=border)
    return cv2.resize(large, size, interpolation=cv2.INTER_AREA)
