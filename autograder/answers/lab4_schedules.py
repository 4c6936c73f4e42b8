"""Wrong and right answers to lab 4, as students write them."""

import collections
import copy
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from autograder.answers import right, wrong
from solutions.l1 import filter_l1_norms, filters_to_keep, prune_vgg

# --- sensitivity_scan


@wrong("sensitivity_scan", says="the convolution's filters set to zero")
def sets_the_filters_to_zero(network, ratios, evaluate):
    found = {}
    for name, conv in network.named_modules():
        if isinstance(conv, nn.Conv2d):
            found[name], before = [], conv.weight.detach().clone()
            for keep_ratio in ratios:
                stays = torch.zeros(len(before))
                stays[filters_to_keep(filter_l1_norms(before), keep_ratio)] = 1
                conv.weight.data = before * stays[:, None, None, None]
                found[name].append(evaluate(network))
            conv.weight.data = before
    return found


@wrong("sensitivity_scan", says="the channel is that constant")
def forgets_the_batch_norms_bias(network, ratios, evaluate):
    found = {}
    for (name, conv), (_, norm) in pairwise(list(network.named_modules())):
        if isinstance(conv, nn.Conv2d):
            found[name], before = [], norm.weight.detach().clone()
            for keep_ratio in ratios:
                stays = torch.zeros(len(before))
                stays[filters_to_keep(filter_l1_norms(conv.weight), keep_ratio)] = 1
                norm.weight.data = before * stays
                found[name].append(evaluate(network))
            norm.weight.data = before
    return found


@wrong("sensitivity_scan", says="what the ratios before had left")
def each_ratio_from_what_the_last_one_left(network, ratios, evaluate):
    found = {}
    for (name, conv), (_, norm) in pairwise(list(network.named_modules())):
        if isinstance(conv, nn.Conv2d):
            found[name], before = [], copy.deepcopy(norm.state_dict())
            for keep_ratio in ratios:
                stays = torch.zeros(len(norm.weight))
                stays[filters_to_keep(filter_l1_norms(conv.weight), keep_ratio)] = 1
                norm.weight.data *= stays
                norm.bias.data *= stays
                found[name].append(evaluate(network))
            norm.load_state_dict(before)
    return found


@wrong("sensitivity_scan", says="the layer before left as it was at its last ratio")
def each_layer_on_top_of_the_others(network, ratios, evaluate):
    network, found = copy.deepcopy(network), {}
    for (name, conv), (_, norm) in pairwise(list(network.named_modules())):
        if isinstance(conv, nn.Conv2d):
            found[name], weight, bias = [], norm.weight.detach().clone(), norm.bias.detach().clone()
            for keep_ratio in ratios:
                stays = torch.zeros(len(weight))
                stays[filters_to_keep(filter_l1_norms(conv.weight), keep_ratio)] = 1
                norm.weight.data, norm.bias.data = weight * stays, bias * stays
                found[name].append(evaluate(network))
    return found


@wrong("sensitivity_scan", says="keep a clone")
def keeps_a_reference_in_place_of_a_copy(network, ratios, evaluate):
    found = {}
    for (name, conv), (_, norm) in pairwise(list(network.named_modules())):
        if isinstance(conv, nn.Conv2d):
            found[name], weight, bias = [], norm.weight.detach(), norm.bias.detach()
            for keep_ratio in ratios:
                stays = torch.zeros(len(weight))
                stays[filters_to_keep(filter_l1_norms(conv.weight), keep_ratio)] = 1
                norm.weight.data *= stays
                norm.bias.data *= stays
                found[name].append(evaluate(network))
            norm.weight.data, norm.bias.data = weight, bias
    return found


@wrong("sensitivity_scan", says="in a `finally`")
def puts_nothing_back_after_an_error(network, ratios, evaluate):
    found = {}
    for (name, conv), (_, norm) in pairwise(list(network.named_modules())):
        if isinstance(conv, nn.Conv2d):
            found[name], weight, bias = [], norm.weight.detach().clone(), norm.bias.detach().clone()
            for keep_ratio in ratios:
                stays = torch.zeros(len(weight))
                stays[filters_to_keep(filter_l1_norms(conv.weight), keep_ratio)] = 1
                norm.weight.data, norm.bias.data = weight * stays, bias * stays
                found[name].append(evaluate(network))
            norm.weight.data, norm.bias.data = weight, bias
    return found


@wrong("sensitivity_scan", says="do not travel")
def silences_with_a_hook(network, ratios, evaluate):
    found = {}
    for (name, conv), (_, norm) in pairwise(list(network.named_modules())):
        if isinstance(conv, nn.Conv2d):
            found[name] = []
            for keep_ratio in ratios:
                stays = torch.zeros(conv.out_channels)
                stays[filters_to_keep(filter_l1_norms(conv.weight), keep_ratio)] = 1
                hook = norm.register_forward_hook(lambda _, __, out, stays=stays: out * stays[:, None, None])
                try:
                    found[name].append(evaluate(network))
                finally:
                    hook.remove()
    return found


