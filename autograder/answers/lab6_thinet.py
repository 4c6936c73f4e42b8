"""Wrong and right answers to lab 6, as students write them."""

import itertools

import numpy as np
import torch
from torch import nn

from autograder.answers import right, wrong

# --- sample_contributions


@wrong("sample_contributions", says="the sum over the channels too")
def the_whole_output(patches, weight):
    return (patches * weight).sum(dim=(1, 2, 3))


@wrong("sample_contributions", says="the mean over the window")
def a_mean_in_place_of_the_sum(patches, weight):
    return (patches * weight).mean(dim=(2, 3))


@wrong("sample_contributions", says="the patches alone")
def without_the_weights(patches, weight):
    return patches.sum(dim=(2, 3))


@wrong("sample_contributions", says="absolute values of the sums")
def absolute_contributions(patches, weight):
    return (patches * weight).sum(dim=(2, 3)).abs()


@wrong("sample_contributions", says="multiplied afterwards")
def sums_multiplied(patches, weight):
    return patches.sum(dim=(2, 3)) * weight.sum(dim=(2, 3))


@wrong("sample_contributions", says="a filter that is turned round")
def a_flipped_window(patches, weight):
    return (patches * weight.flip(2, 3)).sum(dim=(2, 3))


@wrong("sample_contributions", says="the first sample's filter")
def one_filter_for_all_samples(patches, weight):
    return (patches * weight[:1]).sum(dim=(2, 3))


@wrong("sample_contributions", says="`patches` was changed")
def multiplies_the_patches_in_place(patches, weight):
    return patches.mul_(weight).sum(dim=(2, 3))


@wrong("sample_contributions", says="rows of the patch meet all rows of the filter")
def a_matrix_product_of_windows(patches, weight):
    return (patches @ weight.transpose(2, 3)).sum(dim=(2, 3))


@wrong("sample_contributions", says="a square window of 2 x 2")
def a_square_window(patches, weight):
    products, total = patches * weight, 0
    for row, column in itertools.product(range(patches.shape[2]), repeat=2):
        total = total + products[:, :, row, column]
    return total


@wrong("sample_contributions", says="squeeze")
def axes_of_one_squeezed(patches, weight):
    return (patches * weight).sum(dim=(2, 3)).squeeze()


@wrong("sample_contributions", says="reshape")
def views_of_windows(patches, weight):
    samples, channels = patches.shape[:2]
    return (patches.view(samples, channels, -1) * weight.view(samples, channels, -1)).sum(-1)


@wrong("sample_contributions", says="you return float32 where float64 was given")
def collected_in_float32(patches, weight):
    result = torch.zeros(patches.shape[:2])
    for channel in range(patches.shape[1]):
        result[:, channel] = (patches[:, channel] * weight[:, channel]).sum(dim=(1, 2))
    return result


@wrong("sample_contributions", says="the mean over the pixels that are not 0")
def the_border_left_out(patches, weight):
    products = patches * weight
    inside = (patches != 0).sum(dim=(2, 3)).clamp(min=1)
    return products.sum(dim=(2, 3)) * (patches.shape[2] * patches.shape[3]) / inside


@wrong("sample_contributions", says="numbers below 0 set to 0")
def what_a_relu_leaves(patches, weight):
    return (patches * weight).sum(dim=(2, 3)).relu()


@wrong("sample_contributions", says="mixes windows and channels")
def reshaped_to_windows_first(patches, weight):
    return (patches * weight).reshape(len(patches), -1, patches.shape[1]).sum(dim=1)


@wrong("sample_contributions", says="shares of each sample")
def shares_of_the_output(patches, weight):
    added = (patches * weight).sum(dim=(2, 3))
    return added / added.sum(dim=1, keepdim=True)


@right("sample_contributions")
def place_by_place(patches, weight):
    total = torch.zeros_like(patches[:, :, 0, 0])
    for row, column in itertools.product(range(patches.shape[2]), range(patches.shape[3])):
        total = total + patches[:, :, row, column] * weight[:, :, row, column]
    return total


