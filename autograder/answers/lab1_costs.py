"""Wrong and right answers to lab 1, as students write them."""

import collections
import copy
import itertools
import math
import statistics
import time

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from autograder.answers import right, wrong
from course_utils.modes import evaluating
from course_utils.networks import vgg_mini
from solutions.costs import conv_macs, count_macs, count_parameters

# --- count_parameters


@wrong("count_parameters", says="which state_dict() holds")
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


@wrong("count_parameters", says="do not pick layers by type")
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
    return np.sum([np.prod(tensor.shape, dtype=int) for tensor in set(network.parameters())])


@wrong("count_parameters", says="again at every depth")
def counted_at_every_depth(network):
    total = 0
    for module in network.modules():
        for parameter in module.parameters():
            total += parameter.numel()
    return total


@wrong("count_parameters", says="the values that are not zero")
def values_that_are_not_zero(network):
    return sum(int(torch.count_nonzero(parameter)) for parameter in network.parameters())


@wrong("count_parameters", says="tensors of equal values taken for one")
def equal_values_once(network):
    distinct = []
    for parameter in network.parameters():
        if not any(torch.equal(parameter, other) for other in distinct):
            distinct.append(parameter)
    return sum(parameter.numel() for parameter in distinct)


@wrong("count_parameters", says="told apart by data_ptr()")
def told_apart_by_data_ptr(network):
    sizes = {parameter.data_ptr(): parameter.numel() for parameter in network.parameters()}
    return sum(sizes.values())


@wrong("count_parameters", says="leaf modules alone")
def leaf_modules_alone(network):
    unique = {}
    for module in network.modules():
        if len(list(module.children())) == 0:
            for parameter in module.parameters():
                unique[id(parameter)] = parameter.numel()
    return sum(unique.values())


@wrong("count_parameters", says="its requires_grad is another one")
def thaws_the_network(network):
    network.requires_grad_(True)
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


@wrong("count_parameters", says="remember nothing")
def remembers_what_it_has_seen(network, seen=set()):
    total = 0
    for module in network.modules():
        for parameter in module.parameters(recurse=False):
            if parameter not in seen:
                seen.add(parameter)
                total += parameter.numel()
    return total


@right("count_parameters")
def parameters_of_the_state_dict(network):
    entries = network.state_dict(keep_vars=True).values()
    learned = {tensor for tensor in entries if isinstance(tensor, nn.Parameter)}
    return sum(map(Tensor.numel, learned))


@right("count_parameters")
def by_recursion(network):
    met = {}

    def visit(module):
        for parameter in module._parameters.values():
            if parameter is not None:
                met[parameter] = parameter.numel()
        for child in module.children():
            visit(child)

    visit(network)
    return sum(met.values())


@wrong("count_parameters", says="bytes in place of values")
def bytes_of_the_parameters(network):
    return sum(tensor.nbytes for tensor in network.parameters())


# --- conv_macs


@wrong("conv_macs", says="the bias counted")
def with_the_bias(conv, output_size):
    height, width = output_size
    weights = conv.weight[0].numel() + (conv.bias is not None)
    return height * width * conv.out_channels * weights


@wrong("conv_macs", says="the groups forgotten")
def without_groups(conv, output_size):
    height, width = output_size
    return height * width * conv.out_channels * conv.in_channels * conv.kernel_size[0] * conv.kernel_size[1]


@wrong("conv_macs", says="only the inputs are divided")
def groups_twice(conv, output_size):
    height, width = output_size
    outputs, inputs = conv.out_channels // conv.groups, conv.in_channels // conv.groups
    return height * width * outputs * inputs * conv.kernel_size[0] * conv.kernel_size[1]


@wrong("conv_macs", says="the kernel's height squared")
def square_kernels_only(conv, output_size):
    return (
        output_size[0] * output_size[1] * conv.out_channels * conv.in_channels // conv.groups * conv.kernel_size[0] ** 2
    )


@wrong("conv_macs", says="ONE multiply-accumulate")
def flops(conv, output_size):
    return 2 * conv.weight.numel() * output_size[0] * output_size[1]


@wrong("conv_macs", says="worked out again")
def takes_it_for_the_input_size(conv, output_size):
    height, width = (
        (output_size[axis] + 2 * conv.padding[axis] - conv.kernel_size[axis]) // conv.stride[axis] + 1
        for axis in (0, 1)
    )
    return conv.weight.numel() * height * width


