"""Driving scenes drawn from a seed, and batches of images that an autoencoder is to give back.

They stand in for the images of the CARLA simulator in Gschossmann 2021, which cannot be shipped: a camera behind the
windscreen sees a road in perspective, with lane marks, bends, other cars, trees, lamp posts and, in town, houses, in
changing light. They are drawings: losses on them are not to be compared with losses on CARLA's images.

Lengths are in metres. A point x to the right of the camera, y above the ground and z ahead is seen at u = focal · x / z
and v = focal · (height - y) / z, both counted in widths of the image from the vanishing point, v downwards.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

LANE = 3.5
PAVEMENT = 2.5
FAR = 400.0  # the ground ends there
SKIES = [(0.2, 0.42, 0.8), (0.36, 0.56, 0.86), (0.5, 0.55, 0.62)]
HAZES = [(0.8, 0.86, 0.93), (0.93, 0.8, 0.66), (0.72, 0.74, 0.77)]
FIELDS = [(0.22, 0.38, 0.14), (0.34, 0.47, 0.2), (0.52, 0.47, 0.24), (0.48, 0.4, 0.28)]
WALLS = [(0.7, 0.62, 0.5), (0.6, 0.36, 0.28), (0.78, 0.76, 0.72), (0.48, 0.51, 0.56), (0.78, 0.66, 0.4)]
LEAVES = [(0.13, 0.3, 0.1), (0.2, 0.38, 0.12), (0.3, 0.4, 0.13), (0.5, 0.32, 0.1)]
WHITE, YELLOW, BLACK = (0.9, 0.9, 0.87), (0.85, 0.66, 0.12), (0.08, 0.08, 0.08)
STEEL, GLASS = (0.35, 0.36, 0.38), (0.14, 0.18, 0.23)
HEADLIGHTS, TAIL_LIGHTS = (1.0, 0.97, 0.85), (0.8, 0.06, 0.04)
PAINTS = [
    (0.72, 0.1, 0.08),
    (0.1, 0.24, 0.6),
    (0.86, 0.86, 0.88),
    (0.14, 0.14, 0.16),
    (0.56, 0.58, 0.62),
    (0.85, 0.62, 0.1),
]


def driving_scenes(count: int, seed: int = 0, size: int = 128) -> Tensor:
    """Scenes, uint8 (count, 3, size, size). The first ones of a larger call are those of a smaller call.

    Every scene is drawn from `seed` and its number alone. Another `size` gives the same scenes in other pixels; it is
    2 at least, and from 32 on one sees what it is. 200 scenes of 128 x 128 pixels take 3 to 6 s on one core.
    """
    scenes = np.empty((count, 3, size, size), np.uint8)
    for number in range(count):
        scenes[number] = np.rint(255 * _scene(np.random.default_rng([seed, number]), size))
    return torch.from_numpy(scenes)


@dataclass
class _View:
    """A picture (3, rows, columns) that is being painted, or a window of it, and how its camera sees the road.

    u (1, columns) and v (rows, 1) are those of the pixels' centres; `pixel` is a pixel's side in their unit. What lies
    `sight` ahead has lost 63 % of its contrast with the `haze`. The middle of the road is at
    x = offset + heading · z + bend · z² / 2.
    """

    picture: np.ndarray
    u: np.ndarray
    v: np.ndarray
    pixel: float
    focal: float
    height: float
    haze: np.ndarray
    sight: float
    offset: float
    heading: float
    bend: float

    def middle(self, z: Any) -> Any:
        return self.offset + self.heading * z + self.bend / 2 * z**2

    def paint(self, cover: Any, colour: Any, z: Any = 0.0) -> None:
        """Lay a colour (3,) or (3, rows, columns), seen from z metres, over the share `cover` of every pixel."""
        colour = np.asarray(colour, np.float32)
        colour = colour[:, None, None] if colour.ndim == 1 else colour
        haze = self.haze[:, None, None]
        self.picture += cover * (haze + np.exp(-z / self.sight) * (colour - haze) - self.picture)


@dataclass
class _Board:
    """An upright window of a view at distance z: x (1, columns), y (rows, 1) from the foot of the thing on it."""

    view: _View
    z: float
    x: np.ndarray
    y: np.ndarray

    def box(self, left: float, right: float, low: float, high: float, colour: Any) -> None:
        step = self.z * self.view.pixel / self.view.focal
        cover = _within(self.x, left, right, step) * _within(self.y, low, high, step)
        self.view.paint(cover, colour, self.z)

    def ball(self, x: float, y: float, width: float, height: float, colour: Any) -> None:
        """An ellipse around (x, y), lighter above than below."""
        step = self.z * self.view.pixel / self.view.focal
        radius = np.hypot((self.x - x) / width, (self.y - y) / height)
        light = 1 + 0.35 * np.clip((self.y - y) / height, -1, 1)
        cover = np.clip((1 - radius) * min(width, height) / step + 0.5, 0, 1)
        self.view.paint(cover, np.asarray(colour, np.float32)[:, None, None] * light, self.z)


Thing = tuple[float, Callable[[_View, float], None]]  # how far ahead it stands, and what paints it there


def _board(view: _View, s: float, z: float, width: float, top: float) -> _Board | None:
    """A board for a thing that stands s metres to the right of the road's middle; None if it is out of sight."""
    x, scale = view.middle(z) + s, view.focal / z
    columns = np.flatnonzero(np.abs(view.u[0] - scale * x) < scale * width / 2 + view.pixel)
    rows = np.flatnonzero(
        (view.v[:, 0] > scale * (view.height - top) - view.pixel) & (view.v[:, 0] < scale * (view.height + 0.3))
    )
    if not len(columns) or not len(rows):
        return None
    down, across = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    part = replace(view, picture=view.picture[:, down, across], u=view.u[:, across], v=view.v[down])
    return _Board(part, z, part.u / scale - x, view.height - part.v / scale)


