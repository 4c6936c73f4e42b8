"""Every rule of the graph reader on a small network of its own: what may go, what must stay and why."""

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from helpers.torchvision_networks import difference, random_plan
from onnx import numpy_helper
from torch import Tensor, nn

from solutions.graph.export import export_graph
from solutions.graph.groups import Group, channel_groups
from solutions.plans import parameters_left
from solutions.prunable import problem_with, prunable_groups
from solutions.surgery import prune, silence


class Net(nn.Module):
    """A network of layers given by name, with a function of (network, images) as its forward pass."""

    def __init__(self, run, **layers):
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.run = run
        self.double().eval()
        with torch.no_grad():
            for tensor in [*self.parameters(), *self.buffers()]:
                if tensor.is_floating_point():
                    tensor.copy_(torch.rand(tensor.shape) + 0.5)
            for module in self.modules():
                if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
                    module.weight.normal_()

    def forward(self, images):
        return self.run(self, images)


def conv(inputs, outputs, size=1, **options):
    return nn.Conv2d(inputs, outputs, size, **options)


def images(channels: int = 3, side: int = 6) -> Tensor:
    return torch.randn(2, channels, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def read(network: nn.Module, example: Tensor | None = None) -> dict[str, Group]:
    """The groups by name, as the graph alone has them; the trial must find nothing against them."""
    example = images() if example is None else example
    groups = channel_groups(export_graph(network, example), list(network.state_dict()))
    assert problem_with(network, [example], groups) == ""
    for share in (0.3, 0.6):
        plan = random_plan(groups, share)
        assert difference(prune(network, groups, plan), silence(network, groups, plan), example) < 1e-10
    return {group.name: group for group in groups}


def slots(group: Group) -> dict[str, int]:
    """How many positions the group has along each axis of each parameter, as "name/axis"."""
    return {f"{slot.parameter}/{slot.axis}": int((slot.channel >= 0).sum()) for slot in group.slots}


def test_a_convolution_makes_channels_and_the_next_one_reads_them() -> None:
    groups = read(Net(lambda n, x: n.b(n.a(x).relu()), a=conv(3, 4), b=conv(4, 5)))
    assert slots(groups["a"]) == {"a.weight/0": 4, "a.bias/0": 4, "b.weight/1": 4}
    assert len(groups["a"].free) == 4


def test_the_output_of_the_network_is_frozen() -> None:
    groups = read(Net(lambda n, x: n.b(n.a(x)), a=conv(3, 4), b=conv(4, 5)))
    assert groups["b"].free == [] and groups["b"].reasons == ["it is an output of the network"]


def test_the_channels_of_the_input_are_no_group() -> None:
    assert set(read(Net(lambda n, x: n.b(n.a(x)), a=conv(3, 4), b=conv(4, 5)))) == {"a", "b"}


def test_a_linear_layer_reads_and_makes() -> None:
    network = Net(lambda n, x: n.b(torch.tanh(n.a(x))), a=nn.Linear(3, 4), b=nn.Linear(4, 2))
    groups = read(network, torch.randn(5, 3, dtype=torch.float64))
    assert slots(groups["a"]) == {"a.weight/0": 4, "a.bias/0": 4, "b.weight/1": 4}


def test_a_linear_layer_on_the_last_of_three_axes() -> None:
    network = Net(lambda n, x: n.b(F.gelu(n.a(x))), a=nn.Linear(3, 4), b=nn.Linear(4, 2))
    groups = read(network, torch.randn(2, 5, 3, dtype=torch.float64))
    assert slots(groups["a"]) == {"a.weight/0": 4, "a.bias/0": 4, "b.weight/1": 4}


def test_a_transposed_convolution_has_its_channels_the_other_way_round() -> None:
    groups = read(Net(lambda n, x: n.b(n.a(x)), a=nn.ConvTranspose2d(3, 4, 2, stride=2), b=nn.ConvTranspose2d(4, 2, 3)))
    assert slots(groups["a"]) == {"a.weight/1": 4, "a.bias/0": 4, "b.weight/0": 4}


def test_a_batch_norm_goes_with_its_channels() -> None:
    groups = read(Net(lambda n, x: n.b(n.norm(n.a(x))), a=conv(3, 4, bias=False), norm=nn.BatchNorm2d(4), b=conv(4, 5)))
    names = {name for name in slots(groups["a"]) if name.startswith("norm")}
    assert names == {"norm.weight/0", "norm.bias/0", "norm.running_mean/0", "norm.running_var/0"}


def test_a_depthwise_convolution_passes_channels_on() -> None:
    groups = read(Net(lambda n, x: n.b(n.d(n.a(x))), a=conv(3, 4), d=conv(4, 4, 3, groups=4), b=conv(4, 5)))
    assert slots(groups["a"])["d.weight/0"] == 4 and set(groups) == {"a", "b"}


def test_a_depthwise_convolution_that_doubles_the_channels() -> None:
    groups = read(Net(lambda n, x: n.b(n.d(n.a(x))), a=conv(3, 4), d=conv(4, 8, 3, groups=4), b=conv(8, 5)))
    assert groups["a"].channels == 4 and slots(groups["a"])["b.weight/1"] == 8


def test_a_grouped_convolution_loses_the_same_positions_in_every_group() -> None:
    groups = read(Net(lambda n, x: n.b(n.g(n.a(x))), a=conv(3, 8), g=conv(8, 6, groups=2), b=conv(6, 5)))
    assert groups["a"].channels == 4 and groups["g"].channels == 3
    slot = next(slot for slot in groups["a"].slots if slot.parameter == "a.weight")
    assert slot.channel.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]


