"""Visible tests of lab 1. A test's first argument is the exercise that it grades."""

import functools

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from course_utils import expect
from course_utils.networks import parameter_count, vgg_mini
from course_utils.onnx_files.measuring import measure_onnx

IMAGE = (3, 32, 32)


def number(answer, expected, hint, mistakes=None):
    """`answer` is the number `expected`; `mistakes` (value → words) names what gives another value."""
    if answer is None:
        raise AssertionError(f"{hint}\n  your function returned None: is the `return` missing?")
    try:
        came = float(answer)
    except (TypeError, ValueError, RuntimeError):
        said = f"one number is wanted, yours is of type {type(answer).__name__}"
        raise AssertionError(expect.say(f"{hint}\n  {said}", expected, answer)) from None
    if came != expected:
        said = (mistakes or {}).get(came)
        raise AssertionError(expect.say(f"{hint}\n  {said}" if said else hint, expected, answer))


def insist(condition, message):
    """An assertion whose message is nothing but ours."""
    if not condition:
        raise AssertionError(message)


def conv_batchnorm_linear():
    """3×10×8 → conv 4×5×4 → batch norm → ReLU → flatten → linear 6."""
    layers = nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(80, 6)
    return nn.Sequential(*layers)


def hooks_on(network):
    """How many forward hooks (also pre-hooks, also global ones) are registered now."""
    everywhere = nn.modules.module
    found = len(everywhere._global_forward_hooks) + len(everywhere._global_forward_pre_hooks)
    return found + sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in network.modules())


def modes(network):
    return ["train" if module.training else "eval" for module in network.modules()]


def statistics_of(network):
    return {name: buffer.clone() for name, buffer in network.named_buffers()}


def left_as_found(function, network, input_size):
    """`function(network, input_size)` finds a number, and modes, statistics and hooks of the network stay the same."""
    mode, statistics, hooks = modes(network), statistics_of(network), hooks_on(network)
    try:
        answer = function(network, input_size)
    except ValueError as error:
        hint = "in training mode a batch norm wants more than one value a channel: switch to evaluation mode"
        raise AssertionError(f"{hint}\n  your function stopped: {error}") from None
    try:
        counted = float(answer) > 0
    except (TypeError, ValueError, RuntimeError):
        counted = False
    insist(counted, f"the network is left alone once it has been measured: return a number above 0, not {answer!r}")
    now = statistics_of(network)
    for name, buffer in statistics.items():
        hint = f"{name} changed: in training mode a batch norm learns from every image; switch to evaluation mode"
        expect.same(now.get(name), buffer, hint, tolerance=0)
    hint = "every module keeps the mode (train or eval) in which you found it: remember it before you switch"
    expect.equal(modes(network), mode, hint)
    hint = "hooks are left behind on the network: each handle has a .remove(), and `finally` is the place for it"
    expect.equal(hooks_on(network), hooks, hint)


# --- count_parameters


@pytest.mark.points(1)
def test_weights_and_biases_count(count_parameters):
    network = nn.Sequential(nn.Conv2d(3, 8, 5), nn.Flatten(), nn.Linear(32, 4))
    mistakes = {
        600 + 128: "this is the number without the biases: they are learned too",
        4: "this is the number of tensors: sum up how many values each of them holds (numel)",
        8 + 8 + 4 + 4: "this sums up the lengths of the tensors: count their values (numel)",
    }
    number(count_parameters(network), 8 * 75 + 8 + 4 * 32 + 4, "count every value of every weight and bias", mistakes)


@pytest.mark.points(1)
def test_running_statistics_do_not_count(count_parameters):
    hint = "of a batch norm only weight and bias are learned: running mean, variance and the count are buffers"
    mistakes = {21: "state_dict() holds the buffers too; parameters() does not"}
    mistakes[20] = mistakes[21]
    number(count_parameters(nn.BatchNorm2d(5)), 10, hint, mistakes)


@pytest.mark.points(1)
def test_a_shared_tensor_counts_once(count_parameters):
    network = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6))
    network[2].weight = network[0].weight
    hint = "two layers share one weight here: what is stored and learned once counts once"
    number(count_parameters(network), 36 + 6 + 6, hint, {84: "this counts the shared weight once for each layer"})