@right("sample_contributions")
def windows_with_einsum(patches, weight):
    return torch.einsum("scij,scij->sc", patches, weight)


@right("sample_contributions")
def flat_windows(patches, weight):
    return (patches.flatten(2).unsqueeze(2) @ weight.flatten(2).unsqueeze(3))[:, :, 0, 0]


# --- channels_to_remove


@wrong("channels_to_remove", says="each channel judged alone")
def each_channel_alone(contributions, count):
    return contributions.square().sum(0).argsort()[:count].tolist()


@wrong("channels_to_remove", says="missed MOST")
def the_ones_that_are_missed_most(contributions, count):
    return contributions.square().sum(0).argsort(descending=True)[:count].tolist()


@wrong("channels_to_remove", says="the channels that STAY")
def the_ones_that_stay(contributions, count):
    removed = []
    for _ in range(count):
        left = [c for c in range(contributions.shape[1]) if c not in removed]
        removed.append(min(left, key=lambda c: contributions[:, [*removed, c]].sum(1).square().sum()))
    return [c for c in range(contributions.shape[1]) if c not in removed]


@wrong("channels_to_remove", says="sorted in the end")
def sorted_in_the_end(contributions, count):
    removed = []
    for _ in range(count):
        left = [c for c in range(contributions.shape[1]) if c not in removed]
        removed.append(min(left, key=lambda c: contributions[:, [*removed, c]].sum(1).square().sum()))
    return sorted(removed)


@wrong("channels_to_remove", says="the sum over T comes before the square")
def squares_before_the_sum(contributions, count):
    removed = []
    for _ in range(count):
        left = [c for c in range(contributions.shape[1]) if c not in removed]
        removed.append(min(left, key=lambda c: contributions[:, [*removed, c]].square().sum()))
    return removed


@wrong("channels_to_remove", says="not ALL that are gone")
def only_the_last_one_counts(contributions, count):
    gram = contributions.T @ contributions
    removed = []
    for _ in range(count):
        cost = gram.diagonal().clone() + (2 * gram[:, removed[-1]] if removed else 0)
        cost[removed] = torch.inf
        removed.append(int(cost.argmin()))
    return removed


@wrong("channels_to_remove", says="the factor 2 left out")
def forgets_the_factor_two(contributions, count):
    gram = contributions.T @ contributions
    removed, cost = [], gram.diagonal().clone()
    for _ in range(count):
        cost[removed] = torch.inf
        channel = int(cost.argmin())
        removed.append(channel)
        cost = cost + gram[:, channel]
    return removed


@wrong("channels_to_remove", says="every channel can go only once")
def the_same_channel_again(contributions, count):
    gram = contributions.T @ contributions
    removed, cost = [], gram.diagonal().clone()
    for _ in range(count):
        removed.append(int(cost.argmin()))
        cost = cost + 2 * gram[:, removed[-1]].abs() * 0
    return removed


@wrong("channels_to_remove", says="the sum over the samples before the square")
def the_square_of_the_sum_over_samples(contributions, count):
    removed = []
    for _ in range(count):
        left = [c for c in range(contributions.shape[1]) if c not in removed]
        removed.append(min(left, key=lambda c: contributions[:, [*removed, c]].sum().square()))
    return removed


@wrong("channels_to_remove", says="channels that are REMOVED")
def one_too_many(contributions, count):
    removed = []
    for _ in range(count + 1):
        left = [c for c in range(contributions.shape[1]) if c not in removed]
        if left:
            removed.append(min(left, key=lambda c: contributions[:, [*removed, c]].sum(1).square().sum()))
    return removed


@wrong("channels_to_remove", says="`contributions` was changed")
def crosses_out_in_the_argument(contributions, count):
    removed, total = [], torch.zeros(len(contributions))
    for _ in range(count):
        errors = (total[:, None] + contributions).square().sum(0)
        errors[removed] = torch.inf
        channel = int(errors.argmin())
        removed.append(channel)
        total = total + contributions[:, channel]
        contributions[:, channel] = torch.inf
    return removed


