"""The course's networks for 32×32 colour images; every one knows the recipe that builds it again."""

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor, nn

_P = ParamSpec("_P")
_N = TypeVar("_N", bound=nn.Module)

_builders: dict[str, Callable[..., nn.Module]] = {}


def builder(function: Callable[_P, _N]) -> Callable[_P, _N]:
    """Register a function that returns a network, so that `build` and `load_network` find it by its name.

    Its arguments must be plain data (numbers, strings, lists). The network gets `network.recipe`, which
    `copy.deepcopy` keeps: `{"builder": name, "arguments": {…}}`.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def build_and_stamp(*args: _P.args, **kwargs: _P.kwargs) -> _N:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        network = function(*args, **kwargs)
        arguments = {name: _plain(value) for name, value in bound.arguments.items()}
        recipe: Any = {"builder": function.__name__, "arguments": arguments}
        network.recipe = recipe
        return network

    _builders[function.__name__] = build_and_stamp
    return build_and_stamp


def build(recipe: Mapping[str, Any]) -> nn.Module:
    """Build the network that a recipe describes, with the same initial weights.

    Raises ValueError when the recipe names no builder that has been imported, or has wrong arguments.
    """
    name, arguments = recipe.get("builder"), recipe.get("arguments", {})
    if not isinstance(name, str) or name not in _builders:
        raise ValueError(
            f"There is no builder {name!r}; known are {', '.join(sorted(_builders))}. "
            "If it is defined in a module of its own, import that module first."
        )
    try:
        inspect.signature(_builders[name]).bind(**arguments)
    except TypeError as error:
        raise ValueError(f"The recipe's arguments do not fit {name}: {error}.") from None
    return _builders[name](**arguments)


def names() -> list[str]:
    """The names of all networks that can be built with their arguments left out."""
    return [name for name in _builders if name not in ("from_torchvision", "from_timm")]


def parameter_count(network: nn.Module) -> int:
    """Number of learned values; a tensor that two layers share is counted once, running statistics never."""
    return sum(parameter.numel() for parameter in network.parameters())


@builder
def vgg_mini(widths: Sequence[int] = (32, 32, 64, 64, 128, 128), classes: int = 4, seed: int = 0) -> "VGG":
    """The course's small VGG: 289,508 parameters and 38.6 million MACs with the default widths.

    Images (N, 3, 32, 32) → logits (N, classes). Blocks conv 3×3 – batch norm – ReLU, one a width, with a 2×2
    max-pool after every second one (at most four pools); then average pooling to 2×2, so that after flatten
    channel j of the last block owns the columns 4j … 4j+3 of the linear layer. Simonyan & Zisserman 2014.
    """
    pairs = len(widths) // 2
    if not 0 < pairs <= 4:
        raise ValueError(f"vgg_mini takes 2 to 9 widths, not {len(widths)}.")
    plan: list[int | str] = []
    for index, width in enumerate(widths):
        plan += [width, "pool"] if index % 2 else [width]
    return _seeded(lambda: VGG(plan, final=2, classes=classes), seed)


@builder
def vgg16(widths: Sequence[int] | None = None, classes: int = 10, seed: int = 0) -> "VGG":
    """VGG-16 for CIFAR: 13 convolutions without bias, each with a batch norm, 5 max-pools, one linear layer.

    Images (N, 3, 32, 32) → logits (N, classes); at the end every channel is one number, so that it owns one
    column of the linear layer. 14.72 million parameters. Simonyan & Zisserman 2014, as in Li et al. 2016.
    """
    sizes = [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512] if widths is None else list(widths)
    if len(sizes) != 13:
        raise ValueError(f"vgg16 takes 13 widths, not {len(sizes)}.")
    plan: list[int | str] = []
    for index, width in enumerate(sizes):
        plan += [width, "pool"] if index in (1, 3, 6, 9, 12) else [width]
    return _seeded(lambda: VGG(plan, final=1, classes=classes), seed)


@builder
def resnet20(widths: Sequence[int] = (16, 32, 64), classes: int = 10, seed: int = 0, inner: float = 1.0) -> "ResNet":
    """ResNet-20 for CIFAR (He et al. 2015, section 4.2): images (N, 3, 32, 32) → logits (N, classes).

    Where a block changes the shape, its shortcut is a 1×1 convolution with a batch norm (their option B), not
    padding with zeros (option A), so that every channel count can change. `inner`: how many times as wide as its
    outputs a block is inside.
    """
    return _seeded(lambda: ResNet(widths, blocks=(3, 3, 3), classes=classes, inner=inner), seed)


@builder
def resnet56(widths: Sequence[int] = (16, 32, 64), classes: int = 10, seed: int = 0) -> "ResNet":
    """ResNet-56 for CIFAR (He et al. 2015, section 4.2), with projection shortcuts as in `resnet20`."""
    return _seeded(lambda: ResNet(widths, blocks=(9, 9, 9), classes=classes), seed)


@builder
def resnet18(widths: Sequence[int] = (64, 128, 256, 512), classes: int = 10, seed: int = 0) -> "ResNet":
    """ResNet-18 for 32×32 images: a 3×3 stem of stride 1 and no max-pool; 11.17 million parameters.

    Images (N, 3, 32, 32) → logits (N, classes). He et al. 2015; the stem is the usual one for CIFAR.
    """
    return _seeded(lambda: ResNet(widths, blocks=(2, 2, 2, 2), classes=classes), seed)


@builder
def mobile_mini(widths: Sequence[int] = (32, 64, 128, 128, 256, 256), classes: int = 4, seed: int = 0) -> "MobileNet":
    """A small MobileNet: 135,236 parameters and 16.5 million MACs with the default widths.

    Images (N, 3, 32, 32) → logits (N, classes). A stem of `widths[0]` filters, then one depthwise-separable block a
    width; the second, fourth and sixth block halve the image. Howard et al. 2017.
    """
    if not 2 <= len(widths) <= 8:
        raise ValueError(f"mobile_mini takes 2 to 8 widths, not {len(widths)}.")
    return _seeded(lambda: MobileNet(widths, classes), seed)


@builder
def rgb_autoencoder(width: float = 1.0, seed: int = 0) -> "Autoencoder":
    """The RGB autoencoder of Gschossmann 2021 (table 2): images (N, 3, H, W) in 0 … 1 → images of the same shape.

    H and W are multiples of 8; in the middle an image is 128 feature maps of H/8 × W/8. `width` multiplies all hidden
    channel counts (64 and 128 in the report, 1.55 million parameters). Every convolution has a batch norm and a ReLU,
    as there, but for the last one, which could not give out all colours behind a ReLU.
    """
    small, large = max(1, round(64 * width)), max(1, round(128 * width))
    return _seeded(lambda: Autoencoder(small, large), seed)


@builder
def from_torchvision(name: str, classes: int = 1000, seed: int = 0) -> nn.Module:
    """A classification network of `torchvision.models` by name, untrained: images (N, 3, H, W) → logits (N, classes).

    Raises ValueError for a name that torchvision does not have.
    """
    from torchvision import models

    if name not in models.list_models(module=models):
        raise ValueError(f"torchvision has no classification network {name!r}.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: nn.Module = models.get_model(name, weights=None, num_classes=classes)
    return network


@builder
def from_timm(name: str, classes: int = 1000, seed: int = 0) -> nn.Module:
    """A network of `timm` by name, untrained: images (N, 3, H, W) → logits (N, classes).

    Raises ValueError for a name that timm does not have, and where timm is not installed.
    """
    try:
        timm = importlib.import_module("timm")  # by its name: nothing of the course needs it
    except ImportError:
        raise ValueError("timm is not installed here: pip install timm.") from None
    if name not in timm.list_models(pretrained=False):
        raise ValueError(f"timm has no network {name!r}.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: nn.Module = timm.create_model(name, pretrained=False, num_classes=classes)
    return network


class VGG(nn.Module):
    """`features`: a flat Sequential of conv, batch norm, ReLU and pools; `classifier`: one linear layer.

    `plan` lists the convolutions' widths and "pool"; the last feature maps are `final` × `final` pixels.
    """

    def __init__(self, plan: Sequence[int | str], final: int, classes: int):
        super().__init__()
        layers: list[nn.Module] = []
        channels, side = 3, 32
        for item in plan:
            if isinstance(item, str):
                layers.append(nn.MaxPool2d(2))
                side //= 2
            else:
                layers += [
                    nn.Conv2d(channels, item, 3, padding=1, bias=False),
                    nn.BatchNorm2d(item),
                    nn.ReLU(),
                ]
                channels = item
        if side > final:
            layers.append(nn.AvgPool2d(side // final))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels * final**2, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, 3, H, W)."""
        logits: Tensor = self.classifier(self.features(images).flatten(1))
        return logits


