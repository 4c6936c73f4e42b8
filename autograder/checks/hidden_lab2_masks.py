"""Hidden tests of lab 2: other sizes, other options, numbers drawn for the course."""

import copy

import pytest
import torch
from torch import nn

from autograder.checks.test_lab2_masks import (
    batch,
    compare_mask,
    compare_masking,
    compare_sparsity,
    early_state,
    masked,
    more_masks,
    one_after_the_other,
    other_rewindings,
    same_state,
    small_network,
    some_masks,
    trained_network,
    with_masks,
    zeros_stay,
)
from autograder.checks.test_lab2_masks import numbers as fixed_numbers
from course_utils import expect
from solutions.training_step import training_step

numbers = expect.in_course(fixed_numbers)


@pytest.mark.points(1)
def test_weights_of_other_shapes(magnitude_mask):
    for shape, share in (((23,), 0.3), ((6, 11), 0.55), ((1, 5, 1, 3), 0.9), ((2, 3, 2, 2, 2), 0.1)):
        compare_mask(magnitude_mask, numbers(*shape, seed=1), share, f"a weight {shape} at sparsity {share}")


@pytest.mark.points(1)
def test_large_weights_and_fine_shares(magnitude_mask):
    for share in (0.999, 0.123, 0.07):
        compare_mask(magnitude_mask, numbers(40, 25, seed=2), share, f"a weight (40, 25) at sparsity {share}")


@pytest.mark.points(1)
def test_sparsity_of_a_network(sparsity):
    network = small_network()
    masked(network, some_masks(network, seed=expect.drawn(1), share=0.4))
    nn.init.zeros_(network.features[1].weight)
    compare_sparsity(sparsity, network, "a network with batch norms, masked at random")


@pytest.mark.points(1)
def test_thresholds_of_random_layers(global_threshold):
    weights = [numbers(31), 3 * numbers(11, seed=1), numbers(3, 17, seed=2) / 10]
    one_after_the_other(
        global_threshold, [("layers of 31, 11 and 51 weights", weights, share) for share in (0.7, 0.9, 0.3)]
    )


@pytest.mark.points(1)
def test_masks_of_some_layers_only(apply_masks):
    network = small_network()
    masks = some_masks(network, seed=expect.drawn(1))
    masks = {name: masks[name] for name in reversed(masks) if name != "features.0.weight"}
    compare_masking(apply_masks, network, masks, "masks for two of three layers, the last one first")


@pytest.mark.points(1)
def test_weight_decay_and_adam(masked_step):
    network, masks = small_network(), some_masks(small_network(), seed=expect.drawn(3))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01, weight_decay=0.1)
    training_step(network, *batch(seed=expect.drawn(5)), optimizer)
    before = copy.deepcopy(masked(network, masks).state_dict())
    masked_step(network, *batch(), optimizer, *expect.copies(masks))
    zeros_stay(network, masks, "the masks hold whatever the optimizer does (here Adam with weight decay)")
    still = [name for name in before if torch.equal(network.state_dict()[name], before[name])]
    assert not still, f"all that is not pruned is trained, with or without a mask\n  {still and still[0]} is as before"


@pytest.mark.points(1)
def test_zeros_do_not_come_back(rewind):
    network, start = trained_network(), early_state(seed=expect.drawn(4) % 1000)
    masks = some_masks(network, seed=expect.drawn(2), share=0.9)
    masks["features.1.bias"] = more_masks(network)["features.1.bias"]
    masked(network, some_masks(network, seed=expect.drawn(6)))
    mistakes = other_rewindings(network, *expect.copies(start, masks))
    rewind(network, *expect.copies(start, masks))
    hint = "nine of ten weights are pruned: zero there, all else as in `start`"
    same_state(network, with_masks(start, masks), hint, mistakes)