def test_a_grouped_transposed_convolution() -> None:
    g = nn.ConvTranspose2d(8, 6, 2, groups=2)
    groups = read(Net(lambda n, x: n.b(n.g(n.a(x))), a=conv(3, 8), g=g, b=conv(6, 5)))
    assert groups["a"].channels == 4 and groups["g"].channels == 3


def test_slopes_of_a_prelu_belong_to_channels() -> None:
    groups = read(Net(lambda n, x: n.b(n.p(n.a(x))), a=conv(3, 4), p=nn.PReLU(4), b=conv(4, 5)))
    assert slots(groups["a"])["p.weight/0"] == 4


def test_activations_and_pooling_let_channels_pass() -> None:
    def run(n, x):
        x = F.hardswish(F.relu6(n.a(x)))
        x = F.max_pool2d(x, 2) + F.avg_pool2d(F.leaky_relu(x), 2) * F.hardsigmoid(F.max_pool2d(x, 2))
        x = F.interpolate(F.pad(F.silu(F.dropout(x, 0.5, False)), (1, 1, 1, 1)), scale_factor=2.0)
        return n.b(x.mean((2, 3), keepdim=True) * F.adaptive_avg_pool2d(x, 1))

    groups = read(Net(run, a=conv(3, 4), b=conv(4, 5)))
    assert len(groups["a"].free) == 4


def test_both_sides_of_an_addition_are_one_group() -> None:
    groups = read(Net(lambda n, x: n.c(n.a(x) + n.b(x)), a=conv(3, 4), b=conv(3, 4), c=conv(4, 5)))
    assert slots(groups["a"]) == {"a.weight/0": 4, "a.bias/0": 4, "b.weight/0": 4, "b.bias/0": 4, "c.weight/1": 4}


def test_subtraction_multiplication_and_division_couple_too() -> None:
    def run(n, x):
        return n.e((n.a(x) - n.b(x)) * n.c(x) / n.d(x).exp())

    groups = read(Net(run, a=conv(3, 4), b=conv(3, 4), c=conv(3, 4), d=conv(3, 4), e=conv(4, 5)))
    assert set(groups) == {"a", "e"} and slots(groups["a"])["d.weight/0"] == 4


