"""What a network costs: parameters, multiply-accumulates (MACs), bytes, and seconds.

One multiply-accumulate is one multiplication with its addition; a FLOP is either of the two, so 2 FLOPs = 1 MAC.
"""

import statistics
from collections.abc import Callable, Sequence

from torch import nn

from course_utils.modes import evaluating


def count_parameters(network: nn.Module) -> int:
    """Number of learned values of `network`: all its parameters, frozen ones (no gradient) too, of whatever layer.

    A tensor that several layers share (the same object) is counted once. Buffers, such as the running statistics of a
    batch norm, are not learned and not counted. A whole number (int, or one of numpy's); `network` is left alone.
    """
    unique = {}
    for module in network.modules():
        for tensor in module.parameters(recurse=False):
            unique[id(tensor)] = tensor.numel()
    return sum(unique.values())


def conv_macs(conv: nn.Conv2d, output_size: Sequence[int]) -> int:
    """Multiply-accumulates of a convolution for one image whose output is `output_size` = (H, W) pixels large.

    H W O (I / groups) kH kW: every value of the output needs one for each weight of its filter, and a filter
    sees only the input channels of its own group. The bias is not counted. `output_size` may be a tuple, a list or
    torch.Size, and is left alone; a whole number (int) is returned, exact for layers of any size.
    """
    height, width = output_size
    kernel_height, kernel_width = conv.kernel_size
    filter_weights = conv.in_channels // conv.groups * kernel_height * kernel_width
    return height * width * conv.out_channels * filter_weights


def count_macs(network: nn.Module, input_size: Sequence[int]) -> int:
    """Multiply-accumulates of all convolutions (Conv2d, ConvTranspose2d) and linear layers for one image; no biases.

    A transposed convolution multiplies every position of its *input* with the whole kernel: H W I (O / groups) kH kW.
    A linear layer takes `in_features` for every value of its output. Classes derived from these count alike. Raises
    ValueError for any other layer whose own parameters, whatever their names, include one of two axes or more: what
    it costs is not known here.

    Forward hooks watch one pass of an image of `input_size` = (C, H, W), of the dtype and on the device of the first
    parameter, in evaluation mode; a layer that runs twice counts twice. `network` itself may be such a layer.
    Afterwards, also after an error, all is as it was found: no hook of yours is left and none of others is gone, every
    module in its mode, the statistics of batch norms unchanged, gradients on or off, the global random numbers too. An
    error in the pass is passed on as it is. Modules get their inputs by position, not
    by keyword. A whole number (int).
    """
    macs = []

    def count(layer, inputs, output):
        if isinstance(layer, nn.Conv2d):
            macs.append(conv_macs(layer, output.shape[-2:]))
        elif isinstance(layer, nn.ConvTranspose2d):
            macs.append(inputs[0].shape[-2:].numel() * layer.weight.numel())
        elif isinstance(layer, nn.Linear):
            macs.append(layer.in_features * output.numel())
        elif any(weight.ndim > 1 for weight in layer.parameters(recurse=False)):
            raise ValueError(f"nobody knows here what a {type(layer).__name__} costs")

    hooks = [layer.register_forward_hook(count) for layer in network.modules()]
    try:
        with evaluating(network):
            network(next(network.parameters()).new_zeros(1, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
    return sum(macs)


def weight_bytes(network: nn.Module, bits: int) -> int:
    """Bytes of all parameters of `network` when each is stored in `bits` bits, without gaps between them.

    Eight bits are a byte; a last byte that is begun counts as a whole one, no parameters take none. How the parameters
    are stored now does not matter, and stays. A whole number (int), exact for networks of any size.
    """
    return -(-count_parameters(network) * bits // 8)


def peak_activation_bytes(network: nn.Module, input_size: Sequence[int]) -> int:
    """Most bytes of activations that one layer needs at once: its input plus its output, for one image.

    The largest over all runs of all leaf modules (those that contain no others), also those that work in place or have
    no parameters, when an image of `input_size` = (C, H, W) runs through in evaluation mode. The image has the dtype
    and device of the first parameter, so a value of a float32 network takes 4 bytes; all layers keep this dtype, each
    has one input, and a tensor needs the bytes of its own values. Afterwards, also after an error, which is passed on,
    all is as it was found, as with `count_macs`. A whole number (int).
    """
    sizes = []

    def measure(layer, inputs, output):
        sizes.append(output.nbytes + sum(tensor.nbytes for tensor in inputs))

    leaves = [module for module in network.modules() if not list(module.children())]
    hooks = [leaf.register_forward_hook(measure) for leaf in leaves]
    try:
        with evaluating(network):
            network(next(network.parameters()).new_zeros(1, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
    return max(sizes)


def median_latency(run: Callable, clock: Callable, warmup: int, repeats: int) -> float:
    """Median time of one call of `run()`, in the units of `clock()` (seconds for `time.perf_counter`).

    `run` is called `warmup` times without looking at the clock, then `repeats` (at least 1) times, each time
    between two calls of `clock` of its own; nothing else calls them, and nothing around `run` (gradients, random
    numbers) is changed. The median of an even number of times is the mean of the middle two. A Python number.
    """
    times = []
    for _ in range(warmup):
        run()
    for _ in range(repeats):
        start = clock()
        run()
        times.append(clock() - start)
    return statistics.median(times)


def design_widths() -> tuple[int, ...]:
    """Widths for `vgg_mini(widths=…)` with at most half of the MACs of `vgg_mini()`, and at least as many parameters.

    Both as measured for one image of 3 × 32 × 32. `vgg_mini` takes 2 to 9 whole numbers (Python's int). Each call
    returns the same.
    """
    return (16, 16, 32, 32, 64, 64, 128, 128)
