"""Small networks of every kind, and for each what the pruner does with it: a zoo to find where it fails.

"exact": something can go, and removing equals silencing. "frozen": nothing can go, for reasons that are told.
"refused": a sentence says why the network is not taken.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize
from torch.nn.utils import prune as masking

Expected = Literal["exact", "frozen", "refused"]
Made = tuple[nn.Module, Any]
Maker = Callable[[], Made]


@dataclass(frozen=True)
class Entry:
    """A network of the zoo; `make()` gives it, always the same, with an example: a tensor or a tuple."""

    name: str
    kind: str
    expect: Expected
    make: Maker


NETWORKS: dict[str, Entry] = {}


def network(kind: str, expect: Expected) -> Callable[[Maker], Maker]:
    """A decorator that puts a maker into `NETWORKS`, seeded."""

    def enter(maker: Maker) -> Maker:
        def make() -> Made:
            with torch.random.fork_rng():
                torch.manual_seed(0)
                return maker()

        assert maker.__name__ not in NETWORKS
        NETWORKS[maker.__name__] = Entry(maker.__name__, kind, expect, make)
        return make

    return enter


class Net(nn.Module):
    """Layers, parameters and buffers given by name, with a function of (network, *inputs) as forward pass."""

    def __init__(self, run: Callable[..., Any], **members: Any) -> None:
        super().__init__()
        for name, member in members.items():
            if isinstance(member, Tensor) and not isinstance(member, nn.Parameter):
                self.register_buffer(name, member)
            else:
                setattr(self, name, member)
        self.run = run

    def forward(self, *inputs: Any) -> Any:
        return self.run(self, *inputs)


def lively(network: nn.Module) -> nn.Module:
    """The same network in evaluation mode, with statistics, scales and shifts of its norms drawn at random."""
    with torch.no_grad():
        for module in network.modules():
            mean, var = getattr(module, "running_mean", None), getattr(module, "running_var", None)
            if isinstance(mean, Tensor) and isinstance(var, Tensor):
                mean.normal_(std=0.3)
                var.uniform_(0.5, 1.5)
            scale, shift = getattr(module, "weight", None), getattr(module, "bias", None)
            if isinstance(scale, nn.Parameter) and scale.ndim == 1 and not _is_lazy(scale):
                scale.uniform_(0.5, 1.5)
                if isinstance(shift, nn.Parameter):
                    shift.normal_(std=0.3)
    return network.eval()


def _is_lazy(parameter: Tensor) -> bool:
    return isinstance(parameter, nn.parameter.UninitializedTensorMixin)


def images(channels: int = 3, side: int = 8, count: int = 2) -> Tensor:
    return torch.randn(count, channels, side, side)


def conv(inputs: int, outputs: int, size: int = 3, **options: Any) -> nn.Conv2d:
    """A convolution that keeps the number of pixels, if its stride is 1."""
    return nn.Conv2d(inputs, outputs, size, **{"padding": size // 2, **options})


def conv_norm(inputs: int, outputs: int, size: int = 3, **options: Any) -> nn.Sequential:
    """A convolution, its batch norm and a ReLU."""
    return nn.Sequential(conv(inputs, outputs, size, bias=False, **options), nn.BatchNorm2d(outputs), nn.ReLU())


def pooled(x: Tensor) -> Tensor:
    """The mean over all pixels."""
    return x.mean((2, 3))


def weight(*shape: int) -> nn.Parameter:
    """A random parameter."""
    return nn.Parameter(torch.randn(shape) / math.sqrt(shape[-1]))


# --- plain chains


@network("plain chains", "exact")
def two_convolutions() -> Made:
    """A convolution, a ReLU, a convolution."""
    return Net(lambda n, x: n.b(n.a(x).relu()), a=conv(3, 8), b=conv(8, 4)), images()


@network("plain chains", "exact")
def small_vgg() -> Made:
    """Convolutions with batch norms, pooling, a flattened map and two linear layers."""
    layers = [conv_norm(3, 8), conv_norm(8, 8), nn.MaxPool2d(2), conv_norm(8, 12), nn.AvgPool2d(2), nn.Flatten()]
    return lively(nn.Sequential(*layers, nn.Linear(48, 10), nn.Dropout(), nn.ReLU(), nn.Linear(10, 5))), images()


@network("plain chains", "exact")
def multilayer_perceptron_with_batch_norm() -> Made:
    """Linear layers with one-dimensional batch norms."""
    layers = [nn.Linear(6, 10), nn.BatchNorm1d(10), nn.GELU(), nn.Linear(10, 8), nn.BatchNorm1d(8), nn.Tanh()]
    return lively(nn.Sequential(*layers, nn.Linear(8, 3))), torch.randn(5, 6)


@network("plain chains", "exact")
def norm_before_the_first_convolution() -> Made:
    """The input itself is normalised by a batch norm, which nothing can narrow."""
    return lively(nn.Sequential(nn.BatchNorm2d(3), conv_norm(3, 8), conv(8, 4))), images()


@network("plain chains", "frozen")
def one_convolution() -> Made:
    """Its channels are the output."""
    return nn.Sequential(conv(3, 8), nn.ReLU()), images()


@network("plain chains", "exact")
def channels_last_in_memory() -> Made:
    """Weights and images in the channels-last memory format."""
    net = lively(nn.Sequential(conv_norm(3, 8), conv_norm(8, 8), conv(8, 4)))
    return net.to(memory_format=torch.channels_last), images().to(memory_format=torch.channels_last)


@network("plain chains", "exact")
def batch_of_one_image() -> Made:
    """The batch has one image, the last map one pixel."""
    net = nn.Sequential(conv_norm(3, 8), nn.MaxPool2d(8), conv_norm(8, 6, 1), nn.Flatten(), nn.Linear(6, 3))
    return lively(net), images(count=1)


@network("plain chains", "exact")
def sizes_that_coincide() -> Made:
    """Batch, channels and pixels all number 4, so no axis can be told by its size."""
    return lively(nn.Sequential(conv_norm(4, 4), conv_norm(4, 4), nn.Flatten(), nn.Linear(64, 4))), images(4, 4, 4)


# --- residual


class Block(nn.Module):
    """A residual block, with a projection where shapes change."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.a = conv(inputs, outputs, stride=stride, bias=False)
        self.norm_a = nn.BatchNorm2d(outputs)
        self.b = conv(outputs, outputs, bias=False)
        self.norm_b = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride > 1 or inputs != outputs:
            self.shortcut.append(conv(inputs, outputs, 1, stride=stride, bias=False)).append(nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm_b(self.b(F.relu(self.norm_a(self.a(x))))) + self.shortcut(x))


@network("residual", "exact")
def residual_with_identity_and_projection() -> Made:
    """Two blocks of a ResNet."""
    return lively(nn.Sequential(conv_norm(3, 8), Block(8, 8), Block(8, 12, 2), Block(12, 12), conv(12, 4))), images()


@network("residual", "exact")
def last_batch_norm_of_each_block_starts_at_zero() -> Made:
    """As ResNets are trained: at first no block does anything, and a trial on the network as it is sees nothing."""
    net = lively(nn.Sequential(conv_norm(3, 8), Block(8, 8), Block(8, 8), conv(8, 4)))
    for block in (net[1], net[2]):
        nn.init.zeros_(block.norm_b.weight)
        nn.init.zeros_(block.norm_b.bias)
    return net, images()


@network("residual", "exact")
def shortcut_padded_with_zeros() -> Made:
    """Option A of the ResNet paper: every second pixel, channels padded on both sides."""

    def run(n, x):
        x = n.stem(x)
        x = F.relu(n.b(n.a(x)) + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2)))
        return n.head(pooled(x))

    layers = {"stem": conv_norm(3, 8), "a": conv_norm(8, 12, stride=2), "b": conv(12, 12), "head": nn.Linear(12, 4)}
    return lively(Net(run, **layers)), images()


@network("residual", "frozen")
def shortcut_concatenated_with_zeros() -> Made:
    """Option A written with a tensor of zeros of the size that the shortcut has."""

    def run(n, x):
        x = n.stem(x)
        short = F.avg_pool2d(x, 2)
        return n.head(n.a(x) + torch.cat([short, torch.zeros_like(short)], 1))

    return lively(Net(run, stem=conv_norm(3, 6), a=conv(6, 12, stride=2), head=conv(12, 4))), images()


@network("residual", "exact")
def pre_activation() -> Made:
    """Norm and ReLU come before each convolution."""

    def run(n, x):
        x = n.stem(x)
        for one, a, two, b in zip(n.ones, n.a, n.twos, n.b, strict=True):
            x = x + b(F.relu(two(a(F.relu(one(x))))))
        return n.head(pooled(F.relu(n.last(x))))

    lists = {name: nn.ModuleList(nn.BatchNorm2d(8) for _ in range(2)) for name in ("ones", "twos")}
    lists |= {name: nn.ModuleList(conv(8, 8, bias=False) for _ in range(2)) for name in ("a", "b")}
    return lively(Net(run, stem=conv(3, 8), last=nn.BatchNorm2d(8), head=nn.Linear(8, 4), **lists)), images()


@network("residual", "exact")
def scalar_gain_that_starts_at_zero() -> Made:
    """ReZero: each block is multiplied by one number, which starts at zero."""

    def run(n, x):
        x = n.stem(x)
        return n.head(x + n.gain * n.b(n.a(x).relu()))

    gain = nn.Parameter(torch.zeros(()))
    return Net(run, stem=conv(3, 8), a=conv(8, 6), b=conv(6, 8), gain=gain, head=conv(8, 4)), images()


@network("residual", "exact")
def scalar_gain_of_a_written_size() -> Made:
    """As above, but the silenced block takes its size from the code: only a trial with a gain that is not zero sees."""

    def run(n, x):
        x = n.stem(x)
        inner = n.a(x).relu()
        return n.head(x + n.gain * n.b(inner * (inner.shape[1] / 6)))

    gain = nn.Parameter(torch.zeros(1))
    return Net(run, stem=conv(3, 8), a=conv(8, 6), b=conv(6, 8), gain=gain, head=conv(8, 4)), images()


