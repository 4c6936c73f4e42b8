"""Visible tests of lab 1. A test's first argument is the exercise that it grades."""

import functools
import itertools
import math
import numbers
import statistics
from fractions import Fraction

import pytest
import torch
from torch import nn

from course_utils import expect
from course_utils.contracts import Contract, state_of
from course_utils.modes import evaluating
from course_utils.networks import BasicBlock, parameter_count, vgg_mini
from course_utils.onnx_files.measuring import measure_onnx

IMAGE = (3, 32, 32)


def number(answer, expected, hint, mistakes=None):
    """`answer` is the number `expected`; `mistakes` (words → value) name what gives another one."""
    insist(answer is not None, f"{hint}\n  your function returned None: is the `return` missing?")
    try:
        float(answer)
    except (TypeError, ValueError, RuntimeError):
        fact = f"one number is wanted, yours is of type {type(answer).__name__}"
        raise AssertionError(expect.say(hint, expected, answer, fact)) from None
    expect.equal(answer, expected, hint, mistakes)


def insist(condition, message):
    """An assertion whose message is nothing but ours."""
    if not condition:
        raise AssertionError(message)


def plain(function):
    """An answer with numpy's whole numbers as Python's: to return either is fine."""

    def answer(*arguments):
        result = function(*arguments)
        return int(result) if isinstance(result, numbers.Integral) and not isinstance(result, bool) else result

    return answer


def ignore(layer, inputs, output):
    """A hook of somebody else, which is to stay."""


def conv_batchnorm_linear():
    """3×10×8 → conv 4×5×4 → batch norm → ReLU → flatten → linear 6, in training mode; a hook of others on the ReLU."""
    layers = nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(80, 6)
    network = nn.Sequential(*layers)
    network[0].bias.requires_grad_(False)
    network[2].register_forward_hook(ignore)
    return network


def leaves_no_trace(function, contract):
    """`contract` holds for `function(network, input_size)`; batch norms, modes, hooks and gradients are left alone."""
    try:
        contract.hold(plain(function), lambda: {"network": conv_batchnorm_linear(), "input_size": (3, 10, 8)})
    except AssertionError as problem:
        said = str(problem)
        if "running_" in said or "num_batches" in said:
            said += "\nin training mode a batch norm learns from every image that passes: switch to evaluation mode"
        raise AssertionError(said) from None
    with torch.no_grad():
        function(conv_batchnorm_linear(), (3, 10, 8))
        insist(not torch.is_grad_enabled(), "gradients, off before the call, are on after it: leave them as found")


