"""Hidden tests of lab 2: rounding, ties, other dtypes, and what must not be changed."""

import copy

import pytest
import torch
from torch import nn

from autograder.checks.test_lab2_masks import (
    batch,
    gone_below,
    small_network,
    some_masks,
    trained_with_momentum,
    zeros_and_ones,
    zeros_in,
)
from autograder.checks.test_lab2_masks import numbers as fixed_numbers
from course_utils import expect
from solutions.training_step import training_step

numbers = expect.in_course(fixed_numbers)


@pytest.mark.points(1)
@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_sparsity_out_of_range_is_an_error(magnitude_mask, share):
    hint = f"sparsity {share} makes no sense: raise ValueError for anything outside 0…1"
    expect.raises(ValueError, hint, magnitude_mask, torch.ones(4), share)


@pytest.mark.points(1)
@pytest.mark.parametrize(("share", "stay"), [(0.0, 24), (1.0, 0)])
def test_nothing_or_all_goes(magnitude_mask, share, stay):
    mask = zeros_and_ones(magnitude_mask(numbers(4, 6), share), (4, 6), "the mask has the shape of its weight")
    expect.equal(int(mask.sum()), stay, f"at sparsity {share} {stay} of 24 weights stay")


@pytest.mark.points(1)
def test_the_weight_is_left_alone(magnitude_mask):
    weight = nn.Parameter(numbers(4, 3, 3, 3).double())
    before = weight.detach().clone()
    mask = zeros_and_ones(magnitude_mask(weight, 0.5), weight.shape, "the mask has the shape of its weight")
    expect.equal(int(mask.sum()), 54, "half of 108 weights stay")
    expect.unchanged(weight, before, "a mask only says what goes; the weight itself is left alone")


@pytest.mark.points(1)
def test_sparsity_of_a_network(sparsity):
    network = small_network()
    weights = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    weights[1].data[:2] = 0.0
    expected = weights[1][:2].numel() / sum(weight.numel() for weight in weights)
    hint = "zeros / weights over all convolutions and linear layers, wherever they are in the network"
    expect.same(sparsity(network), expected, hint, tolerance=1e-6)


@pytest.mark.points(1)
@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_how_many_go_in_all(global_threshold, share):
    weights = [numbers(5, 2, 3, 3), 3 * numbers(7, seed=1), numbers(4, 20, seed=2) / 10]
    gone = sum(gone_below(global_threshold(weights, share), weights))
    expected = int(share * 177 + 1e-9)
    expect.equal(
        gone, expected, f"of 177 weights at sparsity {share}, the floor({share} * 177 + 1e-9) = {expected} smallest go"
    )


@pytest.mark.points(1)
def test_at_sparsity_0_all_stay(global_threshold):
    weights = [numbers(4, 5), numbers(3, seed=1)]
    expect.equal(gone_below(global_threshold(weights, 0.0), weights), [0, 0], "at sparsity 0 nothing goes")


@pytest.mark.points(1)
def test_a_sparsity_without_a_threshold_is_an_error(global_threshold):
    for share in (1.5, -0.1, 1.0):
        hint = (
            f"sparsity {share}: raise ValueError outside 0 ≤ sparsity < 1; at 1 no weight is left to be the threshold"
        )
        expect.raises(ValueError, hint, global_threshold, [torch.arange(1.0, 5.0)], share)


@pytest.mark.points(1)
def test_masks_of_some_layers_only(apply_masks):
    network = small_network()
    before = copy.deepcopy(network.state_dict())
    name, mask = next(iter(some_masks(network).items()))
    apply_masks(network, {name: mask})
    for other, value in network.state_dict().items():
        expected = before[other] * mask if other == name else before[other]
        expect.same(value, expected, f"{other}: only what has a mask is masked")


@pytest.mark.points(1)
def test_weight_decay_and_adam(masked_step):
    network, masks = small_network(), some_masks(small_network(), seed=expect.drawn(3))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01, weight_decay=0.1)
    training_step(network, *batch(seed=expect.drawn(5)), optimizer)
    before = copy.deepcopy(network.state_dict())
    masked_step(network, *batch(), optimizer, masks)
    assert zeros_in(network, masks), "the masks hold whatever the optimizer does: apply them after its step"
    moved = any(not torch.equal(network.state_dict()[name], before[name]) for name in before if name not in masks)
    assert moved, "what has no mask (biases, batch norms) is trained too"


@pytest.mark.points(1)
def test_masks_are_not_changed(masked_step):
    network = small_network()
    optimizer, masks = trained_with_momentum(network), some_masks(network)
    before = copy.deepcopy(masks)
    masked_step(network, *batch(), optimizer, masks)
    assert zeros_in(network, before), "pruned weights are zero after the step"
    for name, mask in before.items():
        expect.unchanged(masks[name], mask, "the masks are used in every step: leave them as they are")


@pytest.mark.points(1)
def test_zeros_do_not_come_back(rewind):
    network, early = small_network(seed=0), small_network(seed=1)
    masks = some_masks(network, seed=expect.drawn(2), share=0.9)
    rewind(network, copy.deepcopy(early.state_dict()), masks)
    assert zeros_in(network, masks), "`start` holds values for pruned weights too: apply the masks after going back"
    kept = next(iter(masks))
    expect.same(
        network.get_parameter(kept)[masks[kept]], early.get_parameter(kept)[masks[kept]], "what stays is as in `start`"
    )
