"""Wrong and right answers to lab 2, as students write them."""

import copy
import math

import torch
from torch import nn

from autograder.answers import right, wrong
from solutions.masks import apply_masks
from solutions.training_step import training_step

# --- magnitude_mask


@wrong("magnitude_mask", says="no absolute values")
def ranks_by_value(weight, sparsity):
    order = weight.flatten().argsort()
    mask = torch.ones(weight.numel(), dtype=torch.bool)
    mask[order[: math.floor(sparsity * weight.numel() + 1e-9)]] = False
    return mask.view(weight.shape)


@wrong("magnitude_mask", says="True for what goes")
def true_for_what_goes(weight, sparsity):
    order = weight.abs().flatten().argsort()
    mask = torch.zeros(weight.numel(), dtype=torch.bool)
    mask[order[: math.floor(sparsity * weight.numel() + 1e-9)]] = True
    return mask.view(weight.shape)


@wrong("magnitude_mask", says="which takes all equal ones")
def a_threshold_that_takes_all_equal_ones(weight, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError(sparsity)
    removed = math.floor(sparsity * weight.numel() + 1e-9)
    if removed == 0:
        return torch.ones_like(weight, dtype=torch.bool)
    return weight.abs() > weight.abs().flatten().kthvalue(removed).values


@wrong("magnitude_mask", says="without the 1e-9")
def forgets_floating_point(weight, sparsity):
    order = weight.abs().flatten().argsort()
    mask = torch.ones(weight.numel(), dtype=torch.bool)
    mask[order[: math.floor((1 - (1 - sparsity)) * weight.numel())]] = False
    return mask.view(weight.shape)


@wrong("magnitude_mask", says="round(sparsity * N)")
def rounds_to_the_nearest(weight, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError(sparsity)
    mask = torch.ones(weight.numel(), dtype=torch.bool)
    mask[weight.abs().flatten().argsort()[: round(sparsity * weight.numel())]] = False
    return mask.view(weight.shape)


@wrong("magnitude_mask", says="taken for the share that stays")
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


@wrong("magnitude_mask", says="it says what stays")
def returns_the_pruned_weight(weight, sparsity):
    pruned = weight.detach().flatten().clone()
    pruned[pruned.abs().argsort()[: math.floor(sparsity * weight.numel() + 1e-9)]] = 0
    return pruned.view(weight.shape)


@wrong("magnitude_mask", says="`weight` was changed")
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


@wrong("magnitude_mask", says="what STAYS is rounded down")
def rounds_what_stays_down(weight, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError(sparsity)
    order = weight.detach().abs().flatten().argsort(descending=True)
    mask = torch.zeros(len(order), dtype=torch.bool)
    mask[order[: math.floor((1 - sparsity) * len(order) + 1e-9)]] = True
    return mask.view(weight.shape)


@wrong("magnitude_mask", says="from each filter")
def every_filter_loses_the_share(weight, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError(sparsity)
    rows = weight.detach().abs().reshape(weight.shape[0], -1)
    mask = torch.ones_like(rows, dtype=torch.bool)
    mask.scatter_(1, rows.argsort(dim=1)[:, : math.floor(sparsity * rows.shape[1] + 1e-9)], False)
    return mask.view(weight.shape)


@wrong("magnitude_mask", says="squares, which are all 0")
def ranks_squares(weight, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError(sparsity)
    order = (weight.detach() ** 2).flatten().argsort(stable=True)
    mask = torch.ones(len(order), dtype=torch.bool)
    mask[order[: math.floor(sparsity * len(order) + 1e-9)]] = False
    return mask.view(weight.shape)


@wrong("magnitude_mask", says="in which weights so close are equal")
def ranks_in_float32(weight, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError(sparsity)
    order = weight.detach().float().abs().flatten().argsort(stable=True)
    mask = torch.ones(len(order), dtype=torch.bool)
    mask[order[: math.floor(sparsity * len(order) + 1e-9)]] = False
    return mask.view(weight.shape)


@wrong("magnitude_mask", says="use reshape or flatten")
def views_the_weight(weight, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError(sparsity)
    order = weight.detach().view(-1).abs().argsort()
    mask = torch.ones(len(order), dtype=torch.bool)
    mask[order[: math.floor(sparsity * len(order) + 1e-9)]] = False
    return mask.view(weight.shape)


@wrong("magnitude_mask", says="all zeros removed besides")
def zeros_go_on_top(weight, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError(sparsity)
    magnitudes = weight.detach().abs().flatten()
    zeros = int((magnitudes == 0).sum())
    mask = torch.ones(len(magnitudes), dtype=torch.bool)
    mask[magnitudes.argsort()[: zeros + math.floor(sparsity * (len(magnitudes) - zeros) + 1e-9)]] = False
    return mask.view(weight.shape)


@wrong("magnitude_mask", says="global random numbers")
def throws_dice_for_equal_ones(weight, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError(sparsity)
    magnitudes = weight.detach().abs().flatten()
    shuffled = torch.randperm(len(magnitudes))
    order = shuffled[magnitudes[shuffled].argsort(stable=True)]
    mask = torch.ones(len(order), dtype=torch.bool)
    mask[order[: math.floor(sparsity * len(order) + 1e-9)]] = False
    return mask.view(weight.shape)


@wrong("magnitude_mask", says="two calls return the same memory")
def the_same_mask_each_time(weight, sparsity, masks={}):
    if not 0 <= sparsity <= 1:
        raise ValueError(sparsity)
    mask = masks.setdefault(weight.shape, torch.ones(weight.shape, dtype=torch.bool)).fill_(True)
    order = weight.detach().abs().flatten().argsort()
    mask.view(-1)[order[: math.floor(sparsity * len(order) + 1e-9)]] = False
    return mask


@wrong("magnitude_mask", says="at sparsity 1.0 0 of 24 weights stay")
def refuses_to_remove_all(weight, sparsity):
    if not 0 <= sparsity < 1:
        raise ValueError(sparsity)
    order = weight.detach().abs().flatten().argsort()
    mask = torch.ones(len(order), dtype=torch.bool)
    mask[order[: math.floor(sparsity * len(order) + 1e-9)]] = False
    return mask.view(weight.shape)


@wrong("magnitude_mask", says="a tensor of bool")
def ones_and_zeros(weight, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError(sparsity)
    order = weight.detach().abs().flatten().argsort()
    mask = torch.ones(len(order))
    mask[order[: math.floor(sparsity * len(order) + 1e-9)]] = 0
    return mask.view(weight.shape)


@wrong("magnitude_mask", says="too coarse for the 1e-9")
def counts_in_float32(weight, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError(sparsity)
    gone = int(torch.floor(torch.tensor(sparsity) * weight.numel() + 1e-9))
    mask = torch.ones(weight.numel(), dtype=torch.bool)
    mask[weight.detach().abs().flatten().argsort()[:gone]] = False
    return mask.view(weight.shape)


@right("magnitude_mask")
def topk_of_what_stays(weight, sparsity):
    if sparsity < 0 or sparsity > 1:
        raise ValueError("0…1, please")
    stay = weight.numel() - int(sparsity * weight.numel() + 1e-9)
    mask = torch.zeros(weight.numel(), dtype=torch.bool)
    mask[weight.detach().abs().reshape(-1).topk(stay).indices] = True
    return mask.reshape(weight.shape)


@right("magnitude_mask")
def ranks_of_ranks(weight, sparsity, largest=1.0):
    if not 0 <= sparsity <= largest:
        raise ValueError("0…1, please")
    ranks = weight.abs().flatten().argsort(stable=True).argsort()
    return (ranks >= math.floor(sparsity * weight.numel() + 1e-9)).view_as(weight)


@wrong("magnitude_mask", says="[-0:] is everything")
def the_last_of_those_sorted(weight, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError(sparsity)
    order = weight.abs().flatten().argsort()
    stay = len(order) - math.floor(sparsity * len(order) + 1e-9)
    mask = torch.zeros(len(order), dtype=torch.bool)
    mask[order[-stay:]] = True
    return mask.view(weight.shape)


# --- sparsity


@wrong("sparsity", says="the mean of the layers' shares")
def mean_of_the_layers(network):
    shares = [(p == 0).double().mean() for p in network.parameters() if p.ndim > 1]
    return (sum(shares) / len(shares)).item()


@wrong("sparsity", says="all parameters counted")
def counts_all_parameters(network):
    zeros = sum((p == 0).sum().item() for p in network.parameters())
    return zeros / sum(p.numel() for p in network.parameters())


@wrong("sparsity", says="NOT zero")
def the_share_that_is_left(network):
    weights = [p for p in network.parameters() if p.ndim > 1]
    return sum((w != 0).sum().item() for w in weights) / sum(w.numel() for w in weights)


@wrong("sparsity", says="the number of zeros")
def the_number_of_zeros(network):
    return sum((p == 0).sum().item() for p in network.parameters() if p.ndim > 1)


@wrong("sparsity", says="only layers at the top")
def only_layers_at_the_top(network):
    layers = [layer for layer in network.children() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    if not layers:
        return 0.0
    return sum((x.weight == 0).sum().item() for x in layers) / sum(x.weight.numel() for x in layers)


@wrong("sparsity", says="number of ALL parameters")
def divides_by_all_parameters(network):
    zeros = sum((p == 0).sum().item() for p in network.parameters() if p.ndim > 1)
    return zeros / sum(p.numel() for p in network.parameters())


@wrong("sparsity", says="close to 0 counted as zeros")
def nearly_zero_counts(network):
    weights = [p for p in network.parameters() if p.ndim > 1]
    zeros = sum(torch.isclose(p, torch.zeros_like(p)).sum().item() for p in weights)
    return zeros / sum(p.numel() for p in weights)


@wrong("sparsity", says="those of batch norms too")
def all_that_is_called_weight(network):
    weights = [p for name, p in network.named_parameters() if name.endswith("weight")]
    return sum((p == 0).sum().item() for p in weights) / sum(p.numel() for p in weights)


@wrong("sparsity", says="no other convolutions")
def two_kinds_of_layers(network):
    weights = {id(m.weight): m.weight for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))}.values()
    return sum((p == 0).sum().item() for p in weights) / sum(p.numel() for p in weights)


@wrong("sparsity", says="buffers with two axes")
def goes_through_the_state_dict(network):
    tensors = network.state_dict(keep_vars=True).values()
    weights = {id(tensor): tensor for tensor in tensors if tensor.ndim > 1}.values()
    return sum((p == 0).sum().item() for p in weights) / sum(p.numel() for p in weights)


@wrong("sparsity", says="a shared weight counted twice")
def counts_shared_weights_twice(network):
    weights = [p for layer in network.modules() for p in layer.parameters(recurse=False) if p.ndim > 1]
    return sum((p == 0).sum().item() for p in weights) / sum(p.numel() for p in weights)


@wrong("sparsity", says="only parameters that require gradients")
def overlooks_frozen_layers(network):
    weights = [p for p in network.parameters() if p.requires_grad and p.ndim > 1]
    return sum((p == 0).sum().item() for p in weights) / sum(p.numel() for p in weights)


@wrong("sparsity", says="another mode")
def leaves_it_in_evaluation_mode(network):
    network.eval()
    weights = [p for p in network.parameters() if p.ndim > 1]
    return sum((p == 0).sum().item() for p in weights) / sum(p.numel() for p in weights)


@wrong("sparsity", says="an earlier call counted as well")
def counts_on_and_on(network, counts=[0, 0]):
    weights = [p for p in network.parameters() if p.ndim > 1]
    counts[0] += sum((p == 0).sum().item() for p in weights)
    counts[1] += sum(p.numel() for p in weights)
    return counts[0] / counts[1]


@wrong("sparsity", says="gradients are switched on or off")
def switches_gradients_off_for_ever(network):
    torch.set_grad_enabled(False)
    weights = [p for p in network.parameters() if p.ndim > 1]
    return sum((p == 0).sum().item() for p in weights) / sum(p.numel() for p in weights)


@wrong("sparsity", says="rounded to three digits")
def three_digits(network):
    weights = [p for p in network.parameters() if p.ndim > 1]
    return round(sum((p == 0).sum().item() for p in weights) / sum(p.numel() for p in weights), 3)


@wrong("sparsity", says="Python number")
def a_share_in_a_tensor(network):
    everything = torch.cat([p.detach().flatten() for p in network.parameters() if p.ndim > 1])
    return (everything == 0).double().mean()


@wrong("sparsity", says="the weights of other norms too")
def knows_one_norm_only(network):
    weights = [
        parameter
        for layer in network.modules()
        for name, parameter in layer.named_parameters(recurse=False)
        if "bias" not in name and not isinstance(layer, nn.BatchNorm2d)
    ]
    weights = list({id(weight): weight for weight in weights}.values())
    return sum((weight == 0).sum().item() for weight in weights) / sum(weight.numel() for weight in weights)


@wrong("sparsity", says="whatever its name")
def asks_for_the_name(network):
    weights = [p for name, p in network.named_parameters() if p.ndim > 1 and name.endswith("weight")]
    return sum((weight == 0).sum().item() for weight in weights) / sum(weight.numel() for weight in weights)


@wrong("sparsity", says="float32 on the way")
def collects_in_float32(network):
    flat = torch.cat([p.detach().float().flatten() for p in network.parameters() if p.ndim > 1])
    return (flat == 0).sum().item() / flat.numel()


@right("sparsity")
def layer_by_layer_each_weight_once(network):
    weights = {id(p): p for layer in network.modules() for p in layer.parameters(recurse=False) if p.ndim > 1}
    zeros = torch.stack([(weight == 0).sum() for weight in weights.values()]).sum()
    return (zeros / sum(weight.numel() for weight in weights.values())).item()


@right("sparsity")
def one_long_vector(network):
    everything = torch.cat([p.detach().flatten() for n, p in network.named_parameters() if p.dim() >= 2])
    return 1 - torch.count_nonzero(everything).item() / everything.numel()


@wrong("sparsity", says="state_dict() holds them")
def of_the_state_dict(network):
    weights = [value for value in network.state_dict().values() if value.ndim > 1]
    return sum(int((weight == 0).sum()) for weight in weights) / sum(weight.numel() for weight in weights)


# --- global_threshold


@wrong("global_threshold", says="the mean of the layers' own thresholds")
def mean_of_the_layers_thresholds(weights, sparsity):
    found = [w.abs().flatten().sort().values[math.floor(sparsity * w.numel() + 1e-9)] for w in weights]
    return (sum(found) / len(found)).item()


@wrong("global_threshold", says="a single number")
def a_threshold_for_each_layer(weights, sparsity):
    return torch.stack([w.abs().flatten().sort().values[math.floor(sparsity * w.numel() + 1e-9)] for w in weights])


@wrong("global_threshold", says="without their magnitudes")
def sorts_the_values(weights, sparsity):
    if not 0 <= sparsity < 1:
        raise ValueError(sparsity)
    values = torch.cat([w.flatten() for w in weights]).sort().values
    return values[math.floor(sparsity * len(values) + 1e-9)].item()


@wrong("global_threshold", says="the largest magnitude that GOES")
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


@wrong("global_threshold", says="the largest sorted first")
def sorts_from_the_largest(weights, sparsity):
    magnitudes = torch.cat([w.abs().flatten() for w in weights]).sort(descending=True).values
    return magnitudes[math.floor(sparsity * len(magnitudes) + 1e-9)].item()


@wrong("global_threshold", says="rounded down for each layer")
def rounds_down_in_each_layer(weights, sparsity):
    if not 0 <= sparsity < 1:
        raise ValueError(sparsity)
    magnitudes = torch.cat([w.detach().abs().flatten() for w in weights]).sort().values
    return magnitudes[sum(math.floor(sparsity * w.numel() + 1e-9) for w in weights)].item()


@wrong("global_threshold", says="the root of squares")
def root_of_the_square(weights, sparsity):
    if not 0 <= sparsity < 1:
        raise ValueError(sparsity)
    squares = torch.cat([(w.detach() ** 2).flatten() for w in weights]).sort().values
    return math.sqrt(squares[math.floor(sparsity * len(squares) + 1e-9)].item())


@wrong("global_threshold", says="counted once (unique)")
def equal_ones_count_once(weights, sparsity):
    if not 0 <= sparsity < 1:
        raise ValueError(sparsity)
    magnitudes = torch.cat([w.detach().abs().flatten() for w in weights]).unique()
    return magnitudes[math.floor(sparsity * len(magnitudes) + 1e-9)].item()


@wrong("global_threshold", says="zero already left out")
def leaves_zeros_out(weights, sparsity):
    if not 0 <= sparsity < 1:
        raise ValueError(sparsity)
    magnitudes = torch.cat([w.detach().abs().flatten() for w in weights]).sort().values
    magnitudes = magnitudes[magnitudes > 0]
    return magnitudes[math.floor(sparsity * len(magnitudes) + 1e-9)].item()


@wrong("global_threshold", says="in no other dtype")
def in_float32(weights, sparsity):
    if not 0 <= sparsity < 1:
        raise ValueError(sparsity)
    magnitudes = torch.cat([w.detach().abs().flatten().float() for w in weights]).sort().values
    return magnitudes[math.floor(sparsity * len(magnitudes) + 1e-9)].item()


@wrong("global_threshold", says="one axis left out")
def leaves_vectors_out(weights, sparsity):
    if not 0 <= sparsity < 1:
        raise ValueError(sparsity)
    chosen = [w.detach().abs().flatten() for w in weights if w.ndim > 1] or [torch.zeros(1)]
    magnitudes = torch.cat(chosen).sort().values
    return magnitudes[math.floor(sparsity * len(magnitudes) + 1e-9)].item()


@wrong("global_threshold", says="`weights[0]` was changed")
def sorts_the_weights_themselves(weights, sparsity):
    if not 0 <= sparsity < 1:
        raise ValueError(sparsity)
    rows = [w.detach().numpy().reshape(-1) for w in weights]
    for row in rows:
        row.sort()
    magnitudes = torch.cat([torch.from_numpy(row).abs() for row in rows]).sort().values
    return magnitudes[math.floor(sparsity * len(magnitudes) + 1e-9)].item()


@wrong("global_threshold", says="it is gone afterwards")
def takes_the_tensors_away(weights, sparsity):
    if not 0 <= sparsity < 1:
        raise ValueError(sparsity)
    magnitudes = torch.empty(0, dtype=weights[0].dtype)
    while weights:
        magnitudes = torch.cat([magnitudes, weights.pop().detach().abs().flatten()])
    return magnitudes.sort().values[math.floor(sparsity * len(magnitudes) + 1e-9)].item()


@wrong("global_threshold", says="torch.quantile")
def interpolates(weights, sparsity):
    if not 0 <= sparsity < 1:
        raise ValueError(sparsity)
    return torch.cat([w.detach().abs().flatten() for w in weights]).quantile(sparsity).item()


@wrong("global_threshold", says="without the 1e-9")
def forgets_the_small_number(weights, sparsity):
    if not 0 <= sparsity < 1:
        raise ValueError(sparsity)
    magnitudes = torch.cat([w.detach().abs().flatten() for w in weights]).sort().values
    return magnitudes[math.floor(sparsity * len(magnitudes))].item()


@wrong("global_threshold", says="Python number")
def a_threshold_in_a_tensor(weights, sparsity):
    if not 0 <= sparsity < 1:
        raise ValueError(sparsity)
    magnitudes = torch.cat([w.detach().abs().flatten() for w in weights]).sort().values
    return magnitudes[math.floor(sparsity * len(magnitudes) + 1e-9)]


@wrong("global_threshold", says="all of which count")
def estimates_from_a_sample(weights, sparsity):
    if not 0 <= sparsity < 1:
        raise ValueError(sparsity)
    magnitudes = torch.cat([weight.detach().abs().flatten() for weight in weights])
    magnitudes = magnitudes[::10] if len(magnitudes) > 10_000 else magnitudes
    return magnitudes.sort().values[math.floor(sparsity * len(magnitudes) + 1e-9)].item()


@right("global_threshold")
def the_smallest_of_the_largest(weights, sparsity):
    if not (sparsity >= 0 and sparsity < 1):
        raise ValueError("0 ≤ sparsity < 1, please")
    magnitudes = torch.cat([w.detach().abs().flatten() for w in weights])
    return float(magnitudes.topk(len(magnitudes) - math.floor(sparsity * len(magnitudes) + 1e-9)).values.min())


@right("global_threshold")
def kthvalue_counts_from_one(weights, sparsity):
    if sparsity < 0 or sparsity >= 1:
        raise ValueError("0 ≤ sparsity < 1, please")
    magnitudes = torch.cat([w.detach().reshape(-1) for w in weights]).abs()
    return magnitudes.kthvalue(int(sparsity * magnitudes.numel() + 1e-9) + 1).values.item()


@right("global_threshold")
def a_sorted_list(weights, sparsity):
    if not 0 <= sparsity < 1:
        raise ValueError("0 ≤ sparsity < 1, please")
    magnitudes = sorted(abs(value) for weight in weights for value in weight.flatten().tolist())
    return magnitudes[int(sparsity * len(magnitudes) + 1e-9)]


@wrong("global_threshold", says="interpolation='higher'")
def the_higher_quantile(weights, sparsity):
    if not 0 <= sparsity < 1:
        raise ValueError(sparsity)
    magnitudes = torch.cat([weight.detach().abs().flatten() for weight in weights]).double()
    return magnitudes.quantile(sparsity, interpolation="higher").item()


# --- apply_masks


@wrong("apply_masks", says="another object is in its place")
def makes_new_parameters(network, masks):
    for name, mask in masks.items():
        module, _, last = name.rpartition(".")
        old = network.get_parameter(name)
        setattr(network.get_submodule(module), last, nn.Parameter(old.detach() * mask))


@wrong("apply_masks", says="turned around")
def the_mask_is_turned_around(network, masks):
    with torch.no_grad():
        for name, mask in masks.items():
            network.get_parameter(name)[mask.bool()] = 0


@wrong("apply_masks", says="nothing changed in the network")
def changes_copies(network, masks):
    for name, mask in masks.items():
        network.state_dict()[name] = network.get_parameter(name).detach() * mask


@wrong("apply_masks", says="its requires_grad is another one")
def switches_gradients_off(network, masks):
    for name, mask in masks.items():
        network.get_parameter(name).requires_grad_(False).mul_(mask)


@wrong("apply_masks", says="weights without a mask set to zero")
def wants_a_mask_for_every_weight(network, masks):
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim > 1:
                parameter.mul_(masks.get(name, torch.zeros(())))


@wrong("apply_masks", says="by their order, not by name")
def pairs_by_order(network, masks):
    weights = [p for p in network.parameters() if p.ndim > 1]
    with torch.no_grad():
        for weight, mask in zip(weights, masks.values(), strict=False):
            weight.mul_(mask)


@wrong("apply_masks", says="stopped with KeyError")
def needs_a_mask_for_all(network, masks):
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim > 1:
                parameter.mul_(masks[name])


@wrong("apply_masks", says="with tensors in channels_last")
def writes_into_a_flat_copy(network, masks):
    for name, mask in masks.items():
        network.get_parameter(name).detach().flatten()[~mask.flatten()] = 0


@wrong("apply_masks", says="only the masks of parameters called weight")
def looks_for_weights_only(network, masks):
    with torch.no_grad():
        for name, layer in network.named_modules():
            if f"{name}.weight" in masks:
                layer.weight.mul_(masks[f"{name}.weight"])


@wrong("apply_masks", says="compared by their ends only")
def compares_the_ends_of_names(network, masks):
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            for end, mask in masks.items():
                if name.endswith(end):
                    parameter.mul_(mask)


@wrong("apply_masks", says="its requires_grad is another one")
def unfreezes_what_is_masked(network, masks):
    for name, mask in masks.items():
        network.get_parameter(name).requires_grad_(False).mul_(mask).requires_grad_(True)


@wrong("apply_masks", says="it is gone afterwards")
def uses_the_masks_up(network, masks):
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name in masks:
                parameter.mul_(masks.pop(name))


@wrong("apply_masks", says="gradients are switched on or off")
def never_switches_gradients_on_again(network, masks):
    torch.set_grad_enabled(False)
    for name, mask in masks.items():
        network.get_parameter(name).mul_(mask)


@wrong("apply_masks", says="its hooks are others")
def masks_again_before_every_forward(network, masks):
    def hold(*_):
        with torch.no_grad():
            for name, mask in masks.items():
                network.get_parameter(name).mul_(mask)

    hold()
    network.register_forward_pre_hook(hold)


@wrong("apply_masks", says="holds zeros already")
def passes_over_what_has_zeros(network, masks):
    with torch.no_grad():
        for name, mask in masks.items():
            parameter = network.get_parameter(name)
            if not (parameter == 0).any():
                parameter.mul_(mask)


@wrong("apply_masks", says="without a dot")
def splits_at_the_last_dot(network, masks):
    for path, mask in masks.items():
        module_name, name = path.rsplit(".", 1)
        with torch.no_grad():
            getattr(network.get_submodule(module_name), name).mul_(mask)


@wrong("apply_masks", says="the dtype of the weight")
def makes_floats_of_the_masks(network, masks):
    for name, mask in masks.items():
        parameter = network.get_parameter(name)
        parameter.data = parameter.data * mask.float()


@right("apply_masks")
def loads_what_is_left(network, masks):
    masked = {name: network.get_parameter(name).detach() * mask for name, mask in masks.items()}
    network.load_state_dict(masked, strict=False)


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


@wrong("masked_step", says="before the step, not after")
def masks_before_the_step(network, images, labels, optimizer, masks):
    apply_masks(network, masks)
    return training_step(network, images, labels, optimizer)


@wrong("masked_step", says="gradients that are masked")
def masks_only_the_gradients(network, images, labels, optimizer, masks):
    network.train()
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(network(images), labels)
    loss.backward()
    for name, mask in masks.items():
        network.get_parameter(name).grad *= mask
    optimizer.step()
    return loss.item()


@wrong("masked_step", says="AFTER it")
def forgets_the_masks(network, images, labels, optimizer, masks):
    return training_step(network, images, labels, optimizer)


@wrong("masked_step", says="loss")
def returns_nothing(network, images, labels, optimizer, masks):
    training_step(network, images, labels, optimizer)
    apply_masks(network, masks)


@wrong("masked_step", says="as they were before the step")
def restores_the_weights(network, images, labels, optimizer, masks):
    before = {name: network.get_parameter(name).detach().clone() for name in masks}
    loss = training_step(network, images, labels, optimizer)
    with torch.no_grad():
        for name, mask in masks.items():
            network.get_parameter(name).copy_(before[name] * mask)
    return loss


@wrong("masked_step", says="two training steps")
def two_steps(network, images, labels, optimizer, masks):
    loss = training_step(network, images, labels, optimizer)
    training_step(network, images, labels, optimizer)
    apply_masks(network, masks)
    return loss


@wrong("masked_step", says="`masks['features.0.weight']` was changed")
def masks_that_shrink(network, images, labels, optimizer, masks):
    loss = training_step(network, images, labels, optimizer)
    with torch.no_grad():
        for name, mask in masks.items():
            network.get_parameter(name).mul_(mask)
            mask &= network.get_parameter(name).abs() > 0.05
    return loss


@wrong("masked_step", says="optimizer.step() called once more")
def steps_once_more(network, images, labels, optimizer, masks):
    loss = training_step(network, images, labels, optimizer)
    optimizer.step()
    apply_masks(network, masks)
    return loss


@wrong("masked_step", says="the loss AFTER the step")
def the_loss_afterwards(network, images, labels, optimizer, masks):
    training_step(network, images, labels, optimizer)
    apply_masks(network, masks)
    with torch.no_grad():
        return nn.functional.cross_entropy(copy.deepcopy(network)(images), labels).item()


@wrong("masked_step", says="as many training steps as there are masks")
def a_step_for_every_mask(network, images, labels, optimizer, masks):
    loss = 0.0
    for name, mask in masks.items():
        loss = training_step(network, images, labels, optimizer)
        apply_masks(network, {name: mask})
    apply_masks(network, masks)
    return loss


@wrong("masked_step", says="as if zeros were the masks")
def takes_zeros_for_the_masks(network, images, labels, optimizer, masks):
    current = {name: network.get_parameter(name).detach() != 0 for name in masks}
    loss = training_step(network, images, labels, optimizer)
    apply_masks(network, {name: mask & current[name] for name, mask in masks.items()})
    return loss


@wrong("masked_step", says="only the masks of convolutions")
def masks_convolutions_only(network, images, labels, optimizer, masks):
    loss = training_step(network, images, labels, optimizer)
    apply_masks(network, {name: mask for name, mask in masks.items() if mask.ndim == 4})
    return loss


@wrong("masked_step", says="the network in evaluation mode")
def leaves_the_mode(network, images, labels, optimizer, masks):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(network(images), labels)
    loss.backward()
    optimizer.step()
    apply_masks(network, masks)
    return loss.item()


@wrong("masked_step", says="remove your hooks")
def hooks_pile_up(network, images, labels, optimizer, masks):
    for name, mask in masks.items():
        parameter = network.get_parameter(name)
        if parameter.requires_grad:
            parameter.register_hook(lambda gradient, mask=mask: gradient * mask)
    loss = training_step(network, images, labels, optimizer)
    apply_masks(network, masks)
    return loss


@wrong("masked_step", says="forgets its momentum")
def clears_the_momentum(network, images, labels, optimizer, masks):
    loss = training_step(network, images, labels, optimizer)
    apply_masks(network, masks)
    optimizer.state.clear()
    return loss


@wrong("masked_step", says="which an optimizer does not know")
def new_parameters_after_the_step(network, images, labels, optimizer, masks):
    loss = training_step(network, images, labels, optimizer)
    for name, mask in masks.items():
        layer, _, last = name.rpartition(".")
        old = network.get_parameter(name)
        setattr(network.get_submodule(layer), last, nn.Parameter(old.detach() * mask, old.requires_grad))
    return loss


@wrong("masked_step", says="the masks of an earlier call")
def remembers_the_first_masks(network, images, labels, optimizer, masks, known={}):
    for name, mask in masks.items():
        known.setdefault(name, mask.clone())
    loss = training_step(network, images, labels, optimizer)
    apply_masks(network, {name: known[name] for name in masks})
    return loss


@wrong("masked_step", says="only masks with two axes or more")
def lets_biases_go(network, images, labels, optimizer, masks):
    loss = training_step(network, images, labels, optimizer)
    apply_masks(network, {name: mask for name, mask in masks.items() if mask.ndim > 1})
    return loss


@wrong("masked_step", says="masks left out that keep nothing")
def spares_what_would_be_empty(network, images, labels, optimizer, masks):
    loss = training_step(network, images, labels, optimizer)
    apply_masks(network, {name: mask for name, mask in masks.items() if mask.any()})
    return loss


@right("masked_step")
def a_hook_of_the_optimizer(network, images, labels, optimizer, masks):
    handle = optimizer.register_step_post_hook(lambda *_: apply_masks(network, masks))
    try:
        return training_step(network, images, labels, optimizer)
    finally:
        handle.remove()


@right("masked_step")
def momentum_is_masked_too(network, images, labels, optimizer, masks):
    loss = training_step(network, images, labels, optimizer)
    apply_masks(network, masks)
    for name, mask in masks.items():
        for memory in optimizer.state[network.get_parameter(name)].values():
            if torch.is_tensor(memory) and memory.shape == mask.shape:
                memory.mul_(mask)
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


@wrong("masked_step", says="a second pass through the network")
def looks_at_the_loss_again(network, images, labels, optimizer, masks):
    training_step(network, images, labels, optimizer)
    apply_masks(network, masks)
    with torch.no_grad():
        return nn.functional.cross_entropy(network(images), labels).item()


# --- rewind


@wrong("rewind", says="the masks left out")
def forgets_the_masks_after_going_back(network, start, masks):
    network.load_state_dict(start)


@wrong("rewind", says="statistics are part of `start`")
def forgets_the_statistics(network, start, masks):
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(start[name] * masks.get(name, torch.ones_like(start[name])))


@wrong("rewind", says="they share memory")
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


@wrong("rewind", says="`start`")
def only_the_weights_with_masks(network, start, masks):
    with torch.no_grad():
        for name, mask in masks.items():
            network.get_parameter(name).copy_(torch.where(mask.bool(), start[name], network.get_parameter(name)))


@wrong("rewind", says="applied before going back")
def masks_first(network, start, masks):
    apply_masks(network, masks)
    network.load_state_dict(start)


@wrong("rewind", says="the zeros of the present network")
def keeps_the_present_zeros(network, start, masks):
    current = {name: network.get_parameter(name).detach() != 0 for name in masks}
    network.load_state_dict(start)
    apply_masks(network, current)


@wrong("rewind", says="keep their present values")
def writes_only_what_stays(network, start, masks):
    now = network.state_dict()
    kept = {name: torch.where(mask, start[name], now[name]) for name, mask in masks.items()}
    network.load_state_dict({**start, **kept})


@wrong("rewind", says="no masks: the values of `start`")
def does_nothing_without_masks(network, start, masks):
    if masks:
        network.load_state_dict(start)
        apply_masks(network, masks)


@wrong("rewind", says="num_batches_tracked left as it was")
def floats_only(network, start, masks):
    state = network.state_dict()
    for name, value in start.items():
        if value.is_floating_point():
            state[name].copy_(value)
    apply_masks(network, masks)


@wrong("rewind", says="biases and batch norms are part of `start`")
def weights_only(network, start, masks):
    network.load_state_dict({name: value for name, value in start.items() if value.ndim > 1}, strict=False)
    apply_masks(network, masks)


@wrong("rewind", says="which an optimizer does not know")
def assigns_the_start(network, start, masks):
    network.load_state_dict(copy.deepcopy(dict(start)), assign=True)
    apply_masks(network, masks)


@wrong("rewind", says="the `start` of an earlier call")
def goes_back_to_the_first_start(network, start, masks, kept={}):
    if not kept:
        kept.update(copy.deepcopy(dict(start)))
    network.load_state_dict(kept)
    apply_masks(network, masks)


@wrong("rewind", says="its requires_grad is another one")
def unfreezes_on_the_way_back(network, start, masks):
    network.load_state_dict(start)
    apply_masks(network, masks)
    network.requires_grad_(True)


@wrong("rewind", says="by their order, not by their names")
def pairs_tensors_by_order(network, start, masks):
    for tensor, value in zip(network.state_dict().values(), start.values(), strict=True):
        tensor.copy_(value)
    apply_masks(network, masks)


@wrong("rewind", says="owns its weight and bias itself")
def loads_child_by_child(network, start, masks):
    for prefix, child in network.named_children():
        child.load_state_dict({key[len(prefix) + 1 :]: value for key, value in start.items() if key.startswith(prefix)})
    apply_masks(network, masks)


@right("rewind")
def two_loads(network, start, masks):
    network.load_state_dict(start)
    network.load_state_dict({name: start[name] * mask for name, mask in masks.items()}, strict=False)


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