@network("residual", "exact")
def layer_scale_that_starts_at_zero() -> Made:
    """One factor for each channel, all zero."""

    def run(n, x):
        x = n.stem(x)
        return n.head(x + n.scale * n.b(n.a(x).relu()))

    scale = nn.Parameter(torch.zeros(8, 1, 1))
    return Net(run, stem=conv(3, 8), a=conv(8, 6), b=conv(6, 8), scale=scale, head=conv(8, 4)), images()


@network("residual", "exact")
def stochastic_depth() -> Made:
    """Torchvision's stochastic depth, which evaluation switches off."""

    def run(n, x):
        x = n.stem(x)
        return n.head(x + n.depth(n.b(n.a(x))))

    depth = torchvision.ops.StochasticDepth(0.5, "row")
    return lively(
        Net(run, stem=conv_norm(3, 8), a=conv_norm(8, 6), b=conv(6, 8), depth=depth, head=conv(8, 4))
    ), images()


@network("residual", "exact")
def residual_that_is_broadcast() -> Made:
    """One channel is added to eight."""
    return Net(lambda n, x: n.c(n.a(x) + n.b(x)), a=conv(3, 8), b=conv(3, 1), c=conv(8, 4)), images()


# --- concatenations


@network("concatenations", "exact")
def dense_block() -> Made:
    """Every layer reads all that came before."""

    def run(n, x):
        x = n.stem(x)
        for norm, layer in zip(n.norms, n.convs, strict=True):
            x = torch.cat([x, layer(F.relu(norm(x)))], 1)
        return n.head(pooled(x))

    norms = nn.ModuleList(nn.BatchNorm2d(size) for size in (6, 10, 14))
    convs = nn.ModuleList(conv(size, 4) for size in (6, 10, 14))
    return lively(Net(run, stem=conv(3, 6), norms=norms, convs=convs, head=nn.Linear(18, 4))), images()


@network("concatenations", "exact")
def inception_module() -> Made:
    """Branches of several sizes, concatenated, twice."""

    def run(n, x):
        x = torch.cat([n.a(x), n.b(x), n.c(F.max_pool2d(x, 3, 1, 1))], 1)
        return n.f(torch.cat([n.d(x), n.e(x), x], 1))

    layers = {"a": conv_norm(3, 4, 1), "b": conv_norm(3, 6), "c": conv_norm(3, 2, 1), "d": conv_norm(12, 4, 1)}
    return lively(Net(run, **layers, e=conv_norm(12, 6, 5), f=conv(22, 4))), images()


@network("concatenations", "exact")
def unet_with_interpolation() -> Made:
    """A skip connection beside a map that is made larger again."""

    def run(n, x):
        a = n.a(x)
        b = n.b(F.max_pool2d(a, 2))
        return n.d(n.c(torch.cat([a, F.interpolate(b, size=a.shape[2:], mode="bilinear")], 1)))

    layers = {"a": conv_norm(3, 6), "b": conv_norm(6, 8), "c": conv_norm(14, 6), "d": conv(6, 2, 1)}
    return lively(Net(run, **layers)), images()


@network("concatenations", "exact")
def unet_with_transposed_convolution() -> Made:
    """A skip connection beside what a transposed convolution makes."""

    def run(n, x):
        a = n.a(x)
        return n.c(torch.cat([n.up(n.b(F.max_pool2d(a, 2))), a], 1))

    up = nn.ConvTranspose2d(8, 6, 2, stride=2)
    return lively(Net(run, a=conv_norm(3, 6), b=conv_norm(6, 8), up=up, c=conv(12, 2))), images()


@network("concatenations", "exact")
def pixel_shuffle() -> Made:
    """Four channels become one of twice the size: they go together."""
    net = nn.Sequential(conv(3, 8), nn.ReLU(), conv(8, 16), nn.PixelShuffle(2), nn.ReLU(), conv(4, 3))
    return net, images()


@network("concatenations", "exact")
def pixel_unshuffle() -> Made:
    """One channel becomes four of half the size."""
    return nn.Sequential(conv(3, 4), nn.ReLU(), nn.PixelUnshuffle(2), conv(16, 3)), images()


@network("concatenations", "exact")
def concatenation_of_one_map_with_itself() -> Made:
    """The same channels twice, with opposite signs (CReLU)."""

    def run(n, x):
        x = n.a(x)
        return n.b(F.relu(torch.cat([x, -x], 1)))

    return Net(run, a=conv(3, 6), b=conv(12, 4)), images()


@network("concatenations", "exact")
def pyramid_with_heads_of_different_strides() -> Made:
    """A feature pyramid: lateral convolutions, additions, a head that all levels share."""

    def run(n, x):
        a = n.a(x)
        b = n.b(a)
        c = n.c(b)
        c = n.lateral_c(c)
        b = n.lateral_b(b) + F.interpolate(c, scale_factor=2.0)
        a = n.lateral_a(a) + F.interpolate(b, scale_factor=2.0)
        return [n.head(level) for level in (a, b, c)]

    layers = {"a": conv_norm(3, 4), "b": conv_norm(4, 6, stride=2), "c": conv_norm(6, 8, stride=2)}
    layers |= {"lateral_a": conv(4, 6, 1), "lateral_b": conv(6, 6, 1), "lateral_c": conv(8, 6, 1)}
    return lively(Net(run, **layers, head=conv(6, 3))), images()


# --- convolutions of all sorts


@network("convolutions", "exact")
def grouped_convolution() -> Made:
    """Two groups; both lose the same positions."""
    return lively(nn.Sequential(conv_norm(3, 8), conv_norm(8, 12, groups=2), conv(12, 4))), images()


@network("convolutions", "exact")
def grouped_convolutions_of_different_numbers() -> Made:
    """Two groups, then three."""
    return lively(
        nn.Sequential(conv_norm(3, 8), conv(8, 12, groups=2), nn.ReLU(), conv(12, 6, groups=3), conv(6, 2))
    ), images()


@network("convolutions", "exact")
def grouped_convolution_with_a_shortcut() -> Made:
    """A ResNeXt block: the shortcut passes the groups by."""

    def run(n, x):
        x = n.stem(x)
        return n.head(x + n.b(n.a(x).relu()))

    return lively(Net(run, stem=conv_norm(3, 8), a=conv(8, 8, groups=4), b=conv(8, 8, 1), head=conv(8, 4))), images()


@network("convolutions", "exact")
def inverted_residual() -> Made:
    """MobileNet's block: wide, depthwise, narrow."""

    def run(n, x):
        x = n.stem(x)
        return n.head(x + n.narrow(n.deep(n.wide(x))))

    layers = {"stem": conv_norm(3, 6), "wide": conv_norm(6, 12, 1), "deep": conv_norm(12, 12, groups=12)}
    return lively(Net(run, **layers, narrow=conv(12, 6, 1), head=conv(6, 4))), images()


@network("convolutions", "exact")
def depthwise_that_doubles_the_channels() -> Made:
    """A depthwise convolution with two outputs for each input."""
    return nn.Sequential(conv(3, 6), nn.ReLU(), conv(6, 12, groups=6), nn.ReLU(), conv(12, 4)), images()


@network("convolutions", "exact")
def dilated_and_reflected() -> Made:
    """Dilated convolutions, padded with reflections and in circles."""
    a = conv(3, 8, dilation=2, padding=2, padding_mode="reflect")
    return nn.Sequential(
        a, nn.ReLU(), conv(8, 6, padding_mode="circular"), nn.SiLU(), conv(6, 4, padding="same")
    ), images()


@network("convolutions", "exact")
def transposed_in_groups() -> Made:
    """Transposed convolutions, one of them in groups, one depthwise."""
    grouped = nn.ConvTranspose2d(8, 12, 2, stride=2, groups=2)
    deep = nn.ConvTranspose2d(12, 12, 3, groups=12)
    return nn.Sequential(conv(3, 8), nn.ReLU(), grouped, nn.ReLU(), deep, nn.ReLU(), conv(12, 4)), images()


@network("convolutions", "exact")
def one_dimension() -> Made:
    """A chain over sequences, with dilation."""
    layers = [nn.Conv1d(3, 8, 3), nn.BatchNorm1d(8), nn.ReLU(), nn.Conv1d(8, 6, 3, dilation=2), nn.ReLU()]
    return lively(nn.Sequential(*layers, nn.AdaptiveAvgPool1d(2), nn.Flatten(), nn.Linear(12, 3))), torch.randn(
        2, 3, 16
    )


@network("convolutions", "exact")
def three_dimensions() -> Made:
    """A chain over volumes."""
    layers = [nn.Conv3d(2, 6, 3), nn.BatchNorm3d(6), nn.ReLU(), nn.MaxPool3d(2), nn.ConvTranspose3d(6, 4, 2), nn.ReLU()]
    return lively(nn.Sequential(*layers, nn.Conv3d(4, 2, 1))), torch.randn(2, 2, 8, 8, 8)


# --- channels moved about


