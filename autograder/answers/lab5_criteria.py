"""Wrong and right answers to lab 5, as students write them."""

import torch

from autograder.answers import right, wrong

# --- oracle_scores


@wrong("oracle_scores", says="absolute value of the difference")
def keeps_the_sign(evaluate, channels):
    whole = evaluate([])
    return torch.tensor([evaluate([channel]) - whole for channel in range(channels)])


@wrong("oracle_scores", says="how much the loss CHANGES")
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


@wrong("oracle_scores", says="ALONE")
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


@wrong("oracle_scores", says="how much the loss CHANGES")
def keeps_only_the_channel(evaluate, channels):
    whole = evaluate([])
    return torch.tensor(
        [abs(evaluate([other for other in range(channels) if other != c]) - whole) for c in range(channels)]
    )


@wrong("oracle_scores", says="how much the loss CHANGES")
def counts_from_one(evaluate, channels):
    whole = evaluate([])
    return torch.tensor([abs(evaluate([(channel + 1) % channels]) - whole) for channel in range(channels)])


@wrong("oracle_scores", says="how much the loss CHANGES")
def a_share_of_the_loss(evaluate, channels):
    whole = evaluate([])
    return torch.tensor([abs(evaluate([channel]) - whole) / whole for channel in range(channels)])


@wrong("oracle_scores", says="how much the loss CHANGES")
def the_square_of_the_change(evaluate, channels):
    whole = evaluate([])
    return torch.tensor([(evaluate([channel]) - whole) ** 2 for channel in range(channels)])


@wrong("oracle_scores", says="`return` missing")
def forgets_to_return_the_oracle(evaluate, channels):
    whole = evaluate([])
    torch.tensor([abs(evaluate([channel]) - whole) for channel in range(channels)])


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


@wrong("minimum_weight_scores", says="the mean of the squared weights")
def the_sum_of_the_squares(weight):
    return weight.square().sum(dim=(1, 2, 3))


@wrong("minimum_weight_scores", says="the mean of the squared weights")
def absolute_values(weight):
    return weight.abs().mean(dim=(1, 2, 3))


@wrong("minimum_weight_scores", says="the mean of the squared weights")
def the_square_of_the_mean(weight):
    return weight.mean(dim=(1, 2, 3)).square()


@wrong("minimum_weight_scores", says="the mean of the squared weights")
def the_length(weight):
    return weight.flatten(1).norm(dim=1)


@wrong("minimum_weight_scores", says="the mean of the squared weights")
def the_variance(weight):
    return weight.flatten(1).var(dim=1, correction=0)


@wrong("minimum_weight_scores", says="axis 0 stays")
def one_number_for_each_input(weight):
    return weight.square().mean(dim=(0, 2, 3))


@wrong("minimum_weight_scores", says="expected shape")
def one_number_for_each_kernel(weight):
    return weight.square().mean(dim=(2, 3))


@wrong("minimum_weight_scores", says="must stay as they are")
def squares_in_place(weight):
    with torch.no_grad():
        return weight.pow_(2).mean(dim=(1, 2, 3))


@right("minimum_weight_scores")
def flat_filters(weight):
    return (weight.flatten(1) ** 2).mean(1)


@right("minimum_weight_scores")
def with_einsum(weight):
    return torch.einsum("oiyx,oiyx->o", weight, weight) / weight[0].numel()


# --- apoz_scores


@wrong("apoz_scores", says="NOT zero")
def the_share_of_zeros(activation):
    return (activation == 0).float().mean(dim=(0, 2, 3))


@wrong("apoz_scores", says="NOT zero")
def the_mean_activation(activation):
    return activation.mean(dim=(0, 2, 3))


@wrong("apoz_scores", says="NOT zero")
def counts_and_does_not_divide(activation):
    return (activation != 0).sum(dim=(0, 2, 3)).float()


@wrong("apoz_scores", says="NOT zero")
def divides_by_the_positions_only(activation):
    return (activation != 0).float().mean(dim=(2, 3)).sum(dim=0)


@wrong("apoz_scores", says="expected shape")
def one_share_for_each_example(activation):
    return (activation != 0).float().mean(dim=(2, 3))


@wrong("apoz_scores", says="expected shape")
def one_share_for_everything(activation):
    return (activation != 0).float().mean()