@wrong("channels_to_remove", says="the growth nearest to 0")
def the_smallest_change(contributions, count):
    if count > contributions.shape[1]:
        raise ValueError("too many")
    gram = contributions.double().T @ contributions.double()
    removed, cost = [], gram.diagonal().clone()
    for _ in range(count):
        cost[removed] = torch.inf
        channel = int(cost.abs().argmin())
        removed.append(channel)
        cost = cost + 2 * gram[:, channel]
    return removed


@wrong("channels_to_remove", says="the LAST of equal channels")
def the_last_of_equal_channels(contributions, count):
    if count > contributions.shape[1]:
        raise ValueError("too many")
    removed = []
    for _ in range(count):
        best, smallest = None, float("inf")
        for channel in range(contributions.shape[1]):
            error = contributions[:, [*removed, channel]].double().sum(1).square().sum().item()
            if channel not in removed and error <= smallest:
                best, smallest = channel, error
        removed.append(best)
    return removed


@wrong("channels_to_remove", says="positions among the channels that are left")
def columns_that_are_deleted(contributions, count):
    if count > contributions.shape[1]:
        raise ValueError("too many")
    left, gone, removed = contributions.double(), torch.zeros(len(contributions), 1).double(), []
    for _ in range(count):
        channel = int((gone + left).square().sum(0).argmin())
        removed.append(channel)
        gone = gone + left[:, [channel]]
        left = torch.cat([left[:, :channel], left[:, channel + 1 :]], dim=1)
    return removed


@wrong("channels_to_remove", says="the best set of all")
def every_set_tried(contributions, count):
    if count > contributions.shape[1]:
        raise ValueError("too many")
    sets = itertools.combinations(range(contributions.shape[1]), count)
    return list(min(sets, key=lambda chosen: contributions[:, list(chosen)].sum(1).square().sum().item()))


@wrong("channels_to_remove", says="only for MORE than there are raise ValueError")
def never_all_of_them(contributions, count):
    if count >= contributions.shape[1]:
        raise ValueError("one channel must stay")
    removed = []
    for _ in range(count):
        left = [c for c in range(contributions.shape[1]) if c not in removed]
        removed.append(min(left, key=lambda c: contributions[:, [*removed, c]].sum(1).square().sum().item()))
    return removed


@wrong("channels_to_remove", says="raise ValueError if there are fewer channels")
def no_error_for_too_many(contributions, count):
    removed = []
    for _ in range(min(count, contributions.shape[1])):
        left = [c for c in range(contributions.shape[1]) if c not in removed]
        removed.append(min(left, key=lambda c: contributions[:, [*removed, c]].sum(1).square().sum().item()))
    return removed


@wrong("channels_to_remove", says="default dtype")
def double_precision_for_all(contributions, count):
    if count > contributions.shape[1]:
        raise ValueError("too many")
    torch.set_default_dtype(torch.float64)
    contributions = contributions.to(torch.get_default_dtype())
    gone, removed = torch.zeros(len(contributions)), []
    for _ in range(count):
        errors = (gone[:, None] + contributions).square().sum(0)
        errors[removed] = torch.inf
        removed.append(int(errors.argmin()))
        gone = gone + contributions[:, removed[-1]]
    return removed


@wrong("channels_to_remove", says="the mean over the samples subtracted")
def centred_channels(contributions, count):
    if count > contributions.shape[1]:
        raise ValueError("too many")
    centred, removed = contributions - contributions.mean(dim=0), []
    for _ in range(count):
        left = [c for c in range(contributions.shape[1]) if c not in removed]
        removed.append(min(left, key=lambda c: centred[:, [*removed, c]].sum(1).square().sum().item()))
    return removed


@wrong("channels_to_remove", says="remember and draw nothing")
def a_list_that_grows(contributions, count, removed=[]):
    for _ in range(count):
        left = [c for c in range(contributions.shape[1]) if c not in removed]
        removed.append(min(left, key=lambda c: contributions[:, [*removed, c]].sum(1).square().sum().item()))
    return removed


