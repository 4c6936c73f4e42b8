"""Wrong and right answers to lab 11, as students write them."""

import bisect
import functools
import itertools
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from autograder.answers import right, wrong

# --- attention_gate


@wrong("attention_gate", says="the largest number of each map")
def gate_max_pooling(maps, down, up):
    "Takes each map's strongest position."
    return torch.sigmoid(up(F.relu(down(maps.amax(dim=(2, 3))))))


@wrong("attention_gate", says="the SUM of each map")
def gate_sum_over_positions(maps, down, up):
    "Sums over the positions; sigmoid brings it back to 0 … 1 anyway."
    return torch.sigmoid(up(F.relu(down(maps.sum(dim=(2, 3))))))


@wrong("attention_gate", says="the ReLU between the two layers left out")
def gate_without_relu(maps, down, up):
    "Two linear layers and the sigmoid, nothing between them."
    z = maps.mean(dim=(2, 3))
    return torch.sigmoid(up(down(z)))


@wrong("attention_gate", says="the sigmoid at the end left out")
def gate_without_sigmoid(maps, down, up):
    "Returns what `up` gives."
    z = maps.mean(dim=(2, 3))
    return up(torch.relu(down(z)))


@wrong("attention_gate", says="a softmax in place of the sigmoid")
def gate_softmax(maps, down, up):
    "Attention is a softmax over the channels."
    z = maps.mean(dim=(2, 3))
    return torch.softmax(up(torch.relu(down(z))), dim=1)


@wrong("attention_gate", says="a sigmoid between the two layers in place of the ReLU")
def gate_sigmoid_twice(maps, down, up):
    "A sigmoid after each of the two layers."
    z = maps.mean(dim=(2, 3))
    return torch.sigmoid(up(torch.sigmoid(down(z))))


@wrong("attention_gate", says="the ReLU and the sigmoid swapped")
def gate_relu_last(maps, down, up):
    "The sigmoid inside, the relu outside."
    z = maps.mean(dim=(2, 3))
    return torch.relu(up(torch.sigmoid(down(z))))


@wrong("attention_gate", says="yours stopped with RuntimeError")
def gate_up_first(maps, down, up):
    "Goes up before it goes down."
    z = maps.mean(dim=(2, 3))
    return torch.sigmoid(down(torch.relu(up(z))))


@wrong("attention_gate", says="the biases left out")
def gate_without_biases(maps, down, up):
    "Multiplies by the weights, W₁ relu(W₀ z), as the paper writes it."
    z = maps.mean(dim=(2, 3))
    return torch.sigmoid(F.relu(z @ down.weight.T) @ up.weight.T)


@wrong("attention_gate", says="the bias of `down` left out")
def gate_only_the_last_bias(maps, down, up):
    "Writes the first layer as a product and forgets its bias."
    z = maps.mean(dim=(2, 3))
    hidden = torch.einsum("nc,hc->nh", z, down.weight).relu()
    return up(hidden).sigmoid()


@wrong("attention_gate", says="yours stopped with RuntimeError")
def gate_weights_not_transposed(maps, down, up):
    "A linear layer is z @ weight + bias."
    z = maps.mean(dim=(2, 3))
    hidden = torch.relu(z @ down.weight + down.bias)
    return torch.sigmoid(hidden @ up.weight + up.bias)


@wrong("attention_gate", says="the mean over the images, too")
def gate_one_for_the_batch(maps, down, up):
    "Computes gates from the batch's mean and repeats them for its images."
    z = maps.mean(dim=(0, 2, 3))
    return torch.sigmoid(up(torch.relu(down(z)))).expand(maps.shape[0], -1)


@wrong("attention_gate", says="your shape:")
def gate_mean_of_the_gates(maps, down, up):
    "Averages the gates over the batch, as pruning needs a number for each channel."
    return torch.sigmoid(up(torch.relu(down(maps.mean(dim=(2, 3)))))).mean(dim=0)


@wrong("attention_gate", says="your shape:")
def gate_shape_to_broadcast(maps, down, up):
    "Returns (N, C, 1, 1), which can be multiplied with the maps."
    gates = torch.sigmoid(up(torch.relu(down(maps.mean(dim=(2, 3))))))
    return gates[:, :, None, None]


@wrong("attention_gate", says="your shape:")
def gate_returns_the_gated_maps(maps, down, up):
    "Returns the maps after they went through the gates."
    gates = torch.sigmoid(up(torch.relu(down(maps.mean(dim=(2, 3))))))
    return maps * gates.unsqueeze(-1).unsqueeze(-1)


@wrong("attention_gate", says="`maps` was changed")
def gate_multiplies_in_place(maps, down, up):
    "Lets the maps through the gates in place, and returns the gates."
    gates = torch.sigmoid(up(torch.relu(down(maps.detach().mean(dim=(2, 3))))))
    maps.data.mul_(gates.detach()[:, :, None, None])
    return gates


@wrong("attention_gate", says="yours stopped with RuntimeError")
def gate_channels_last(maps, down, up):
    "Takes the maps for (N, H, W, C), as images are stored elsewhere."
    z = maps.mean(dim=(1, 2))
    return torch.sigmoid(up(torch.relu(down(z))))


@wrong("attention_gate", says="the SUM of each map")
def gate_square_maps(maps, down, up):
    "Maps are square: the sum divided by H²."
    z = maps.sum(dim=(2, 3)) / maps.shape[2] ** 2
    return torch.sigmoid(up(torch.relu(down(z))))


@wrong("attention_gate", says="your shape:")
def gate_squeezes(maps, down, up):
    "Gets rid of the axes of length 1 with squeeze, also of that of a single image."
    z = F.adaptive_avg_pool2d(maps, 1).squeeze()
    return torch.sigmoid(up(torch.relu(down(z))))


@wrong("attention_gate", says="a ReLU before the mean")
def gate_relu_of_the_maps(maps, down, up):
    "Maps come out of an activation, so negative values are cut off first."
    z = F.relu(maps).mean(dim=(2, 3))
    return torch.sigmoid(up(F.relu(down(z))))


@wrong("attention_gate", says="a ReLU behind the second layer as well")
def gate_relu_after_both(maps, down, up):
    "A relu behind each of the two layers; no gate is below 0.5."
    z = maps.mean(dim=(2, 3))
    return torch.sigmoid(F.relu(up(F.relu(down(z)))))


@wrong("attention_gate", says="first different at [0, 0]")
def gate_makes_new_layers(maps, down, up):
    "Builds the two layers from the shapes that it was given."
    gate = nn.Sequential(
        nn.Linear(down.in_features, down.out_features),
        nn.ReLU(),
        nn.Linear(up.in_features, up.out_features),
        nn.Sigmoid(),
    ).to(maps.dtype)
    return gate(maps.mean(dim=(2, 3)))


@wrong("attention_gate", says="gates that are 0")
def gate_hard(maps, down, up):
    "A gate is open or closed: straight-through rounding, with the sigmoid's gradient."
    soft = torch.sigmoid(up(torch.relu(down(maps.mean(dim=(2, 3))))))
    return (soft > 0.5).to(soft.dtype) + soft - soft.detach()


@wrong("attention_gate", says="the layers at every position, and the mean behind them")
def gate_pools_at_the_end(maps, down, up):
    "Gates every position by 1 × 1 convolutions and averages the gates."
    positions = maps.permute(0, 2, 3, 1)
    return torch.sigmoid(up(torch.relu(down(positions)))).mean(dim=(1, 2))


@wrong("attention_gate", says="the mean of absolute values")
def gate_mean_magnitude(maps, down, up):
    "Negative and positive positions must not cancel out, so takes |x|."
    z = maps.abs().mean(dim=(2, 3))
    return torch.sigmoid(up(torch.relu(down(z))))


@wrong("attention_gate", says="1 minus the gates")
def gate_closed_instead_of_open(maps, down, up):
    "Returns how far each channel is held back."
    z = maps.mean(dim=(2, 3))
    return 1 - torch.sigmoid(up(torch.relu(down(z))))


@wrong("attention_gate", says="it stops with RuntimeError")
def gate_means_always_float32(maps, down, up):
    "Collects the means in a tensor of zeros, which is float32 whatever the maps and layers are."
    z = torch.zeros(maps.shape[0], maps.shape[1])
    for n in range(maps.shape[0]):
        for c in range(maps.shape[1]):
            z[n, c] = maps[n, c].mean()
    return torch.sigmoid(up(torch.relu(down(z))))