class Autoencoder(nn.Module):
    """`encoder`: seven convolutions 3×3, three max-pools; `decoder`: seven more, three transposed ones of stride 2."""

    def __init__(self, small: int, large: int):
        super().__init__()
        encoder: list[nn.Module] = []
        channels = 3
        for block in ((small, small), (large, large), (large, large, large)):
            for width in block:
                encoder += _layer(nn.Conv2d(channels, width, 3, padding=1, bias=False))
                channels = width
            encoder.append(nn.MaxPool2d(2))
        decoder: list[nn.Module] = []
        for block in ((large, large, large), (large, small), (small, 3)):
            decoder += _layer(nn.ConvTranspose2d(channels, channels, 2, stride=2, bias=False))
            for width in block:
                decoder += _layer(nn.Conv2d(channels, width, 3, padding=1, bias=False))
                channels = width
        self.encoder = nn.Sequential(*encoder)
        self.decoder = nn.Sequential(*decoder[:-3], nn.Conv2d(small, 3, 3, padding=1))

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W) as the decoder draws them again: the same shape."""
        drawn: Tensor = self.decoder(self.encoder(images))
        return drawn


def _layer(conv: nn.Conv2d | nn.ConvTranspose2d) -> list[nn.Module]:
    """A convolution with its batch norm and ReLU."""
    return [conv, nn.BatchNorm2d(conv.out_channels), nn.ReLU()]


class MobileNet(nn.Module):
    """`features`: a conv 3×3, then depthwise convs 3×3 and pointwise ones in turn, each with batch norm and ReLU.

    Depthwise: one filter a channel. Pointwise: 1×1, over all channels. The strides are the depthwise ones' (training:
    see `course_utils.training`, where 1×1 convolutions with a stride take another memory layout).
    """

    def __init__(self, widths: Sequence[int], classes: int):
        super().__init__()
        channels = widths[0]
        layers = _layer(nn.Conv2d(3, channels, 3, padding=1, bias=False))
        for block, width in enumerate(widths[1:], start=1):
            stride = 1 if block % 2 else 2
            depthwise = nn.Conv2d(channels, channels, 3, stride, padding=1, groups=channels, bias=False)
            layers += _layer(depthwise) + _layer(nn.Conv2d(channels, width, 1, bias=False))
            channels = width
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, 3, H, W)."""
        logits: Tensor = self.classifier(self.pool(self.features(images)).flatten(1))
        return logits


