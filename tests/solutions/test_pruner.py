"""Plans and what comes of them: sizes, kinds, hooks, sharing, errors; and removing beside silencing on torchvision's networks."""

import copy
from dataclasses import dataclass
from pathlib import Path

import onnx
import pytest
import torch
import torchvision
from helpers.torchvision_networks import (
    SMALLEST,
    compared,
    difference_of_one_wrong,
    random_images,
    random_plan,
    small,
)
from torch import Tensor, nn

from course_utils.checkpoints import load_network, save_network
from course_utils.networks import resnet20, vgg_mini
from course_utils.onnx_files.operators import refused_because
from solutions.graph.export import export_graph, unreached
from solutions.graph.groups import Group, channel_groups
from solutions.graph.storage import load_groups, save_groups
from solutions.plans import PlanError, channels_to_keep, groups_left, l1_norms, l1_plan, parameters_left
from solutions.prunable import prunable_groups, tried_out
from solutions.surgery import prune, silence

IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    return resnet20(widths=(8, 16, 24), classes=4).eval()


@pytest.fixture(scope="module")
def groups(resnet: nn.Module) -> list[Group]:
    return prunable_groups(resnet, IMAGES)


@pytest.fixture
def plan(resnet: nn.Module, groups: list[Group]) -> dict[str, list[int]]:
    return l1_plan(resnet, groups, 0.5)


@dataclass
class Family:
    """A small network of one of torchvision's families, and its graph."""

    network: nn.Module
    size: int  # of its images
    model: onnx.ModelProto
    groups: list[Group]


@pytest.fixture(scope="module")
def family(request: pytest.FixtureRequest) -> Family:
    network, size = small(request.param)
    model = export_graph(network, random_images(size, 1))
    return Family(network, size, model, channel_groups(model, list(network.state_dict())))


EVERY_DAY = ("alexnet", "resnet18", "squeezenet1_1", "vit_b_16")


def families(*names: str) -> pytest.MarkDecorator:
    """One test a family; what two tests need of it is made once."""
    params = []
    for name in names:
        params.append(pytest.param(name, marks=[] if name in EVERY_DAY else [pytest.mark.slow]))
    return pytest.mark.parametrize("family", params, indirect=True)


@families(*SMALLEST)
def test_removing_equals_silencing(family: Family) -> None:
    """Half or 30 % of every group at random: exact to rounding, where one wrong channel is far off."""
    example = random_images(family.size, 2)
    for share in (0.3, 0.5):
        result = compared(family.network, family.groups, share, example)
        assert result["difference"] < 1e-10
        assert result["left"] == result["foretold"]
    assert difference_of_one_wrong(family.network, family.groups, example) > 1e-3


@families(*(name for name in SMALLEST if not name.startswith(("swin", "maxvit"))))  # they use ScatterND, Einsum
def test_what_the_exporter_makes_of_torchvisions_networks_is_measured(family: Family) -> None:
    assert refused_because(family.model.graph.node) == ""


@families(*SMALLEST)
def test_what_the_graph_says_a_trial_confirms(family: Family) -> None:
    """So `prunable_groups` freezes nothing more, and no parameter is out of its sight."""
    assert unreached(family.network, family.model) == []
    tried = tried_out(family.network, random_images(family.size, 1), family.groups)
    assert [group.frozen for group in tried] == [group.frozen for group in family.groups]


@families("resnet18", "mobilenet_v2", "squeezenet1_1", "shufflenet_v2_x0_5", "regnet_x_400mf")
def test_the_groups_of_the_pruned_network_follow_from_the_plan(family: Family) -> None:
    """Additions, depthwise and grouped convolutions, concatenations, channels cut in halves: as if read anew."""
    plan = random_plan(family.groups, 0.5)
    smaller = prune(family.network, family.groups, plan)
    again = channel_groups(export_graph(smaller, random_images(family.size, 1)), list(smaller.state_dict()))
    assert [described(group) for group in groups_left(family.groups, plan)] == [described(group) for group in again]


def described(group: Group) -> tuple:
    slots = [(slot.parameter, slot.axis, slot.consumes, slot.channel.tolist()) for slot in group.slots]
    return group.name, group.channels, slots, sorted(group.frozen)


