"""Visible tests of lab 2. A test's first argument is the exercise that it grades."""

import copy

import pytest
import torch
from torch import nn

from course_utils import artifacts, expect
from course_utils.networks import vgg_mini
from solutions.training_step import training_step


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def zeros_and_ones(answer, shape, hint):
    """A mask as a bool tensor of this shape; True and False, or 1 and 0, in whatever dtype."""
    mask = expect.same_shape(answer, shape, hint)
    values = set(mask.double().unique().tolist())
    assert values <= {0.0, 1.0}, (
        f"a mask holds True and False (or 1 and 0) only: it says what stays\n  yours: {expect.show(mask)}"
    )
    return mask.bool()


def small_network(seed=0):
    """A network with batch norms, whose weights are all different from zero."""
    return vgg_mini(widths=(4, 6), classes=3, seed=seed)


def some_masks(network, seed=0, share=0.6):
    chance = torch.Generator().manual_seed(seed)
    return {
        name: torch.rand(parameter.shape, generator=chance) > share
        for name, parameter in network.named_parameters()
        if parameter.ndim > 1
    }


def batch(seed=0):
    return numbers(6, 3, 32, 32, seed=seed), torch.arange(6) % 3


# --- magnitude_mask


@pytest.mark.points(1)
def test_the_smallest_magnitudes_go(magnitude_mask):
    weight = torch.tensor([[0.1, -4.0], [-0.2, 3.0]])
    hint = "the mask is True where |w| is large and False where it is small: -4 matters more than 0.1"
    mask = zeros_and_ones(magnitude_mask(weight, 0.5), (2, 2), "the mask has the shape of its weight")
    expect.equal(mask.tolist(), [[False, True], [False, True]], hint)


@pytest.mark.points(1)
@pytest.mark.parametrize(("share", "stay"), [(0.5, 45), (0.33, 61), (0.7, 27)])
def test_exactly_so_many_go(magnitude_mask, share, stay):
    mask = zeros_and_ones(magnitude_mask(numbers(5, 2, 3, 3), share), (5, 2, 3, 3), "the mask has its weight's shape")
    hint = (
        f"of 90 weights at sparsity {share}, floor({share} * 90 + 1e-9) go (math.floor, no round); "
        "sparsity is the share that goes"
    )
    expect.equal(int(mask.sum()), stay, hint)


@pytest.mark.points(1)
def test_equal_weights(magnitude_mask):
    weight = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, 2.0])
    mask = zeros_and_ones(magnitude_mask(weight, 0.5), (6,), "the mask has the shape of its weight")
    hint = (
        "exactly half go, also when weights are equally large: a threshold takes all of them or none, argsort does not"
    )
    expect.equal((int(mask.sum()), bool(mask[5])), (3, True), hint)


# --- sparsity


@pytest.mark.points(1)
def test_zeros_of_all_layers_are_counted(sparsity):
    network = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.Flatten(), nn.Linear(2, 41, bias=False))
    network[0].weight.data.fill_(1.0)
    network[2].weight.data.fill_(1.0)
    network[0].weight.data[0] = 0.0
    hint = "9 of 100 weights are zero: count over all layers, and divide once (no mean of the layers' shares)"
    expect.same(sparsity(network), 0.09, hint, tolerance=1e-6)


@pytest.mark.points(1)
def test_biases_and_batch_norms_do_not_count(sparsity):
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    network[0].weight.data.fill_(1.0)
    network[0].weight.data[0, 0, 0] = 0.0
    network[0].bias.data.zero_()
    hint = (
        "3 of the 18 weights are zero. The batch norm's biases start at 0 and are "
        "not pruned: only parameters with two axes or more"
    )
    expect.same(sparsity(network), 3 / 18, hint, tolerance=1e-6)


# --- global_threshold


def gone_below(threshold, weights):
    """How many weights of each layer go when those with |w| < threshold do."""
    value = expect.tensor(threshold, "return one number, the threshold for all layers")
    assert value.numel() == 1, f"ONE threshold for all layers is wanted, a single number\n  yours: {expect.show(value)}"
    return [int((weight.abs() < float(value)).sum()) for weight in weights]


@pytest.mark.points(1)
def test_the_threshold_is_common_to_all_layers(global_threshold):
    weights = [torch.tensor([[1.0, -2.0, 3.0, -4.0]]), torch.tensor([10.0, -20.0, 30.0, 40.0])]
    hint = (
        "half of all 8 weights go, and these are the 4 of the first layer: sort the magnitudes of all layers together"
    )
    expect.equal(gone_below(global_threshold(weights, 0.5), weights), [4, 0], hint)


@pytest.mark.points(1)
def test_the_threshold_itself_stays(global_threshold):
    weights = [torch.tensor([0.5, -1.5, 2.5, -3.5, 4.5])]
    hint = "|w| < threshold goes: of 5 weights at sparsity 0.4 two, so the threshold is the third smallest magnitude"
    expect.equal(gone_below(global_threshold(weights, 0.4), weights), [2], hint)


# --- apply_masks


@pytest.mark.points(1)
def test_what_the_masks_keep_is_as_before(apply_masks):
    network = small_network()
    before, masks = copy.deepcopy(network.state_dict()), some_masks(network)
    apply_masks(network, expect.copies(masks)[0])
    for name, mask in masks.items():
        hint = f"{name}: zero where the mask is False, unchanged where it is True"
        expect.same(network.get_parameter(name), before[name] * mask, hint)
    for name, value in network.state_dict().items():
        if name not in masks:
            expect.unchanged(value, before[name], f"{name} has no mask, so it stays as it is")


