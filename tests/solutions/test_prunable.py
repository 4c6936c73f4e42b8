"""The trial finds what the graph does not show, and what cannot be pruned is told in a sentence that is true."""

import copy
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from helpers.random_networks import RandomNetwork
from helpers.small_networks import NETWORKS, Entry, Net, conv, images
from helpers.torchvision_networks import random_plan
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize
from torch.nn.utils import prune as masks

from course_utils.networks import resnet20, vgg_mini
from solutions.graph.groups import Group
from solutions.graph.tensors import tensors_in, tensors_of
from solutions.plans import PlanError, held_back, kept_without, l1_plan, parameters_left
from solutions.prunable import RANDOM, prunable_groups, with_random_constants
from solutions.surgery import outputs, prune, silence


def free(network: nn.Module, example: Any, name: str = "a") -> Group:
    """The group of this name, tried out."""
    return next(group for group in prunable_groups(network.eval(), example) if group.name == name)


def finest(network: nn.Module, example: Any) -> tuple[nn.Module, Any, float]:
    """The network with random constants and its inputs, in float64 if it can be so, and what rounding may be."""
    network = with_random_constants(network).eval()
    for dtype, allowed in ((torch.float64, 1e-9), (torch.float32, 1e-3)):
        try:
            converted, given = copy.deepcopy(network).to(dtype), as_dtype(example, dtype)
            with torch.no_grad():
                outputs(converted, given)
            return converted, given, allowed
        except (RuntimeError, NotImplementedError):
            continue
    return network, example, 0.1


def as_dtype(value: Any, dtype: torch.dtype) -> Any:
    if isinstance(value, tuple):
        return tuple(as_dtype(item, dtype) for item in value)
    return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value