def shuffled(x: Tensor, rows: int) -> Tensor:
    """ShuffleNet's permutation, with sizes computed."""
    count, channels, height, width = x.shape
    return x.view(count, rows, channels // rows, height, width).transpose(1, 2).reshape(count, channels, height, width)


@network("moved channels", "exact")
def channel_shuffle() -> Made:
    """Grouped convolutions with a shuffle between them."""
    run = lambda n, x: n.c(n.b(shuffled(n.a(n.stem(x)), 2)))  # noqa: E731
    return lively(
        Net(run, stem=conv_norm(3, 8), a=conv(8, 8, groups=2), b=conv(8, 8, groups=2), c=conv(8, 4))
    ), images()


@network("moved channels", "exact")
def channel_shuffle_of_torch() -> Made:
    """The same by torch.nn.ChannelShuffle."""
    layers = [conv_norm(3, 8), conv(8, 8, 1, groups=2), nn.ChannelShuffle(2), conv(8, 8, groups=2), nn.ReLU()]
    return lively(nn.Sequential(*layers, conv(8, 4))), images()


@network("moved channels", "exact")
def halves_by_chunk() -> Made:
    """ShuffleNet v2: one half passes, the other is worked on; `chunk` follows the width."""

    def run(n, x):
        a, b = n.stem(x).chunk(2, 1)
        return n.head(torch.cat([a, n.b(b)], 1))

    return lively(Net(run, stem=conv_norm(3, 8), b=conv(4, 4), head=conv(8, 4))), images()


@network("moved channels", "frozen")
def parts_by_split_of_written_sizes() -> Made:
    """The sizes of the parts are written in forward."""

    def run(n, x):
        a, b = n.stem(x).split([2, 6], 1)
        return n.a(a) + n.b(b)

    return lively(Net(run, stem=conv_norm(3, 8), a=conv(2, 4), b=conv(6, 4))), images()


@network("moved channels", "exact")
def slice_after_a_relu_in_place() -> Made:
    """Behind the slice channels may go; what is sliced was made by an operation in place."""

    def run(n, x):
        x = F.relu(n.a(x), inplace=True)
        return n.b(x[:, :3]) + n.c(x)

    return Net(run, a=conv(3, 8), b=conv(3, 4), c=conv(8, 4)), images()


@network("moved channels", "exact")
def last_part_after_a_relu_in_place() -> Made:
    """A slice to the end, x[:, k:], after an in-place ReLU of the whole."""

    def run(n, x):
        x = n.a(x)
        x.relu_()
        return n.b(x[:, 3:])

    return Net(run, a=conv(3, 8), b=conv(5, 4)), images()


@network("moved channels", "frozen")
def slice_that_is_written_to() -> Made:
    """The first four channels are changed in place; those behind them may go."""

    def run(n, x):
        x = n.a(x)
        x[:, :4] = x[:, :4].relu()
        return n.b(x)

    return Net(run, a=conv(3, 6), b=conv(6, 4)), images()


@network("moved channels", "frozen")
def channels_unbound() -> Made:
    """Each channel by itself, the last one from the end."""

    def run(n, x):
        first, *_, last = n.a(x).unbind(1)
        return n.b(torch.stack([first, last], 1))

    return Net(run, a=conv(3, 2), b=conv(2, 4)), images()


@network("moved channels", "frozen")
def branches_stacked() -> Made:
    """Two maps stacked on a new axis, then weighed and summed (selective kernels)."""

    def run(n, x):
        x = torch.stack([n.a(x), n.b(x)], 1)
        gates = n.gate(x.sum(1).mean((2, 3))).unflatten(1, (2, -1)).softmax(1)
        return n.c((x * gates[..., None, None]).sum(1))

    return Net(run, a=conv(3, 6), b=conv(3, 6), gate=nn.Linear(6, 12), c=conv(6, 4)), images()


@network("moved channels", "exact")
def stacked_and_flattened() -> Made:
    """Channels of two maps take turns."""
    run = lambda n, x: n.c(torch.stack([n.a(x), n.b(x)], 2).flatten(1, 2))  # noqa: E731
    return Net(run, a=conv(3, 6), b=conv(3, 6), c=conv(12, 4)), images()


@network("moved channels", "exact")
def channels_repeated() -> Made:
    """All channels once more behind each other, by repeat and by tile."""
    run = lambda n, x: n.b(n.a(x).repeat(1, 2, 1, 1)) + n.c(torch.tile(n.a(x), (1, 3, 1, 1)))  # noqa: E731
    return Net(run, a=conv(3, 6), b=conv(12, 4), c=conv(18, 4)), images()


@network("moved channels", "exact")
def channels_interleaved_with_themselves() -> Made:
    """Each channel twice in a row."""
    return Net(lambda n, x: n.b(n.a(x).repeat_interleave(2, 1)), a=conv(3, 6), b=conv(12, 4)), images()


@network("moved channels", "exact")
def vector_expanded_over_pixels() -> Made:
    """The mean of each channel is expanded over all pixels and concatenated."""

    def run(n, x):
        x = n.a(x)
        return n.b(torch.cat([x, pooled(x)[:, :, None, None].expand(-1, -1, *x.shape[2:])], 1))

    return Net(run, a=conv(3, 6), b=conv(12, 4)), images()


@network("moved channels", "frozen")
def channels_flipped_and_rolled() -> Made:
    """The order of channels is turned round."""
    return Net(
        lambda n, x: n.b(n.a(x).flip(1)) + n.c(n.a(x).roll(2, 3)), a=conv(3, 6), b=conv(6, 4), c=conv(6, 4)
    ), images()


@network("moved channels", "frozen")
def maxout() -> Made:
    """The larger one of every two neighbouring channels."""

    def run(n, x):
        x = n.a(x)
        return n.b(x.view(x.shape[0], -1, 2, *x.shape[2:]).amax(2))

    return Net(run, a=conv(3, 12), b=conv(6, 4)), images()


@network("moved channels", "exact")
def unfold_and_fold() -> Made:
    """Patches as columns, a linear layer on them, and back."""

    def run(n, x):
        x = n.b(F.unfold(n.a(x), 2, stride=2).transpose(1, 2)).relu()
        return F.fold(n.c(x).transpose(1, 2), 8, 2, stride=2)

    return Net(run, a=conv(3, 6), b=nn.Linear(24, 10), c=nn.Linear(10, 12)), images()


# --- statistics


@network("statistics", "exact")
def mean_and_deviation_over_pixels() -> Made:
    """Mean, standard deviation and variance of each channel, concatenated."""

    def run(n, x):
        x = n.a(x)
        return n.b(torch.cat([x.mean((2, 3)), x.std((2, 3)), x.var((2, 3), correction=0)], 1))

    return Net(run, a=conv(3, 6), b=nn.Linear(18, 4)), images()


@network("statistics", "exact")
def norm_over_pixels() -> Made:
    """Each channel is divided by its own length: nan where it is zero everywhere."""

    def run(n, x):
        x = n.a(x)
        return n.b(x / x.norm(dim=(2, 3), keepdim=True))

    return Net(run, a=conv(3, 6), b=conv(6, 4)), images()


@network("statistics", "frozen")
def norm_over_channels() -> Made:
    """Each pixel is divided by the length of its vector: every channel matters to all."""

    def run(n, x):
        x = n.a(x)
        return n.b(x / x.norm(dim=1, keepdim=True))

    return Net(run, a=conv(3, 6), b=conv(6, 4)), images()


@network("statistics", "frozen")
def normalised_vector() -> Made:
    """F.normalize of an embedding: the same with one function."""
    return Net(lambda n, x: n.b(F.normalize(n.a(x))), a=nn.Linear(6, 8), b=nn.Linear(8, 3)), torch.randn(4, 6)


@network("statistics", "exact")
def deviation_over_everything() -> Made:
    """Global std pooling beside a chain: the deviation over all channels and pixels scales the output."""

    def run(n, x):
        x = n.b(n.a(x).relu())
        return n.c(x) * x.std((1, 2, 3), keepdim=True)

    return Net(run, a=conv(3, 8), b=conv(8, 6), c=conv(6, 4)), images()


@network("statistics", "frozen")
def softmax_over_channels() -> Made:
    """Every channel is in every other's denominator."""
    return Net(lambda n, x: n.b(n.a(x).softmax(1)), a=conv(3, 6), b=conv(6, 4)), images()


@network("statistics", "frozen")
def channels_sorted() -> Made:
    """The three largest channels of each pixel: any of them."""
    return Net(lambda n, x: n.b(n.a(x).topk(3, dim=1).values), a=conv(3, 6), b=conv(3, 4)), images()


# --- norms


@network("norms", "exact")
def group_norm() -> Made:
    """Statistics of four channels together: whole groups may go."""
    return lively(nn.Sequential(conv(3, 8), nn.GroupNorm(2, 8), nn.ReLU(), conv(8, 4))), images()


@network("norms", "exact")
def group_norm_of_single_channels() -> Made:
    """As many groups as channels: an instance norm, but for the number of groups that is written in it."""
    return lively(nn.Sequential(conv(3, 8), nn.GroupNorm(8, 8), nn.ReLU(), conv(8, 6), nn.ReLU(), conv(6, 4))), images()


@network("norms", "exact")
def instance_norm_with_affine() -> Made:
    """Statistics of each channel of each image."""
    return lively(nn.Sequential(conv(3, 8), nn.InstanceNorm2d(8, affine=True), nn.ReLU(), conv(8, 4))), images()


@network("norms", "exact")
def instance_norm_with_running_statistics() -> Made:
    """In evaluation it is a batch norm."""
    norm = nn.InstanceNorm2d(8, affine=True, track_running_stats=True)
    return lively(nn.Sequential(conv(3, 8), norm, nn.ReLU(), conv(8, 4))), images()


@network("norms", "exact")
def instance_and_batch_norm_without_affine() -> Made:
    """Norms without parameters of their own, with and without running statistics."""
    layers = [conv(3, 8), nn.InstanceNorm2d(8), nn.ReLU(), conv(8, 6), nn.BatchNorm2d(6, affine=False), nn.ReLU()]
    return lively(nn.Sequential(*layers, conv(6, 4))), images()


@network("norms", "exact")
def batch_norm_of_the_batch() -> Made:
    """A batch norm that keeps no statistics and takes those of the batch in evaluation too."""
    norm = nn.BatchNorm2d(8, track_running_stats=False)
    return lively(nn.Sequential(conv(3, 8), norm, nn.ReLU(), conv(8, 4))), images()


@network("norms", "exact")
def layer_norm_with_channels_last() -> Made:
    """A ConvNeXt block: the stem stays, the hidden layer of the block goes."""

    def run(n, x):
        x = n.stem(x)
        y = n.b(F.gelu(n.a(n.norm(n.deep(x).permute(0, 2, 3, 1)))))
        return n.head(pooled(x + y.permute(0, 3, 1, 2)))

    layers = {"stem": conv(3, 8), "deep": conv(8, 8, groups=8), "norm": nn.LayerNorm(8), "a": nn.Linear(8, 12)}
    return lively(Net(run, **layers, b=nn.Linear(12, 8), head=nn.Linear(8, 4))), images()


class ChannelsFirstNorm(nn.Module):
    """A layer norm over channels that lie first, written out."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        x = x - x.mean(1, keepdim=True)
        x = x / (x.pow(2).mean(1, keepdim=True) + 1e-6).sqrt()
        return self.weight[:, None, None] * x + self.bias[:, None, None]


@network("norms", "frozen")
def layer_norm_with_channels_first() -> Made:
    """Written out as ConvNeXt has it: every channel is in the mean."""
    return lively(nn.Sequential(conv(3, 8), ChannelsFirstNorm(8), nn.ReLU(), conv(8, 4))), images()


@network("norms", "frozen")
def layer_norm_of_everything_without_affine() -> Made:
    """A function without parameters over channels and pixels."""
    return Net(lambda n, x: n.b(F.layer_norm(n.a(x), n.a(x).shape[1:])), a=conv(3, 8), b=conv(8, 4)), images()


@network("norms", "frozen")
def root_mean_square_norm() -> Made:
    """RMSNorm over features."""
    return lively(nn.Sequential(nn.Linear(6, 8), nn.RMSNorm(8), nn.Linear(8, 4))), torch.randn(2, 5, 6)


@network("norms", "frozen")
def local_response_norm() -> Made:
    """AlexNet's: each channel is divided by its neighbours."""
    return nn.Sequential(conv(3, 8), nn.LocalResponseNorm(3), conv(8, 4)), images()


@network("norms", "exact")
def one_batch_norm_used_twice() -> Made:
    """The same statistics behind two convolutions."""
    run = lambda n, x: n.c(F.relu(n.norm(n.b(F.relu(n.norm(n.a(x)))))))  # noqa: E731
    return lively(Net(run, a=conv(3, 8), b=conv(8, 8), norm=nn.BatchNorm2d(8), c=conv(8, 4))), images()


# --- products of matrices


@network("products", "exact")
def einsum_as_a_linear_layer() -> Made:
    """Both weights by torch.einsum."""

    def run(n, x):
        return torch.einsum("bth,oh->bto", torch.einsum("btc,hc->bth", x, n.a).relu(), n.b)

    return Net(run, a=weight(8, 6), b=weight(4, 8)), torch.randn(2, 5, 6)


@network("products", "frozen")
def einsum_as_attention() -> Made:
    """Values may go; queries and keys go together, if the scale did not count them."""

    def run(n, x):
        scores = torch.einsum("bic,bjc->bij", n.q(x), n.k(x)).softmax(-1)
        return n.out(torch.einsum("bij,bjc->bic", scores, n.v(x)))

    return Net(run, q=nn.Linear(6, 8), k=nn.Linear(6, 8), v=nn.Linear(6, 8), out=nn.Linear(8, 4)), torch.randn(2, 5, 6)


@network("products", "exact")
def batched_products() -> Made:
    """bmm of two feature maps: what is summed over goes from both, but a product reads it, not a weight."""

    def run(n, x):
        a, b = n.a(x).flatten(2), n.b(x).flatten(2)
        return n.d(n.c(torch.bmm(a.transpose(1, 2), b)).relu())

    return Net(run, a=conv(3, 8), b=conv(3, 8), c=nn.Linear(64, 6), d=nn.Linear(6, 4)), images()


@network("products", "exact")
def weight_on_the_left() -> Made:
    """W @ x with features first."""
    return Net(lambda n, x: n.b @ (n.a @ x).relu(), a=weight(8, 6), b=weight(4, 8)), torch.randn(2, 6, 5)


@network("products", "exact")
def weight_on_the_right() -> Made:
    """x @ W, with a bias that is added."""
    bias = nn.Parameter(torch.randn(8))
    return Net(lambda n, x: (x @ n.a + n.bias).relu() @ n.b, a=weight(6, 8), b=weight(8, 4), bias=bias), torch.randn(
        2, 6
    )


@network("products", "frozen")
def matrix_times_vector() -> Made:
    """The last layer is a vector: mv."""
    return Net(lambda n, x: torch.mv(n.a(x).relu(), n.b), a=nn.Linear(6, 8), b=weight(8)), torch.randn(5, 6)


@network("products", "exact")
def tied_autoencoder() -> Made:
    """The decoder is the encoder's weight, transposed."""
    run = lambda n, x: F.linear(n.a(x).relu(), n.a.weight.t(), n.bias)  # noqa: E731
    return Net(run, a=nn.Linear(6, 8), bias=nn.Parameter(torch.zeros(6))), torch.randn(4, 6)


@network("products", "exact")
def functional_weights() -> Made:
    """F.conv2d with parameters of the outermost module, one of them doubled."""

    def run(n, x):
        return F.conv2d(F.conv2d(x, n.a, n.bias, padding=1).relu(), 2 * n.b)

    return Net(run, a=weight(8, 3, 3, 3), bias=weight(8), b=weight(4, 8, 3, 3)), images()


class StandardisedConv(nn.Conv2d):
    """Weight standardisation: each filter has mean 0 and deviation 1."""

    def forward(self, x: Tensor) -> Tensor:
        std, mean = torch.std_mean(self.weight, (1, 2, 3), keepdim=True)
        return F.conv2d(x, (self.weight - mean) / (std + 1e-5), self.bias, self.stride, self.padding)


@network("products", "exact")
def standardised_weights() -> Made:
    """Filters may go, but not what they read: that is in their mean."""
    layers = [conv(3, 8), nn.ReLU(), StandardisedConv(8, 6, 3, padding=1), nn.ReLU(), conv(6, 4)]
    return nn.Sequential(*layers), images()


@network("products", "frozen")
def bilinear_layer() -> Made:
    """nn.Bilinear of two hidden vectors."""
    layers = {"a": nn.Linear(6, 8), "b": nn.Linear(6, 5), "both": nn.Bilinear(8, 5, 4)}
    return Net(lambda n, x: n.both(n.a(x).relu(), n.b(x).relu()), **layers), torch.randn(4, 6)


# --- shared, tied, unused


@network("sharing", "exact")
def registered_under_two_names() -> Made:
    """One layer has two names, and is called by the second."""
    a = conv(3, 8)
    return Net(lambda n, x: n.b(n.other(x).relu()), a=a, other=a, b=conv(8, 4)), images()


@network("sharing", "exact")
def layer_called_twice() -> Made:
    """A recurrent block: the same convolution again on its own output."""
    return Net(lambda n, x: n.c(n.b(n.b(n.a(x)).relu()).relu()), a=conv(3, 8), b=conv(8, 8), c=conv(8, 4)), images()


@network("sharing", "exact")
def tied_weights_of_two_layers() -> Made:
    """Two layers have one weight and biases of their own."""
    net = Net(lambda n, x: n.c(n.a(x).relu() + n.b(-x)), a=conv(3, 8), b=conv(3, 8), c=conv(8, 4))
    net.b.weight = net.a.weight
    return net, images()


@network("sharing", "exact")
def embedding_tied_to_the_output() -> Made:
    """A language model: the embedding is the classifier, and its features go from both."""

    def run(n, x):
        return n.head(n.b(n.a(n.words(x)).relu()))

    net = Net(run, words=nn.Embedding(11, 8), a=nn.Linear(8, 12), b=nn.Linear(12, 8), head=nn.Linear(8, 11, bias=False))
    net.head.weight = net.words.weight
    return net, torch.randint(0, 11, (2, 6))


@network("sharing", "exact")
def siamese() -> Made:
    """One encoder for two images; their difference is judged."""
    encoder = nn.Sequential(conv_norm(3, 6), conv_norm(6, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    run = lambda n, x, y: n.head((n.encoder(x) - n.encoder(y)).abs())  # noqa: E731
    return lively(Net(run, encoder=encoder, head=nn.Linear(8, 1))), (images(), images())


@network("sharing", "exact")
def unused_parameters() -> Made:
    """A layer that no forward pass calls: it stays as it is."""
    return Net(lambda n, x: n.b(n.a(x).relu()), a=conv(3, 8), b=conv(8, 4), unused=conv(8, 2)), images()


@network("sharing", "exact")
def auxiliary_head_in_training() -> Made:
    """A second classifier in training only."""

    def run(n, x):
        x = n.a(x)
        return (n.b(x), n.aux(pooled(x))) if n.training else n.b(x)

    return lively(Net(run, a=conv_norm(3, 8), b=conv(8, 4), aux=nn.Linear(8, 4))), images()


@network("sharing", "exact")
def frozen_parameters() -> Made:
    """A backbone that requires no gradients."""
    net = lively(nn.Sequential(conv_norm(3, 8), conv_norm(8, 8), conv(8, 4)))
    net[:2].requires_grad_(False)
    return net, images()


# --- parametrizations and masks


@network("parametrizations", "exact")
def spectral_norm() -> Made:
    """The middle layer is divided by its largest singular value: only the last group is free."""
    layers = [conv(3, 8), nn.ReLU(), parametrizations.spectral_norm(conv(8, 8)), nn.ReLU(), conv(8, 6), nn.ReLU()]
    return nn.Sequential(*layers, conv(6, 4)).eval(), images()


@network("parametrizations", "exact")
def weight_norm() -> Made:
    """Length and direction of each filter: filters may go, but not what they read."""
    layers = [conv(3, 8), nn.ReLU(), parametrizations.weight_norm(conv(8, 8)), nn.ReLU(), conv(8, 4)]
    return nn.Sequential(*layers), images()


@network("parametrizations", "exact")
def orthogonal() -> Made:
    """An orthogonal matrix between two linear layers stays; the layer behind it is free."""
    layers = [nn.Linear(6, 8), nn.ReLU(), parametrizations.orthogonal(nn.Linear(8, 8)), nn.ReLU(), nn.Linear(8, 6)]
    return nn.Sequential(*layers, nn.ReLU(), nn.Linear(6, 4)), torch.randn(4, 6)


class Masked(nn.Module):
    """A parametrization: the weight times a fixed mask."""

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, w: Tensor) -> Tensor:
        return w * self.mask


@network("parametrizations", "exact")
def custom_mask_as_parametrization() -> Made:
    """The mask is narrowed with the weight."""
    layers = [conv(3, 8), nn.ReLU(), conv(8, 8), nn.ReLU(), conv(8, 4)]
    for layer in layers[::2]:
        parametrize.register_parametrization(layer, "weight", Masked((torch.rand_like(layer.weight) < 0.5).float()))
    return nn.Sequential(*layers), images()


@network("parametrizations", "refused")
def old_weight_norm() -> Made:
    """torch.nn.utils.weight_norm, which hooks into forward and leaves a weight that is no parameter."""
    return nn.Sequential(conv(3, 8), nn.ReLU(), nn.utils.weight_norm(conv(8, 8)), nn.ReLU(), conv(8, 4)), images()


@network("parametrizations", "refused")
def masks_of_torch() -> Made:
    """torch.nn.utils.prune: masks as buffers, weights worked out by a hook."""
    layers = [conv(3, 8), nn.ReLU(), conv(8, 8), nn.ReLU(), conv(8, 4)]
    masking.l1_unstructured(layers[2], "weight", 0.5)
    masking.ln_structured(layers[4], "weight", 0.25, n=1, dim=1)
    return nn.Sequential(*layers), images()


@network("parametrizations", "exact")
def masks_and_constants_as_buffers() -> Made:
    """A mask on channels, means of channels, and a table that is no parameter."""

    def run(n, x):
        return n.c(n.b((n.a(x) - n.mean) * n.mask).relu() / n.table)

    buffers = {
        "mask": (torch.rand(8, 1, 1) < 0.5).float(),
        "mean": torch.randn(1, 8, 1, 1),
        "table": torch.rand(6, 1, 1) + 1,
    }
    return Net(run, a=conv(3, 8), b=conv(8, 6), c=conv(6, 4), **buffers), images()


@network("parametrizations", "exact")
def constant_made_in_forward() -> Made:
    """A ramp over channels of the length that they have: removing changes it for those that stay."""

    def run(n, x):
        x = n.a(x)
        ramp = torch.linspace(1, 2, x.shape[1], dtype=x.dtype)[:, None, None]
        return n.c(n.b(x * ramp).relu())

    return Net(run, a=conv(3, 8), b=conv(8, 6), c=conv(6, 4)), images()


@network("parametrizations", "exact")
def constant_outside_of_the_state() -> Made:
    """A plain attribute holds one number for each channel; no state dict knows it."""

    def run(n, x):
        return n.c(n.b(n.a(x) * n.plain[0]).relu())

    return Net(run, a=conv(3, 8), b=conv(8, 6), c=conv(6, 4), plain=[torch.rand(8, 1, 1) + 1]), images()


# --- attention


class Attention(nn.Module):
    """Heads from one projection, with sizes written as numbers or computed from the tensor's shape."""

    def __init__(self, features: int, heads: int, written: bool) -> None:
        super().__init__()
        self.heads, self.written = heads, written
        self.qkv = nn.Linear(features, 3 * features)
        self.out = nn.Linear(features, features)

    def forward(self, x: Tensor) -> Tensor:
        count, length, _ = x.shape
        each = 4 if self.written else self.qkv(x).shape[-1] // 3 // self.heads
        q, k, v = self.qkv(x).reshape(count, length, 3, self.heads, each).permute(2, 0, 3, 1, 4)
        scores = (q @ k.transpose(-2, -1)) / math.sqrt(each)
        return self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(count, length, self.heads * each))


class Perceptron(nn.Sequential):
    """A transformer's second half."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__(nn.LayerNorm(features), nn.Linear(features, hidden), nn.GELU(), nn.Linear(hidden, features))


def _transformer(n: Any, x: Tensor) -> Tensor:
    x = x + n.attention(n.norm(x))
    return n.head((x + n.mlp(x)).mean(1))


@network("attention", "exact")
def attention_with_written_heads() -> Made:
    """Heads of 4 features, as a number in forward; the hidden layer of the second half is free."""
    layers = {"norm": nn.LayerNorm(8), "attention": Attention(8, 2, True), "mlp": Perceptron(8, 12)}
    return lively(Net(_transformer, **layers, head=nn.Linear(8, 3))), torch.randn(2, 5, 8)


@network("attention", "exact")
def attention_with_computed_heads() -> Made:
    """Sizes of heads come from the projection's shape: features of heads might go, but not heads."""
    layers = {"norm": nn.LayerNorm(8), "attention": Attention(8, 2, False), "mlp": Perceptron(8, 12)}
    return lively(Net(_transformer, **layers, head=nn.Linear(8, 3))), torch.randn(2, 5, 8)


@network("attention", "exact")
def multihead_attention() -> Made:
    """nn.MultiheadAttention with the batch first."""

    def run(n, x):
        x = n.norm(x)
        return n.head(n.b(n.a(x + n.attention(x, x, x, need_weights=False)[0]).relu()).mean(1))

    layers = {"norm": nn.LayerNorm(8), "attention": nn.MultiheadAttention(8, 2, batch_first=True)}
    return lively(Net(run, **layers, a=nn.Linear(8, 12), b=nn.Linear(12, 8), head=nn.Linear(8, 3))), torch.randn(
        2, 5, 8
    )


@network("attention", "exact")
def transformer_encoder() -> Made:
    """Two of torch's encoder layers, one of which normalises first."""
    options = {"dim_feedforward": 12, "dropout": 0.1, "batch_first": True}
    layers = [nn.TransformerEncoderLayer(8, 2, norm_first=first, **options) for first in (False, True)]
    return lively(nn.Sequential(nn.Linear(6, 8), *layers, nn.Linear(8, 3))), torch.randn(2, 5, 6)


@network("attention", "exact")
def vision_transformer() -> Made:
    """Patches, a class token, positions."""

    def run(n, x):
        x = n.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([n.token.expand(len(x), -1, -1), x], 1) + n.positions
        x = x + n.attention(n.norm(x))
        return n.head((x + n.mlp(x))[:, 0])

    layers = {"patches": nn.Conv2d(3, 8, 4, 4), "token": weight(1, 1, 8), "positions": weight(1, 5, 8)}
    layers |= {"norm": nn.LayerNorm(8), "attention": Attention(8, 2, False), "mlp": Perceptron(8, 12)}
    return lively(Net(run, **layers, head=nn.Linear(8, 3))), images()


@network("attention", "exact")
def tokens_mixed() -> Made:
    """An MLP-Mixer: one perceptron over tokens, one over channels, no norm."""

    def run(n, x):
        x = n.patches(x).flatten(2)
        x = x + n.d(n.c(x).relu())
        x = x.transpose(1, 2)
        return n.head((x + n.b(n.a(x).relu())).mean(1))

    layers = {"patches": nn.Conv2d(3, 6, 2, 2), "a": nn.Linear(6, 10), "b": nn.Linear(10, 6)}
    return Net(run, **layers, c=nn.Linear(16, 12), d=nn.Linear(12, 16), head=nn.Linear(6, 3)), images()


# --- sequences


@network("sequences", "exact")
def lstm_with_two_layers_behind_it() -> Made:
    """The last state, two linear layers; what the LSTM keeps stays, the layer behind it goes."""
    layers = {"lstm": nn.LSTM(4, 6, batch_first=True), "a": nn.Linear(6, 8), "b": nn.Linear(8, 3)}
    return Net(lambda n, x: n.b(n.a(n.lstm(x)[0][:, -1]).relu()), **layers), torch.randn(2, 7, 4)


@network("sequences", "exact")
def gru_between_linear_layers() -> Made:
    """A linear layer, a GRU of two layers, a linear layer: what the GRU reads may go."""
    layers = {"a": nn.Linear(4, 8), "gru": nn.GRU(8, 6, num_layers=2, batch_first=True), "b": nn.Linear(6, 3)}
    return Net(lambda n, x: n.b(n.gru(n.a(x).relu())[0]), **layers), torch.randn(2, 7, 4)


@network("sequences", "exact")
def bidirectional_lstm() -> Made:
    """Both directions, the final states concatenated."""

    def run(n, x):
        _, (state, _) = n.lstm(x)
        return n.b(n.a(torch.cat([state[0], state[1]], -1)).relu())

    layers = {"lstm": nn.LSTM(4, 6, batch_first=True, bidirectional=True), "a": nn.Linear(12, 8), "b": nn.Linear(8, 3)}
    return Net(run, **layers), torch.randn(2, 7, 4)


@network("sequences", "exact")
def plain_recurrent_network() -> Made:
    """nn.RNN with the time first."""
    layers = {"rnn": nn.RNN(4, 6, nonlinearity="relu"), "a": nn.Linear(6, 8), "b": nn.Linear(8, 3)}
    return Net(lambda n, x: n.b(n.a(n.rnn(x)[0][-1]).relu()), **layers), torch.randn(7, 2, 4)


@network("sequences", "exact")
def cell_in_a_loop() -> Made:
    """A GRU cell, stepped in Python; the layer in front is read by every step."""

    def run(n, x):
        state = x.new_zeros(len(x), 6)
        for step in n.a(x).relu().unbind(1):
            state = n.cell(step, state)
        return n.c(n.b(state).relu())

    return Net(run, a=nn.Linear(4, 8), cell=nn.GRUCell(8, 6), b=nn.Linear(6, 8), c=nn.Linear(8, 3)), torch.randn(
        2, 4, 4
    )


@network("sequences", "exact")
def embedding_and_convolution() -> Made:
    """Words, a convolution over them, the largest value of each channel."""
    run = lambda n, x: n.b(n.a(n.words(x).transpose(1, 2)).relu().amax(2))  # noqa: E731
    words = nn.Embedding(11, 6, padding_idx=0)
    return Net(run, words=words, a=nn.Conv1d(6, 8, 3), b=nn.Linear(8, 3)), torch.randint(0, 11, (2, 9))


# --- gates


@network("gates", "exact")
def squeeze_and_excitation() -> Made:
    """Each channel is multiplied by a gate that all of them open."""

    def run(n, x):
        x = n.a(x)
        gate = n.up(n.down(x.mean((2, 3))).relu()).sigmoid()
        return n.b(x * gate[:, :, None, None])

    layers = {"a": conv_norm(3, 8), "down": nn.Linear(8, 3), "up": nn.Linear(3, 8), "b": conv(8, 4)}
    return lively(Net(run, **layers)), images()


@network("gates", "exact")
def channel_and_pixel_gates() -> Made:
    """CBAM: gates for channels, then for pixels from mean and maximum over channels; the inner layer goes."""

    def run(n, x):
        x = n.a(x)
        x = x * (n.up(n.down(x.mean((2, 3))).relu()) + n.up(n.down(x.amax((2, 3))).relu())).sigmoid()[..., None, None]
        return n.b(x * n.pixels(torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)).sigmoid())

    layers = {"a": conv_norm(3, 8), "down": nn.Linear(8, 5), "up": nn.Linear(5, 8), "pixels": conv(2, 1, 5)}
    return lively(Net(run, **layers, b=conv(8, 4))), images()


