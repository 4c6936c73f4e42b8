"""Weights of one bit: BinaryConnect. Training on real weights, of which the network only ever sees the signs.

Courbariaux, Bengio & David 2015 (arXiv 1511.00363), algorithm 1, in its deterministic form; with one scale a tensor,
as in Rastegari et al. 2016 (arXiv 1603.05279), so that trained networks can be taken over.
"""

import copy

from torch import Tensor, nn
from torch.nn.utils import parametrize

LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


class Binary(nn.Module):
    """w → sign(w) · mean |w|, both signs for all of a tensor; the gradient passes as if nothing had been done to w."""

    def forward(self, weight: Tensor) -> Tensor:
        """The two-valued weight that the layer computes with."""
        seen = (2.0 * (weight >= 0) - 1) * weight.abs().mean()
        return seen.detach() + (weight - weight.detach())  # the bracket is 0, and has the gradient


def binarized(network: nn.Module) -> nn.Module:
    """A copy whose convolutions and linear layers compute with binary weights; it is trained as any other."""
    copied = copy.deepcopy(network)
    for layer in [layer for layer in copied.modules() if isinstance(layer, LAYERS)]:
        parametrize.register_parametrization(layer, "weight", Binary())
    return copied


def clip_weights(network: nn.Module) -> None:
    """Keep the real weights in -1 … 1, where a step can still turn their sign (`train(…, after_step=clip_weights)`)."""
    for layer in network.modules():
        if parametrize.is_parametrized(layer, "weight"):
            layer.parametrizations.weight.original.data.clamp_(-1, 1)


def with_binary_weights(network: nn.Module) -> nn.Module:
    """The same network, changed in place: what it computes with are its own weights, to save and to export."""
    for layer in list(network.modules()):
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
    return network
