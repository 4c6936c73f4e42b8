"""Synthetic images: procedural objects drawn from a seed, in the sizes of CIFAR-10 and CIFAR-100.

An image shows one object on a background with clutter and noise. Its class speaks through three cues: the outline
(a flower of 0 to 5 petals, filled or a ring), the stripes on it (direction and width) and its hue. Each cue varies
within the class, and now and then it is borrowed from another class: no cue alone tells the class, and not all
images can be told. The distribution is its own mirror image, so flipping is a fair augmentation.
"""

import numpy as np
from tqdm import tqdm

VERSION = 1  # to be raised when the pixels change
SEED = 42
BORROWED = 0.22  # share of images in which a cue comes from another class, for each cue
NOISE = 0.07  # standard deviation, for values from 0 to 1
CLUTTER = 3  # small discs in front of or behind each object
CHUNK = 500

OUTLINES = [
    "disc",
    "ring",
    "clover",
    "clover ring",
    "oval",
    "oval ring",
    "star",
    "star ring",
    "diamond",
    "diamond ring",
]
PETALS = np.array([0, 3, 2, 5, 4])  # of every second outline; the others are rings of the same form


def per_class(classes: int) -> dict[str, int]:
    """Images in each class, as in CIFAR-10 (10 classes) and CIFAR-100 (100 classes)."""
    return {"train": 50_000 // classes, "test": 10_000 // classes}


def class_names(classes: int) -> list[str]:
    """The classes are named for their outline, and numbered by their stripes and hue when there are 100."""
    return (
        OUTLINES[:classes] if classes <= 10 else [f"{OUTLINES[label % 10]} {label // 10}" for label in range(classes)]
    )


def draw_images(classes: int) -> np.ndarray:
    """All images of a data set of `classes` classes: uint8 (60000, 3, 32, 32), training images first."""
    rng = np.random.default_rng([SEED, classes])
    labels = np.concatenate([np.repeat(np.arange(classes), count) for count in per_class(classes).values()])
    images = np.empty((len(labels), 3, 32, 32), np.uint8)
    chunks = range(0, len(labels), CHUNK)
    for start in tqdm(chunks, desc="Drawing synthetic images", unit=" chunks", leave=False, delay=1, mininterval=0.5):
        images[start : start + CHUNK] = _draw(labels[start : start + CHUNK], classes, rng)
    return images


def _draw(labels: np.ndarray, classes: int, rng: np.random.Generator) -> np.ndarray:
    """One image for every label: uint8 (N, 3, 32, 32)."""
    n = len(labels)
    outline, stripes, hue = (np.where(rng.random(n) < BORROWED, rng.integers(0, classes, n), labels) for _ in range(3))
    y, x = np.meshgrid(*[np.linspace(-1, 1, 32, dtype=np.float32)] * 2, indexing="ij")

    picture = _background(x, y, n, rng)
    picture = _with_clutter(picture, x, y, rng)
    shape = _outline_mask(x, y, outline % 10, rng)
    pattern = _stripes(x, y, (3 * stripes + stripes // 10) % 10, rng)
    first = _rgb(hue * 0.618 + rng.normal(0, 0.06, n), rng.uniform(0.35, 0.8, n), rng.uniform(0.6, 1, n))
    second = _rgb(hue * 0.618 + rng.normal(0.1, 0.06, n), rng.uniform(0.3, 0.8, n), rng.uniform(0.2, 0.6, n))
    for channel in range(3):
        light, dark = _column(first[channel]), _column(second[channel])
        picture[channel] += shape * (dark + (light - dark) * pattern - picture[channel])

    contrast, brightness = _column(rng.uniform(0.5, 1.0, n)), _column(rng.normal(0, 0.06, n))
    noise = rng.standard_normal((n, 32, 32), dtype=np.float32) * _column(NOISE * rng.uniform(0.5, 1.5, n))
    picture = (picture - 0.5) * contrast + (0.5 + brightness + noise)
    pixels: np.ndarray = (np.clip(picture, 0, 1) * 255).astype(np.uint8).swapaxes(0, 1)
    return pixels


def _background(x: np.ndarray, y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """A soft gradient between two pale colours: (3, N, 32, 32)."""
    angle, phase = _column(rng.uniform(0, 2 * np.pi, n)), _column(rng.uniform(0, 2 * np.pi, n))
    blend = 0.5 + 0.5 * np.sin(_column(rng.uniform(1, 3.5, n)) * (x * np.cos(angle) + y * np.sin(angle)) + phase)
    start = _rgb(rng.random(n), rng.uniform(0, 0.5, n), rng.uniform(0.2, 0.95, n))
    end = _rgb(rng.random(n), rng.uniform(0, 0.5, n), rng.uniform(0.2, 0.95, n))
    return np.stack([_column(start[channel]) + _column(end[channel] - start[channel]) * blend for channel in range(3)])


def _with_clutter(picture: np.ndarray, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    n: int = picture.shape[1]
    for _ in range(CLUTTER):
        distance = np.hypot(x - _column(rng.uniform(-1, 1, n)), y - _column(rng.uniform(-1, 1, n)))
        disc = np.clip((_column(rng.uniform(0.08, 0.35, n)) - distance) * 12 + 0.5, 0, 1)
        colour = _rgb(rng.random(n), rng.uniform(0, 0.8, n), rng.uniform(0.2, 1, n))
        for channel in range(3):
            picture[channel] += disc * (_column(colour[channel]) - picture[channel])
    return picture


def _outline_mask(x: np.ndarray, y: np.ndarray, kind: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """1 inside the object, 0 outside, soft at the edge: (N, 32, 32). kind: 0 to 9."""
    n = len(kind)
    x = x - _column(rng.uniform(-0.35, 0.35, n))
    y = y - _column(rng.uniform(-0.35, 0.35, n))
    petals = _column(PETALS[kind // 2])
    depth = _column(rng.uniform(0.12, 0.35, n))
    wave = 1 + depth * np.cos(petals * np.arctan2(y, x) + _column(rng.uniform(0, 2 * np.pi, n)))
    distance = np.hypot(x, y)
    size = _column(rng.uniform(0.4, 0.75, n)) * wave
    hole = _column((kind % 2) * rng.uniform(0.35, 0.65, n)) * size
    edge = 10
    mask: np.ndarray = np.clip((size - distance) * edge, 0, 1) * np.clip((distance - hole) * edge + (hole == 0), 0, 1)
    return mask


def _stripes(x: np.ndarray, y: np.ndarray, kind: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Stripes from 0 to 1: (N, 32, 32). kind: 0 to 9, five directions (leaning either way) by two widths."""
    n = len(kind)
    lean = rng.choice([-1, 1], n)
    angle = _column(lean * np.radians((kind % 5) * 22.5 + rng.normal(0, 9, n)))
    frequency = _column(np.where(kind < 5, 7.0, 13.0) * np.exp(rng.normal(0, 0.15, n)))
    phase = _column(rng.uniform(0, 2 * np.pi, n))
    stripes: np.ndarray = 0.5 + 0.5 * np.sin(frequency * (x * np.cos(angle) + y * np.sin(angle)) + phase)
    return stripes


def _rgb(hue: np.ndarray, saturation: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Colours (3, N), each from 0 to 1, of a hue that is counted in turns."""
    sector = (np.array([5, 3, 1])[:, None] + hue * 6) % 6
    colours: np.ndarray = value - value * saturation * np.clip(np.minimum(sector, 4 - sector), 0, 1)
    return colours


def _column(values: np.ndarray) -> np.ndarray:
    """(N,) → (N, 1, 1), float32."""
    return values.astype(np.float32)[:, None, None]