@network("gates", "exact")
def efficient_channel_attention() -> Made:
    """ECA: a convolution along the channels themselves; only the second layer is free."""

    def run(n, x):
        x = n.a(x)
        gate = n.along(x.mean((2, 3))[:, None]).sigmoid()[:, 0, :, None, None]
        return n.c(n.b(x * gate).relu())

    return Net(run, a=conv(3, 8), along=nn.Conv1d(1, 1, 3, padding=1), b=conv(8, 6), c=conv(6, 4)), images()


@network("gates", "exact")
def gated_linear_unit() -> Made:
    """GLU: one half of the channels gates the other."""
    return nn.Sequential(conv(3, 12), nn.GLU(1), conv(6, 4)), images()


@network("gates", "exact")
def gate_of_two_layers() -> Made:
    """SwiGLU: two layers, one of which gates the other."""
    layers = {"a": nn.Linear(6, 8), "gate": nn.Linear(6, 8), "b": nn.Linear(8, 4)}
    return Net(lambda n, x: n.b(F.silu(n.gate(x)) * n.a(x)), **layers), torch.randn(2, 5, 6)


@network("gates", "exact")
def slopes_of_channels() -> Made:
    """PReLU with one slope for each channel."""
    return nn.Sequential(conv(3, 8), nn.PReLU(8), conv(8, 6), nn.PReLU(), conv(6, 4)), images()


