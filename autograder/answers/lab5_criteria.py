"""Wrong and right answers to lab 5, as students write them."""

import math

import numpy as np
import torch

from autograder.answers import right, wrong

# --- oracle_scores


@wrong("oracle_scores", says="the sign of the change: take the absolute value")
def keeps_the_sign(evaluate, channels):
    whole = evaluate([])
    return torch.tensor([evaluate([channel]) - whole for channel in range(channels)])


@wrong("oracle_scores", says="the losses themselves")
def the_loss_itself(evaluate, channels):
    return torch.tensor([evaluate([channel]) for channel in range(channels)])


@wrong("oracle_scores", says="how much the loss CHANGES")
def one_after_the_other(evaluate, channels):
    removed, last, scores = [], evaluate([]), []
    for channel in range(channels):
        removed.append(channel)
        scores.append(abs(evaluate([]) - last))
        last = evaluate(removed)
    return torch.tensor(scores)


@wrong("oracle_scores", says="on top of those before it: each must be gone ALONE")
def compares_with_the_channel_before(evaluate, channels):
    losses = [evaluate(list(range(count))) for count in range(channels + 1)]
    return torch.tensor([abs(losses[channel + 1] - losses[channel]) for channel in range(channels)])


@wrong("oracle_scores", says="evaluate is expensive")
def asks_for_the_whole_network_every_time(evaluate, channels):
    return torch.tensor([abs(evaluate([channel]) - evaluate([])) for channel in range(channels)])


@wrong("oracle_scores", says="takes a LIST")
def a_number_in_place_of_a_list(evaluate, channels):
    whole = evaluate([])
    return torch.tensor([abs(evaluate(channel) - whole) for channel in range(channels)])


@wrong("oracle_scores", says="plain numbers")
def tensors_for_numbers(evaluate, channels):
    whole = evaluate([])
    return torch.tensor([abs(evaluate([channel]) - whole) for channel in torch.arange(channels)])


@wrong("oracle_scores", says="takes a LIST")
def none_for_nothing(evaluate, channels):
    whole = evaluate(None)
    return torch.tensor([abs(evaluate([channel]) - whole) for channel in range(channels)])


@wrong("oracle_scores", says="the list of the channels that STAY")
def keeps_only_the_channel(evaluate, channels):
    whole = evaluate([])
    return torch.tensor(
        [abs(evaluate([other for other in range(channels) if other != c]) - whole) for c in range(channels)]
    )


@wrong("oracle_scores", says="the channel after the one that is asked for")
def counts_from_one(evaluate, channels):
    whole = evaluate([])
    return torch.tensor([abs(evaluate([(channel + 1) % channels]) - whole) for channel in range(channels)])


@wrong("oracle_scores", says="a share of the whole network's loss")
def a_share_of_the_loss(evaluate, channels):
    whole = evaluate([])
    return torch.tensor([abs(evaluate([channel]) - whole) / whole for channel in range(channels)])


@wrong("oracle_scores", says="the square of the change")
def the_square_of_the_change(evaluate, channels):
    whole = evaluate([])
    return torch.tensor([(evaluate([channel]) - whole) ** 2 for channel in range(channels)])


@wrong("oracle_scores", says="`return` missing")
def forgets_to_return_the_oracle(evaluate, channels):
    whole = evaluate([])
    torch.tensor([abs(evaluate([channel]) - whole) for channel in range(channels)])


@wrong("oracle_scores", says="a fall is a change too")
def nothing_where_the_loss_falls(evaluate, channels):
    whole = evaluate([])
    return torch.tensor([max(0.0, evaluate([channel]) - whole) for channel in range(channels)])


@wrong("oracle_scores", says="taken for the whole network")
def removes_all_for_the_whole_network(evaluate, channels):
    whole = evaluate(list(range(channels)))
    return torch.tensor([abs(evaluate([channel]) - whole) for channel in range(channels)])


@wrong("oracle_scores", says="subtract first", hidden=True)
def rounds_the_losses_first(evaluate, channels):
    losses = torch.tensor([evaluate([channel]) for channel in range(channels)])
    return (losses - torch.tensor(evaluate([]))).abs()