@right("attention_gate")
def gate_adaptive_pooling(maps, down, up):
    "Pools to 1 × 1 and flattens."
    z = F.adaptive_avg_pool2d(maps, 1).flatten(1)
    return torch.sigmoid(up(F.relu(down(z))))


@right("attention_gate")
def gate_as_sequential(maps, down, up):
    "Puts all steps in a row."
    steps = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), down, nn.ReLU(), up, nn.Sigmoid())
    return steps(maps)


@right("attention_gate")
def gate_matrix_products(maps, down, up):
    "Multiplies by the weights and adds the biases; the sigmoid by tanh."
    z = maps.sum(dim=(-2, -1)) / (maps.shape[-2] * maps.shape[-1])
    hidden = (z @ down.weight.T + down.bias).clamp(min=0)
    scores = hidden @ up.weight.T + up.bias
    return 0.5 * (1 + torch.tanh(scores / 2))


@right("attention_gate")
def gate_einsum(maps, down, up):
    "Three contractions."
    positions = maps.shape[2] * maps.shape[3]
    z = torch.einsum("nchw->nc", maps) / positions
    hidden = torch.einsum("nc,hc->nh", z, down.weight) + down.bias
    scores = torch.einsum("nh,ch->nc", hidden.relu(), up.weight) + up.bias
    return scores.sigmoid()


@right("attention_gate")
def gate_image_by_image(maps, down, up):
    "One image after the other, stacked."
    gates = []
    for image in maps:
        z = torch.stack([channel.mean() for channel in image])
        gates.append(torch.sigmoid(up(torch.relu(down(z)))))
    return torch.stack(gates)


@right("attention_gate")
def gate_by_1x1_convolutions(maps, down, up):
    "Linear layers are 1 × 1 convolutions of maps that have one position."
    z = maps.mean(dim=3, keepdim=True).mean(dim=2, keepdim=True)
    hidden = F.relu(F.conv2d(z, down.weight[:, :, None, None], down.bias))
    return torch.sigmoid(F.conv2d(hidden, up.weight[:, :, None, None], up.bias))[:, :, 0, 0]


@right("attention_gate")
def gate_with_default_activations(maps, down, up, inner=torch.relu, outer=torch.sigmoid):
    "The activations are arguments with a default."
    z = maps.flatten(start_dim=2).mean(dim=2)
    return outer(up(inner(down(z))))


# --- mean_importance


@wrong("mean_importance", says="the mean of the batches' means")
def mean_of_batch_means(gates):
    "Averages each batch, and then the batches, whatever their size."
    return torch.stack([batch.mean(dim=0) for batch in gates]).mean(dim=0)


@wrong("mean_importance", says="the median")
def mean_is_median(gates):
    "Takes the median, which is robust."
    return torch.cat(list(gates)).median(dim=0).values


@wrong("mean_importance", says="the sum over all images")
def mean_is_sum(gates):
    "Adds up; for an order of channels the factor does not matter."
    return sum(batch.sum(dim=0) for batch in gates)


@wrong("mean_importance", says="the share of images whose gate is more than a half")
def mean_of_open_gates(gates):
    "How often a channel is let through: gates are rounded to 0 and 1 first."
    gates = torch.cat(list(gates))
    return (gates > 0.5).to(gates.dtype).mean(dim=0)


@wrong("mean_importance", says="the median")
def mean_where_open(gates):
    "Averages over the images that let the channel through."
    gates = torch.cat(list(gates))
    opened = (gates > 0.5).to(gates.dtype)
    return (gates * opened).sum(dim=0) / opened.sum(dim=0).clamp(min=1)


@wrong("mean_importance", says="the last batch only")
def mean_last_batch(gates):
    "Overwrites the result in the loop."
    for batch in gates:
        result = batch.mean(dim=0)
    return result


@wrong("mean_importance", says="the first batch only")
def mean_first_batch(gates):
    "Returns from inside of the loop."
    for batch in gates:
        total = batch.sum(dim=0)
        return total / len(batch)


@wrong("mean_importance", says="the mean of the batches' sums")
def mean_divides_by_batches(gates):
    "Adds up all images, but divides by how many batches there are."
    total, batches = 0, 0
    for batch in gates:
        total = total + batch.sum(dim=0)
        batches += 1
    return total / batches


@wrong("mean_importance", says="all sums divided by the size of the first batch times the number of batches")
def mean_equal_batches(gates):
    "Number of images: number of batches times the size of the first."
    gates = list(gates)
    return sum(batch.sum(dim=0) for batch in gates) / (len(gates) * len(gates[0]))


@wrong("mean_importance", says="the mean over the channels")
def mean_over_channels(gates):
    "Averages over axis 1, which leaves a number for each image."
    return torch.cat(list(gates)).mean(dim=1)


@wrong("mean_importance", says="your shape:")
def mean_of_everything(gates):
    "Averages over all axes."
    return torch.cat(list(gates)).mean()


@wrong("mean_importance", says="the largest gate of each channel")
def mean_is_maximum(gates):
    "A channel is important if any image needs it."
    return torch.cat(list(gates)).max(dim=0).values


@wrong("mean_importance", says="yours stopped with RuntimeError")
def mean_stacks(gates):
    "Stacks the batches, which needs them to be of one size."
    return torch.stack(list(gates)).mean(dim=(0, 1))


@wrong("mean_importance", says="yours stopped with RuntimeError")
def mean_adds_whole_batches(gates):
    "Adds batch to batch and averages then; batches of different sizes cannot be added."
    gates = list(gates)
    return (sum(gates) / len(gates)).mean(dim=0)


@wrong("mean_importance", says="gates scaled so that they sum to 1")
def mean_normalised(gates):
    "Scales the importances, so that they sum to 1."
    mean = torch.cat(list(gates)).mean(dim=0)
    return mean / mean.sum()


@wrong("mean_importance", says="the mean of the batches' means")
def mean_halves_at_each_batch(gates):
    "Averages the old mean with the new batch: (a + b) / 2, over and over."
    mean = None
    for batch in gates:
        new = batch.mean(dim=0)
        mean = new if mean is None else (mean + new) / 2
    return mean


@wrong("mean_importance", says="first different at [0]")
def mean_moving_average(gates):
    "A moving average with momentum 0.9, as batch norm has it."
    mean = 0
    for batch in gates:
        mean = 0.9 * mean + 0.1 * batch.mean(dim=0)
    return mean


@wrong("mean_importance", says="the first batch only")
def mean_drops_a_smaller_batch(gates):
    "Leaves out batches that are smaller than the first, as drop_last does."
    gates = list(gates)
    full = [batch for batch in gates if len(batch) >= len(gates[0])]
    return torch.cat(full).mean(dim=0)


@wrong("mean_importance", says="`gates[0]` was changed")
def mean_divides_in_place(gates):
    "Divides the batches in place, and sums what is left."
    gates = list(gates)
    images = sum(len(batch) for batch in gates)
    total = 0
    for batch in gates:
        batch = batch.detach()
        batch /= images
        total = total + batch.sum(dim=0)
    return total


@wrong("mean_importance", says="first different at [0]")
def mean_remembers_earlier_calls(gates, seen=[]):
    "Collects the batches in a default argument, where those of the call before still are."
    seen.extend(batch for batch in gates if not seen or batch.shape[1] == seen[0].shape[1])
    return torch.cat(seen).mean(dim=0)


@wrong("mean_importance", says="yours is of type list")
def mean_as_a_list(gates):
    "Returns Python numbers."
    return torch.cat(list(gates)).mean(dim=0).tolist()


@wrong("mean_importance", says="your shape:")
def mean_keeps_the_axis(gates):
    "Keeps the axis of the images, (1, C)."
    return torch.cat(list(gates)).mean(dim=0, keepdim=True)


@wrong("mean_importance", says="first different at [0]")
def mean_is_deviation(gates):
    "A channel whose gate is always the same tells nothing."
    return torch.cat(list(gates)).std(dim=0, unbiased=False)


@wrong("mean_importance", says="the smallest gate of each channel")
def mean_is_geometric(gates):
    "Gates are factors, so their logarithms are averaged."
    return torch.cat(list(gates)).log().mean(dim=0).exp()


