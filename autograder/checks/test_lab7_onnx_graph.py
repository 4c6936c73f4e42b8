"""Visible tests of lab 7. A test's first argument is the exercise that it grades."""

import numpy as np
import pytest
import torch
from torch import Tensor

from course_utils import artifacts, expect

LIMIT = 0.30  # of the baseline's parameters


# --- small graphs, written by hand


def op(kind, *sources, to):
    return {"op": kind, "inputs": list(sources), "outputs": [to]}


def conv(source, weight, to=None, filters=8, inputs=8, groups=1):
    shape = (filters, inputs // groups, 3, 3)
    made = {"op": "Conv", "inputs": [source], "outputs": [to or f"{weight} maps"]}
    return {**made, "weight": f"{weight}.weight", "shape": shape, "groups": groups}


def depthwise(source, weight, to=None, channels=8):
    return conv(source, weight, to, channels, channels, groups=channels)


def classifier(source):
    flat = op("Flatten", source, to="features")
    return [flat, {**op("Gemm", "features", to="logits"), "weight": "classifier.weight", "shape": (10, 8)}]


def residual_block():
    """relu(conv2(relu(conv1(x))) + x) behind a stem."""
    return [
        conv("images", "stem", inputs=3),
        op("Relu", "stem maps", to="x"),
        conv("x", "conv1"),
        op("BatchNormalization", "conv1 maps", to="normalised"),
        op("Relu", "normalised", to="inner"),
        conv("inner", "conv2"),
        op("Add", "conv2 maps", "x", to="sum"),
        op("Relu", "sum", to="out"),
        *classifier("out"),
    ]


# --- what comes back


def read_by(answer):
    """What the nodes of an answer write, in their order; says what else came."""
    hint = "return a list of nodes (the dicts of the graph themselves), an empty list where nobody reads it"
    assert answer is not None, f"{hint}\n  your function returned None: is the `return` missing?"
    assert isinstance(answer, (list, tuple)), f"{hint}\n  yours is a {type(answer).__name__}: {expect.show(answer)}"
    assert all(isinstance(node, dict) and "outputs" in node for node in answer), (
        f"{hint}, not their names or positions\n  yours: {expect.show(answer)}"
    )
    return [node["outputs"][0] for node in answer]


def whole_numbers(answer, hint):
    """An answer as a list of whole numbers; says what else came."""
    assert answer is not None, f"{hint}\n  your function returned None: is the `return` missing?"
    assert isinstance(answer, (list, tuple, Tensor, np.ndarray)), (
        f"{hint}\n  yours is a {type(answer).__name__}: {expect.show(answer)}"
    )
    return [number.item() if hasattr(number, "item") else number for number in answer]


def partition(answer):
    """The lists of an answer, sorted, without the `.weight` behind every name; says what else came."""
    hint = "return a list of lists of names, the weights' of convolutions that are coupled"
    assert answer is not None, f"{hint}\n  your function returned None: is the `return` missing?"
    assert isinstance(answer, (list, tuple)), f"{hint}\n  yours is a {type(answer).__name__}: {expect.show(answer)}"
    for names in answer:
        assert isinstance(names, (list, tuple, set, frozenset)) and all(isinstance(name, str) for name in names), (
            f"{hint}; one of yours is {expect.show(names)}"
        )
    return sorted(sorted(name.removesuffix(".weight") for name in names) for names in answer)


# --- consumers


@pytest.mark.points(1)
def test_the_nodes_that_read_a_feature_map(consumers):
    answer = read_by(consumers(residual_block(), "inner"))
    hint = (
        "the nodes that READ the feature map are wanted: those with its name "
        "among their inputs, not the one that makes it"
    )
    expect.equal(answer, ["conv2 maps"], hint)


@pytest.mark.points(2)
def test_all_of_them_in_order(consumers):
    answer = read_by(consumers(residual_block(), "x"))
    hint = "x is read twice, by conv1 and by the addition, where it is the second input: return all of them, in order"
    expect.equal(answer, ["conv1 maps", "sum"], hint)


@pytest.mark.points(1)
def test_nobody_reads_the_output(consumers):
    hint = "nobody reads the network's output: an empty list, no error and no None"
    expect.equal(read_by(consumers(residual_block(), "logits")), [], hint)


# --- features_of_channel


@pytest.mark.points(1)
def test_a_channel_owns_all_its_pixels(features_of_channel):
    answer = features_of_channel(torch.tensor([0, 2]), 4)
    hint = "behind flatten there are C*H*W features, not C: channel c owns the columns c*pixels … (c+1)*pixels - 1"
    expect.same(answer, [0, 1, 2, 3, 8, 9, 10, 11], hint)
    expect.equal(expect.tensor(answer, hint).dtype, torch.int64, "columns are indices: whole numbers (int64)")


@pytest.mark.points(2)
def test_it_picks_what_flatten_made(features_of_channel):
    maps, channels = torch.arange(2 * 5 * 6.0).reshape(2, 5, 2, 3), torch.tensor([1, 2, 4])
    hint = "flatten goes channel by channel (C, H, W): the pixels of one channel are neighbours"
    columns = expect.same_shape(features_of_channel(channels.clone(), 6), (18,), "3 channels of 6 pixels: 18 columns")
    expect.same(maps.flatten(1)[:, columns.long()], maps[:, channels].flatten(1), hint)


# --- concat_offsets


@pytest.mark.points(2)
def test_where_the_parts_begin(concat_offsets):
    hint = "each part begins where the ones before it end: the sum of the widths BEFORE it, so the first begins at 0"
    expect.equal(whole_numbers(concat_offsets([4, 6, 2]), hint), [0, 4, 10], hint)


@pytest.mark.points(1)
def test_one_offset_a_part(concat_offsets):
    hint = "one offset for every part: the whole width is where the next one WOULD begin, and no offset"
    expect.equal(whole_numbers(concat_offsets([16]), hint), [0], hint)


# --- coupled_channels


@pytest.mark.points(1)
def test_in_a_chain_nothing_is_coupled(coupled_channels):
    graph = [
        conv("images", "first", inputs=3),
        op("BatchNormalization", "first maps", to="normalised"),
        op("Relu", "normalised", to="relu"),
        op("MaxPool", "relu", to="pooled"),
        conv("pooled", "second"),
        *classifier("second maps"),
    ]
    hint = "in a chain every convolution is alone: a Conv ends the coupling of what it reads, and makes new channels"
    expect.equal(partition(coupled_channels(graph)), [["first"], ["second"]], hint)


@pytest.mark.points(2)
def test_both_sides_of_a_residual_addition(coupled_channels):
    hint = "both sides of a residual addition must lose the same channels: the stem and conv2 belong together"
    expect.equal(partition(coupled_channels(residual_block())), [["conv1"], ["conv2", "stem"]], hint)


@pytest.mark.points(1)
def test_the_output_is_never_pruned(coupled_channels):
    graph = [
        conv("images", "first", inputs=3),
        op("Relu", "first maps", to="relu"),
        conv("relu", "scores"),
        op("GlobalAveragePool", "scores maps", to="means"),
        op("Flatten", "means", to="logits"),
    ]
    hint = (
        "the channels of the last convolution are the classes: leave out what reaches "
        "the network's output, also through pooling and Flatten"
    )
    expect.equal(partition(coupled_channels(graph)), [["first"]], hint)


@pytest.mark.points(1)
def test_a_depthwise_convolution_follows_its_producer(coupled_channels):
    graph = [
        conv("images", "expand", inputs=3),
        op("Relu", "expand maps", to="wide"),
        depthwise("wide", "depthwise"),
        op("Relu", "depthwise maps", to="filtered"),
        conv("filtered", "project"),
        *classifier("project maps"),
    ]
    hint = (
        "a depthwise convolution (groups = channels) works on every channel "
        "alone: it belongs to the set of what it reads"
    )
    expect.equal(partition(coupled_channels(graph)), [["depthwise", "expand"], ["project"]], hint)


@pytest.mark.points(1)
def test_a_concatenation_couples_nothing(coupled_channels):
    graph = [
        conv("images", "left", inputs=3),
        conv("images", "right", inputs=3),
        op("Concat", "left maps", "right maps", to="both"),
        conv("both", "mixed", inputs=16),
        *classifier("mixed maps"),
    ]
    hint = "Concat puts channels one behind the other, it does not couple them: each part may lose what it likes"
    expect.equal(partition(coupled_channels(graph)), [["left"], ["mixed"], ["right"]], hint)


# --- the network that is handed in


@pytest.mark.points(2)
def test_parameters_that_are_left(lab7_pruned_onnx):
    measured, original = artifacts.measured(lab7_pruned_onnx), artifacts.measured_baseline()
    left = measured.parameters / original.parameters
    assert left <= LIMIT, (
        f"at least {1 - LIMIT:.0%} of the parameters must go: "
        f"{measured.parameters:,} of {original.parameters:,} are left ({left:.1%})"
    )


@pytest.mark.points(4)
def test_accuracy_after_retraining(lab7_pruned_onnx, award):
    measured, original = artifacts.measured(lab7_pruned_onnx), artifacts.measured_baseline()
    assert measured.parameters <= LIMIT * original.parameters, f"accuracy counts once {1 - LIMIT:.0%} are gone"
    award(*artifacts.ramp("lab7_pruned", measured, original))