def test_a_residual_network_is_pruned_through_its_additions(
    resnet: nn.Module, groups: list[Group], plan: dict[str, list[int]]
) -> None:
    pruned = prune(resnet, groups, plan, IMAGES)
    assert type(pruned) is type(resnet)
    widths = {tuple(module.weight.shape[:2]) for module in pruned.modules() if isinstance(module, nn.Conv2d)}
    assert widths == {(4, 3), (4, 4), (8, 4), (8, 8), (12, 8), (12, 12)}
    assert sum(p.numel() for p in pruned.parameters()) == parameters_left(resnet, groups, plan)


def test_the_network_given_is_left_alone(resnet: nn.Module, groups: list[Group], plan: dict[str, list[int]]) -> None:
    before = copy.deepcopy(resnet)
    pruned = prune(resnet, groups, plan)
    for parameter in pruned.parameters():
        parameter.data.zero_()
    for name, tensor in resnet.state_dict().items():
        assert torch.equal(tensor, before.state_dict()[name])


def test_layers_say_their_new_sizes(resnet: nn.Module, groups: list[Group], plan: dict[str, list[int]]) -> None:
    pruned = prune(resnet, groups, plan)
    assert (pruned.conv1.out_channels, pruned.bn1.num_features, pruned.classifier.in_features) == (4, 4, 12)
    assert "Conv2d(3, 4" in repr(pruned)


def test_modes_gradients_and_hooks_stay(groups: list[Group], plan: dict[str, list[int]], resnet: nn.Module) -> None:
    network = copy.deepcopy(resnet).train()
    network.bn1.eval()
    network.conv1.weight.requires_grad_(False)
    calls = []
    network.classifier.register_forward_hook(lambda *_: calls.append(1))
    pruned = prune(network, groups, plan)
    assert pruned.training and not pruned.bn1.training
    assert not pruned.conv1.weight.requires_grad and pruned.classifier.weight.requires_grad
    pruned(IMAGES)
    assert calls == [1]


def test_dtype_and_memory_format_stay(groups: list[Group], plan: dict[str, list[int]], resnet: nn.Module) -> None:
    network = copy.deepcopy(resnet).to(torch.bfloat16).to(memory_format=torch.channels_last)
    weight = prune(network, groups, plan).stages[1][1].conv1.weight
    assert weight.dtype == torch.bfloat16 and weight.is_contiguous(memory_format=torch.channels_last)


def test_gradients_flow_in_the_pruned_network(
    resnet: nn.Module, groups: list[Group], plan: dict[str, list[int]]
) -> None:
    pruned = prune(resnet, groups, plan).train()
    pruned(IMAGES).sum().backward()
    assert all(parameter.grad is not None for parameter in pruned.parameters())
    assert all(parameter.grad is None for parameter in resnet.parameters())


def test_a_pruned_network_can_be_pruned_again(
    resnet: nn.Module, groups: list[Group], plan: dict[str, list[int]]
) -> None:
    once, again = prune(resnet, groups, plan), groups_left(groups, plan)
    twice = l1_plan(once, again, 0.5)
    with torch.no_grad():
        assert torch.allclose(prune(once, again, twice)(IMAGES), silence(once, again, twice)(IMAGES), atol=1e-5)
    assert parameters_left(once, again, twice) == sum(p.numel() for p in prune(once, again, twice).parameters())


def test_a_checkpoint_brings_it_back(
    resnet: nn.Module, groups: list[Group], plan: dict[str, list[int]], tmp_path: Path
) -> None:
    pruned = prune(resnet, groups, plan)
    loaded = load_network(save_network(pruned, tmp_path / "pruned.safetensors"))
    with torch.no_grad():
        assert torch.equal(loaded(IMAGES), pruned(IMAGES))