class ResNet(nn.Module):
    """Conv 3×3, stages of basic blocks (each but the first halves the image), mean, linear layer."""

    def __init__(self, widths: Sequence[int], blocks: Sequence[int], classes: int, inner: float = 1.0):
        super().__init__()
        if len(widths) != len(blocks):
            raise ValueError(f"This network has {len(blocks)} stages: give {len(blocks)} widths, not {len(widths)}.")
        self.conv1 = nn.Conv2d(3, widths[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU()
        stages, channels = [], widths[0]
        for stage, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            layers = []
            for index in range(count):
                layers.append(BasicBlock(channels, width, 2 if stage and not index else 1, inner))
                channels = width
            stages.append(nn.Sequential(*layers))
        self.stages = nn.Sequential(*stages)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, 3, H, W)."""
        maps = self.stages(self.relu(self.bn1(self.conv1(images))))
        logits: Tensor = self.classifier(self.pool(maps).flatten(1))
        return logits


class BasicBlock(nn.Module):
    """relu(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x)), the shortcut the identity where shapes allow.

    Between its convolutions there are round(inner · outputs) channels, at least one.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, inner: float = 1.0):
        super().__init__()
        between = max(1, round(inner * outputs))
        self.conv1 = nn.Conv2d(inputs, between, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(between)
        self.conv2 = nn.Conv2d(between, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, maps: Tensor) -> Tensor:
        """Feature maps (N, inputs, H, W) → (N, outputs, H / stride, W / stride)."""
        inner = self.relu(self.bn1(self.conv1(maps)))
        joined: Tensor = self.relu(self.bn2(self.conv2(inner)) + self.shortcut(maps))
        return joined


def _seeded(make: Callable[[], _N], seed: int) -> _N:
    """Make a network and draw its weights from `seed` alone; the global generators stay as they were.

    Convolutions: normal with variance 2 / fan-out (He et al. 2015). Linear layers: PyTorch's uniform range.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = make()
        draw_convolutions(network)
    return network


def draw_convolutions(network: nn.Module) -> None:
    """Draw the weights of all convolutions anew, in place: normal with variance 2 / fan-out (He et al. 2015)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _plain(value: Any) -> Any:
    """Tuples and other sequences as lists: the form in which a recipe is stored."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value