# --- conv_macs


@pytest.mark.points(1)
def test_one_mac_for_each_weight_and_output_value(conv_macs):
    hint = "each of the 4×5 pixels of the 7 output channels takes 3·3·2 = 18 multiply-accumulates"
    mistakes = {
        20 * 7 * 19: "this counts the bias too: adding it is no multiply-accumulate",
        2 * 2520: "these are FLOPs: a multiplication and its addition are ONE multiply-accumulate",
        7 * 18: "these are the weights: each of them is used again for every pixel of the output",
        7 * 19: "these are the parameters: every weight is used again for every pixel of the output",
        20 * 18: "this is one filter's work: there are as many filters as output channels",
        20 * 7 * 9: "a filter looks at ALL its input channels, 2 here",
        6 * 7 * 18: "`output_size` is already the size of the output: do not shrink it by the kernel again",
        4 * 7 * 18: "both sides of the output count: height times width",
        5 * 7 * 18: "both sides of the output count: height times width",
    }
    number(conv_macs(nn.Conv2d(2, 7, 3), (4, 5)), 2520, hint, mistakes)


@pytest.mark.points(1)
def test_groups_divide_the_work(conv_macs):
    hint = "with groups=4 a filter sees only 12 / 4 = 3 of the input channels"
    mistakes = {
        36 * 8 * 12 * 9: "this forgets the groups",
        36 * 2 * 3 * 9: "only the inputs are divided by the groups: every output channel is still computed",
        36 * 8 * 12 * 9 * 4: "groups make it cheaper: divide, do not multiply",
    }
    number(conv_macs(nn.Conv2d(12, 8, 3, groups=4, bias=False), (6, 6)), 36 * 8 * 3 * 9, hint, mistakes)


@pytest.mark.points(1)
def test_kernels_that_are_not_square(conv_macs):
    hint = "kernel_size is (height, width): multiply the two"
    base = 9 * 5 * 4
    mistakes = {base: "this takes the kernel's height twice", base * 25: "this takes the kernel's width twice"}
    number(conv_macs(nn.Conv2d(4, 5, (1, 5)), (3, 3)), base * 5, hint, mistakes)


# --- count_macs


@pytest.mark.points(1)
def test_convolutions_and_linear_layers(count_macs):
    conv, linear = 4 * 5 * 4 * 27, 80 * 6
    hint = f"the convolution's output has 4×5×4 values of 27 MACs each ({conv}), the linear layer has 80·6 ({linear})"
    mistakes = {
        conv: "the linear layer is missing",
        linear: "the convolution is missing",
        2 * (conv + linear): "these are FLOPs (two for each multiply-accumulate), or two images went through",
        10 * 8 * 4 * 27 + linear: "this takes the size of the INPUT of the convolution: its stride is 2",
        conv + 80 + linear + 6: "biases are counted: adding a bias is no multiply-accumulate",
        conv + linear + 6: "the bias of the linear layer is counted",
        conv + 80 + linear: "the bias of the convolution is counted",
    }
    number(count_macs(conv_batchnorm_linear(), (3, 10, 8)), conv + linear, hint, mistakes)


@pytest.mark.points(1)
def test_the_course_network(count_macs):
    hint = "vgg_mini() takes 38.6 million MACs for an image of 3×32×32"
    mistakes = {
        38_635_520 - 2_048: "the linear layer is missing",
        77_271_040: "these are FLOPs: two for each multiply-accumulate",
    }
    number(count_macs(vgg_mini(), IMAGE), 38_635_520, hint, mistakes)


@pytest.mark.points(1)
def test_transposed_convolutions(count_macs):
    conv, transposed = 5 * 7 * 4 * 18, 5 * 7 * 4 * 3 * 12
    network = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ConvTranspose2d(4, 6, (3, 4), stride=2, groups=2))
    hint = f"each of the 5×7 pixels that the transposed convolution READS takes 4·(6/2)·3·4 MACs ({transposed} in all)"
    mistakes = {
        conv: "transposed convolutions are left out: a ConvTranspose2d is no Conv2d, it is a class of its own",
        conv + 11 * 16 * 6 * 2 * 12: "this takes the size of its OUTPUT, as of a convolution",
        conv + 2 * transposed: "this forgets the groups of the transposed convolution",
        transposed: "the convolution is missing",
    }
    number(count_macs(network, (2, 5, 7)), conv + transposed, hint, mistakes)


