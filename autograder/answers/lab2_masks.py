"""Wrong and right answers to lab 2, as students write them."""

import math

import torch
from torch import nn

from autograder.answers import right, wrong
from solutions.masks import apply_masks
from solutions.training_step import training_step

# --- magnitude_mask


@wrong("magnitude_mask", says="-4 matters more")
def ranks_by_value(weight, sparsity):
    order = weight.flatten().argsort()
    mask = torch.ones(weight.numel(), dtype=torch.bool)
    mask[order[: math.floor(sparsity * weight.numel() + 1e-9)]] = False
    return mask.view(weight.shape)


@wrong("magnitude_mask", says="True where |w| is large")
def true_for_what_goes(weight, sparsity):
    order = weight.abs().flatten().argsort()
    mask = torch.zeros(weight.numel(), dtype=torch.bool)
    mask[order[: math.floor(sparsity * weight.numel() + 1e-9)]] = True
    return mask.view(weight.shape)


@wrong("magnitude_mask", says="argsort does not")
def a_threshold_that_takes_all_equal_ones(weight, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError(sparsity)
    removed = math.floor(sparsity * weight.numel() + 1e-9)
    if removed == 0:
        return torch.ones_like(weight, dtype=torch.bool)
    return weight.abs() > weight.abs().flatten().kthvalue(removed).values


@wrong("magnitude_mask", says="1e-9")
def forgets_floating_point(weight, sparsity):
    order = weight.abs().flatten().argsort()
    mask = torch.ones(weight.numel(), dtype=torch.bool)
    mask[order[: math.floor((1 - (1 - sparsity)) * weight.numel())]] = False
    return mask.view(weight.shape)


@wrong("magnitude_mask", says="no round")
def rounds_to_the_nearest(weight, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError(sparsity)
    mask = torch.ones(weight.numel(), dtype=torch.bool)
    mask[weight.abs().flatten().argsort()[: round(sparsity * weight.numel())]] = False
    return mask.view(weight.shape)


@wrong("magnitude_mask", says="the share that goes")
def keeps_the_share_that_should_go(weight, sparsity):
    order = weight.abs().flatten().argsort()
    mask = torch.ones(weight.numel(), dtype=torch.bool)
    mask[order[: math.floor((1 - sparsity) * weight.numel() + 1e-9)]] = False
    return mask.view(weight.shape)


@wrong("magnitude_mask", says="shape")
def a_flat_mask(weight, sparsity):
    mask = torch.ones(weight.numel(), dtype=torch.bool)
    mask[weight.abs().flatten().argsort()[: math.floor(sparsity * weight.numel() + 1e-9)]] = False
    return mask


@wrong("magnitude_mask", says="what stays")
def returns_the_pruned_weight(weight, sparsity):
    pruned = weight.detach().flatten().clone()
    pruned[pruned.abs().argsort()[: math.floor(sparsity * weight.numel() + 1e-9)]] = 0
    return pruned.view(weight.shape)


@wrong("magnitude_mask", says="left alone")
def prunes_the_weight_itself(weight, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError(sparsity)
    mask = torch.ones(weight.numel(), dtype=torch.bool)
    mask[weight.abs().flatten().argsort()[: math.floor(sparsity * weight.numel() + 1e-9)]] = False
    weight.data *= mask.view(weight.shape)
    return mask.view(weight.shape)


@wrong("magnitude_mask", says="ValueError")
def accepts_any_sparsity(weight, sparsity):
    removed = min(weight.numel(), max(0, math.floor(sparsity * weight.numel() + 1e-9)))
    mask = torch.ones(weight.numel(), dtype=torch.bool)
    mask[weight.abs().flatten().argsort()[:removed]] = False
    return mask.view(weight.shape)


@right("magnitude_mask")
def topk_and_numbers(weight, sparsity):
    if sparsity < 0 or sparsity > 1:
        raise ValueError("0…1, please")
    stay = weight.numel() - int(sparsity * weight.numel() + 1e-9)
    mask = torch.zeros(weight.numel())
    mask[weight.detach().abs().reshape(-1).topk(stay).indices] = 1
    return mask.reshape(weight.shape)


@right("magnitude_mask")
def ranks_of_ranks(weight, sparsity, largest=1.0):
    if not 0 <= sparsity <= largest:
        raise ValueError("0…1, please")
    ranks = weight.abs().flatten().argsort(stable=True).argsort()
    return (ranks >= math.floor(sparsity * weight.numel() + 1e-9)).view_as(weight)


# --- sparsity


@wrong("sparsity", says="no mean of the layers")
def mean_of_the_layers(network):
    shares = [(p == 0).double().mean() for p in network.parameters() if p.ndim > 1]
    return (sum(shares) / len(shares)).item()


@wrong("sparsity", says="two axes or more")
def counts_all_parameters(network):
    zeros = sum((p == 0).sum().item() for p in network.parameters())
    return zeros / sum(p.numel() for p in network.parameters())


@wrong("sparsity", says="of 100 weights")
def the_share_that_is_left(network):
    weights = [p for p in network.parameters() if p.ndim > 1]
    return sum((w != 0).sum().item() for w in weights) / sum(w.numel() for w in weights)


@wrong("sparsity", says="of 100 weights")
def the_number_of_zeros(network):
    return sum((p == 0).sum().item() for p in network.parameters() if p.ndim > 1)


@wrong("sparsity", says="wherever they are")
def only_layers_at_the_top(network):
    layers = [layer for layer in network.children() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    if not layers:
        return 0.0
    return sum((x.weight == 0).sum().item() for x in layers) / sum(x.weight.numel() for x in layers)


@right("sparsity")
def by_the_kind_of_layer(network):
    layers = [layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    zeros = torch.stack([(layer.weight == 0).sum() for layer in layers]).sum()
    return zeros / sum(layer.weight.numel() for layer in layers)


@right("sparsity")
def one_long_vector(network):
    everything = torch.cat([p.detach().flatten() for n, p in network.named_parameters() if p.dim() >= 2])
    return 1 - torch.count_nonzero(everything).item() / everything.numel()


# --- global_threshold


@wrong("global_threshold", says="all layers together")
def mean_of_the_layers_thresholds(weights, sparsity):
    found = [w.abs().flatten().sort().values[math.floor(sparsity * w.numel() + 1e-9)] for w in weights]
    return (sum(found) / len(found)).item()


@wrong("global_threshold", says="a single number")
def a_threshold_for_each_layer(weights, sparsity):
    return torch.stack([w.abs().flatten().sort().values[math.floor(sparsity * w.numel() + 1e-9)] for w in weights])


@wrong("global_threshold", says="magnitudes")
def sorts_the_values(weights, sparsity):
    if not 0 <= sparsity < 1:
        raise ValueError(sparsity)
    values = torch.cat([w.flatten() for w in weights]).sort().values
    return values[math.floor(sparsity * len(values) + 1e-9)].item()


@wrong("global_threshold", says="third smallest")
def the_largest_that_goes(weights, sparsity):
    if not 0 <= sparsity < 1:
        raise ValueError(sparsity)
    magnitudes = torch.cat([w.abs().flatten() for w in weights]).sort().values
    return magnitudes[max(0, math.floor(sparsity * len(magnitudes) + 1e-9) - 1)].item()


@wrong("global_threshold", says="ValueError")
def a_threshold_at_sparsity_1(weights, sparsity):
    magnitudes = torch.cat([w.abs().flatten() for w in weights]).sort().values
    return magnitudes[min(len(magnitudes) - 1, math.floor(sparsity * len(magnitudes) + 1e-9))].item()


@wrong("global_threshold", says="sparsity 1.5: raise ValueError")
def only_1_is_an_error(weights, sparsity):
    if sparsity == 1:
        raise ValueError(sparsity)
    magnitudes = torch.cat([w.abs().flatten() for w in weights]).sort().values
    return magnitudes[math.floor(sparsity * len(magnitudes) + 1e-9)].item()


@wrong("global_threshold", says="sparsity -0.1: raise ValueError")
def a_negative_share_counts_from_the_end(weights, sparsity):
    if sparsity >= 1:
        raise ValueError(sparsity)
    magnitudes = torch.cat([w.abs().flatten() for w in weights]).sort().values
    return magnitudes[math.floor(sparsity * len(magnitudes) + 1e-9)].item()


@wrong("global_threshold", says="yours stopped with IndexError")
def without_a_check(weights, sparsity):
    magnitudes = torch.cat([w.abs().flatten() for w in weights]).sort().values
    return magnitudes[math.floor(sparsity * len(magnitudes) + 1e-9)].item()


@wrong("global_threshold", says="smallest go")
def sorts_from_the_largest(weights, sparsity):
    magnitudes = torch.cat([w.abs().flatten() for w in weights]).sort(descending=True).values
    return magnitudes[math.floor(sparsity * len(magnitudes) + 1e-9)].item()


@right("global_threshold")
def kthvalue_as_a_tensor(weights, sparsity):
    if sparsity < 0 or sparsity >= 1:
        raise ValueError("0 ≤ sparsity < 1, please")
    magnitudes = torch.cat([w.detach().reshape(-1) for w in weights]).abs()
    return magnitudes.kthvalue(int(sparsity * magnitudes.numel() + 1e-9) + 1).values


@right("global_threshold")
def a_sorted_list(weights, sparsity):
    if not 0 <= sparsity < 1:
        raise ValueError("0 ≤ sparsity < 1, please")
    magnitudes = sorted(abs(value) for weight in weights for value in weight.flatten().tolist())
    return magnitudes[int(sparsity * len(magnitudes) + 1e-9)]


# --- apply_masks


@wrong("apply_masks", says="in place")
def makes_new_parameters(network, masks):
    for name, mask in masks.items():
        module, _, last = name.rpartition(".")
        old = network.get_parameter(name)
        setattr(network.get_submodule(module), last, nn.Parameter(old.detach() * mask))


@wrong("apply_masks", says="zero where the mask is False")
def the_mask_is_turned_around(network, masks):
    with torch.no_grad():
        for name, mask in masks.items():
            network.get_parameter(name)[mask.bool()] = 0


@wrong("apply_masks", says="zero where the mask is False")
def changes_copies(network, masks):
    for name, mask in masks.items():
        network.state_dict()[name] = network.get_parameter(name).detach() * mask


@wrong("apply_masks", says="want gradients")
def switches_gradients_off(network, masks):
    for name, mask in masks.items():
        network.get_parameter(name).requires_grad_(False).mul_(mask)


@wrong("apply_masks", says="only what has a mask")
def wants_a_mask_for_every_weight(network, masks):
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim > 1:
                parameter.mul_(masks.get(name, torch.zeros(())))


@right("apply_masks")
def through_data(network, masks):
    for name, parameter in network.named_parameters():
        if name in masks:
            parameter.data *= masks[name].to(parameter.dtype)


@right("apply_masks")
def fills_what_goes(network, masks):
    with torch.no_grad():
        for name, mask in masks.items():
            network.get_parameter(name).masked_fill_(~mask.bool(), 0.0)


# --- masked_step


@wrong("masked_step", says="AFTER the optimizer's step")
def masks_before_the_step(network, images, labels, optimizer, masks):
    apply_masks(network, masks)
    return training_step(network, images, labels, optimizer)


@wrong("masked_step", says="AFTER the optimizer's step")
def masks_only_the_gradients(network, images, labels, optimizer, masks):
    network.train()
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(network(images), labels)
    loss.backward()
    for name, mask in masks.items():
        network.get_parameter(name).grad *= mask
    optimizer.step()
    return loss.item()


@wrong("masked_step", says="AFTER the optimizer's step")
def forgets_the_masks(network, images, labels, optimizer, masks):
    return training_step(network, images, labels, optimizer)


@wrong("masked_step", says="loss")
def returns_nothing(network, images, labels, optimizer, masks):
    training_step(network, images, labels, optimizer)
    apply_masks(network, masks)


@wrong("masked_step", says="learns as in an ordinary step")
def restores_the_weights(network, images, labels, optimizer, masks):
    before = {name: network.get_parameter(name).detach().clone() for name in masks}
    loss = training_step(network, images, labels, optimizer)
    with torch.no_grad():
        for name, mask in masks.items():
            network.get_parameter(name).copy_(before[name] * mask)
    return loss


@wrong("masked_step", says="learns as in an ordinary step")
def two_steps(network, images, labels, optimizer, masks):
    loss = training_step(network, images, labels, optimizer)
    training_step(network, images, labels, optimizer)
    apply_masks(network, masks)
    return loss


@wrong("masked_step", says="leave them as they are")
def masks_that_shrink(network, images, labels, optimizer, masks):
    loss = training_step(network, images, labels, optimizer)
    with torch.no_grad():
        for name, mask in masks.items():
            network.get_parameter(name).mul_(mask)
            mask &= network.get_parameter(name).abs() > 0.05
    return loss


@right("masked_step")
def all_by_hand(network, images, labels, optimizer, masks):
    network.train()
    loss = nn.functional.cross_entropy(network(images), labels)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    for name, mask in masks.items():
        network.get_parameter(name).data *= mask
    return float(loss)


@right("masked_step")
def gradients_and_weights(network, images, labels, optimizer, masks):
    loss = training_step(network, images, labels, optimizer)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name in masks:
                parameter[~masks[name].bool()] = 0.0
    return loss


# --- rewind


@wrong("rewind", says="zero where the mask prunes")
def forgets_the_masks_after_going_back(network, start, masks):
    network.load_state_dict(start)


@wrong("rewind", says="statistics")
def forgets_the_statistics(network, start, masks):
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(start[name] * masks.get(name, torch.ones_like(start[name])))


@wrong("rewind", says="do not share")
def shares_memory_with_the_start(network, start, masks):
    network.load_state_dict(start)
    for name, parameter in network.named_parameters():
        parameter.data = start[name]
        if name in masks:
            parameter.data = start[name] * masks[name]


@wrong("rewind", says="was changed")
def masks_the_start(network, start, masks):
    for name, mask in masks.items():
        start[name] *= mask
    network.load_state_dict(start)


@wrong("rewind", says="zero where the mask prunes")
def only_the_weights_with_masks(network, start, masks):
    with torch.no_grad():
        for name, mask in masks.items():
            network.get_parameter(name).copy_(torch.where(mask.bool(), start[name], network.get_parameter(name)))


@right("rewind")
def tensor_by_tensor(network, start, masks):
    with torch.no_grad():
        for name, value in network.state_dict().items():
            value.copy_(start[name] * masks[name] if name in masks else start[name])


@right("rewind")
def a_new_state_dict(network, start, masks):
    state = {name: value.clone() for name, value in start.items()}
    for name, mask in masks.items():
        state[name] = state[name].masked_fill(~mask.bool(), 0)
    network.load_state_dict(state)