@wrong("sensitivity_scan", says="the STRONGEST filters silenced")
def silences_the_strongest(network, ratios, evaluate):
    found = {}
    for (name, conv), (_, norm) in pairwise(list(network.named_modules())):
        if isinstance(conv, nn.Conv2d):
            found[name] = []
            for keep_ratio in ratios:
                changed = copy.deepcopy(norm.state_dict())
                kept = filters_to_keep(filter_l1_norms(conv.weight), keep_ratio)
                norm.weight.data[kept] = 0
                norm.bias.data[kept] = 0
                found[name].append(evaluate(network))
                norm.load_state_dict(changed)
    return found


@wrong("sensitivity_scan", says="return a dictionary")
def returns_a_list(network, ratios, evaluate):
    return [[evaluate(network) for _ in ratios] for layer in network.modules() if isinstance(layer, nn.Conv2d)]


@wrong("sensitivity_scan", says="the n-th convolution paired with the n-th batch norm")
def the_nth_convolution_with_the_nth_batch_norm(network, ratios, evaluate):
    convs = [(name, layer) for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d)]
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    found = {}
    for (name, conv), norm in zip(convs, norms, strict=False):
        found[name], weight, bias = [], norm.weight.detach().clone(), norm.bias.detach().clone()
        for keep_ratio in ratios:
            stays = torch.zeros_like(weight)
            stays[filters_to_keep(filter_l1_norms(conv.weight), keep_ratio)] = 1
            norm.weight.data, norm.bias.data = weight * stays, bias * stays
            try:
                found[name].append(evaluate(network))
            finally:
                norm.weight.data, norm.bias.data = weight.clone(), bias.clone()
    return found


@wrong("sensitivity_scan", says="layers that stand in a Sequential only")
def only_neighbours_in_a_sequential(network, ratios, evaluate):
    found = {}
    for path, block in network.named_modules():
        pairs = pairwise(block.named_children()) if isinstance(block, nn.Sequential) else ()
        for (key, conv), (_, norm) in pairs:
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                name = f"{path}.{key}" if path else key
                found[name], weight, bias = [], norm.weight.detach().clone(), norm.bias.detach().clone()
                for keep_ratio in ratios:
                    stays = torch.zeros_like(weight)
                    stays[filters_to_keep(filter_l1_norms(conv.weight), keep_ratio)] = 1
                    norm.weight.data, norm.bias.data = weight * stays, bias * stays
                    try:
                        found[name].append(evaluate(network))
                    finally:
                        norm.weight.data, norm.bias.data = weight.clone(), bias.clone()
    return found


@wrong("sensitivity_scan", says="its requires_grad is another one")
def leaves_the_batch_norms_frozen(network, ratios, evaluate):
    found = {}
    for (name, conv), (_, norm) in pairwise(list(network.named_modules())):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            norm.requires_grad_(False)
            found[name], weight, bias = [], norm.weight.clone(), norm.bias.clone()
            for keep_ratio in ratios:
                gone = torch.ones(len(weight), dtype=torch.bool)
                gone[filters_to_keep(filter_l1_norms(conv.weight), keep_ratio)] = False
                norm.weight[gone], norm.bias[gone] = 0, 0
                try:
                    found[name].append(evaluate(network))
                finally:
                    norm.weight.copy_(weight)
                    norm.bias.copy_(bias)
    return found


@wrong("sensitivity_scan", says="which an optimizer does not know")
def puts_new_parameters_in(network, ratios, evaluate):
    found = {}
    for (name, conv), (_, norm) in pairwise(list(network.named_modules())):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            found[name], weight, bias = [], norm.weight.detach().clone(), norm.bias.detach().clone()
            for keep_ratio in ratios:
                stays = torch.zeros_like(weight)
                stays[filters_to_keep(filter_l1_norms(conv.weight), keep_ratio)] = 1
                norm.weight, norm.bias = nn.Parameter(weight * stays), nn.Parameter(bias * stays)
                try:
                    found[name].append(evaluate(network))
                finally:
                    norm.weight, norm.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
    return found


@wrong("sensitivity_scan", says="put back a clone")
def puts_the_kept_copy_itself_back(network, ratios, evaluate):
    found = {}
    for (name, conv), (_, norm) in pairwise(list(network.named_modules())):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            found[name], weight, bias = [], norm.weight.data.clone(), norm.bias.data.clone()
            for keep_ratio in ratios:
                gone = torch.ones(len(weight), dtype=torch.bool)
                gone[filters_to_keep(filter_l1_norms(conv.weight), keep_ratio)] = False
                norm.weight.data[gone], norm.bias.data[gone] = 0, 0
                try:
                    found[name].append(evaluate(network))
                finally:
                    norm.weight.data, norm.bias.data = weight, bias
    return found


@wrong("sensitivity_scan", says="that STAY rounded down")
def rounds_what_stays(network, ratios, evaluate):
    found = {}
    for (name, conv), (_, norm) in pairwise(list(network.named_modules())):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            found[name], weight, bias = [], norm.weight.data.clone(), norm.bias.data.clone()
            order = filter_l1_norms(conv.weight.detach()).argsort(descending=True)
            for keep_ratio in ratios:
                gone = order[max(1, int(keep_ratio * len(order))) :]
                norm.weight.data[gone], norm.bias.data[gone] = 0, 0
                try:
                    found[name].append(evaluate(network))
                finally:
                    norm.weight.data, norm.bias.data = weight.clone(), bias.clone()
    return found