@pytest.mark.points(1)
def test_the_network_is_left_as_found(count_macs):
    left_as_found(count_macs, conv_batchnorm_linear().train(), (3, 10, 8))
    left_as_found(count_macs, conv_batchnorm_linear().eval(), (3, 10, 8))


# --- weight_bytes


@pytest.mark.points(1)
def test_eight_bits_are_a_byte(weight_bytes):
    hint = "10 parameters of 32 bits: 320 bits, and 8 bits are a byte"
    network = nn.Linear(4, 2)
    mistakes = {320: "these are bits", 80: "only 8 bits a parameter?", 0.04: "bytes, not kilobytes"}
    number(weight_bytes(network, 32), 40, hint, mistakes)
    hint = "10 parameters of 4 bits take 5 bytes: the width is the argument, not the dtype of the tensors"
    number(weight_bytes(network, 4), 5, hint, {40: "this is the size in float32", 10: "this gives each a whole byte"})


@pytest.mark.points(1)
def test_a_byte_that_is_begun_counts(weight_bytes):
    hint = "9 parameters of 1 bit do not fit into one byte: round up"
    mistakes = {1: "this rounds down", 1.125: "a file has no eighth of a byte"}
    number(weight_bytes(nn.Linear(8, 1), 1), 2, hint, mistakes)


# --- peak_activation_bytes


def bottleneck():
    """1×1 convolutions, 40 → 2 → 30 channels: no layer needs as much as its ends together."""
    return nn.Sequential(nn.Conv2d(40, 2, 1), nn.Sequential(nn.Conv2d(2, 30, 1)))


@pytest.mark.points(1)
def test_input_plus_output_of_the_largest_layer(peak_activation_bytes):
    network = nn.Sequential(nn.Conv2d(2, 6, 3, padding=1), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(96, 50))
    hint = "the convolution reads 2×8×8 and writes 6×8×8 values of 4 bytes: 512 values in all"
    mistakes = {
        512.0: "these are values: a float32 takes 4 bytes",
        384 * 4.0: "this is the largest output: the layer's input is in memory at the same time",
        384 * 8.0: "this takes twice the output: input and output differ in size",
        (384 + 96 + 96 + 50) * 4.0: "this is the sum of all outputs: an activation that is used up is let go",
        (512 + 480 + 192 + 146) * 4.0: "this is the sum over the layers: the LARGEST of them is wanted",
        1024 * 4.0: "two images went through: one is asked for (batch 1)",
        (96 + 50 + 97 * 50) * 4.0: "the layer's parameters are in it: only activations are counted",
        512 * 32.0: "these are bits",
    }
    number(peak_activation_bytes(network, (2, 8, 8)), 2048, hint, mistakes)


@pytest.mark.points(1)
def test_only_leaf_modules_count(peak_activation_bytes):
    hint = "conv 40 → 2 needs 42 values a pixel, 16 pixels of 4 bytes: the first layer is the largest"
    mistakes = {
        70 * 64: "a Sequential is no leaf: its input is gone when its output is there",
        40 * 64: "input PLUS output, please",
        32 * 64: "a layer is missing: is it inside another module?",
    }
    number(peak_activation_bytes(bottleneck(), (40, 4, 4)), 42 * 64, hint, mistakes)


@pytest.mark.points(1)
def test_the_network_is_left_as_it_was(peak_activation_bytes):
    left_as_found(peak_activation_bytes, conv_batchnorm_linear().train(), (3, 10, 8))
    left_as_found(peak_activation_bytes, conv_batchnorm_linear().eval(), (3, 10, 8))


# --- median_latency


class Stopwatch:
    """A clock that only moves when `run` is called: by the next of the given times, then by `then`."""

    def __init__(self, *times, then=64.0):
        self.times, self.then, self.now, self.runs, self.looks = list(times), then, 1000.0, 0, 0

    def clock(self):
        self.looks += 1
        return self.now

    def run(self):
        self.now += self.times[self.runs] if self.runs < len(self.times) else self.then
        self.runs += 1


