"""What must lose the same channels together, on small graphs (see `plain_graph` for their form).

After Martineau's poster on pruning from the ONNX graph. `solutions.graph.groups` does the same for any network.
"""

from typing import Any

import torch
from torch import Tensor

from solutions.graph.plain import JOINING, PASSING


def consumers(graph: list[dict[str, Any]], tensor: str) -> list[dict[str, Any]]:
    """The nodes that read the feature map of the name `tensor`, in the graph's order, each once.

    `graph`: nodes {"op": …, "inputs": [names], "outputs": [names], …}, which is not changed. The nodes themselves, not
    copies; an empty list for an output of the network, which nobody reads.
    """
    return [node for node in graph if tensor in node["inputs"]]


def features_of_channel(channels: Tensor, pixels: int) -> Tensor:
    """Columns of the linear layer behind `flatten` that belong to `channels` (K,) → (K*pixels,) int64.

    `flatten` turns a feature map (C, H, W) into C*H*W features, so channel c owns the `pixels` = H*W columns
    c*pixels … (c+1)*pixels - 1. The channels (int64 or int32; K may be 0) come in the given order and are not changed,
    the columns of each come in increasing order.
    """
    return (channels[:, None] * pixels + torch.arange(pixels, device=channels.device)).flatten()


def concat_offsets(widths: list[int]) -> list[int]:
    """Where every part of a concatenation begins: `widths` of the parts → the position of each one's first channel.

    o_k = w_0 + … + w_(k-1), so the first part begins at 0; one offset a part (none for no parts, one for an empty
    part too), as a list of whole numbers. `widths` is not changed.
    """
    return [sum(widths[:part]) for part in range(len(widths))]


def coupled_channels(graph: list[dict[str, Any]]) -> list[list[str]]:
    """Which convolutions must lose the same filters: a list of sorted lists of their weights' names, in any order.

    Every convolution makes channels. PASSING operators hand them on, and so does a *depthwise* convolution (a shape
    (C, 1, kH, kW) with groups = C > 1), whose own weight belongs to them; JOINING operators couple the channels of
    all their inputs (one, where the other is a constant) and hand them on; every other node ends a coupling and makes
    new channels. (Only such others, Split for one, write more than one feature map.) So each convolution's weight is in
    one list at most, alone if nothing is coupled with it. Lists whose channels are an input of the network (no node
    makes it) or an output (nobody reads it) are left out: they are never pruned. `graph` is not changed.
    """
    coupled = {tensor: {tensor} for node in graph for tensor in node["inputs"] + node["outputs"]}
    weights = {}
    for node in graph:
        output = node["outputs"][0]
        if node["op"] == "Conv":
            weights[output] = node["weight"]
        depthwise = node["op"] == "Conv" and node["groups"] > 1 and node["shape"][:2] == (node["groups"], 1)
        if depthwise or node["op"] in PASSING | JOINING:
            together = set().union(coupled[output], *(coupled[tensor] for tensor in node["inputs"]))
            coupled.update(dict.fromkeys(together, together))
    made = {tensor for node in graph for tensor in node["outputs"]}
    ends = {tensor for tensor in coupled if tensor not in made or not consumers(graph, tensor)}
    inner = {id(together): together for together in coupled.values() if not together & ends}
    lists = [sorted(weights[tensor] for tensor in together if tensor in weights) for together in inner.values()]
    return [names for names in lists if names]