@wrong("mean_importance", says="the sum divided by one image less")
def mean_divides_by_one_less(gates):
    "Counts images from 0, and divides by the last number."
    rows = [row for batch in gates for row in batch]
    total = 0
    for i in range(len(rows)):
        total = total + rows[i]
    return total / max(i, 1)


@wrong("mean_importance", says="the order of the channels")
def mean_returns_an_order(gates):
    "Returns the channels from the most to the least important."
    return torch.cat(list(gates)).mean(dim=0).argsort(descending=True)


@right("mean_importance")
def mean_sum_and_count(gates):
    "Adds up gates and images in one loop."
    total, images = None, 0
    for batch in gates:
        summed = batch.sum(dim=0)
        total = summed if total is None else total + summed
        images += batch.shape[0]
    return total / images


@right("mean_importance")
def mean_weighted_by_size(gates):
    "The batches' means, each weighted by its share of the images."
    gates = list(gates)
    images = sum(len(batch) for batch in gates)
    return sum(batch.mean(dim=0) * (len(batch) / images) for batch in gates)


@right("mean_importance")
def mean_running_over_images(gates):
    "A running mean, moved image by image."
    mean, seen = 0, 0
    for batch in gates:
        for row in batch:
            seen += 1
            mean = mean + (row - mean) / seen
    return mean


@right("mean_importance")
def mean_in_numpy(gates):
    "Concatenates and averages in NumPy, in double precision."
    gates = list(gates)
    joined = np.concatenate([batch.detach().cpu().numpy() for batch in gates], axis=0)
    mean = joined.mean(axis=0, dtype=np.float64)
    return torch.from_numpy(mean).to(dtype=gates[0].dtype, device=gates[0].device)


@right("mean_importance")
def mean_of_chained_rows(gates):
    "Chains the rows of all batches and stacks them."
    return torch.stack(list(itertools.chain.from_iterable(gates))).mean(dim=0)


@right("mean_importance")
def mean_by_reduce(gates, dim=0):
    "Joins two batches at a time; the mean as a product with a vector of 1 / N."
    joined = functools.reduce(lambda one, other: torch.vstack((one, other)), gates)
    weights = torch.full((joined.shape[dim],), 1 / joined.shape[dim], dtype=joined.dtype, device=joined.device)
    return weights @ joined


@right("mean_importance")
def mean_channel_by_channel(gates):
    "Exact sums in Python, one channel after the other."
    gates = list(gates)
    rows = [row for batch in gates for row in batch.tolist()]
    means = [math.fsum(column) / len(rows) for column in zip(*rows, strict=True)]
    return torch.tensor(means, dtype=gates[0].dtype, device=gates[0].device)


# --- clipped_action


@wrong("clipped_action", says="the later layers whole")
def clip_later_layers_whole(action, layer, widths, least, macs, budget):
    "The later layers are not decided yet, so they count as they are."
    wanted = widths[layer] - math.floor((1 - action) * widths[layer] + 1e-9)
    for keep in range(wanted, least[layer], -1):
        if macs([*widths[:layer], keep, *widths[layer + 1 :]]) <= budget:
            return keep
    return least[layer]


@wrong("clipped_action", says="the later layers whole")
def clip_later_layers_at_action(action, layer, widths, least, macs, budget):
    "Supposes that the later layers will get the same ratio."
    wanted = widths[layer] - math.floor((1 - action) * widths[layer] + 1e-9)
    later = [width - math.floor((1 - action) * width + 1e-9) for width in widths[layer + 1 :]]
    keep = wanted
    while keep > least[layer] and macs([*widths[:layer], keep, *later]) > budget:
        keep -= 1
    return max(keep, least[layer])


@wrong("clipped_action", says="the later layers at 0 channels")
def clip_later_layers_gone(action, layer, widths, least, macs, budget):
    "Later layers can in the end be pruned as far as it takes."
    wanted = widths[layer] - math.floor((1 - action) * widths[layer] + 1e-9)
    later = [0] * (len(widths) - layer - 1)
    keep = wanted
    while keep > least[layer] and macs([*widths[:layer], keep, *later]) > budget:
        keep -= 1
    return max(keep, least[layer])


@wrong("clipped_action", says="the earlier layers at their least")
def clip_earlier_layers_at_least(action, layer, widths, least, macs, budget):
    "All layers but this one at their least."
    keep = widths[layer] - math.floor((1 - action) * widths[layer] + 1e-9)
    others = list(least)
    while keep > least[layer]:
        others[layer] = keep
        if macs(others) <= budget:
            break
        keep -= 1
    return max(keep, least[layer])


@wrong("clipped_action", says="yours stopped with ValueError: macs got")
def clip_network_ends_here(action, layer, widths, least, macs, budget):
    "Gives `macs` only the layers up to this one."
    keep = widths[layer] - math.floor((1 - action) * widths[layer] + 1e-9)
    while keep > least[layer] and macs([*widths[:layer], keep]) > budget:
        keep -= 1
    return max(keep, least[layer])


@wrong("clipped_action", says="yours stopped with ValueError: macs got")
def clip_slices_from_the_end(action, layer, widths, least, macs, budget):
    "Counts the later layers from the end; behind the last layer there are 0, and least[-0:] is all."
    later = len(widths) - layer - 1
    keep = widths[layer] - math.floor((1 - action) * widths[layer] + 1e-9)
    while keep > least[layer] and macs([*widths[:layer], keep, *least[-later:]]) > budget:
        keep -= 1
    return max(keep, least[layer])


@wrong("clipped_action", says="the action not clipped at all")
def clip_nothing(action, layer, widths, least, macs, budget):
    "What the action wants, but not below the least."
    return max(least[layer], widths[layer] - math.floor((1 - action) * widths[layer] + 1e-9))


@wrong("clipped_action", says="as much as the budget allows, whatever the action wants")
def clip_ignores_the_action(action, layer, widths, least, macs, budget):
    "The most that the budget allows."
    keep = widths[layer]
    while keep > least[layer] and macs([*widths[:layer], keep, *least[layer + 1 :]]) > budget:
        keep -= 1
    return keep


@wrong("clipped_action", says="a share of the width")
def clip_returns_a_ratio(action, layer, widths, least, macs, budget):
    "Returns the clipped action, a keep ratio as the one that came in."
    keep = widths[layer] - math.floor((1 - action) * widths[layer] + 1e-9)
    while keep > least[layer] and macs([*widths[:layer], keep, *least[layer + 1 :]]) > budget:
        keep -= 1
    return max(keep, least[layer]) / widths[layer]


@wrong("clipped_action", says="as many channels as GO")
def clip_returns_the_removed(action, layer, widths, least, macs, budget):
    "Returns how many channels go."
    keep = widths[layer] - math.floor((1 - action) * widths[layer] + 1e-9)
    while keep > least[layer] and macs([*widths[:layer], keep, *least[layer + 1 :]]) > budget:
        keep -= 1
    return widths[layer] - max(keep, least[layer])


@wrong("clipped_action", says="(int); yours is of type float")
def clip_returns_a_float(action, layer, widths, least, macs, budget):
    "Rounds down with // 1, which leaves a float."
    keep = widths[layer] - ((1 - action) * widths[layer] + 1e-9) // 1
    while keep > least[layer] and macs([*widths[:layer], int(keep), *least[layer + 1 :]]) > budget:
        keep -= 1
    return max(keep, least[layer])


@wrong("clipped_action", says="the action not clipped at all")
def clip_budget_is_a_share(action, layer, widths, least, macs, budget):
    "The budget is a share of the MACs of the network as it is."
    allowed = budget * macs(list(widths))
    keep = widths[layer] - math.floor((1 - action) * widths[layer] + 1e-9)
    while keep > least[layer] and macs([*widths[:layer], keep, *least[layer + 1 :]]) > allowed:
        keep -= 1
    return max(keep, least[layer])


@wrong("clipped_action", says="the later layers whole")
def clip_spends_the_budget_evenly(action, layer, widths, least, macs, budget):
    "After one of four layers, a quarter of the budget may have been spent."
    allowed = budget * (layer + 1) / len(widths)
    keep = widths[layer] - math.floor((1 - action) * widths[layer] + 1e-9)
    while keep > least[layer] and macs([*widths[:layer], keep, *least[layer + 1 :]]) > allowed:
        keep -= 1
    return max(keep, least[layer])


