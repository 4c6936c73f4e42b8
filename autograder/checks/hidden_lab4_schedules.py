"""Hidden tests of lab 4: other networks, other numbers, other optimizers."""

import pytest
import torch

from autograder.checks.test_lab4_schedules import (
    follow,
    network_with_statistics,
    other_scans,
    outputs,
    pruned_and_reset,
    same_settings,
    scan,
    scanned,
    settings_of,
    trains,
    used,
    without_memory,
)
from course_utils import expect
from solutions.l1 import prune_vgg


@pytest.mark.points(1)
def test_a_scan_of_another_network(sensitivity_scan):
    def network():
        return network_with_statistics(widths=(5, 7, 4, 9), seed=expect.drawn(4))

    names, ratios = [f"features.{n}" for n in (0, 3, 7, 10)], (0.62, 0.95, 0.0, 0.81)
    whole = network()
    answer = scanned(sensitivity_scan(network(), ratios, outputs), whole, names, ratios)
    for name in names:
        hint = (
            f"{name} at the keep ratios {ratios}: each layer alone, each ratio from the whole layer; as many filters "
        )
        hint += "stay as filters_to_keep says (one always does), those of the highest L1 norms"
        mistakes = other_scans(whole, name, ratios)
        expect.same(answer[name], scan(whole, name, ratios), hint, tolerance=1e-4, mistakes=mistakes)
    hint = "with no keep ratio to try, each convolution has an empty list"
    expect.equal({name: list(values) for name, values in sensitivity_scan(network(), [], outputs).items()},
                 {name: [] for name in names}, hint)  # fmt: skip


@pytest.mark.points(1)
def test_it_is_steepest_at_the_beginning(cubic_sparsity):
    hint = "it prunes fast first and slowly at the end, in small steps too: s = final · (1 - (1 - t)³)"
    follow(cubic_sparsity, [2, 2.3, 2.6, 2.9, 3.2, 3.5, 3.8, 4.1, 4.4, 4.7, 5, 6], 2, 5, 0.9, hint)
    begin, length, final, *shares = torch.rand(6, generator=torch.Generator().manual_seed(expect.drawn(2))).tolist()
    end = begin + 10 * length + 1
    steps = tuple(round(begin + share * (end - begin), 3) for share in (-0.5, *shares, 1.5))
    follow(cubic_sparsity, steps, begin, end, final, "s = final · (1 - (1 - t)³), for other numbers")


@pytest.mark.points(1)
def test_other_networks_and_optimizers(prune_and_reset):
    lr = expect.drawn(7) % 97 / 1000 + 0.001
    for kind, options in (
        (torch.optim.NAdam, {"betas": (0.7, 0.9), "momentum_decay": 0.01, "decoupled_weight_decay": True}),
        (torch.optim.Adagrad, {"lr_decay": 0.1, "eps": 1e-4}),
        (torch.optim.AdamW, {"betas": (0.5, 0.6), "maximize": True}),
    ):
        network = network_with_statistics(widths=(5, 7, 4, 9), seed=expect.drawn(6))
        groups = [{"params": list(layers.parameters())} for layers in (network.classifier, network.features)]
        groups[1]["lr"] = 0.4
        optimizer = used(kind(groups, lr=0.2, **options), network)
        optimizer.param_groups[0]["lr"] = lr
        expected, settings = prune_vgg(network, 0.6).state_dict(), settings_of(optimizer, ("lr", *options))
        pruned, fresh = pruned_and_reset(prune_and_reset, network, optimizer, 0.6)
        widths = [layer.out_channels for layer in pruned.features if hasattr(layer, "out_channels")]
        expect.equal(widths, [3, 5, 3, 6], "keep ratio 0.6 of a network with 5, 7, 4 and 9 filters")
        for name, value in expected.items():
            expect.same(pruned.state_dict()[name], value, f"{name}: as in prune_vgg")
        assert fresh is not optimizer, "make a NEW optimizer: you return the old one itself"
        expect.equal(len(optimizer.param_groups), 2, "the old optimizer keeps its two parameter groups")
        same_settings(fresh, kind, settings)
        trains(fresh, pruned, network)
        without_memory(fresh)