@wrong("sensitivity_scan", says="also where nothing is removed")
def skips_what_removes_nothing(network, ratios, evaluate):
    found = {}
    for (name, conv), (norm_name, norm) in pairwise(list(network.named_modules())):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            found[name] = []
            for keep_ratio in ratios:
                kept = filters_to_keep(filter_l1_norms(conv.weight), keep_ratio)
                if len(kept) < conv.out_channels:
                    pruned, stays = copy.deepcopy(network), torch.zeros(conv.out_channels)
                    stays[kept] = 1
                    pruned.get_submodule(norm_name).weight.data *= stays
                    pruned.get_submodule(norm_name).bias.data *= stays
                    found[name].append(evaluate(pruned))
    return found


@wrong("sensitivity_scan", says="none of an earlier call")
def remembers_other_networks(network, ratios, evaluate, found={}):
    for (name, conv), (norm_name, norm) in pairwise(list(network.named_modules())):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            found[name] = []
            for keep_ratio in ratios:
                pruned, stays = copy.deepcopy(network), torch.zeros(conv.out_channels)
                stays[filters_to_keep(filter_l1_norms(conv.weight), keep_ratio)] = 1
                pruned.get_submodule(norm_name).weight.data *= stays
                pruned.get_submodule(norm_name).bias.data *= stays
                found[name].append(evaluate(pruned))
    return dict(found)


@wrong("sensitivity_scan", says="its error must reach the caller")
def keeps_the_error_to_itself(network, ratios, evaluate):
    found = {}
    for (name, conv), (_, norm) in pairwise(list(network.named_modules())):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            found[name], before = [], copy.deepcopy(norm.state_dict())
            for keep_ratio in ratios:
                stays = torch.zeros(conv.out_channels)
                stays[filters_to_keep(filter_l1_norms(conv.weight), keep_ratio)] = 1
                norm.weight.data *= stays
                norm.bias.data *= stays
                try:
                    found[name].append(evaluate(network))
                except Exception:
                    found[name].append(float("nan"))
                norm.load_state_dict(before)
    return found


@wrong("sensitivity_scan", says="its requires_grad is another one")
def thaws_frozen_batch_norms(network, ratios, evaluate):
    results = {}
    for (name, conv), (_, norm) in pairwise(list(network.named_modules())):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            results[name] = []
            norm.requires_grad_(False)
            weight, bias = norm.weight.clone(), norm.bias.clone()
            try:
                for ratio in ratios:
                    mask = torch.zeros_like(weight)
                    mask[filters_to_keep(filter_l1_norms(conv.weight.detach()), ratio)] = 1
                    norm.weight.copy_(weight * mask)
                    norm.bias.copy_(bias * mask)
                    results[name].append(evaluate(network))
            finally:
                norm.weight.copy_(weight)
                norm.bias.copy_(bias)
                norm.requires_grad_(True)
    return results


@wrong("sensitivity_scan", says="not another one in its place")
def an_error_of_its_own(network, ratios, evaluate):
    results = {}
    for (name, conv), (_, norm) in pairwise(list(network.named_modules())):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            weight, bias = norm.weight.detach().clone(), norm.bias.detach().clone()
            results[name] = []
            for ratio in ratios:
                stays = torch.zeros_like(weight)
                stays[filters_to_keep(filter_l1_norms(conv.weight.detach()), ratio)] = 1
                try:
                    norm.weight.data, norm.bias.data = weight * stays, bias * stays
                    results[name].append(evaluate(network))
                except Exception as error:
                    raise RuntimeError(f"evaluation failed for {name} at keep ratio {ratio}") from error
                finally:
                    norm.weight.data, norm.bias.data = weight.clone(), bias.clone()
    return results


@wrong("sensitivity_scan", says="where a ratio comes twice")
def one_number_for_each_different_ratio(network, ratios, evaluate):
    results = {}
    for (name, conv), (_, norm) in pairwise(list(network.named_modules())):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            accuracy = {}
            old_weight, old_bias = norm.weight.data.clone(), norm.bias.data.clone()
            for ratio in ratios:
                kept = filters_to_keep(filter_l1_norms(conv.weight.data), ratio)
                mask = torch.zeros_like(old_weight)
                mask[kept] = 1
                norm.weight.data.mul_(mask)
                norm.bias.data.mul_(mask)
                try:
                    accuracy[ratio] = evaluate(network)
                finally:
                    norm.weight.data.copy_(old_weight)
                    norm.bias.data.copy_(old_bias)
            results[name] = list(accuracy.values())
    return results


@right("sensitivity_scan")
def on_copies(network, ratios, evaluate):
    found = {}
    for (name, conv), (norm_name, norm) in pairwise(list(network.named_modules())):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            found[name] = []
            for keep_ratio in ratios:
                pruned = copy.deepcopy(network)
                silent = torch.ones(conv.out_channels, dtype=torch.bool)
                silent[filters_to_keep(filter_l1_norms(conv.weight), keep_ratio)] = False
                layer = pruned.get_submodule(norm_name)
                layer.weight.data[silent] = 0
                layer.bias.data[silent] = 0
                found[name].append(evaluate(pruned))
    return found


