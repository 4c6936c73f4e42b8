"""Wrong and right answers to lab 4, as students write them."""

import copy
from itertools import pairwise

import torch
from torch import nn

from autograder.answers import right, wrong
from solutions.l1 import filter_l1_norms, filters_to_keep, prune_vgg

# --- sensitivity_scan


@wrong("sensitivity_scan", says="ZERO")
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


@wrong("sensitivity_scan", says="its weight and its bias")
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


@wrong("sensitivity_scan", says="put everything back")
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


@wrong("sensitivity_scan", says="put everything back")
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


@wrong("sensitivity_scan", says="evaluate(network)")
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


@wrong("cubic_sparsity", says="fast first")
def the_cube_the_wrong_way_round(step, begin, end, final):
    return final * min(max((step - begin) / (end - begin), 0.0), 1.0) ** 3


@wrong("cubic_sparsity", says="7/8")
def a_straight_line(step, begin, end, final):
    return final * min(max((step - begin) / (end - begin), 0.0), 1.0)


@wrong("cubic_sparsity", says="after `end`")
def goes_on_after_the_end(step, begin, end, final):
    return final * (1 - (1 - max((step - begin) / (end - begin), 0.0)) ** 3)


@wrong("cubic_sparsity", says="before `begin`")
def negative_before_the_beginning(step, begin, end, final):
    return final * (1 - (1 - min((step - begin) / (end - begin), 1.0)) ** 3)


@wrong("cubic_sparsity", says="(10 - 2)")
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
    return final * (1 - left.pow(3))


# --- prune_and_reset


@wrong("prune_and_reset", says="the share that STAYS")
def prunes_the_share_that_should_stay(network, optimizer, keep_ratio):
    pruned = prune_vgg(network, 1 - keep_ratio)
    settings = {name: optimizer.param_groups[0][name] for name in optimizer.defaults}
    return pruned, type(optimizer)(pruned.parameters(), **settings)


@wrong("prune_and_reset", says="your argument")
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


@wrong("prune_and_reset", says="of the PRUNED network")
def an_optimizer_of_the_old_network(network, optimizer, keep_ratio):
    pruned = prune_vgg(network, keep_ratio)
    settings = {name: optimizer.param_groups[0][name] for name in optimizer.defaults}
    return pruned, type(optimizer)(network.parameters(), **settings)


@wrong("prune_and_reset", says="would train the old one")
def returns_the_old_optimizer(network, optimizer, keep_ratio):
    return prune_vgg(network, keep_ratio), optimizer


@wrong("prune_and_reset", says="NOW")
def settings_from_the_beginning(network, optimizer, keep_ratio):
    pruned = prune_vgg(network, keep_ratio)
    return pruned, type(optimizer)(pruned.parameters(), **optimizer.defaults)


@wrong("prune_and_reset", says="momentum is the one")
def only_the_learning_rate(network, optimizer, keep_ratio):
    pruned = prune_vgg(network, keep_ratio)
    return pruned, type(optimizer)(pruned.parameters(), lr=optimizer.param_groups[0]["lr"])


@wrong("prune_and_reset", says="same kind")
def always_sgd(network, optimizer, keep_ratio):
    pruned, group = prune_vgg(network, keep_ratio), optimizer.param_groups[0]
    names = ("lr", "momentum", "weight_decay", "nesterov")
    return pruned, torch.optim.SGD(pruned.parameters(), **{name: group[name] for name in names if name in group})


@wrong("prune_and_reset", says="leave this one as it is")
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


@wrong("narrow_twin", says="work on a copy")
def draws_the_pruned_network_anew(pruned, seed):
    torch.manual_seed(seed)
    for module in pruned.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return pruned


@wrong("narrow_twin", says="same seed")
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


@wrong("narrow_twin", says="classifier.bias is still")
def leaves_the_classifiers_bias(pruned, seed):
    twin = copy.deepcopy(pruned)
    torch.manual_seed(seed)
    for module in twin.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight)
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


@right("narrow_twin")
def by_apply(pruned, seed):
    twin = copy.deepcopy(pruned)
    torch.manual_seed(seed)
    twin.apply(lambda module: module.reset_parameters() if hasattr(module, "reset_parameters") else None)
    return twin


@right("narrow_twin")
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