@wrong("channels_to_remove", says="yours holds Tensor")
def a_list_of_tensors(contributions, count):
    if count > contributions.shape[1]:
        raise ValueError("too many")
    gram = contributions.double().T @ contributions.double()
    removed, cost = [], gram.diagonal().clone()
    for _ in range(count):
        channel = cost.argmin()
        removed.append(channel)
        cost = cost + 2 * gram[:, channel]
        cost[channel] = torch.inf
    return removed


@right("channels_to_remove")
def numpy_and_a_mask(contributions, count):
    samples = contributions.detach().double().numpy()
    if count > samples.shape[1]:
        raise ValueError("not enough channels")
    gram, gone, order = samples.T @ samples, np.zeros(samples.shape[1], dtype=bool), []
    for _ in range(count):
        growth = gram.diagonal() + 2 * gram[:, gone].sum(axis=1)
        order.append(np.argmin(np.where(gone, np.inf, growth)))
        gone[order[-1]] = True
    return order


@right("channels_to_remove")
def as_in_the_paper(contributions, count):
    if count > contributions.shape[1]:
        raise ValueError(f"there are only {contributions.shape[1]} channels")
    removed = []
    for _ in range(count):
        left = [c for c in range(contributions.shape[1]) if c not in removed]
        errors = [contributions[:, [*removed, c]].sum(1).square().sum().item() for c in left]
        removed.append(left[errors.index(min(errors))])
    return removed


@right("channels_to_remove")
def running_sums(contributions, count):
    if count > contributions.shape[1]:
        raise ValueError("too many channels")
    removed, total = [], torch.zeros(len(contributions), dtype=contributions.dtype)
    for _ in range(count):
        errors = (total[:, None] + contributions).square().sum(0)
        errors[removed] = torch.inf
        removed.append(int(errors.argmin()))
        total = total + contributions[:, removed[-1]]
    return removed


@wrong("channels_to_remove", says="the smallest sum of an EARLIER step")
def a_bound_that_is_not_forgotten(contributions, count):
    if count > contributions.shape[1]:
        raise ValueError("too few channels")
    gone, removed, best = torch.zeros(len(contributions)).double(), [], float("inf")
    for _ in range(count):
        chosen = next(channel for channel in range(contributions.shape[1]) if channel not in removed)
        for channel in range(contributions.shape[1]):
            error = float((gone + contributions[:, channel]).square().sum())
            if channel not in removed and error < best:
                best, chosen = error, channel
        removed.append(chosen)
        gone = gone + contributions[:, chosen]
    return removed


@wrong("channels_to_remove", says="fewer samples are none")
def counts_the_samples(contributions, count):
    if count > len(contributions):
        raise ValueError("too few channels")
    x, removed = contributions.double(), []
    for _ in range(count):
        left = [channel for channel in range(x.shape[1]) if channel not in removed]
        removed.append(min(left, key=lambda channel: float(x[:, [*removed, channel]].sum(1).square().sum())))
    return removed


# --- least_squares_scale


@wrong("least_squares_scale", says="no inverse")
def the_normal_equations(contributions, target):
    return torch.linalg.inv(contributions.T @ contributions) @ contributions.T @ target


@wrong("least_squares_scale", says="no inverse")
def the_normal_equations_solved(contributions, target):
    return torch.linalg.solve(contributions.T @ contributions, contributions.T @ target)


@wrong("least_squares_scale", says="4 samples and 7 channels")
def the_normal_equations_with_dead_channels_mended(contributions, target):
    gram = contributions.T @ contributions
    mended = gram + torch.diag((gram.diagonal() == 0).to(gram.dtype))
    return torch.linalg.solve(mended, contributions.T @ target)


@wrong("least_squares_scale", says="a ridge")
def a_small_ridge(contributions, target):
    gram = contributions.T @ contributions
    return torch.linalg.solve(gram + 0.5 * torch.eye(len(gram), dtype=gram.dtype), contributions.T @ target)


@wrong("least_squares_scale", says="yours is a column")
def a_column(contributions, target):
    return torch.linalg.lstsq(contributions, target[:, None], driver="gelsd").solution