def latency(median_latency, watch, warmup, repeats):
    answer = median_latency(watch.run, watch.clock, warmup, repeats)
    insist(watch.looks, "your function never called `clock`: it is an argument, so that any clock can be used")
    return answer


@pytest.mark.points(1)
def test_the_median_of_the_repeats(median_latency):
    watch = Stopwatch(32.0, 16.0, 1.0, 2.0, 9.0, 2.5, 3.0)
    hint = "after 2 runs of warm-up (32 and 16 s) the times are 1, 2, 9, 2.5 and 3 s: their median is 2.5"
    mistakes = {
        3.5: "this is the mean: one slow run (9 s) draws it up, the median does not care",
        3.0: "this is the median of all runs, those of the warm-up among them: they are not timed",
        17.5: "this is the total: one call is asked for",
        1.0: "this is the fastest run: the median, please",
        9.0: "this is the slowest run, or the times are not sorted: the median is the middle of the SORTED times",
        12.0: "look at the clock anew before every run: these are times since the first one's start",
        1002.5: "this is the clock's reading: subtract the one from before the run",
        2500.0: "stay in the clock's units: no milliseconds",
    }
    number(latency(median_latency, watch, 2, 5), 2.5, hint, mistakes)


@pytest.mark.points(1)
def test_an_even_number_of_repeats(median_latency):
    hint = "of 1, 2, 4 and 10 s the middle two are 2 and 4: the median is their mean, 3"
    said = "this is one of the middle two (torch.median gives the lower, sorted(…)[n // 2] the upper): take their mean"
    mistakes = {2.0: said, 4.0: said, 4.25: "this is the mean of all four"}
    number(latency(median_latency, Stopwatch(4.0, 1.0, 10.0, 2.0), 0, 4), 3.0, hint, mistakes)


@pytest.mark.points(1)
def test_how_often_run_is_called(median_latency):
    watch = Stopwatch(then=1.0)
    median_latency(watch.run, watch.clock, 3, 5)
    hint = "run() is called warmup + repeats times: 3 untimed calls, then 5 timed ones"
    mistakes = {5: "the warm-up is missing", 3: "the timed calls are missing", 2: "the warm-up is part of the repeats"}
    number(watch.runs, 8, hint, mistakes)


# --- design_widths


def built(design_widths):
    """The network of the student's widths; an AssertionError that says what is wrong with them."""
    widths = design_widths()
    insist(widths is not None, "your function returned None: is the `return` missing?")
    listed = list(widths) if isinstance(widths, (tuple, list)) else []
    whole = all(isinstance(width, int) and 1 <= width <= 4096 for width in listed)
    hint = "return a tuple of 2 to 9 whole numbers from 1 to 4096, such as (8, 8); 16 / 2 is 8.0, 16 // 2 is 8"
    insist(whole and 2 <= len(listed) <= 9, f"{hint}\n  yours: {expect.show(widths)}")
    return vgg_mini(widths=tuple(listed))


@functools.cache
def original_costs():
    network = vgg_mini()
    return parameter_count(network), macs_of(network)


def macs_of(network, size=IMAGE):
    """Multiply-accumulates as PyTorch counts them: FLOPs, so half of them."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, *size))
    return counter.get_total_flops() // 2


@pytest.mark.points(2)
def test_at_most_half_of_the_macs_and_all_the_parameters(design_widths):
    network, (parameters, macs) = built(design_widths), original_costs()
    share, left = macs_of(network) / macs, parameter_count(network) / parameters
    came = f"yours has {share:.1%} of the MACs and {left:.1%} of the parameters of vgg_mini()"
    hint = (
        "at most 50 % of the MACs are allowed: a weight costs least where the images are smallest, late in the network"
    )
    insist(share <= 0.5, f"{hint}\n  {came}")
    hint = "at least 100 % of the parameters are asked for: where can they be put so that each is used for few pixels?"
    insist(left >= 1.0, f"{hint}\n  {came}")


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