def test_a_chain_of_additions_is_one_group() -> None:
    def run(n, x):
        x = n.a(x)
        x = x + n.b(x)
        return n.d(x + n.c(x))

    groups = read(Net(run, a=conv(3, 4), b=conv(4, 4), c=conv(4, 4), d=conv(4, 5)))
    assert set(groups) == {"a", "d"}
    assert slots(groups["a"])["b.weight/0"] == slots(groups["a"])["b.weight/1"] == 4


def test_the_gate_of_a_squeeze_and_excitation_block_goes_with_its_channels() -> None:
    def run(n, x):
        x = n.a(x)
        return n.b(x * torch.sigmoid(n.up(F.relu(n.down(x.mean((2, 3), keepdim=True))))))

    groups = read(Net(run, a=conv(3, 4), down=conv(4, 2), up=conv(2, 4), b=conv(4, 5)))
    assert slots(groups["a"])["up.weight/0"] == 4 and slots(groups["a"])["down.weight/1"] == 4
    assert groups["down"].channels == 2


def test_a_scale_for_every_channel_is_narrowed() -> None:
    scale = nn.Parameter(torch.ones(4, 1, 1))
    groups = read(Net(lambda n, x: n.b(n.a(x) * n.scale), a=conv(3, 4), b=conv(4, 5), scale=scale))
    assert slots(groups["a"])["scale/0"] == 4


def test_a_concatenation_shifts_channels() -> None:
    groups = read(Net(lambda n, x: n.c(torch.cat([n.a(x), n.b(x)], 1)), a=conv(3, 2), b=conv(3, 4), c=conv(6, 5)))
    slot = next(slot for slot in groups["b"].slots if slot.parameter == "c.weight")
    assert slot.channel.tolist() == [-1, -1, 0, 1, 2, 3]


def test_a_concatenation_with_the_input_shifts_by_its_channels() -> None:
    groups = read(Net(lambda n, x: n.b(torch.cat([x, n.a(x)], 1)), a=conv(3, 4), b=conv(7, 5)))
    slot = next(slot for slot in groups["a"].slots if slot.parameter == "b.weight")
    assert slot.channel.tolist() == [-1, -1, -1, 0, 1, 2, 3] and len(groups["a"].free) == 4


def test_an_addition_to_a_concatenation_ties_across_its_parts() -> None:
    def run(n, x):
        return n.d(torch.cat([n.a(x), n.b(x)], 1) + n.c(x))

    groups = read(Net(run, a=conv(3, 2), b=conv(3, 4), c=conv(3, 6), d=conv(6, 5)))
    assert set(groups) == {"a", "d"} and groups["a"].channels == 6


def test_flatten_gives_each_channel_all_its_pixels() -> None:
    groups = read(Net(lambda n, x: n.b(n.a(x).flatten(1)), a=conv(3, 4), b=nn.Linear(4 * 36, 5)))
    slot = next(slot for slot in groups["a"].slots if slot.parameter == "b.weight")
    assert slot.channel.tolist() == [channel for channel in range(4) for _ in range(36)]


def test_channels_that_lie_last_when_flattened() -> None:
    groups = read(Net(lambda n, x: n.b(n.a(x).permute(0, 2, 3, 1).flatten(1)), a=conv(3, 4), b=nn.Linear(4 * 36, 5)))
    slot = next(slot for slot in groups["a"].slots if slot.parameter == "b.weight")
    assert slot.channel.tolist() == [0, 1, 2, 3] * 36