@right("sensitivity_scan")
def swaps_the_data_and_swaps_it_back(network, ratios, evaluate):
    found, last = {}, None
    for name, layer in network.named_modules():
        if isinstance(layer, nn.BatchNorm2d) and last is not None:
            found[last[0]] = (last[1], layer)
        last = (name, layer) if isinstance(layer, nn.Conv2d) else None
    results = collections.OrderedDict()
    for name, (conv, norm) in found.items():
        results[name] = [float("nan")] * len(ratios)
        for place, keep_ratio in enumerate(ratios):
            kept = filters_to_keep(conv.weight.detach().abs().flatten(1).sum(1), keep_ratio)
            old = norm.weight.data, norm.bias.data
            new = [torch.where(torch.isin(torch.arange(len(values)), kept), values, 0 * values) for values in old]
            norm.weight.data, norm.bias.data = new
            try:
                results[name][place] = evaluate(network)
            finally:
                norm.weight.data, norm.bias.data = old
    return dict(results)


@right("sensitivity_scan")
def state_dicts(network, ratios, evaluate):
    found, before = {}, copy.deepcopy(network.state_dict())
    for (name, conv), (norm_name, norm) in pairwise(list(network.named_modules())):
        if not (isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)):
            continue
        numbers = []
        for keep_ratio in ratios:
            mask = torch.zeros(conv.out_channels)
            mask[filters_to_keep(filter_l1_norms(conv.weight), keep_ratio)] = 1
            silent = {f"{norm_name}.{kind}": before[f"{norm_name}.{kind}"] * mask for kind in ("weight", "bias")}
            try:
                network.load_state_dict({**before, **silent})
                numbers.append(evaluate(network))
            finally:
                network.load_state_dict(before)
        found[name] = tuple(numbers)
    return found


# --- cubic_sparsity


@wrong("cubic_sparsity", says="slow first and fast at the end")
def the_cube_the_wrong_way_round(step, begin, end, final):
    return final * min(max((step - begin) / (end - begin), 0.0), 1.0) ** 3


@wrong("cubic_sparsity", says="a straight line")
def a_straight_line(step, begin, end, final):
    return final * min(max((step - begin) / (end - begin), 0.0), 1.0)


@wrong("cubic_sparsity", says="no upper end")
def goes_on_after_the_end(step, begin, end, final):
    return final * (1 - (1 - max((step - begin) / (end - begin), 0.0)) ** 3)


@wrong("cubic_sparsity", says="no lower end")
def negative_before_the_beginning(step, begin, end, final):
    return final * (1 - (1 - min((step - begin) / (end - begin), 1.0)) ** 3)


@wrong("cubic_sparsity", says="t = (step - begin) / end")
def divides_by_the_end(step, begin, end, final):
    return final * (1 - (1 - min(max((step - begin) / end, 0.0), 1.0)) ** 3)


@wrong("cubic_sparsity", says="ValueError")
def divides_by_zero(step, begin, end, final):
    if begin == end:
        return final if step >= end else 0.0
    return final * (1 - (1 - min(max((step - begin) / (end - begin), 0.0), 1.0)) ** 3)


@wrong("cubic_sparsity", says="yours stopped with ZeroDivisionError")
def without_a_check(step, begin, end, final):
    return final * (1 - (1 - min(max((step - begin) / (end - begin), 0.0), 1.0)) ** 3)


@wrong("cubic_sparsity", says="brackets are missing")
def forgets_the_brackets(step, begin, end, final):
    if begin >= end:
        raise ValueError("begin < end, please")
    return final * 1 - (1 - min(max((step - begin) / (end - begin), 0.0), 1.0)) ** 3


@wrong("cubic_sparsity", says="the share that STAYS")
def the_share_that_stays(step, begin, end, final):
    if begin >= end:
        raise ValueError("begin < end, please")
    return 1 - final * (1 - (1 - min(max((step - begin) / (end - begin), 0.0), 1.0)) ** 3)


@wrong("cubic_sparsity", says="step + 1")
def one_step_ahead(step, begin, end, final):
    if begin >= end:
        raise ValueError("begin < end, please")
    return final * (1 - (1 - min(max((step + 1 - begin) / (end - begin), 0.0), 1.0)) ** 3)


@wrong("cubic_sparsity", says="cut to a whole number")
def whole_steps_only(step, begin, end, final):
    if begin >= end:
        raise ValueError("begin < end, please")
    return final * (1 - (1 - min(max((int(step) - begin) / (end - begin), 0.0), 1.0)) ** 3)


@wrong("cubic_sparsity", says="the absolute value of (step - begin)")
def mirrored_before_the_beginning(step, begin, end, final):
    if begin >= end:
        raise ValueError("begin < end, please")
    return final * (1 - (1 - min(abs(step - begin) / (end - begin), 1.0)) ** 3)


@wrong("cubic_sparsity", says="at every step")
def looks_at_the_ends_in_between_only(step, begin, end, final):
    if step <= begin:
        return 0.0
    if step >= end:
        return final
    if begin >= end:
        raise ValueError("begin < end, please")
    return final * (1 - (1 - (step - begin) / (end - begin)) ** 3)


