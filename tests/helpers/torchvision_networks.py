"""Torchvision's classification networks, untrained, but so that every channel matters; and what pruning them must give."""

import copy
import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models import efficientnet
from torchvision.models.convnext import CNBlockConfig
from torchvision.models.resnet import Bottleneck, ResNet
from torchvision.models.swin_transformer import PatchMergingV2, SwinTransformerBlockV2

from solutions.graph.groups import Group
from solutions.plans import channels_to_keep, parameters_left
from solutions.surgery import outputs, prune, silence

SIZES = {"inception_v3": 299, "alexnet": 224, "vgg": 224, "vit": 224, "swin": 224, "maxvit_t": 224, "vit_h_14": 224}
SMALLEST = [
    *("alexnet", "vgg11", "vgg11_bn", "resnet18", "resnext50_32x4d", "wide_resnet50_2", "densenet121", "googlenet"),
    *("inception_v3", "squeezenet1_1", "mobilenet_v2", "mobilenet_v3_small", "mnasnet0_5", "shufflenet_v2_x0_5"),
    *("efficientnet_b0", "efficientnet_v2_s", "regnet_x_400mf", "regnet_y_400mf", "convnext_tiny", "vit_b_16"),
    *("swin_t", "swin_v2_t", "maxvit_t"),
]


def images(name: str, count: int = 2, seed: int = 0) -> Tensor:
    """Random images of a size that the network takes, in float64."""
    size = next((size for start, size in SIZES.items() if name.startswith(start)), 96)
    return random_images(size, count, seed)


def random_images(size: int, count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def lively(name: str) -> nn.Module:
    """One of torchvision's networks as it is, enlivened."""
    torch.manual_seed(0)
    options = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    network = torchvision.models.get_model(name, weights=None, **options)
    return enlivened(network, images(name, 4, seed=1))


def enlivened(network: nn.Module, example: Tensor) -> nn.Module:
    """The network in float64 and evaluation mode, with random numbers wherever it starts with constant ones.

    Batch norms' statistics are those of the example, random images, and what layers with a bias give is normalised on
    these images too, so that no gate is shut or wide open for all of them, and outputs differ from image to image.
    """
    network = network.double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.numel() > 1 and parameter.min() == parameter.max():
                if parameter.ndim == 2:  # a head that starts at zero
                    parameter.normal_(std=1 / math.sqrt(parameter.shape[1]))
                else:
                    parameter.copy_(torch.rand_like(parameter) + (0.5 if parameter.flatten()[0] else -0.5))
    hooks = []
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train().momentum = 1.0
        elif isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
            hooks.append(module.register_forward_hook(normalise))
    with torch.no_grad():
        network(example)
    for hook in hooks:
        hook.remove()
    return network.eval()


# --- the same families, small: all their operators, fewer repetitions and numbers (the whole networks: docs/prunable.md)


def small(name: str) -> tuple[nn.Module, int]:
    """A small network of torchvision's classes, of the family that `name` stands for, enlivened → it, its image size."""
    torch.manual_seed(0)
    make, size = SMALL.get(name, (lambda: torchvision.models.get_model(name, weights=None, num_classes=10), 96))
    return enlivened(make(), random_images(size, 4, seed=1)), size


def plain(name: str, pixels: int) -> nn.Module:
    """AlexNet or a VGG, whose head has 64 features a layer behind `pixels` × `pixels` of them in each channel."""
    network = torchvision.models.get_model(name, weights=None)
    wide = [layer for layer in network.features if isinstance(layer, nn.Conv2d)][-1].out_channels * pixels**2
    network.avgpool = nn.AdaptiveAvgPool2d(pixels)
    network.classifier = nn.Sequential(
        nn.Linear(wide, 64), nn.ReLU(), nn.Dropout(), nn.Linear(64, 64), nn.ReLU(), nn.Dropout(), nn.Linear(64, 10)
    )
    return network


def swin(window: int, **version: Any) -> nn.Module:
    """Shifted windows: several, and in the last stage one, which is not shifted."""
    return torchvision.models.SwinTransformer(
        patch_size=[4, 4], embed_dim=32, depths=[2, 2], num_heads=[2, 4], window_size=[window] * 2,
        num_classes=10, **version,
    )  # fmt: skip


def efficientnet_v2() -> nn.Module:
    """Fused blocks, then blocks with gates."""
    fused, gated = efficientnet.FusedMBConvConfig, efficientnet.MBConvConfig
    blocks = [
        fused(1, 3, 1, 16, 16, 2),
        fused(4, 3, 2, 16, 24, 2),
        gated(4, 3, 2, 24, 32, 2),
        gated(6, 3, 1, 32, 40, 2),
    ]
    return torchvision.models.EfficientNet(blocks, 0.2, num_classes=10, last_channel=64)


def convnext() -> nn.Module:
    setting = [CNBlockConfig(16, 32, 2), CNBlockConfig(32, 48, 2), CNBlockConfig(48, None, 2)]
    return torchvision.models.ConvNeXt(setting, num_classes=10)


SMALL: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "alexnet": (lambda: plain("alexnet", 2), 96),
    "vgg11": (lambda: plain("vgg11", 2), 64),
    "vgg11_bn": (lambda: plain("vgg11_bn", 2), 64),
    "resnext50_32x4d": (
        lambda: ResNet(Bottleneck, [2, 2, 1, 1], num_classes=10, groups=32, width_per_group=4),
        96,
    ),
    "wide_resnet50_2": (lambda: ResNet(Bottleneck, [2, 2, 1, 1], num_classes=10, width_per_group=128), 96),
    "densenet121": (lambda: torchvision.models.DenseNet(8, (3, 3, 3, 2), 16, num_classes=10), 96),
    "googlenet": (lambda: torchvision.models.GoogLeNet(10, init_weights=False), 96),
    "inception_v3": (lambda: torchvision.models.Inception3(10, aux_logits=False, init_weights=False), 96),
    "efficientnet_v2_s": (efficientnet_v2, 96),
    "convnext_tiny": (convnext, 96),
    "vit_b_16": (
        lambda: torchvision.models.VisionTransformer(64, 16, num_layers=2, num_heads=4, hidden_dim=64, mlp_dim=128),
        64,
    ),
    "swin_t": (lambda: swin(7), 56),
    "swin_v2_t": (lambda: swin(8, block=SwinTransformerBlockV2, downsample_layer=PatchMergingV2), 64),
    "maxvit_t": (lambda: torchvision.models.MaxVit((112, 112), 16, 7, [16, 32], [2, 2], 8, 0.2, num_classes=10), 112),
}