def shuffled(x: Tensor, rows: int) -> Tensor:
    count, channels, height, width = x.shape
    return x.view(count, rows, channels // rows, height, width).transpose(1, 2).reshape(count, -1, height, width)


def test_a_channel_shuffle_permutes() -> None:
    groups = read(Net(lambda n, x: n.b(shuffled(n.a(x), 2)), a=conv(3, 6), b=conv(6, 5)))
    slot = next(slot for slot in groups["a"].slots if slot.parameter == "b.weight")
    assert slot.channel.tolist() == [0, 0, 1, 1, 2, 2], "both rows lose the same columns, and then they are interleaved"


def test_a_shuffle_between_grouped_convolutions() -> None:
    network = Net(
        lambda n, x: n.b(shuffled(n.g(n.a(x)), 2)), a=conv(3, 8), g=conv(8, 8, groups=2), b=conv(8, 4, groups=2)
    )
    groups = read(network)
    slot = next(slot for slot in groups["g"].slots if slot.parameter == "g.weight")
    assert slot.channel.tolist() == [0, 1, 0, 1, 0, 1, 0, 1], "columns of the shuffle, positions of both convolutions"


def test_what_is_cut_in_halves_is_frozen() -> None:
    def run(n, x):
        first, second = n.a(x).chunk(2, 1)
        return n.b(first) + n.c(second)

    groups = read(Net(run, a=conv(3, 4), b=conv(2, 5), c=conv(2, 5)))
    assert groups["a"].free == [] and "cut in parts" in groups["a"].reasons[0]


def test_channels_behind_a_slice_may_go_and_those_in_it_may_not() -> None:
    groups = read(Net(lambda n, x: n.b(n.a(x)[:, 1:3]) + n.c(n.a(x)), a=conv(3, 6), b=conv(2, 5), c=conv(6, 5)))
    assert groups["a"].free == [3, 4, 5]


def test_a_slice_to_the_end_holds_only_what_is_before_it() -> None:
    groups = read(Net(lambda n, x: n.b(n.a(x)[:, 2:]), a=conv(3, 6), b=conv(4, 5)))
    assert groups["a"].free == [2, 3, 4, 5]


def test_a_slice_of_pixels_changes_nothing() -> None:
    groups = read(Net(lambda n, x: n.b(n.a(x)[:, :, ::2, 1:]), a=conv(3, 6), b=conv(6, 5)))
    assert len(groups["a"].free) == 6


def test_channels_picked_by_number_are_frozen() -> None:
    groups = read(Net(lambda n, x: n.b(n.a(x)[:, [2, 0]]), a=conv(3, 4), b=conv(2, 5)))
    assert groups["a"].free == [] and "by their numbers" in groups["a"].reasons[0]


def test_a_shortcut_without_parameters_shifts_channels_and_its_padding_stays() -> None:
    def run(n, x):
        x = n.a(x)
        return n.c(n.b(x) + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 2)))

    groups = read(Net(run, a=conv(3, 4), b=conv(4, 7, stride=2), c=conv(7, 5)))
    assert set(groups) == {"a", "c"} and groups["a"].channels == 7
    slot = next(slot for slot in groups["a"].slots if slot.parameter == "b.weight" and slot.axis == 0)
    frozen = [int(channel) in groups["a"].frozen for channel in slot.channel]
    assert frozen == [True, False, False, False, False, True, True]


def test_normalising_over_channels_freezes() -> None:
    for norm in (nn.GroupNorm(2, 4, affine=False), nn.LocalResponseNorm(3), nn.LayerNorm([4, 6, 6])):
        groups = read(Net(lambda n, x: n.b(n.norm(n.a(x))), a=conv(3, 4), norm=norm, b=conv(4, 5)))
        assert groups["a"].free == [], type(norm).__name__


def test_an_instance_norm_works_on_every_channel_by_itself() -> None:
    norm = nn.InstanceNorm2d(4, affine=True)
    groups = read(Net(lambda n, x: n.b(n.norm(n.a(x))), a=conv(3, 4), norm=norm, b=conv(4, 5)))
    assert len(groups["a"].free) == 4 and slots(groups["a"])["norm.weight/0"] == 4


def test_a_softmax_over_channels_freezes() -> None:
    groups = read(Net(lambda n, x: n.b(n.a(x).softmax(1)), a=conv(3, 4), b=conv(4, 5)))
    assert groups["a"].reasons == ["Softmax mixes the channels"]


def test_a_mean_over_channels_freezes() -> None:
    groups = read(Net(lambda n, x: n.b(n.a(x).mean(1, keepdim=True)), a=conv(3, 4), b=conv(1, 5)))
    assert groups["a"].free == [] and "mixes the channels" in groups["a"].reasons[0]