def _within(at: np.ndarray, low: Any, high: Any, step: Any) -> np.ndarray:
    """Which share of a stretch of length `step` around `at` lies between low and high."""
    return np.asarray(np.clip((np.minimum(at + step / 2, high) - np.maximum(at - step / 2, low)) / step, 0, 1))


def _repeated(at: np.ndarray, period: float, length: float, step: Any) -> np.ndarray:
    """Which share of a stretch of length `step` around `at` lies on marks of that length, one in every period."""

    def marked(t: np.ndarray) -> np.ndarray:
        return np.floor(t / period) * length + np.minimum(t % period, length)

    return np.asarray((marked(at + step / 2) - marked(at - step / 2)) / step)


def _noise(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, octaves: int = 2) -> np.ndarray:
    """Smooth random values around 0, about -1 … 1, that change over a unit of x and y, and less over its halves."""
    table = rng.uniform(-1, 1, (64, 64)).astype(np.float32)
    total: np.ndarray | float = 0.0
    for octave in range(octaves):
        left, low = np.floor(x), np.floor(y)
        i, j = left.astype(int) & 63, low.astype(int) & 63
        across, up = x - left, y - low
        across, up = across * across * (3 - 2 * across), up * up * (3 - 2 * up)
        right, high = (i + 1) & 63, (j + 1) & 63
        below = table[i, j] + across * (table[right, j] - table[i, j])
        above = table[i, high] + across * (table[right, high] - table[i, high])
        total = total + (below + up * (above - below)) / 2**octave
        x, y = 2 * x + 7, 2 * y + 7
    return np.asarray(total)


def _one_of(rng: np.random.Generator, colours: list[Any], spread: float = 0.12) -> np.ndarray:
    """One of the colours, a little lighter or darker."""
    return np.array(colours[rng.integers(len(colours))], np.float32) * rng.uniform(1 - spread, 1 + spread)


