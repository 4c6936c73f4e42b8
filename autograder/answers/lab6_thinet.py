"""Wrong and right answers to lab 6, as students write them."""

import numpy as np
import torch

from autograder.answers import right, wrong

# --- sample_contributions


@wrong("sample_contributions", says="(S, C, kH, kW) becomes (S, C)")
def the_whole_output(patches, weight):
    return (patches * weight).sum(dim=(1, 2, 3))


@wrong("sample_contributions", says="weight times patch")
def a_mean_in_place_of_the_sum(patches, weight):
    return (patches * weight).mean(dim=(2, 3))


@wrong("sample_contributions", says="weight times patch")
def without_the_weights(patches, weight):
    return patches.sum(dim=(2, 3))


@wrong("sample_contributions", says="weight times patch")
def absolute_contributions(patches, weight):
    return (patches * weight).sum(dim=(2, 3)).abs()


@wrong("sample_contributions", says="weight times patch")
def sums_multiplied(patches, weight):
    return patches.sum(dim=(2, 3)) * weight.sum(dim=(2, 3))


@wrong("sample_contributions", says="weight times patch")
def a_flipped_window(patches, weight):
    return (patches * weight.flip(2, 3)).sum(dim=(2, 3))


@wrong("sample_contributions", says="a filter of its own")
def one_filter_for_all_samples(patches, weight):
    return (patches * weight[:1]).sum(dim=(2, 3))


@wrong("sample_contributions", says="must stay as they are")
def multiplies_the_patches_in_place(patches, weight):
    return patches.mul_(weight).sum(dim=(2, 3))


@right("sample_contributions")
def windows_with_einsum(patches, weight):
    return torch.einsum("scij,scij->sc", patches, weight)


@right("sample_contributions")
def flat_windows(patches, weight):
    return (patches.flatten(2).unsqueeze(2) @ weight.flatten(2).unsqueeze(3))[:, :, 0, 0]


# --- channels_to_remove


@wrong("channels_to_remove", says="the SUM with those that are gone")
def each_channel_alone(contributions, count):
    return contributions.square().sum(0).argsort()[:count].tolist()


@wrong("channels_to_remove", says="is missed least")
def the_ones_that_are_missed_most(contributions, count):
    return contributions.square().sum(0).argsort(descending=True)[:count].tolist()


@wrong("channels_to_remove", says="channels that are REMOVED")
def the_ones_that_stay(contributions, count):
    removed = []
    for _ in range(count):
        left = [c for c in range(contributions.shape[1]) if c not in removed]
        removed.append(min(left, key=lambda c: contributions[:, [*removed, c]].sum(1).square().sum()))
    return [c for c in range(contributions.shape[1]) if c not in removed]


@wrong("channels_to_remove", says="the order in which they go")
def sorted_in_the_end(contributions, count):
    removed = []
    for _ in range(count):
        left = [c for c in range(contributions.shape[1]) if c not in removed]
        removed.append(min(left, key=lambda c: contributions[:, [*removed, c]].sum(1).square().sum()))
    return sorted(removed)


@wrong("channels_to_remove", says="the SUM with those that are gone")
def squares_before_the_sum(contributions, count):
    removed = []
    for _ in range(count):
        left = [c for c in range(contributions.shape[1]) if c not in removed]
        removed.append(min(left, key=lambda c: contributions[:, [*removed, c]].square().sum()))
    return removed


@wrong("channels_to_remove", says="EVERY t in T")
def only_the_last_one_counts(contributions, count):
    gram = contributions.T @ contributions
    removed = []
    for _ in range(count):
        cost = gram.diagonal().clone() + (2 * gram[:, removed[-1]] if removed else 0)
        cost[removed] = torch.inf
        removed.append(int(cost.argmin()))
    return removed


@wrong("channels_to_remove", says="EVERY t in T")
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


@wrong("channels_to_remove", says="is missed least")
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


@wrong("channels_to_remove", says="the contributions must stay as they are")
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


@right("channels_to_remove")
def as_in_the_paper(contributions, count):
    removed = []
    for _ in range(count):
        left = [c for c in range(contributions.shape[1]) if c not in removed]
        errors = [contributions[:, [*removed, c]].sum(1).square().sum().item() for c in left]
        removed.append(left[errors.index(min(errors))])
    return removed


@right("channels_to_remove")
def running_sums(contributions, count):
    removed, total = [], torch.zeros(len(contributions), dtype=contributions.dtype)
    for _ in range(count):
        errors = (total[:, None] + contributions).square().sum(0)
        errors[removed] = torch.inf
        removed.append(int(errors.argmin()))
        total = total + contributions[:, removed[-1]]
    return torch.tensor(removed, dtype=torch.long)


# --- least_squares_scale