def test_attention_freezes_and_the_layers_behind_it_do_not() -> None:
    def run(n, x):
        tokens = x.flatten(2).transpose(1, 2)
        scores = n.q(tokens) @ n.k(tokens).transpose(1, 2)
        return n.c(F.gelu(n.b(scores.softmax(-1) @ n.v(tokens))))

    layers = {
        "q": nn.Linear(3, 4),
        "k": nn.Linear(3, 4),
        "v": nn.Linear(3, 4),
        "b": nn.Linear(4, 6),
        "c": nn.Linear(6, 2),
    }
    groups = read(Net(run, **layers))
    assert groups["q"].free == [] == groups["k"].free and "a product of two activations" in groups["q"].reasons[0]
    assert len(groups["v"].free) == 4 and slots(groups["v"])["b.weight/1"] == 4, "what is weighted and read on goes"
    assert len(groups["b"].free) == 6


def test_an_unknown_operator_freezes_what_it_touches_and_says_so() -> None:
    groups = read(
        Net(
            lambda n, x: n.c(torch.det(n.a(x)).flatten(1)) + n.b(x).sum(), a=conv(3, 4), b=conv(3, 4), c=nn.Linear(4, 1)
        )
    )
    assert groups["a"].free == [] and "operator Det" in groups["a"].reasons[0]


def test_a_layer_used_twice_loses_the_same_channels_both_times() -> None:
    groups = read(Net(lambda n, x: n.b(n.a(x)) + n.b(n.c(x)), a=conv(3, 4), b=conv(4, 5), c=conv(3, 4)))
    assert slots(groups["a"])["c.weight/0"] == 4


def test_tied_weights_are_one() -> None:
    network = Net(lambda n, x: n.b(n.a(x)), a=nn.Linear(6, 6, bias=False), b=nn.Linear(6, 6, bias=False))
    network.b.weight = network.a.weight
    (group,) = read(network, torch.randn(2, 6, dtype=torch.float64)).values()
    assert group.free == []


def test_a_shared_weight_is_narrowed_once() -> None:
    network = Net(lambda n, x: n.c(n.a(x) + n.b(x)), a=conv(3, 4), b=conv(3, 4), c=conv(4, 5))
    network.b.weight = network.a.weight
    groups = channel_groups(export_graph(network, images()), list(network.state_dict()))
    pruned = prune(network, groups, {groups[0].name: [0, 2]}, images())
    assert pruned.a.weight is pruned.b.weight and len(pruned.a.weight) == 2
    assert parameters_left(network, groups, {groups[0].name: [0, 2]}) == sum(p.numel() for p in pruned.parameters())


def test_a_size_written_in_the_code_is_found_by_trial() -> None:
    network = Net(lambda n, x: n.b(n.a(x).reshape(-1, 4 * 36)), a=conv(3, 4), b=nn.Linear(4 * 36, 5))
    group = next(group for group in prunable_groups(network, images()) if group.name == "a")
    assert group.free == [] and "does not run" in group.reasons[0]


def test_a_wrong_result_is_found_by_trial() -> None:
    def run(n, x):
        x = n.a(x)
        return n.b(x * (x.shape[1] / 4))

    network = Net(run, a=conv(3, 4), b=conv(4, 5))
    group = next(group for group in prunable_groups(network, images()) if group.name == "a")
    assert group.free == [] and "computes something else" in group.reasons[0]


def test_a_group_norm_loses_whole_groups_of_channels() -> None:
    network = Net(lambda n, x: n.b(n.norm(n.a(x))), a=conv(3, 8), norm=nn.GroupNorm(4, 8), b=conv(8, 5))
    groups = read(network)
    assert groups["a"].channels == 4 and slots(groups["a"])["norm.weight/0"] == 8
    norm = prune(network, list(groups.values()), {"a": [0, 2, 3]}).norm
    assert (norm.num_groups, norm.num_channels) == (3, 6)