def wrong_channels():
    """Stops half-way: the second layer expects other channels than the first one makes."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(5, 6, 3)).train()


def left_as_found_after_an_error(function, network=None):
    """The error of the pass comes out, and all is as it was before, as far as it is after a pass without an error."""
    network = network or wrong_channels()
    torch.set_grad_enabled(True)
    usual = changes(conv_batchnorm_linear(), lambda network: function(network, (3, 10, 8)))
    torch.set_grad_enabled(True)
    hint = "an image that does not fit the network: the error of the pass must come out as it is"
    found = changes(network, lambda network: expect.raises(RuntimeError, hint, function, network, (3, 8, 8)))
    known = {what for _, what in usual}
    new = [f"{where} was changed: {what}" for where, what in found if what not in known]
    hint = "after an error in the pass all must be as it was found: what stands in `finally` runs in any case"
    insist(not new, "\n".join([hint, *new]))


def changes(network, call):
    """What a call has changed in a network and around it: where, and what."""
    before = state_of({"network": network})
    call(network)
    found = [problem.split(" was changed: ") for problem in Contract().changed(before, {"network": network})]
    return [*found, *([] if torch.is_grad_enabled() else [["whether gradients are recorded", "it is off"]])]


def runs(network, size):
    """What one image meets: each run of a module, with the shapes of its input and output, and all their bytes."""
    found, hooks = [], []

    def note(module, inputs, output):
        shared = inputs[0].data_ptr() == output.data_ptr()
        found.append((module, inputs[0].shape, output.shape, inputs[0].nbytes, output.nbytes, shared))

    for module in network.modules():
        hooks.append(module.register_forward_hook(note))
    with evaluating(network):
        network(next(network.parameters()).new_zeros(1, *size))
    for hook in hooks:
        hook.remove()
    return found


# --- count_parameters


def other_counts(network):
    """What comes out with mistakes that are often made when parameters are counted."""
    learned, held = list(network.parameters()), list(network.buffers())
    placed = [tensor for module in network.modules() for tensor in module.parameters(recurse=False)]
    different = []
    for tensor in learned:
        if not any(torch.equal(tensor, other) for other in different):
            different.append(tensor)
    leaves = nn.ModuleList(module for module in network.modules() if not list(module.children()))
    kinds = nn.Conv2d, nn.Linear, nn.BatchNorm2d
    usual = nn.ModuleList(module for module in network.modules() if isinstance(module, kinds))

    def values(tensors):
        return sum(tensor.numel() for tensor in tensors)

    return {
        "the buffers too, which state_dict() holds beside the parameters": values(learned) + values(held),
        "running means and variances too, which are buffers": values(learned) + values(t for t in held if t.ndim),
        "the weights alone, without the biases": values(t for n, t in network.named_parameters() if "weight" in n),
        "the biases alone": values(t for n, t in network.named_parameters() if "bias" in n),
        "weights of two axes or more alone": values(t for t in learned if t.ndim > 1),
        "the number of tensors: sum up how many values each holds (numel)": len(learned),
        "the lengths of the tensors, which are their first axes (len): sum up numel()": sum(
            tensor.shape[0] if tensor.ndim else 1 for tensor in learned
        ),
        "tensors counted again at every depth at which they are met": sum(
            values(module.parameters()) for module in network.modules()
        ),
        "the values that are not zero: what is zero now is learned too": sum(int(t.count_nonzero()) for t in learned),
        "frozen parameters left out": values(tensor for tensor in learned if tensor.requires_grad),
        "frozen parameters alone": values(tensor for tensor in learned if not tensor.requires_grad),
        "a shared tensor counted once for each layer": values(placed),
        "a shared tensor left out": values(t for t in learned if sum(t is other for other in placed) == 1),
        "tensors of equal values taken for one: shared is what is the same object": values(different),
        "leaf modules alone: a module with others inside may have parameters of its own": values(leaves.parameters()),
        "convolutions, linear layers and batch norms alone: do not pick layers by type": values(usual.parameters()),
        "parameters called `weight` or `bias` alone: some layers give theirs other names (in_proj_weight)": values(
            t for n, t in network.named_parameters() if n.rpartition(".")[2] in ("weight", "bias")
        ),
        "bytes in place of values": sum(tensor.nbytes for tensor in learned),
    }


def parameters_are(count_parameters, network, expected, hint):
    number(count_parameters(network), expected, hint, other_counts(network))


def with_scale():
    """A linear layer of 20 parameters, and one more without axes."""
    network = nn.Sequential(nn.Linear(3, 5))
    network.register_parameter("scale", nn.Parameter(torch.tensor(2.0)))
    return network


@pytest.mark.points(1)
def test_every_value_of_every_weight_and_bias_counts(count_parameters):
    network = nn.Sequential(nn.Conv2d(3, 8, (5, 2)), nn.Sequential(nn.Flatten(), nn.Linear(32, 4)))
    hint = "a convolution has 8·3·5·2 weights and 8 biases, the linear layer inside the inner Sequential 4·32 and 4"
    parameters_are(count_parameters, network, 8 * 30 + 8 + 4 * 32 + 4, hint)
    network = nn.Sequential(nn.Linear(3, 5), nn.PReLU(7), nn.MultiheadAttention(4, 2), nn.RNN(2, 3))
    network[0].requires_grad_(False)
    network[0].bias.data[1] = 0.0
    hint = (
        "every parameter counts: frozen ones (no gradient; here the linear layer's 20), those that are 0 now, those of "
    )
    hint += (
        "other layers (7 of a PReLU, 21 of an RNN), and those that a module with others inside has itself (60 of an "
    )
    hint += "attention's 80)"
    parameters_are(count_parameters, network, 20 + 7 + 80 + 21, hint)
    network = with_scale()
    hint = "a parameter without axes, here a learned scale, is one value, beside the 20 of a linear layer"
    number(expect.called(hint, count_parameters, network), 21, hint, other_counts(network))
    number(count_parameters(nn.ReLU()), 0, "a ReLU has learned nothing: 0 parameters")


@pytest.mark.points(1)
def test_running_statistics_do_not_count(count_parameters):
    network = nn.Sequential(nn.Sequential(nn.BatchNorm2d(5), nn.BatchNorm2d(5), nn.BatchNorm2d(4)))
    network[0][2].bias.data = torch.arange(4.0)
    hint = (
        "of a batch norm only a weight and a bias a channel are learned, here 10 + 10 + 8: running mean, variance and "
    )
    hint += "count are buffers"
    parameters_are(count_parameters, network, 28, hint)


@pytest.mark.points(1)
def test_a_shared_tensor_counts_once(count_parameters):
    network = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6))
    network[2].weight = network[0].weight
    hint = (
        "two layers share one weight here, 36 values: what is stored and learned once counts once, beside 6 + 6 biases"
    )
    parameters_are(count_parameters, network, 36 + 6 + 6, hint)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_count_parameters_needs(count_parameters):
    contract = Contract(gives=int)
    contract.hold(
        plain(count_parameters), lambda: {"network": conv_batchnorm_linear()}, lambda: {"network": with_scale()}
    )
    network = conv_batchnorm_linear()
    first, second = count_parameters(network), count_parameters(network)
    hint = "the same network counted twice gives the same: remember and draw nothing (a default argument does)"
    number(second, first, f"{hint}; the second count")
    network.to("meta")
    hint = "a network on another device counts as on the CPU (here on `meta`, whose tensors have no memory)"
    sizes = [tensor.numel() for tensor in network.parameters()]  # all at address 0
    told = "tensors told apart by data_ptr(): use `is`, id() or parameters()"
    mistakes = {told: sizes[-1], f"{told} (only the first counts)": sizes[0]}
    number(expect.called(hint, count_parameters, network), first, hint, mistakes)


# --- conv_macs


def other_macs(conv, size):
    """What comes out with mistakes that are often made with the work of a convolution."""
    (height, width), (kernel_height, kernel_width) = size, conv.kernel_size
    weights, outputs, groups = conv.weight.numel(), conv.out_channels, conv.groups
    pixels, macs, seen = height * width, height * width * weights, conv.in_channels // groups
    reach = [step * (side - 1) + 1 for step, side in zip(conv.dilation, conv.kernel_size, strict=True)]
    inner = [side - 2 * padding for side, padding in zip(size, conv.padding, strict=True)]
    outer = [side + 2 * padding for side, padding in zip(size, conv.padding, strict=True)]
    sides = zip(size, conv.padding, reach, conv.stride, strict=True)
    again = math.prod((side + 2 * padding - far) // stride + 1 for side, padding, far, stride in sides)
    return {
        "the bias counted: adding it is no multiply-accumulate": pixels * (weights + outputs),
        "FLOPs: a multiplication and its addition are ONE multiply-accumulate": 2 * macs,
        "the weights, each once: it is used again for every pixel of the output": weights,
        "the parameters, each once: a weight is used again for every pixel": weights + outputs,
        "one filter's work: there are as many as output channels": macs // outputs,
        "one input channel for each filter, in place of I / groups": pixels * outputs * kernel_height * kernel_width,
        "n - 1 for each value of n products: each product with its addition counts, n": pixels * (weights - outputs),
        "the output's height alone: both its sides count": height * weights,
        "the output's width alone: both its sides count": width * weights,
        "the output's height squared: it need not be square": height**2 * weights,
        "the output's width squared: it need not be square": width**2 * weights,
        "height + width of the output: multiply them": (height + width) * weights,
        "the groups forgotten": macs * groups,
        "the groups divided out twice: only the inputs are divided, every output is computed": macs // groups,
        "the groups multiplied: they make it cheaper": macs * groups**2,
        "the kernel's height squared: kernel_size is (height, width)": pixels * outputs * seen * kernel_height**2,
        "the kernel's width squared: kernel_size is (height, width)": pixels * outputs * seen * kernel_width**2,
        "one side of the kernel": pixels * outputs * seen * kernel_height,
        "height + width of the kernel: multiply them": pixels * outputs * seen * (kernel_height + kernel_width),
        "the output worked out again: `output_size` is already its size": again * weights,
        "the result divided by the stride: it is in the output's size already": macs // math.prod(conv.stride),
        "the result divided by one stride: it is in the output's size already": macs // conv.stride[0],
        "the result multiplied by the stride: it is in the output's size already": macs * math.prod(conv.stride),
        "the padding taken off the output: `output_size` is its size": math.prod(inner) * weights,
        "the padding added to the output: `output_size` is its size": math.prod(outer) * weights,
        "a dilated kernel counted with its holes": pixels * outputs * seen * math.prod(reach),
    }


def macs_are(conv_macs, conv, size, expected, hint):
    number(expect.called(hint, conv_macs, conv, size), expected, hint, other_macs(conv, size))


@pytest.mark.points(1)
def test_one_mac_for_each_weight_and_output_value(conv_macs):
    conv, hint = nn.Conv2d(2, 7, 3, padding=1), "each of the 4×5 pixels of the 7 output channels takes 2·3·3 = 18 MACs"
    number(conv_macs(conv, (4, 5)), 4 * 5 * 7 * 18, hint, other_macs(conv, (4, 5)))
    hint = "the same layer with a larger output, 6×9 pixels, which comes as a list or torch.Size"
    mistakes = {"the output of an earlier call: remember and draw nothing": 4 * 5 * 7 * 18}
    for size in ([6, 9], torch.Size([6, 9])):
        number(
            expect.called(hint, conv_macs, conv, size), 6 * 9 * 7 * 18, hint, {**other_macs(conv, (6, 9)), **mistakes}
        )


@pytest.mark.points(1)
def test_groups_divide_the_work(conv_macs):
    hint = "without groups each of the 8 filters sees all 12 input channels"
    macs_are(conv_macs, nn.Conv2d(12, 8, 3, padding=1), (6, 6), 36 * 8 * 12 * 9, hint)
    hint = "with groups=4 a filter sees only 12 / 4 = 3 of the input channels, and there are 8 filters"
    conv = nn.Conv2d(12, 8, 3, padding=1, groups=4, bias=False)
    earlier = {"what was found for a layer without groups in an earlier call: remember nothing": 36 * 8 * 12 * 9}
    number(expect.called(hint, conv_macs, conv, (6, 6)), 36 * 8 * 3 * 9, hint, {**other_macs(conv, (6, 6)), **earlier})
    hint = "depthwise (groups = channels): each of the 10 filters sees one channel"
    macs_are(conv_macs, nn.Conv2d(10, 10, 3, padding=1, groups=10), (5, 5), 25 * 10 * 9, hint)
    hint = "of 4 channels in 4 groups, three filters each: 12 filters that see one channel"
    macs_are(conv_macs, nn.Conv2d(4, 12, 3, padding=1, groups=4), (5, 5), 25 * 12 * 9, hint)


@pytest.mark.points(1)
def test_kernels_that_are_not_square_strides_and_dilation(conv_macs):
    hint = "kernel_size is (height, width), here (2, 5): each of the 7 filters has 4·2·5 weights"
    macs_are(conv_macs, nn.Conv2d(4, 7, (2, 5)), (3, 3), 9 * 7 * 40, hint)
    hint = "stride, padding and dilation have had their say in the output's 18×21 pixels; each takes 4·2·5 MACs a "
    hint += "filter"
    conv = nn.Conv2d(4, 7, (2, 5), stride=(2, 3), padding=(0, 1), dilation=(3, 2))
    macs_are(conv_macs, conv, (18, 21), 378 * 7 * 40, hint)
    hint = "a large layer: its 120,500,583,525 MACs are exact to the last one in Python's whole numbers, not in float32"
    conv = nn.Conv2d(513, 511, 3, device="meta")
    macs_are(conv_macs, conv, (227, 225), 227 * 225 * 511 * 513 * 9, hint)


SIZES = (lambda: (4, 5), lambda: [4, 5])


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_conv_macs_needs(conv_macs):
    makes = [lambda size=size: {"conv": nn.Conv2d(6, 8, (3, 2), groups=2), "output_size": size()} for size in SIZES]
    Contract(gives=int).hold(plain(conv_macs), *makes)


# --- count_macs


def work(layer, before, after):
    """Multiply-accumulates of one run of a layer, from the shapes of its input and output; 0 for any other layer."""
    if isinstance(layer, nn.Linear):
        return layer.in_features * after.numel()
    shape = before if isinstance(layer, nn.ConvTranspose2d) else after
    return math.prod(shape[-2:]) * layer.weight.numel() if isinstance(layer, KNOWN) else 0


KNOWN = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def work_of(network, size):
    """Multiply-accumulates of a network, and what comes out with mistakes that are often made."""
    layers = [run[:3] for run in runs(network, size) if isinstance(run[0], KNOWN)]
    names = [layer for _, layer in network.named_modules(remove_duplicate=False)]
    macs = sum(work(*run) for run in layers)

    def without(*kinds):
        return sum(work(*run) for run in layers if not isinstance(run[0], kinds))

    def added(more, *kinds):
        return macs + sum(more(*run) - work(*run) for run in layers if isinstance(run[0], kinds))

    def biases(*kinds):
        taken = [run for run in layers if isinstance(run[0], kinds) and run[0].bias is not None]
        return macs + sum(after.numel() for _, _, after in taken)

    convs, turned, linear = nn.Conv2d, nn.ConvTranspose2d, nn.Linear
    return macs, {
        "the linear layers left out": without(linear),
        "the convolutions left out": without(convs),
        "the transposed convolutions left out: a ConvTranspose2d is no Conv2d, it is a class of its own": without(
            turned
        ),
        "the convolutions alone": without(linear, turned),
        "FLOPs, two for each multiply-accumulate, or with two images": 2 * macs,
        "the size of a convolution's INPUT": added(lambda c, i, o: math.prod(i[-2:]) * c.weight.numel(), convs),
        "the size of a transposed convolution's OUTPUT": added(
            lambda c, i, o: math.prod(o[-2:]) * c.weight.numel(), turned
        ),
        "the groups of a transposed convolution forgotten": added(lambda c, i, o: c.groups * work(c, i, o), turned),
        "the groups of a transposed convolution divided out twice": added(
            lambda c, i, o: work(c, i, o) // c.groups, turned
        ),
        "the groups of a convolution forgotten": added(lambda c, i, o: c.groups * work(c, i, o), convs),
        "a linear layer's weights once, though it runs at many positions": added(
            lambda c, i, o: c.weight.numel(), linear
        ),
        "biases counted": biases(*KNOWN),
        "biases of linear layers counted": biases(linear),
        "biases of convolutions counted": biases(convs, turned),
        "the weights, each once": sum(run[0].weight.numel() for run in layers),
        "each layer once, though one runs twice": sum({run[0]: work(*run) for run in layers}.values()),
        "each layer once, in its first run": sum({run[0]: work(*run) for run in reversed(layers)}.values()),
        "a hook for each of a layer's places: it then counts as often in each of its runs": sum(
            work(*run) * names.count(run[0]) for run in layers
        ),
        "the layers inside alone: the network itself may be a layer": sum(
            work(*run) for run in layers if run[0] is not network
        ),
        "the layers right inside alone, not those further down (use modules())": sum(
            work(*run) for run in layers if run[0] in network.children()
        ),
    }


def network_takes(count_macs, network, size, hint):
    macs, mistakes = work_of(network, size)
    number(expect.called(hint, count_macs, network, size), macs, hint, mistakes)


@pytest.mark.points(1)
def test_convolutions_and_linear_layers(count_macs):
    layers = [nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.ReLU()]
    network = nn.Sequential(*layers, nn.Sequential(nn.Flatten(), nn.Linear(80, 6)))
    macs, mistakes = work_of(network, (3, 10, 8))
    hint = "the convolution's output has 4×5×4 values of 27 MACs each (2,160), the linear layer inside has 80·6 (480)"
    number(count_macs(network, (3, 10, 8)), macs, hint, mistakes)
    hint = "a network that is a single layer, a convolution with an output of 5×6×7: modules() gives it, too"
    network_takes(count_macs, nn.Conv2d(2, 5, 3, padding=1), (2, 6, 7), hint)


@pytest.mark.points(1)
def test_the_course_network(count_macs):
    network_takes(count_macs, vgg_mini(), IMAGE, "vgg_mini() takes 38.6 million MACs for an image of 3×32×32")


@pytest.mark.points(1)
def test_transposed_convolutions(count_macs):
    network = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ConvTranspose2d(4, 6, (3, 4), stride=2, groups=2))
    hint = "each of the 5×7 pixels that the transposed convolution READS takes 4·(6/2)·3·4 MACs (5,040 in all)"
    network_takes(count_macs, network, (2, 5, 7), hint)


@pytest.mark.points(1)
def test_each_run_of_a_layer_and_each_position(count_macs):
    conv = nn.Conv2d(4, 4, 3, padding=1)
    hint = "this network runs one layer twice, at 6×8 and at 3×4 pixels, and each run is work: count runs, not layers"
    network_takes(count_macs, nn.Sequential(nn.Conv2d(3, 4, 1), conv, nn.MaxPool2d(2), conv), (3, 6, 8), hint)
    hint = "a linear layer behind maps of 2×4×5 works on the last axis: 5·6 MACs at each of the 2·4 positions"
    network_takes(count_macs, nn.Sequential(nn.Conv2d(3, 2, 1), nn.Linear(5, 6)), (3, 4, 5), hint)


def with_a_table(layer):
    """A layer that has a matrix of its own, behind its other parameters."""
    layer.register_parameter("table", nn.Parameter(torch.ones(2, 3)))
    return layer


def lazily_made(inputs, outputs, **options):
    """A convolution of a class derived from Conv2d."""
    layer = nn.Conv2d(inputs, outputs, **options)
    layer.__class__ = nn.LazyConv2d
    return layer


@pytest.mark.points(1, alone=False)
def test_layers_that_are_not_known(count_macs):
    hint = "a PReLU, a GroupNorm and a LayerNorm over one axis have vectors only: they cost nothing, and stop nothing"
    vectors = nn.PReLU(4), nn.GroupNorm(2, 4), nn.LayerNorm(5)
    network_takes(count_macs, nn.Sequential(nn.Conv2d(3, 4, 1), *vectors), (3, 4, 5), hint)
    hint = (
        "a class derived from Conv2d (here LazyConv2d) is a convolution too: isinstance says so, == of types does not"
    )
    network_takes(count_macs, nn.Sequential(lazily_made(3, 4, kernel_size=3, padding=1)), (3, 4, 5), hint)
    unknown = {
        "a Conv1d, whose weight has three axes": (nn.Flatten(2), nn.Conv1d(3, 2, 3)),
        "a Conv3d, whose weight has five axes": (nn.Unflatten(1, (1, 3)), nn.Conv3d(1, 2, 2)),
        "a LayerNorm over 4×5, whose weight has two axes": (nn.LayerNorm((4, 5)),),
        "an RNN, whose weights have other names than `weight`": (nn.Flatten(1, 2), nn.RNN(5, 2, batch_first=True)),
        "a layer with a vector first and then a matrix: look at all of its parameters": (with_a_table(nn.PReLU(3)),),
        "a module with others inside that has a matrix of its own: look at all modules, not at leaves alone": (
            with_a_table(nn.Sequential(nn.ReLU())),
        ),
    }
    for what, layers in unknown.items():
        hint = f"{what}: raise ValueError, for what it costs is not known; it must not cost nothing without a word"
        expect.raises(ValueError, hint, count_macs, nn.Sequential(nn.Conv2d(3, 3, 1), *layers), (3, 4, 5))


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_count_macs_needs(count_macs):
    leaves_no_trace(count_macs, Contract(gives=int))


@pytest.mark.points(1, alone=False)
def test_the_network_is_as_found_after_an_error(count_macs):
    left_as_found_after_an_error(count_macs)


# --- weight_bytes


def other_bytes(network, bits):
    """What comes out with mistakes that are often made with bits and bytes."""
    tensors = list(network.parameters())
    values, held = parameter_count(network), sum(tensor.numel() for tensor in network.state_dict().values())
    every = values * bits
    single = float(torch.tensor(every / 8).ceil())
    return {
        "bits: eight of them are a byte": every,
        **({"the number of parameters": values} if bits > 8 else {}),  # else it is as with a byte for each
        "32 bits, not the `bits` that are given": values * 4,
        "the bytes of the tensors as they are now: the width is the argument `bits`": sum(t.nbytes for t in tensors),
        "the tensors' present bytes as if they were float32: count values (numel), not the bytes that they take now": (
            math.ceil(sum(t.nbytes for t in tensors) * bits / 32)
        ),
        "the bits rounded down to whole bytes: a byte that is begun counts": every // 8,
        "no rounding: a file has no parts of a byte": Fraction(every, 8),
        "rounding to the nearest byte: a byte that is begun counts": round(every / 8),
        "one byte more in any case: whole bytes need none": every // 8 + 1,
        "round(… + 0.5), which rounds halves to even numbers": round(every / 8 + 0.5),
        "each tensor rounded up: the whole network has one last byte": sum(-(-t.numel() * bits // 8) for t in tensors),
        "whole bytes for each parameter: there are no gaps": values * math.ceil(bits / 8),
        "whole parameters in each byte: there are no gaps": math.ceil(values / (8 // bits)) if bits <= 4 else None,
        "the buffers of batch norms too": math.ceil(held * bits / 8),
        "biases and batch norms left at 32 bits": math.ceil(
            sum(t.numel() * (bits if t.ndim > 1 else 32) for t in tensors) / 8
        ),
        "the weights alone": math.ceil(sum(t.numel() for t in tensors if t.ndim > 1) * bits / 8),
        "rounding before `bits` are multiplied in: round once, at the end": math.ceil(values / 8) * bits,
        "the rest of the parameters divided by 8: it is the rest of the BITS that begins a byte": every // 8
        + (values % 8 > 0),
        "whole words of 32 bits: a byte has 8": math.ceil(every / 32) * 4,
        "float32, which cannot hold so many bytes exactly: use Python's numbers": int(single),
        "powers of two: `bits` is a number, not an exponent": values * 2**bits,
        "kilobytes": every / 8e3,
        "kibibytes": every / 8192,
    }  # fmt: skip


def bytes_are(weight_bytes, network, bits, expected, hint, *known):
    """`known`: pieces of the words of mistakes that an earlier number has ruled out."""
    mistakes = {w: gives for w, gives in other_bytes(network, bits).items() if not any(piece in w for piece in known)}
    number(weight_bytes(network, bits), expected, hint, mistakes)


@pytest.mark.points(1)
def test_eight_bits_are_a_byte(weight_bytes):
    known = ()
    for bits, expected in ((32, 96), (12, 36), (3, 9)):
        hint = f"24 parameters of {bits} bits: {24 * bits} bits, and 8 bits are a byte"
        bytes_are(weight_bytes, nn.Linear(5, 4), bits, expected, hint, *known)
        known = ("one byte more",)
    for network, kind in ((nn.Linear(5, 4).double(), "float64"), (nn.Linear(5, 4).half(), "float16")):
        hint = f"24 parameters that are {kind} now, at 12 bits each: 288 bits, whatever they take now"
        bytes_are(weight_bytes, network, 12, 36, hint)
    hint, layer = "another layer, 18 parameters of 8 bits: 144 bits", nn.Linear(5, 3)
    mistakes = {w: gives for w, gives in other_bytes(layer, 8).items() if "one byte more" not in w}
    number(weight_bytes(layer, 8), 18, hint, {**mistakes, "the parameters of an earlier call: remember nothing": 24})
    number(weight_bytes(nn.ReLU(), 8), 0, "a ReLU has no parameters: 0 bytes", {"one byte in any case": 1})


@pytest.mark.points(1)
def test_a_byte_that_is_begun_counts_once_for_the_network(weight_bytes):
    bytes_are(weight_bytes, nn.Linear(4, 1), 1, 1, "5 parameters of 1 bit take a byte, which is begun: round up")
    hint = "33 parameters of 1 bit do not fit into four bytes: round up"
    bytes_are(weight_bytes, nn.Linear(2, 11), 1, 5, hint, "rounded down")
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3))
    hint = (
        "36 parameters (27 + 3 of the convolution, 3 + 3 of the batch norm) of 7 bits without gaps: 252 bits, 32 bytes"
    )
    bytes_are(weight_bytes, network, 7, 32, hint)
    hint = "36 parameters of 3 bits without gaps, also across bytes: 108 bits, 14 bytes"
    bytes_are(weight_bytes, network, 3, 14, hint)
    hint = "8,800,016 parameters of 31 bits: 272,800,496 bits, and exactly 34,100,062 bytes"
    bytes_are(weight_bytes, nn.Linear(550_000, 16, device="meta"), 31, 34_100_062, hint)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_weight_bytes_needs(weight_bytes):
    makes = [lambda bits=bits: {"network": conv_batchnorm_linear(), "bits": bits} for bits in (16, 3)]
    Contract(gives=int).hold(plain(weight_bytes), *makes)


# --- peak_activation_bytes


def peak_of(network, size):
    """The largest input plus output of a leaf, in bytes, and what comes out with mistakes that are often made."""
    found = runs(network, size)
    leaves = [run for run in found if not list(run[0].children())]
    each = [(before, after) for *_, before, after, _ in leaves]
    befores, afters = zip(*each, strict=True)
    element = next(network.parameters()).element_size()
    peak, image = max(map(sum, each)), element * math.prod(size)

    def largest(some):
        return max((run[3] + run[4] for run in some), default=0)

    last = {run[0]: run[3] + run[4] for run in leaves}
    first = {run[0]: run[3] + run[4] for run in reversed(leaves)}
    chain = [image, *afters]
    return peak, {
        "values: each takes several bytes": peak // element,
        "bits": 8 * peak,
        "two images: one is asked for": 2 * peak,
        "4 bytes a value, which is right for float32 only": peak // element * 4,
        "8 bytes a value, which is right for float64 only": peak // element * 8,
        "the largest output alone: the layer's input is there at the same time": max(afters),
        "the largest input alone: the layer's output is there at the same time": max(befores),
        "twice the largest output: input and output differ in size": 2 * max(afters),
        "twice the largest input: input and output differ in size": 2 * max(befores),
        "the largest input and the largest output of different layers: add those of one": max(befores) + max(afters),
        "the sum over all layers: the LARGEST is wanted": sum(map(sum, each)),
        "the sum of all outputs: an activation that is used up is let go": sum(afters),
        "the sum of the image and all outputs: what is used up is let go": image + sum(afters),
        "every module, a Sequential too: its input is gone when its output is there": largest(found),
        "leaves right inside the network alone, not those further down": largest(
            run for run in leaves if run[0] in network.children()
        ),
        "the layers' parameters in it: only activations are counted": max(
            run[3] + run[4] + sum(tensor.nbytes for tensor in run[0].parameters()) for run in leaves
        ),
        "every module but Sequentials: blocks and whole networks are no leaves either": largest(
            run for run in found if not isinstance(run[0], nn.Sequential)
        ),
        "Dropout, Identity and Flatten left out: every kind of leaf counts": largest(
            run for run in leaves if not isinstance(run[0], (nn.Dropout, nn.Identity, nn.Flatten))
        ),
        "convolutions and linear layers alone: every kind of leaf counts": largest(
            run for run in leaves if isinstance(run[0], (nn.Conv2d, nn.Linear))
        ),
        "convolutions alone: every leaf counts": largest(run for run in leaves if isinstance(run[0], nn.Conv2d)),
        "layers with parameters alone: every kind of leaf counts": largest(
            run for run in leaves if list(run[0].parameters())
        ),
        "the output of the leaf that ran before, in place of each leaf's own input": max(
            before + after for before, after in itertools.pairwise(chain)
        ),
        "the last run of each layer: one that runs twice counts in each of its runs": max(last.values()),
        "the first run of each layer: one that runs twice counts in each of its runs": max(first.values()),
        "input and output counted once where a layer works in place": max(
            run[4] if run[5] else run[3] + run[4] for run in leaves
        ),
    }  # fmt: skip


def peak_is(peak_activation_bytes, network, size, hint):
    peak, mistakes = peak_of(network, size)
    number(expect.called(hint, peak_activation_bytes, network, size), peak, f"{hint}; {peak:,} bytes", mistakes)


@pytest.mark.points(1)
def test_input_plus_output_of_the_largest_layer(peak_activation_bytes):
    layers = nn.Conv2d(10, 3, 3, padding=1), nn.MaxPool2d(2), nn.Upsample(scale_factor=2), nn.Flatten()
    network = nn.Sequential(*layers, nn.Linear(3 * 8 * 6, 200), nn.Linear(200, 20))
    peak, mistakes = peak_of(network, (10, 8, 7))
    hint = "the convolution reads 10×8×7 values and writes 3×8×7, more than any other layer: 728 values of 4 bytes"
    number(peak_activation_bytes(network, (10, 8, 7)), peak, hint, mistakes)
    hint = "another, smaller network: 5 values in, 3 out, 8 values of 4 bytes"
    network, before = nn.Sequential(nn.Linear(5, 3)), {"the peak of a network measured before: remember nothing": peak}
    number(expect.called(hint, peak_activation_bytes, network, (1, 1, 5)), 32, hint, before)


@pytest.mark.points(1)
def test_only_leaf_modules_count(peak_activation_bytes):
    network = nn.Sequential(nn.Conv2d(40, 2, 1), nn.Sequential(nn.Conv2d(2, 30, 1)), nn.Conv2d(30, 5, 1))
    hint = "conv 40 → 2 needs 42 values a pixel, conv 2 → 30 needs 32, conv 30 → 5 needs 35; 16 pixels of 4 bytes. No "
    hint += "layer holds 40 and 30, or 40 and 5"
    peak_is(peak_activation_bytes, network, (40, 4, 4), hint)
    hint = "conv 2 → 3 needs 5 values a pixel, conv 3 → 50, inside another Sequential, 53; 16 pixels of 4 bytes"
    network = nn.Sequential(nn.Conv2d(2, 3, 1), nn.Sequential(nn.Conv2d(3, 50, 1)))
    peak_is(peak_activation_bytes, network, (2, 4, 4), hint)
    hint = "conv 3 → 1 needs 4·32·32 values; no layer holds the image and the 1,100 outputs of the whole network"
    peak_is(peak_activation_bytes, vgg_mini(widths=(1, 1), classes=1100), IMAGE, hint)


def narrow_inside():
    """A residual block whose shortcut, 8 → 20 channels, is the largest layer."""
    block = BasicBlock(8, 20, stride=2)
    block.conv1, block.bn1 = nn.Conv2d(8, 1, 1), nn.BatchNorm2d(1)
    block.relu = nn.MaxPool2d(2)
    block.conv2 = nn.Conv2d(1, 20, 1)
    return nn.Sequential(nn.Conv2d(1, 8, 1), block)


@pytest.mark.points(1)
def test_all_kinds_of_layers_all_runs_and_all_dtypes(peak_activation_bytes):
    for layer in (nn.ReLU(inplace=True), nn.Dropout(), nn.Identity(), nn.Flatten()):
        name = type(layer).__name__
        hint = f"every leaf counts, with parameters or without, whatever it does: the {name} behind the upsampling has "
        hint += "2·16·16 values in, and as many out, which also counts where a layer works in place"
        network = nn.Sequential(nn.Conv2d(1, 2, 3, stride=4), nn.Upsample(scale_factor=8), layer)
        peak_is(peak_activation_bytes, network, (1, 9, 9), hint)
    conv = nn.Conv2d(4, 4, 3, padding=1)
    hint = "one convolution runs twice, at 8×6 and at 4×3 pixels: its first run needs most"
    peak_is(peak_activation_bytes, nn.Sequential(conv, nn.MaxPool2d(2), conv), (4, 8, 6), hint)
    hint = "one convolution runs twice, at 4×3 and at 8×6 pixels: its second run needs most"
    peak_is(peak_activation_bytes, nn.Sequential(conv, nn.Upsample(scale_factor=2), conv), (4, 4, 3), hint)
    hint = "a residual block with a narrow inside: its shortcut reads the block's input, 8×16×16, and writes 20×8×8"
    peak_is(peak_activation_bytes, narrow_inside(), (1, 16, 16), hint)
    hint = "a network of float64: its image has the parameters' dtype (new_zeros makes one), and a value takes 8 bytes"
    network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU()).double()
    peak, mistakes = peak_of(network, (3, 6, 4))
    answer = expect.called(hint, peak_activation_bytes, network, (3, 6, 4))
    insist(
        network[0].weight.dtype == torch.float64, f"{hint}; the network itself stays as it is: yours is float64 no more"
    )
    number(answer, peak, hint, mistakes)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_peak_activation_bytes_needs(peak_activation_bytes):
    leaves_no_trace(peak_activation_bytes, Contract(gives=int, without=("float64",)))


@pytest.mark.points(1, alone=False)
def test_the_network_is_as_it_was_after_an_error(peak_activation_bytes):
    left_as_found_after_an_error(peak_activation_bytes)


# --- median_latency


class Stopwatch:
    """A clock that only moves when `run` is called: by the next of the given times. It notes what is called: c, r."""

    def __init__(self, *times, now=1000.0):
        self.times, self.start, self.now, self.calls, self.gradients = list(times), now, now, "", True

    def clock(self):
        self.calls += "c"
        return self.now

    def run(self):
        self.now += self.times[self.calls.count("r") % len(self.times)]
        self.calls += "r"
        self.gradients = self.gradients and torch.is_grad_enabled()


def other_times(watch, warmup, repeats):
    """What comes out with mistakes that are often made with a median of times."""
    before, times = watch.times[:warmup], watch.times[warmup : warmup + repeats]
    ends = [sum(times[: number + 1]) for number in range(repeats)]
    in_order, middle = sorted(times), repeats // 2
    readings = [torch.tensor(watch.start + sum(before) + end).item() for end in (0.0, *ends)]
    return {
        "the mean: one slow run draws it up, the median does not care": sum(times) / repeats,
        "the median of all runs, those of the warm-up too": statistics.median([*before, *times]),
        "the mean of all runs, those of the warm-up too": sum([*before, *times]) / (warmup + repeats),
        "the warm-up timed in place of the repeats": statistics.median(watch.times[:repeats]),
        "the total: one call is asked for": sum(times),
        "the fastest run (it is also what the gaps between two runs give, among the times)": in_order[0]
        if repeats > 2
        else None,
        "the slowest run": in_order[-1] if repeats > 2 else None,
        "the middle of the times as they came (so is the median of the ends minus that of the starts): the median is "
        "the middle of the SORTED times": times[middle] if repeats % 2 else sum(times[middle - 1 : middle + 1]) / 2,
        "the warm-up taken out of the repeats: `repeats` runs are timed after it": statistics.median(
            times[: max(repeats - warmup, 1)]
        ),
        "the lower of the middle two (torch.median gives it): take their mean": in_order[(repeats - 1) // 2],
        "the upper of the middle two: take their mean": in_order[middle],
        "one start for all: look at the clock anew before every run": statistics.median(ends),
        "the clock's reading: subtract the one before the run": watch.start + sum(before) + statistics.median(ends),
        "milliseconds: stay in the clock's units": 1000 * statistics.median(times),
        "equal times counted once": statistics.median(set(times)),
        "times of 0 left out": statistics.median([time for time in times if time] or [0.0]),
        "the shortest and the longest time left out": sum(in_order[1:-1]) / max(repeats - 2, 1),
        "the first time left out": statistics.median(times[1:] or times) if repeats % 2 else None,
        "readings kept in float32, in which short times drown": statistics.median(
            after - before for before, after in itertools.pairwise(readings)
        ),
        "times rounded to whole numbers": statistics.median(map(int, times)),
        "times rounded to microseconds: round nothing": statistics.median(round(time, 6) for time in times),
        "the two behind the middle (n // 2 and the next): they are n // 2 - 1 and n // 2": None
        if repeats % 2
        else (in_order[middle] + in_order[(middle + 1) % repeats]) / 2,
        "the opposite sign: the time is the later reading minus the earlier": -statistics.median(times),
    }  # fmt: skip


def median_is(median_latency, watch, warmup, repeats, hint):
    answer = expect.called(hint, median_latency, watch.run, watch.clock, warmup, repeats)
    said = "your function never called `clock`: it is an argument, so that any clock can be used"
    insist("c" in watch.calls, said)
    number(answer, statistics.median(watch.times[warmup : warmup + repeats]), hint, other_times(watch, warmup, repeats))


@pytest.mark.points(1)
def test_the_median_of_the_repeats(median_latency):
    hint = (
        "after 2 runs of warm-up (6 and 5 s) the times are 2, 3, 9.5, 8.5 and 10 s, in order 2, 3, 8.5, 9.5, 10: the "
    )
    hint += "median is 8.5"
    median_is(median_latency, Stopwatch(6.0, 5.0, 2.0, 3.0, 9.5, 8.5, 10.0), 2, 5, hint)
    hint = "times that are equal or 0 are times like others: of 1, 7, 2, 7, 7, 0, 7 s the median is 7"
    median_is(median_latency, Stopwatch(1.0, 7.0, 2.0, 7.0, 7.0, 0.0, 7.0), 0, 7, hint)
    hint = "times that are equal or 0 are times like others: of 8, 0, 0, 3 and 0 s the median is 0"
    median_is(median_latency, Stopwatch(8.0, 0.0, 0.0, 3.0, 0.0), 0, 5, hint)
    hint = (
        "a clock that has run for years shows 1,700,000,000 s: the times are 0.5, 0.25 and 0.125 s, their median 0.25"
    )
    median_is(median_latency, Stopwatch(0.5, 0.25, 0.125, now=1.7e9), 0, 3, hint)
    hint = "three very short runs, of 5, 3 and 4 · 2^-22 s (1.2, 0.7 and 0.95 microseconds): the median is 4 · 2^-22 s"
    median_is(median_latency, Stopwatch(5 * 2**-22, 3 * 2**-22, 2**-20), 0, 3, hint)
    hint = "one repeat without warm-up, of 0.75 s: that is the median"
    median_is(median_latency, Stopwatch(0.75), 0, 1, hint)


@pytest.mark.points(1)
def test_an_even_number_of_repeats(median_latency):
    hint = "after 2 runs of warm-up, of 10, 1, 4 and 2 s, in order 1, 2, 4, 10, the middle two are 2 and 4: the median "
    hint += "is their mean, 3"
    median_is(median_latency, Stopwatch(20.0, 9.0, 10.0, 1.0, 4.0, 2.0), 2, 4, hint)
    hint = "of two times, 5 and 2 s, the median is the mean, 3.5"
    median_is(median_latency, Stopwatch(5.0, 2.0), 0, 2, hint)


@pytest.mark.points(1)
def test_how_often_run_and_clock_are_called(median_latency):
    watch = Stopwatch(1.0)
    median_latency(watch.run, watch.clock, 3, 5)
    others = {
        "no warm-up": "crc" * 5,
        "no timed calls": "rrr",
        "the warm-up taken out of the repeats: `repeats` runs are timed after it": "rrr" + "crc" * 2,
        "the warm-up again before every repeat": "rrrcrc" * 5,
        "the clock read in the warm-up too, which is not timed": "crc" * 8,
        "one look at the clock between runs: each run has two of its own": "rrrc" + "rc" * 5,
        "one look at the clock before all runs and one after: each run has two of its own": "rrrc" + "r" * 5 + "c",
        "one repeat too many": "rrr" + "crc" * 6,
        "one repeat too few": "rrr" + "crc" * 4,
        "no look at the clock: it is an argument, so that any clock can be used": "r" * 8,
        "two looks at the clock before the timed runs": "rrr" + "cc" + "crc" * 5,
        "two looks at the clock before all else": "cc" + "rrr" + "crc" * 5,
    }
    hint = "for warmup=3 and repeats=5: 3 times run, then 5 times clock – run – clock, and nothing else "
    hint += "(here: r is run, c is clock)"
    expect.equal(watch.calls, "rrr" + "crc" * 5, hint, mistakes=others)
    watch = Stopwatch(1.0)
    median_latency(watch.run, watch.clock, 0, 2)
    hint = "for warmup=0 and repeats=2: 2 times clock – run – clock, no warm-up (here: r is run, c is clock)"
    expect.equal(watch.calls, "crc" * 2, hint, mistakes={"a run of warm-up all the same": "r" + "crc" * 2})


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_median_latency_needs(median_latency):
    watches = []

    def arguments():
        torch.set_grad_enabled(True)
        watches.append(Stopwatch(8.0, 1.0, 5.0, 2.5, *map(float, range(20, 40))))
        return {"run": watches[-1].run, "clock": watches[-1].clock, "warmup": 1, "repeats": 3}

    Contract(gives=float, without=("no_grad",)).hold(median_latency, arguments)
    hint = "`run` is called with gradients switched off: call it as it is, it may be a step of training"
    insist(all(watch.gradients for watch in watches), hint)
    watch = Stopwatch(1000.0)
    hint = "one run of 1000 s, after other calls: these no longer count; remember and draw nothing, as default "
    hint += "arguments do"
    try:
        answer = median_latency(watch.run, watch.clock, 0, 1)
    except Exception:  # which another test tells
        return
    insist(not answer < 1000, expect.say(hint, 1000.0, answer))


# --- design_widths


def built(design_widths):
    """The network of the student's widths; an AssertionError that says what is wrong with them."""
    widths = design_widths()
    insist(widths is not None, "your function returned None: is the `return` missing?")
    for fault in faults_of(widths):
        hint = "return a tuple of 2 to 9 whole numbers from 1 to 4096, such as (8, 8)"
        raise AssertionError(f"{hint}\n  yours: {expect.show(widths)}\n  {fault}")
    return vgg_mini(widths=tuple(widths))