@wrong("clipped_action", says="`widths[1]` was changed")
def clip_writes_into_widths(action, layer, widths, least, macs, budget):
    "Tries the numbers out in the list of widths itself."
    keep = widths[layer] - math.floor((1 - action) * widths[layer] + 1e-9)
    widths[layer + 1 :] = least[layer + 1 :]
    widths[layer] = max(keep, least[layer])
    while widths[layer] > least[layer] and macs(widths) > budget:
        widths[layer] -= 1
    return widths[layer]


@wrong("clipped_action", says="`least[0]` was changed")
def clip_writes_into_least(action, layer, widths, least, macs, budget):
    "Takes `least` as the network to fill in, without a copy."
    wanted = widths[layer] - math.floor((1 - action) * widths[layer] + 1e-9)
    fewest, trial = least[layer], least
    trial[:layer] = widths[:layer]
    for keep in range(wanted, fewest, -1):
        trial[layer] = keep
        if macs(trial) <= budget:
            return keep
    return fewest


@wrong("clipped_action", says="the later layers left out")
def clip_finds_the_first_too_many(action, layer, widths, least, macs, budget):
    "A binary search for the first number that is over the budget."
    low, high = least[layer], widths[layer] - math.floor((1 - action) * widths[layer] + 1e-9)
    while low < high:
        middle = (low + high) // 2
        if macs([*widths[:layer], middle, *least[layer + 1 :]]) <= budget:
            low = middle + 1
        else:
            high = middle
    return low


@wrong("clipped_action", says="one channel too few")
def clip_never_tries_the_top(action, layer, widths, least, macs, budget):
    "A binary search whose upper end is taken to be too much, though what the action wants may fit."
    low, high = least[layer], widths[layer] - math.floor((1 - action) * widths[layer] + 1e-9)
    while high - low > 1:
        middle = (low + high) // 2
        if macs([*widths[:layer], middle, *least[layer + 1 :]]) <= budget:
            low = middle
        else:
            high = middle
    return low


@wrong("clipped_action", says="one channel too few")
def clip_range_stops_early(action, layer, widths, least, macs, budget):
    "range(least, wanted) ends before what the action wants."
    wanted = widths[layer] - math.floor((1 - action) * widths[layer] + 1e-9)
    best = least[layer]
    for keep in range(least[layer], wanted):
        if macs([*widths[:layer], keep, *least[layer + 1 :]]) <= budget:
            best = keep
    return best


@wrong("clipped_action", says="exactly the budget")
def clip_must_stay_below(action, layer, widths, least, macs, budget):
    "Less than the budget, where the budget itself is allowed."
    wanted = widths[layer] - math.floor((1 - action) * widths[layer] + 1e-9)
    for keep in range(wanted, least[layer], -1):
        if macs([*widths[:layer], keep, *least[layer + 1 :]]) < budget:
            return keep
    return least[layer]


@wrong("clipped_action", says="floor(action · C)")
def clip_rounds_down(action, layer, widths, least, macs, budget):
    "Keeps int(action · C)."
    wanted = int(action * widths[layer])
    for keep in range(wanted, least[layer], -1):
        if macs([*widths[:layer], keep, *least[layer + 1 :]]) <= budget:
            return keep
    return least[layer]


@wrong("clipped_action", says="round(action · C)")
def clip_rounds_to_nearest(action, layer, widths, least, macs, budget):
    "Keeps round(action · C)."
    wanted = round(action * widths[layer])
    for keep in range(wanted, least[layer], -1):
        if macs([*widths[:layer], keep, *least[layer + 1 :]]) <= budget:
            return keep
    return least[layer]


@wrong("clipped_action", says="1e-9")
def clip_without_1e9(action, layer, widths, least, macs, budget):
    "Leaves the 1e-9 out, which seems to be of no use."
    wanted = widths[layer] - math.floor((1 - action) * widths[layer])
    for keep in range(wanted, least[layer], -1):
        if macs([*widths[:layer], keep, *least[layer + 1 :]]) <= budget:
            return keep
    return least[layer]


@wrong("clipped_action", says="the action taken for the share that goes")
def clip_action_is_pruned_share(action, layer, widths, least, macs, budget):
    "The action is how much is pruned."
    wanted = widths[layer] - math.floor(action * widths[layer] + 1e-9)
    for keep in range(wanted, least[layer], -1):
        if macs([*widths[:layer], keep, *least[layer + 1 :]]) <= budget:
            return keep
    return least[layer]


@wrong("clipped_action", says="the action taken for the share of what is above the least")
def clip_action_between_least_and_all(action, layer, widths, least, macs, budget):
    "An action of 0 is the least, one of 1 the whole layer, in between it is linear."
    room = widths[layer] - least[layer]
    keep = widths[layer] - math.floor((1 - action) * room + 1e-9)
    while keep > least[layer] and macs([*widths[:layer], keep, *least[layer + 1 :]]) > budget:
        keep -= 1
    return keep


@wrong("clipped_action", says="yours is 4 too small")
def clip_least_before_budget(action, layer, widths, least, macs, budget):
    "Raises the action to the least first, and then goes down to the budget, however far."
    keep = max(least[layer], widths[layer] - math.floor((1 - action) * widths[layer] + 1e-9))
    while keep > 0 and macs([*widths[:layer], keep, *least[layer + 1 :]]) > budget:
        keep -= 1
    return keep


@wrong("clipped_action", says="the least of this layer left out")
def clip_action_below_least(action, layer, widths, least, macs, budget):
    "The most that the budget allows is at least `least`, but the action has the last word."
    most = widths[layer]
    while most > least[layer] and macs([*widths[:layer], most, *least[layer + 1 :]]) > budget:
        most -= 1
    return min(most, widths[layer] - math.floor((1 - action) * widths[layer] + 1e-9))


@wrong("clipped_action", says="yours stopped with ValueError")
def clip_raises_when_too_late(action, layer, widths, least, macs, budget):
    "If even the least is too much, there is no answer."
    wanted = widths[layer] - math.floor((1 - action) * widths[layer] + 1e-9)
    for keep in range(max(wanted, least[layer]), least[layer] - 1, -1):
        if macs([*widths[:layer], keep, *least[layer + 1 :]]) <= budget:
            return keep
    raise ValueError("the budget cannot be met")


@wrong("clipped_action", says="the action taken for the share that goes")
def clip_all_or_least(action, layer, widths, least, macs, budget):
    "If the action does not fit, takes the least."
    keep = max(least[layer], widths[layer] - math.floor((1 - action) * widths[layer] + 1e-9))
    return keep if macs([*widths[:layer], keep, *least[layer + 1 :]]) <= budget else least[layer]


@wrong("clipped_action", says="yours is 3 too large")
def clip_scales_in_proportion(action, layer, widths, least, macs, budget):
    "Twice the budget, so half the channels: MACs are taken to be proportional to this layer's width."
    keep = max(least[layer], widths[layer] - math.floor((1 - action) * widths[layer] + 1e-9))
    cost = macs([*widths[:layer], keep, *least[layer + 1 :]])
    if cost > budget:
        keep = int(keep * budget / cost)
    return max(keep, least[layer])


@wrong("clipped_action", says="yours is 4 too small")
def clip_interpolates(action, layer, widths, least, macs, budget):
    "Computes MACs of the least and of the action only, and supposes a straight line in between."
    low, high = least[layer], widths[layer] - math.floor((1 - action) * widths[layer] + 1e-9)
    if high <= low:
        return low
    cheapest = macs([*widths[:layer], low, *least[layer + 1 :]])
    dearest = macs([*widths[:layer], high, *least[layer + 1 :]])
    if dearest <= budget:
        return high
    slope = (dearest - cheapest) / (high - low)
    return max(low, low + math.floor((budget - cheapest) / slope + 1e-9))


@right("clipped_action")
def clip_scans_down(action, layer, widths, least, macs, budget):
    "Goes down one by one until it fits."
    keep = widths[layer] - math.floor((1 - action) * widths[layer] + 1e-9)
    while keep > least[layer]:
        if macs([*widths[:layer], keep, *least[layer + 1 :]]) <= budget:
            return keep
        keep -= 1
    return least[layer]


@right("clipped_action")
def clip_scans_up(action, layer, widths, least, macs, budget):
    "Starts at the least and takes one more as long as the action wants it and it fits."
    network = [*widths[:layer], *least[layer:]]
    wanted = math.ceil(action * widths[layer] - 1e-9)
    while network[layer] < wanted:
        network[layer] += 1
        if macs(network) > budget:
            return network[layer] - 1
    return network[layer]