# --- inputs and outputs


@network("inputs and outputs", "exact")
def conditioned_by_a_second_input() -> Made:
    """FiLM: a second input gives a scale and a shift for each channel."""

    def run(n, x, y):
        scale, shift = n.scale(y), n.shift(y)
        return n.b(F.relu(n.a(x) * scale[:, :, None, None] + shift[:, :, None, None]))

    layers = {"a": conv(3, 8), "scale": nn.Linear(5, 8), "shift": nn.Linear(5, 8), "b": conv(8, 4)}
    return Net(run, **layers), (images(), torch.randn(2, 5))


@network("inputs and outputs", "exact")
def images_and_numbers() -> Made:
    """Features of an image and of a vector, concatenated."""

    def run(n, x, y):
        return n.head(torch.cat([pooled(n.a(x)), n.b(y).relu()], 1))

    return lively(Net(run, a=conv_norm(3, 8), b=nn.Linear(5, 6), head=nn.Linear(14, 4))), (images(), torch.randn(2, 5))


@network("inputs and outputs", "exact")
def a_pair_as_one_input() -> Made:
    """The input is a tuple of two images."""
    net = Net(lambda n, pair: n.b((n.a(pair[0]) + n.a(pair[1])).relu()), a=conv(3, 8), b=conv(8, 4))
    return net, ((images(), images()),)