@wrong("cubic_sparsity", says="return Python numbers (float)")
def a_tensor_of_float32(step, begin, end, final):
    if begin >= end:
        raise ValueError("begin < end, please")
    return final * (1 - (1 - torch.tensor((step - begin) / (end - begin)).clamp(0, 1)) ** 3)


@wrong("cubic_sparsity", says="but begin comes before end")
def refuses_negative_steps(step, begin, end, final):
    if begin < 0 or step < 0 or begin >= end:
        raise ValueError("0 <= begin < end, please")
    return final * (1 - (1 - min(max((step - begin) / (end - begin), 0.0), 1.0)) ** 3)


@wrong("cubic_sparsity", says="compute with Python's numbers (float64)")
def a_number_out_of_float32(step, begin, end, final):
    if not begin < end:
        raise ValueError("begin must come before end")
    t = torch.tensor((step - begin) / (end - begin)).clamp(0, 1)
    return (final * (1 - (1 - t) ** 3)).item()


@wrong("cubic_sparsity", says="0 at `end` itself")
def nothing_at_the_end_itself(step, begin, end, final):
    if not begin < end:
        raise ValueError("begin must come before end")
    if begin < step < end:
        return final * (1 - (1 - (step - begin) / (end - begin)) ** 3)
    if step > end:
        return final
    return 0.0


@wrong("cubic_sparsity", says="`final` comes too late")
def one_step_too_long(step, begin, end, final):
    if not begin < end:
        raise ValueError("begin must come before end")
    t = min(max((step - begin) / (end - begin + 1), 0.0), 1.0)
    return final * (1 - (1 - t) ** 3)


@right("cubic_sparsity")
def multiplied_out(step, begin, end, final):
    if not end - begin > 0:
        raise ValueError("begin < end, please")
    t = np.clip((step - begin) / (end - begin), 0, 1)
    return final * t * (3 - 3 * t + t * t)


@right("cubic_sparsity")
def with_cases(step, begin, end, final):
    if begin >= end:
        raise ValueError("begin < end, please")
    if step <= begin:
        return 0
    if step >= end:
        return final
    return final - final * ((end - step) / (end - begin)) ** 3


@right("cubic_sparsity")
def with_torch(step, begin, end, final):
    if not begin < end:
        raise ValueError("begin < end, please")
    left = 1 - torch.tensor((step - begin) / (end - begin), dtype=torch.float64).clamp(0, 1)
    return final * (1 - left.pow(3).item())


# --- prune_and_reset


@wrong("prune_and_reset", says="taken for the share that goes")
def prunes_the_share_that_should_stay(network, optimizer, keep_ratio):
    pruned = prune_vgg(network, 1 - keep_ratio)
    settings = {name: optimizer.param_groups[0][name] for name in optimizer.defaults}
    return pruned, type(optimizer)(pruned.parameters(), **settings)


@wrong("prune_and_reset", says="half of the filters, whatever keep_ratio says")
def always_half(network, optimizer, keep_ratio):
    pruned = prune_vgg(network, 0.5)
    settings = {name: optimizer.param_groups[0][name] for name in optimizer.defaults}
    return pruned, type(optimizer)(pruned.parameters(), **settings)


@wrong("prune_and_reset", says="must come along")
def a_fresh_narrow_network(network, optimizer, keep_ratio):
    pruned = prune_vgg(network, keep_ratio)
    for module in pruned.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    settings = {name: optimizer.param_groups[0][name] for name in optimizer.defaults}
    return pruned, type(optimizer)(pruned.parameters(), **settings)


@wrong("prune_and_reset", says="would train the old one")
def an_optimizer_of_the_old_network(network, optimizer, keep_ratio):
    pruned = prune_vgg(network, keep_ratio)
    settings = {name: optimizer.param_groups[0][name] for name in optimizer.defaults}
    return pruned, type(optimizer)(network.parameters(), **settings)


@wrong("prune_and_reset", says="would train the old one")
def returns_the_old_optimizer(network, optimizer, keep_ratio):
    return prune_vgg(network, keep_ratio), optimizer


@wrong("prune_and_reset", says="optimizer.defaults, the settings at the beginning")
def settings_from_the_beginning(network, optimizer, keep_ratio):
    pruned = prune_vgg(network, keep_ratio)
    return pruned, type(optimizer)(pruned.parameters(), **optimizer.defaults)


@wrong("prune_and_reset", says="momentum was not passed on")
def only_the_learning_rate(network, optimizer, keep_ratio):
    pruned = prune_vgg(network, keep_ratio)
    return pruned, type(optimizer)(pruned.parameters(), lr=optimizer.param_groups[0]["lr"])


@wrong("prune_and_reset", says="same kind")
def always_sgd(network, optimizer, keep_ratio):
    pruned, group = prune_vgg(network, keep_ratio), optimizer.param_groups[0]
    names = ("lr", "momentum", "weight_decay", "nesterov")
    return pruned, torch.optim.SGD(pruned.parameters(), **{name: group[name] for name in names if name in group})


@wrong("prune_and_reset", says="`optimizer` was changed")
def puts_new_parameters_into_the_old_one(network, optimizer, keep_ratio):
    pruned = prune_vgg(network, keep_ratio)
    settings = {name: optimizer.param_groups[0][name] for name in optimizer.defaults}
    fresh = type(optimizer)(pruned.parameters(), **settings)
    optimizer.param_groups[0]["params"] = list(pruned.parameters())
    return pruned, fresh