@wrong("oracle_scores", says="cut to whole numbers")
def into_a_tensor_of_whole_numbers(evaluate, channels):
    whole, scores = evaluate([]), torch.arange(channels)
    for channel in range(channels):
        scores[channel] = abs(evaluate([channel]) - whole)
    return scores


@wrong("oracle_scores", says="the axis lost")
def squeezes_the_oracle(evaluate, channels):
    whole = evaluate([])
    return torch.tensor([[abs(evaluate([channel]) - whole)] for channel in range(channels)]).squeeze()


@wrong("oracle_scores", says="hand over a new one in each call")
def one_list_for_all_calls(evaluate, channels):
    removed, scores = [], torch.zeros(channels)
    whole = evaluate(removed)
    for channel in range(channels):
        removed[:] = [channel]
        scores[channel] = abs(evaluate(removed) - whole)
    return scores


@wrong("oracle_scores", says="EARLIER call, of another evaluate")
def remembers_losses(evaluate, channels, known={}):
    for removed in ((), *((channel,) for channel in range(channels))):
        if removed not in known:
            known[removed] = evaluate(list(removed))
    return torch.tensor([abs(known[(channel,)] - known[()]) for channel in range(channels)])


@wrong("oracle_scores", says="gradients are switched on or off")
def leaves_gradients_off(evaluate, channels):
    torch.set_grad_enabled(False)
    whole = evaluate([])
    return torch.tensor([abs(evaluate([channel]) - whole) for channel in range(channels)])


@wrong("oracle_scores", says="takes one argument by position")
def names_the_argument(evaluate, channels):
    whole = evaluate(removed=[])
    return torch.tensor([abs(evaluate(removed=[channel]) - whole) for channel in range(channels)])


@wrong("oracle_scores", says="a loss may be negative")
def the_difference_of_absolute_losses(evaluate, channels):
    whole = abs(evaluate([]))
    return torch.tensor([abs(abs(evaluate([channel])) - whole) for channel in range(channels)])


@right("oracle_scores")
def backwards_with_numpy(evaluate, channels):
    losses = np.array([evaluate([channel]) for channel in reversed(range(channels))], dtype=np.float64)
    return torch.from_numpy(np.abs(losses - evaluate([]))[::-1].copy()).float()


@right("oracle_scores")
def a_loop_into_a_tensor(evaluate, channels):
    scores, whole = torch.zeros(channels), evaluate([])
    for channel in range(channels):
        scores[channel] = abs(whole - evaluate((channel,)))
    return scores


@right("oracle_scores")
def all_losses_first(evaluate, channels):
    losses = torch.tensor([evaluate([channel]) for channel in range(channels)], dtype=torch.float64)
    return (losses - evaluate([])).abs()


# --- minimum_weight_scores


@wrong("minimum_weight_scores", says="the sum of the squares: divide")
def the_sum_of_the_squares(weight):
    return weight.square().sum(dim=(1, 2, 3))


@wrong("minimum_weight_scores", says="absolute values in place of squares")
def absolute_values(weight):
    return weight.abs().mean(dim=(1, 2, 3))


@wrong("minimum_weight_scores", says="the square of the mean")
def the_square_of_the_mean(weight):
    return weight.mean(dim=(1, 2, 3)).square()


@wrong("minimum_weight_scores", says="the L2 norm")
def the_length(weight):
    return weight.flatten(1).norm(dim=1)


@wrong("minimum_weight_scores", says="the variance")
def the_variance(weight):
    return weight.flatten(1).var(dim=1, correction=0)


@wrong("minimum_weight_scores", says="one score for each input channel")
def one_number_for_each_input(weight):
    return weight.square().mean(dim=(0, 2, 3))


@wrong("minimum_weight_scores", says="one score for each kernel")
def one_number_for_each_kernel(weight):
    return weight.square().mean(dim=(2, 3))


@wrong("minimum_weight_scores", says="`weight` was changed")
def squares_in_place(weight):
    with torch.no_grad():
        return weight.pow_(2).mean(dim=(1, 2, 3))


@wrong("minimum_weight_scores", says="the SMALLEST squared weight")
def the_smallest_square(weight):
    return weight.square().amin(dim=(1, 2, 3))


@wrong("minimum_weight_scores", says="divide by I too")
def forgets_the_input_channels(weight):
    return weight.square().mean(dim=(2, 3)).sum(dim=1)