@network("inputs and outputs", "exact")
def a_missing_input() -> Made:
    """The second input may be None, and is."""

    def run(n, x, mask):
        x = n.a(x).relu()
        return n.b(x if mask is None else x * mask)

    return Net(run, a=conv(3, 8), b=conv(8, 4)), (images(), None)


class WithOptions(nn.Module):
    """Its forward takes keyword arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = conv(3, 8), conv(8, 4)

    def forward(self, images: Tensor, *, gain: float = 2.0, twice: bool = False) -> Tensor:
        x = self.a(images).relu() * gain
        return self.b(x + x) if twice else self.b(x)


@network("inputs and outputs", "exact")
def keyword_arguments() -> Made:
    """Two options with defaults."""
    return WithOptions(), images()


@network("inputs and outputs", "exact")
def several_outputs() -> Made:
    """Features of two depths and the classes: what is an output stays, what lies inside goes."""

    def run(n, x):
        a = n.b(n.a(x))
        return a, n.d(n.c(a)), n.head(pooled(a))

    layers = {"a": conv_norm(3, 8), "b": conv(8, 6), "c": conv_norm(6, 8), "d": conv(8, 4), "head": nn.Linear(6, 3)}
    return lively(Net(run, **layers)), images()


def _two_heads(n: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    x = n.b(n.a(x).relu())
    inner = n.c(x).relu()
    return n.d(inner * (inner.shape[1] / 6)), n.e(pooled(x))


def _nested(form: Callable[[Tensor, Tensor], Any]) -> Made:
    """Two heads, one of which counts its channels: the trial must look into whatever the outputs are wrapped in."""
    layers = {"a": conv(3, 8), "b": conv(8, 8), "c": conv(8, 6), "d": conv(6, 4), "e": nn.Linear(8, 3)}
    return Net(lambda n, x: form(*_two_heads(n, x)), **layers), images()


@network("inputs and outputs", "exact")
def outputs_in_a_dict() -> Made:
    """A dict of two tensors; a size is written in one of the heads."""
    return _nested(lambda a, b: {"boxes": a, "classes": b})


@network("inputs and outputs", "exact")
def outputs_in_a_tuple_of_dicts() -> Made:
    """Tensors lie two levels deep; a size is written in one of the heads."""
    return _nested(lambda a, b: ({"boxes": a}, {"classes": b}))


@network("inputs and outputs", "exact")
def outputs_in_a_list_of_lists() -> Made:
    """As above, in lists."""
    return _nested(lambda a, b: [[a], [b]])


class Detections(NamedTuple):
    """Two outputs by name."""

    boxes: Tensor
    classes: Tensor


@network("inputs and outputs", "exact")
def outputs_in_a_named_tuple() -> Made:
    """As above, in a named tuple."""
    return _nested(Detections)


@dataclass
class Found:
    """Two outputs in a dataclass, as transformers' models have them."""

    boxes: Tensor
    classes: Tensor


@network("inputs and outputs", "exact")
def outputs_in_a_dataclass() -> Made:
    """As above, in a dataclass, which torch.export knows only if it was registered."""
    return _nested(Found)


@network("inputs and outputs", "exact")
def output_beside_a_number() -> Made:
    """The second output is a number, not a tensor."""
    return Net(lambda n, x: (n.b(n.a(x).relu()), 3), a=conv(3, 8), b=conv(8, 4)), images()


# --- sizes written in forward, and what changes from run to run


@network("written sizes", "exact")
def view_of_a_written_size() -> Made:
    """Features behind a view(-1, 32) stay, the layer behind it goes."""
    layers = {"a": conv(3, 8), "b": nn.Linear(32, 10), "c": nn.Linear(10, 4)}
    return Net(lambda n, x: n.c(n.b(F.avg_pool2d(n.a(x), 4).view(-1, 32)).relu()), **layers), images()


@network("written sizes", "frozen")
def view_that_swallows_the_batch() -> Made:
    """view(-1, 16) of 8 channels and 4 pixels for each image: a smaller network runs, with other rows."""
    layers = {"a": conv(3, 8), "b": nn.Linear(16, 4)}
    return Net(lambda n, x: n.b(F.avg_pool2d(n.a(x), 4).view(-1, 16)).sum(0), **layers), images()


@network("written sizes", "exact")
def divided_by_the_number_of_channels() -> Made:
    """x / x.shape[1]: removing changes a factor, unless the network is told; the last group is free."""

    def run(n, x):
        x = n.a(x).relu()
        return n.c(n.b(x / x.shape[1]).relu())

    return Net(run, a=conv(3, 8), b=conv(8, 6), c=conv(6, 4)), images()


@network("written sizes", "frozen")
def ratio_of_two_widths() -> Made:
    """Right if both layers lose the same share, wrong if one of them loses more."""

    def run(n, x):
        a, b = n.a(x).relu(), n.b(x).relu()
        return n.c(a) * (a.shape[1] / b.shape[1]) + n.d(b)

    return Net(run, a=conv(3, 8), b=conv(3, 8), c=conv(8, 4), d=conv(8, 4)), images()


@network("written sizes", "frozen")
def width_that_decides() -> Made:
    """Another activation where there are fewer than 4 channels: right at 50 %, wrong at 80 %."""

    def run(n, x):
        x = n.a(x)
        return n.b(x.relu() if x.shape[1] > 3 else x.sigmoid())

    return Net(run, a=conv(3, 8), b=conv(8, 4)), images()


@network("written sizes", "frozen")
def written_size_and_infinite_outputs() -> Made:
    """A logarithm of zeros: infinite outputs must not hide that a size is written in forward."""

    def run(n, x):
        x = n.a(x).relu()
        return (n.b(x) * (x.shape[1] / 8)).relu().log()

    return Net(run, a=conv(3, 8), b=conv(8, 4)), images()


@network("written sizes", "frozen")
def infinite_outputs() -> Made:
    """The same without a written size."""
    return Net(lambda n, x: n.b(n.a(x).relu()).relu().log(), a=conv(3, 8), b=conv(8, 4)), images()


@network("written sizes", "exact")
def nan_for_zero_inputs() -> Made:
    """The input is divided by its length: zeros give nan."""
    run = lambda n, x: n.b(n.a(x / x.square().sum((1, 2, 3), keepdim=True).sqrt()).relu())  # noqa: E731
    return Net(run, a=conv(3, 8), b=conv(8, 4)), images()


@network("written sizes", "refused")
def branch_on_data() -> Made:
    """An `if` on what the image shows."""

    def run(n, x):
        x = n.a(x)
        return n.b(x.relu() if x.mean() > 0 else x.sigmoid())

    return Net(run, a=conv(3, 8), b=conv(8, 4)), images()