@wrong("least_squares_scale", says="ones: nothing is scaled")
def no_scaling_at_all(contributions, target):
    return torch.ones(contributions.shape[1])


@wrong("least_squares_scale", says="one factor for all channels")
def one_factor_for_all(contributions, target):
    total = contributions.sum(1)
    return (total @ target / (total @ total).clamp_min(1e-12)).expand(contributions.shape[1])


@wrong("least_squares_scale", says="each channel fitted for itself")
def each_channel_for_itself(contributions, target):
    return contributions.T @ target / contributions.square().sum(0).clamp_min(1e-12)


@wrong("least_squares_scale", says="fitted for itself to the REST")
def each_channel_for_the_rest(contributions, target):
    missing = target - contributions.sum(dim=1)
    return 1 + contributions.T @ missing / contributions.square().sum(0).clamp_min(1e-12)


@wrong("least_squares_scale", says="the driver 'gels' does not take X")
def a_driver_for_full_rank(contributions, target):
    return torch.linalg.lstsq(contributions, target[:, None], driver="gels").solution[:, 0]


@wrong("least_squares_scale", says="factors below 0 set to 0")
def never_negative(contributions, target):
    return torch.linalg.lstsq(contributions, target[:, None], driver="gelsd").solution[:, 0].clamp_min(0)


@wrong("least_squares_scale", says="a constant fitted as well")
def with_a_constant(contributions, target):
    columns = torch.cat([contributions, torch.ones_like(contributions[:, :1])], dim=1)
    return torch.linalg.lstsq(columns, target[:, None], driver="gelsd").solution[:-1, 0]


@wrong("least_squares_scale", says="a ridge")
def a_share_of_the_mean_power(contributions, target):
    gram = contributions.double().T @ contributions.double()
    ridge = (0.01 * gram.diagonal().mean() + 1e-12) * torch.eye(len(gram)).double()
    return torch.linalg.solve(gram + ridge, contributions.double().T @ target.double())


@wrong("least_squares_scale", says="divided by its length")
def columns_of_length_one(contributions, target):
    length = contributions.norm(dim=0)
    solution = torch.linalg.lstsq(contributions / length, target[:, None], driver="gelsd").solution
    return solution[:, 0] / length


@wrong("least_squares_scale", says="weak channels are not fitted")
def a_generous_cut_off(contributions, target):
    missing = target - contributions.sum(dim=1)
    return 1 + torch.linalg.lstsq(contributions, missing[:, None], rcond=0.1, driver="gelsd").solution[:, 0]


@wrong("least_squares_scale", says="the CHANGE of the factors")
def the_change_alone(contributions, target):
    missing = target - contributions.sum(dim=1)
    return torch.linalg.lstsq(contributions, missing[:, None], driver="gelsd").solution[:, 0]


@wrong("least_squares_scale", says="in each other's place")
def arguments_swapped(contributions, target):
    return torch.linalg.lstsq(target[:, None], contributions, driver="gelsd").solution[0]


@wrong("least_squares_scale", says="`target` was changed")
def the_rest_in_place(contributions, target):
    target -= contributions.sum(dim=1)
    return 1 + torch.linalg.lstsq(contributions, target[:, None], driver="gelsd").solution[:, 0]


@wrong("least_squares_scale", says="global random numbers")
def a_little_noise(contributions, target):
    noisy = contributions.double() + 1e-9 * torch.randn_like(contributions.double())
    missing = target.double() - noisy.sum(dim=1)
    return 1 + torch.linalg.lstsq(noisy, missing[:, None], driver="gelsd").solution[:, 0]


@wrong("least_squares_scale", says="gradients are switched")
def gradients_off_for_good(contributions, target):
    torch.set_grad_enabled(False)
    return torch.linalg.lstsq(contributions, target[:, None], driver="gelsd").solution[:, 0]


@right("least_squares_scale")
def by_singular_values(contributions, target):
    u, sizes, vh = torch.linalg.svd(contributions.double(), full_matrices=False)
    inverse = torch.where(sizes > 1e-12 * sizes.max(), 1 / sizes, torch.zeros_like(sizes))
    return (vh.T @ (inverse * (u.T @ target.double()))).to(contributions.dtype)