@wrong("prune_and_reset", says="brings momentum")
def takes_the_memory_along(network, optimizer, keep_ratio):
    pruned = prune_vgg(network, keep_ratio)
    settings = {name: optimizer.param_groups[0][name] for name in optimizer.defaults}
    fresh = type(optimizer)(pruned.parameters(), **settings)
    for old, new in zip(network.parameters(), pruned.parameters(), strict=True):
        fresh.state[new] = dict(optimizer.state[old])
    return pruned, fresh


@wrong("prune_and_reset", says="two things")
def returns_the_network_only(network, optimizer, keep_ratio):
    return prune_vgg(network, keep_ratio)


@wrong("prune_and_reset", says="Some have settings that their constructor does not take")
def all_settings_as_arguments(network, optimizer, keep_ratio):
    pruned = prune_vgg(network, keep_ratio)
    settings = {name: optimizer.param_groups[0][name] for name in optimizer.defaults}
    return pruned, type(optimizer)(pruned.parameters(), **settings)


@wrong("prune_and_reset", says="the settings of another parameter group")
def settings_of_the_last_group(network, optimizer, keep_ratio):
    pruned = prune_vgg(network, keep_ratio)
    settings = {name: optimizer.param_groups[-1][name] for name in optimizer.defaults}
    return pruned, type(optimizer)([{"params": list(pruned.parameters()), **settings}])


@wrong("prune_and_reset", says="the settings of another parameter group")
def as_many_groups_as_before(network, optimizer, keep_ratio):
    pruned = prune_vgg(network, keep_ratio)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    groups = [
        {**group, "params": [pruned.get_parameter(names[id(old)]) for old in group["params"]]}
        for group in optimizer.param_groups
    ]
    return pruned, type(optimizer)(groups)


@wrong("prune_and_reset", says="frozen at the moment")
def leaves_frozen_parameters_out(network, optimizer, keep_ratio):
    pruned = prune_vgg(network, keep_ratio)
    settings = {name: optimizer.param_groups[0][name] for name in optimizer.defaults}
    trained = [parameter for parameter in pruned.parameters() if parameter.requires_grad]
    return pruned, type(optimizer)([{"params": trained, **settings}])


@wrong("prune_and_reset", says="yours does not know features.1.weight")
def weights_without_batch_norms(network, optimizer, keep_ratio):
    pruned = prune_vgg(network, keep_ratio)
    settings = {name: optimizer.param_groups[0][name] for name in optimizer.defaults}
    weights = [parameter for parameter in pruned.parameters() if parameter.ndim > 1]
    return pruned, type(optimizer)([{"params": weights, **settings}])


@wrong("prune_and_reset", says="you return the old one itself")
def refills_the_old_optimizer(network, optimizer, keep_ratio):
    pruned = prune_vgg(network, keep_ratio)
    settings = {name: optimizer.param_groups[0][name] for name in optimizer.defaults}
    optimizer.state.clear()
    optimizer.param_groups.clear()
    optimizer.add_param_group({"params": list(pruned.parameters()), **settings})
    return pruned, optimizer


@wrong("prune_and_reset", says="`optimizer.state[0]")
def empties_the_old_optimizers_memory(network, optimizer, keep_ratio):
    pruned = prune_vgg(network, keep_ratio)
    settings = {name: optimizer.param_groups[0][name] for name in optimizer.defaults}
    optimizer.state.clear()
    return pruned, type(optimizer)([{"params": list(pruned.parameters()), **settings}])


@wrong("prune_and_reset", says="you return a layer that was given")
def narrows_the_network_itself(network, optimizer, keep_ratio):
    smaller = prune_vgg(network, keep_ratio)
    network.features, network.classifier = smaller.features, smaller.classifier
    settings = {name: optimizer.param_groups[0][name] for name in optimizer.defaults}
    return network, type(optimizer)([{"params": list(network.parameters()), **settings}])


@wrong("prune_and_reset", says="AdamW's own default: weight_decay was not passed on")
def only_settings_that_are_true(network, optimizer, keep_ratio):
    pruned = prune_vgg(network, keep_ratio)
    group = optimizer.param_groups[0]
    settings = {name: group[name] for name in optimizer.defaults if group[name]}
    return pruned, type(optimizer)([{"params": list(pruned.parameters()), **settings}])


@wrong("prune_and_reset", says="params")
def takes_the_parameters_out_of_the_old_group(network, optimizer, keep_ratio):
    pruned = prune_vgg(network, keep_ratio)
    settings = optimizer.param_groups[0]
    settings.pop("params")
    settings = {name: value for name, value in settings.items() if name in optimizer.defaults}
    return pruned, type(optimizer)([{"params": list(pruned.parameters()), **settings}])


@wrong("prune_and_reset", says="it keeps its mode")
def in_training_mode(network, optimizer, keep_ratio):
    pruned = prune_vgg(network, keep_ratio).train()
    settings = {name: optimizer.param_groups[0][name] for name in optimizer.defaults}
    return pruned, type(optimizer)([{"params": list(pruned.parameters()), **settings}])