def normalise(layer: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    """Change a layer so that each of its outputs has mean 0 and variance 1 over what came."""
    channel = 1 if isinstance(layer, nn.Conv2d) else -1
    others = [axis for axis in range(output.ndim) if axis != channel % output.ndim]
    std, mean = torch.std_mean(output, dim=others, keepdim=True)
    std = std.clamp(min=1e-3)
    weight: Any = layer.weight
    bias: Any = layer.bias
    weight /= std.reshape(-1, *[1] * (weight.ndim - 1))
    bias.copy_((bias - mean.flatten()) / std.flatten())
    return (output - mean) / std


def random_plan(groups: Sequence[Group], share: float, seed: int = 0) -> dict[str, list[int]]:
    """A random share of the channels that can go is removed from every group, at least one and never all."""
    chance, plan = torch.Generator().manual_seed(seed), {}
    for group in groups:
        if len(group.free) > 1:
            scores = torch.rand(group.channels, generator=chance)
            plan[group.name] = channels_to_keep(group, scores, 1 - max(share, 1 / group.channels))
    return plan


def with_one_wrong(groups: Sequence[Group], plan: dict[str, list[int]], seed: int = 0) -> dict[str, list[int]]:
    """The same plan, but in one group another channel goes than the one that should."""
    chance = random.Random(seed)
    group = chance.choice([group for group in groups if group.name in plan and set(plan[group.name]) & set(group.free)])
    kept = set(plan[group.name])
    back = chance.choice([channel for channel in range(group.channels) if channel not in kept])
    gone = chance.choice(sorted(kept & set(group.free)))
    return {**plan, group.name: sorted(kept - {gone} | {back})}


def difference(network: nn.Module, other: nn.Module, example: Any) -> float:
    """The largest difference of two networks' outputs, by the standard deviation of the second's."""
    with torch.no_grad():
        pairs = list(zip(outputs(network, example), outputs(other, example), strict=True))
    return max(((a - b).abs().max() / b.std()).item() for a, b in pairs)


def compared(network: nn.Module, groups: Sequence[Group], share: float, example: Tensor) -> dict[str, float]:
    """Removing beside silencing: the difference, and the parameters that are left, counted and foretold."""
    plan = random_plan(groups, share)
    before = copy.deepcopy(network.state_dict())
    smaller = prune(network, groups, plan)
    apart = difference(smaller, silence(network, groups, plan), example)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    left = sum(parameter.numel() for parameter in smaller.parameters())
    return {"difference": apart, "left": left, "foretold": parameters_left(network, groups, plan)}


def difference_of_one_wrong(network: nn.Module, groups: Sequence[Group], example: Tensor) -> float:
    """The same at 50 % with one wrong channel removed, in each of three groups: the largest, for channels may be dead."""
    plan = random_plan(groups, 0.5)
    silenced = silence(network, groups, plan)
    wrong = [prune(network, groups, with_one_wrong(groups, plan, seed)) for seed in range(3)]
    return max(difference(pruned, silenced, example) for pruned in wrong)