def off(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference, by the standard deviation (or the size, where nothing varies)."""
    ours, theirs = (torch.view_as_real(t) if t.is_complex() else t.double() for t in (ours, theirs))
    scale = theirs.std(correction=0) or theirs.abs().max() or torch.ones(())
    return float((ours - theirs).abs().max() / scale)


@pytest.mark.parametrize("entry", [pytest.param(entry, id=entry.name) for entry in NETWORKS.values()])
@pytest.mark.filterwarnings("ignore")
def test_nothing_is_pruned_wrongly_in_silence(entry: Entry) -> None:
    """Some channels at random, other shares in each group, and then all that can go: removing equals silencing."""
    network, example = entry.make()
    if entry.expect == "refused":
        with pytest.raises(PlanError):
            prunable_groups(network.eval(), example)
        return
    groups = prunable_groups(network.eval(), example)
    assert any(group.free for group in groups) == (entry.expect == "exact"), groups
    if entry.expect == "frozen":
        assert all(group.reasons for group in groups)
        return
    network, example, allowed = finest(network, example)
    for plan in (random_plan(groups, 0.4), {g.name: kept_without(g, g.free) for g in groups if g.free}):
        pruned = prune(network, groups, plan)
        assert sum(parameter.numel() for parameter in pruned.parameters()) == parameters_left(network, groups, plan)
        with torch.no_grad():
            pairs = zip(outputs(pruned, example), outputs(silence(network, groups, plan), example), strict=True)
        assert max(off(ours, theirs) for ours, theirs in pairs) < allowed


@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_pruned_wrongly_in_networks_drawn_at_random(seed: int) -> None:
    network, example = RandomNetwork(seed).double().eval(), torch.randn(3, 3, 6, 6).double()
    groups = prunable_groups(network, example)
    network = with_random_constants(network)
    for plan in (random_plan(groups, 0.4), {g.name: kept_without(g, g.free) for g in groups if g.free}):
        pairs = zip(*(outputs(f(network, groups, plan), example) for f in (prune, silence)), strict=True)
        assert max(off(ours.detach(), theirs.detach()) for ours, theirs in pairs) < 1e-9


# --- the trial


@dataclass
class Result:
    maps: Tensor


@pytest.mark.parametrize(
    "wrap",
    [lambda x: {"a": [(x,)]}, lambda x: [[x], x.mean()], lambda x: Result(x), lambda x: (x.mean(), {"b": Result(x)})],
    ids=["dict of lists", "list of lists", "dataclass", "dataclass in a dict"],
)
def test_a_size_is_found_in_outputs_of_any_form(wrap: Any) -> None:
    def run(n, x):
        x = n.a(x).relu()
        return wrap(n.b(x * (x.shape[1] / 4)))

    assert free(Net(run, a=conv(3, 4), b=conv(4, 5)), images()).free == []
    assert len(free(Net(lambda n, x: wrap(n.b(n.a(x).relu())), a=conv(3, 4), b=conv(4, 5)), images()).free) == 4


def test_an_example_of_zeros_is_not_what_is_tried() -> None:
    def run(n, x):
        y = n.a(x).relu()
        return n.b(y / y.flatten(1).norm(dim=1)[:, None, None, None] * (y.shape[1] / 4))

    network = Net(run, a=nn.Conv2d(3, 4, 1, bias=False), b=conv(4, 5))
    assert torch.isnan(network(torch.zeros_like(images()))).any()
    assert free(network, torch.zeros_like(images())).free == []


def test_a_network_that_gives_nan_is_told_so() -> None:
    group = free(Net(lambda n, x: n.b(n.a(x)) * torch.nan, a=conv(3, 4), b=conv(4, 5)), images())
    assert group.free == [] and "nan or infinite" in group.reasons[0]


def test_a_branch_that_starts_at_zero_hides_nothing() -> None:
    def run(n, x):
        y = n.a(x).relu()
        return n.b(y) + n.gain * n.c(y * (y.shape[1] / 4))

    network = Net(run, a=conv(3, 4), b=conv(4, 5), c=conv(4, 5), gain=nn.Parameter(torch.zeros(1)))
    assert free(network, images()).free == []


def test_ratios_of_widths_are_found() -> None:
    def run(n, x):
        a, b = n.a(x).relu(), n.b(x).relu()
        return n.c(a) * (a.shape[1] / b.shape[1]) + n.d(b)

    network = Net(run, a=conv(3, 8), b=conv(3, 8), c=conv(8, 5), d=conv(8, 5))
    assert free(network, images()).free == [] == free(network, images(), "b").free


def test_all_that_can_go_goes_in_the_trial() -> None:
    def run(n, x):
        one, two, three = F.relu_(n.a(x)).split(2, 1)
        return n.b(torch.cat([three, one + two], 1))

    group = free(Net(run, a=conv(3, 6), b=conv(4, 5)), images())
    assert group.free == [] and group.frozen


def test_dropout_that_evaluation_does_not_stop_is_told() -> None:
    network, example = Net(lambda n, x: n.b(F.dropout(n.a(x), 0.5)), a=conv(3, 4), b=conv(4, 5)), images()
    before = torch.get_rng_state()
    group = free(network, example)
    assert group.reasons == [RANDOM] and torch.equal(torch.get_rng_state(), before)


def test_a_little_chance_is_not_taken_for_a_size() -> None:
    def run(n, x):
        return n.b(n.a(x) * (1 + 1e-5 * F.dropout(x.mean((1, 2, 3), keepdim=True), 0.5)))

    assert free(Net(run, a=conv(3, 4), b=conv(4, 5)), images()).reasons == [RANDOM]


# --- identity


def test_a_module_that_is_registered_twice_has_one_group_under_its_first_name() -> None:
    network = Net(lambda n, x: n.layers[1](n.layers[0](x).relu()), first=conv(3, 4))
    network.layers = nn.ModuleList([network.first, conv(4, 5)])
    groups = prunable_groups(network.eval(), images())
    assert [group.name for group in groups] == ["first", "layers.1"] and len(groups[0].free) == 4
    pruned = prune(network, groups, {"first": [0, 2]}, images())
    assert pruned.first is pruned.layers[0] and pruned.first.out_channels == 2


def test_a_tied_autoencoder_loses_the_same_features_on_both_sides() -> None:
    network = Net(lambda n, x: F.linear(n.a(x).relu(), n.a.weight.t()), a=nn.Linear(6, 8))
    groups = prunable_groups(network.eval(), torch.randn(4, 6))
    assert len(groups[0].free) == 8
    assert prune(network, groups, {"a": [1, 5]}, torch.randn(4, 6)).a.weight.shape == (2, 6)


def test_what_evaluation_does_not_use_is_listed_and_left_alone() -> None:
    network = Net(lambda n, x: n.b(n.a(x)), a=conv(3, 4), b=conv(4, 5), unused=conv(4, 2))
    groups = {group.name: group for group in prunable_groups(network.eval(), images())}
    assert len(groups["a"].free) == 4
    assert groups["unused"].free == [] and "evaluation does not use it" in groups["unused"].reasons[0]


class Doubled(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return 2 * weight


def test_parametrised_layers_keep_the_names_that_their_owners_know() -> None:
    network = nn.Sequential(conv(3, 4), nn.ReLU(), conv(4, 6), nn.ReLU(), conv(6, 5)).eval()
    parametrizations.spectral_norm(network[0])
    parametrizations.weight_norm(network[2])
    parametrize.register_parametrization(network[4], "weight", Doubled())
    example = images()
    before = network(example)
    groups = prunable_groups(network, example)
    assert [group.name for group in groups] == ["0", "2", "4"]
    plan = {"0": [0, 1, 3]}
    pruned = prune(network, groups, plan, example)
    assert torch.allclose(pruned(example), silence(network, groups, plan)(example), atol=1e-5)
    assert parametrize.is_parametrized(pruned[4]) and not parametrize.is_parametrized(pruned[0])
    assert torch.equal(network(example), before) and parametrize.is_parametrized(network[0], "weight")
    assert parameters_left(network, groups, plan) == sum(p.numel() for p in pruned.parameters())


# --- ratios


def test_a_ratio_is_of_what_can_go() -> None:
    def run(n, x):
        x = n.a(x).relu()
        return n.c(n.b(x).relu() + F.pad(x, (0, 0, 0, 0, 12, 12)))

    network = Net(run, a=conv(3, 8), b=conv(8, 32), c=conv(32, 5)).eval()
    groups = prunable_groups(network, images())
    plan = l1_plan(network, groups, 0.5)
    assert len(prune(network, groups, plan).a.weight) == 4
    assert "28 of 32 channels stay in place of 16" in held_back(groups, plan, 0.5)["a"]


def test_what_a_plan_could_not_reach_is_said_and_nothing_else() -> None:
    network = vgg_mini(widths=(4, 4, 4, 4)).eval()
    groups = prunable_groups(network, torch.zeros(2, 3, 32, 32))
    missed = held_back(groups, l1_plan(network, groups, 0.5), 0.5)
    assert list(missed) == ["classifier"] and "it is an output of the network" in missed["classifier"]


# --- a library's manners


def test_a_group_shows_itself_in_a_line() -> None:
    text = repr(prunable_groups(vgg_mini(), torch.zeros(2, 3, 32, 32))[0])
    assert text == "Group(features.0: 32 channels, 32 can go; 5 places make or carry them, 1 read them)"


@pytest.mark.parametrize(
    "other", [lambda: resnet20(widths=(16, 32, 48)), vgg_mini], ids=["other widths", "other layers"]
)
def test_groups_of_another_network_are_refused(other: Any) -> None:
    network = resnet20(widths=(8, 16, 24))
    groups = prunable_groups(network, torch.zeros(2, 3, 32, 32))
    with pytest.raises(PlanError, match="These groups belong to another network"):
        prune(other(), groups, l1_plan(network, groups, 0.5))


def test_groups_of_a_shallower_network_are_refused_though_all_their_layers_are_there() -> None:
    shallow = nn.Sequential(conv(3, 4), nn.ReLU(), conv(4, 4))
    deep = nn.Sequential(*copy.deepcopy(shallow), nn.ReLU(), conv(4, 4))
    groups = prunable_groups(shallow.eval(), images())
    with pytest.raises(PlanError, match="whose layers have other names"):
        prune(deep, groups, {"0": [0, 1]})


def masked(network: nn.Module) -> nn.Module:
    masks.l1_unstructured(network[0], "weight", 0.5)
    return network


def compiled_in_place(network: nn.Module) -> nn.Module:
    network.compile()
    return network


def decides(network: nn.Module) -> nn.Module:
    return Net(lambda n, x: n.a(x) if x.mean() > 0 else n.a(-x), a=network)


REFUSED = {
    "masks of torch": (masked, "mask of torch.nn.utils.prune: make it permanent"),
    "old weight norm": (lambda n: n.append(nn.utils.weight_norm(conv(5, 5))), "remove_weight_norm"),
    "old spectral norm": (lambda n: n.append(nn.utils.spectral_norm(conv(5, 5))), "remove_spectral_norm"),
    "lazy": (lambda n: n.append(nn.LazyConv2d(4, 1)), "run the network once before"),
    "scripted": (torch.jit.script, "scripted"),
    "compiled": (torch.compile, "compile the pruned one"),
    "compiled in place": (compiled_in_place, "compile the pruned one"),
    "on several devices": (nn.DataParallel, "network.module"),
    "without numbers": (lambda n: n.to("meta"), "device meta"),
    "if on data": (decides, "decides by the numbers"),
    "no tensor": (lambda n: Net(lambda n, x: n.a(x).shape[1], a=n), "holds no tensor"),
    "quantised": (
        lambda n: torch.ao.quantization.quantize_dynamic(n.append(nn.Linear(8, 2)), {nn.Linear}, torch.qint8),
        "quantise the pruned one",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_pruned_is_refused_in_a_sentence(case: str) -> None:
    change, words = REFUSED[case]
    network = change(nn.Sequential(conv(3, 4), nn.ReLU(), conv(4, 5)).eval())
    with pytest.raises(PlanError) as caught:
        prunable_groups(network, images())
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_network_that_holds_on_to_a_run_is_told_so() -> None:
    network = nn.Sequential(conv(3, 4), nn.ReLU(), conv(4, 5)).eval()
    groups = prunable_groups(network, images())
    network.seen = network(images())
    for call in (lambda: prune(network, groups, {"0": [0, 1]}), lambda: prunable_groups(network, images())):
        with pytest.raises(PlanError, match="cannot be copied: it may hold on to a tensor of an earlier run"):
            call()


@pytest.mark.parametrize(
    "example", [torch.zeros(2, 4, 8, 8), torch.zeros(2, 3, 8, 8).double(), (images(), images()), 3]
)
def test_wrong_inputs_are_told(example: Any) -> None:
    with pytest.raises(PlanError, match="does not run on the example"):
        prunable_groups(nn.Sequential(conv(3, 4), conv(4, 5)), example)


def test_the_tensors_of_a_network_are_those_of_its_state_under_first_names() -> None:
    network = resnet20(widths=(4, 4, 4))
    assert set(tensors_of(network)) == set(network.state_dict())
    assert [len(list(tensors_in({"a": [torch.ones(1), 3], "b": Result(torch.ones(1))})))] == [2]