@wrong("conv_macs", says="divided by the stride")
def divides_by_the_stride(conv, output_size):
    height, width = output_size
    return conv.weight.numel() * (height * width // (conv.stride[0] * conv.stride[1]))


@wrong("conv_macs", says="the parameters, each once")
def only_parameters(conv, output_size):
    return sum(tensor.numel() for tensor in conv.parameters())


@wrong("conv_macs", says="both its sides count")
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
def the_number_of_a_tensor(conv, output_size):
    return (torch.tensor(output_size).prod() * conv.weight.numel()).item()


@wrong("conv_macs", says="n - 1 for each value")
def one_addition_less(conv, output_size):
    height, width = output_size
    window = conv.in_channels // conv.groups * conv.kernel_size[0] * conv.kernel_size[1]
    return height * width * conv.out_channels * (window - 1)


@wrong("conv_macs", says="the output's width squared")
def square_outputs(conv, output_size):
    return output_size[-1] ** 2 * conv.weight.numel()


@wrong("conv_macs", says="counted with its holes")
def holes_counted(conv, output_size):
    height, width = output_size
    reach = [dilation * (size - 1) + 1 for dilation, size in zip(conv.dilation, conv.kernel_size, strict=True)]
    return height * width * conv.out_channels * (conv.in_channels // conv.groups) * reach[0] * reach[1]


@wrong("conv_macs", says="the groups forgotten")
def all_groups_or_none(conv, output_size):
    height, width = output_size
    seen = 1 if conv.groups == conv.in_channels else conv.in_channels
    return height * width * conv.out_channels * seen * math.prod(conv.kernel_size)


@wrong("conv_macs", says="comes as a list")
def tuples_alone(conv, output_size):
    channels = (conv.out_channels, conv.in_channels // conv.groups)
    return math.prod(channels + conv.kernel_size + output_size)


@wrong("conv_macs", says="`conv.bias` was changed")
def takes_the_bias_off(conv, output_size):
    conv.bias = None
    height, width = output_size
    return height * width * sum(parameter.numel() for parameter in conv.parameters())


@wrong("conv_macs", says="the output of an earlier call")
def one_result_a_layer(conv, output_size, known={}):
    if conv not in known:
        height, width = output_size
        known[conv] = height * width * conv.weight.numel()
    return known[conv]


@right("conv_macs")
def group_by_group(conv, output_size):
    total = 0
    for _ in range(conv.groups):
        filters, channels = conv.out_channels // conv.groups, conv.in_channels // conv.groups
        for _kernel_row in range(conv.kernel_size[0]):
            total += filters * channels * conv.kernel_size[1]
    return total * output_size[0] * output_size[1]


@wrong("conv_macs", says="return whole numbers")
def true_division(conv, output_size):
    height, width = output_size
    return height * width * conv.out_channels * conv.in_channels / conv.groups * math.prod(conv.kernel_size)


@wrong("conv_macs", says="one input channel for each filter")
def kernels_alone(conv, output_size):
    return math.prod(output_size) * conv.out_channels * math.prod(conv.kernel_size)


# --- count_macs


@wrong("count_macs", says="the convolutions alone")
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


@wrong("count_macs", says="size of a convolution's INPUT")
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


@wrong("count_macs", says="two for each multiply-accumulate")
def counts_flops(network, input_size):
    with evaluating(network), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, *input_size))
    return counter.get_total_flops()


@wrong("count_macs", says="biases of linear layers counted")
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


@wrong("count_macs", says="its hooks are others")
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


@wrong("count_macs", says="in another mode")
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


@wrong("count_macs", says="in another mode")
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


@wrong("count_macs", says="what stands in `finally`")
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


@wrong("count_macs", says="each layer once")
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


@wrong("count_macs", says="with two images")
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


@wrong("count_macs", says="transposed convolutions left out")
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


@wrong("count_macs", says="a transposed convolution's OUTPUT")
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
        total += layer.in_features * output.numel()

    known = {nn.Conv2d: conv_hook, nn.ConvTranspose2d: transposed_hook, nn.Linear: linear_hook}
    handles = []
    try:
        for layer in network.modules():
            hook = next((known[kind] for kind in known if isinstance(layer, kind)), None)
            if hook:
                handles.append(layer.register_forward_hook(hook))
            elif any(len(weight.shape) > 1 for weight in layer.parameters(recurse=False)):
                raise ValueError("what does this layer cost?")
        network.eval()
        with torch.inference_mode():
            first = next(network.parameters())
            network(torch.ones(input_size, dtype=first.dtype, device=first.device).unsqueeze(0))
    finally:
        for handle in handles:
            handle.remove()
        for name, module in network.named_modules():
            module.training = training[name]
    return total


@right("count_macs")
def half_of_pytorchs_flops(network, input_size):
    known = nn.Conv2d, nn.ConvTranspose2d, nn.Linear
    for layer in network.modules():
        if not isinstance(layer, known) and any(weight.ndim > 1 for weight in layer.parameters(recurse=False)):
            raise ValueError(f"{type(layer)} is not counted")
    with evaluating(network), FlopCounterMode(display=False) as counter:
        network(next(network.parameters()).new_zeros(1, *input_size))
    return counter.get_total_flops() // 2


@right("count_macs")
def one_hook_for_all_modules(network, input_size):
    total = []

    def count(layer, inputs, output):
        if isinstance(layer, nn.ConvTranspose2d):
            total.append(layer.weight[0].numel() * inputs[0].numel())
        elif isinstance(layer, (nn.Conv2d, nn.Linear)):
            total.append(layer.weight[0].numel() * output.numel())
        elif any(weight.ndim > 1 for weight in layer.parameters(recurse=False)):
            raise ValueError(f"{type(layer)} is not counted")

    hook = nn.modules.module.register_module_forward_hook(count)
    try:
        with evaluating(network):
            network(next(network.parameters()).new_zeros(1, *input_size))
    finally:
        hook.remove()
    return sum(total)


@wrong("count_macs", says="a linear layer's weights once")
def linear_layers_at_one_position(network, input_size):
    macs = []

    def count(layer, inputs, output):
        if isinstance(layer, nn.Conv2d):
            macs.append(conv_macs(layer, output.shape[-2:]))
        elif isinstance(layer, nn.ConvTranspose2d):
            macs.append(math.prod(inputs[0].shape[-2:]) * layer.weight.numel())
        elif isinstance(layer, nn.Linear):
            macs.append(layer.in_features * layer.out_features)
        elif any(weight.ndim > 1 for weight in layer.parameters(recurse=False)):
            raise ValueError(f"unknown layer {layer}")

    hooks = [layer.register_forward_hook(count) for layer in network.modules()]
    try:
        with evaluating(network):
            network(next(network.parameters()).new_zeros(1, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
    return sum(macs)


@wrong("count_macs", says="the groups of a transposed convolution forgotten")
def groups_of_transposed_forgotten(network, input_size):
    macs = []

    def count(layer, inputs, output):
        if isinstance(layer, nn.ConvTranspose2d):
            height, width = inputs[0].shape[-2:]
            kernel = layer.kernel_size[0] * layer.kernel_size[1]
            macs.append(height * width * layer.in_channels * layer.out_channels * kernel)
        elif isinstance(layer, nn.Conv2d):
            macs.append(conv_macs(layer, output.shape[-2:]))
        elif isinstance(layer, nn.Linear):
            macs.append(layer.in_features * output.numel())
        elif any(weight.ndim > 1 for weight in layer.parameters(recurse=False)):
            raise ValueError(f"unknown layer {layer}")

    hooks = [layer.register_forward_hook(count) for layer in network.modules()]
    try:
        with evaluating(network):
            network(next(network.parameters()).new_zeros(1, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
    return sum(macs)


@wrong("count_macs", says="whose weight has two axes")
def three_axes_or_more(network, input_size):
    macs = []

    def count(layer, inputs, output):
        if isinstance(layer, nn.Conv2d):
            macs.append(conv_macs(layer, output.shape[-2:]))
        elif isinstance(layer, nn.ConvTranspose2d):
            macs.append(inputs[0].shape[-2:].numel() * layer.weight.numel())
        elif isinstance(layer, nn.Linear):
            macs.append(layer.in_features * output.numel())
        elif any(weight.ndim > 2 for weight in layer.parameters(recurse=False)):
            raise ValueError(f"unknown layer {layer}")

    hooks = [layer.register_forward_hook(count) for layer in network.modules()]
    try:
        with evaluating(network):
            network(next(network.parameters()).new_zeros(1, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
    return sum(macs)


@wrong("count_macs", says="have other names than `weight`")
def weights_of_that_name_alone(network, input_size):
    macs = []

    def count(layer, inputs, output):
        if isinstance(layer, nn.Conv2d):
            macs.append(conv_macs(layer, output.shape[-2:]))
        elif isinstance(layer, nn.ConvTranspose2d):
            macs.append(inputs[0].shape[-2:].numel() * layer.weight.numel())
        elif isinstance(layer, nn.Linear):
            macs.append(layer.in_features * output.numel())
        elif isinstance(getattr(layer, "weight", None), Tensor) and layer.weight.ndim >= 2:
            raise ValueError(f"unknown layer {layer}")

    hooks = [layer.register_forward_hook(count) for layer in network.modules()]
    try:
        with evaluating(network):
            network(next(network.parameters()).new_zeros(1, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
    return sum(macs)


@wrong("count_macs", says="a hook for each of a layer's places")
def a_hook_for_each_name(network, input_size):
    macs = []

    def count(layer, inputs, output):
        if isinstance(layer, nn.Conv2d):
            macs.append(conv_macs(layer, output.shape[-2:]))
        elif isinstance(layer, nn.ConvTranspose2d):
            macs.append(inputs[0].shape[-2:].numel() * layer.weight.numel())
        elif isinstance(layer, nn.Linear):
            macs.append(layer.in_features * output.numel())
        elif any(weight.ndim > 1 for weight in layer.parameters(recurse=False)):
            raise ValueError(f"unknown layer {layer}")

    hooks = []
    for _, layer in network.named_modules(remove_duplicate=False):
        hooks.append(layer.register_forward_hook(count))
    try:
        with evaluating(network):
            network(next(network.parameters()).new_zeros(1, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
    return sum(macs)


@wrong("count_macs", says="the network itself may be a layer")
def all_but_the_network_itself(network, input_size):
    macs, hooks = [], []

    def count(layer, inputs, output):
        if isinstance(layer, nn.Conv2d):
            macs.append(conv_macs(layer, output.shape[-2:]))
        elif isinstance(layer, nn.ConvTranspose2d):
            macs.append(inputs[0].shape[-2:].numel() * layer.weight.numel())
        elif isinstance(layer, nn.Linear):
            macs.append(layer.in_features * output.numel())
        elif any(weight.ndim > 1 for weight in layer.parameters(recurse=False)):
            raise ValueError(f"unknown layer {layer}")

    layers = list(network.modules())[1:]
    try:
        hooks += [layer.register_forward_hook(count) for layer in layers]
        with evaluating(network):
            network(next(network.parameters()).new_zeros(1, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
    return sum(macs)


@wrong("count_macs", says="isinstance says so")
def exact_types(network, input_size):
    macs = []

    def count(layer, inputs, output):
        if type(layer) is nn.Conv2d:
            macs.append(conv_macs(layer, output.shape[-2:]))
        elif type(layer) is nn.ConvTranspose2d:
            macs.append(inputs[0].shape[-2:].numel() * layer.weight.numel())
        elif type(layer) is nn.Linear:
            macs.append(layer.in_features * output.numel())
        elif any(weight.ndim > 1 for weight in layer.parameters(recurse=False)):
            raise ValueError(f"unknown layer {layer}")

    hooks = [layer.register_forward_hook(count) for layer in network.modules()]
    try:
        with evaluating(network):
            network(next(network.parameters()).new_zeros(1, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
    return sum(macs)


@wrong("count_macs", says="leave those of others")
def clears_all_hooks(network, input_size):
    macs = []

    def count(layer, inputs, output):
        if isinstance(layer, nn.Conv2d):
            macs.append(conv_macs(layer, output.shape[-2:]))
        elif isinstance(layer, nn.ConvTranspose2d):
            macs.append(inputs[0].shape[-2:].numel() * layer.weight.numel())
        elif isinstance(layer, nn.Linear):
            macs.append(layer.in_features * output.numel())
        elif any(weight.ndim > 1 for weight in layer.parameters(recurse=False)):
            raise ValueError(f"unknown layer {layer}")

    for layer in network.modules():
        layer.register_forward_hook(count)
    try:
        with evaluating(network):
            network(next(network.parameters()).new_zeros(1, *input_size))
    finally:
        for layer in network.modules():
            layer._forward_hooks.clear()
    return sum(macs)


@wrong("count_macs", says="must come out as it is")
def another_error(network, input_size):
    macs = []

    def count(layer, inputs, output):
        if isinstance(layer, nn.Conv2d):
            macs.append(conv_macs(layer, output.shape[-2:]))
        elif isinstance(layer, nn.ConvTranspose2d):
            macs.append(inputs[0].shape[-2:].numel() * layer.weight.numel())
        elif isinstance(layer, nn.Linear):
            macs.append(layer.in_features * output.numel())
        elif any(weight.ndim > 1 for weight in layer.parameters(recurse=False)):
            raise ValueError(f"unknown layer {layer}")

    hooks = [layer.register_forward_hook(count) for layer in network.modules()]
    try:
        with evaluating(network):
            network(next(network.parameters()).new_zeros(1, *input_size))
    except RuntimeError as error:
        raise ValueError(f"an image of {tuple(input_size)} does not run through: {error}") from error
    finally:
        for hook in hooks:
            hook.remove()
    return sum(macs)


@wrong("count_macs", says="num_batches_tracked` was changed")
def puts_statistics_back_but_one(network, input_size):
    macs = []

    def count(layer, inputs, output):
        if isinstance(layer, nn.Conv2d):
            macs.append(conv_macs(layer, output.shape[-2:]))
        elif isinstance(layer, nn.ConvTranspose2d):
            macs.append(inputs[0].shape[-2:].numel() * layer.weight.numel())
        elif isinstance(layer, nn.Linear):
            macs.append(layer.in_features * output.numel())
        elif any(weight.ndim > 1 for weight in layer.parameters(recurse=False)):
            raise ValueError(f"unknown layer {layer}")

    norms = [layer for layer in network.modules() if getattr(layer, "running_mean", None) is not None]
    saved = [(norm.running_mean.clone(), norm.running_var.clone()) for norm in norms]
    hooks = [layer.register_forward_hook(count) for layer in network.modules()]
    try:
        with torch.no_grad():
            network(next(network.parameters()).new_zeros(1, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
        for norm, (mean, variance) in zip(norms, saved, strict=True):
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
    return sum(macs)


@right("count_macs")
def watches_a_copy(network, input_size):
    twin = copy.deepcopy(network).eval()
    total = collections.Counter()

    def count(layer, inputs, output):
        if isinstance(layer, nn.Conv2d):
            total["conv"] += output[0, 0].numel() * layer.weight.numel()
        elif isinstance(layer, nn.ConvTranspose2d):
            total["transposed"] += inputs[0][0, 0].numel() * layer.weight.numel()
        elif isinstance(layer, nn.Linear):
            total["linear"] += output.numel() * layer.weight.shape[1]
        else:
            for parameter in layer.parameters(recurse=False):
                if parameter.dim() >= 2:
                    raise ValueError(f"{type(layer).__name__} has weights, but its cost is unknown")

    for module in twin.modules():
        module.register_forward_hook(count)
    first = next(twin.parameters())
    with torch.no_grad():
        twin(torch.zeros((1, *input_size), dtype=first.dtype, device=first.device))
    return sum(total.values())


@right("count_macs")
def a_table_of_rules(network, input_size):
    rules = {
        nn.Conv2d: lambda layer, x, y: conv_macs(layer, y.shape[-2:]),
        nn.ConvTranspose2d: lambda layer, x, y: x.shape[-1] * x.shape[-2] * layer.weight.numel(),
        nn.Linear: lambda layer, x, y: y.numel() * layer.in_features,
    }
    costs = []

    def hook(layer, inputs, output):
        for kind, rule in rules.items():
            if isinstance(layer, kind):
                costs.append(rule(layer, inputs[0], output))
                return
        if max((parameter.ndim for parameter in layer.parameters(recurse=False)), default=0) > 1:
            raise ValueError(f"no rule for {layer}")

    handles, modes = [], {}
    gradients = torch.is_grad_enabled()
    try:
        for module in network.modules():
            modes[module] = module.training
            handles.append(module.register_forward_hook(hook))
        network.eval()
        torch.set_grad_enabled(False)
        network(torch.ones(1, *input_size).to(next(network.parameters())))
    finally:
        torch.set_grad_enabled(gradients)
        for module, mode in modes.items():
            module.training = mode
        while handles:
            handles.pop().remove()
    return sum(costs)


@wrong("count_macs", says="the layers right inside alone")
def children_alone(network, input_size):
    macs = []

    def count(layer, inputs, output):
        if isinstance(layer, nn.Conv2d):
            macs.append(conv_macs(layer, output.shape[-2:]))
        elif isinstance(layer, nn.ConvTranspose2d):
            macs.append(inputs[0].shape[-2:].numel() * layer.weight.numel())
        elif isinstance(layer, nn.Linear):
            macs.append(layer.in_features * output.numel())
        elif any(weight.ndim > 1 for weight in layer.parameters(recurse=False)):
            raise ValueError(f"unknown layer {layer}")

    hooks = [layer.register_forward_hook(count) for layer in [network, *network.children()]]
    try:
        with evaluating(network):
            network(next(network.parameters()).new_zeros(1, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
    return sum(macs)


@wrong("count_macs", says="random numbers are others")
def an_image_of_noise(network, input_size):
    macs = []

    def count(layer, inputs, output):
        if isinstance(layer, nn.Conv2d):
            macs.append(conv_macs(layer, output.shape[-2:]))
        elif isinstance(layer, nn.ConvTranspose2d):
            macs.append(inputs[0].shape[-2:].numel() * layer.weight.numel())
        elif isinstance(layer, nn.Linear):
            macs.append(layer.in_features * output.numel())
        elif any(weight.ndim > 1 for weight in layer.parameters(recurse=False)):
            raise ValueError(f"unknown layer {layer}")

    hooks = [layer.register_forward_hook(count) for layer in network.modules()]
    try:
        with evaluating(network):
            network(torch.randn(1, *input_size).to(next(network.parameters())))
    finally:
        for hook in hooks:
            hook.remove()
    return sum(macs)


@wrong("count_macs", says="on the parameters' device", hidden=True)
def an_image_on_the_cpu(network, input_size):
    macs = []

    def count(layer, inputs, output):
        if isinstance(layer, nn.Conv2d):
            macs.append(conv_macs(layer, output.shape[-2:]))
        elif isinstance(layer, nn.ConvTranspose2d):
            macs.append(inputs[0].shape[-2:].numel() * layer.weight.numel())
        elif isinstance(layer, nn.Linear):
            macs.append(layer.in_features * output.numel())
        elif any(weight.ndim > 1 for weight in layer.parameters(recurse=False)):
            raise ValueError(f"unknown layer {layer}")

    hooks = [layer.register_forward_hook(count) for layer in network.modules()]
    try:
        with evaluating(network):
            network(torch.zeros(1, *input_size, dtype=next(network.parameters()).dtype))
    finally:
        for hook in hooks:
            hook.remove()
    return sum(macs)


# --- weight_bytes


@wrong("weight_bytes", says="bits: eight of them")
def in_bits(network, bits):
    return count_parameters(network) * bits


@wrong("weight_bytes", says="rounded down")
def rounded_down(network, bits):
    return count_parameters(network) * bits // 8


@wrong("weight_bytes", says="no rounding")
def not_rounded(network, bits):
    return count_parameters(network) * bits / 8


@wrong("weight_bytes", says="as they are now")
def as_stored_now(network, bits):
    return sum(tensor.numel() * tensor.element_size() for tensor in network.parameters())


@wrong("weight_bytes", says="each tensor rounded up")
def rounded_tensor_by_tensor(network, bits):
    return sum(math.ceil(tensor.numel() * bits / 8) for tensor in network.parameters())


@wrong("weight_bytes", says="the buffers of batch norms too")
def with_the_buffers(network, bits):
    return math.ceil(sum(tensor.numel() for tensor in network.state_dict().values()) * bits / 8)


@wrong("weight_bytes", says="whole bytes for each parameter")
def whole_bytes(network, bits):
    return count_parameters(network) * math.ceil(bits / 8)


@right("weight_bytes")
def with_ceil(network, bits):
    return math.ceil(count_parameters(network) * bits / 8)


@right("weight_bytes")
def with_divmod(network, bits):
    whole, rest = divmod(sum(tensor.numel() for tensor in network.parameters()) * bits, 8)
    return whole + (rest > 0)


@wrong("weight_bytes", says="rounding to the nearest byte")
def to_the_nearest_byte(network, bits):
    return round(count_parameters(network) * bits / 8)


@wrong("weight_bytes", says="one byte more in any case")
def one_byte_more(network, bits):
    return count_parameters(network) * bits // 8 + 1


@wrong("weight_bytes", says="whole bytes for each parameter")
def gaps_in_each_byte(network, bits):
    count = count_parameters(network)
    if bits <= 8:
        return math.ceil(count / (8 // bits))
    return count * math.ceil(bits / 8)


@wrong("weight_bytes", says="count values (numel)")
def takes_it_for_float32(network, bits):
    present = sum(parameter.nbytes for parameter in network.parameters())
    return math.ceil(present * bits / 32)


@wrong("weight_bytes", says="rounds halves to even numbers")
def half_added_and_rounded(network, bits):
    return round(count_parameters(network) * bits / 8 + 0.5)


@wrong("weight_bytes", says="has no parameters: 0 bytes")
def a_byte_for_nothing(network, bits):
    total_bits = count_parameters(network) * bits
    return int((total_bits - 1) / 8) + 1


@wrong("weight_bytes", says="float32, which cannot hold so many bytes")
def in_single_precision(network, bits):
    return int(torch.ceil(torch.tensor(count_parameters(network) * bits / 8)).item())


@wrong("weight_bytes", says="biases and batch norms left at 32 bits")
def biases_stay_wide(network, bits):
    total_bits = 0
    for parameter in network.parameters():
        total_bits += parameter.numel() * (bits if parameter.ndim > 1 else 32)
    return -(-total_bits // 8)


@wrong("weight_bytes", says="it has another shape or dtype")
def casts_the_network(network, bits):
    kinds = {16: torch.float16, 32: torch.float32, 64: torch.float64}
    if bits in kinds:
        return sum(parameter.nbytes for parameter in network.to(kinds[bits]).parameters())
    return (count_parameters(network) * bits + 7) // 8


@wrong("weight_bytes", says="return whole numbers")
def numpys_ceil(network, bits):
    return np.ceil(count_parameters(network) * bits / 8)


@right("weight_bytes")
def length_of_a_range(network, bits):
    return len(range(0, count_parameters(network) * bits, 8))


# --- peak_activation_bytes


@wrong("peak_activation_bytes", says="values: each takes several bytes")
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


@wrong("peak_activation_bytes", says="the largest output alone")
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


@wrong("peak_activation_bytes", says="the sum over all layers")
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


@wrong("peak_activation_bytes", says="every module, a Sequential too")
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


@wrong("peak_activation_bytes", says="the parameters' dtype")
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


@wrong("peak_activation_bytes", says="every kind of leaf counts")
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


@wrong("peak_activation_bytes", says="its hooks are others")
def hooks_stay(network, input_size):
    sizes = []
    for module in network.modules():
        if not list(module.children()):
            module.register_forward_hook(lambda _, i, o: sizes.append(i[0].nbytes + o.nbytes))
    with evaluating(network):
        network(next(network.parameters()).new_zeros(1, *input_size))
    return max(sizes)


@wrong("peak_activation_bytes", says="parameters in it")
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
            network(torch.ones(1, *input_size, dtype=first.dtype, device=first.device))
    finally:
        for handle in handles:
            handle.remove()
    return largest


@right("peak_activation_bytes")
def in_a_copy(network, input_size):
    ready, sizes = copy.deepcopy(network).eval(), []
    first = next(ready.parameters())
    for module in ready.modules():
        if not list(module.children()):
            module.register_forward_hook(lambda _, i, o: sizes.append(i[0].nbytes + o.nbytes))
    with torch.no_grad():
        ready(torch.zeros(1, *input_size, dtype=first.dtype, device=first.device))
    return max(sizes)


@wrong("peak_activation_bytes", says="of different layers")
def largest_input_and_largest_output(network, input_size):
    before, after = [], []

    def measure(layer, inputs, output):
        before.append(sum(tensor.nbytes for tensor in inputs))
        after.append(output.nbytes)

    leaves = [module for module in network.modules() if not list(module.children())]
    hooks = [leaf.register_forward_hook(measure) for leaf in leaves]
    try:
        with evaluating(network):
            network(next(network.parameters()).new_zeros(1, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
    return max(before) + max(after)


@wrong("peak_activation_bytes", says="the leaf that ran before")
def output_of_the_leaf_before(network, input_size):
    image = next(network.parameters()).new_zeros(1, *input_size)
    outputs = [image.nbytes]

    def measure(layer, inputs, output):
        outputs.append(output.nbytes)

    leaves = [module for module in network.modules() if not list(module.children())]
    hooks = [leaf.register_forward_hook(measure) for leaf in leaves]
    try:
        with evaluating(network):
            network(image)
    finally:
        for hook in hooks:
            hook.remove()
    return max(first + second for first, second in itertools.pairwise(outputs))


@wrong("peak_activation_bytes", says="layers with parameters alone")
def leaves_with_parameters(network, input_size):
    sizes = []

    def measure(layer, inputs, output):
        sizes.append(output.nbytes + sum(tensor.nbytes for tensor in inputs))

    leaves = [
        module for module in network.modules() if not list(module.children()) and len(list(module.parameters())) > 0
    ]
    hooks = [leaf.register_forward_hook(measure) for leaf in leaves]
    try:
        with evaluating(network):
            network(next(network.parameters()).new_zeros(1, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
    return max(sizes)


@wrong("peak_activation_bytes", says="the last run of each layer")
def last_run_of_each_leaf(network, input_size):
    sizes = {}

    def measure(layer, inputs, output):
        sizes[layer] = output.nbytes + sum(tensor.nbytes for tensor in inputs)

    leaves = [module for module in network.modules() if not list(module.children())]
    hooks = [leaf.register_forward_hook(measure) for leaf in leaves]
    try:
        with evaluating(network):
            network(next(network.parameters()).new_zeros(1, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
    return max(sizes.values())


@wrong("peak_activation_bytes", says="float64 no more")
def makes_it_float32(network, input_size):
    sizes = []

    def measure(layer, inputs, output):
        sizes.append(output.nbytes + sum(tensor.nbytes for tensor in inputs))

    network.float()
    leaves = [module for module in network.modules() if not list(module.children())]
    hooks = [leaf.register_forward_hook(measure) for leaf in leaves]
    try:
        with evaluating(network):
            device = next(network.parameters()).device
            network(torch.zeros(1, *input_size, device=device))
    finally:
        for hook in hooks:
            hook.remove()
    return max(sizes)


@wrong("peak_activation_bytes", says="gradients are switched on or off")
def gradients_off_for_good(network, input_size):
    sizes = []

    def measure(layer, inputs, output):
        sizes.append(output.nbytes + sum(tensor.nbytes for tensor in inputs))

    modes = [(module, module.training) for module in network.modules()]
    leaves = [module for module in network.modules() if not list(module.children())]
    hooks = [leaf.register_forward_hook(measure) for leaf in leaves]
    network.eval()
    torch.set_grad_enabled(False)
    try:
        network(next(network.parameters()).new_zeros(1, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in modes:
            module.training = mode
    return max(sizes)


@wrong("peak_activation_bytes", says="measured before")
def the_largest_ever(network, input_size, sizes=[]):
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


@right("peak_activation_bytes")
def leaves_ask_themselves(network, input_size):
    needs = []

    def measure(layer, inputs, output):
        if len(list(layer.modules())) == 1:
            needs.append(sum(x.nbytes for x in inputs) + output.nbytes)

    handles = [module.register_forward_hook(measure) for _, module in network.named_modules()]
    try:
        with evaluating(network):
            values = torch.randn(1, *input_size, generator=torch.Generator().manual_seed(0))
            network(values.to(next(network.parameters())))
    finally:
        for handle in handles:
            handle.remove()
    return sorted(needs)[-1]


@right("peak_activation_bytes")
def with_two_kinds_of_hooks(network, input_size):
    waiting, sizes, handles = {}, [], []

    def before(layer, inputs):
        waiting[layer] = sum(tensor.numel() * tensor.element_size() for tensor in inputs)

    def after(layer, inputs, output):
        sizes.append(waiting.pop(layer) + output.numel() * output.element_size())

    try:
        for module in network.modules():
            if not any(True for _ in module.children()):
                handles.append(module.register_forward_pre_hook(before))
                handles.append(module.register_forward_hook(after))
        with evaluating(network):
            network(next(network.parameters()).new_zeros((1, *input_size)))
    finally:
        for handle in handles:
            handle.remove()
    return max(sizes)


@wrong("peak_activation_bytes", says="the first run of each layer")
def first_run_of_each_leaf(network, input_size):
    sizes, hooks = {}, []

    def measure(layer, inputs, output):
        sizes.setdefault(layer, inputs[0].nbytes + output.nbytes)

    for module in network.modules():
        if not list(module.children()):
            hooks.append(module.register_forward_hook(measure))
    try:
        with evaluating(network):
            network(next(network.parameters()).new_zeros(1, *input_size))
    finally:
        for hook in hooks:
            hook.remove()
    return max(sizes.values())


@wrong("peak_activation_bytes", says="what stands in `finally`")
def hooks_stay_after_an_error(network, input_size):
    sizes = []

    def measure(layer, inputs, output):
        sizes.append(inputs[0].nbytes + output.nbytes)

    leaves = [module for module in network.modules() if not list(module.children())]
    hooks = [leaf.register_forward_hook(measure) for leaf in leaves]
    with evaluating(network):
        network(next(network.parameters()).new_zeros(1, *input_size))
    for hook in hooks:
        hook.remove()
    return max(sizes)


# --- median_latency


@wrong("median_latency", says="the mean: one slow run")
def mean_time(run, clock, warmup, repeats):
    for _ in range(warmup):
        run()
    times = []
    for _ in range(repeats):
        start = clock()
        run()
        times.append(clock() - start)
    return sum(times) / len(times)


@wrong("median_latency", says="those of the warm-up too")
def warm_up_is_timed(run, clock, warmup, repeats):
    times = []
    for _ in range(warmup + repeats):
        start = clock()
        run()
        times.append(clock() - start)
    return statistics.median(times)


@wrong("median_latency", says="no warm-up")
def no_warm_up(run, clock, warmup, repeats):
    times = []
    for _ in range(repeats):
        start = clock()
        run()
        times.append(clock() - start)
    return statistics.median(times)


@wrong("median_latency", says="the lower of the middle two")
def torchs_median(run, clock, warmup, repeats):
    for _ in range(warmup):
        run()
    times = []
    for _ in range(repeats):
        start = clock()
        run()
        times.append(clock() - start)
    return torch.tensor(times).median().item()


@wrong("median_latency", says="the upper of the middle two")
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


@wrong("median_latency", says="before all runs and one after")
def times_the_whole_loop(run, clock, warmup, repeats):
    for _ in range(warmup):
        run()
    start = clock()
    for _ in range(repeats):
        run()
    return (clock() - start) / repeats


@wrong("median_latency", says="stay in the clock's units")
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
        if number < warmup:
            run()
            continue
        start = clock()
        run()
        stop = clock()
        times.append(stop - start)
    times.sort()
    half = len(times) // 2
    return times[half] if len(times) % 2 else (times[half - 1] + times[half]) / 2


@wrong("median_latency", says="one look at the clock between runs")
def chained_readings(run, clock, warmup, repeats):
    for _ in range(warmup):
        run()
    readings = [clock()]
    for _ in range(repeats):
        run()
        readings.append(clock())
    return statistics.median(after - before for before, after in itertools.pairwise(readings))


@wrong("median_latency", says="before every repeat")
def warms_up_every_time(run, clock, warmup, repeats):
    times = []
    for _ in range(repeats):
        for _ in range(warmup):
            run()
        start = clock()
        run()
        times.append(clock() - start)
    return statistics.median(times)


@wrong("median_latency", says="equal times counted once")
def a_set_of_times(run, clock, warmup, repeats):
    for _ in range(warmup):
        run()
    times = set()
    for _ in range(repeats):
        start = clock()
        run()
        times.add(clock() - start)
    return statistics.median(times)


@wrong("median_latency", says="times of 0 left out")
def no_times_of_zero(run, clock, warmup, repeats):
    for _ in range(warmup):
        run()
    times = []
    for _ in range(repeats):
        start = clock()
        run()
        elapsed = clock() - start
        if elapsed:
            times.append(elapsed)
    return statistics.median(times) if times else 0.0


@wrong("median_latency", says="kept in float32")
def readings_in_float32(run, clock, warmup, repeats):
    for _ in range(warmup):
        run()
    readings = torch.empty(repeats, 2)
    for repeat in range(repeats):
        readings[repeat, 0] = clock()
        run()
        readings[repeat, 1] = clock()
    return statistics.median((readings[:, 1] - readings[:, 0]).tolist())


@wrong("median_latency", says="one repeat without warm-up")
def ends_cut_off(run, clock, warmup, repeats):
    for _ in range(warmup):
        run()
    times = []
    for _ in range(repeats):
        start = clock()
        run()
        times.append(clock() - start)
    return statistics.median(sorted(times)[1:-1])


@wrong("median_latency", says="remember and draw nothing")
def times_that_pile_up(run, clock, warmup, repeats, times=[]):
    for _ in range(warmup):
        run()
    for _ in range(repeats):
        start = clock()
        run()
        times.append(clock() - start)
    return statistics.median(times)


@wrong("median_latency", says="the clock read in the warm-up")
def clock_in_the_warm_up(run, clock, warmup, repeats):
    times = []
    for _ in range(warmup + repeats):
        start = clock()
        run()
        times.append(clock() - start)
    return statistics.median(times[warmup:])


@wrong("median_latency", says="random numbers are others")
def seeds_each_run(run, clock, warmup, repeats):
    for _ in range(warmup):
        run()
    times = []
    for _ in range(repeats):
        torch.manual_seed(0)
        start = clock()
        run()
        times.append(clock() - start)
    return statistics.median(times)


@wrong("median_latency", says="gradients switched off")
def in_inference_mode(run, clock, warmup, repeats):
    times = []
    with torch.inference_mode():
        for _ in range(warmup):
            run()
        for _ in range(repeats):
            start = clock()
            run()
            times.append(clock() - start)
    return statistics.median(times)


@right("median_latency")
def ends_peeled_off(run, clock, warmup, repeats):
    times = []
    for turn in range(-warmup, repeats):
        if turn < 0:
            run()
            continue
        start = clock()
        run()
        times.append(clock() - start)
    while len(times) > 2:
        times.remove(min(times))
        times.remove(max(times))
    return sum(times) / len(times)


@right("median_latency")
def mean_of_low_and_high(run, clock, warmup, repeats):
    collections.deque((run() for _ in range(warmup)), maxlen=0)
    times = collections.deque()
    for _ in itertools.repeat(None, repeats):
        begun = clock()
        run()
        times.append(clock() - begun)
    return 0.5 * (statistics.median_low(times) + statistics.median_high(times))


@wrong("median_latency", says="the warm-up taken out of the repeats")
def warms_up_within_the_repeats(run, clock, warmup, repeats):
    times = []
    for number in range(max(repeats, warmup + 1)):
        start = clock() if number >= warmup else 0.0
        run()
        if number >= warmup:
            times.append(clock() - start)
    return statistics.median(times)


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


@wrong("design_widths", says="2 FLOPs are 1 MAC")
def half_of_the_flops():
    return (32, 32, 56, 56, 112, 112, 128, 128)


@wrong("design_widths", says="in each other's place")
def budgets_swapped():
    return (48, 48, 64, 64, 48, 48)


@wrong("design_widths", says="MACs too many")
def rounded_to_a_half():
    return (28, 20, 32, 48, 64, 96, 96, 128)


@wrong("design_widths", says="running statistics of its batch norms")
def buffers_as_parameters():
    widths = (16, 16, 32, 32, 64, 64, 128)
    for last in range(1, 400):
        held = sum(tensor.numel() for tensor in vgg_mini(widths=(*widths, last)).state_dict().values())
        if held >= 289_508:
            break
    return (*widths, last)


@wrong("design_widths", says="makes a Python number")
def numpys_whole_numbers():
    half = np.array([32, 32, 64, 64, 128, 128, 256, 256]) // 2
    return tuple(half)


@wrong("design_widths", says="every SECOND one")
def halved_every_time():
    def work(widths):
        total, channels, side = 0, 3, 32
        for width in widths:
            total += 9 * channels * width * side * side
            channels, side = width, max(side // 2, 1)
        return total

    limit, best = 38_635_520 // 2, None
    for base in range(8, 129, 8):
        widths = (base, base, 2 * base, 2 * base, 4 * base, 4 * base)
        if work(widths) <= limit:
            best = widths
    return best


@wrong("design_widths", says="remember and draw nothing")
def grows_with_each_call(widths=[16, 16, 32, 32, 64, 64]):
    widths += [128, 128]
    return tuple(widths)


@wrong("design_widths", says="one pair of brackets")
def a_tuple_in_a_tuple():
    widths = (16, 16, 32, 32, 64, 64, 128, 128)
    return (widths,)


@wrong("design_widths", says="yours is a network")
def the_network_itself():
    return vgg_mini(widths=(16, 16, 32, 32, 64, 64, 128, 128))


@right("design_widths")
def on_the_border():
    return (6, 16, 8, 12, 212, 124, 64)


@right("design_widths")
def searched_for():
    original = vgg_mini()
    least, most = count_parameters(original), count_macs(original, (3, 32, 32)) / 2
    for last in range(64, 512, 8):
        widths = (16, 16, 32, 32, 64, 64, last, last)
        design = vgg_mini(widths=widths)
        if count_parameters(design) >= least and count_macs(design, (3, 32, 32)) <= most:
            return widths


# --- of the second round of outsiders


@wrong("count_parameters", says="a parameter without axes")
def by_the_first_entry(network: nn.Module) -> int:
    total = 0
    for p in network.parameters():
        total += len(p) * p[0].numel()
    return total


@wrong("count_parameters", says="parameters called `weight` or `bias` alone")
def of_two_names_alone(network: nn.Module) -> int:
    total = 0
    for name, p in network.named_parameters():
        if name.split(".")[-1] in ("weight", "bias"):
            total += p.numel()
    return total


@wrong("conv_macs", says="`output_size` was changed")
def extends_the_size(conv, output_size):
    sizes = output_size
    if not isinstance(sizes, list):
        sizes = list(sizes)
    sizes += conv.kernel_size
    return math.prod(sizes) * conv.out_channels * (conv.in_channels // conv.groups)


@wrong("conv_macs", says="not in float32")
def in_float32(conv, output_size):
    factors = [*output_size, conv.out_channels, conv.in_channels // conv.groups, *conv.kernel_size]
    return int(torch.tensor(factors, dtype=torch.float32).prod())


@wrong("conv_macs", says="in an earlier call: remember nothing")
def remembered_without_groups(conv, output_size, known={}):
    key = (conv.in_channels, conv.out_channels, tuple(conv.kernel_size), tuple(output_size))
    if key not in known:
        known[key] = math.prod(output_size) * conv.weight.numel()
    return known[key]


@wrong("count_macs", says="a vector first and then a matrix")
def first_parameter_alone(network, input_size):
    macs = []

    def count(layer, inputs, output):
        if isinstance(layer, nn.Conv2d):
            macs.append(conv_macs(layer, output.shape[-2:]))
        elif isinstance(layer, nn.ConvTranspose2d):
            height, width = inputs[0].shape[-2:]
            macs.append(height * width * layer.weight.numel())
        elif isinstance(layer, nn.Linear):
            macs.append(layer.in_features * output.numel())
        elif next((p.ndim for p in layer.parameters(recurse=False)), 0) > 1:
            raise ValueError(f"unknown layer {type(layer).__name__}")

    first = next(network.parameters())
    image = torch.zeros(1, *input_size, dtype=first.dtype, device=first.device)
    handles = [layer.register_forward_hook(count) for layer in network.modules()]
    try:
        with evaluating(network):
            network(image)
    finally:
        for handle in handles:
            handle.remove()
    return sum(macs)


@wrong("count_macs", says="not at leaves alone")
def hooks_on_leaves_alone(network, input_size):
    macs = []

    def count(layer, inputs, output):
        if isinstance(layer, nn.Conv2d):
            macs.append(conv_macs(layer, output.shape[-2:]))
        elif isinstance(layer, nn.ConvTranspose2d):
            height, width = inputs[0].shape[-2:]
            macs.append(height * width * layer.weight.numel())
        elif isinstance(layer, nn.Linear):
            macs.append(layer.in_features * output.numel())
        elif any(p.ndim > 1 for p in layer.parameters(recurse=False)):
            raise ValueError(f"unknown layer {type(layer).__name__}")

    first = next(network.parameters())
    image = torch.zeros(1, *input_size, dtype=first.dtype, device=first.device)
    handles = [layer.register_forward_hook(count) for layer in network.modules() if not list(layer.children())]
    try:
        with evaluating(network):
            network(image)
    finally:
        for handle in handles:
            handle.remove()
    return sum(macs)


@wrong("weight_bytes", says="rounding before `bits`")
def rounds_before_the_bits(network, bits):
    return -(-count_parameters(network) // 8) * bits


@wrong("weight_bytes", says="the parameters of an earlier call")
def remembers_a_class(network, bits, counts={}):
    kind = type(network)
    if kind not in counts:
        counts[kind] = count_parameters(network)
    return (counts[kind] * bits + 7) // 8


@wrong("peak_activation_bytes", says="every module but Sequentials")
def all_but_sequentials(network, input_size):
    sizes = []

    def measure(layer, inputs, output):
        sizes.append(sum(t.nbytes for t in inputs) + output.nbytes)

    first = next(network.parameters())
    image = torch.zeros(1, *input_size, dtype=first.dtype, device=first.device)
    leaves = [m for m in network.modules() if not isinstance(m, nn.Sequential)]
    handles = [m.register_forward_hook(measure) for m in leaves]
    try:
        with evaluating(network):
            network(image)
    finally:
        for handle in handles:
            handle.remove()
    return max(sizes)


@wrong("peak_activation_bytes", says="Dropout, Identity and Flatten left out")
def free_layers_left_out(network, input_size):
    sizes = []

    def measure(layer, inputs, output):
        sizes.append(sum(t.nbytes for t in inputs) + output.nbytes)

    first = next(network.parameters())
    image = torch.zeros(1, *input_size, dtype=first.dtype, device=first.device)
    leaves = [
        m
        for m in network.modules()
        if not list(m.children()) and not isinstance(m, (nn.Dropout, nn.Identity, nn.Flatten))
    ]
    handles = [m.register_forward_hook(measure) for m in leaves]
    try:
        with evaluating(network):
            network(image)
    finally:
        for handle in handles:
            handle.remove()
    return max(sizes)


@wrong("median_latency", says="a run of warm-up all the same")
def one_warm_up_at_least(run, clock, warmup, repeats):
    for _ in range(max(1, warmup)):
        run()
    times = []
    for _ in range(repeats):
        start = clock()
        run()
        times.append(clock() - start)
    return statistics.median(times)


@wrong("median_latency", says="times rounded to microseconds")
def rounds_to_microseconds(run, clock, warmup, repeats):
    for _ in range(warmup):
        run()
    times = []
    for _ in range(repeats):
        start = clock()
        run()
        times.append(round(clock() - start, 6))
    return statistics.median(times)


@wrong("median_latency", says="the gaps between two runs")
def gaps_between_runs_too(run, clock, warmup, repeats):
    for _ in range(warmup):
        run()
    times = []
    for _ in range(repeats):
        times.append(clock())
        run()
        times.append(clock())
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    return statistics.median(gaps)
