"""Hidden tests of lab 4: what happens after an error, other optimizers, and what must not be changed."""

import contextlib
import copy
from itertools import pairwise

import pytest
import torch

from autograder.checks.test_lab4_schedules import (
    known_to,
    network_with_statistics,
    outputs,
    pruned_and_reset,
    scanned,
    silenced,
    twin_of,
    used,
)
from course_utils import expect


@pytest.mark.points(1)
def test_a_scan_of_another_network(sensitivity_scan):
    network = network_with_statistics(widths=(5, 7, 4, 9), seed=expect.drawn(4))
    names = [f"features.{n}" for n in (0, 3, 7, 10)]
    answer = scanned(sensitivity_scan(network, [0.9, 0.0], outputs), names, [0.9, 0.0])
    for name, position in zip(names, (0, 3, 7, 10), strict=True):
        whole = network_with_statistics(widths=(5, 7, 4, 9), seed=expect.drawn(4))
        least = 1 / len(whole.features[position].weight)
        expected = [outputs(silenced(whole, position, ratio)) for ratio in (0.9, least)]
        hint = f"{name}: how many filters stay is what filters_to_keep says, and one always does"
        expect.same(answer[name], expected, hint, tolerance=1e-4)


@pytest.mark.points(1)
def test_the_network_is_as_it_was_after_an_error(sensitivity_scan):
    network = network_with_statistics()
    before = copy.deepcopy(network.state_dict())
    seen = []

    def fails(candidate):
        seen.append(outputs(candidate))
        if len(seen) == 3:
            raise RuntimeError("no more images")
        return seen[-1]

    with contextlib.suppress(RuntimeError):
        sensitivity_scan(network, [0.5, 0.2], fails)
    hint = "evaluate is called once for each layer and ratio, on the network that is pruned there"
    assert len(seen) >= 3 and seen[0] != outputs(network_with_statistics()), hint
    for name, value in network.state_dict().items():
        hint = f"evaluate failed, and {name} was left as it was in the middle of the scan: put it back in a `finally`"
        expect.unchanged(value, before[name], hint)


@pytest.mark.points(1)
@pytest.mark.parametrize(("begin", "end"), [(5, 5), (5, 2)])
def test_a_schedule_without_length_is_an_error(cubic_sparsity, begin, end):
    hint = f"between begin={begin} and end={end} there is no time to prune: raise ValueError"
    expect.raises(ValueError, hint, cubic_sparsity, 3, begin, end, 0.5)


@pytest.mark.points(1)
def test_it_is_steepest_at_the_beginning(cubic_sparsity):
    values = [float(cubic_sparsity(step / 10, 0, 1, 0.9)) for step in range(11)]
    steps = [after - before for before, after in pairwise(values)]
    expect.equal(
        steps, sorted(steps, reverse=True), "it prunes fast first and slowly at the end, never the other way round"
    )
    expect.same(values[-1], 0.9, "at `end` the final sparsity is reached", tolerance=1e-6)


@pytest.mark.points(1)
def test_other_kinds_of_optimizers(prune_and_reset):
    network = network_with_statistics()
    optimizer = used(torch.optim.Adam(network.parameters(), lr=0.003, betas=(0.8, 0.99)), network)
    pruned, fresh = pruned_and_reset(prune_and_reset(network, optimizer, 0.5))
    expect.equal(type(fresh).__name__, "Adam", "the new optimizer is of the same kind: type(optimizer)")
    expect.equal(tuple(fresh.param_groups[0]["betas"]), (0.8, 0.99), "all settings stay, not only those of SGD")
    assert known_to(fresh) == {id(parameter) for parameter in pruned.parameters()}, "it must know the pruned network"


@pytest.mark.points(1)
def test_network_and_optimizer_are_left_alone(prune_and_reset):
    network = network_with_statistics()
    optimizer = used(torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9), network)
    before = copy.deepcopy(network.state_dict())
    pruned, _ = pruned_and_reset(prune_and_reset(network, optimizer, 0.5))
    for name, value in network.state_dict().items():
        expect.unchanged(value, before[name], f"{name} of the network that was given is changed: prune a copy")
    hint = "the old optimizer belongs to the old network; make a new one, and leave this one as it is"
    assert known_to(optimizer) == {id(parameter) for parameter in network.parameters()}, hint
    assert pruned.features[0].out_channels == 3, "half of the 6 filters stay"


@pytest.mark.points(1)
def test_the_pruned_network_keeps_its_weights(narrow_twin):
    pruned = network_with_statistics(widths=(3, 5))
    before = copy.deepcopy(pruned.state_dict())
    twin = twin_of(narrow_twin(pruned, 5), pruned)
    for name, value in pruned.state_dict().items():
        expect.unchanged(value, before[name], f"{name} of the pruned network was drawn anew: work on a copy")
    twin.features[0].weight.data.zero_()
    expect.unchanged(pruned.features[0].weight, before["features.0.weight"], "the twin shares memory with the original")