def _scene(rng: np.random.Generator, size: int) -> np.ndarray:
    """One scene, (3, size, size) in 0 … 1."""
    town = bool(rng.random() < 0.4)
    half = LANE * int(rng.integers(1, 3))  # of the road's width
    weather = int(rng.integers(3))
    horizon, centres = rng.uniform(0.36, 0.5), (np.arange(size, dtype=np.float32) + 0.5) / size
    view = _View(
        picture=np.zeros((3, size, size), np.float32),
        u=centres[None] - np.float32(0.5),
        v=centres[:, None] - np.float32(horizon),
        pixel=1 / size,
        focal=rng.uniform(0.62, 0.85),
        height=rng.uniform(1.3, 1.8),
        haze=_one_of(rng, HAZES[weather : weather + 1], 0.06),
        sight=math.exp(rng.uniform(math.log(150), math.log(800))),
        offset=-LANE * (rng.integers(int(half / LANE)) + 0.5) + rng.normal(0, 0.25),  # in one of the lanes on the right
        heading=rng.normal(0, 0.02),
        bend=rng.normal(0, 0.0015 if town else 0.005),
    )
    _paint_sky(view, rng, SKIES[weather])
    _paint_hills(view, rng)
    _paint_ground(view, rng, half, town)
    if town:
        _paint_houses(view, rng, half + PAVEMENT + rng.uniform(0, 2))
    things = _trees(rng, half, town) + _posts(rng, half) + _cars(rng, half)
    for z, draw in sorted(things, key=lambda thing: -thing[0]):
        draw(view, z)
    contrast, brightness, warmth = rng.uniform(0.85, 1.15), rng.uniform(0.65, 1.1), rng.normal(0, 0.05)
    tint = brightness * (1 + warmth * np.array([1, 0, -1], np.float32)[:, None, None])
    return np.clip(((view.picture - 0.5) * contrast + 0.5) * tint, 0, 1)


def _paint_sky(view: _View, rng: np.random.Generator, zenith: tuple[float, ...]) -> None:
    """From the haze at the horizon to the colour above, with clouds that shrink towards the horizon."""
    up = np.maximum(-view.v, 0.002)
    rise = (up / 0.45) ** rng.uniform(0.4, 0.9)
    view.picture[:] = view.haze[:, None, None]
    view.paint(np.clip(rise, 0, 1), _one_of(rng, [zenith]))
    field = _noise(rng, 0.35 * view.u / (up + 0.12) + 20, 0.35 / (up + 0.12), octaves=4)
    clouds = np.clip((field - rng.uniform(-0.3, 0.9)) * 1.6, 0, 1) * np.clip(up / 0.06, 0, 1)
    view.paint(0.85 * clouds, np.minimum(view.haze + 0.08, 1))


def _paint_hills(view: _View, rng: np.random.Generator) -> None:
    """Two ranges of hills, the nearer one darker and often a wood."""
    for distance, steep in ((1.2, 0.05), (0.5, 0.03)):
        crest = rng.uniform(0.3, 1.2) * steep * (1 + _noise(rng, 5 * view.u + 30, 0 * view.u, octaves=4))
        colour = _one_of(rng, [(0.24, 0.32, 0.3), (0.2, 0.3, 0.16), (0.4, 0.38, 0.3)])
        view.paint(np.clip((crest + view.v) / view.pixel + 0.5, 0, 1), colour, distance * view.sight)


def _paint_ground(view: _View, rng: np.random.Generator, half: float, town: bool) -> None:
    """Fields, or the pavements of a town; the road and its marks."""
    row = int((view.v <= 0).sum())
    ground = replace(view, picture=view.picture[:, row:], v=view.v[row:])
    z = np.minimum(view.focal * view.height / ground.v, FAR)
    side = z * view.pixel / view.focal  # a pixel's side on the ground
    ahead = z * side / view.height
    across = side * np.hypot(1, ground.u / ground.v)  # over this length s blurs, because v changes within a pixel too
    s = z * ground.u / view.focal - view.middle(z)
    fine = np.clip(2 - ahead, 0, 1)  # the grain shows near the camera only
    grain = 0.5 * _noise(rng, s / 6, z / 9) + fine * 0.35 * _noise(rng, 2.5 * s, 1.2 * z)
    field = (0.62, 0.6, 0.57) if town else _one_of(rng, FIELDS)
    ground.paint(1.0, np.multiply.outer(np.asarray(field, np.float32), 1 + (0.12 if town else 0.35) * grain), z)
    if town:
        for edge in (-half - 0.2, half + 0.2):
            ground.paint(_within(s, edge - 0.2, edge + 0.2, across), (0.45, 0.45, 0.45), z)
    else:
        ground.paint(_within(s, -half - 0.8, half + 0.8, across), _one_of(rng, [(0.5, 0.46, 0.38)]), z)
    asphalt = rng.uniform(0.24, 0.42) * np.array([1, 1, rng.uniform(1, 1.08)], np.float32)
    tracks = 0.06 * np.cos(2 * np.pi * s / (LANE / 2)) * np.clip(2 - side, 0, 1)
    ground.paint(_within(s, -half, half, across), np.multiply.outer(asphalt, 1 + 0.18 * grain - tracks), z)
    middle = (WHITE, YELLOW)[rng.integers(2)]
    start, solid = rng.uniform(0, 12), rng.random() < 0.3
    dashes = _repeated(z + start, 9.0, 4.0, ahead)
    for place in np.arange(-half, half + 0.1, LANE):
        edge = abs(place) == half
        inset = place - np.sign(place) * (0.25 if edge else 0)
        along = 1.0 if edge or (place == 0 and solid) else dashes
        ground.paint(0.95 * along * _within(s, inset - 0.09, inset + 0.09, across), WHITE if place else middle, z)
    if town and rng.random() < 0.4:
        begin = rng.uniform(7, 25)
        stripes = _within(z, begin, begin + 3, ahead) * _repeated(s + half - 0.3, 1.0, 0.5, across)
        ground.paint(0.9 * stripes * _within(s, -half + 0.3, half - 0.3, across), WHITE, z)


