import copy

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from course_utils import networks
from course_utils.networks import build, parameter_count
from solutions.prunable import prunable_groups
from solutions.surgery import prune

BUILDERS = ["vgg_mini", "vgg16", "resnet20", "resnet56", "resnet18", "mobile_mini"]


def images(count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_vgg_mini_has_the_size_that_the_labs_say():
    weights = 9 * (3 * 32 + 32 * 32 + 32 * 64 + 64 * 64 + 64 * 128 + 128 * 128)
    norms = 2 * (32 + 32 + 64 + 64 + 128 + 128)
    assert parameter_count(networks.vgg_mini()) == weights + norms + 4 * 128 * 4 + 4 == 289_508


def test_vgg_mini_has_the_macs_that_the_labs_say():
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        networks.vgg_mini().eval()(images(1))
    assert counter.get_total_flops() == 2 * 38_635_520


@pytest.mark.parametrize(
    ("name", "count"),
    # He et al. 2015: 0.27 M and 0.85 M; the projection shortcuts add 2,752.
    [("resnet20", 272_474), ("resnet56", 855_770), ("vgg16", 14_724_042), ("resnet18", 11_173_962)],
)
def test_published_networks_have_their_published_sizes(name, count):
    assert parameter_count(getattr(networks, name)()) == count


@pytest.mark.parametrize("name", BUILDERS)
def test_a_recipe_builds_the_same_network_again(name):
    network = getattr(networks, name)(classes=7, seed=3)
    again = build(copy.deepcopy(network).recipe)
    assert again.recipe == network.recipe
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), network.parameters(), strict=True))


def test_the_autoencoder_has_the_layers_of_the_report():
    network = networks.rgb_autoencoder()
    shapes = [tuple(m.weight.shape[:2]) for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    encoder = [(64, 3), (64, 64), (128, 64), (128, 128), (128, 128), (128, 128), (128, 128)]
    decoder = [(128, 128)] * 6 + [(64, 128), (64, 64), (64, 64), (3, 64)]
    assert shapes == encoder + decoder  # a transposed convolution's weight is (inputs, outputs, …)


def test_the_autoencoder_gives_images_back():
    network = build(networks.rgb_autoencoder(width=0.125).recipe).eval()
    assert network(torch.rand(2, 3, 40, 24)).shape == (2, 3, 40, 24)
    assert network.encoder(torch.rand(2, 3, 40, 24)).shape == (2, 16, 5, 3)


def test_the_autoencoder_is_a_plain_chain() -> None:
    nodes = list(torch.fx.symbolic_trace(networks.rgb_autoencoder(width=0.125)).graph.nodes)
    assert [node.all_input_nodes for node in nodes[1:]] == [[node] for node in nodes[:-1]]


def test_every_convolution_of_the_autoencoder_but_the_last_has_a_norm_and_a_relu() -> None:
    network = networks.rgb_autoencoder(width=0.125)
    kinds = [
        type(layer).__name__ for layer in (*network.encoder, *network.decoder) if not isinstance(layer, nn.MaxPool2d)
    ]
    assert kinds[1::3] == ["BatchNorm2d"] * 16 and kinds[2::3] == ["ReLU"] * 16
    assert kinds[-1] == "Conv2d" and network.decoder[-1].bias is not None


def test_the_autoencoder_keeps_a_channel_at_least() -> None:
    assert networks.rgb_autoencoder(width=0.001)(torch.rand(2, 3, 8, 8)).shape == (2, 3, 8, 8)


@pytest.mark.parametrize(
    ("name", "widths"), [("vgg_mini", (5, 7, 9)), ("vgg16", range(3, 16)), ("resnet20", (5, 6, 7))]
)
def test_any_width_will_do(name, widths):
    assert getattr(networks, name)(widths=widths, classes=3)(images()).shape == (2, 3)


def test_a_channel_of_vgg_mini_owns_four_consecutive_columns():
    network = networks.vgg_mini().eval()
    maps = network.features(images())
    assert maps.shape == (2, 128, 2, 2)
    assert torch.equal(maps.flatten(1)[:, 4 * 5 : 4 * 6], maps[:, 5].flatten(1))


def test_the_seed_decides_the_weights():
    first, same, other = (networks.vgg_mini(seed=seed).classifier.weight for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_building_leaves_the_global_generator_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    networks.vgg_mini()
    assert torch.equal(torch.rand(3), expected)


def test_signals_keep_their_size_at_the_start():
    network = networks.resnet20()
    assert 0.1 < network(images(16)).std() < 10


def test_an_unknown_builder_is_named():
    with pytest.raises(ValueError, match=r"no builder 'vgg_maxi'; known are .*vgg_mini"):
        build({"builder": "vgg_maxi", "arguments": {}})


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="do not fit vgg_mini"):
        build({"builder": "vgg_mini", "arguments": {"width": 3}})


@pytest.mark.parametrize("name", ["vgg_mini", "vgg16", "resnet20"])
def test_a_wrong_number_of_widths_is_refused(name):
    with pytest.raises(ValueError, match="widths"):
        getattr(networks, name)(widths=(3,))


def test_the_shortcut_is_a_projection_only_where_the_shape_changes():
    shortcuts = [m.shortcut for m in networks.resnet20().modules() if isinstance(m, networks.BasicBlock)]
    assert [isinstance(s, nn.Identity) for s in shortcuts] == [1, 1, 1, 0, 1, 1, 0, 1, 1]


def test_mobile_mini_has_the_size_that_it_says():
    sizes = [(32, 64), (64, 128), (128, 128), (128, 256), (256, 256)]
    convolutions = 9 * 3 * 32 + sum(9 * inputs + inputs * outputs for inputs, outputs in sizes)
    norms = 2 * 32 + sum(2 * inputs + 2 * outputs for inputs, outputs in sizes)
    network = networks.mobile_mini()
    assert parameter_count(network) == convolutions + norms + 4 * 256 + 4 == 135_236
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(images(1))
    assert counter.get_total_flops() == 2 * 16_524_288


def test_mobile_mini_halves_the_image_with_depthwise_convolutions_only():
    convolutions = [m for m in networks.mobile_mini().modules() if isinstance(m, nn.Conv2d)]
    assert [m.groups > 1 for m in convolutions] == [False, *[True, False] * 5]
    assert [m.stride[0] for m in convolutions[1::2]] == [1, 2, 1, 2, 1] and all(
        m.stride == (1, 1) for m in convolutions[2::2]
    )
    assert networks.mobile_mini(widths=(5, 6, 7), classes=3)(images()).shape == (2, 3)
    with pytest.raises(ValueError, match="2 to 8 widths"):
        networks.mobile_mini(widths=(3,))


def test_depthwise_filters_follow_the_channels_that_they_read():
    network = networks.mobile_mini(widths=(8, 12, 6)).eval()
    groups = [group for group in prunable_groups(network, images()) if group.free]
    assert [group.channels for group in groups] == [8, 12, 6]
    smaller = prune(network, groups, {group.name: range(group.channels // 2) for group in groups})
    shapes = [(m.in_channels, m.out_channels, m.groups) for m in smaller.modules() if isinstance(m, nn.Conv2d)]
    assert shapes == [(3, 4, 1), (4, 4, 4), (4, 6, 1), (6, 6, 6), (6, 3, 1)]
    assert smaller(images()).shape == (2, 4)