def test_an_instance_norm_with_running_statistics_is_a_batch_norm() -> None:
    norm = nn.InstanceNorm2d(4, affine=True, track_running_stats=True)
    groups = read(Net(lambda n, x: n.b(n.norm(n.a(x))), a=conv(3, 4), norm=norm, b=conv(4, 5)))
    assert len(groups["a"].free) == 4 and slots(groups["a"])["norm.running_mean/0"] == 4


def test_branches_that_are_stacked_are_one_group() -> None:
    groups = read(
        Net(lambda n, x: n.c(torch.stack([n.a(x), n.b(x)], 1).sum(1)), a=conv(3, 4), b=conv(3, 4), c=conv(4, 5))
    )
    assert set(groups) == {"a", "c"} and slots(groups["a"])["b.weight/0"] == 4


def test_channels_that_are_repeated_are_read_in_several_places() -> None:
    for repeated in (lambda x: x.repeat(1, 2, 1, 1), lambda x: x.repeat_interleave(2, 1)):
        groups = read(Net(lambda n, x, repeated=repeated: n.b(repeated(n.a(x))), a=conv(3, 4), b=conv(8, 5)))
        assert slots(groups["a"])["b.weight/1"] == 8 and groups["a"].channels == 4


def test_a_pixel_shuffle_takes_four_channels_at_once() -> None:
    groups = read(Net(lambda n, x: n.b(F.pixel_shuffle(n.a(x), 2)), a=conv(3, 16), b=conv(4, 5)))
    slot = next(slot for slot in groups["a"].slots if slot.parameter == "a.weight")
    assert slot.channel.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]
    groups = read(Net(lambda n, x: n.b(F.pixel_unshuffle(n.a(x), 2)), a=conv(3, 4), b=conv(16, 5)))
    assert slots(groups["a"])["b.weight/1"] == 16


def test_the_halves_of_a_gated_linear_unit_go_together() -> None:
    groups = read(Net(lambda n, x: n.b(F.glu(n.a(x), 1)), a=conv(3, 8), b=conv(4, 5)))
    slot = next(slot for slot in groups["a"].slots if slot.parameter == "a.weight")
    assert slot.channel.tolist() == [0, 1, 2, 3, 0, 1, 2, 3] and len(groups["a"].free) == 4


def test_linear_layers_that_are_written_by_hand() -> None:
    for product in (
        lambda w, x: torch.einsum("oc,nchw->nohw", w, x),
        lambda w, x: (w @ x.flatten(2)).unflatten(2, x.shape[2:]),
        lambda w, x: (x.permute(0, 2, 3, 1) @ w.t()).permute(0, 3, 1, 2),
    ):
        weight = nn.Parameter(torch.ones(6, 4))
        layers = {"a": conv(3, 4), "w": weight, "b": conv(6, 5)}
        groups = read(Net(lambda n, x, product=product: n.b(product(n.w, n.a(x)).relu()), **layers))
        assert slots(groups["a"])["w/1"] == 4 and slots(groups["w"]) == {"w/0": 6, "b.weight/1": 6}


def test_variance_over_pixels_is_of_each_channel() -> None:
    groups = read(Net(lambda n, x: n.b(n.a(x).std((2, 3)) + n.a(x).var((2, 3))), a=conv(3, 4), b=nn.Linear(4, 5)))
    assert len(groups["a"].free) == 4


def test_a_recurrent_layer_reads_channels_and_keeps_its_own_width() -> None:
    for layer in (nn.LSTM(4, 5, batch_first=True), nn.GRU(4, 5, batch_first=True, bidirectional=True)):
        width = 5 * (1 + layer.bidirectional)
        network = Net(lambda n, x: n.b(n.r(n.a(x))[0]), a=nn.Linear(3, 4), r=layer, b=nn.Linear(width, 2))
        groups = read(network, torch.randn(2, 6, 3, dtype=torch.float64))
        assert len(groups["a"].free) == 4 and slots(groups["a"])["r.weight_ih_l0/1"] == 4
        assert groups["r.weight_ih_l0"].free == [] and f"(r: {type(layer).__name__})" in str(groups["r.weight_ih_l0"])
        assert prune(network, list(groups.values()), {"a": [0, 1]}).r.input_size == 2