@right("prune_and_reset")
def two_groups_of_the_same_settings(network, optimizer, keep_ratio):
    pruned = prune_vgg(network, keep_ratio)
    settings = {name: optimizer.param_groups[0][name] for name in optimizer.defaults}
    parts = pruned.features, pruned.classifier
    return pruned, type(optimizer)([{"params": list(part.parameters()), **settings} for part in parts])


@right("prune_and_reset")
def one_group_of_named_settings(network, optimizer, keep_ratio):
    pruned = prune_vgg(network, keep_ratio)
    group = {"params": list(pruned.parameters())}
    group.update({name: value for name, value in optimizer.param_groups[0].items() if name != "params"})
    return pruned, optimizer.__class__([group])


@right("prune_and_reset")
def settings_put_in_afterwards(network, optimizer, keep_ratio):
    smaller = prune_vgg(copy.deepcopy(network), keep_ratio)
    fresh = type(optimizer)(smaller.parameters(), lr=0.1)
    for name in optimizer.defaults:
        fresh.param_groups[0][name] = optimizer.param_groups[0][name]
    return [smaller, fresh]


# --- narrow_twin


@wrong("narrow_twin", says="still the pruned network's")
def only_a_copy(pruned, seed):
    return copy.deepcopy(pruned)


@wrong("narrow_twin", says="Work on a copy")
def draws_the_pruned_network_anew(pruned, seed):
    torch.manual_seed(seed)
    for module in pruned.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return pruned


@wrong("narrow_twin", says="two twins of the same seed")
def without_a_seed(pruned, seed):
    twin = copy.deepcopy(pruned)
    for module in twin.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return twin


@wrong("narrow_twin", says="other weights")
def always_the_same_seed(pruned, seed):
    twin = copy.deepcopy(pruned)
    torch.manual_seed(0)
    for module in twin.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return twin


@wrong("narrow_twin", says="no statistics")
def forgets_the_batch_norms(pruned, seed):
    twin = copy.deepcopy(pruned)
    torch.manual_seed(seed)
    for module in twin.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.reset_parameters()
    return twin


@wrong("narrow_twin", says="both statistics")
def zeroes_the_running_means_only(pruned, seed):
    twin = copy.deepcopy(pruned)
    torch.manual_seed(seed)
    for module in twin.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.reset_parameters()
        elif isinstance(module, nn.BatchNorm2d):
            module.running_mean.zero_()
    return twin


@wrong("narrow_twin", says="γ (weight) starts at 1")
def draws_only_what_has_two_axes(pruned, seed):
    twin = copy.deepcopy(pruned)
    torch.manual_seed(seed)
    for parameter in twin.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_uniform_(parameter)
    for module in twin.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
    return twin


@wrong("narrow_twin", says="classifier.bias (Linear) is still")
def leaves_the_classifiers_bias(pruned, seed):
    twin = copy.deepcopy(pruned)
    torch.manual_seed(seed)
    for module in twin.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_uniform_(module.weight, a=5**0.5)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
    return twin


@wrong("narrow_twin", says="must be random")
def all_zeros(pruned, seed):
    twin = copy.deepcopy(pruned)
    for parameter in twin.parameters():
        parameter.data.zero_()
    return twin


@wrong("narrow_twin", says="same shapes")
def the_unpruned_shapes(pruned, seed):
    from course_utils.networks import vgg_mini

    return vgg_mini(seed=seed)


@wrong("narrow_twin", says="torch's global random numbers are others")
def seeds_the_whole_program(pruned, seed):
    twin = copy.deepcopy(pruned)
    torch.manual_seed(seed)
    twin.apply(lambda module: module.reset_parameters() if hasattr(module, "reset_parameters") else None)
    return twin


@wrong("narrow_twin", says="torch's global random numbers are others")
def back_to_the_start_of_the_old_seed(pruned, seed):
    twin, before = copy.deepcopy(pruned), torch.initial_seed()
    torch.manual_seed(seed)
    twin.apply(lambda module: module.reset_parameters() if hasattr(module, "reset_parameters") else None)
    torch.manual_seed(before)
    return twin


@wrong("narrow_twin", says="numpy's global random numbers")
def seeds_numpy_too(pruned, seed):
    twin = copy.deepcopy(pruned)
    np.random.seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        twin.apply(lambda module: module.reset_parameters() if hasattr(module, "reset_parameters") else None)
    return twin


@wrong("narrow_twin", says="however deep inside it is")
def two_levels_deep(pruned, seed):
    twin = copy.deepcopy(pruned)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for child in twin.children():
            for module in (child, *child.children()):
                if hasattr(module, "reset_parameters"):
                    module.reset_parameters()
    return twin


@wrong("narrow_twin", says="seed once, not for each layer")
def the_seed_before_every_layer(pruned, seed):
    twin = copy.deepcopy(pruned)
    with torch.random.fork_rng():
        for module in twin.modules():
            if hasattr(module, "reset_parameters"):
                torch.manual_seed(seed)
                module.reset_parameters()
    return twin


@wrong("narrow_twin", says="two twins of the same seed, 0,")
def takes_seed_0_for_none(pruned, seed):
    twin = copy.deepcopy(pruned)
    with torch.random.fork_rng():
        if seed:
            torch.manual_seed(seed)
        else:
            torch.seed()
        twin.apply(lambda module: module.reset_parameters() if hasattr(module, "reset_parameters") else None)
    return twin


