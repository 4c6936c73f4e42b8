"""Hidden tests of lab 7: other graphs, longer chains of couplings, and numbers that are drawn for the course."""

import pytest
import torch

from autograder.checks.test_lab7_onnx_graph import (
    classifier,
    columns_of,
    conv,
    coupled,
    depthwise,
    linear,
    norm,
    op,
    other_offsets,
    readers,
    whole_numbers,
)
from course_utils import expect


def whole_numbers_of_the_course(count, below, seed):
    """Different whole numbers below a bound, in any order, others in each course."""
    order = torch.randperm(below, generator=torch.Generator().manual_seed(expect.drawn(seed)))
    return order[:count]


@pytest.mark.points(1)
def test_the_readers_of_every_feature_map(consumers):
    graph = [
        conv("input.1", "stem", to="conv2d", inputs=3),
        conv("conv2d", "a", to="conv2d_1"),
        op("Relu", "conv2d", to="gate"),
        op("Split", "conv2d_1", to="part") | {"outputs": ["part", "part_1"]},
        op("Mul", "conv2d", "part", to="zz"),
        op("Sub", "zz", "zz", to="mul_1"),
        op("Add", "part_1", "conv2d", to="old_conv2d"),
        op("Sigmoid", "old_conv2d", to="mul_2"),
        conv("conv2d", "b", to="mul"),
        op("Concat", "mul", "mul_1", "mul_2", "conv2d_1", "gate", to="cat"),
        *classifier("cat"),
    ]
    made = [name for node in graph for name in node["outputs"]]
    for tensor in ("input.1", *made):
        expected = [node["outputs"][0] for node in graph if tensor in node["inputs"]]
        hint = f"the nodes that read {tensor!r} in a graph with names as an export gives them"
        readers(consumers, graph, tensor, expected, hint)


@pytest.mark.points(1)
def test_columns_of_other_channels(features_of_channel):
    for pixels in (4, 35):
        channels = whole_numbers_of_the_course(5, 20, seed=pixels)
        hint = f"{pixels} pixels and the channels {channels.tolist()}, in this order"
        columns_of(features_of_channel(channels.clone(), pixels), channels, pixels, hint)


@pytest.mark.points(1)
def test_offsets_find_every_part_again(concat_offsets):
    widths = [*(whole_numbers_of_the_course(5, 30, seed=2) + 1).tolist(), 4, 4]
    joined = torch.cat([torch.full((width,), part) for part, width in enumerate(widths)]).tolist()
    hint = f"parts of {widths} channels: o_k is the first channel of part k"
    answer = whole_numbers(concat_offsets(list(widths)), hint)
    expect.equal(answer, [joined.index(part) for part in range(7)], hint, mistakes=other_offsets(widths))


@pytest.mark.points(1)
def test_a_projection_shortcut_in_front_of_a_stage(coupled_channels):
    graph = [
        conv("input.1", "stem", inputs=3),
        norm("stem maps", "bn", "normalised"),
        conv("normalised", "conv1"),
        depthwise("conv1 maps", "spatial"),
        conv("spatial maps", "conv2"),
        conv("normalised", "shortcut"),
        op("Add", "conv2 maps", "shortcut maps", to="sum"),
        op("Relu", "sum", to="x"),
        conv("x", "conv3"),
        op("Add", "x", "conv3 maps", to="out"),
        op("GlobalAveragePool", "out", to="means"),
        op("Reshape", "means", to="flat"),
        linear("flat", "head", "logits"),
    ]
    hint = "the shortcut's own convolution is added to conv2, and conv3 to both; the stem is free"
    coupled(coupled_channels, graph, [["conv1", "spatial"], ["conv2", "conv3", "shortcut"], ["stem"]], hint)


@pytest.mark.points(1)
def test_sets_that_meet_late(coupled_channels):
    graph = [conv("input.1", name, inputs=3) for name in "abcdef"]
    graph += [
        op("Add", "a maps", "b maps", to="ab"),
        op("Sub", "c maps", "d maps", to="cd"),
        op("Mul", "e maps", "f maps", to="ef"),
        op("Clip", "cd", to="clipped"),
        op("Div", "ef", "ab", to="abef"),
        op("Add", "clipped", "b maps", to="all"),
        conv("abef", "g"),
        conv("all", "h"),
        op("Concat", "g maps", "h maps", to="both"),
        *classifier("both"),
    ]
    hint = "pairs that are coupled already are joined by later nodes, in whatever order: a to f belong together"
    coupled(coupled_channels, graph, [["a", "b", "c", "d", "e", "f"], ["g"], ["h"]], hint)


@pytest.mark.points(1)
def test_nodes_with_two_outputs_and_networks_with_two_inputs(coupled_channels):
    graph = [
        conv("left.1", "left", inputs=3),
        conv("right.1", "right", inputs=3),
        op("Concat", "left maps", "right maps", to="both"),
        op("Split", "both", to="half") | {"outputs": ["half", "other"]},
        conv("half", "first"),
        conv("other", "second"),
        op("Concat", "first maps", "other", to="mixed"),
        conv("second maps", "third"),
        op("Sub", "third maps", "right.1", to="anchored"),
        op("Concat", "mixed", "anchored", to="all"),
        conv("other", "fourth"),
        op("Add", "fourth maps", "other", to="sum"),
        op("Concat", "all", "sum", to="last"),
        *classifier("last"),
    ]
    hint = "Split makes two feature maps, so that 'other' is no input of the network; 'right.1' is one, and what is "
    hint += "subtracted from it is left out"
    coupled(coupled_channels, graph, [["first"], ["fourth"], ["left"], ["right"], ["second"]], hint)