def test_a_blur_of_each_channel_passes_them_on() -> None:
    def run(n, x):
        x = n.a(x)
        return n.b(F.conv2d(x, torch.ones(1, 1, 3, 3, dtype=x.dtype).expand(x.shape[1], -1, -1, -1), groups=x.shape[1]))

    assert len(read(Net(run, a=conv(3, 4), b=conv(4, 5)))["a"].free) == 4


def test_a_reason_says_where_in_the_network() -> None:
    block = nn.Sequential(conv(3, 4), nn.LayerNorm([4, 6, 6]))
    groups = read(Net(lambda n, x: n.b(n.block(x)), block=block, b=conv(4, 5)))
    assert groups["block.0"].reasons == ["LayerNormalization normalises over the channels (block.1: LayerNorm)"]


def test_what_would_have_to_change_is_said_for_what_can_change() -> None:
    groups = read(Net(lambda n, x: n.b(n.norm(n.a(x))), a=conv(3, 4), norm=nn.LayerNorm([4, 6, 6]), b=conv(4, 5)))
    assert "a norm of each channel by itself" in repr(groups["a"])
    assert repr(groups["b"]).endswith("it is an output of the network)")


def test_depth_to_space_in_the_other_order() -> None:
    """DCR, which torch does not export: the four channels of one do not lie side by side."""
    nodes = [
        onnx.helper.make_node("Conv", ["x", "a"], ["maps"]),
        onnx.helper.make_node("DepthToSpace", ["maps"], ["wide"], blocksize=2, mode="DCR"),
        onnx.helper.make_node("Conv", ["wide", "b"], ["y"]),
    ]
    shapes = {"x": (1, 3, 4, 4), "maps": (1, 8, 4, 4), "wide": (1, 2, 8, 8), "y": (1, 5, 8, 8)}
    values = {n: onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, shape) for n, shape in shapes.items()}
    weights = [
        numpy_helper.from_array(np.ones(shape, np.float32), name)
        for name, shape in (("a", (8, 3, 1, 1)), ("b", (5, 2, 1, 1)))
    ]
    between = [values["maps"], values["wide"]]
    graph = onnx.helper.make_graph(nodes, "g", [values["x"]], [values["y"]], weights, value_info=between)
    group = channel_groups(onnx.helper.make_model(graph))[0]
    assert next(slot for slot in group.slots if slot.parameter == "a").channel.tolist() == [0, 1] * 4


def test_the_last_channels_counted_from_behind_stay() -> None:
    network = Net(lambda n, x: n.b(n.a(x)[:, -2:]) + n.c(n.a(x)), a=conv(3, 6), b=conv(2, 5), c=conv(6, 5))
    assert read(network)["a"].free == [0, 1, 2, 3]


def test_weights_that_become_one_are_read_together() -> None:
    run = lambda n, x: F.conv2d(n.a(x), n.u + n.v)  # noqa: E731
    weights = {name: nn.Parameter(torch.ones(5, 4, 1, 1)) for name in ("u", "v")}
    assert {"u/1", "v/1"} <= set(slots(read(Net(run, a=conv(3, 4), **weights))["a"]))


def test_a_head_that_only_training_reaches_is_narrowed_too() -> None:
    def run(n, x):
        x = n.a(x)
        return (n.b(x), n.head(x)) if n.training else n.b(x)

    network = Net(run, a=conv(3, 4), b=conv(4, 5), head=conv(4, 2))
    groups = prunable_groups(network, images())
    group = next(group for group in groups if group.name == "a")
    assert len(group.free) == 4 and slots(group)["head.weight/1"] == 4
    pruned = prune(network, groups, {"a": [0, 2]}).train()
    assert [tuple(output.shape[1:2]) for output in pruned(images())] == [(5,), (2,)]