@pytest.mark.slow
def test_a_checkpoint_brings_a_network_of_torchvision_back(tmp_path: Path) -> None:
    network = torchvision.models.mobilenet_v3_small(num_classes=4).eval()
    recipe = {"builder": "from_torchvision", "arguments": {"name": "mobilenet_v3_small", "classes": 4}}
    example = torch.randn(1, 3, 64, 64)
    groups = prunable_groups(network, example)
    pruned = prune(network, groups, l1_plan(network, groups, 0.5), example)
    loaded = load_network(save_network(pruned, tmp_path / "pruned.safetensors", recipe=recipe))
    assert all(torch.equal(tensor, pruned.state_dict()[name]) for name, tensor in loaded.state_dict().items())
    assert loaded(example).shape == (1, 4)


def test_groups_are_kept_as_a_file(resnet: nn.Module, groups: list[Group], tmp_path: Path) -> None:
    loaded = load_groups(save_groups(groups, tmp_path / "groups.json"))
    plan = l1_plan(resnet, loaded, 0.3)
    assert plan == l1_plan(resnet, groups, 0.3)
    assert [group.frozen for group in loaded] == [group.frozen for group in groups]
    assert parameters_left(resnet, loaded, plan) == parameters_left(resnet, groups, plan)


def test_a_file_without_groups_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "groups.json").write_text("[1, 2]")
    with pytest.raises(PlanError, match="holds no channel groups"):
        load_groups(tmp_path / "groups.json")


# --- plans


def test_the_strongest_channels_stay() -> None:
    group = Group("a", 4, ())
    assert channels_to_keep(group, torch.tensor([1.0, 4.0, 3.0, 2.0]), 0.5) == [1, 2]


@pytest.mark.parametrize(("channels", "keep_ratio", "left"), [(90, 0.3, 27), (8, 0.34375, 3), (5, 0.0, 1), (5, 1.0, 5)])
def test_what_goes_is_rounded_down(channels: int, keep_ratio: float, left: int) -> None:
    assert len(channels_to_keep(Group("a", channels, ()), torch.arange(float(channels)), keep_ratio)) == left


def test_frozen_channels_stay_whatever_their_score() -> None:
    group = Group("a", 5, (), {0: "it is frozen"})
    assert channels_to_keep(group, torch.tensor([0.0, 4.0, 3.0, 2.0, 1.0]), 0.5) == [0, 1, 2], "two of four that can go"


def test_a_plan_against_a_frozen_channel_says_why(resnet: nn.Module, groups: list[Group]) -> None:
    with pytest.raises(PlanError, match="classifier: channel 1 must stay: it is an output of the network"):
        prune(resnet, groups, {"classifier": [0, 2, 3]})


@pytest.mark.parametrize("kept", [[], [0, 0], [-1], [99]])
def test_a_plan_with_impossible_channels_is_refused(resnet: nn.Module, groups: list[Group], kept: list[int]) -> None:
    with pytest.raises(PlanError, match="different numbers from 0 to 7"):
        prune(resnet, groups, {"conv1": kept})


def test_a_plan_for_no_group_names_those_that_there_are(resnet: nn.Module, groups: list[Group]) -> None:
    with pytest.raises(PlanError, match=r"no group 'conv9'; there are conv1, stages\.0\.0\.conv1"):
        prune(resnet, groups, {"conv9": [0]})


def test_a_ratio_out_of_range_is_refused() -> None:
    with pytest.raises(PlanError, match="between 0 and 1"):
        channels_to_keep(Group("a", 4, ()), torch.arange(4.0), 1.5)


def test_l1_norms_are_summed_over_all_layers_that_make_the_channels(resnet: nn.Module, groups: list[Group]) -> None:
    group = next(group for group in groups if group.name == "conv1")
    makers = [resnet.conv1, *(block.conv2 for block in resnet.stages[0])]
    expected: Tensor = sum(conv.weight.detach().abs().sum((1, 2, 3)) for conv in makers)
    assert torch.allclose(l1_norms(resnet, group), expected)


def test_the_course_s_vgg_is_pruned_as_by_hand() -> None:
    from solutions.l1 import prune_vgg

    network = vgg_mini(widths=(8, 8, 16, 16)).eval()
    groups = prunable_groups(network, IMAGES)
    by_graph, by_hand = prune(network, groups, l1_plan(network, groups, 0.5)), prune_vgg(network, 0.5)
    with torch.no_grad():
        assert torch.allclose(by_graph(IMAGES), by_hand(IMAGES), atol=1e-6)
