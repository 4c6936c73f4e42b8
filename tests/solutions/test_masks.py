"""Masks: the same as PyTorch's own pruning, held through training, and rewound."""

import copy
import gzip
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune as torch_prune

from course_utils.checkpoints import save_network
from course_utils.networks import resnet20, vgg_mini
from solutions.masks import (
    apply_masks,
    global_masks,
    local_masks,
    prunable_weights,
    rewind,
    sparsity,
    train_masked,
    winning_ticket,
)


class Batches:
    """Three batches of noise, the same in every epoch."""

    epoch = 0

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Any:
        chance = torch.Generator().manual_seed(0)
        return iter([(torch.randn(8, 3, 32, 32, generator=chance), torch.arange(8) % 4) for _ in range(3)])


@pytest.fixture
def network() -> nn.Module:
    return vgg_mini(widths=(8, 8, 12, 12))


def left_by_layer(masks: Mapping[str, Tensor]) -> dict[str, int]:
    return {name: int(mask.sum()) for name, mask in masks.items()}


def layers(network: nn.Module) -> list[tuple[nn.Module, str]]:
    return [(module, "weight") for module in network.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.9])
def test_local_masks_are_those_of_torch(network: nn.Module, share: float) -> None:
    other = copy.deepcopy(network)
    for module, name in layers(other):
        torch_prune.l1_unstructured(module, name, amount=int(share * module.weight.numel() + 1e-9))
    theirs = [module.weight_mask.bool() for module, _ in layers(other)]
    assert all(torch.equal(*pair) for pair in zip(local_masks(network, share).values(), theirs, strict=True))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.9])
def test_global_masks_are_those_of_torch(network: nn.Module, share: float) -> None:
    other = copy.deepcopy(network)
    total = sum(module.weight.numel() for module, _ in layers(other))
    amount = int(share * total + 1e-9)
    torch_prune.global_unstructured(layers(other), torch_prune.L1Unstructured, amount=amount)
    theirs = [module.weight_mask.bool() for module, _ in layers(other)]
    assert all(torch.equal(*pair) for pair in zip(global_masks(network, share).values(), theirs, strict=True))


@pytest.mark.parametrize("make", [vgg_mini, resnet20])
def test_the_sparsity_is_the_one_that_was_asked_for(make: Any) -> None:
    network = make()
    apply_masks(network, global_masks(network, 0.8))
    total = sum(weight.numel() for weight in prunable_weights(network).values())
    assert sparsity(network) == int(0.8 * total) / total


def test_what_is_zero_already_does_not_come_back(network: nn.Module) -> None:
    earlier = global_masks(network, 0.8)
    apply_masks(network, earlier)
    for share in (0.0, 0.5, 0.8):
        again = global_masks(network, share)
        assert all(torch.equal(again[name], mask) for name, mask in earlier.items())


def test_one_threshold_can_empty_a_layer_and_a_floor_avoids_it(network: nn.Module) -> None:
    with torch.no_grad():
        network.features[3].weight.mul_(1e-3)
    assert left_by_layer(global_masks(network, 0.5))["features.3.weight"] == 0
    left = left_by_layer(global_masks(network, 0.5, least=20))
    assert left["features.3.weight"] == 20 and min(left.values()) == 20


def test_the_floor_keeps_small_layers_whole(network: nn.Module) -> None:
    left = left_by_layer(global_masks(network, 0.99, least=10_000))
    assert left == {name: weight.numel() for name, weight in prunable_weights(network).items()}


def test_nothing_passes_an_empty_layer(network: nn.Module) -> None:
    masks = {name: torch.ones_like(weight) for name, weight in prunable_weights(network).items()}
    masks["features.3.weight"].zero_()
    apply_masks(network, masks)
    with torch.no_grad():
        outputs = network.eval()(torch.randn(5, 3, 32, 32))
    assert outputs.std(dim=0).max() == 0


def test_masks_hold_through_training(network: nn.Module) -> None:
    masks, before = global_masks(network, 0.7), copy.deepcopy(network.state_dict())
    train_masked(network, masks, Batches(), epochs=2, lr=0.1, progress=False)
    zeros, total = (sum(f(mask) for mask in masks.values()) for f in (lambda m: (~m).sum(), lambda m: m.numel()))
    assert sparsity(network) == int(zeros) / int(total)
    assert all(not torch.equal(network.state_dict()[name], before[name] * mask) for name, mask in masks.items())


def test_rewinding_gives_the_early_network_without_the_pruned_weights(network: nn.Module) -> None:
    start, masks = copy.deepcopy(network.state_dict()), local_masks(network, 0.5)
    train_masked(network, masks, Batches(), epochs=1, lr=0.1, progress=False)
    rewind(network, start, masks)
    for name, value in network.state_dict().items():
        assert torch.equal(value, start[name] * masks[name] if name in masks else start[name])


def test_a_winning_ticket_starts_where_the_network_started(network: nn.Module) -> None:
    start = copy.deepcopy(network.state_dict())
    masks = winning_ticket(network, start, [0.3, 0.6], Batches(), epochs=1, lr=0.1, progress=False)
    total = sum(mask.numel() for mask in masks.values())
    assert sparsity(network) == int(0.6 * total) / total
    assert all(torch.equal(network.get_parameter(name), start[name] * mask) for name, mask in masks.items())


def test_what_was_pruned_once_stays_pruned_in_the_next_round(network: nn.Module, monkeypatch: Any) -> None:
    seen: list[dict[str, torch.Tensor]] = []
    zeros: list[float] = []

    def noted(network: nn.Module, *arguments: Any, **settings: Any) -> None:
        train_masked(network, *arguments, **settings)
        seen.append({name: weight != 0 for name, weight in prunable_weights(network).items()})
        zeros.append(sparsity(network))

    monkeypatch.setattr("solutions.masks.train_masked", noted)
    start, total = copy.deepcopy(network.state_dict()), sum(w.numel() for w in prunable_weights(network).values())
    last = winning_ticket(network, start, [0.2, 0.4, 0.6], Batches(), epochs=1, lr=0.1, progress=False)
    assert zeros == [int(share * total) / total for share in (0.0, 0.2, 0.4)], "the masks hold while it trains"
    for earlier, later in zip([*seen[1:], last], [*seen[2:], last], strict=False):
        assert all(bool((later[name] <= mask).all()) for name, mask in earlier.items())


def test_zeros_make_the_compressed_file_smaller_and_not_the_file(network: nn.Module, tmp_path: Any) -> None:
    dense = save_network(network, tmp_path / "dense.safetensors").read_bytes()
    apply_masks(network, local_masks(network, 0.9))
    sparse = save_network(network, tmp_path / "sparse.safetensors").read_bytes()
    assert len(sparse) == len(dense)
    assert len(gzip.compress(sparse)) < 0.35 * len(gzip.compress(dense))