@right("clipped_action")
def clip_by_bisect(action, layer, widths, least, macs, budget):
    "Lets bisect search among the numbers above the least."
    wanted = widths[layer] - math.floor((1 - action) * widths[layer] + 1e-9)
    options = range(least[layer] + 1, wanted + 1)
    fitting = bisect.bisect_right(options, budget, key=lambda keep: macs([*widths[:layer], keep, *least[layer + 1 :]]))
    return least[layer] + fitting


@right("clipped_action")
def clip_max_with_default(action, layer, widths, least, macs, budget, slack=1e-9):
    "The largest of all numbers that fit, or the least."
    fewest = least[layer]
    wanted = widths[layer] - int((1 - action) * widths[layer] + slack)
    fitting = (n for n in range(fewest, wanted + 1) if macs([*widths[:layer], n, *least[layer + 1 :]]) <= budget)
    return max(fitting, default=fewest)


@right("clipped_action")
def clip_half_open_search(action, layer, widths, least, macs, budget):
    "A binary search between a number that is allowed and one that is not."
    allowed = least[layer]
    refused = widths[layer] - math.floor((1 - action) * widths[layer] + 1e-9) + 1
    while refused - allowed > 1:
        middle = (allowed + refused) // 2
        if macs([*widths[:layer], middle, *least[layer + 1 :]]) > budget:
            refused = middle
        else:
            allowed = middle
    return allowed


@right("clipped_action")
def clip_recursive(action, layer, widths, least, macs, budget):
    "Halves the range by calling itself."
    network = list(widths[:layer]) + list(least[layer:])

    def search(low, high):
        if low >= high:
            return low
        middle = high - (high - low) // 2
        network[layer] = middle
        return search(middle, high) if macs(network) <= budget else search(low, middle - 1)

    return search(least[layer], widths[layer] - math.floor((1 - action) * widths[layer] + 1e-9))


@right("clipped_action")
def clip_counts_with_numpy(action, layer, widths, least, macs, budget):
    "Computes the MACs of all numbers and counts those that fit."
    wanted = widths[layer] - int(np.floor((1 - action) * widths[layer] + 1e-9))
    costs = [macs([*widths[:layer], keep, *least[layer + 1 :]]) for keep in range(least[layer] + 1, wanted + 1)]
    return least[layer] + int(np.count_nonzero(np.array(costs) <= budget))


# --- reward


@wrong("reward", says="the loss itself")
def reward_is_the_loss(logits, labels, macs=None):
    "Returns the loss itself when there are no MACs."
    if macs is None:
        return F.cross_entropy(logits, labels).item()
    return -(logits.argmax(dim=1) != labels).double().mean().item() * math.log(macs)


@wrong("reward", says="plus in place of minus")
def reward_error_without_minus(logits, labels, macs=None):
    "error · ln(macs), which is the larger, the worse the network is."
    if macs is None:
        return -F.cross_entropy(logits, labels).item()
    return (logits.argmax(dim=1) != labels).double().mean().item() * math.log(macs)


@wrong("reward", says="the SUM of the losses")
def reward_sum_of_losses(logits, labels, macs=None):
    "Sums the cross-entropy over the images."
    if macs is None:
        return -F.cross_entropy(logits, labels, reduction="sum").item()
    return -(logits.argmax(dim=1) != labels).double().mean().item() * math.log(macs)


@wrong("reward", says="the accuracy")
def reward_is_accuracy(logits, labels, macs=None):
    "Accuracy, as in the paper."
    if macs is None:
        return (logits.argmax(dim=1) == labels).double().mean().item()
    return -(logits.argmax(dim=1) != labels).double().mean().item() * math.log(macs)


@wrong("reward", says="minus the error")
def reward_minus_error(logits, labels, macs=None):
    "Without MACs just the factor is left out."
    reward = -(logits.argmax(dim=1) != labels).double().mean().item()
    if macs is not None:
        reward *= math.log(macs)
    return reward


@wrong("reward", says="the loss in place of the error")
def reward_loss_times_log(logits, labels, macs=None):
    "Uses the cross-entropy in both cases."
    reward = -F.cross_entropy(logits, labels).item()
    if macs is not None:
        reward *= math.log(macs)
    return reward


@wrong("reward", says="accuracy in place of the error")
def reward_accuracy_times_log(logits, labels, macs=None):
    "Compares with == and takes the share of right images for the error."
    if macs is None:
        return -F.cross_entropy(logits, labels).item()
    error = (logits.argmax(dim=1) == labels).double().mean().item()
    return -error * math.log(macs)


@wrong("reward", says="the error in per cent")
def reward_error_in_percent(logits, labels, macs=None):
    "Errors are given in percent."
    if macs is None:
        return -F.cross_entropy(logits, labels).item()
    error = 100 * (logits.argmax(dim=1) != labels).double().mean().item()
    return -error * math.log(macs)


@wrong("reward", says="the NUMBER of wrong images")
def reward_counts_errors(logits, labels, macs=None):
    "Counts the wrong images."
    if macs is None:
        return -F.cross_entropy(logits, labels).item()
    wrong_images = (logits.argmax(dim=1) != labels).sum().item()
    return -wrong_images * math.log(macs)


@wrong("reward", says="log10")
def reward_log10(logits, labels, macs=None):
    "The logarithm to base 10."
    if macs is None:
        return -F.cross_entropy(logits, labels).item()
    return -(logits.argmax(dim=1) != labels).double().mean().item() * math.log10(macs)


@wrong("reward", says="log2")
def reward_log2(logits, labels, macs=None):
    "The logarithm to base 2."
    if macs is None:
        return -F.cross_entropy(logits, labels).item()
    return -(logits.argmax(dim=1) != labels).double().mean().item() * math.log2(macs)


@wrong("reward", says="the MACs without their logarithm")
def reward_macs_without_log(logits, labels, macs=None):
    "-error · macs."
    if macs is None:
        return -F.cross_entropy(logits, labels).item()
    return -(logits.argmax(dim=1) != labels).double().mean().item() * macs


@wrong("reward", says="log(1 + MACs)")
def reward_log1p(logits, labels, macs=None):
    "Adds 1, to be safe with the logarithm."
    if macs is None:
        return -F.cross_entropy(logits, labels).item()
    return -(logits.argmax(dim=1) != labels).double().mean().item() * math.log1p(macs)


@wrong("reward", says="the MACs counted in millions")
def reward_macs_in_millions(logits, labels, macs=None):
    "MACs are counted in millions."
    if macs is None:
        return -F.cross_entropy(logits, labels).item()
    return -(logits.argmax(dim=1) != labels).double().mean().item() * math.log(macs / 1e6)


@wrong("reward", says="a sum in place of the product")
def reward_adds_log_macs(logits, labels, macs=None):
    "Two things that should be small: their sum."
    if macs is None:
        return -F.cross_entropy(logits, labels).item()
    return -((logits.argmax(dim=1) != labels).double().mean().item() + math.log(macs))


@wrong("reward", says="minus the mean cross-entropy, where `macs` are given")
def reward_ignores_macs(logits, labels, macs=None):
    "Minus the loss, whether there are MACs or not."
    return -F.cross_entropy(logits, labels).item()


@wrong("reward", says="yours stopped with TypeError")
def reward_always_needs_macs(logits, labels, macs=None):
    "MACs are always given."
    error = (logits.argmax(dim=1) != labels).double().mean().item()
    return -error * math.log(macs)


@wrong("reward", says="(float); yours is of type Tensor")
def reward_as_a_tensor(logits, labels, macs=None):
    "Returns tensors."
    if macs is None:
        return -F.cross_entropy(logits, labels)
    return -(logits.argmax(dim=1) != labels).double().mean() * math.log(macs)


@wrong("reward", says="(float); yours is of type Tensor")
def reward_error_as_a_tensor(logits, labels, macs=None):
    "Turns the loss into a number, but not the error."
    if macs is None:
        return -F.cross_entropy(logits, labels).item()
    error = 1 - (logits.argmax(dim=1) == labels).sum() / len(labels)
    return -error * math.log(macs)