@pytest.mark.points(1)
def test_the_optimizer_still_knows_the_weights(apply_masks):
    network = small_network()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    apply_masks(network, some_masks(network))
    known = {id(parameter) for parameter in optimizer.param_groups[0]["params"]}
    hint = (
        "change the parameters in place (mul_ or *=): an optimizer holds on to the old objects, and would train those"
    )
    assert all(id(parameter) in known for parameter in network.parameters()), hint
    assert all(parameter.requires_grad for parameter in network.parameters()), "all parameters still want gradients"
    masked = sum((parameter == 0).sum().item() for parameter in network.parameters() if parameter.ndim > 1)
    assert masked > 0, "nothing was set to zero"


# --- masked_step


def trained_with_momentum(network):
    """An optimizer that has gathered momentum for every weight, also for those that are pruned afterwards."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    training_step(network, *batch(seed=5), optimizer)
    return optimizer


def zeros_in(network, masks):
    return all(bool((network.get_parameter(name)[~mask] == 0).all()) for name, mask in masks.items())


def masked(network, masks):
    for name, mask in masks.items():
        network.get_parameter(name).data[~mask] = 0


@pytest.mark.points(2)
def test_pruned_weights_stay_zero(masked_step):
    network = small_network()
    optimizer, masks = trained_with_momentum(network), some_masks(network)
    masked(network, masks)
    before = copy.deepcopy(network.state_dict())
    for step in range(2):
        masked_step(network, *batch(step), optimizer, masks)
        hint = (
            f"after step {step + 1} pruned weights are no longer zero: apply the masks AFTER the optimizer's step "
            "(it moves every weight, by gradients and by momentum)"
        )
        assert zeros_in(network, masks), hint
    moved = all(not torch.equal(network.get_parameter(name), before[name]) for name in masks)
    assert moved, (
        "and what the masks keep is trained: is the training step missing, "
        "or has the optimizer lost sight of the weights?"
    )


@pytest.mark.points(1)
def test_the_other_weights_learn_as_always(masked_step):
    network = small_network()
    optimizer, masks = trained_with_momentum(network), some_masks(network)
    masked(network, masks)
    other = copy.deepcopy(network)
    expected = torch.optim.SGD(other.parameters(), lr=0.1, momentum=0.9)
    expected.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    loss = training_step(other, *batch(), expected)
    masked(other, masks)
    answer = masked_step(network, *batch(), optimizer, masks)
    expect.same(answer, loss, "return the loss that the step started from, as training_step does", tolerance=1e-4)
    for name, value in other.state_dict().items():
        hint = f"{name}: what the masks keep (and all that has no mask) learns as in an ordinary step"
        expect.same(network.state_dict()[name], value, hint, tolerance=1e-4)


# --- rewind


@pytest.mark.points(1)
def test_what_stays_is_as_it_was_at_the_start(rewind):
    network, early = small_network(seed=0), small_network(seed=1)
    training_step(early, *batch(), torch.optim.SGD(early.parameters(), lr=0.1))
    start, masks = copy.deepcopy(early.state_dict()), some_masks(network)
    rewind(network, start, masks)
    for name, value in early.state_dict().items():
        mask = masks.get(name, torch.ones_like(value))
        hint = f"{name}: the value of `start` where it is kept, zero where the mask prunes"
        if "running" in name:
            hint = f"{name}: the batch norm's statistics are part of `start`, and go back too"
        expect.same(network.state_dict()[name], value * mask, hint)


@pytest.mark.points(1)
def test_start_can_be_used_again(rewind):
    network, early = small_network(seed=0), small_network(seed=1)
    start = copy.deepcopy(early.state_dict())
    masks = some_masks(network)
    rewind(network, start, masks)
    first = copy.deepcopy(network.state_dict())
    training_step(network, *batch(), torch.optim.SGD(network.parameters(), lr=0.1))
    for name, value in early.state_dict().items():
        hint = f"`start` was changed ({name}): it is needed again, so copy its values; do not share or multiply them"
        expect.unchanged(start[name], value, hint)
    went_back = all(torch.equal(first[name], early.state_dict()[name]) for name in first if name not in masks)
    assert went_back, "the network must be at `start` afterwards"


# --- the network that is handed in


@pytest.mark.points(1)
def test_nine_of_ten_weights_are_zero(lab2_masked_onnx):
    measured, original = artifacts.measured(lab2_masked_onnx), artifacts.measured_baseline()
    left = measured.nonzero / original.parameters
    assert left <= 0.11, (
        f"at most 11 % may be different from zero: {measured.nonzero:,} of {original.parameters:,} are ({left:.1%}). "
        "Were the masks applied after every step?"
    )


@pytest.mark.points(4)
def test_accuracy_after_retraining(lab2_masked_onnx, award):
    measured, original = artifacts.measured(lab2_masked_onnx), artifacts.measured_baseline()
    assert measured.nonzero <= 0.11 * original.parameters, "accuracy counts once at most 11 % are different from zero"
    award(*artifacts.ramp("lab2_masked", measured, original))