@wrong("least_squares_scale", says="lstsq")
def the_normal_equations(contributions, target):
    return torch.linalg.inv(contributions.T @ contributions) @ contributions.T @ target


@wrong("least_squares_scale", says="XᵀX")
def the_normal_equations_solved(contributions, target):
    return torch.linalg.solve(contributions.T @ contributions, contributions.T @ target)


@wrong("least_squares_scale", says="XᵀX")
def the_normal_equations_with_dead_channels_mended(contributions, target):
    gram = contributions.T @ contributions
    mended = gram + torch.diag((gram.diagonal() == 0).to(gram.dtype))
    return torch.linalg.solve(mended, contributions.T @ target)


@wrong("least_squares_scale", says="without it")
def a_small_ridge(contributions, target):
    gram = contributions.T @ contributions
    return torch.linalg.solve(gram + 0.5 * torch.eye(len(gram), dtype=gram.dtype), contributions.T @ target)


@wrong("least_squares_scale", says="not a column")
def a_column(contributions, target):
    return torch.linalg.lstsq(contributions, target[:, None], driver="gelsd").solution


@wrong("least_squares_scale", says="these are the factors")
def no_scaling_at_all(contributions, target):
    return torch.ones(contributions.shape[1])


@wrong("least_squares_scale", says="these are the factors")
def one_factor_for_all(contributions, target):
    total = contributions.sum(1)
    return (total @ target / (total @ total).clamp_min(1e-12)).expand(contributions.shape[1])


@wrong("least_squares_scale", says="these are the factors")
def each_channel_for_itself(contributions, target):
    return contributions.T @ target / contributions.square().sum(0).clamp_min(1e-12)


@wrong("least_squares_scale", says="driver='gelsd'")
def a_driver_for_full_rank(contributions, target):
    return torch.linalg.lstsq(contributions, target[:, None], driver="gels").solution[:, 0]


@wrong("least_squares_scale", says="these are the factors")
def never_negative(contributions, target):
    return torch.linalg.lstsq(contributions, target[:, None], driver="gelsd").solution[:, 0].clamp_min(0)


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
    return torch.as_tensor(np.linalg.lstsq(contributions.numpy(), target.numpy(), rcond=None)[0])


@right("least_squares_scale")
def a_tiny_ridge(contributions, target):
    contributions, target = contributions.double(), target.double()
    gram = contributions.T @ contributions
    return torch.linalg.solve(gram + 1e-8 * torch.eye(len(gram)), contributions.T @ target)


# --- rescale_inputs


@wrong("rescale_inputs", says="weight[:, c]")
def scales_the_outputs(layer, scale):
    with torch.no_grad():
        rows = scale.repeat(len(layer.weight))[: len(layer.weight)]
        layer.weight.mul_(rows.view(-1, *[1] * (layer.weight.ndim - 1)))


@wrong("rescale_inputs", says="the bias")
def scales_the_bias_too(layer, scale):
    with torch.no_grad():
        layer.weight.view(len(layer.weight), len(scale), -1).mul_(scale[:, None])
        layer.bias.mul_(scale.mean())


@wrong("rescale_inputs", says="columns 4c to 4c + 3")
def pixels_before_channels(layer, scale):
    with torch.no_grad():
        layer.weight.view(len(layer.weight), -1, len(scale), *layer.weight.shape[2:]).mul_(
            scale.view(-1, *[1] * (layer.weight.ndim - 2))
        )


@wrong("rescale_inputs", says="in place")
def a_copy_that_is_lost(layer, scale):
    weight = layer.weight.detach().clone()
    weight.view(len(weight), len(scale), -1).mul_(scale[:, None])
    return weight


@wrong("rescale_inputs", says="can no longer be trained")
def switches_training_off(layer, scale):
    layer.weight.requires_grad = False
    layer.weight.view(len(layer.weight), len(scale), -1).mul_(scale[:, None])


@wrong("rescale_inputs", says="weight[:, c]")
def divides_in_place_of_multiplying(layer, scale):
    with torch.no_grad():
        layer.weight.view(len(layer.weight), len(scale), -1).div_(scale[:, None])


@wrong("rescale_inputs", says="the same object")
def a_new_parameter(layer, scale):
    weight = layer.weight.detach().reshape(len(layer.weight), len(scale), -1) * scale[:, None]
    layer.weight = torch.nn.Parameter(weight.view_as(layer.weight))


@wrong("rescale_inputs", says="columns 4c to 4c + 3")
def convolutions_only(layer, scale):
    with torch.no_grad():
        if layer.weight.ndim == 4:
            layer.weight.mul_(scale[:, None, None])
        else:
            layer.weight[:, : len(scale)] *= scale


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
    layer.weight.data = (flat * scale.repeat_interleave(flat.shape[1] // len(scale))).view_as(layer.weight)
    return layer