@network("written sizes", "frozen")
def dropout_that_evaluation_does_not_stop() -> Made:
    """F.dropout without `self.training`: no two runs agree, and no trial can say anything."""
    return Net(lambda n, x: n.b(F.dropout(n.a(x).relu(), 0.5)), a=conv(3, 8), b=conv(8, 4)), images()


@network("written sizes", "frozen")
def noise_in_evaluation() -> Made:
    """Random numbers are added to the channels."""

    def run(n, x):
        x = n.a(x)
        return n.b((x + 0.1 * torch.randn_like(x)).relu())

    return Net(run, a=conv(3, 8), b=conv(8, 4)), images()


# --- precisions and containers


def _chain() -> nn.Module:
    return lively(nn.Sequential(conv_norm(3, 8), conv_norm(8, 8), conv(8, 4)))


@network("precisions and containers", "exact")
def half_precision() -> Made:
    """float16."""
    return _chain().half(), images().half()


@network("precisions and containers", "exact")
def brain_floats() -> Made:
    """bfloat16."""
    return _chain().bfloat16(), images().bfloat16()


@network("precisions and containers", "exact")
def double_precision() -> Made:
    """float64."""
    return _chain().double(), images().double()


@network("precisions and containers", "exact")
def mixed_precision() -> Made:
    """A backbone in bfloat16, a head in float32."""
    net = Net(lambda n, x: n.b(n.a(x.bfloat16()).float()), a=conv_norm(3, 8).bfloat16(), b=conv(8, 4))
    return lively(net), images()


@network("precisions and containers", "refused")
def lazy_layers() -> Made:
    """Layers whose sizes are not known before the first run, which has not been."""
    return nn.Sequential(nn.LazyConv2d(8, 3), nn.ReLU(), nn.LazyConv2d(4, 3)), images()


@network("precisions and containers", "refused")
def scripted() -> Made:
    """torch.jit.script has made a program of it."""
    return torch.jit.script(_chain()), images()


@network("precisions and containers", "refused")
def compiled() -> Made:
    """torch.compile around a network (the backend does not matter)."""
    return torch.compile(_chain(), backend="eager"), images()


@network("precisions and containers", "refused")
def quantised() -> Made:
    """Linear layers in eight bits: their weights are no parameters any more."""
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4)).eval()
    return torch.ao.quantization.quantize_dynamic(net, {nn.Linear}), torch.randn(4, 6)


@network("precisions and containers", "frozen")
def complex_numbers() -> Made:
    """A real network with a Fourier transform of the pixels between two convolutions."""
    return Net(lambda n, x: n.b(torch.fft.rfft2(n.a(x)).abs()), a=conv(3, 8), b=conv(8, 4)), images()


@network("precisions and containers", "exact")
def layers_in_dicts_and_lists() -> Made:
    """ModuleDict, ModuleList, ParameterList and ParameterDict."""

    def run(n, x):
        x = n.parts["stem"](x) * n.scales[0] + n.shifts["first"]
        for layer in n.list:
            x = layer(x).relu()
        return n.parts["head"](x)

    members = {"parts": nn.ModuleDict({"stem": conv(3, 8), "head": conv(6, 4)}), "list": nn.ModuleList([conv(8, 6)])}
    members |= {"scales": nn.ParameterList([weight(8, 1, 1)]), "shifts": nn.ParameterDict({"first": weight(8, 1, 1)})}
    return Net(run, **members), images()


@network("precisions and containers", "refused")
def wrapped_for_several_devices() -> Made:
    """nn.DataParallel around a network."""
    return nn.DataParallel(_chain()), images()


@network("precisions and containers", "exact")
def own_subclass_of_a_layer() -> Made:
    """A subclass of Conv2d with a forward and a parameter of its own."""

    class Scaled(nn.Conv2d):
        def __init__(self, *sizes: int) -> None:
            super().__init__(*sizes)
            self.scale = nn.Parameter(torch.rand(sizes[1]) + 0.5)

        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * self.scale.view(1, self.out_channels, 1, 1)

    return nn.Sequential(Scaled(3, 8, 3), nn.ReLU(), Scaled(8, 6, 3), nn.ReLU(), conv(6, 4)), images()


@network("precisions and containers", "exact")
def hooks_on_layers() -> Made:
    """A forward hook changes what a layer gives."""
    net = nn.Sequential(conv(3, 8), nn.ReLU(), conv(8, 4))
    net[0].register_forward_hook(lambda module, inputs, output: 2 * output)
    return net, images()


# --- traps: what a trial on one example, or a rule that is nearly right, may not see


@network("traps", "exact")
def branch_that_starts_tiny() -> Made:
    """A residual branch whose last layer starts with tiny weights: the size that is written in it is hardly seen."""

    def run(n, x):
        x = n.stem(x)
        inner = n.a(x).relu()
        return n.head(x + n.b(inner * (inner.shape[1] / 6)))

    net = Net(run, stem=conv(3, 8), a=conv(8, 6), b=conv(6, 8), head=conv(8, 4))
    nn.init.normal_(net.b.weight, std=1e-6)
    nn.init.zeros_(net.b.bias)
    return net, images()


@network("traps", "exact")
def gain_in_a_buffer_that_starts_at_zero() -> Made:
    """A branch is faded in during training by a buffer; the size that is written in it is not seen while that is 0."""

    def run(n, x):
        x = n.stem(x)
        inner = n.a(x).relu()
        return n.head(x + n.gain * n.b(inner * (inner.shape[1] / 6)))

    return Net(run, stem=conv(3, 8), a=conv(8, 6), b=conv(6, 8), gain=torch.zeros(1), head=conv(8, 4)), images()


@network("traps", "exact")
def outputs_of_very_different_sizes() -> Made:
    """A detector's boxes in pixels and scores in one tensor: what is wrong with the scores drowns in the boxes."""

    def run(n, x):
        x = n.stem(x).relu()
        inner = n.a(x).relu()
        return torch.cat([640 * n.boxes(x), n.scores(inner * (inner.shape[1] / 6)).sigmoid() / 10], 1)

    layers = {"stem": conv(3, 8), "a": conv(8, 6), "boxes": conv(8, 4), "scores": conv(6, 2)}
    return Net(run, **layers), images()


@network("traps", "exact")
def outputs_far_from_zero() -> Made:
    """An output with an offset that is much larger than what the image changes."""

    def run(n, x):
        x = n.a(x).relu()
        return n.c(n.b(x * (x.shape[1] / 8)).relu()) + 1e4

    return Net(run, a=conv(3, 8), b=conv(8, 6), c=conv(6, 4)), images()


@network("traps", "refused")
def divided_by_the_largest_weight() -> Made:
    """Weights are scaled by the largest of them, as for quantisation: removing that one changes all others."""
    run = lambda n, x: F.linear(F.linear(x, n.a / n.a.abs().amax()).relu(), n.b / n.b.abs().amax())  # noqa: E731
    return Net(run, a=weight(8, 6), b=weight(4, 8)), torch.randn(4, 6)


@network("traps", "frozen")
def penalty_as_an_output() -> Made:
    """The second output is the sum of squares of a weight."""
    run = lambda n, x: (n.b(n.a(x).relu()), n.a.weight.square().sum())  # noqa: E731
    return Net(run, a=nn.Linear(6, 8), b=nn.Linear(8, 4)), torch.randn(4, 6)


@network("traps", "exact")
def signs_of_weights() -> Made:
    """Binary weights, scaled by the mean of each filter (XNOR): filters may go, but not what they read."""

    def run(n, x):
        w = n.b.sign() * n.b.abs().mean((1, 2, 3), keepdim=True)
        return n.c(F.conv2d(n.a(x).relu(), w).relu())

    return Net(run, a=conv(3, 8), b=weight(8, 8, 3, 3), c=conv(8, 4)), images()