@wrong("minimum_weight_scores", says="kernels need not be square")
def takes_kernels_for_square(weight):
    return weight.square().sum(dim=(1, 2, 3)) / (weight.shape[1] * weight.shape[2] ** 2)


@wrong("minimum_weight_scores", says="use reshape or flatten in place of view")
def views_the_filters(weight):
    return weight.view(len(weight), -1).square().mean(dim=1)


@wrong("minimum_weight_scores", says="the axis lost")
def squeezes_the_only_filter(weight):
    return weight.square().mean(dim=(1, 2, 3), keepdim=True).squeeze()


@wrong("minimum_weight_scores", says="they are weights too")
def leaves_zeros_out(weight):
    return weight.square().sum(dim=(1, 2, 3)) / (weight != 0).sum(dim=(1, 2, 3)).clamp_min(1)


@wrong("minimum_weight_scores", says="take .detach() first")
def numpy_of_a_parameter(weight):
    return torch.from_numpy((weight.numpy() ** 2).mean(axis=(1, 2, 3)))


@wrong("minimum_weight_scores", says="keep the dtype")
def always_float32(weight):
    return weight.float().square().mean(dim=(1, 2, 3))


@wrong("minimum_weight_scores", says="its requires_grad is another one")
def freezes_the_weight(weight):
    if weight.is_leaf:
        weight.requires_grad_(False)
    return weight.square().mean(dim=(1, 2, 3))


@wrong("minimum_weight_scores", says="each kernel's mean squared")
def the_squares_of_the_kernels_means(weight):
    return weight.mean(dim=(2, 3)).pow(2).mean(dim=1)


@right("minimum_weight_scores")
def axis_by_axis(weight):
    squares = weight.detach() ** 2
    while squares.ndim > 1:
        squares = squares.mean(-1)
    return squares


@right("minimum_weight_scores")
def flat_filters(weight):
    return (weight.flatten(1) ** 2).mean(1)


@right("minimum_weight_scores")
def with_einsum(weight):
    return torch.einsum("oiyx,oiyx->o", weight, weight) / weight[0].numel()


# --- apoz_scores


@wrong("apoz_scores", says="APoZ itself")
def the_share_of_zeros(activation):
    return (activation == 0).float().mean(dim=(0, 2, 3))


@wrong("apoz_scores", says="the mean activation")
def the_mean_activation(activation):
    return activation.mean(dim=(0, 2, 3))


@wrong("apoz_scores", says="not divided by N · H · W")
def counts_and_does_not_divide(activation):
    return (activation != 0).sum(dim=(0, 2, 3)).float()


@wrong("apoz_scores", says="(divide by N)")
def divides_by_the_positions_only(activation):
    return (activation != 0).float().mean(dim=(2, 3)).sum(dim=0)


@wrong("apoz_scores", says="one share for each example and channel")
def one_share_for_each_example(activation):
    return (activation != 0).float().mean(dim=(2, 3))


@wrong("apoz_scores", says="one share for everything")
def one_share_for_everything(activation):
    return (activation != 0).float().mean()


@wrong("apoz_scores", says="whose LARGEST activation is not zero")
def images_in_which_it_speaks(activation):
    return (activation.amax(dim=(2, 3)) != 0).float().mean(dim=0)


@wrong("apoz_scores", says="one share for each example")
def the_wrong_axis_stays(activation):
    return (activation != 0).float().mean(dim=(1, 2, 3))


@wrong("apoz_scores", says="negative ones are not zero either")
def greater_than_zero(activation):
    return (activation > 0).double().mean((0, 2, 3))


@wrong("apoz_scores", says="division by the number of ALL activations")
def divides_by_all_activations(activation):
    return activation.count_nonzero(dim=(0, 2, 3)) / activation.numel()


@wrong("apoz_scores", says="percent")
def in_percent(activation):
    return 100 - 100 * (activation == 0).float().mean(dim=(0, 2, 3))


@wrong("apoz_scores", says="N · H · H in place of")
def takes_maps_for_square(activation):
    examples, _, size, _ = activation.shape
    return (activation != 0).sum(dim=(0, 2, 3)) / (examples * size**2)


