"""Wrong and right answers to lab 1, as students write them."""

import math
import statistics
import time

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from autograder.answers import right, wrong
from course_utils.modes import evaluating
from solutions.costs import conv_macs, count_parameters

# --- count_parameters


@wrong("count_parameters", says="state_dict() holds the buffers too")
def counts_the_state_dict(network):
    return sum(tensor.numel() for tensor in network.state_dict().values())


@wrong("count_parameters", says="without the biases")
def weights_only(network):
    return sum(tensor.numel() for name, tensor in network.named_parameters() if name.endswith("weight"))


@wrong("count_parameters", says="number of tensors")
def counts_the_tensors(network):
    return len(list(network.parameters()))


@wrong("count_parameters", says="lengths of the tensors")
def counts_the_first_axis(network):
    return sum(len(tensor) for tensor in network.parameters())


@wrong("count_parameters", says="once for each layer")
def layer_by_layer(network):
    return sum(tensor.numel() for module in network.modules() for tensor in module.parameters(recurse=False))


@wrong("count_parameters", says="frozen")
def what_is_trained_now(network):
    return sum(tensor.numel() for tensor in network.parameters() if tensor.requires_grad)


@wrong("count_parameters", says="layers other than conv and linear")
def conv_and_linear_only(network):
    tensors = set()
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear, nn.BatchNorm2d)):
            tensors.update(module.parameters())
    return sum(tensor.numel() for tensor in tensors)


@wrong("count_parameters", says="is the `return` missing?")
def prints_the_number(network):
    print(sum(tensor.numel() for tensor in network.parameters()))


@right("count_parameters")
def in_one_line(network):
    return sum(tensor.numel() for tensor in network.parameters())


@right("count_parameters")
def a_loop_over_shapes(network):
    total = 0
    for _, tensor in network.named_parameters():
        size = 1
        for length in tensor.shape:
            size = size * length
        total += size
    return total


@right("count_parameters")
def with_numpy(network):
    return np.sum([np.prod(tensor.shape) for tensor in set(network.parameters())])


# --- conv_macs


@wrong("conv_macs", says="counts the bias too")
def with_the_bias(conv, output_size):
    height, width = output_size
    weights = conv.weight[0].numel() + (conv.bias is not None)
    return height * width * conv.out_channels * weights


@wrong("conv_macs", says="forgets the groups")
def without_groups(conv, output_size):
    height, width = output_size
    return height * width * conv.out_channels * conv.in_channels * conv.kernel_size[0] * conv.kernel_size[1]


@wrong("conv_macs", says="only the inputs are divided")
def groups_twice(conv, output_size):
    height, width = output_size
    outputs, inputs = conv.out_channels // conv.groups, conv.in_channels // conv.groups
    return height * width * outputs * inputs * conv.kernel_size[0] * conv.kernel_size[1]


@wrong("conv_macs", says="height twice")
def square_kernels_only(conv, output_size):
    return (
        output_size[0] * output_size[1] * conv.out_channels * conv.in_channels // conv.groups * conv.kernel_size[0] ** 2
    )


@wrong("conv_macs", says="these are FLOPs")
def flops(conv, output_size):
    return 2 * conv.weight.numel() * output_size[0] * output_size[1]


@wrong("conv_macs", says="already the size of the output")
def takes_it_for_the_input_size(conv, output_size):
    height, width = (
        (output_size[axis] + 2 * conv.padding[axis] - conv.kernel_size[axis]) // conv.stride[axis] + 1
        for axis in (0, 1)
    )
    return conv.weight.numel() * height * width