@wrong("narrow_twin", says="(ConvTranspose2d) is still the pruned network's")
def only_three_kinds_of_layers(pruned, seed):
    twin = copy.deepcopy(pruned)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for module in twin.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear, nn.BatchNorm2d)):
                module.reset_parameters()
    return twin


@wrong("narrow_twin", says="two calls return the same memory")
def keeps_the_twins(pruned, seed, made={}):
    key = seed, tuple((name, value.shape, value.dtype) for name, value in pruned.state_dict().items())
    if key not in made:
        made[key] = copy.deepcopy(pruned)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            for module in made[key].modules():
                if hasattr(module, "reset_parameters"):
                    module.reset_parameters()
    return made[key]


@wrong("narrow_twin", says="can no longer be trained")
def leaves_the_twin_frozen(pruned, seed):
    twin = copy.deepcopy(pruned).requires_grad_(False)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        twin.apply(lambda module: module.reset_parameters() if hasattr(module, "reset_parameters") else None)
    return twin


@wrong("narrow_twin", says="drawn in another way")
def draws_convolutions_as_he_et_al(pruned, seed):
    twin = copy.deepcopy(pruned)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for module in twin.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return twin


@wrong("narrow_twin", says="also one that has a layer inside it")
def only_layers_without_others_inside(pruned, seed):
    twin = copy.deepcopy(pruned)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for module in twin.modules():
            if len(list(module.children())) == 0 and hasattr(module, "reset_parameters"):
                module.reset_parameters()
    return twin


@wrong("narrow_twin", says="6.running_mean (BatchNorm1d)")
def only_layers_with_parameters(pruned, seed):
    twin = copy.deepcopy(pruned)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for module in twin.modules():
            if any(True for _ in module.parameters(recurse=False)) and hasattr(module, "reset_parameters"):
                module.reset_parameters()
    return twin


@wrong("narrow_twin", says="in place of building layers")
def convolutions_built_without_their_dilation(pruned, seed):
    twin = copy.deepcopy(pruned)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for name, module in list(twin.named_modules()):
            if isinstance(module, nn.Conv2d) and name:
                parent, _, child = name.rpartition(".")
                fresh = nn.Conv2d(
                    module.in_channels,
                    module.out_channels,
                    module.kernel_size,
                    stride=module.stride,
                    padding=module.padding,
                    bias=module.bias is not None,
                    device=module.weight.device,
                    dtype=module.weight.dtype,
                ).train(module.training)
                setattr(twin.get_submodule(parent), child, fresh)
            elif hasattr(module, "reset_parameters"):
                module.reset_parameters()
    return twin


@right("narrow_twin")
def by_apply(pruned, seed):
    state = torch.get_rng_state()
    try:
        torch.manual_seed(seed)
        reset = torch.nn.Module.apply
        return reset(copy.deepcopy(pruned), lambda layer: getattr(layer, "reset_parameters", lambda: None)())
    finally:
        torch.set_rng_state(state)


@right("narrow_twin")
def every_layer_from_a_seed_of_its_own(pruned, seed):
    twin = copy.deepcopy(pruned)
    with torch.random.fork_rng(devices=[]):
        for place, layer in enumerate(twin.modules()):
            if hasattr(layer, "reset_parameters"):
                torch.manual_seed(100_003 * seed + place)
                layer.reset_parameters()
    return twin


@wrong("narrow_twin", says="drawn in another way")
def with_another_initialisation(pruned, seed):
    twin, chance = copy.deepcopy(pruned), torch.Generator().manual_seed(seed)
    for module in twin.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, generator=chance)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
    return twin


@wrong("sensitivity_scan", says="a batch norm paired with the last convolution before it")
def the_last_convolution_though_a_relu_stands_between(network, ratios, evaluate):
    found, last = {}, None
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d):
            last = name, layer
        elif isinstance(layer, nn.BatchNorm2d) and last is not None:
            (conv_name, conv), last = last, None
            found[conv_name], weight, bias = [], layer.weight.detach().clone(), layer.bias.detach().clone()
            for keep_ratio in ratios:
                stays = torch.zeros_like(weight)
                stays[filters_to_keep(filter_l1_norms(conv.weight), keep_ratio)] = 1
                layer.weight.data, layer.bias.data = weight * stays, bias * stays
                try:
                    found[conv_name].append(evaluate(network))
                finally:
                    layer.weight.data, layer.bias.data = weight.clone(), bias.clone()
    return found


@wrong("sensitivity_scan", says="all filters below a threshold silenced")
def filters_of_equal_norms_stay_together(network, ratios, evaluate):
    found = {}
    for (name, conv), (_, norm) in pairwise(list(network.named_modules())):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            scores = filter_l1_norms(conv.weight.detach())
            found[name], weight, bias = [], norm.weight.detach().clone(), norm.bias.detach().clone()
            for keep_ratio in ratios:
                stays = scores >= scores[filters_to_keep(scores, keep_ratio)].min()
                norm.weight.data, norm.bias.data = weight * stays, bias * stays
                try:
                    found[name].append(evaluate(network))
                finally:
                    norm.weight.data, norm.bias.data = weight.clone(), bias.clone()
    return found