@wrong("apoz_scores", says="small activations")
def counts_small_ones_as_zeros(activation):
    return (activation.abs() > 1e-4).float().mean(dim=(0, 2, 3))


@wrong("apoz_scores", says="use reshape or flatten in place of view")
def views_the_maps(activation):
    examples, channels = activation.shape[:2]
    return (activation != 0).float().view(examples * channels, -1).mean(dim=1).view(examples, channels).mean(dim=0)


@wrong("apoz_scores", says="float16 counts exactly up to 2048 only", hidden=True)
def counts_in_half_precision(activation):
    counted = torch.zeros(activation.shape[1], dtype=torch.half)
    for row in (activation != 0).half().permute(0, 2, 1, 3).flatten(0, 1):
        counted += row.sum(dim=1)
    return counted.float() / activation[:, 0].numel()


@wrong("apoz_scores", says="`activation` was changed")
def writes_ones_into_the_maps(activation):
    activation.data[activation != 0] = 1
    return activation.detach().float().mean(dim=(0, 2, 3))


@wrong("apoz_scores", says="EARLIER call counted too")
def adds_up_over_calls(activation, seen={}):
    alive, count = seen.get(activation.shape[1], (0, 0))
    alive, count = alive + (activation != 0).sum(dim=(0, 2, 3)), count + activation[:, 0].numel()
    seen[activation.shape[1]] = alive, count
    return alive / count


@wrong("apoz_scores", says="the median example")
def the_median_of_the_examples(activation):
    return (activation != 0).float().mean(dim=(2, 3)).median(dim=0).values


@wrong("apoz_scores", says="which the squares of tiny activations are")
def squares_above_zero(activation):
    return (activation.square() > 0).float().mean(dim=(0, 2, 3))


@wrong("apoz_scores", says="no share for dead channels at the end")
def no_count_for_the_last_dead_channels(activation):
    channel = torch.nonzero(activation)[:, 1]
    return torch.bincount(channel) / (activation.numel() / activation.shape[1])


@wrong("apoz_scores", says="negative ones cancel positive ones")
def the_mean_of_the_signs(activation):
    return activation.sign().float().mean(dim=(0, 2, 3))


@right("apoz_scores")
def channel_after_channel(activation):
    maps = np.moveaxis(activation.detach().double().numpy(), 1, 0)
    return torch.tensor([np.count_nonzero(each) / each.size for each in maps])


@right("apoz_scores")
def one_minus_the_zeros(activation):
    zeros = (activation == 0).sum(dim=(0, 2, 3))
    return 1 - zeros / (activation.numel() / activation.shape[1])


# --- taylor_scores


@wrong("taylor_scores", says="AFTER the mean over positions")
def the_absolute_value_inside(activation, gradient):
    return (activation * gradient).abs().mean(dim=(0, 2, 3))


@wrong("taylor_scores", says="BEFORE the mean over examples")
def the_absolute_value_outside(activation, gradient):
    return (activation * gradient).mean(dim=(0, 2, 3)).abs()


@wrong("taylor_scores", says="no absolute value, and the sign turned")
def no_absolute_value_and_the_negative(activation, gradient):
    return -(activation * gradient).mean(dim=(0, 2, 3))


@wrong("taylor_scores", says="no absolute value")
def no_absolute_value(activation, gradient):
    return (activation * gradient).mean(dim=(0, 2, 3))


@wrong("taylor_scores", says="the sum over positions")
def the_sum_over_positions(activation, gradient):
    return (activation * gradient).sum(dim=(2, 3)).abs().mean(dim=0)


@wrong("taylor_scores", says="the sum over examples")
def the_sum_over_examples(activation, gradient):
    return (activation * gradient).mean(dim=(2, 3)).abs().sum(dim=0)


@wrong("taylor_scores", says="the gradient alone")
def only_the_gradient(activation, gradient):
    return gradient.mean(dim=(2, 3)).abs().mean(dim=0)


@wrong("taylor_scores", says="mean activation times mean gradient")
def means_multiplied(activation, gradient):
    return (activation.mean(dim=(2, 3)) * gradient.mean(dim=(2, 3))).abs().mean(dim=0)