class StraightThrough(torch.autograd.Function):
    """The sign of a number, with the gradient of the identity."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.sign()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


@network("traps", "exact")
def own_gradient() -> Made:
    """An autograd function as activation."""
    return Net(lambda n, x: n.b(StraightThrough.apply(n.a(x))), a=conv(3, 8), b=conv(8, 4)), images()


@network("traps", "frozen")
def distances_to_prototypes() -> Made:
    """Squared distances to learnt points: a coordinate that is zero in the points still counts."""
    run = lambda n, x: (n.a(x)[:, None] - n.points).square().sum(2)  # noqa: E731
    return Net(run, a=nn.Linear(6, 8), points=weight(4, 8)), torch.randn(5, 6)


@network("traps", "refused")
def distances_by_cdist() -> Made:
    """The same by torch.cdist."""
    return Net(lambda n, x: torch.cdist(n.a(x), n.points), a=nn.Linear(6, 8), points=weight(4, 8)), torch.randn(5, 6)


@network("traps", "frozen")
def cosines_to_prototypes() -> Made:
    """Cosines with learnt vectors: all coordinates are in the lengths."""
    run = lambda n, x: F.linear(F.normalize(n.a(x)), F.normalize(n.points))  # noqa: E731
    return Net(run, a=nn.Linear(6, 8), points=weight(4, 8)), torch.randn(5, 6)


@network("traps", "frozen")
def every_second_channel() -> Made:
    """Channels 0, 2, 4, … by a slice with a step."""
    return Net(
        lambda n, x: n.b(n.a(x)[:, ::2]) + n.c(n.a(x)[:, 1::2]), a=conv(3, 8), b=conv(4, 4), c=conv(4, 4)
    ), images()


@network("traps", "frozen")
def neighbouring_channels_subtracted() -> Made:
    """x[:, 1:] - x[:, :-1]: every channel but by its place."""
    return Net(lambda n, x: n.b(n.a(x)[:, 1:] - n.a(x)[:, :-1]), a=conv(3, 8), b=conv(7, 4)), images()


@network("traps", "exact")
def last_channels_by_negative_index() -> Made:
    """x[:, -3:] holds the last three and leaves the others free."""
    return Net(lambda n, x: n.b(n.a(x)[:, -3:]) + n.c(n.a(x)), a=conv(3, 8), b=conv(3, 4), c=conv(8, 4)), images()


@network("traps", "frozen")
def picked_by_a_buffer() -> Made:
    """A buffer of numbers picks channels, each of them once."""
    order = torch.tensor([3, 1, 0, 2, 5, 7, 6, 4])
    return Net(lambda n, x: n.b(n.a(x)[:, n.order]), a=conv(3, 8), b=conv(8, 4), order=order), images()


@network("traps", "frozen")
def sum_along_channels() -> Made:
    """A cumulative sum along the channels."""
    return Net(lambda n, x: n.b(n.a(x).cumsum(1)), a=conv(3, 8), b=conv(8, 4)), images()


@network("traps", "frozen")
def pooled_over_features() -> Made:
    """A pooling layer along the last axis, which holds features, not pixels."""
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.MaxPool1d(2), nn.Linear(4, 3)), torch.randn(2, 5, 6)


@network("traps", "exact")
def low_rank_update() -> Made:
    """LoRA: a weight plus a product of two thin ones, added before use."""
    run = lambda n, x: n.c(F.linear(n.a(x).relu(), n.b.weight + n.up @ n.down, n.b.bias).relu())  # noqa: E731
    layers = {
        "a": nn.Linear(6, 8),
        "b": nn.Linear(8, 8),
        "up": weight(8, 2),
        "down": weight(2, 8),
        "c": nn.Linear(8, 4),
    }
    return Net(run, **layers), torch.randn(4, 6)


@network("traps", "frozen")
def weights_in_one_vector() -> Made:
    """All weights lie in one long parameter, cut and reshaped in forward."""

    def run(n, x):
        return F.linear(F.linear(x, n.flat[:48].view(8, 6)).relu(), n.flat[48:].view(4, 8))

    return Net(run, flat=weight(80)), torch.randn(4, 6)


@network("traps", "exact")
def weights_made_by_a_network() -> Made:
    """A hypernetwork: the filters of the first layer come from a second input; the last group is free."""

    def run(n, x, z):
        return n.c(n.b(F.conv2d(x, n.make(z).view(8, 3, 3, 3)).relu()).relu())

    return Net(run, make=nn.Linear(2, 216), b=conv(8, 6), c=conv(6, 4)), (images(), torch.randn(2))


@network("traps", "exact")
def mixture_of_experts() -> Made:
    """Three experts, mixed by a softmax over a gate."""

    def run(n, x):
        gates = n.gate(x).softmax(-1)
        return sum(gates[:, i, None] * expert(x) for i, expert in enumerate(n.experts))

    experts = nn.ModuleList(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4)) for _ in range(3))
    return Net(run, gate=nn.Linear(6, 3), experts=experts), torch.randn(4, 6)


@network("traps", "exact")
def outer_product() -> Made:
    """Bilinear pooling: all products of two vectors' features, flattened."""
    run = lambda n, x: n.c((n.a(x)[:, :, None] * n.b(x)[:, None]).flatten(1))  # noqa: E731
    return Net(run, a=nn.Linear(6, 5), b=nn.Linear(6, 4), c=nn.Linear(20, 3)), torch.randn(4, 6)


@network("traps", "exact")
def depthwise_by_function() -> Made:
    """F.conv2d with as many groups as the tensor has channels; a blur of the same kind from a buffer."""

    def run(n, x):
        x = F.conv2d(n.a(x), n.w, groups=n.w.shape[0]).relu()
        return n.b(F.conv2d(x, n.kernel.expand(x.shape[1], 1, 3, 3), groups=x.shape[1]))

    return Net(run, a=conv(3, 8), w=weight(8, 1, 3, 3), kernel=torch.rand(1, 1, 3, 3), b=conv(8, 4)), images()


@network("traps", "exact")
def temporal_shift() -> Made:
    """TSM: a quarter of the channels comes from the frame before; what lies behind is free."""

    def run(n, x):
        x = n.a(x)
        fold = x.shape[1] // 4
        x = torch.cat([F.pad(x[:, :fold, :-1], (1, 0)), x[:, fold:]], 1)
        return n.c(n.b(x).relu())

    return Net(run, a=nn.Conv1d(3, 8, 3), b=nn.Conv1d(8, 6, 3), c=nn.Conv1d(6, 4, 3)), torch.randn(2, 3, 16)


@network("traps", "exact")
def pixels_moved_into_channels() -> Made:
    """YOLO's focus: four slices of pixels, concatenated."""

    def run(n, x):
        x = n.a(x).relu()
        return n.b(torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1))

    return Net(run, a=conv(3, 6), b=conv(24, 4)), images()


@network("traps", "exact")
def spatial_transformer() -> Made:
    """A small network moves the pixels of the map by an affine grid."""

    def run(n, x):
        x = n.a(x)
        theta = n.move(x.mean((2, 3))).view(-1, 2, 3)
        return n.b(F.grid_sample(x, F.affine_grid(theta, list(x.shape), align_corners=False), align_corners=False))

    return Net(run, a=conv(3, 8), move=nn.Linear(8, 6), b=conv(8, 4)), images()


@network("traps", "frozen")
def deformable_convolution() -> Made:
    """Offsets from a convolution of their own; the layer in front and behind is free."""

    def run(n, x):
        x = n.a(x).relu()
        return n.c(n.b(x, n.offsets(x)).relu())

    layers = {"a": conv(3, 8), "offsets": conv(8, 18), "b": torchvision.ops.DeformConv2d(8, 6, 3, padding=1)}
    return Net(run, **layers, c=conv(6, 4)), images()


@network("traps", "exact")
def gradient_checkpointing() -> Made:
    """torch.utils.checkpoint around a block."""

    def run(n, x):
        return n.c(torch.utils.checkpoint.checkpoint(n.b, n.a(x), use_reentrant=False))

    return lively(Net(run, a=conv_norm(3, 8), b=conv_norm(8, 8), c=conv(8, 4))), images()


@network("traps", "exact")
def autocast_in_forward() -> Made:
    """Half of forward runs in bfloat16."""

    def run(n, x):
        with torch.autocast("cpu", torch.bfloat16):
            x = n.a(x).relu()
        return n.b(x.float()).relu()

    return Net(run, a=conv(3, 8), b=conv(8, 4)), images()


@network("traps", "exact")
def batch_norm_that_always_trains() -> Made:
    """F.batch_norm with training=True: statistics of the batch, running ones updated at each call."""

    def run(n, x):
        return n.b(F.batch_norm(n.a(x), n.mean, n.var, n.scale, n.shift, True).relu())

    tensors = {"mean": torch.zeros(8), "var": torch.ones(8), "scale": weight(8), "shift": weight(8)}
    return Net(run, a=conv(3, 8), b=conv(8, 4), **tensors), images()


@network("traps", "frozen")
def counts_its_calls() -> Made:
    """A buffer changes from call to call, in evaluation too: no two runs agree, without any random number."""

    def run(n, x):
        n.calls += 1
        return n.b(n.a(x).relu()) * n.calls

    return Net(run, a=conv(3, 8), b=conv(8, 4), calls=torch.zeros(1)), images()


@network("traps", "exact")
def cache_of_the_first_run() -> Made:
    """Positions are worked out in the first run and kept in a plain attribute; the last group is free."""

    def run(n, x):
        x = n.a(x).relu()
        if n.cache is None:
            n.cache = torch.linspace(0, 1, x.shape[1], dtype=x.dtype)[:, None, None]
        return n.c(n.b(x + n.cache).relu())

    return Net(run, a=conv(3, 8), b=conv(8, 6), c=conv(6, 4), cache=None), images()


class Closure(nn.Module):
    """Its forward is a closure over itself, which a deep copy does not follow."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = conv(3, 8), conv(8, 4)
        self.steps = lambda x: self.b(self.a(x).relu())

    def forward(self, x: Tensor) -> Tensor:
        return self.steps(x)


@network("traps", "refused")
def forward_in_a_closure() -> Made:
    """A copy goes on using the layers of the network that it was copied from."""
    return Closure(), images()


@network("traps", "exact")
def features_by_hooks() -> Made:
    """A forward hook keeps a feature map, which forward reads afterwards."""

    class Hooked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(conv(3, 8), nn.ReLU(), conv(8, 6), nn.ReLU())
            self.head = conv(14, 4)
            self.kept: dict[str, Tensor] = {}
            self.body[1].register_forward_hook(self.keep)

        def keep(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
            self.kept["map"] = output

        def forward(self, x: Tensor) -> Tensor:
            x = self.body(x)
            return self.head(torch.cat([x, self.kept["map"]], 1))

    return Hooked(), images()


@network("traps", "exact")
def complex_outputs() -> Made:
    """The spectrum of the second layer's map; a size is written in the imaginary part only."""

    def run(n, x):
        x = n.b(n.a(x).relu())
        inner = n.c(x).relu()
        return torch.complex(n.d(x), n.e(inner * (inner.shape[1] / 6)))

    layers = {"a": conv(3, 8), "b": conv(8, 8), "c": conv(8, 6), "d": conv(8, 4), "e": conv(6, 4)}
    return Net(run, **layers), images()


@network("traps", "exact")
def classes_as_numbers() -> Made:
    """The network gives the number of the best class, an integer."""
    return Net(lambda n, x: n.b(n.a(x).relu()).argmax(1), a=conv(3, 8), b=conv(8, 4)), images()


@network("traps", "frozen")
def size_that_matters_for_negative_numbers() -> Made:
    """A size is written in a branch that the example, all positive, never takes."""

    def run(n, x):
        y = n.a(x).relu()
        return n.b(torch.where(x.mean((1, 2, 3), keepdim=True) > 0, y, y * (y.shape[1] / 8)))

    return Net(run, a=conv(3, 8), b=conv(8, 4)), images().abs()


@network("traps", "frozen")
def width_that_is_asserted() -> Made:
    """An assertion on the width, in words: only its own width is taken."""

    def run(n, x):
        x = n.a(x)
        assert x.shape[1] == 8, "eight channels, please"
        return n.b(x.relu())

    return Net(run, a=conv(3, 8), b=conv(8, 4)), images()
