"""Wrong and right answers to lab 10, as students write them."""

import copy
import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from autograder.answers import right, wrong

# --- slimming_step


@wrong("slimming_step", says="the penalty subtracted")
def slim_minus_because_it_shrinks(network, strength):
    "Scales should shrink, so the penalty has to be subtracted from the gradient."
    for module in network.modules():
        if isinstance(module, _BatchNorm) and module.weight is not None and module.weight.grad is not None:
            module.weight.grad.sub_(strength * torch.sign(module.weight.detach()))


@wrong("slimming_step", says="nothing was added to the gradient of 5.weight,")
def slim_only_2d_batch_norms(network, strength):
    "Batch norm is nn.BatchNorm2d."
    for m in network.modules():
        if isinstance(m, nn.BatchNorm2d) and m.weight is not None and m.weight.grad is not None:
            m.weight.grad.data.add_(strength * torch.sign(m.weight.data))


@wrong("slimming_step", says="only the batch norms' scales")
def slim_biases_too(network, strength):
    "All learned parameters of a batch norm are penalized, γ as well as β."
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, _BatchNorm):
                for p in module.parameters(recurse=False):
                    if p.grad is not None:
                        p.grad += strength * p.sign()


@wrong("slimming_step", says="strength · γ, the slope of γ²")
def slim_like_weight_decay(network, strength):
    "The gradient of a penalty on γ is proportional to γ, as in weight decay."
    for m in network.modules():
        if isinstance(m, _BatchNorm) and m.weight is not None and m.weight.grad is not None:
            m.weight.grad.add_(m.weight.detach(), alpha=strength)


@wrong("slimming_step", says="the gradient of the loss replaced")
def slim_overwrites_gradient(network, strength):
    "Sets the gradient to that of the penalty; the loss was dealt with in backward."
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            gamma = module.weight
            if gamma is None or gamma.grad is None:
                continue
            gamma.grad.copy_(strength * torch.sign(gamma.detach()))


@wrong("slimming_step", says="the sign of the GRADIENT")
def slim_sign_of_gradient(network, strength):
    "Takes the sign of the gradient, as it is the gradient that is changed."
    for module in network.modules():
        if isinstance(module, _BatchNorm) and module.weight is not None and module.weight.grad is not None:
            grad = module.weight.grad
            grad += strength * grad.sign()


@wrong("slimming_step", says="have moved")
def slim_shrinks_the_scales(network, strength):
    "Moves the scales themselves a bit nearer to 0, instead of their gradients."
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, _BatchNorm) and module.weight is not None and module.weight.grad is not None:
                module.weight -= strength * module.weight.sign()


@wrong("slimming_step", says="a scale of 0 taken for positive")
def slim_zero_counts_as_positive(network, strength):
    "A sign is either 1 or -1; 0 is not negative, so it gets 1."
    for m in network.modules():
        if isinstance(m, _BatchNorm) and m.weight is not None and m.weight.grad is not None:
            w = m.weight.detach()
            sign = torch.where(w >= 0, torch.ones_like(w), -torch.ones_like(w))
            m.weight.grad.add_(strength * sign)


@wrong("slimming_step", says="yours holds 1 of 4 numbers that are nan")
def slim_divides_by_magnitude(network, strength):
    "The sign of γ is γ / |γ|."
    for m in network.modules():
        if isinstance(m, _BatchNorm) and m.weight is not None and m.weight.grad is not None:
            w = m.weight.detach()
            m.weight.grad.add_(strength * w / w.abs())


@wrong("slimming_step", says="nothing was added to the gradient of features.1.weight,")
def slim_rebinds_a_local_name(network, strength):
    "Adds to a variable that names the gradient, and takes this for in place."
    for module in network.modules():
        if not isinstance(module, _BatchNorm) or module.weight is None:
            continue
        grad = module.weight.grad
        if grad is not None:
            grad = grad + strength * torch.sign(module.weight.detach())


@wrong("slimming_step", says="had no gradient, and now it has")
def slim_gives_frozen_scales_a_gradient(network, strength):
    "A scale without a gradient has the gradient 0, to which the penalty is added."
    for module in network.modules():
        if isinstance(module, _BatchNorm) and module.weight is not None:
            if module.weight.grad is None:
                module.weight.grad = torch.zeros_like(module.weight)
            module.weight.grad.add_(strength * torch.sign(module.weight.detach()))


@wrong("slimming_step", says="yours stopped with AttributeError")
def slim_frozen_scales_crash(network, strength):
    "After backward every scale has a gradient, so only affine=False needs a check."
    for module in network.modules():
        if isinstance(module, _BatchNorm) and module.affine:
            module.weight.grad.data.add_(strength * torch.sign(module.weight.data))


@wrong("slimming_step", says="yours stopped with AttributeError")
def slim_without_scale_crashes(network, strength):
    "Every batch norm has a scale, only its gradient can be missing."
    for module in network.modules():
        if isinstance(module, _BatchNorm) and module.weight.grad is not None:
            module.weight.grad.add_(strength * module.weight.detach().sign())


@wrong("slimming_step", says="yours stopped with TypeError")
def slim_asks_requires_grad(network, strength):
    "What requires a gradient has one; a trainable scale that the loss did not reach was forgotten."
    for m in network.modules():
        if isinstance(m, _BatchNorm) and m.weight is not None and m.weight.requires_grad:
            m.weight.grad += strength * torch.sign(m.weight.detach())


@wrong("slimming_step", says="had no gradient, and now it has")
def slim_backward_of_the_penalty(network, strength):
    "Calls backward on the penalty, which also reaches trainable scales that had no gradient."
    penalty = torch.zeros(1, requires_grad=True).sum()
    for m in network.modules():
        if isinstance(m, _BatchNorm) and m.weight is not None:
            penalty = penalty + strength * m.weight.abs().sum()
    penalty.backward()


@wrong("slimming_step", says="nothing was added to the gradient of 3.weight,")
def slim_stops_at_first_frozen(network, strength):
    "Leaves the function at the first batch norm that has no gradient, rather than going on to the next."
    for module in network.modules():
        if not isinstance(module, _BatchNorm):
            continue
        if module.weight is None or module.weight.grad is None:
            return
        module.weight.grad.add_(torch.sign(module.weight.detach()), alpha=strength)


@wrong("slimming_step", says="only the batch norms' scales")
def slim_all_vectors(network, strength):
    "One-dimensional parameters are the scales (and biases were forgotten)."
    with torch.no_grad():
        for p in network.parameters():
            if p.dim() == 1 and p.grad is not None:
                p.grad.add_(strength * torch.sign(p))


@wrong("slimming_step", says="only the batch norms' scales")
def slim_every_norm(network, strength):
    "Takes every layer with Norm in its name, also group and layer norms."
    for m in network.modules():
        if "Norm" in type(m).__name__:
            w = getattr(m, "weight", None)
            if w is not None and w.grad is not None:
                w.grad.add_(strength * w.detach().sign())


@wrong("slimming_step", says="nothing was added to the gradient of features.1.weight,")
def slim_only_direct_children(network, strength):
    "Looks at the children only, not at what is inside of blocks."
    for module in network.children():
        if isinstance(module, _BatchNorm) and module.weight is not None and module.weight.grad is not None:
            module.weight.grad.add_(strength * torch.sign(module.weight.detach()))


@wrong("slimming_step", says="only the batch norms' scales")
def slim_clears_other_gradients(network, strength):
    "Starts from clean gradients, as always before gradients are added."
    scales = [
        m.weight
        for m in network.modules()
        if isinstance(m, _BatchNorm) and m.weight is not None and m.weight.grad is not None
    ]
    network.zero_grad(set_to_none=False)
    for gamma in scales:
        gamma.grad += strength * torch.sign(gamma.detach())


@wrong("slimming_step", says="have moved")
def slim_sign_in_place(network, strength):
    "Uses sign_(), which turns the scales themselves into signs."
    for m in network.modules():
        if isinstance(m, _BatchNorm) and m.weight is not None and m.weight.grad is not None:
            m.weight.grad.add_(strength * m.weight.data.sign_())


@wrong("slimming_step", says="nothing was added to the gradient of features.1.weight,")
def slim_remembers_first_network(network, strength, scales=[]):
    "Collects the scales once, to be faster, and keeps them also for the next network."
    if not scales:
        scales.extend(m.weight for m in network.modules() if isinstance(m, _BatchNorm) and m.weight is not None)
    for gamma in scales:
        if gamma.grad is not None:
            gamma.grad.add_(strength * torch.sign(gamma.detach()))


@right("slimming_step")
def slim_plain_loop(network, strength):
    "Goes through the modules and adds to each gradient that is there."
    for module in network.modules():
        if not isinstance(module, _BatchNorm):
            continue
        gamma = module.weight
        if gamma is None or gamma.grad is None:
            continue
        gamma.grad.add_(torch.sign(gamma.detach()), alpha=strength)


