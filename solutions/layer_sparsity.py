"""Zeros counted in the weights with which layers compute, whatever computes these (`torch.nn.utils.parametrize`)."""

from collections.abc import Iterator

from torch import Tensor, nn

from solutions.budgets import COUNTED


def effective_weights(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The weights of convolutions and linear layers as they compute with them, by the layers' names; no gradients."""
    for name, module in network.named_modules():
        if isinstance(module, COUNTED):
            yield name, module.weight.detach()


def layer_sparsities(network: nn.Module) -> dict[str, float]:
    """The share of zeros in each layer's weight, 0 to 1."""
    return {name: (weight == 0).double().mean().item() for name, weight in effective_weights(network)}


def effective_sparsity(network: nn.Module) -> float:
    """The share of zeros among the weights of all convolutions and linear layers together, 0 to 1."""
    weights = [weight for _, weight in effective_weights(network)]
    return sum((weight == 0).sum().item() for weight in weights) / sum(weight.numel() for weight in weights)