@wrong("taylor_scores", says="the squares of the sums")
def squared(activation, gradient):
    return (activation * gradient).sum(dim=(2, 3)).square().mean(dim=0)


@wrong("taylor_scores", says="| mean over positions of activation · gradient |")
def normalised_already(activation, gradient):
    scores = (activation * gradient).mean(dim=(2, 3)).abs().mean(dim=0)
    return scores / scores.norm() * scores[0].abs().sign() if len(scores) > 1 else scores


@wrong("taylor_scores", says="one score for each example and channel")
def one_score_for_each_example_and_channel(activation, gradient):
    return (activation * gradient).mean(dim=(2, 3)).abs()


@wrong("taylor_scores", says="one score for each example")
def channels_averaged_away(activation, gradient):
    return (activation * gradient).mean(dim=(2, 3)).abs().mean(dim=1)


@wrong("taylor_scores", says="`activation` was changed")
def multiplies_in_place(activation, gradient):
    return activation.mul_(gradient).mean(dim=(2, 3)).abs().mean(dim=0)


@wrong("taylor_scores", says="the absolute value of the gradients alone")
def only_the_gradients_absolute_value(activation, gradient):
    return (activation * gradient.abs()).mean(dim=(0, 2, 3))


@wrong("taylor_scores", says="H · H in place of H · W")
def takes_positions_for_a_square(activation, gradient):
    return (activation * gradient).sum(dim=(2, 3)).abs().mean(dim=0) / activation.shape[2] ** 2


@wrong("taylor_scores", says="its example's OWN loss already")
def times_the_number_of_examples(activation, gradient):
    return (activation * gradient * len(gradient)).mean(dim=(2, 3)).abs().mean(dim=0)


@wrong("taylor_scores", says="negative activations left out")
def a_relu_first(activation, gradient):
    return (activation.relu() * gradient).mean(dim=(2, 3)).abs().mean(dim=0)


@wrong("taylor_scores", says="positions that are not zero")
def the_mean_over_active_positions(activation, gradient):
    count = (activation != 0).sum(dim=(2, 3)).clamp_min(1)
    return ((activation * gradient).sum(dim=(2, 3)) / count).abs().mean(dim=0)


@wrong("taylor_scores", says="axes of length 1 squeezed away")
def squeezes_the_means(activation, gradient):
    return (activation * gradient).flatten(2).mean(dim=2).squeeze().abs().mean(dim=0)


@wrong("taylor_scores", says="`gradient` was changed")
def clears_the_gradient(activation, gradient):
    scores = (activation * gradient).mean(dim=(2, 3)).abs().mean(dim=0)
    gradient.detach().zero_()
    return scores


@wrong("taylor_scores", says="examples FIRST")
def examples_first(activation, gradient):
    return (activation * gradient).mean(dim=0).abs().mean(dim=(1, 2))


@wrong("taylor_scores", says="after the mean over a ROW")
def absolute_values_of_rows(activation, gradient):
    return (activation * gradient).mean(dim=3).abs().mean(dim=(0, 2))


@right("taylor_scores")
def taylor_with_matmul(activation, gradient):
    rows, columns = activation.flatten(2).unsqueeze(2), gradient.flatten(2).unsqueeze(3)
    return ((rows @ columns)[..., 0, 0] / math.prod(activation.shape[2:])).abs().mean(0)


@right("taylor_scores")
def taylor_with_einsum(activation, gradient):
    effects = torch.einsum("ncyx,ncyx->nc", activation, gradient) / activation[0, 0].numel()
    return effects.abs().mean(0)


@right("taylor_scores")
def taylor_with_a_loop(activation, gradient):
    scores = torch.zeros(activation.shape[1], dtype=activation.dtype)
    for maps, slopes in zip(activation, gradient, strict=True):
        scores += (maps * slopes).flatten(1).mean(1).abs()
    return scores / len(activation)


# --- normalize_per_layer


@wrong("normalize_per_layer", says="one norm over ALL layers")
def one_norm_for_all(scores):
    norm = torch.cat(list(scores.values())).norm()
    return {name: values / norm for name, values in scores.items()}


@wrong("normalize_per_layer", says="the sum in place of the norm")
def by_the_sum(scores):
    return {name: values / values.sum().clamp_min(1e-12) for name, values in scores.items()}