@right("slimming_step")
def slim_where_no_grad(network, strength):
    "Adds or subtracts the strength by two comparisons, under no_grad."
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, kinds) and module.affine and module.weight.grad is not None:
                grad = module.weight.grad
                grad[module.weight > 0] += strength
                grad[module.weight < 0] -= strength


@right("slimming_step")
def slim_autograd_of_penalty(network, strength):
    "Lets autograd find the penalty's gradient for the scales that have one already."
    scales = [m.weight for m in network.modules() if isinstance(m, _BatchNorm)]
    scales = [gamma for gamma in scales if gamma is not None and gamma.grad is not None]
    for gamma in scales:
        leaf = gamma.detach().clone().requires_grad_()
        with torch.enable_grad():
            penalty = strength * leaf.abs().sum()
        gamma.grad += torch.autograd.grad(penalty, leaf)[0]


@right("slimming_step")
def slim_with_apply(network, strength):
    "Uses network.apply with a small function."

    @torch.no_grad()
    def visit(module):
        if isinstance(module, _BatchNorm):
            gamma = module._parameters.get("weight")
            if gamma is not None and gamma.grad is not None:
                gamma.grad += strength * ((gamma > 0).to(gamma.dtype) - (gamma < 0).to(gamma.dtype))

    network.apply(visit)


@right("slimming_step")
def slim_by_index(network, strength):
    "Channel by channel, with Python numbers."
    for module in network.modules():
        if isinstance(module, _BatchNorm) and module.weight is not None and module.weight.grad is not None:
            for i, value in enumerate(module.weight.tolist()):
                if value > 0:
                    module.weight.grad[i] += strength
                elif value < 0:
                    module.weight.grad[i] -= strength


# --- absorbed_bias


@wrong("absorbed_bias", says="the layer's own bias left out")
def absorb_forgets_own_bias(conv, constant):
    "Returns what the constants add, without the layer's own bias."
    w = conv.weight.detach()
    return w.reshape(w.shape[0], w.shape[1], -1).sum(2) @ constant


@wrong("absorbed_bias", says="yours stopped with AttributeError")
def absorb_needs_a_bias(conv, constant):
    "Every layer has a bias."
    w = conv.weight.detach()
    return conv.bias.detach() + w.reshape(w.shape[0], w.shape[1], -1).sum(2) @ constant


@wrong("absorbed_bias", says="yours stopped with TypeError")
def absorb_hasattr_bias(conv, constant):
    "Asks whether there is an attribute bias; it is there, but may be None."
    weight = conv.weight.detach()
    kernel_sum = weight.flatten(2).sum(-1) if weight.dim() > 2 else weight
    added = kernel_sum.mv(constant)
    if hasattr(conv, "bias"):
        added = added + conv.bias
    return added


@wrong("absorbed_bias", says="is the `return` missing")
def absorb_no_bias_gives_none(conv, constant):
    "A layer without a bias has none afterwards either."
    if conv.bias is None:
        return None
    w = conv.weight.detach()
    return conv.bias.detach() + w.reshape(*w.shape[:2], -1).sum(-1) @ constant


@wrong("absorbed_bias", says="the MEAN over the kernel")
def absorb_mean_over_kernel(conv, constant):
    "Averages the kernel instead of summing it."
    w = conv.weight.detach()
    w = w.reshape(w.shape[0], w.shape[1], -1).mean(dim=2)
    bias = torch.zeros_like(w[:, 0]) if conv.bias is None else conv.bias.detach()
    return bias + (w * constant).sum(1)