@wrong("apoz_scores", says="NOT zero")
def images_in_which_it_speaks(activation):
    return (activation.amax(dim=(2, 3)) != 0).float().mean(dim=0)


@wrong("apoz_scores", says="expected shape")
def the_wrong_axis_stays(activation):
    return (activation != 0).float().mean(dim=(1, 2, 3))


@right("apoz_scores")
def greater_than_zero(activation):
    return (activation > 0).double().mean((0, 2, 3))


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


@wrong("taylor_scores", says="effects on its loss are 3 and -1")
def no_absolute_value_and_the_negative(activation, gradient):
    return -(activation * gradient).mean(dim=(0, 2, 3))


@wrong("taylor_scores", says="BEFORE the mean over examples")
def no_absolute_value(activation, gradient):
    return (activation * gradient).mean(dim=(0, 2, 3))


@wrong("taylor_scores", says="divided by 2 positions")
def the_sum_over_positions(activation, gradient):
    return (activation * gradient).sum(dim=(2, 3)).abs().mean(dim=0)


@wrong("taylor_scores", says="must not hide")
def the_sum_over_examples(activation, gradient):
    return (activation * gradient).mean(dim=(2, 3)).abs().sum(dim=0)


@wrong("taylor_scores", says="| mean over positions of activation · gradient |")
def only_the_gradient(activation, gradient):
    return gradient.mean(dim=(2, 3)).abs().mean(dim=0)


@wrong("taylor_scores", says="| mean over positions of activation · gradient |")
def means_multiplied(activation, gradient):
    return (activation.mean(dim=(2, 3)) * gradient.mean(dim=(2, 3))).abs().mean(dim=0)


@wrong("taylor_scores", says="effects on its loss are 3 and -1")
def squared(activation, gradient):
    return (activation * gradient).sum(dim=(2, 3)).square().mean(dim=0)


@wrong("taylor_scores", says="| mean over positions of activation · gradient |")
def normalised_already(activation, gradient):
    scores = (activation * gradient).mean(dim=(2, 3)).abs().mean(dim=0)
    return scores / scores.norm() * scores[0].abs().sign() if len(scores) > 1 else scores


@wrong("taylor_scores", says="one score for each CHANNEL")
def one_score_for_each_example_and_channel(activation, gradient):
    return (activation * gradient).mean(dim=(2, 3)).abs()


@wrong("taylor_scores", says="one score for each CHANNEL")
def channels_averaged_away(activation, gradient):
    return (activation * gradient).mean(dim=(2, 3)).abs().mean(dim=1)


@wrong("taylor_scores", says="must stay as they are")
def multiplies_in_place(activation, gradient):
    return activation.mul_(gradient).mean(dim=(2, 3)).abs().mean(dim=0)


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


@wrong("normalize_per_layer", says="by its OWN norm")
def one_norm_for_all(scores):
    norm = torch.cat(list(scores.values())).norm()
    return {name: values / norm for name, values in scores.items()}


@wrong("normalize_per_layer", says="by its OWN norm")
def by_the_sum(scores):
    return {name: values / values.sum().clamp_min(1e-12) for name, values in scores.items()}


@wrong("normalize_per_layer", says="by its OWN norm")
def by_the_largest(scores):
    return {name: values / values.max().clamp_min(1e-12) for name, values in scores.items()}


@wrong("normalize_per_layer", says="by its OWN norm")
def by_the_mean_square(scores):
    return {name: values / values.square().mean().sqrt().clamp_min(1e-12) for name, values in scores.items()}


@wrong("normalize_per_layer", says="by its OWN norm")
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


@wrong("normalize_per_layer", says="leave the given scores alone")
def divides_in_place(scores):
    for values in scores.values():
        values /= values.norm().clamp_min(1e-12)
    return scores


@wrong("normalize_per_layer", says="same layers")
def leaves_dead_layers_out(scores):
    return {name: values / values.norm() for name, values in scores.items() if values.norm() > 0}


@right("normalize_per_layer")
def with_a_small_number(scores):
    return {name: values / (values.norm() + 1e-8) for name, values in scores.items()}


@right("normalize_per_layer")
def with_torchs_own(scores):
    return {name: torch.nn.functional.normalize(values, dim=0) for name, values in scores.items()}


@right("normalize_per_layer")
def nan_to_zero(scores):
    return {name: torch.nan_to_num(values / (values**2).sum().sqrt()) for name, values in scores.items()}