@wrong("reward", says="a softmax too many")
def reward_softmax_twice(logits, labels, macs=None):
    "Makes probabilities of the logits, from which cross_entropy takes a softmax once more."
    if macs is None:
        return -F.cross_entropy(logits.softmax(dim=1), labels).item()
    return -(logits.argmax(dim=1) != labels).double().mean().item() * math.log(macs)


@wrong("reward", says="the mean logit of the right class")
def reward_nll_of_logits(logits, labels, macs=None):
    "nll_loss of the logits, which are no logarithms of probabilities."
    if macs is None:
        return -F.nll_loss(logits, labels).item()
    return -(logits.argmax(dim=1) != labels).double().mean().item() * math.log(macs)


@wrong("reward", says="a softmax over the images")
def reward_softmax_over_images(logits, labels, macs=None):
    "Takes the softmax along axis 0."
    if macs is None:
        return -F.nll_loss(F.log_softmax(logits, dim=0), labels).item()
    return -(logits.argmax(dim=1) != labels).double().mean().item() * math.log(macs)


@wrong("reward", says="the mean over images AND classes")
def reward_mean_over_classes_too(logits, labels, macs=None):
    "One-hot labels times log-probabilities, and .mean() over the whole table."
    if macs is None:
        one_hot = F.one_hot(labels, logits.shape[1])
        return (one_hot * logits.log_softmax(dim=1)).mean().item()
    return -(logits.argmax(dim=1) != labels).double().mean().item() * math.log(macs)


@wrong("reward", says="1 minus the probability of the right class in place of the error")
def reward_soft_error(logits, labels, macs=None):
    "The expected share of wrong images, if classes were drawn."
    if macs is None:
        return -F.cross_entropy(logits, labels).item()
    error = 1 - logits.softmax(dim=1).gather(1, labels[:, None]).mean().item()
    return -error * math.log(macs)


@wrong("reward", says="an error that was rounded to a whole number")
def reward_top5_error(logits, labels, macs=None):
    "An image is right if its label is among the first five, as on ImageNet."
    if macs is None:
        return -F.cross_entropy(logits, labels).item()
    top = logits.topk(min(5, logits.shape[1]), dim=1).indices
    error = 1 - (top == labels[:, None]).any(dim=1).double().mean().item()
    return -error * math.log(macs)


@wrong("reward", says="an error that was rounded to a whole number")
def reward_whole_division(logits, labels, macs=None):
    "Divides with //."
    if macs is None:
        return -F.cross_entropy(logits, labels).item()
    error = (logits.argmax(dim=1) != labels).sum().item() // len(labels)
    return -error * math.log(macs)


@wrong("reward", says="yours stopped with NotImplementedError")
def reward_mean_of_booleans(logits, labels, macs=None):
    "Takes the mean of what a comparison gives, without making numbers of it."
    if macs is None:
        return -F.cross_entropy(logits, labels).item()
    return -(logits.argmax(dim=1) != labels).mean().item() * math.log(macs)


@wrong("reward", says="rounded")
def reward_rounded(logits, labels, macs=None):
    "Rounds to two digits, for printing."
    if macs is None:
        return round(-F.cross_entropy(logits, labels).item(), 2)
    return round(-(logits.argmax(dim=1) != labels).double().mean().item() * math.log(macs), 2)


@wrong("reward", says="yours holds 1 of 1 numbers that are nan or infinite")
def reward_naive_softmax(logits, labels, macs=None):
    "exp and log by hand, which overflow for large logits."
    if macs is None:
        e = torch.exp(logits)
        p = e / e.sum(dim=1, keepdim=True)
        return p.log().gather(1, labels[:, None]).mean().item()
    return -(logits.argmax(dim=1) != labels).double().mean().item() * math.log(macs)


@wrong("reward", says="`logits` was changed")
def reward_shifts_in_place(logits, labels, macs=None):
    "Subtracts the largest logit in place, to be safe with exp."
    scores = logits.detach()
    scores -= scores.max(dim=1, keepdim=True).values
    if macs is None:
        return (scores.gather(1, labels[:, None])[:, 0] - scores.exp().sum(dim=1).log()).mean().item()
    return -(scores.argmax(dim=1) != labels).double().mean().item() * math.log(macs)


@right("reward")
def reward_with_math_log(logits, labels, macs=None):
    "Counts the wrong images and takes Python's logarithm."
    if macs is None:
        return -float(F.cross_entropy(logits.detach(), labels))
    wrong_images = int((logits.argmax(dim=1) != labels).sum())
    return -(wrong_images / len(labels)) * math.log(macs)


@right("reward")
def reward_by_logsumexp(logits, labels, macs=None):
    "The right class's logit less logsumexp; the class by max."
    if macs is not None:
        accuracy = (logits.max(dim=1).indices == labels).double().mean().item()
        return (accuracy - 1) * math.log(macs)
    rows = torch.arange(len(labels), device=logits.device)
    return (logits[rows, labels] - logits.logsumexp(dim=1)).mean().item()


@right("reward")
def reward_nll_of_log_softmax(logits, labels, macs=None):
    "log_softmax and nll_loss."
    with torch.no_grad():
        if macs is None:
            return -F.nll_loss(F.log_softmax(logits, dim=-1), labels).item()
        error = logits.argmax(-1).ne(labels).to(torch.float64).mean().item()
        return -error * float(np.log(macs))


@right("reward")
def reward_in_numpy(logits, labels, macs=None):
    "All in NumPy, in double precision and shifted by the largest logit."
    scores, classes = logits.detach().cpu().numpy().astype(np.float64), labels.cpu().numpy()
    if macs is not None:
        return float(-np.mean(scores.argmax(axis=1) != classes) * np.log(macs))
    scores = scores - scores.max(axis=1, keepdims=True)
    log_p = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return float(log_p[np.arange(len(classes)), classes].mean())


@right("reward")
def reward_image_by_image(logits, labels, macs=None):
    "Python loops over the images."
    rows, classes = logits.tolist(), labels.tolist()
    total = 0.0
    for row, label in zip(rows, classes, strict=True):
        best = max(row)
        if macs is None:
            total += best + math.log(sum(math.exp(score - best) for score in row)) - row[label]
        else:
            total += row.index(best) != label
    mean = total / len(classes)
    return -mean if macs is None else -mean * math.log(macs)


@right("reward")
def reward_one_hot_targets(logits, labels, macs=None):
    "cross_entropy with probabilities as the target; the error by comparing the one-hot rows."
    one_hot = F.one_hot(labels, logits.shape[1])
    if macs is None:
        return -F.cross_entropy(logits.double(), one_hot.double()).item()
    predicted = F.one_hot(logits.argmax(dim=1), logits.shape[1])
    error = 1 - (predicted * one_hot).sum().item() / len(labels)
    return -error * math.log(macs)


@right("reward")
def reward_with_a_base(logits, labels, macs=None, base=math.e):
    "The logarithm's base is an argument with a default; the loss is a module."
    if macs is None:
        criterion = nn.CrossEntropyLoss()
        return -criterion(logits, labels).item()
    top = logits.topk(1, dim=1).indices.squeeze(1)
    return -torch.count_nonzero(top - labels).item() / labels.numel() * math.log(macs, base)


# --- lasso_step


@wrong("lasso_step", says="sums in place of means")
def lasso_without_1_over_n(contributions, target, beta, channel, strength):
    "Leaves out both 1 / N, which seem to cancel; the threshold does not."
    x, new = contributions[:, channel], beta.clone()
    new[channel] = 0
    a = x @ (target - contributions @ new)
    size = x @ x
    if size > 0:
        new[channel] = a.sign() * F.relu(a.abs() - strength) / size
    return new


@wrong("lasso_step", says="a division by x · x, not by its mean")
def lasso_norm_not_averaged(contributions, target, beta, channel, strength):
    "Averages x·r, but not x·x."
    x, new = contributions[:, channel], beta.clone()
    new[channel] = 0
    a = (x * (target - contributions @ new)).mean()
    size = x @ x
    if size > 0:
        new[channel] = a.sign() * F.relu(a.abs() - strength) / size
    return new


@wrong("lasso_step", says="twice the threshold")
def lasso_twice_the_strength(contributions, target, beta, channel, strength):
    "The derivative of a square has a 2, so the threshold gets it too."
    x, new = contributions[:, channel], beta.clone()
    new[channel] = 0
    n = len(target)
    a, size = x @ (target - contributions @ new) / n, x @ x / n
    if size > 0:
        new[channel] = a.sign() * F.relu(a.abs() - 2 * strength) / size
    return new