def _paint_houses(view: _View, rng: np.random.Generator, distance: float) -> None:
    """A row of houses on each side, their fronts `distance` metres from the middle of the road."""
    sides = (-1, 1) if view.bend > 0 else (1, -1)  # the inner side of the bend hides the outer one
    for side in sides:
        length, shift = rng.uniform(9, 16), rng.uniform(0, 16)
        heights = rng.uniform(6, 16, 64) * (rng.random(64) < 0.85)
        colours = np.array([_one_of(rng, WALLS) for _ in range(64)], np.float32) * (0.8 if side > 0 else 1.0)
        z = _first_crossing(view, side * distance)
        number = ((z + shift) / length).astype(int) & 63
        y = view.height - view.v * z / view.focal
        step = z * view.pixel / view.focal
        along = np.abs(np.gradient(z, axis=1))
        wall = _within(y, 0.0, heights[number], step) * (z < FAR)
        view.paint(wall, colours[number].transpose(2, 0, 1), z)
        floors = _repeated(y + 2.0, 3.0, 1.6, step) * _within(y, 0.8, heights[number] - 1, step)
        windows = _repeated(z + shift, length / 4, length / 8, np.maximum(along, 1e-3))
        view.paint(wall * floors * windows, GLASS, z)
        view.paint(wall * _within(y, heights[number] - 0.5, heights[number], step), (0.3, 0.25, 0.22), z)


def _first_crossing(view: _View, s: float) -> np.ndarray:
    """How far ahead each column's line of sight meets the line at s beside the road, (1, columns); never: 10 · FAR."""
    a, b, c = view.bend / 2, view.heading - view.u / view.focal, view.offset + s
    root = np.sqrt(np.maximum(b * b - 4 * a * c, 0))
    q = -0.5 * (b + np.where(b < 0, -1, 1) * root)
    with np.errstate(divide="ignore", invalid="ignore"):
        roots = np.stack([q / a, c / q])
    valid = (roots > 0.5) & (b * b >= 4 * a * c)
    return np.asarray(np.where(valid, roots, 10 * FAR).min(axis=0))


def _trees(rng: np.random.Generator, half: float, town: bool) -> list[Thing]:
    """Trees beside the road, most of them in the country: broad crowns, or firs."""
    leaves, firs = _one_of(rng, LEAVES), not town and rng.random() < 0.35
    things: list[Thing] = []
    for z in rng.uniform(8, 140, rng.integers(0, 6 if town else 26)):
        away = 1.6 if town else rng.uniform(2.5, 30)
        things.append((z, _tree(rng, rng.choice([-1, 1]) * (half + away), firs, leaves)))
    return things


def _tree(rng: np.random.Generator, s: float, fir: bool, leaves: np.ndarray) -> Callable[[_View, float], None]:
    tall, colour = rng.uniform(4.5, 9), leaves * rng.uniform(0.8, 1.2)
    blobs = rng.uniform(-1, 1, (7, 2))

    def draw(view: _View, z: float) -> None:
        if not (board := _board(view, s, z, 0.9 * tall, 1.1 * tall)):
            return
        _shadow(board, 0.35 * tall)
        board.box(-0.03 * tall, 0.03 * tall, 0, 0.5 * tall, (0.25, 0.18, 0.12))
        if fir:
            for low in np.linspace(0.15, 0.8, 6):
                width = 0.3 * (1.05 - low) * tall
                board.ball(0, (low + 0.02) * tall, width, 0.14 * tall, colour * (0.7 + 0.4 * low))
        else:
            for x, y in blobs:
                size = tall * (0.2 + 0.05 * x * y)
                board.ball(0.2 * tall * x, tall * (0.68 + 0.17 * y), size, size, colour * (1 + 0.15 * y))

    return draw