@wrong("absorbed_bias", says="the middle of the kernel only")
def absorb_central_tap(conv, constant):
    "Only the middle of the kernel sees the input at the same place."
    w = conv.weight.detach()
    if w.dim() == 4:
        w = w[:, :, w.shape[2] // 2, w.shape[3] // 2]
    out = w @ constant
    if conv.bias is not None:
        out = out + conv.bias.detach()
    return out


@wrong("absorbed_bias", says="the constants subtracted")
def absorb_subtracts(conv, constant):
    "What is taken away from the inputs is taken away from the bias."
    w = conv.weight.detach()
    w = w.reshape(w.shape[0], w.shape[1], -1).sum(dim=2)
    bias = torch.zeros(w.shape[0], dtype=w.dtype) if conv.bias is None else conv.bias.detach()
    return bias - w @ constant


@wrong("absorbed_bias", says="`conv.bias` was changed")
def absorb_adds_in_place(conv, constant):
    "Adds with += to the layer's own bias and so changes the layer."
    weight = conv.weight.detach()
    if weight.dim() == 4:
        weight = weight.sum(dim=(2, 3))
    bias = conv.bias.data if conv.bias is not None else weight.new_zeros(weight.shape[0])
    bias += weight @ constant
    return bias.clone()


@wrong("absorbed_bias", says="`conv.bias` was changed")
def absorb_stores_new_bias(conv, constant):
    "Gives the layer the new bias at once."
    with torch.no_grad():
        w = conv.weight.reshape(conv.weight.shape[0], conv.weight.shape[1], -1).sum(-1)
        bias = w @ constant
        if conv.bias is not None:
            bias = bias + conv.bias
    conv.bias = nn.Parameter(bias)
    return bias.clone()


@wrong("absorbed_bias", says="`conv.weight` was changed")
def absorb_cuts_the_weights(conv, constant):
    "Also sets the weights of the inputs that are gone to 0."
    with torch.no_grad():
        w = conv.weight.reshape(conv.weight.shape[0], conv.weight.shape[1], -1).sum(-1)
        bias = w @ constant
        if conv.bias is not None:
            bias = bias + conv.bias
        conv.weight[:, constant != 0] = 0
    return bias


@wrong("absorbed_bias", says="outputs and inputs of the weight swapped")
def absorb_inputs_come_first(conv, constant):
    "Takes the weight for (I, O, k, l)."
    w = conv.weight.detach()
    w = w.reshape(w.shape[0], w.shape[1], -1).sum(-1)
    added = torch.einsum("io,i->o", w, constant)
    return added if conv.bias is None else added + conv.bias.detach()


@wrong("absorbed_bias", says="first different at [0]")
def absorb_empty_dims_sum_everything(conv, constant):
    "Sums over all axes behind the second; for a linear layer there are none, and sum(()) sums all."
    w = conv.weight.detach()
    kernel_sum = w.sum(dim=tuple(range(2, w.dim())))
    added = (kernel_sum * constant).sum(-1)
    return added if conv.bias is None else added + conv.bias.detach()


@wrong("absorbed_bias", says="yours stopped with RuntimeError")
def absorb_convolutions_only(conv, constant):
    "The weight has four axes."
    added = torch.einsum("oikl,i->o", conv.weight.detach(), constant)
    return added if conv.bias is None else added + conv.bias.detach()


@wrong("absorbed_bias", says="what was absorbed left out")
def absorb_linear_layers_need_nothing(conv, constant):
    "Constant maps exist in convolutions only, a linear layer keeps its bias."
    outs = conv.weight.shape[0]
    bias = conv.bias.detach().clone() if conv.bias is not None else torch.zeros(outs, dtype=conv.weight.dtype)
    if isinstance(conv, nn.Linear):
        return bias
    for o in range(outs):
        for i in range(conv.weight.shape[1]):
            bias[o] += constant[i] * conv.weight[o, i].detach().sum()
    return bias


@wrong("absorbed_bias", says="first different at [0]")
def absorb_runs_layer_corner(conv, constant):
    "Runs the layer on constant maps and looks at the corner, where its padding is read."
    with torch.no_grad():
        if isinstance(conv, nn.Linear):
            return conv(constant)
        maps = constant.view(1, -1, 1, 1).expand(1, -1, 32, 32)
        return conv(maps)[0, :, 0, 0]


@wrong("absorbed_bias", says="first different at [0]")
def absorb_square_kernels(conv, constant):
    "Kernels are square: mean times k²."
    w = conv.weight.detach()
    if w.dim() == 4:
        k = conv.kernel_size[0]
        w = w.mean(dim=(2, 3)) * k**2
    added = w @ constant
    return added if conv.bias is None else conv.bias.detach() + added


@wrong("absorbed_bias", says="positive constants only")
def absorb_relu_of_constant(conv, constant):
    "What comes in went through a relu, so only positive constants count."
    w = conv.weight.detach()
    w = w.reshape(w.shape[0], w.shape[1], -1).sum(-1)
    added = w @ F.relu(constant)
    return added if conv.bias is None else conv.bias.detach() + added


@wrong("absorbed_bias", says="constants of 0 or 1")
def absorb_constant_as_a_mask(conv, constant):
    "`constant` tells which inputs are gone; their weights are summed."
    w = conv.weight.detach()
    w = w.reshape(w.shape[0], w.shape[1], -1).sum(-1)
    added = w[:, constant != 0].sum(dim=1)
    return added if conv.bias is None else conv.bias.detach() + added


@wrong("absorbed_bias", says="your shape:")
def absorb_shape_to_broadcast(conv, constant):
    "Returns (1, O, 1, 1), which can be added to the maps."
    w = conv.weight.detach()
    w = w.reshape(w.shape[0], w.shape[1], -1).sum(-1)
    added = w @ constant
    if conv.bias is not None:
        added = added + conv.bias.detach()
    return added.view(1, -1, 1, 1)


@wrong("absorbed_bias", says="of 1 inputs", hidden=True)
def absorb_squeezes(conv, constant):
    "Gets rid of axes with squeeze, also of those of one input or one output."
    w = conv.weight.detach()
    if w.dim() == 4:
        w = w.sum(dim=(2, 3), keepdim=True).squeeze()
    added = w @ constant
    return added if conv.bias is None else conv.bias.detach() + added


@wrong("absorbed_bias", says="keep the dtype")
def absorb_always_float32(conv, constant):
    "Computes in float32, whatever the weights are."
    w = conv.weight.detach().float()
    w = w.reshape(w.shape[0], w.shape[1], -1).sum(-1)
    bias = torch.zeros(w.shape[0]) if conv.bias is None else conv.bias.detach().float()
    return bias + w @ constant.float()


@wrong("absorbed_bias", says="first different at [0]")
def absorb_bias_for_each_input(conv, constant):
    "Adds the layer's own bias once for each input in the loop."
    weight = conv.weight.detach()
    total = weight.new_zeros(weight.shape[0])
    for i, value in enumerate(constant):
        total += value * weight[:, i].reshape(weight.shape[0], -1).sum(1)
        if conv.bias is not None:
            total += conv.bias.detach()
    return total


@wrong("absorbed_bias", says="the layer's own bias left out")
def absorb_replaces_bias(conv, constant):
    "Where constants add something, this takes the place of the layer's own bias."
    w = conv.weight.detach()
    w = w.reshape(w.shape[0], w.shape[1], -1).sum(-1)
    added = w @ constant
    if conv.bias is None:
        return added
    return torch.where(added != 0, added, conv.bias.detach())


@right("absorbed_bias")
def absorb_einsum(conv, constant):
    "Flattens the kernel to one axis (of length 1 for linear layers) and contracts it and the inputs."
    weight = conv.weight.detach()
    weight = weight.reshape(weight.shape[0], weight.shape[1], -1)
    added = torch.einsum("oik,i->o", weight, constant.detach().to(weight.dtype))
    return added if conv.bias is None else conv.bias.detach() + added


@right("absorbed_bias")
def absorb_convolves_one_window(conv, constant):
    "Convolves constant maps that are just as large as the kernel, without padding."
    with torch.no_grad():
        constant = constant.to(conv.weight.dtype)
        if conv.weight.dim() == 2:
            return F.linear(constant, conv.weight, conv.bias)
        height, width = conv.weight.shape[2:]
        window = constant[None, :, None, None].expand(1, -1, height, width)
        return F.conv2d(window, conv.weight, conv.bias).flatten()


@right("absorbed_bias")
def absorb_nested_loops(conv, constant):
    "Sums weight by weight in Python loops over outputs and inputs."
    weight = conv.weight.detach()
    outputs, inputs = weight.shape[:2]
    result = torch.zeros(outputs, dtype=weight.dtype, device=weight.device)
    for o in range(outputs):
        for i in range(inputs):
            result[o] += constant[i].item() * weight[o, i].sum()
        if conv.bias is not None:
            result[o] += conv.bias[o].item()
    return result


@right("absorbed_bias")
def absorb_runs_an_unpadded_copy(conv, constant):
    "Runs a copy of the layer, without padding, stride and dilation, on one window."
    probe = copy.deepcopy(conv)
    x = constant.detach().to(conv.weight.dtype)[None]
    if not isinstance(probe, nn.Linear):
        ones = (1,) * len(probe.kernel_size)
        probe.padding = (0,) * len(ones)
        probe.padding_mode = "zeros"
        probe.stride = probe.dilation = ones
        x = x.reshape(1, -1, *ones).expand(1, -1, *probe.kernel_size)
    with torch.no_grad():
        return probe(x).reshape(-1)


@right("absorbed_bias")
def absorb_broadcasts(conv, constant):
    "Multiplies the weight by the constants along axis 1 and sums each output's row."
    with torch.no_grad():
        shape = [1, -1] + [1] * (conv.weight.dim() - 2)
        moved = (conv.weight * constant.to(conv.weight.dtype).reshape(shape)).flatten(1).sum(dim=1)
        if conv.bias is not None:
            moved += conv.bias
    return moved


# --- soft_threshold


@wrong("soft_threshold", says="s itself as the threshold")
def soft_raw_s(weight, s):
    "s is the threshold."
    return torch.sign(weight) * F.relu(weight.abs() - s)


@wrong("soft_threshold", says="no relu")
def soft_without_relu(weight, s):
    "Moves all weights by the threshold, small ones beyond 0."
    return torch.sign(weight) * (weight.abs() - torch.sigmoid(s))


@wrong("soft_threshold", says="a HARD threshold")
def soft_is_hard(weight, s):
    "Sets small weights to 0 and leaves the large ones as they are."
    return torch.where(weight.abs() > torch.sigmoid(s), weight, torch.zeros_like(weight))


@wrong("soft_threshold", says="a HARD threshold")
def soft_sign_of_relu(weight, s):
    "Multiplies the weight by the sign of the relu, which is a mask and does not shrink."
    return weight * torch.sign(F.relu(torch.abs(weight) - torch.sigmoid(s)))


@wrong("soft_threshold", says="first different at [0]")
def soft_relu_of_signed(weight, s):
    "Applies the relu last, and loses negative weights."
    return F.relu(torch.sign(weight) * (weight.abs() - torch.sigmoid(s)))


@wrong("soft_threshold", says="first different at [0]")
def soft_bracket_misplaced(weight, s):
    "Closes the bracket of the relu too early."
    return weight.sign() * F.relu(weight.abs()) - torch.sigmoid(s)


@wrong("soft_threshold", says="sigmoid(-s) as the threshold")
def soft_sigmoid_of_minus_s(weight, s):
    "The larger s, the more should remain: sigmoid(-s)."
    t = 1 / (1 + torch.exp(s))
    return torch.sign(weight) * F.relu(weight.abs() - t)


@wrong("soft_threshold", says="first different at [0]")
def soft_relative_threshold(weight, s):
    "sigmoid(s) is between 0 and 1, so it is a fraction of the largest magnitude."
    threshold = torch.sigmoid(s) * weight.abs().max()
    return torch.sign(weight) * F.relu(weight.abs() - threshold)


@wrong("soft_threshold", says="first different at [0]")
def soft_quantile(weight, s):
    "sigmoid(s) is the fraction that is pruned."
    threshold = torch.quantile(weight.detach().abs().flatten(), float(torch.sigmoid(s)))
    return torch.sign(weight) * F.relu(weight.abs() - threshold)


@wrong("soft_threshold", says="`weight` was changed")
def soft_abs_in_place(weight, s):
    "Uses abs_(), which makes the weight itself positive."
    sign = torch.sign(weight)
    magnitude = weight.data.abs_()
    return sign * F.relu(magnitude - torch.sigmoid(s))


@wrong("soft_threshold", says="`weight` was changed")
def soft_writes_into_weight(weight, s):
    "Writes the result into the weight and returns it."
    t = torch.sigmoid(s)
    with torch.no_grad():
        weight.copy_(torch.sign(weight) * F.relu(weight.abs() - t))
    return weight


@wrong("soft_threshold", says="yours holds 1 of 9 numbers that are nan")
def soft_sign_by_division(weight, s):
    "W / |W| is the sign, also for 0."
    magnitude = weight.abs()
    return weight / magnitude * F.relu(magnitude - torch.sigmoid(s))


@wrong("soft_threshold", says="far out", hidden=True)
def soft_naive_sigmoid(weight, s):
    "exp(s) / (1 + exp(s)), which is inf / inf for a large s."
    threshold = torch.exp(s) / (1 + torch.exp(s))
    return torch.sign(weight) * F.relu(weight.abs() - threshold)


@wrong("soft_threshold", says="far out", hidden=True)
def soft_math_exp(weight, s):
    "Computes the sigmoid with math.exp, which overflows for the very negative s of a start."
    threshold = 1.0 / (1.0 + math.exp(-s.item()))
    return weight.sign() * (weight.abs() - threshold).clamp(min=0)


@wrong("soft_threshold", says="weights held between the threshold's two signs")
def soft_clamps(weight, s):
    "Keeps what lies within the threshold, rather than what goes beyond it."
    t = torch.sigmoid(s)
    return torch.minimum(torch.maximum(weight, -t), t)


@wrong("soft_threshold", says="the threshold subtracted from the weight, whatever its sign")
def soft_subtracts_on_both_sides(weight, s):
    "Subtracts the threshold from every large weight, so negative ones go away from 0."
    t = torch.sigmoid(s)
    return torch.where(weight.abs() > t, weight - t, torch.zeros_like(weight))


@wrong("soft_threshold", says="first different at [0]")
def soft_returns_mask(weight, s):
    "Returns which weights are kept."
    return (F.relu(weight.abs() - torch.sigmoid(s)) > 0).to(weight.dtype)


@wrong("soft_threshold", says="keep the dtype")
def soft_result_in_float32(weight, s):
    "Fills a fresh tensor of the default dtype."
    t = torch.sigmoid(s)
    out = torch.zeros(weight.shape)
    out[weight > t] = (weight[weight > t] - t).float()
    out[weight < -t] = (weight[weight < -t] + t).float()
    return out


@wrong("soft_threshold", says="yours stopped with ValueError")
def soft_matrix_loops(weight, s):
    "A weight is a matrix."
    t = torch.sigmoid(s)
    result = torch.zeros_like(weight)
    rows, columns = weight.shape
    for r in range(rows):
        for c in range(columns):
            w = weight[r, c]
            if w.abs() > t:
                result[r, c] = w - t if w > 0 else w + t
    return result


@wrong("soft_threshold", says="your shape:")
def soft_flat_list(weight, s):
    "Goes through all weights and forgets to restore the shape."
    t = torch.sigmoid(s).item()
    values = [math.copysign(max(abs(w) - t, 0.0), w) for w in weight.flatten().tolist()]
    return torch.tensor(values, dtype=weight.dtype)


@wrong("soft_threshold", says="first different at [3]")
def soft_smooth_sign(weight, s):
    "tanh(10 W) is a sign that can be differentiated."
    return torch.tanh(10 * weight) * F.relu(weight.abs() - torch.sigmoid(s))


@wrong("soft_threshold", says="first different at [0]")
def soft_softplus(weight, s):
    "Soft means softplus instead of relu."
    return torch.sign(weight) * F.softplus(weight.abs() - torch.sigmoid(s))


@right("soft_threshold")
def soft_as_written(weight, s):
    "The formula."
    return torch.sign(weight) * F.relu(torch.abs(weight) - torch.sigmoid(s))


@right("soft_threshold")
def soft_minus_clamped(weight, s):
    "Takes from each weight the part of it that lies within the threshold."
    threshold = torch.sigmoid(s).to(weight.dtype)
    return weight - torch.minimum(torch.maximum(weight, -threshold), threshold)


@right("soft_threshold")
def soft_three_cases(weight, s):
    "Three cases with torch.where."
    threshold = torch.sigmoid(s).to(weight.dtype)
    return torch.where(
        weight > threshold,
        weight - threshold,
        torch.where(weight < -threshold, weight + threshold, torch.zeros_like(weight)),
    )


@right("soft_threshold")
def soft_two_relus(weight, s):
    "One relu for positive weights minus one for negative weights."
    threshold = s.sigmoid()
    return F.relu(weight - threshold) - F.relu(-weight - threshold)


@right("soft_threshold")
def soft_copysign(weight, s):
    "Clamps the shrunk magnitude from below and copies the weight's sign to it."
    shrunk = (weight.abs() - torch.sigmoid(s)).clamp(min=0)
    return torch.copysign(shrunk, weight)


# --- soft_threshold_gradient


@wrong("soft_threshold_gradient", says="the absolute value left out")
def softgrad_without_abs(weight, s, gradient):
    "Compares the weight instead of its magnitude, and so leaves out negative weights."
    t = torch.sigmoid(s)
    kept = (weight > t).to(gradient.dtype)
    return gradient * kept, -(gradient * kept * torch.sign(weight)).sum() * t * (1 - t)


@wrong("soft_threshold_gradient", says="weights that lie AT the threshold among those above")
def softgrad_at_least(weight, s, gradient):
    "A weight at the threshold counts as above it."
    t = torch.sigmoid(s)
    kept = (weight.abs() >= t).to(gradient.dtype)
    return gradient * kept, -(gradient * kept * torch.sign(weight)).sum() * t * (1 - t)


@wrong("soft_threshold_gradient", says="the gradient passed everywhere")
def softgrad_straight_through(weight, s, gradient):
    "Passes the gradient straight through to all weights."
    t = torch.sigmoid(s)
    kept = weight.abs() > t
    ds = -(gradient * torch.sign(weight))[kept].sum() * t * (1 - t)
    return gradient.clone(), ds


@wrong("soft_threshold_gradient", says="the opposite sign")
def softgrad_plus(weight, s, gradient):
    "Forgets the minus in front of the threshold."
    t = torch.sigmoid(s)
    kept = weight.abs() > t
    dw = torch.where(kept, gradient, torch.zeros_like(gradient))
    return dw, (dw * torch.sign(weight)).sum() * t * (1 - t)


@wrong("soft_threshold_gradient", says="the slope of the sigmoid left out, sigmoid(s) · (1 - sigmoid(s))")
def softgrad_of_threshold_not_s(weight, s, gradient):
    "Gives the gradient in the threshold, without the derivative of the sigmoid."
    t = torch.sigmoid(s)
    dw = torch.where(weight.abs() > t, gradient, torch.zeros_like(gradient))
    return dw, -(dw * torch.sign(weight)).sum()


@wrong("soft_threshold_gradient", says="sigmoid(s) in place of its slope")
def softgrad_half_of_sigmoid_derivative(weight, s, gradient):
    "The derivative of the sigmoid is the sigmoid."
    t = torch.sigmoid(s)
    dw = gradient * (weight.abs() > t)
    return dw, -torch.sum(dw * weight.sign()) * t


@wrong("soft_threshold_gradient", says="the sign of W left out")
def softgrad_without_sign(weight, s, gradient):
    "Each weight adds -dL/dS, whichever side it is on."
    t = torch.sigmoid(s)
    dw = gradient * (weight.abs() > t)
    return dw, -dw.sum() * t * (1 - t)


@wrong("soft_threshold_gradient", says="W in place of its sign")
def softgrad_weight_for_sign(weight, s, gradient):
    "Multiplies by the weight, not by its sign."
    t = torch.sigmoid(s)
    dw = gradient * (weight.abs() > t)
    return dw, -(dw * weight).sum() * t * (1 - t)


@wrong("soft_threshold_gradient", says="weights below the threshold in the sum")
def softgrad_s_from_all_weights(weight, s, gradient):
    "Masks the weights' gradient, but lets all weights add to that of s."
    t = torch.sigmoid(s)
    dw = torch.where(weight.abs() > t, gradient, torch.zeros_like(gradient))
    ds = -(gradient * torch.sign(weight)).sum() * t * (1 - t)
    return dw, ds


@wrong("soft_threshold_gradient", says="the mean over the weights")
def softgrad_mean(weight, s, gradient):
    "Averages over the weights instead of summing."
    t = torch.sigmoid(s)
    dw = torch.where(weight.abs() > t, gradient, torch.zeros_like(gradient))
    ds = (-dw * torch.sign(weight) * t * (1 - t)).mean()
    return dw, ds


@wrong("soft_threshold_gradient", says="the mean over the weights")
def softgrad_mean_of_survivors(weight, s, gradient):
    "Averages over the weights that are above the threshold (of which there may be none)."
    t = torch.sigmoid(s)
    kept = weight.abs() > t
    ds = -(gradient[kept] * torch.sign(weight[kept])).mean() * t * (1 - t)
    return gradient * kept, ds


@wrong("soft_threshold_gradient", says="your shape:")
def softgrad_s_not_summed(weight, s, gradient):
    "Gives one gradient in s for each weight."
    t = torch.sigmoid(s)
    dw = torch.where(weight.abs() > t, gradient, torch.zeros_like(gradient))
    return dw, -dw * torch.sign(weight) * t * (1 - t)


@wrong("soft_threshold_gradient", says="your shape:")
def softgrad_s_of_length_one(weight, s, gradient):
    "Gives the gradient in s as a tensor (1,)."
    t = torch.sigmoid(s).view(1)
    kept = weight.abs() > t
    dw = gradient * kept
    return dw, -(dw * torch.sign(weight)).sum() * t * (1 - t)


@wrong("soft_threshold_gradient", says="is a tensor, yours is of type float")
def softgrad_s_as_python_number(weight, s, gradient):
    "Gives the gradient in s as a float."
    t = torch.sigmoid(s)
    kept = weight.abs() > t
    dw = gradient * kept
    ds = -(dw * torch.sign(weight)).sum() * t * (1 - t)
    return dw, ds.item()


@wrong("soft_threshold_gradient", says="your shape:")
def softgrad_swapped(weight, s, gradient):
    "Returns the gradient in s first."
    t = torch.sigmoid(s)
    dw = torch.where(weight.abs() > t, gradient, torch.zeros_like(gradient))
    ds = -(dw * torch.sign(weight)).sum() * t * (1 - t)
    return ds, dw


@wrong("soft_threshold_gradient", says="s as the threshold")
def softgrad_threshold_is_s(weight, s, gradient):
    "Compares with s itself."
    kept = weight.abs() > s
    dw = gradient * kept
    sig = torch.sigmoid(s)
    return dw, -(dw * torch.sign(weight)).sum() * sig * (1 - sig)


@wrong("soft_threshold_gradient", says="far out", hidden=True)
def softgrad_exponentials(weight, s, gradient):
    "Writes the sigmoid's derivative with exponentials, which is inf / inf for a very negative s."
    t = torch.sigmoid(s)
    kept = (weight.abs() > t).to(gradient.dtype)
    slope = torch.exp(-s) / (1 + torch.exp(-s)) ** 2
    return gradient * kept, -(gradient * kept * torch.sign(weight)).sum() * slope


@wrong("soft_threshold_gradient", says="`gradient` was changed")
def softgrad_zeros_gradient_in_place(weight, s, gradient):
    "Sets the gradient that it was given to 0 where the weight is small."
    t = torch.sigmoid(s)
    gradient[weight.abs() <= t] = 0
    return gradient.clone(), -(gradient * torch.sign(weight)).sum() * t * (1 - t)


@wrong("soft_threshold_gradient", says="the sign of W in it")
def softgrad_sign_in_weights_too(weight, s, gradient):
    "Multiplies also the weights' gradient by the sign, once, as of sign(W) · relu(...)."
    t = torch.sigmoid(s)
    signed = torch.sign(weight) * gradient * (weight.abs() > t)
    return signed, -signed.sum() * t * (1 - t)


@wrong("soft_threshold_gradient", says="gradients above the threshold passed")
def softgrad_thresholds_the_gradient(weight, s, gradient):
    "Compares the magnitude of the gradient with the threshold."
    t = torch.sigmoid(s)
    kept = gradient.abs() > t
    dw = gradient * kept
    return dw, -(dw * torch.sign(weight)).sum() * t * (1 - t)


@wrong("soft_threshold_gradient", says="nothing")
def softgrad_forgets_upstream(weight, s, gradient):
    "Derives S in s, and forgets the chain rule's dL/dS there."
    t = torch.sigmoid(s)
    kept = weight.abs() > t
    return gradient * kept, -(torch.sign(weight) * kept).sum() * t * (1 - t)


@wrong("soft_threshold_gradient", says="is a tensor, yours is of type NoneType")
def softgrad_none_if_all_small(weight, s, gradient):
    "When no weight is above the threshold there is no gradient in s."
    t = torch.sigmoid(s)
    kept = weight.abs() > t
    dw = torch.where(kept, gradient, torch.zeros_like(gradient))
    if not kept.any():
        return dw, None
    return dw, -(gradient[kept] * weight[kept].sign()).sum() * t * (1 - t)


@wrong("soft_threshold_gradient", says="`s` was changed")
def softgrad_backward_accumulates(weight, s, gradient):
    "Calls backward and reads s.grad, to which an earlier call has already added."
    w = weight.detach().clone().requires_grad_()
    s.requires_grad_()
    out = torch.sign(w) * F.relu(w.abs() - torch.sigmoid(s))
    out.backward(gradient)
    return w.grad, s.grad.clone()


@right("soft_threshold_gradient")
def softgrad_as_written(weight, s, gradient):
    "The two formulas, with torch.where."
    threshold = torch.sigmoid(s.detach())
    weight = weight.detach()
    in_weight = torch.where(weight.abs() > threshold, gradient, torch.zeros_like(gradient))
    in_s = -(in_weight * torch.sign(weight)).sum() * threshold * (1 - threshold)
    return in_weight, in_s.to(s.dtype)


@right("soft_threshold_gradient")
def softgrad_autograd(weight, s, gradient):
    "Lets autograd differentiate the formula of S at copies of both."
    w = weight.detach().clone().requires_grad_()
    t = s.detach().clone().requires_grad_()
    with torch.enable_grad():
        out = torch.sign(w) * F.relu(torch.abs(w) - torch.sigmoid(t))
    return torch.autograd.grad(out, (w, t), grad_outputs=gradient)


@right("soft_threshold_gradient")
def softgrad_indexes_survivors(weight, s, gradient):
    "Takes out the weights that are above the threshold, by index."
    with torch.no_grad():
        t = torch.sigmoid(s)
        positive, negative = weight > t, weight < -t
        in_weight = torch.zeros_like(gradient)
        in_weight[positive] = gradient[positive]
        in_weight[negative] = gradient[negative]
        in_s = (gradient[negative].sum() - gradient[positive].sum()) * t * (1 - t)
    return in_weight, in_s.to(s.dtype)


@right("soft_threshold_gradient")
def softgrad_element_loop(weight, s, gradient):
    "Weight by weight in a loop."
    t = torch.sigmoid(s.detach())
    flat_weight, flat_gradient = weight.detach().reshape(-1), gradient.detach().reshape(-1)
    in_weight = torch.zeros_like(flat_gradient)
    in_s = torch.zeros_like(s.detach())
    for i in range(flat_weight.numel()):
        w, g = flat_weight[i], flat_gradient[i]
        if w > t:
            in_weight[i] = g
            in_s -= g * t * (1 - t)
        elif w < -t:
            in_weight[i] = g
            in_s += g * t * (1 - t)
    return in_weight.reshape(weight.shape), in_s


@right("soft_threshold_gradient")
def softgrad_dot_product(weight, s, gradient):
    "A dot product of the gradient with the slope of S in s."
    with torch.no_grad():
        t = torch.sigmoid(s)
        alive = (weight.abs() > t).to(gradient.dtype)
        slope = -(alive * torch.sign(weight) * t * torch.sigmoid(-s))
        in_s = torch.dot(gradient.flatten(), slope.flatten())
    return gradient * alive, in_s.to(s.dtype)


# --- dense_update


@wrong("dense_update", says="old gradients added, that were not forgotten (optimizer.zero_grad() comes before")
def dense_forgets_zero_grad(network, images, labels, optimizer, masks):
    "Forgets to clear the gradients of earlier steps."
    network.train()
    params = dict(network.named_parameters())
    dense = {name: params[name].detach().clone() for name in masks}
    with torch.no_grad():
        for name in masks:
            params[name].mul_(masks[name])
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    with torch.no_grad():
        for name in masks:
            params[name].copy_(dense[name])
    optimizer.step()
    return loss.item()


@wrong("dense_update", says="old gradients added, that were not forgotten (optimizer.zero_grad() comes before")
def dense_clears_gradients_afterwards(network, images, labels, optimizer, masks):
    "Clears the gradients behind the step, for the next one, and trusts that they were clear before."
    network.train()
    dense = {}
    for name, p in network.named_parameters():
        if name in masks:
            dense[name] = p.data
            p.data = p.data * masks[name]
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    for name, p in network.named_parameters():
        if name in dense:
            p.data = dense[name]
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


@wrong("dense_update", says="the masks applied to the dense weights at the end")
def dense_masks_again_after_step(network, images, labels, optimizer, masks):
    "Brings the dense weights back for the step and masks them again behind it."
    network.train()
    optimizer.zero_grad()
    params = dict(network.named_parameters())
    saved = {n: params[n].data.clone() for n in masks}
    for n, m in masks.items():
        params[n].data.mul_(m)
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    for n in masks:
        params[n].data.copy_(saved[n])
    optimizer.step()
    for n, m in masks.items():
        params[n].data.mul_(m)
    return float(loss)


@wrong("dense_update", says="gradients that are masked")
def dense_masks_the_gradients(network, images, labels, optimizer, masks):
    "Multiplies the gradients by the masks too, as usual in training with masks."
    network.train()
    optimizer.zero_grad()
    params = dict(network.named_parameters())
    saved = {n: params[n].data.clone() for n in masks}
    for n, m in masks.items():
        params[n].data.mul_(m)
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    for n, m in masks.items():
        params[n].data.copy_(saved[n])
        params[n].grad.mul_(m)
    optimizer.step()
    return loss.item()


@wrong("dense_update", says="gradients that are masked")
def dense_differentiates_through_masks(network, images, labels, optimizer, masks):
    "Lets autograd go through the product with the mask, which makes the gradient of what is masked 0."
    network.train()
    optimizer.zero_grad()
    masked = {name: p * masks[name] for name, p in network.named_parameters() if name in masks}
    loss = F.cross_entropy(functional_call(network, masked, (images,)), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("dense_update", says="the dense weights put back AFTER the step, which is lost")
def dense_restores_after_step(network, images, labels, optimizer, masks):
    "Restores the dense weights behind the step and so takes the step back."
    network.train()
    optimizer.zero_grad()
    backup = {}
    for name, p in network.named_parameters():
        if name in masks:
            backup[name] = p.detach().clone()
            p.data.mul_(masks[name])
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    optimizer.step()
    for name, p in network.named_parameters():
        if name in backup:
            p.data.copy_(backup[name])
    return loss.item()


@wrong("dense_update", says="gradients that are masked")
def dense_masked_weights_stand_still(network, images, labels, optimizer, masks):
    "Takes the step on the masked weights and then puts the old values back where the mask is 0."
    network.train()
    optimizer.zero_grad()
    backup = {}
    for name, p in network.named_parameters():
        if name in masks:
            backup[name] = p.detach().clone()
            p.data.mul_(masks[name])
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    optimizer.step()
    for name, p in network.named_parameters():
        if name in backup:
            gone = masks[name] == 0
            p.data[gone] = backup[name][gone]
    return loss.item()


@wrong("dense_update", says="weight decay acts", hidden=True)
def dense_adds_the_rest_after_step(network, images, labels, optimizer, masks):
    "Takes the step on the masked weights and adds what was masked behind it: weight decay saw zeros."
    network.train()
    optimizer.zero_grad()
    rest = {}
    with torch.no_grad():
        for name, p in network.named_parameters():
            if name in masks:
                rest[name] = p - p * masks[name]
                p.mul_(masks[name])
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        for name, p in network.named_parameters():
            if name in rest:
                p.add_(rest[name])
    return loss.item()


@wrong("dense_update", says="features.0.weight is not what it should be")
def dense_restores_before_backward(network, images, labels, optimizer, masks):
    "Restores the dense weights behind the forward pass, so that backward uses them."
    network.train()
    optimizer.zero_grad()
    params = dict(network.named_parameters())
    dense = {name: params[name].data.clone() for name in masks}
    for name, mask in masks.items():
        params[name].data.mul_(mask)
    loss = F.cross_entropy(network(images), labels)
    for name in masks:
        params[name].data.copy_(dense[name])
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("dense_update", says="the dense weights never put back")
def dense_backup_without_clone(network, images, labels, optimizer, masks):
    "Keeps references to the dense weights, not copies."
    network.train()
    optimizer.zero_grad()
    dense = {name: p.data for name, p in network.named_parameters()}
    for name, p in network.named_parameters():
        if name in masks:
            p.data *= masks[name]
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    for name, p in network.named_parameters():
        p.data = dense[name]
    optimizer.step()
    return loss.item()


@wrong("dense_update", says="return the loss that the step started from")
def dense_divides_masks_out(network, images, labels, optimizer, masks):
    "Undoes the product by a division."
    network.train()
    optimizer.zero_grad()
    params = dict(network.named_parameters())
    with torch.no_grad():
        for name, mask in masks.items():
            params[name].mul_(mask)
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    with torch.no_grad():
        for name, mask in masks.items():
            params[name].div_(mask)
    optimizer.step()
    return loss.item()


@wrong("dense_update", says="running statistics put back")
def dense_loads_old_state(network, images, labels, optimizer, masks):
    "Restores the whole state dict, also the running statistics of batch norms."
    network.train()
    optimizer.zero_grad()
    state = copy.deepcopy(network.state_dict())
    with torch.no_grad():
        for name, p in network.named_parameters():
            if name in masks:
                p.mul_(masks[name])
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    network.load_state_dict(state)
    optimizer.step()
    return loss.item()


@wrong("dense_update", says="running statistics put back")
def dense_gradients_of_a_copy(network, images, labels, optimizer, masks):
    "Computes everything in a masked copy, so the network's own running statistics do not move."
    network.train()
    optimizer.zero_grad()
    sparse = copy.deepcopy(network)
    with torch.no_grad():
        for name, p in sparse.named_parameters():
            if name in masks:
                p.mul_(masks[name])
    loss = F.cross_entropy(sparse(images), labels)
    loss.backward()
    for p, q in zip(network.parameters(), sparse.parameters(), strict=True):
        p.grad = q.grad
    optimizer.step()
    return loss.item()


@wrong("dense_update", says="the dense weights put back AFTER the step, which is lost")
def dense_new_parameters(network, images, labels, optimizer, masks):
    "Puts new parameters into the modules, which the optimizer does not know."
    network.train()
    optimizer.zero_grad()
    dense = {name: network.get_parameter(name).detach().clone() for name in masks}
    with torch.no_grad():
        for name, mask in masks.items():
            network.get_parameter(name).mul_(mask)
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    for name in masks:
        path, _, attribute = name.rpartition(".")
        new = nn.Parameter(dense[name])
        new.grad = network.get_parameter(name).grad
        setattr(network.get_submodule(path), attribute, new)
    optimizer.step()
    return loss.item()


@wrong("dense_update", says="features.0.weight is not what it should be")
def dense_eval_mode(network, images, labels, optimizer, masks):
    "Computes the loss in evaluation mode, to have it without noise."
    was_training = network.training
    network.eval()
    optimizer.zero_grad()
    params = dict(network.named_parameters())
    dense = {name: params[name].detach().clone() for name in masks}
    with torch.no_grad():
        for name in masks:
            params[name].mul_(masks[name])
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    with torch.no_grad():
        for name in masks:
            params[name].copy_(dense[name])
    optimizer.step()
    network.train(was_training)
    return loss.item()


@wrong("dense_update", says="the network in evaluation mode")
def dense_mode_as_it_comes(network, images, labels, optimizer, masks):
    "Does not set training mode, the caller has done it."
    optimizer.zero_grad()
    dense = {}
    for name, p in network.named_parameters():
        if name in masks:
            dense[name] = p.data
            p.data = p.data * masks[name]
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    for name, p in network.named_parameters():
        if name in dense:
            p.data = dense[name]
    optimizer.step()
    return loss.item()


@wrong("dense_update", says="the SUM of the images' losses")
def dense_summed_loss(network, images, labels, optimizer, masks):
    "Sums the cross-entropy over the batch."
    network.train()
    optimizer.zero_grad()
    dense = {}
    for name, p in network.named_parameters():
        if name in masks:
            dense[name] = p.data
            p.data = p.data * masks[name]
    loss = F.cross_entropy(network(images), labels, reduction="sum")
    loss.backward()
    for name, p in network.named_parameters():
        if name in dense:
            p.data = dense[name]
    optimizer.step()
    return loss.item()


@wrong("dense_update", says="return Python numbers")
def dense_returns_tensor(network, images, labels, optimizer, masks):
    "Returns the loss as a tensor."
    network.train()
    optimizer.zero_grad()
    params = dict(network.named_parameters())
    dense = {name: params[name].detach().clone() for name in masks}
    with torch.no_grad():
        for name in masks:
            params[name].mul_(masks[name])
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    with torch.no_grad():
        for name in masks:
            params[name].copy_(dense[name])
    optimizer.step()
    return loss.detach()


@wrong("dense_update", says="features.1.running_mean is not what it should be")
def dense_returns_loss_after_step(network, images, labels, optimizer, masks):
    "Returns the loss of the masked weights behind the step."

    def masked_loss():
        tensors = {}
        for name, p in network.named_parameters():
            if name in masks:
                tensors[name] = (p.detach() * masks[name]).requires_grad_()
        return tensors, F.cross_entropy(functional_call(network, tensors, (images,)), labels)

    network.train()
    optimizer.zero_grad()
    tensors, loss = masked_loss()
    loss.backward()
    for name, t in tensors.items():
        network.get_parameter(name).grad = t.grad
    optimizer.step()
    with torch.no_grad():
        return masked_loss()[1].item()


@wrong("dense_update", says="the loss of the DENSE network")
def dense_returns_dense_loss(network, images, labels, optimizer, masks):
    "Computes the loss before the masks are applied, and the gradients with them."
    network.train()
    optimizer.zero_grad()
    with torch.no_grad():
        buffers = {name: b.clone() for name, b in network.named_buffers()}
        start = F.cross_entropy(network(images), labels).item()
        for name, b in network.named_buffers():
            b.copy_(buffers[name])
    dense = {}
    for name, p in network.named_parameters():
        if name in masks:
            dense[name] = p.data
            p.data = p.data * masks[name]
    F.cross_entropy(network(images), labels).backward()
    for name, p in network.named_parameters():
        if name in dense:
            p.data = dense[name]
    optimizer.step()
    return start


@wrong("dense_update", says="only masks with two axes or more")
def dense_ignores_masks_of_biases(network, images, labels, optimizer, masks):
    "Masks belong to weights; vectors are never pruned."
    network.train()
    optimizer.zero_grad()
    dense = {}
    for name, p in network.named_parameters():
        if name in masks and p.dim() > 1:
            dense[name] = p.data
            p.data = p.data * masks[name]
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    for name, p in network.named_parameters():
        if name in dense:
            p.data = dense[name]
    optimizer.step()
    return loss.item()


@wrong("dense_update", says="yours stopped with KeyError")
def dense_needs_mask_for_everything(network, images, labels, optimizer, masks):
    "Every parameter has a mask."
    network.train()
    optimizer.zero_grad()
    dense = []
    with torch.no_grad():
        for name, p in network.named_parameters():
            dense.append(p.clone())
            p.mul_(masks[name])
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    with torch.no_grad():
        for p, d in zip(network.parameters(), dense, strict=True):
            p.copy_(d)
    optimizer.step()
    return loss.item()


@wrong("dense_update", says="a new optimizer, without momentum")
def dense_fresh_optimizer(network, images, labels, optimizer, masks):
    "Makes a new optimizer of the same kind and learning rate, without momentum and its history."
    network.train()
    optimizer.zero_grad()
    params = dict(network.named_parameters())
    dense = {name: params[name].detach().clone() for name in masks}
    with torch.no_grad():
        for name in masks:
            params[name].mul_(masks[name])
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    with torch.no_grad():
        for name in masks:
            params[name].copy_(dense[name])
    fresh = type(optimizer)(network.parameters(), lr=optimizer.param_groups[0]["lr"])
    fresh.step()
    return loss.item()


@wrong("dense_update", says="no masks", hidden=True)
def dense_nothing_without_masks(network, images, labels, optimizer, masks):
    "Without masks there is nothing to do."
    if not masks:
        return 0.0
    network.train()
    optimizer.zero_grad()
    params = dict(network.named_parameters())
    dense = {name: params[name].detach().clone() for name in masks}
    with torch.no_grad():
        for name in masks:
            params[name].mul_(masks[name])
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    with torch.no_grad():
        for name in masks:
            params[name].copy_(dense[name])
    optimizer.step()
    return loss.item()


@wrong("dense_update", says="features.0.weight is not what it should be")
def dense_gradients_at_dense_weights(network, images, labels, optimizer, masks):
    "Measures the loss with the masks, but takes the gradients at the dense weights."
    network.train()
    optimizer.zero_grad()
    params = dict(network.named_parameters())
    buffers = {name: b.clone() for name, b in network.named_buffers()}
    with torch.no_grad():
        masked = {name: params[name] * mask for name, mask in masks.items()}
        start = F.cross_entropy(functional_call(network, masked, (images,)), labels).item()
        kept = {name: b.clone() for name, b in network.named_buffers()}
        for name, b in network.named_buffers():
            b.copy_(buffers[name])
    F.cross_entropy(network(images), labels).backward()
    for name, b in network.named_buffers():
        b.copy_(kept[name])
    optimizer.step()
    return start


@right("dense_update")
def dense_copy_mask_restore(network, images, labels, optimizer, masks):
    "Copies the dense values, masks in place, and copies them back between backward and the step."
    network.train()
    optimizer.zero_grad()
    network.zero_grad()
    parameters = {name: network.get_parameter(name) for name in masks}
    dense = {name: p.detach().clone() for name, p in parameters.items()}
    with torch.no_grad():
        for name, p in parameters.items():
            p.mul_(masks[name])
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    with torch.no_grad():
        for name, p in parameters.items():
            p.copy_(dense[name])
    optimizer.step()
    return loss.item()


@right("dense_update")
def dense_functional_leaves(network, images, labels, optimizer, masks):
    "Calls the network with masked leaves in the parameters' places and hands their gradients to the parameters."
    network.train()
    network.zero_grad(set_to_none=True)
    leaves = {}
    for name, p in network.named_parameters():
        if name in masks:
            leaves[name] = (p.detach() * masks[name].to(p.dtype)).requires_grad_(p.requires_grad)
    loss = F.cross_entropy(functional_call(network, leaves, (images,)), labels)
    loss.backward()
    for name, p in network.named_parameters():
        if name in leaves:
            p.grad = leaves[name].grad
    optimizer.step()
    return float(loss.detach())


@right("dense_update")
def dense_straight_through_function(network, images, labels, optimizer, masks):
    "An autograd function multiplies by the mask and passes the gradient on as it is."

    class Masked(torch.autograd.Function):
        @staticmethod
        def forward(ctx, parameter, mask):
            return parameter * mask.to(parameter.dtype)

        @staticmethod
        def backward(ctx, gradient):
            return gradient, None

    network.train()
    network.zero_grad()
    named = dict(network.named_parameters())
    tensors = {name: Masked.apply(named[name], mask) for name, mask in masks.items()}
    loss = F.cross_entropy(functional_call(network, tensors, (images,)), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


@right("dense_update")
def dense_swaps_data(network, images, labels, optimizer, masks):
    "Hangs masked data into the parameters and the dense data back, whatever happens in between."
    network.train()
    optimizer.zero_grad(set_to_none=True)
    swapped = []
    try:
        for name, p in network.named_parameters():
            if name in masks:
                swapped.append((p, p.data))
                p.data = p.data * masks[name].to(p.dtype)
        loss = nn.CrossEntropyLoss()(network(images), labels)
        loss.backward()
    finally:
        for p, data in swapped:
            p.data = data
    optimizer.step()
    return loss.item()


@right("dense_update")
def dense_autograd_grad(network, images, labels, optimizer, masks):
    "Asks autograd for the gradients and sets them, instead of calling backward."
    network.train(True)
    everything = dict(network.named_parameters())
    trainable = [p for p in everything.values() if p.requires_grad]
    backup = {name: torch.empty_like(everything[name]).copy_(everything[name].detach()).detach() for name in masks}
    with torch.no_grad():
        for name, mask in masks.items():
            everything[name].mul_(mask)
    log_probabilities = F.log_softmax(network(images), dim=1)
    loss = -log_probabilities.gather(1, labels.unsqueeze(1)).mean()
    gradients = torch.autograd.grad(loss, trainable, allow_unused=True)
    with torch.no_grad():
        for name, dense in backup.items():
            everything[name].copy_(dense)
    optimizer.zero_grad()
    network.zero_grad()
    for p, g in zip(trainable, gradients, strict=True):
        p.grad = g
    optimizer.step()
    return loss.item()


# --- auxiliary_step


@wrong("auxiliary_step", says="the step in the wrong direction")
def aux_ascends(auxiliary, weight, gradient, lr, strength):
    "Adds the step."
    g = torch.sigmoid(auxiliary)
    return auxiliary + lr * (gradient * torch.sign(weight) * g + strength * g)


@wrong("auxiliary_step", says="`auxiliary` was changed")
def aux_in_place(auxiliary, weight, gradient, lr, strength):
    "Updates the auxiliary parameters in place, as optimizers do."
    with torch.no_grad():
        g = torch.sigmoid(auxiliary)
        auxiliary -= lr * (gradient * torch.sign(weight) * g + strength * g)
    return auxiliary


@wrong("auxiliary_step", says="`auxiliary` was changed")
def aux_in_place_on_detached(auxiliary, weight, gradient, lr, strength):
    "detach() makes a new tensor (which shares the values with the old one)."
    m = auxiliary.detach()
    g = torch.sigmoid(m)
    m.sub_(lr * g * (gradient * weight.sign() + strength))
    return m


@wrong("auxiliary_step", says="W in place of its sign")
def aux_weight_for_sign(auxiliary, weight, gradient, lr, strength):
    "T = W · 1[m > 0], so the chain rule has W in it."
    g = torch.sigmoid(auxiliary)
    return auxiliary - lr * (gradient * weight * g + strength * g)


@wrong("auxiliary_step", says="the sign of W left out")
def aux_without_sign(auxiliary, weight, gradient, lr, strength):
    "Takes the gradient as it is."
    g = torch.sigmoid(auxiliary)
    return auxiliary - lr * (gradient * g + strength * g)


@wrong("auxiliary_step", says="first different at [0]")
def aux_sign_of_gradient(auxiliary, weight, gradient, lr, strength):
    "Exchanges the roles: weight times the sign of the gradient."
    g = torch.sigmoid(auxiliary)
    return auxiliary - lr * (weight * torch.sign(gradient) * g + strength * g)


@wrong("auxiliary_step", says="the gradient only where m > 0")
def aux_sign_of_masked_weight(auxiliary, weight, gradient, lr, strength):
    "Takes the sign of the masked weight, so what is masked can come back no more."
    masked = weight * (auxiliary > 0).to(weight.dtype)
    g = torch.sigmoid(auxiliary)
    return auxiliary - lr * (gradient * torch.sign(masked) * g + strength * g)


@wrong("auxiliary_step", says="first different at [2]")
def aux_masks_everything(auxiliary, weight, gradient, lr, strength):
    "Only parameters whose weight is in use are updated."
    alive = auxiliary > 0
    new = auxiliary.detach().clone()
    g = torch.sigmoid(auxiliary[alive])
    new[alive] -= lr * (gradient[alive] * torch.sign(weight[alive]) * g + strength * g)
    return new


@wrong("auxiliary_step", says="the penalty only where m > 0")
def aux_penalty_only_above_zero(auxiliary, weight, gradient, lr, strength):
    "The penalty counts what is above 0, and acts there only."
    g = torch.sigmoid(auxiliary)
    penalty = strength * g * (auxiliary > 0)
    return auxiliary - lr * (gradient * torch.sign(weight) * g + penalty)


@wrong("auxiliary_step", says="the slope of the sigmoid, g(m) · (1 - g(m))")
def aux_slope_of_sigmoid(auxiliary, weight, gradient, lr, strength):
    "g is the slope of the sigmoid: σ (1 - σ)."
    sig = torch.sigmoid(auxiliary)
    g = sig * (1 - sig)
    return auxiliary - lr * (gradient * torch.sign(weight) * g + strength * g)


@wrong("auxiliary_step", says="the step 1[m > 0] itself in place of g(m)")
def aux_hard_step_as_slope(auxiliary, weight, gradient, lr, strength):
    "Takes 1[m > 0] for the slope, that of relu."
    g = (auxiliary > 0).to(auxiliary.dtype)
    return auxiliary - lr * (gradient * torch.sign(weight) * g + strength * g)


@wrong("auxiliary_step", says="g(W) in place of g(m)")
def aux_sigmoid_of_weight(auxiliary, weight, gradient, lr, strength):
    "Puts the weight into g."
    g = torch.sigmoid(weight)
    return auxiliary - lr * (gradient * torch.sign(weight) * g + strength * g)


@wrong("auxiliary_step", says="the penalty without g(m)")
def aux_penalty_without_slope(auxiliary, weight, gradient, lr, strength):
    "The penalty pulls every m down by the same strength."
    g = torch.sigmoid(auxiliary)
    return auxiliary - lr * (gradient * torch.sign(weight) * g + strength)


@wrong("auxiliary_step", says="the loss without g(m)")
def aux_gradient_without_slope(auxiliary, weight, gradient, lr, strength):
    "Passes the loss's gradient straight through; only the penalty has the slope."
    return auxiliary - lr * (gradient * weight.sign() + strength * torch.sigmoid(auxiliary))


@wrong("auxiliary_step", says="the learning rate of the penalty left out")
def aux_penalty_outside_lr(auxiliary, weight, gradient, lr, strength):
    "The bracket behind lr is missing, the penalty is not scaled by it."
    g = torch.sigmoid(auxiliary)
    return auxiliary - lr * gradient * torch.sign(weight) * g - strength * g


@wrong("auxiliary_step", says="the penalty left out")
def aux_forgets_penalty(auxiliary, weight, gradient, lr, strength):
    "Only the loss, no penalty."
    return auxiliary - lr * gradient * torch.sign(weight) * torch.sigmoid(auxiliary)


@wrong("auxiliary_step", says="first different at [0]")
def aux_mean_penalty(auxiliary, weight, gradient, lr, strength):
    "Takes the penalty as a mean over the weights."
    g = torch.sigmoid(auxiliary)
    penalty = strength * g / auxiliary.numel()
    return auxiliary - lr * (gradient * torch.sign(weight) * g + penalty)


@wrong("auxiliary_step", says="first different at [5]")
def aux_zero_weight_counts_as_positive(auxiliary, weight, gradient, lr, strength):
    "A weight that is not negative is positive."
    sign = torch.where(weight < 0, -torch.ones_like(weight), torch.ones_like(weight))
    g = torch.sigmoid(auxiliary)
    return auxiliary - lr * (gradient * sign * g + strength * g)


@wrong("auxiliary_step", says="yours holds 1 of 6 numbers that are nan")
def aux_sign_by_division(auxiliary, weight, gradient, lr, strength):
    "sign(W) = W / |W|, also for 0."
    g = torch.sigmoid(auxiliary)
    return auxiliary - lr * g * (gradient * weight / weight.abs() + strength)


@wrong("auxiliary_step", says="far out", hidden=True)
def aux_naive_sigmoid(auxiliary, weight, gradient, lr, strength):
    "exp(m) / (1 + exp(m)), which is inf / inf for a large m."
    e = torch.exp(auxiliary)
    g = e / (1 + e)
    return auxiliary - lr * (gradient * torch.sign(weight) * g + strength * g)


@wrong("auxiliary_step", says="the mask in place of m")
def aux_returns_mask(auxiliary, weight, gradient, lr, strength):
    "Returns the mask after the step."
    g = torch.sigmoid(auxiliary)
    new = auxiliary - lr * (gradient * torch.sign(weight) * g + strength * g)
    return (new > 0).to(weight.dtype)


@wrong("auxiliary_step", says="`gradient` was changed")
def aux_changes_gradient(auxiliary, weight, gradient, lr, strength):
    "Saves memory by multiplying the gradient in place."
    g = torch.sigmoid(auxiliary.detach())
    gradient *= torch.sign(weight.detach())
    gradient *= g
    return auxiliary.detach() - lr * (gradient + strength * g)


@wrong("auxiliary_step", says="first different at [0]")
def aux_momentum_between_calls(auxiliary, weight, gradient, lr, strength, state={}):
    "Adds momentum, remembered from the call before."
    g = torch.sigmoid(auxiliary.detach())
    step = gradient * torch.sign(weight.detach()) * g + strength * g
    if state.get("step") is not None and state["step"].shape == step.shape:
        step = step + 0.9 * state["step"]
    state["step"] = step
    return auxiliary.detach() - lr * step


@wrong("auxiliary_step", says="first different at [0]")
def aux_two_steps(auxiliary, weight, gradient, lr, strength):
    "Takes two steps behind each other, the second with the slope at the new m."
    m = auxiliary - lr * gradient * torch.sign(weight) * torch.sigmoid(auxiliary)
    return m - lr * strength * torch.sigmoid(m)


@right("auxiliary_step")
def aux_as_written(auxiliary, weight, gradient, lr, strength):
    "The formula, without a graph."
    with torch.no_grad():
        g = torch.sigmoid(auxiliary)
        return auxiliary - lr * (gradient * torch.sign(weight) * g + strength * g)


@right("auxiliary_step")
def aux_autograd_of_softplus(auxiliary, weight, gradient, lr, strength):
    "Lets autograd differentiate softplus, weighted by what comes from above."
    m = auxiliary.detach().clone().requires_grad_()
    from_above = gradient.detach() * torch.sign(weight.detach()) + strength
    with torch.enable_grad():
        surrogate = (from_above * F.softplus(m, threshold=50)).sum()
    (slope,) = torch.autograd.grad(surrogate, m)
    return m.detach() - lr * slope


@right("auxiliary_step")
def aux_element_by_element(auxiliary, weight, gradient, lr, strength):
    "A loop over all entries, each in Python numbers."
    new = []
    for m, w, d in zip(
        auxiliary.flatten().tolist(), weight.flatten().tolist(), gradient.flatten().tolist(), strict=True
    ):
        g = 1 / (1 + math.exp(-m)) if m >= 0 else math.exp(m) / (1 + math.exp(m))
        sign = (w > 0) - (w < 0)
        new.append(m - lr * (d * sign * g + strength * g))
    return torch.tensor(new, dtype=auxiliary.dtype, device=auxiliary.device).reshape(auxiliary.shape)


@right("auxiliary_step")
def aux_clone_and_addcmul(auxiliary, weight, gradient, lr, strength):
    "Clones m and updates the clone in place."
    new = auxiliary.detach().clone()
    slope = new.sigmoid()
    pull = torch.where(weight > 0, gradient, torch.where(weight < 0, -gradient, torch.zeros_like(gradient)))
    new.addcmul_(pull.detach() + strength, slope, value=-lr)
    return new


@right("auxiliary_step")
def aux_surrogate_step_function(auxiliary, weight, gradient, lr, strength):
    "A step function with the slope of softplus; the loss and the penalty both go back through it."

    class Step(torch.autograd.Function):
        @staticmethod
        def forward(ctx, m):
            ctx.save_for_backward(m)
            return (m > 0).to(m.dtype)

        @staticmethod
        def backward(ctx, above):
            (m,) = ctx.saved_tensors
            return above * torch.sigmoid(m)

    m = auxiliary.detach().clone().requires_grad_()
    with torch.enable_grad():
        mask = Step.apply(m)
        objective = (gradient.detach() * torch.sign(weight.detach()) * mask).sum() + strength * mask.sum()
    return m.detach() - lr * torch.autograd.grad(objective, m)[0]
