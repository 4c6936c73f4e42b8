"""Runs that are stopped in the middle, for drivers that must go on to the same bits."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from minicifar import Loader


def lively(network: nn.Module) -> nn.Module:
    """Batch norms with statistics, scales and biases that are not those of a new one."""
    chance = torch.Generator().manual_seed(3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                tensor.uniform_(0.5, 1.5, generator=chance)  # type: ignore[union-attr]
            for tensor in (module.bias.data, module.running_mean):
                tensor.normal_(generator=chance)  # type: ignore[union-attr]
    return network


class _Stop(Exception):
    pass


def stopped_in_the_second_epoch(driver: Callable[..., Any], network: nn.Module, loader: Loader, folder: Path) -> None:
    """The power goes in the middle of the second epoch."""
    begin, count = Loader.__iter__, 0

    def iterate(self: Loader) -> Any:
        nonlocal count
        for number, batch in enumerate(begin(self)):
            if self.epoch == 2 and number == 2:
                raise _Stop
            yield batch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Loader, "__iter__", iterate)
        with pytest.raises(_Stop):
            driver(network, loader, seed=5, progress=False, resume=folder)


def without_times(value: Any) -> Any:
    """A history without the seconds that its epochs took."""
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if key != "seconds"}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def goes_on_to_the_same_bits(
    driver: Callable[..., tuple[nn.Module, Any]], network: nn.Module, loader: Loader, folder: Path
) -> None:
    """A run that was stopped ends as one that was not, and the network that was given is as it was."""
    begun = copy.deepcopy(network.state_dict())
    whole, history = driver(network, loader, seed=5, progress=False)
    loader.epoch = 0
    stopped_in_the_second_epoch(driver, network, loader, folder)
    assert any(folder.glob("*.resume"))
    loader.epoch = 0
    again, resumed = driver(network, loader, seed=5, progress=False, resume=folder)
    for key, tensor in whole.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[key]), key
    assert without_times(resumed) == without_times(history)
    assert all(torch.equal(tensor, network.state_dict()[key]) for key, tensor in begun.items())