def faults_of(widths):
    """Sentences on what is wrong with widths, as widths."""
    if isinstance(widths, nn.Module):
        yield "yours is a network: return its widths"
    elif not isinstance(widths, (tuple, list)):
        yield f"yours is of type {type(widths).__name__}"
    else:
        for width in widths:
            kind = type(width).__name__
            if isinstance(width, (tuple, list)):
                yield f"there is a {kind} inside the {type(widths).__name__}: one pair of brackets is enough"
            elif isinstance(width, float):
                yield f"{width!r} is a {kind}: 16 / 2 is 8.0, 16 // 2 is 8"
            elif not isinstance(width, int) or isinstance(width, bool):
                yield f"{width!r} is of type {kind}, and no int of Python: int(…) makes a Python number"
            elif not 1 <= width <= 4096:
                yield f"{width} is not within 1 … 4096"
        if not 2 <= len(widths) <= 9:
            yield f"there are {len(widths)} of them"


@functools.cache
def original_costs():
    network = vgg_mini()
    return parameter_count(network), work_of(network, IMAGE)[0]


def halved_each_time(network):
    """Multiply-accumulates of a VGG as if the image were halved after every convolution, not after every second."""
    convs = [layer for layer in network.features if isinstance(layer, nn.Conv2d)]
    return sum(conv.weight.numel() * max(32 // 2**number, 1) ** 2 for number, conv in enumerate(convs))


@pytest.mark.points(1)
def test_at_most_half_of_the_macs_and_all_the_parameters(design_widths):
    network, (parameters, macs) = built(design_widths), original_costs()
    took, learned = work_of(network, IMAGE)[0], parameter_count(network)
    came = f"\n  yours has {took:,} MACs, {took / macs:.1%} of vgg_mini()'s {macs:,} (half of them: {macs // 2:,}),"
    came += f"\n  and {learned:,} parameters, {learned / parameters:.1%} of its {parameters:,}"
    if took >= macs and learned <= parameters / 2:
        came += "\n  it keeps the two budgets in each other's place"
    elif took > macs and halved_each_time(network) <= macs / 2:
        came += "\n  it would fit if the image were halved after every convolution: it is after every SECOND one"
    elif 0.95 * macs < took <= macs:
        came += "\n  (2 FLOPs are 1 MAC: half of the FLOPs are as many as all of the MACs)"
    elif macs / 2 < took <= 0.51 * macs:
        came += f"\n  these are {took - macs // 2:,} MACs too many"
    costs = [work(*run[:3]) for run in runs(network, IMAGE) if isinstance(run[0], nn.Conv2d)]
    dearest = max(costs)
    came += f"\n  its convolutions take {', '.join(f'{cost / 1e6:.1f}' for cost in costs)} million MACs, most of them "
    came += f"convolution {costs.index(dearest) + 1}: {dearest / took:.0%}"
    insist(2 * took <= macs, "at most 50 % of the MACs are allowed" + came)
    if sum(tensor.numel() for tensor in network.state_dict().values()) >= parameters:
        came += (
            "\n  with the running statistics of its batch norms it has enough, but these are not learned: no parameters"
        )
    if 0.99 * parameters <= learned < parameters:
        came += f"\n  these are {parameters - learned:,} parameters too few"
    hint = "at least 100 % of the parameters are asked for: where can they be put so that each is used for few pixels?"
    insist(learned >= parameters, hint + came)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_design_widths_needs(design_widths):
    Contract(gives=object).hold(design_widths, dict)


# --- the design that is handed in


@pytest.mark.points(1)
def test_macs_of_the_file(lab1_design_onnx):
    measured, (_, macs) = measure_onnx(lab1_design_onnx), original_costs()
    message = f"{measured.macs:,} MACs in the file, at most {macs // 2:,} (half of vgg_mini's {macs:,}) are allowed"
    insist(measured.macs <= macs / 2, message)


@pytest.mark.points(2)
def test_parameters_at_half_of_the_macs(lab1_design_onnx):
    measured, (parameters, macs) = measure_onnx(lab1_design_onnx), original_costs()
    insist(measured.macs <= macs / 2, "parameters count once the file has at most half of vgg_mini's MACs")
    wanted = 97 * parameters // 100
    found = measured.layer_parameters
    message = f"{found:,} parameters in the file's layers, at least {wanted:,} are asked for: 97 % of vgg_mini's "
    message += f"{parameters:,} (folding batch norms into convolutions takes a few away)"
    insist(found >= wanted, message)