def _posts(rng: np.random.Generator, half: float) -> list[Thing]:
    """Lamp posts in a row, or reflector posts, or nothing."""
    kind, gap, first, side = rng.integers(3), rng.uniform(18, 30), rng.uniform(6, 20), rng.choice([-1, 1])

    def lamp(view: _View, z: float) -> None:
        if board := _board(view, side * (half + 1.0), z, 5, 7):
            board.box(-0.08, 0.08, 0, 6.5, STEEL)
            board.box(-0.9 * (side + 1), 0.9 * (1 - side), 6.4, 6.55, STEEL)
            board.box(-1.5 * side - 0.3, -1.5 * side + 0.3, 6.3, 6.42, HEADLIGHTS)

    def reflector(view: _View, z: float) -> None:
        for s in (-half - 0.6, half + 0.6):
            if board := _board(view, s, z, 0.5, 1.2):
                board.box(-0.07, 0.07, 0, 1.05, WHITE)
                board.box(-0.07, 0.07, 0.7, 0.9, BLACK)

    draw = (lamp, reflector, None)[kind]
    return [] if draw is None else [(first + gap * number, draw) for number in range(5)]


def _cars(rng: np.random.Generator, half: float) -> list[Thing]:
    """Cars and vans in the lanes: those on the right drive ahead, those on the left come towards the camera."""
    things: list[Thing] = []
    for s in np.arange(LANE / 2 - half, half, LANE).tolist():
        z = rng.uniform(7, 30)
        for _ in range(rng.integers(0, 3)):
            things.append((z, _car(rng, s + rng.normal(0, 0.15), comes=s < 0)))
            z += rng.uniform(12, 45)
    return things


def _car(rng: np.random.Generator, s: float, comes: bool) -> Callable[[_View, float], None]:
    """One car: slices one behind the other, which show as its side, and in front of them the end that one sees."""
    colour, van = _one_of(rng, PAINTS), rng.random() < 0.25
    wide, tall, long = (2.0, 2.3, 5.0) if van else (1.8, 1.45, 4.2)
    side, lights = wide / 2, HEADLIGHTS if comes else TAIL_LIGHTS

    def slice_of(board: _Board, depth: float) -> None:
        if 0.5 < depth < 1.3 or long - 1.3 < depth < long - 0.5:
            board.box(-side, side, 0, 0.6, BLACK)
            board.box(-side, side, 0.6, 0.9, 0.72 * colour)
        else:
            board.box(-side, side, 0.28, 0.9, 0.72 * colour)
        if van or 0.5 < depth < 0.7 * long:
            board.box(0.12 - side, side - 0.12, 0.9, tall, 0.72 * colour if van and depth > 1.5 else GLASS)
            board.box(0.12 - side, side - 0.12, tall - 0.12, tall, colour)

    def end_of(board: _Board) -> None:
        for left in (-side, side - 0.3):
            board.box(left, left + 0.3, 0, 0.3, BLACK)
        board.box(-side, side, 0.25, tall if van else 0.95, colour)
        board.box(-side, side, 0.25, 0.4, 0.5 * colour)
        board.box(0.2 - side, side - 0.2, 1.0, tall - 0.12, GLASS)
        for left in (0.05 - side, side - 0.4):
            board.box(left, left + 0.35, 0.62, 0.82, lights)
        board.box(-0.26, 0.26, 0.45, 0.57, WHITE)

    def draw(view: _View, z: float) -> None:
        for depth in np.linspace(long, 0, 13).tolist():
            if board := _board(view, s, z + depth, wide + 1.2, tall + 0.2):
                if depth == long:
                    _shadow(board, side + 0.2)
                slice_of(board, depth)
                if depth == 0:
                    end_of(board)

    return draw


def _shadow(board: _Board, reach: float) -> None:
    """A dark patch on the ground under the thing."""
    step = board.z * board.view.pixel / board.view.focal
    radius = np.hypot(board.x / reach, board.y / 0.14)
    board.view.paint(0.55 * np.clip((1 - radius) * 0.14 / step + 0.5, 0, 1), (0.08, 0.08, 0.09), board.z)
