"""Networks drawn at random from what real ones are made of: for properties that must hold for any of them."""

import random
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Step = tuple[Callable[..., Tensor], list[int], int]  # (network, *maps) → a feature map; which it reads; its channels


class RandomNetwork(nn.Module):
    """Operators on feature maps that are there already; at the end a linear layer on the means of those left unread.

    What is drawn: convolutions (grouped, depthwise, with and without bias), norms, activations, sums, products,
    concatenations, slices, shuffles, repeats, gates, and now and then a size that is written in the code.
    """

    def __init__(self, seed: int, steps: int = 9) -> None:
        super().__init__()
        chance = random.Random(seed)
        self.layers = nn.ModuleList()
        self.steps: list[Step] = []
        widths, unread = [3], {0}
        for _ in range(steps):
            first = chance.choice(sorted(unread)) if chance.random() < 0.7 else chance.randrange(len(widths))
            step = drawn(self.layers, chance, first, widths)
            self.steps.append(step)
            unread = unread - set(step[1]) | {len(widths)}
            widths.append(step[2])
        self.ends = sorted(unread)
        self.head = nn.Linear(sum(widths[end] for end in self.ends), 4)

    def forward(self, images: Tensor) -> Tensor:
        maps = [images]
        for step, sources, _ in self.steps:
            maps.append(step(self, *(maps[source] for source in sources)))
        features: Tensor = self.head(torch.cat([maps[end].mean((2, 3)) for end in self.ends], 1))
        return features


def drawn(layers: nn.ModuleList, chance: random.Random, first: int, widths: list[int]) -> Step:
    """An operator on the feature map `first`, and on others; a layer that it needs goes to `layers`."""
    width = widths[first]
    same = [number for number, other in enumerate(widths) if other == width and number != first]
    kind = chance.choice(["conv"] * 5 + ["norm", "each", "join", "join", "cat", "move", "gate", "written"])
    if kind == "norm":
        return layer(layers, norm(chance, width)), [first], width
    if kind == "each":
        return of_maps(chance.choice([F.relu, F.gelu, torch.tanh, pooled])), [first], width
    if kind == "join" and same:
        return (
            of_maps(chance.choice([torch.add, torch.sub, torch.mul, torch.maximum])),
            [first, chance.choice(same)],
            width,
        )
    if kind == "cat":
        sources = [first, *(chance.randrange(len(widths)) for _ in range(chance.randint(1, 2)))]
        return lambda _, *maps: torch.cat(maps, 1), sources, sum(widths[source] for source in sources)
    if kind == "move" and width > 3:
        move, moved = moved_channels(chance, width)
        return of_maps(move), [first], moved
    if kind == "gate":
        parts = nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, 3, 1), nn.ReLU(), nn.Conv2d(3, width, 1), nn.Sigmoid()
        gate = layer(layers, nn.Sequential(*parts))
        return lambda network, x: x * gate(network, x), [first], width
    if kind == "written" and chance.random() < 0.5:
        return lambda _, x: x * (x.shape[1] / width), [first], width
    conv = convolution(chance, width)
    return layer(layers, conv), [first], conv.out_channels


def layer(layers: nn.ModuleList, module: nn.Module) -> Callable[..., Tensor]:
    """A module that is kept, as a function that finds it in whatever copy of the network runs."""
    number = len(layers)
    layers.append(module)
    return lambda network, x: network.layers[number](x)


def of_maps(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A function of feature maps that needs no layer."""
    return lambda _, *maps: function(*maps)


def pooled(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, 1, 1)


def norm(chance: random.Random, width: int) -> nn.Module:
    groups = chance.choice([group for group in (1, 2, 3, width) if width % group == 0])
    norms: list[Any] = [nn.BatchNorm2d(width), nn.InstanceNorm2d(width, affine=True), nn.GroupNorm(groups, width)]
    return chance.choice(norms)  # type: ignore[no-any-return]


def convolution(chance: random.Random, width: int) -> nn.Conv2d:
    groups = chance.choice([group for group in (1, 1, 1, 2, width) if width % group == 0])
    wide = width * chance.choice([1, 2]) if groups == width else 2 * chance.randint(2, 5)
    return nn.Conv2d(width, wide, 3, padding=1, groups=groups, bias=chance.random() < 0.5)


def moved_channels(chance: random.Random, width: int) -> tuple[Callable[[Tensor], Tensor], int]:
    """A way to cut, repeat or shuffle the channels, and how many there are then."""
    cut = chance.randint(1, width - 2)
    moves: list[tuple[Callable[[Tensor], Tensor], int]] = [
        (lambda x: x[:, cut:], width - cut),
        (lambda x: x[:, :cut], cut),
        (lambda x: x[:, -cut:], cut),
        (lambda x: x.repeat(1, 2, 1, 1), 2 * width),
        (lambda x: F.glu(torch.cat([x, x], 1), 1), width),
    ]
    moves += [(lambda x: F.channel_shuffle(x, 2), width)] if width % 2 == 0 else []
    return chance.choice(moves)
