"""Hidden tests of lab 7: longer chains of couplings, and the traps that the visible tests leave open."""

import copy

import pytest
import torch

from autograder.checks.test_lab7_onnx_graph import (
    classifier,
    conv,
    depthwise,
    op,
    partition,
    read_by,
    residual_block,
    whole_numbers,
)
from course_utils import expect

# --- consumers


@pytest.mark.points(1)
def test_a_node_that_reads_twice_comes_once(consumers):
    graph = [
        conv("images", "first", inputs=3),
        op("Mul", "first maps", "first maps", to="square"),
        *classifier("square"),
    ]
    hint = "Mul reads the feature map with both inputs: it is one node all the same, so it comes once"
    expect.equal(read_by(consumers(graph, "first maps")), ["square"], hint)


@pytest.mark.points(1)
def test_names_are_compared_as_a_whole(consumers):
    graph = [op("Relu", "images", to="relu"), op("Relu", "relu", to="relu_1"), op("Relu", "relu_1", to="relu_10")]
    hint = "relu_1 is another feature map than relu: compare whole names, not parts of them"
    expect.equal(read_by(consumers(graph, "relu")), ["relu_1"], hint)


# --- features_of_channel


@pytest.mark.points(1)
def test_the_order_of_the_channels_is_kept(features_of_channel):
    hint = "columns come in the order in which the channels are given, here channel 3 before channel 0"
    expect.same(features_of_channel(torch.tensor([3, 0]), 2), [6, 7, 0, 1], hint)


@pytest.mark.points(1)
def test_one_pixel_and_many(features_of_channel):
    channels = torch.tensor([0, 2, 5])
    hint = "with one pixel a channel is one column; with 49 pixels it owns 49: `pixels` is the argument, not always 4"
    expect.same(features_of_channel(channels.clone(), 1), channels, hint)
    expected = [49 * channel + pixel for channel in (0, 2, 5) for pixel in range(49)]
    expect.same(features_of_channel(channels.clone(), 49), expected, hint)


# --- concat_offsets


@pytest.mark.points(1)
def test_offsets_find_every_part_again(concat_offsets):
    widths = [3, 3, 1, 8, 5]
    joined = torch.cat([torch.full((width,), part) for part, width in enumerate(widths)])
    hint = "parts of different widths: position o_k of the concatenation is the first channel of part k"
    offsets = whole_numbers(concat_offsets(list(widths)), hint)
    expect.equal(len(offsets), len(widths), "one offset for every part")
    expect.equal([joined[offset].item() for offset in offsets], [0, 1, 2, 3, 4], hint)
    expect.equal(offsets, [0, 3, 6, 7, 15], hint)


@pytest.mark.points(1)
def test_the_widths_are_not_changed(concat_offsets):
    widths = [2, 5, 4]
    offsets = whole_numbers(concat_offsets(widths), "the sum of the widths before each part")
    expect.equal(offsets, [0, 2, 7], "the sum of the widths before each part")
    expect.equal(widths, [2, 5, 4], "the list of widths was changed in place: work on a copy, or make a new list")


# --- coupled_channels


@pytest.mark.points(2)
def test_couplings_go_through_a_whole_stage(coupled_channels):
    graph = [conv("images", "stem", to="x0", inputs=3)]
    for block in range(3):
        graph += [
            conv(f"x{block}", f"{block}.conv1"),
            op("Relu", f"{block}.conv1 maps", to=f"inner{block}"),
            conv(f"inner{block}", f"{block}.conv2"),
            op("Add", f"x{block}", f"{block}.conv2 maps", to=f"sum{block}"),
            op("Relu", f"sum{block}", to=f"x{block + 1}"),
        ]
    graph += classifier("x3")
    hint = "if a goes with b and b with c, all three go together: one addition after the other couples the whole stage"
    expected = [["0.conv1"], ["0.conv2", "1.conv2", "2.conv2", "stem"], ["1.conv1"], ["2.conv1"]]
    expect.equal(partition(coupled_channels(graph)), expected, hint)


@pytest.mark.points(2)
def test_two_sets_become_one(coupled_channels):
    """Pairs that are coupled already are joined by a last addition."""
    graph = [conv("images", name, inputs=3) for name in "abcd"]
    graph += [
        op("Add", "a maps", "b maps", to="ab"),
        op("Add", "c maps", "d maps", to="cd"),
        op("Sub", "ab", "cd", to="all"),
        *classifier("all"),
    ]
    hint = "a+b and c+d are coupled, and then the two sets are joined: merge the WHOLE sets, not one member of each"
    expect.equal(partition(coupled_channels(graph)), [["a", "b", "c", "d"]], hint)


@pytest.mark.points(1)
def test_a_projection_shortcut(coupled_channels):
    graph = [
        conv("images", "stem", inputs=3),
        conv("stem maps", "conv1"),
        conv("conv1 maps", "conv2"),
        conv("stem maps", "shortcut"),
        op("Add", "conv2 maps", "shortcut maps", to="sum"),
        *classifier("sum"),
    ]
    hint = "the shortcut's own convolution is added to conv2: these two belong together, and the stem is free"
    expect.equal(partition(coupled_channels(graph)), [["conv1"], ["conv2", "shortcut"], ["stem"]], hint)


@pytest.mark.points(1)
def test_a_gate_is_a_joint(coupled_channels):
    """Squeeze and excitation: a small branch that multiplies every channel."""
    graph = [
        conv("images", "wide", inputs=3),
        op("GlobalAveragePool", "wide maps", to="means"),
        conv("means", "squeeze", filters=2),
        op("Relu", "squeeze maps", to="few"),
        conv("few", "excite", inputs=2),
        op("Sigmoid", "excite maps", to="gate"),
        op("Mul", "gate", "wide maps", to="gated"),
        conv("gated", "next"),
        *classifier("next maps"),
    ]
    hint = "Mul couples like Add: a gate has one factor for every channel that it multiplies"
    expect.equal(partition(coupled_channels(graph)), [["excite", "wide"], ["next"], ["squeeze"]], hint)


@pytest.mark.points(1)
def test_what_is_added_to_the_images_must_stay(coupled_channels):
    graph = [
        conv("images", "inner", inputs=3),
        conv("inner maps", "correction", filters=3),
        op("Add", "images", "correction maps", to="corrected"),
        depthwise("corrected", "blur", channels=3),
        conv("blur maps", "next", inputs=3),
        *classifier("next maps"),
    ]
    hint = "the images' three colours are no channels to prune: leave out what is coupled with an input of the network"
    expect.equal(partition(coupled_channels(graph)), [["inner"], ["next"]], hint)


@pytest.mark.points(1)
def test_a_grouped_convolution_is_not_depthwise(coupled_channels):
    graph = [
        conv("images", "first", inputs=3),
        conv("first maps", "grouped", groups=4),
        conv("grouped maps", "last"),
        *classifier("last maps"),
    ]
    hint = "groups = 4 of 8 channels mixes channels: only groups = channels is depthwise, and passes them on"
    expect.equal(partition(coupled_channels(graph)), [["first"], ["grouped"], ["last"]], hint)


@pytest.mark.points(1)
def test_the_graph_is_only_read(coupled_channels):
    graph = residual_block()
    before = copy.deepcopy(graph)
    expect.equal(len(partition(coupled_channels(graph))), 2, "the stem with conv2, and conv1 alone")
    assert graph == before, "the graph was changed: others still need it, so make sets and lists of your own"