@wrong("conv_macs", says="do not divide by the stride")
def divides_by_the_stride(conv, output_size):
    height, width = output_size
    return conv.weight.numel() * (height * width // (conv.stride[0] * conv.stride[1]))


@wrong("conv_macs", says="these are the parameters")
def only_parameters(conv, output_size):
    return sum(tensor.numel() for tensor in conv.parameters())


@wrong("conv_macs", says="both sides of the output")
def square_images_with_one_side(conv, output_size):
    return conv.weight.numel() * output_size[0]


@right("conv_macs")
def weights_times_pixels(conv, output_size):
    return conv.weight.numel() * math.prod(output_size)


@right("conv_macs")
def by_the_shape_of_the_weight(conv, output_size):
    outputs, inputs, kernel_height, kernel_width = conv.weight.shape
    return outputs * inputs * kernel_height * kernel_width * output_size[0] * output_size[1]


@right("conv_macs")
def a_tensor_of_one_number(conv, output_size):
    return torch.tensor(output_size).prod() * conv.weight.numel()


# --- count_macs


@wrong("count_macs", says="the linear layer is missing")
def convolutions_only(network, input_size):
    total, hooks = [], []
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            hooks.append(layer.register_forward_hook(lambda c, _, out: total.append(conv_macs(c, out.shape[2:]))))
    try:
        with evaluating(network):
            network(torch.zeros(1, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
    return sum(total)


@wrong("count_macs", says="size of the INPUT")
def pixels_of_the_input(network, input_size):
    total = []

    def count(layer, inputs, output):
        if isinstance(layer, nn.Conv2d):
            total.append(conv_macs(layer, inputs[0].shape[2:]))
        elif isinstance(layer, nn.Linear):
            total.append(layer.weight.numel())

    hooks = [layer.register_forward_hook(count) for layer in network.modules()]
    try:
        with evaluating(network):
            network(torch.zeros(1, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
    return sum(total)


@wrong("count_macs", says="these are FLOPs")
def counts_flops(network, input_size):
    with evaluating(network), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, *input_size))
    return counter.get_total_flops()


@wrong("count_macs", says="the bias of the linear layer")
def linear_bias_counted(network, input_size):
    total = []

    def count(layer, inputs, output):
        if isinstance(layer, nn.Conv2d):
            total.append(conv_macs(layer, output.shape[2:]))
        elif isinstance(layer, nn.Linear):
            total.append(sum(tensor.numel() for tensor in layer.parameters()))

    hooks = [layer.register_forward_hook(count) for layer in network.modules()]
    try:
        with evaluating(network):
            network(torch.zeros(1, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
    return sum(total)


@wrong("count_macs", says="hooks are left behind")
def leaves_its_hooks(network, input_size):
    total = []

    def count(layer, inputs, output):
        if isinstance(layer, nn.Conv2d):
            total.append(conv_macs(layer, output.shape[2:]))
        else:
            total.append(layer.weight.numel())

    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.register_forward_hook(count)
    with evaluating(network):
        network(torch.zeros(1, *input_size))
    return sum(total)


@wrong("count_macs", says="switch to evaluation mode")
def stays_in_training_mode(network, input_size):
    total = []

    def count(layer, inputs, output):
        if isinstance(layer, nn.Conv2d):
            total.append(conv_macs(layer, output.shape[2:]))
        elif isinstance(layer, nn.Linear):
            total.append(layer.weight.numel())

    hooks = [layer.register_forward_hook(count) for layer in network.modules()]
    try:
        with torch.no_grad():
            network(torch.zeros(1, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
    return sum(total)


@wrong("count_macs", says="keeps the mode")
def forgets_to_switch_back(network, input_size):
    total = []

    def count(layer, inputs, output):
        if isinstance(layer, nn.Conv2d):
            total.append(conv_macs(layer, output.shape[2:]))
        elif isinstance(layer, nn.Linear):
            total.append(layer.weight.numel())

    hooks = [layer.register_forward_hook(count) for layer in network.modules()]
    network.eval()
    try:
        with torch.no_grad():
            network(torch.zeros(1, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
    return sum(total)


@wrong("count_macs", says="keeps the mode")
def wakes_frozen_layers_up(network, input_size):
    total, before = [], network.training

    def count(layer, inputs, output):
        if isinstance(layer, nn.Conv2d):
            total.append(conv_macs(layer, output.shape[2:]))
        elif isinstance(layer, nn.Linear):
            total.append(layer.weight.numel())

    hooks = [layer.register_forward_hook(count) for layer in network.modules()]
    network.eval()
    try:
        with torch.no_grad():
            network(torch.zeros(1, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
        network.train(before)
    return sum(total)


@wrong("count_macs", says="after an error in the pass, hooks are left behind")
def no_finally(network, input_size):
    total = []

    def count(layer, inputs, output):
        if isinstance(layer, nn.Conv2d):
            total.append(conv_macs(layer, output.shape[2:]))
        elif isinstance(layer, nn.Linear):
            total.append(layer.weight.numel())

    hooks = [layer.register_forward_hook(count) for layer in network.modules()]
    with evaluating(network):
        network(torch.zeros(1, *input_size))
    for hook in hooks:
        hook.remove()
    return sum(total)


@wrong("count_macs", says="must come out")
def swallows_the_error(network, input_size):
    total = []

    def count(layer, inputs, output):
        if isinstance(layer, nn.Conv2d):
            total.append(conv_macs(layer, output.shape[2:]))
        elif isinstance(layer, nn.Linear):
            total.append(layer.weight.numel())

    hooks = [layer.register_forward_hook(count) for layer in network.modules()]
    try:
        with evaluating(network):
            network(torch.zeros(1, *input_size))
    except RuntimeError:
        pass
    for hook in hooks:
        hook.remove()
    return sum(total)


@wrong("count_macs", says="count runs, not layers")
def one_entry_a_layer(network, input_size):
    sizes = {}

    def note(layer, inputs, output):
        sizes[layer] = output.shape[2:]

    layers = [layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    try:
        with evaluating(network):
            network(torch.zeros(1, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
    return sum(
        conv_macs(layer, size) if isinstance(layer, nn.Conv2d) else layer.weight.numel()
        for layer, size in sizes.items()
    )


@wrong("count_macs", says="two images went through")
def a_batch_of_two(network, input_size):
    total = []

    def count(layer, inputs, output):
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            total.append(layer.weight[0].numel() * output.numel())

    hooks = [layer.register_forward_hook(count) for layer in network.modules()]
    try:
        with evaluating(network):
            network(torch.zeros(2, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
    return sum(total)


@wrong("count_macs", says="transposed convolutions are left out")
def leaves_out_transposed_convolutions(network, input_size):
    total = []

    def count(layer, inputs, output):
        if isinstance(layer, nn.Conv2d):
            total.append(conv_macs(layer, output.shape[2:]))
        elif isinstance(layer, nn.Linear):
            total.append(layer.weight.numel())

    hooks = [layer.register_forward_hook(count) for layer in network.modules()]
    try:
        with evaluating(network):
            network(torch.zeros(1, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
    return sum(total)


@wrong("count_macs", says="size of its OUTPUT")
def transposed_as_any_convolution(network, input_size):
    total = []

    def count(layer, inputs, output):
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            total.append(conv_macs(layer, output.shape[2:]))
        elif isinstance(layer, nn.Linear):
            total.append(layer.weight.numel())

    hooks = [layer.register_forward_hook(count) for layer in network.modules()]
    try:
        with evaluating(network):
            network(torch.zeros(1, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
    return sum(total)


@wrong("count_macs", says="without a word")
def unknown_layers_cost_nothing(network, input_size):
    total = []

    def count(layer, inputs, output):
        if isinstance(layer, nn.ConvTranspose2d):
            total.append(layer.weight[0].numel() * inputs[0].numel())
        elif isinstance(layer, (nn.Conv2d, nn.Linear)):
            total.append(layer.weight[0].numel() * output.numel())

    hooks = [layer.register_forward_hook(count) for layer in network.modules()]
    try:
        with evaluating(network):
            network(torch.zeros(1, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
    return sum(total)


@right("count_macs")
def pre_made_layers_and_modes(network, input_size):
    total = 0
    training = {name: module.training for name, module in network.named_modules()}

    def conv_hook(layer, _inputs, output):
        nonlocal total
        total += layer.weight.numel() * output.shape[2] * output.shape[3]

    def transposed_hook(layer, inputs, _output):
        nonlocal total
        total += layer.weight.numel() * inputs[0].shape[2] * inputs[0].shape[3]

    def linear_hook(layer, _inputs, output):
        nonlocal total
        total += layer.weight.numel()

    known = {nn.Conv2d: conv_hook, nn.ConvTranspose2d: transposed_hook, nn.Linear: linear_hook}
    for layer in network.modules():
        if type(layer) not in known and any(len(weight.shape) > 1 for weight in layer.parameters(recurse=False)):
            raise ValueError("what does this layer cost?")
    handles = []
    for layer in network.modules():
        if type(layer) in known:
            handles.append(layer.register_forward_hook(known[type(layer)]))
    try:
        network.eval()
        with torch.inference_mode():
            network(torch.rand(input_size).unsqueeze(0))
    finally:
        for handle in handles:
            handle.remove()
        for name, module in network.named_modules():
            module.training = training[name]
    return total


@right("count_macs")
def half_of_pytorchs_flops(network, input_size):
    with evaluating(network), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, *input_size))
    return counter.get_total_flops() / 2


@right("count_macs")
def one_hook_for_all_modules(network, input_size):
    total = []

    def count(layer, inputs, output):
        if isinstance(layer, nn.ConvTranspose2d):
            total.append(layer.weight[0].numel() * inputs[0].numel())
        elif isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Linear)):
            total.append(layer.weight[0].numel() * output.numel())

    hook = nn.modules.module.register_module_forward_hook(count)
    try:
        with evaluating(network):
            network(torch.zeros(1, *input_size))
    finally:
        hook.remove()
    return sum(total)


# --- weight_bytes


@wrong("weight_bytes", says="these are bits")
def in_bits(network, bits):
    return count_parameters(network) * bits


@wrong("weight_bytes", says="rounds down")
def rounded_down(network, bits):
    return count_parameters(network) * bits // 8


@wrong("weight_bytes", says="eighth of a byte")
def not_rounded(network, bits):
    return count_parameters(network) * bits / 8


@wrong("weight_bytes", says="size in float32")
def as_stored_now(network, bits):
    return sum(tensor.numel() * tensor.element_size() for tensor in network.parameters())


@wrong("weight_bytes", says="rounds every tensor up")
def rounded_tensor_by_tensor(network, bits):
    return sum(math.ceil(tensor.numel() * bits / 8) for tensor in network.parameters())


@wrong("weight_bytes", says="buffers of the batch norm")
def with_the_buffers(network, bits):
    return math.ceil(sum(tensor.numel() for tensor in network.state_dict().values()) * bits / 8)


@wrong("weight_bytes", says="a whole byte")
def whole_bytes(network, bits):
    return count_parameters(network) * math.ceil(bits / 8)


@right("weight_bytes")
def with_ceil(network, bits):
    return math.ceil(count_parameters(network) * bits / 8)


@right("weight_bytes")
def with_divmod(network, bits):
    whole, rest = divmod(sum(tensor.numel() for tensor in network.parameters()) * bits, 8)
    return whole + (rest > 0)


# --- peak_activation_bytes


@wrong("peak_activation_bytes", says="these are values")
def values_in_place_of_bytes(network, input_size):
    sizes, hooks = [], []
    for module in network.modules():
        if not list(module.children()):
            hooks.append(module.register_forward_hook(lambda _, i, o: sizes.append(i[0].numel() + o.numel())))
    try:
        with evaluating(network):
            network(torch.zeros(1, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
    return max(sizes)


@wrong("peak_activation_bytes", says="this is the largest output")
def outputs_only(network, input_size):
    sizes, hooks = [], []
    for module in network.modules():
        if not list(module.children()):
            hooks.append(module.register_forward_hook(lambda _, i, o: sizes.append(o.nbytes)))
    try:
        with evaluating(network):
            network(next(network.parameters()).new_zeros(1, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
    return max(sizes)


@wrong("peak_activation_bytes", says="the sum over the layers")
def the_sum(network, input_size):
    sizes, hooks = [], []
    for module in network.modules():
        if not list(module.children()):
            hooks.append(module.register_forward_hook(lambda _, i, o: sizes.append(i[0].nbytes + o.nbytes)))
    try:
        with evaluating(network):
            network(next(network.parameters()).new_zeros(1, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
    return sum(sizes)


@wrong("peak_activation_bytes", says="a Sequential is no leaf")
def every_module(network, input_size):
    sizes = []
    hooks = [
        module.register_forward_hook(lambda _, i, o: sizes.append(i[0].nbytes + o.nbytes))
        for module in network.modules()
    ]
    try:
        with evaluating(network):
            network(next(network.parameters()).new_zeros(1, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
    return max(sizes)


@wrong("peak_activation_bytes", says="own dtype")
def always_float32(network, input_size):
    sizes, hooks = [], []
    for module in network.modules():
        if not list(module.children()):
            hooks.append(module.register_forward_hook(lambda _, i, o: sizes.append(4 * (i[0].numel() + o.numel()))))
    try:
        with evaluating(network):
            network(torch.zeros(1, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
    return max(sizes)


@wrong("peak_activation_bytes", says="every kind of layer counts")
def conv_layers_only(network, input_size):
    sizes, hooks = [], []
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            hooks.append(module.register_forward_hook(lambda _, i, o: sizes.append(i[0].nbytes + o.nbytes)))
    try:
        with evaluating(network):
            network(next(network.parameters()).new_zeros(1, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
    return max(sizes)


@wrong("peak_activation_bytes", says="hooks are left behind")
def hooks_stay(network, input_size):
    sizes = []
    for module in network.modules():
        if not list(module.children()):
            module.register_forward_hook(lambda _, i, o: sizes.append(i[0].nbytes + o.nbytes))
    with evaluating(network):
        network(next(network.parameters()).new_zeros(1, *input_size))
    return max(sizes)


@wrong("peak_activation_bytes", says="parameters are in it")
def weights_too(network, input_size):
    sizes, hooks = [], []

    def measure(module, inputs, output):
        own = sum(tensor.nbytes for tensor in module.parameters())
        sizes.append(inputs[0].nbytes + output.nbytes + own)

    for module in network.modules():
        if not list(module.children()):
            hooks.append(module.register_forward_hook(measure))
    try:
        with evaluating(network):
            network(next(network.parameters()).new_zeros(1, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
    return max(sizes)


@right("peak_activation_bytes")
def a_running_maximum(network, input_size):
    largest = 0

    def measure(module, inputs, output):
        nonlocal largest
        values = sum(tensor.numel() for tensor in inputs) + output.numel()
        largest = max(largest, values * output.element_size())

    first = next(network.parameters())
    handles = [m.register_forward_hook(measure) for m in network.modules() if len(list(m.modules())) == 1]
    try:
        with evaluating(network):
            network(torch.rand(1, *input_size, dtype=first.dtype, device=first.device))
    finally:
        for handle in handles:
            handle.remove()
    return largest


@right("peak_activation_bytes")
def in_a_copy(network, input_size):
    import copy

    ready, sizes = copy.deepcopy(network).eval(), []
    dtype = next(ready.parameters()).dtype
    for module in ready.modules():
        if not list(module.children()):
            module.register_forward_hook(lambda _, i, o: sizes.append(i[0].nbytes + o.nbytes))
    with torch.no_grad():
        ready(torch.zeros(1, *input_size, dtype=dtype))
    return float(max(sizes))


# --- median_latency


@wrong("median_latency", says="this is the mean")
def mean_time(run, clock, warmup, repeats):
    for _ in range(warmup):
        run()
    times = []
    for _ in range(repeats):
        start = clock()
        run()
        times.append(clock() - start)
    return sum(times) / len(times)


@wrong("median_latency", says="those of the warm-up among them")
def warm_up_is_timed(run, clock, warmup, repeats):
    times = []
    for _ in range(warmup + repeats):
        start = clock()
        run()
        times.append(clock() - start)
    return statistics.median(times)


@wrong("median_latency", says="warm-up is missing")
def no_warm_up(run, clock, warmup, repeats):
    times = []
    for _ in range(repeats):
        start = clock()
        run()
        times.append(clock() - start)
    return statistics.median(times)


@wrong("median_latency", says="one of the middle two")
def torchs_median(run, clock, warmup, repeats):
    for _ in range(warmup):
        run()
    times = []
    for _ in range(repeats):
        start = clock()
        run()
        times.append(clock() - start)
    return torch.tensor(times).median().item()


@wrong("median_latency", says="one of the middle two")
def upper_middle(run, clock, warmup, repeats):
    for _ in range(warmup):
        run()
    times = []
    for _ in range(repeats):
        start = clock()
        run()
        times.append(clock() - start)
    return sorted(times)[len(times) // 2]


@wrong("median_latency", says="the SORTED times")
def not_sorted(run, clock, warmup, repeats):
    for _ in range(warmup):
        run()
    times = []
    for _ in range(repeats):
        start = clock()
        run()
        times.append(clock() - start)
    return times[len(times) // 2]


@wrong("median_latency", says="never called `clock`")
def its_own_clock(run, clock, warmup, repeats):
    for _ in range(warmup):
        run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


@wrong("median_latency", says="mean of all runs: time each by itself")
def times_the_whole_loop(run, clock, warmup, repeats):
    for _ in range(warmup):
        run()
    start = clock()
    for _ in range(repeats):
        run()
    return (clock() - start) / repeats


@wrong("median_latency", says="no milliseconds")
def in_milliseconds(run, clock, warmup, repeats):
    for _ in range(warmup):
        run()
    times = []
    for _ in range(repeats):
        start = clock()
        run()
        times.append(clock() - start)
    return 1000 * statistics.median(times)


@wrong("median_latency", says="anew before every run")
def start_outside_the_loop(run, clock, warmup, repeats):
    for _ in range(warmup):
        run()
    times = []
    start = clock()
    for _ in range(repeats):
        run()
        times.append(clock() - start)
    return statistics.median(times)


@right("median_latency")
def with_numpys_median(run, clock, warmup, repeats):
    [run() for _ in range(warmup)]
    times = np.zeros(repeats)
    for i in range(repeats):
        begin = clock()
        run()
        end = clock()
        times[i] = end - begin
    return np.median(times)


@right("median_latency")
def sorted_by_hand(run, clock, warmup, repeats):
    times = []
    for number in range(warmup + repeats):
        start = clock()
        run()
        stop = clock()
        if number >= warmup:
            times.append(stop - start)
    times.sort()
    half = len(times) // 2
    return times[half] if len(times) % 2 else (times[half - 1] + times[half]) / 2


# --- design_widths


@wrong("design_widths", says="at most 50 % of the MACs")
def the_original():
    return (32, 32, 64, 64, 128, 128)


@wrong("design_widths", says="at least 100 % of the parameters")
def half_the_widths():
    return (16, 16, 32, 32, 64, 64)


@wrong("design_widths", says="16 // 2 is 8")
def floating_point_widths():
    return tuple(width * 0.7 for width in (32, 32, 64, 64, 128, 128))


@wrong("design_widths", says="2 to 9 whole numbers")
def too_many_layers():
    return (8, 8, 16, 16, 32, 32, 64, 64, 128, 128, 128, 128)


@wrong("design_widths", says="is the `return` missing?")
def nothing_returned():
    widths = (16, 16, 32, 32, 64, 64, 128, 128)
    print(widths)


@wrong("design_widths", says="at most 50 % of the MACs")
def more_of_the_middle():
    return (32, 32, 48, 48, 144, 144)


@right("design_widths")
def narrow_first_and_a_list():
    return [8, 8, 16, 16, 64, 96, 160, 128]


@right("design_widths")
def six_layers():
    return (4, 4, 8, 8, 168, 184)