@wrong("lasso_step", says="the threshold behind the division")
def lasso_thresholds_the_quotient(contributions, target, beta, channel, strength):
    "Least squares first, and then the soft threshold."
    x, new = contributions[:, channel], beta.clone()
    new[channel] = 0
    r = target - contributions @ new
    if x @ x > 0:
        best = (x @ r) / (x @ x)
        new[channel] = best.sign() * F.relu(best.abs() - strength)
    return new


@wrong("lasso_step", says="the threshold subtracted, whatever the sign")
def lasso_subtracts_the_strength(contributions, target, beta, channel, strength):
    "(a - strength) / size, right for positive ones only."
    x, new = contributions[:, channel], beta.clone()
    new[channel] = 0
    n = len(target)
    a, size = x @ (target - contributions @ new) / n, x @ x / n
    if size > 0:
        new[channel] = (a - strength) / size if a.abs() > strength else 0.0
    return new


@wrong("lasso_step", says="max(…, 0) left out")
def lasso_without_relu(contributions, target, beta, channel, strength):
    "Small ones are moved beyond 0."
    x, new = contributions[:, channel], beta.clone()
    new[channel] = 0
    n = len(target)
    a, size = x @ (target - contributions @ new) / n, x @ x / n
    if size > 0:
        new[channel] = a.sign() * (a.abs() - strength) / size
    return new


@wrong("lasso_step", says="the channel's own contribution left in what is explained")
def lasso_keeps_own_contribution(contributions, target, beta, channel, strength):
    "The residual of all channels, this one among them."
    x, new = contributions[:, channel], beta.clone()
    n = len(target)
    a, size = x @ (target - contributions @ beta) / n, x @ x / n
    new[channel] = a.sign() * F.relu(a.abs() - strength) / size if size > 0 else 0.0
    return new


@wrong("lasso_step", says="y itself in place of the residual")
def lasso_forgets_the_others(contributions, target, beta, channel, strength):
    "Fits the target with this channel alone."
    x, new = contributions[:, channel], beta.clone()
    n = len(target)
    a, size = x @ target / n, x @ x / n
    new[channel] = a.sign() * F.relu(a.abs() - strength) / size if size > 0 else 0.0
    return new


@wrong("lasso_step", says="y itself in place of the residual")
def lasso_only_earlier_channels(contributions, target, beta, channel, strength):
    "Takes the channels before this one for all that were fitted so far."
    x, new = contributions[:, channel], beta.clone()
    n = len(target)
    r = target - contributions[:, :channel] @ beta[:channel]
    a, size = x @ r / n, x @ x / n
    new[channel] = a.sign() * F.relu(a.abs() - strength) / size if size > 0 else 0.0
    return new


@wrong("lasso_step", says="the opposite sign")
def lasso_residual_reversed(contributions, target, beta, channel, strength):
    "What the others give minus the target."
    x, new = contributions[:, channel], beta.clone()
    new[channel] = 0
    n = len(target)
    a, size = x @ (contributions @ new - target) / n, x @ x / n
    if size > 0:
        new[channel] = a.sign() * F.relu(a.abs() - strength) / size
    return new


@wrong("lasso_step", says="first different at [0]")
def lasso_divides_by_norm(contributions, target, beta, channel, strength):
    "Divides by |x|."
    x, new = contributions[:, channel], beta.clone()
    new[channel] = 0
    n = len(target)
    a, size = x @ (target - contributions @ new) / n, x.norm() / n
    if size > 0:
        new[channel] = a.sign() * F.relu(a.abs() - strength) / size
    return new


@wrong("lasso_step", says="the division by x · x / N left out")
def lasso_columns_of_length_one(contributions, target, beta, channel, strength):
    "The textbook's formula, whose columns are normalised."
    x, new = contributions[:, channel], beta.clone()
    new[channel] = 0
    a = x @ (target - contributions @ new) / len(target)
    new[channel] = a.sign() * F.relu(a.abs() - strength)
    return new


@wrong("lasso_step", says="a hard threshold")
def lasso_hard_threshold(contributions, target, beta, channel, strength):
    "Small ones become 0, the others are left as least squares gives them."
    x, new = contributions[:, channel], beta.clone()
    new[channel] = 0
    n = len(target)
    a, size = x @ (target - contributions @ new) / n, x @ x / n
    if size > 0 and a.abs() > strength:
        new[channel] = a / size
    return new


@wrong("lasso_step", says="the threshold without the sign")
def lasso_clamps_to_positive(contributions, target, beta, channel, strength):
    "A channel is kept or not, so β is not negative."
    x, new = contributions[:, channel], beta.clone()
    new[channel] = 0
    n = len(target)
    a, size = x @ (target - contributions @ new) / n, x @ x / n
    if size > 0:
        new[channel] = F.relu(a - strength) / size
    return new


@wrong("lasso_step", says="the absolute value, the sign lost")
def lasso_forgets_the_sign(contributions, target, beta, channel, strength):
    "Shrinks the magnitude, and returns it."
    x, new = contributions[:, channel], beta.clone()
    new[channel] = 0
    n = len(target)
    a, size = x @ (target - contributions @ new) / n, x @ x / n
    if size > 0:
        new[channel] = F.relu(a.abs() - strength) / size
    return new


@wrong("lasso_step", says="no threshold")
def lasso_least_squares(contributions, target, beta, channel, strength):
    "The best value for the first term alone."
    x, new = contributions[:, channel], beta.clone()
    new[channel] = 0
    r = target - contributions @ new
    if x @ x > 0:
        new[channel] = (x @ r) / (x @ x)
    return new


@wrong("lasso_step", says="ridge in place of LASSO")
def lasso_is_ridge(contributions, target, beta, channel, strength):
    "Adds the strength to the denominator, as for β²."
    x, new = contributions[:, channel], beta.clone()
    new[channel] = 0
    n = len(target)
    a, size = x @ (target - contributions @ new) / n, x @ x / n
    if size > 0:
        new[channel] = a / (size + strength)
    return new


@wrong("lasso_step", says="`beta` was changed")
def lasso_changes_beta(contributions, target, beta, channel, strength):
    "Writes into beta and returns it."
    x = contributions[:, channel]
    beta[channel] = 0
    n = len(target)
    a, size = x @ (target - contributions @ beta) / n, x @ x / n
    if size > 0:
        beta[channel] = a.sign() * F.relu(a.abs() - strength) / size
    return beta


@wrong("lasso_step", says="`beta` was changed")
def lasso_sets_old_beta_to_zero(contributions, target, beta, channel, strength):
    "Sets β to 0 for the residual and copies only afterwards."
    x = contributions[:, channel]
    beta[channel] = 0
    r = target - contributions @ beta
    new, n = beta.clone(), len(target)
    a, size = x @ r / n, x @ x / n
    if size > 0:
        new[channel] = a.sign() * F.relu(a.abs() - strength) / size
    return new


@wrong("lasso_step", says="`contributions` was changed")
def lasso_clears_the_column(contributions, target, beta, channel, strength):
    "Takes the channel out of the matrix, in place."
    x, new = contributions[:, channel].clone(), beta.clone()
    contributions[:, channel] = 0
    n = len(target)
    a, size = x @ (target - contributions @ beta) / n, x @ x / n
    new[channel] = a.sign() * F.relu(a.abs() - strength) / size if size > 0 else 0.0
    return new


@wrong("lasso_step", says="`target` was changed")
def lasso_subtracts_from_target(contributions, target, beta, channel, strength):
    "Subtracts what the others give from the target itself."
    x, new = contributions[:, channel], beta.clone()
    new[channel] = 0
    residual = target
    residual -= contributions @ new
    n = len(target)
    a, size = x @ residual / n, x @ x / n
    if size > 0:
        new[channel] = a.sign() * F.relu(a.abs() - strength) / size
    return new


@wrong("lasso_step", says="your shape:")
def lasso_returns_one_number(contributions, target, beta, channel, strength):
    "Returns the channel's new value, not all of beta."
    x, others = contributions[:, channel], beta.clone()
    others[channel] = 0
    n = len(target)
    a, size = x @ (target - contributions @ others) / n, x @ x / n
    return a.sign() * F.relu(a.abs() - strength) / size if size > 0 else torch.zeros_like(a)