@right("least_squares_scale")
def the_smallest_solution(contributions, target):
    found = torch.linalg.lstsq(contributions.double(), target.double().unsqueeze(1), driver="gelsd")
    return found.solution.squeeze(1).to(contributions.dtype)


@right("least_squares_scale")
def the_pseudo_inverse(contributions, target):
    return torch.linalg.pinv(contributions.double()) @ target.double()


@right("least_squares_scale")
def the_driver_that_torch_takes(contributions, target):
    return torch.linalg.lstsq(contributions, target[:, None]).solution[:, 0]


@right("least_squares_scale")
def with_numpy(contributions, target):
    return torch.as_tensor(np.linalg.lstsq(contributions.detach().numpy(), target.detach().numpy(), rcond=None)[0])


@right("least_squares_scale")
def a_tiny_ridge(contributions, target):
    contributions, target = contributions.double(), target.double()
    gram = contributions.T @ contributions
    return torch.linalg.solve(gram + 1e-8 * torch.eye(len(gram)), contributions.T @ target)


@wrong("least_squares_scale", says="channel 1 taken for dead (it keeps the factor 1)")
def dead_if_it_adds_up_to_zero(contributions, target):
    x, scale = contributions.double(), torch.ones(contributions.shape[1]).double()
    alive = x.sum(0).abs() > 1e-12
    missing = target.double() - x.sum(1)
    scale[alive] += torch.linalg.lstsq(x[:, alive], missing[:, None], driver="gelsd").solution[:, 0]
    return scale


@wrong("least_squares_scale", says="1 on average")
def brought_to_a_mean_of_one(contributions, target):
    scale = torch.linalg.lstsq(contributions.double(), target.double()[:, None], driver="gelsd").solution[:, 0]
    return scale / scale.mean()


# --- rescale_inputs


@wrong("rescale_inputs", says="the FILTERS scaled")
def scales_the_outputs(layer, scale):
    with torch.no_grad():
        rows = scale.repeat(len(layer.weight))[: len(layer.weight)]
        layer.weight.mul_(rows.view(-1, *[1] * (layer.weight.ndim - 1)))


@wrong("rescale_inputs", says="the bias times the mean of the factors")
def scales_the_bias_too(layer, scale):
    with torch.no_grad():
        layer.weight.view(len(layer.weight), len(scale), -1).mul_(scale[:, None])
        layer.bias.mul_(scale.mean())


@wrong("rescale_inputs", says="dealt out in turn")
def pixels_before_channels(layer, scale):
    with torch.no_grad():
        layer.weight.view(len(layer.weight), -1, len(scale), *layer.weight.shape[2:]).mul_(
            scale.view(-1, *[1] * (layer.weight.ndim - 2))
        )


@wrong("rescale_inputs", says="no change of the layer's own weight")
def a_copy_that_is_lost(layer, scale):
    weight = layer.weight.detach().clone()
    weight.view(len(weight), len(scale), -1).mul_(scale[:, None])
    return weight


@wrong("rescale_inputs", says="its requires_grad is another one")
def switches_training_off(layer, scale):
    layer.weight.requires_grad = False
    layer.weight.view(len(layer.weight), len(scale), -1).mul_(scale[:, None])


@wrong("rescale_inputs", says="division in place of multiplication")
def divides_in_place_of_multiplying(layer, scale):
    with torch.no_grad():
        layer.weight.view(len(layer.weight), len(scale), -1).div_(scale[:, None])


@wrong("rescale_inputs", says="which an optimizer does not know")
def a_new_parameter(layer, scale):
    weight = layer.weight.detach().reshape(len(layer.weight), len(scale), -1) * scale[:, None]
    layer.weight = nn.Parameter(weight.view_as(layer.weight))


@wrong("rescale_inputs", says="only the first 3 columns scaled")
def convolutions_only(layer, scale):
    with torch.no_grad():
        if layer.weight.ndim == 4:
            layer.weight.mul_(scale[:, None, None])
        else:
            layer.weight[:, : len(scale)] *= scale