@wrong("normalize_per_layer", says="the largest score in place of the norm")
def by_the_largest(scores):
    return {name: values / values.max().clamp_min(1e-12) for name, values in scores.items()}


@wrong("normalize_per_layer", says="the root of the MEAN of the squares")
def by_the_mean_square(scores):
    return {name: values / values.square().mean().sqrt().clamp_min(1e-12) for name, values in scores.items()}


@wrong("normalize_per_layer", says="the sum of the squares without its root")
def by_the_squared_norm(scores):
    return {name: values / values.square().sum().clamp_min(1e-12) for name, values in scores.items()}


@wrong("normalize_per_layer", says="not a number")
def zero_by_zero(scores):
    return {name: values / values.norm() for name, values in scores.items()}


@wrong("normalize_per_layer", says="leave the zeros")
def ones_for_zeros(scores):
    return {
        name: values / values.norm() if values.norm() > 0 else torch.ones_like(values) / len(values) ** 0.5
        for name, values in scores.items()
    }


@wrong("normalize_per_layer", says="small scores are no zeros")
def small_layers_are_left_alone(scores):
    return {name: values / values.norm().clamp_min(1e-2) for name, values in scores.items()}


@wrong("normalize_per_layer", says="return a dictionary")
def a_list_of_layers(scores):
    return [values / values.norm().clamp_min(1e-12) for values in scores.values()]


@wrong("normalize_per_layer", says="`scores['first']` was changed")
def divides_in_place(scores):
    for values in scores.values():
        values /= values.norm().clamp_min(1e-12)
    return scores


@wrong("normalize_per_layer", says="same layers")
def leaves_dead_layers_out(scores):
    return {name: values / values.norm() for name, values in scores.items() if values.norm() > 0}


@wrong("normalize_per_layer", says="1e-08 added to the norm")
def with_a_small_number(scores):
    return {name: values / (values.norm() + 1e-8) for name, values in scores.items()}


@wrong("normalize_per_layer", says="absolute values of the scores")
def loses_the_signs(scores):
    return {name: values.abs() / values.norm().clamp_min(1e-30) for name, values in scores.items()}


@wrong("normalize_per_layer", says="zeros for a layer whose norm is greater than 0")
def asks_for_the_sum(scores):
    return {
        name: values / values.norm() if values.sum() > 0 else torch.zeros_like(values)
        for name, values in scores.items()
    }


@wrong("normalize_per_layer", says="stack expects each tensor to be equal size")
def stacks_the_layers(scores):
    table = torch.stack(list(scores.values()))
    return dict(zip(scores, table / table.norm(dim=1, keepdim=True).clamp_min(1e-30), strict=True))


@wrong("normalize_per_layer", says="you return float32 where float64 was given")
def zeros_of_float32(scores):
    return {
        name: values / values.norm() if values.norm() > 0 else torch.zeros(len(values))
        for name, values in scores.items()
    }


@wrong("normalize_per_layer", says="shares memory with `scores`")
def returns_the_dead_layers_own_scores(scores):
    return {name: values / values.norm() if values.norm() > 0 else values for name, values in scores.items()}


@wrong("normalize_per_layer", says="`scores['first']` was changed")
def writes_into_the_dictionary(scores):
    for name, values in list(scores.items()):
        scores[name] = values / values.norm().clamp_min(1e-30)
    return scores


@wrong("normalize_per_layer", says="none of an earlier call")
def remembers_layers(scores, normalized={}):
    for name, values in scores.items():
        normalized[name] = values / values.norm().clamp_min(1e-30)
    return dict(normalized)


@right("normalize_per_layer")
def by_the_largest_first(scores):
    normalized = {}
    for name, values in scores.items():
        largest = max(abs(value) for value in values.tolist()) or 1.0
        shares = values / largest
        normalized[name] = shares / math.sqrt((shares * shares).sum()) if shares.any() else shares
    return normalized


@right("normalize_per_layer")
def with_torchs_own(scores):
    return {name: torch.nn.functional.normalize(values, dim=0) for name, values in scores.items()}


@right("normalize_per_layer")
def nan_to_zero(scores):
    return {name: torch.nan_to_num(values / (values**2).sum().sqrt()) for name, values in scores.items()}