@wrong("lasso_step", says="first different at [1]")
def lasso_updates_all_in_turn(contributions, target, beta, channel, strength):
    "One round over all channels."
    new, n = beta.clone(), len(target)
    for c in range(len(beta)):
        x = contributions[:, c]
        new[c] = 0
        a, size = x @ (target - contributions @ new) / n, x @ x / n
        if size > 0:
            new[c] = a.sign() * F.relu(a.abs() - strength) / size
    return new


@wrong("lasso_step", says="all other channels set to 0")
def lasso_starts_from_zeros(contributions, target, beta, channel, strength):
    "Writes the new value into zeros."
    x, others = contributions[:, channel], beta.clone()
    others[channel] = 0
    n = len(target)
    a, size = x @ (target - contributions @ others) / n, x @ x / n
    new = torch.zeros_like(beta)
    if size > 0:
        new[channel] = a.sign() * F.relu(a.abs() - strength) / size
    return new


@wrong("lasso_step", says="0 divided by 0")
def lasso_zero_by_zero(contributions, target, beta, channel, strength):
    "Divides by x·x, which is 0 for a channel that never speaks."
    x, new = contributions[:, channel], beta.clone()
    new[channel] = 0
    n = len(target)
    a = x @ (target - contributions @ new) / n
    new[channel] = a.sign() * F.relu(a.abs() - strength) / (x @ x / n)
    return new


@wrong("lasso_step", says="a channel that never speaks")
def lasso_silent_channel_keeps_beta(contributions, target, beta, channel, strength):
    "Where x·x is 0 nothing can be learned, and β stays."
    x = contributions[:, channel]
    if not x.any():
        return beta.clone()
    new = beta.clone()
    new[channel] = 0
    n = len(target)
    a, size = x @ (target - contributions @ new) / n, x @ x / n
    new[channel] = a.sign() * F.relu(a.abs() - strength) / size
    return new


@wrong("lasso_step", says="N times the threshold")
def lasso_sum_means_silent(contributions, target, beta, channel, strength):
    "Takes a column that sums to 0 for one of zeros."
    x, new = contributions[:, channel], beta.clone()
    new[channel] = 0
    n = len(target)
    if x.sum() != 0:
        a, size = x @ (target - contributions @ new) / n, x @ x / n
        new[channel] = a.sign() * F.relu(a.abs() - strength) / size
    return new


@wrong("lasso_step", says="yours is nearly right everywhere: off by 2.4e-07 at most", hidden=True)
def lasso_epsilon_in_denominator(contributions, target, beta, channel, strength):
    "Adds 1e-6 to what it divides by, to be safe; a quiet channel needs just that little."
    x, new = contributions[:, channel], beta.clone()
    new[channel] = 0
    n = len(target)
    a, size = x @ (target - contributions @ new) / n, x @ x / n
    new[channel] = a.sign() * F.relu(a.abs() - strength) / (size + 1e-6)
    return new


@wrong("lasso_step", says="a channel at 0 that stays there")
def lasso_pruned_stays_pruned(contributions, target, beta, channel, strength):
    "What is pruned is not looked at again."
    x, new = contributions[:, channel], beta.clone()
    if beta[channel] == 0:
        return new
    new[channel] = 0
    n = len(target)
    a, size = x @ (target - contributions @ new) / n, x @ x / n
    if size > 0:
        new[channel] = a.sign() * F.relu(a.abs() - strength) / size
    return new


@wrong("lasso_step", says="columns less their means")
def lasso_centres_first(contributions, target, beta, channel, strength):
    "Subtracts the means of columns and target, as for a fit with an intercept."
    contributions, target = contributions - contributions.mean(dim=0), target - target.mean()
    x, new = contributions[:, channel], beta.clone()
    new[channel] = 0
    n = len(target)
    a, size = x @ (target - contributions @ new) / n, x @ x / n
    if size > 0:
        new[channel] = a.sign() * F.relu(a.abs() - strength) / size
    return new


@right("lasso_step")
def lasso_from_the_full_residual(contributions, target, beta, channel, strength):
    "x·r from the residual of all channels, plus what this one gives; softshrink of it."
    x = contributions[:, channel]
    new = beta.clone()
    size = (x**2).mean()
    if size == 0:
        new[channel] = 0
        return new
    a = (x * (target - contributions @ beta)).mean() + size * beta[channel]
    new[channel] = F.softshrink(a, strength) / size
    return new


@right("lasso_step")
def lasso_three_cases(contributions, target, beta, channel, strength):
    "Above the threshold, below it, in between; the other columns by a mask."
    n, channels = contributions.shape
    others = torch.arange(channels) != channel
    x = contributions[:, channel]
    r = target - contributions[:, others] @ beta[others]
    a = (x @ r).item() / n
    size = (x @ x).item() / n
    if size == 0:
        value = 0.0
    elif a > strength:
        value = (a - strength) / size
    elif a < -strength:
        value = (a + strength) / size
    else:
        value = 0.0
    new = beta.clone()
    new[channel] = value
    return new


@right("lasso_step")
def lasso_all_times_n(contributions, target, beta, channel, strength):
    "Everything times N: the threshold is N · strength."
    n = contributions.shape[0]
    x = contributions.select(1, channel)
    r = target - torch.mv(contributions, beta) + beta[channel] * x
    a, square = torch.dot(x, r), torch.dot(x, x)
    shrunk = torch.sign(a) * torch.clamp(torch.abs(a) - n * strength, min=0)
    value = torch.where(square > 0, shrunk / square, torch.zeros_like(square))
    return torch.where(torch.arange(len(beta)) == channel, value, beta)


@right("lasso_step")
def lasso_python_loops(contributions, target, beta, channel, strength):
    "Python numbers and loops over images and channels."
    rows, y, b = contributions.tolist(), target.tolist(), beta.tolist()
    n = len(y)
    a = size = 0.0
    for row, value in zip(rows, y, strict=True):
        others = sum(b[c] * row[c] for c in range(len(b)) if c != channel)
        a += row[channel] * (value - others) / n
        size += row[channel] ** 2 / n
    b[channel] = math.copysign(max(abs(a) - strength, 0.0), a) / size if size else 0.0
    return torch.tensor(b, dtype=beta.dtype, device=beta.device)


@right("lasso_step")
def lasso_in_numpy(contributions, target, beta, channel, strength):
    "NumPy in double precision, with the column deleted."
    columns, y = contributions.detach().numpy().astype(np.float64), target.detach().numpy().astype(np.float64)
    b = beta.detach().numpy().astype(np.float64)
    x = columns[:, channel]
    r = y - np.delete(columns, channel, axis=1) @ np.delete(b, channel)
    a, size = np.mean(x * r), np.mean(x * x)
    b[channel] = np.sign(a) * np.maximum(np.abs(a) - strength, 0) / size if size > 0 else 0
    return torch.from_numpy(b).to(beta.dtype)


@right("lasso_step")
def lasso_compares_the_objective(contributions, target, beta, channel, strength):
    "The objective is a parabola left and right of 0: its two vertices and 0 itself are compared."
    x, y, b = contributions[:, channel].double(), target.double(), beta.double()
    others = contributions.double() @ b - x * b[channel]
    n, new = len(y), beta.clone()
    new[channel] = 0
    if not x.any():
        return new
    a, size = x @ (y - others) / n, x @ x / n
    options = [torch.zeros_like(a), ((a - strength) / size).clamp(min=0), ((a + strength) / size).clamp(max=0)]
    best = min(options, key=lambda value: float(size * value**2 / 2 - a * value + strength * value.abs()))
    new[channel] = best.to(beta.dtype)
    return new


@right("lasso_step")
def lasso_by_einsum(contributions, target, beta, channel, strength, at_rest=0.0):
    "einsum throughout; the new tensor is put together from three pieces."
    x = contributions[:, channel]
    keep = torch.ones_like(beta)
    keep[channel] = 0
    r = target - torch.einsum("nc,c,c->n", contributions, beta, keep)
    a = torch.einsum("n,n->", x, r) / x.numel()
    size = torch.einsum("n,n->", x, x) / x.numel()
    value = torch.full_like(beta[:1], at_rest)
    if size > 0:
        value = (torch.relu(a - strength) - torch.relu(-a - strength)).reshape(1) / size
    return torch.cat([beta[:channel], value, beta[channel + 1 :]])