@wrong("rescale_inputs", says="absolute values of the factors")
def without_signs(layer, scale):
    with torch.no_grad():
        layer.weight.view(len(layer.weight), len(scale), -1).mul_(scale.abs()[:, None])


@wrong("rescale_inputs", says="as many as there are filters")
def a_loop_over_the_filters(layer, scale):
    with torch.no_grad():
        by_channel = layer.weight.view(len(layer.weight), len(scale), -1)
        for channel in range(len(by_channel)):
            by_channel[:, channel] *= scale[channel]


@wrong("rescale_inputs", says="for a kernel of 3 x 3 it does not stop")
def square_kernels(layer, scale):
    size = layer.weight.shape[2] ** 2 if layer.weight.ndim == 4 else layer.in_features // len(scale)
    with torch.no_grad():
        layer.weight.view(len(layer.weight), len(scale), size).mul_(scale[:, None])


@wrong("rescale_inputs", says="may give a COPY of it")
def a_contiguous_copy(layer, scale):
    with torch.no_grad():
        layer.weight.contiguous().view(len(layer.weight), len(scale), -1).mul_(scale[:, None])


@wrong("rescale_inputs", says="stays float32 where the factors are float64")
def the_dtype_of_the_factors(layer, scale):
    weight = layer.weight.data
    scaled = weight.reshape(len(weight), len(scale), -1) * scale.detach()[:, None]
    layer.weight.data = scaled.reshape(weight.shape)


@wrong("rescale_inputs", says="float32 on the way")
def factors_of_float32(layer, scale):
    with torch.no_grad():
        layer.weight.view(len(layer.weight), len(scale), -1).mul_(scale.float()[:, None])


@wrong("rescale_inputs", says="`scale` was changed")
def one_more_axis_in_place(layer, scale):
    with torch.no_grad():
        layer.weight.view(len(layer.weight), len(scale), -1).mul_(scale.unsqueeze_(1))


@wrong("rescale_inputs", says="the norm that it had")
def norms_kept(layer, scale):
    with torch.no_grad():
        before = layer.weight.flatten(1).norm(dim=1)
        layer.weight.view(len(layer.weight), len(scale), -1).mul_(scale[:, None])
        after = layer.weight.flatten(1).norm(dim=1)
        layer.weight.mul_((before / after).view(-1, *[1] * (layer.weight.ndim - 1)))


@wrong("rescale_inputs", says="no change of the layer's own weight")
def a_hook_that_scales_the_inputs(layer, scale):
    def scaled(_, inputs):
        pixels = inputs[0].shape[1] // len(scale)
        return (inputs[0] * scale.repeat_interleave(pixels).view(-1, *[1] * (inputs[0].ndim - 2)),)

    layer.register_forward_pre_hook(scaled)


@right("rescale_inputs")
def channel_by_channel(layer, scale):
    width = layer.weight.shape[1] // len(scale)
    for channel, factor in enumerate(scale.tolist()):
        layer.weight.data.narrow(1, channel * width, width).mul_(factor)


@right("rescale_inputs")
def repeated_factors(layer, scale):
    with torch.no_grad():
        if layer.weight.ndim == 4:
            layer.weight *= scale.view(1, -1, 1, 1)
        else:
            layer.weight *= scale.repeat_interleave(layer.in_features // len(scale))


@right("rescale_inputs")
def through_data(layer, scale):
    flat = layer.weight.data.flatten(1)
    factors = scale.detach().to(flat.dtype).repeat_interleave(flat.shape[1] // len(scale))
    layer.weight.data = (flat * factors).view_as(layer.weight)
    return layer


@wrong("rescale_inputs", says="square feature maps of 2 x 2 pixels")
def counts_on_square_maps(layer, scale):
    with torch.no_grad():
        if layer.weight.ndim == 4:
            layer.weight.mul_(scale[:, None, None])
            return
        each = layer.weight.shape[1] // len(scale)
        side = int(each**0.5)
        for channel, factor in enumerate(scale):
            layer.weight[:, channel * each : channel * each + side * side] *= factor
