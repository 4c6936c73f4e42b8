"""Visible tests of lab 3. A test's first argument is the exercise that it grades."""

import math

import pytest
import torch
from torch import Tensor, nn

from course_utils import artifacts, expect
from course_utils.contracts import Contract
from course_utils.networks import vgg_mini


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def conv(inputs, outputs, seed=0, **options):
    layer = nn.Conv2d(inputs, outputs, options.pop("kernel_size", 3), **options)
    for number, parameter in enumerate(layer.parameters()):
        parameter.data = numbers(*parameter.shape, seed=seed + number)
    return layer


def batchnorm(channels, seed=0):
    norm = nn.BatchNorm2d(channels)
    norm.weight.data, norm.bias.data = numbers(channels, seed=seed), numbers(channels, seed=seed + 1)
    norm.running_mean, norm.running_var = (
        numbers(channels, seed=seed + 2),
        numbers(channels, seed=seed + 3) ** 2 + 0.1,
    )
    return norm.eval()


def linear(inputs, outputs, seed=0, **options):
    layer = nn.Linear(inputs, outputs, **options)
    for number, parameter in enumerate(layer.parameters()):
        parameter.data = numbers(*parameter.shape, seed=seed + number)
    return layer


def network_with_statistics(widths=(6, 8, 8, 5), classes=3, seed=0):
    """A small VGG whose batch norms hold statistics that matter."""
    network = vgg_mini(widths=widths, classes=classes, seed=seed)
    for number, layer in enumerate(network.features):
        if isinstance(layer, nn.BatchNorm2d):
            source = batchnorm(layer.num_features, seed=seed + number)
            layer.load_state_dict(source.state_dict())
    return network.eval()


# --- filter_l1_norms


def other_norms(weight, axes=(1, 2, 3)):
    """Other numbers for the filters, which may be taken for their L1 norms."""
    height = weight.shape[2]
    return {
        "sums without absolute values": weight.sum(axes),
        "absolute values of the sums (they come first, for every weight)": weight.sum(axes).abs(),
        "squares in place of absolute values": weight.square().sum(axes),
        "the L2 norm, the root of the squares": weight.square().sum(axes).sqrt(),
        "the mean in place of the sum": weight.abs().mean(axes),
        "absolute values only after the input channels were added up": weight.sum(1).abs().sum((1, 2)),
        "absolute values only after each kernel was added up": weight.sum((2, 3)).abs().sum(1),
        "the largest absolute value in place of the sum": weight.abs().amax(axes),
        "sums over each kernel only, without the input channels": weight.abs().sum((2, 3)),
        "one score for each input channel (axis 0 was summed)": weight.abs().sum((0, 2, 3)),
        "one sum over the whole weight": weight.abs().sum(),
        "matrix norms of order 1, each of which is the largest sum of a column": weight.abs().sum(2).amax(2).sum(1),
        "a kernel taken for square, as wide as it is high": weight[..., :height].abs().sum(axes),
    }


def other_scores(weight):
    """What comes out with mistakes that are often made with norms of filters."""
    norms = weight.abs().sum((1, 2, 3))
    return {
        **other_norms(weight),
        "scores in units of their mean: return the sums as they are": norms / norms.mean(),
        "scores as shares of the largest: return the sums as they are": norms / norms.max(),
        "scores as shares of their sum: return the sums as they are": norms / norms.sum(),
        "sorted scores: score j belongs to filter j": norms.sort().values,
        "sorted scores, the largest first: score j belongs to filter j": norms.sort(descending=True).values,
        "the filters in the order of their scores, in place of the scores": norms.argsort(),
        "the filters in the order of their scores, the best first, in place of the scores": norms.argsort(
            descending=True
        ),
    }


@pytest.mark.points(2)
def test_the_sum_of_the_absolute_weights_of_every_filter(filter_l1_norms):
    weight = numbers(5, 3, 2, 4)
    hint = "s_j = sum |W_j|: of a weight (5, 3, 2, 4) one score for each of the 5 filters"
    answer = filter_l1_norms(*expect.copies(weight))
    expect.same(answer, weight.abs().sum((1, 2, 3)), hint, mistakes=other_scores(weight))


@pytest.mark.points(1)
def test_a_layer_with_one_filter(filter_l1_norms):
    weight = -numbers(1, 4, 5, 5, seed=2)  # whose sum is negative
    hint = "of a weight (1, 4, 5, 5) one score, as a tensor with one axis"
    expect.same(filter_l1_norms(weight.clone()), weight.abs().sum((1, 2, 3)), hint, mistakes=other_scores(weight))


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_filter_l1_norms_needs(filter_l1_norms):
    Contract(gives=Tensor, dtype=True).hold(filter_l1_norms, lambda: {"weight": numbers(4, 3, 3, 2)})


# --- filters_to_keep


def indices(answer, hint):
    """The answer as a list of whole numbers."""
    kept = expect.tensor(answer, hint)
    assert kept.ndim == 1, f"{hint}\n  a tensor of indices has one axis; the shape of yours is {tuple(kept.shape)}"
    assert kept.dtype == torch.int64, f"{hint}\n  indices are whole numbers, int64; yours are {kept.dtype}"
    return kept.tolist()


def other_choices(scores, stay):
    """What comes out with mistakes that are often made when the best of some scores are chosen."""
    order = scores.argsort().tolist()
    best, listed = sorted(order[-stay:]), scores.topk(stay).indices
    positions = "in place of the filters that stand there: of the last sort take .values, not .indices"
    return {
        f"positions in the list that topk gave, {positions}": listed.argsort().tolist(),
        f"positions in the list that argsort gave, {positions}": torch.tensor(order[-stay:]).argsort().tolist(),
        "the LOWEST scores kept in place of the highest": sorted(order[:stay]),
        "the filters that go in place of those that stay": sorted(order[:-stay]),
        "the right filters, but ordered by their scores (sort the indices once more)": order[-stay:][::-1],
        "the right filters, but ordered by their scores from the lowest (sort the indices once more)": order[-stay:],
        "the absolute values of the scores": sorted(scores.abs().argsort().tolist()[-stay:]),
        "the scores in place of their indices": scores[best].tolist(),
        "a mask in place of indices": [number in best for number in range(len(scores))],
    }


@pytest.mark.points(2)
def test_the_highest_scores_stay_in_increasing_order(filters_to_keep):
    scores = torch.tensor([3.0, -9.0, 0.1, 4.0, 0.2, 1.0, 0.5])
    hint = "of the scores 3, -9, 0.1, 4, 0.2, 1, 0.5 3 of 7 stay, the HIGHEST: their indices in "
    hint += "increasing order"
    mistakes = other_choices(scores, 3)
    answer = expect.tensor(filters_to_keep(scores.clone(), 3 / 7), hint)
    if answer.tolist() not in mistakes.values():
        indices(answer, hint)
    expect.equal(answer.tolist(), [0, 3, 5], hint, mistakes=mistakes)
    scores, best = numbers(64).abs(), [3, 17, 40, 62]
    scores[best] = torch.tensor([9.0, 7.0, 8.0, 6.0])
    hint = "of 64 scores the 4 highest stay, at 3, 17, 40 and 62: the indices in increasing order, for which sort them "
    hint += "(a set of Python has no order)"
    mistakes = other_choices(scores, 4)
    expect.equal(expect.tensor(filters_to_keep(scores.clone(), 1 / 16), hint).tolist(), best, hint, mistakes=mistakes)


COUNTS = [(200, [0.625], [125]), (10, [0.23, 0.28, 0.71], [3, 3, 8]), (10, [0.9], [9])]


def other_counts(filters, keep_ratios):
    """How many stay at some keep ratios with other ways of rounding."""

    def at(count):
        return [count(keep_ratio) for keep_ratio in keep_ratios]

    return {
        "floor(keep_ratio * O): what stays was rounded down (or what goes up), in place of what goes": at(
            lambda ratio: math.floor(ratio * filters)
        ),
        "round(keep_ratio * O)": at(lambda ratio: round(ratio * filters)),
        "ceil(keep_ratio * O), which comes out one too large where keep_ratio * O is not exact": at(
            lambda ratio: math.ceil(ratio * filters)
        ),
        "the keep ratio cut to whole per cent": at(
            lambda ratio: filters - (100 - int(100 * ratio)) * filters // 100,
        ),
        "floor((1 - keep_ratio) * O) as the number that STAYS": at(lambda ratio: math.floor((1 - ratio) * filters)),
        "floor((1 - keep_ratio) * O) removed, without the 1e-9": at(
            lambda ratio: filters - math.floor((1 - ratio) * filters)
        ),
    }


@pytest.mark.points(1, alone=False)
@pytest.mark.parametrize(("filters", "ratios", "stay"), COUNTS, ids=["125 of 200", "3 or 8 of 10", "9 of 10"])
def test_how_many_stay(filters_to_keep, filters, ratios, stay):
    removed = " and ".join(str(filters - count) for count in stay)
    hint = f"of {filters} filters at keep ratio {' and '.join(map(str, ratios))}, floor((1 - keep_ratio) * {filters} + "
    hint += f"1e-9) = {removed} are removed and {' and '.join(map(str, stay))} stay; how many do"
    kept = [expect.tensor(filters_to_keep(numbers(filters), ratio), hint).numel() for ratio in ratios]
    expect.equal(kept, stay, hint, mistakes=other_counts(filters, ratios))


@pytest.mark.points(1)
def test_the_ends(filters_to_keep):
    scores = torch.tensor([3.0, 5.0, 2.0, 1.0, 4.0])
    hint = "at keep ratio 0 the best filter stays: an empty layer cuts the network"
    choices = other_choices(scores, 1)  # with one filter, all lists are the same
    mistakes = {words: choice for words, choice in choices.items() if "argsort" not in words}
    expect.equal(indices(filters_to_keep(scores.clone(), 0.0), hint), [1], hint, mistakes=mistakes)
    hint = "at keep ratio 1 nothing is removed (beware of [:-0], which is empty)"
    mistakes = other_choices(scores, 5)
    expect.equal(indices(filters_to_keep(scores.clone(), 1.0), hint), [0, 1, 2, 3, 4], hint, mistakes=mistakes)
    for score in (1.0, 0.0):
        hint = f"of equal scores, here {score:g}, as many stay as of others: floor(0.5 * 6) of 6 are removed"
        kept = indices(filters_to_keep(torch.full((6,), score), 0.5), hint)
        expect.equal(len(set(kept)), 3, hint + "; how many do")


@pytest.mark.points(1, alone=False)
def test_a_ratio_out_of_range_is_an_error(filters_to_keep):
    for keep_ratio in (-0.1, 1.5):
        hint = f"keep_ratio {keep_ratio} makes no sense: raise ValueError for anything outside 0…1"
        expect.raises(ValueError, hint, filters_to_keep, torch.ones(4), keep_ratio)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_filters_to_keep_needs(filters_to_keep):
    Contract(gives=Tensor).hold(filters_to_keep, lambda: {"scores": numbers(9), "keep_ratio": 0.5})


# --- narrow_conv


@pytest.mark.points(1)
def test_weight_of_the_filters_that_stay(narrow_conv):
    layer, outputs, inputs = conv(6, 6), torch.tensor([0, 2, 4]), torch.tensor([1, 3, 5])
    narrow = narrow_conv(*expect.copies(layer, outputs, inputs))
    hint = "weight[outputs] picks the filters (axis 0), [:, inputs] the input channels (axis 1)"
    weight, first = layer.weight.detach(), torch.arange(3)
    mistakes = {
        "weight[outputs, inputs], which pairs filters with inputs: index twice, [outputs][:, inputs]": weight[
            outputs, inputs
        ],
        "`outputs` and `inputs` in each other's place": weight[inputs][:, outputs],
        "the first filters, not those in `outputs`": weight[first][:, inputs],
        "the first input channels, not those in `inputs`": weight[outputs][:, first],
        "all input channels": weight[outputs],
        "all filters": weight[:, inputs],
        "filters and inputs swapped (transposed)": weight[outputs][:, inputs].transpose(0, 1),
    }
    expect.same(narrow.weight, weight[outputs][:, inputs], hint, mistakes=mistakes)


SORTED = "the indices in increasing order: keep the order that is given"


def other_biases(layer, outputs, inputs):
    """What may be taken for the bias of the filters that stay."""
    return {
        "the bias of `inputs`": layer.bias[inputs],
        "the first entries of the bias": layer.bias[: len(outputs)],
        "the whole bias": layer.bias,
        "a bias of zeros": torch.zeros(len(outputs)),
        SORTED: layer.bias[sorted(outputs)],
    }


@pytest.mark.points(1)
def test_bias_is_narrowed(narrow_conv):
    layer, outputs = conv(5, 5, bias=True), torch.tensor([0, 3])
    narrow = narrow_conv(*expect.copies(layer, outputs, torch.tensor([1, 2])))
    assert narrow.bias is not None, "the layer has a bias, the narrow one has none: pass bias=… on"
    hint = "the bias has one entry for every filter: pick it with `outputs`"
    expect.same(narrow.bias, layer.bias[outputs], hint, mistakes=other_biases(layer, [0, 3], [1, 2]))
    without = narrow_conv(conv(4, 5, bias=False), outputs, torch.arange(4))
    assert without.bias is None, "the layer has no bias, so the narrow one must have none: a new random bias came in"


SETTINGS = {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 3), "dilation": (2, 4), "padding_mode": "reflect"}


def same_setting(narrow, layer, name):
    """That a narrow convolution has a setting of the layer, and not another one in its place."""
    right, words, plain = getattr(layer, name), name.replace("_", " "), nn.Conv2d(1, 1, 1)
    mistakes = {f"a new layer's own {words}: the layer's was not passed on": getattr(plain, name)}
    mistakes |= {
        f"the layer's {other.replace('_', ' ')} in the {words}'s place: pass each by its name, {name}=…": getattr(
            layer, other
        )
        for other in SETTINGS
    }
    if isinstance(right, tuple):
        mistakes["the two directions exchanged"] = right[::-1]
        mistakes |= {
            f"the first direction's {words} for both": right[:1] * 2,
            f"the second's {words} for both": right[1:] * 2,
        }
    first = {value: mistake for mistake, value in reversed(mistakes.items())}  # the likeliest of those that are equal
    hint = f"{name} of the narrow layer is that of the layer, as it is (each direction has its own number)"
    expect.equal(getattr(narrow, name), right, hint, mistakes={mistake: value for value, mistake in first.items()})


@pytest.mark.points(1)
def test_the_settings_stay(narrow_conv):
    layer = conv(4, 6, **SETTINGS)
    narrow = narrow_conv(*expect.copies(layer, torch.tensor([1, 2, 5]), torch.arange(4)))
    for name in SETTINGS:
        same_setting(narrow, layer, name)
    images = numbers(2, 4, 9, 9, seed=5)
    hint = "with all inputs, the narrow layer gives what the layer gives, at the filters that stay"
    expect.same(narrow(images), layer(images)[:, [1, 2, 5]], hint)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_narrow_conv_needs(narrow_conv):
    def arguments(outputs, inputs):
        layer = conv(4, 5, kernel_size=(3, 2))
        return {"conv": layer, "outputs": torch.tensor(outputs), "inputs": torch.tensor(inputs)}

    contract = Contract(gives=nn.Conv2d, dtype=True, draws=True)
    contract.hold(narrow_conv, lambda: arguments([0, 3], [1, 2]), lambda: arguments(range(5), range(4)))


# --- narrow_batchnorm


PARTS = ("weight", "bias", "running_mean", "running_var")


def other_parts(norm, channels, name):
    """What may be taken for a part of a batch norm at some channels."""
    values, count = getattr(norm, name).detach(), len(channels)
    return {
        "the first channels, not those in `channels`": values[:count],
        "the channels in increasing order": values[sorted(channels)],
        "a new layer's ones": torch.ones(count),
        "a new layer's zeros": torch.zeros(count),
        **{
            f"the batch norm's {other} in the place of {name}": getattr(norm, other).detach()[channels]
            for other in PARTS
            if other != name
        },
    }


@pytest.mark.points(1)
def test_weight_and_bias_of_the_channels_and_the_settings(narrow_batchnorm):
    norm, channels = batchnorm(6), [1, 2, 5]
    narrow = narrow_batchnorm(*expect.copies(norm, torch.tensor(channels)))
    for name in ("weight", "bias"):
        hint, values = f"the batch norm's {name} at `channels`", getattr(norm, name)
        expect.same(getattr(narrow, name), values[channels], hint, mistakes=other_parts(norm, channels, name))
    channels = torch.tensor(channels)
    norm.eps, norm.momentum = 0.01, 0.3
    narrow = narrow_batchnorm(*expect.copies(norm, channels))
    expect.equal((narrow.eps, narrow.momentum), (0.01, 0.3), "eps and momentum are those of the batch norm")


@pytest.mark.points(2)
def test_running_statistics_are_kept(narrow_batchnorm):
    channels = [0, 4]
    for training, mode in ((False, "evaluation"), (True, "training")):
        norm = batchnorm(6).train(training)
        norm.num_batches_tracked.fill_(7)
        narrow = narrow_batchnorm(*expect.copies(norm, torch.tensor(channels)))
        for name in ("running_mean", "running_var"):
            values, mistakes = getattr(norm, name), other_parts(norm, channels, name)
            hint = f"{name} belongs to the channels and is narrowed with them, here of a batch norm in {mode} mode"
            expect.same(getattr(narrow, name), values[channels], hint, mistakes=mistakes)
        hint = "num_batches_tracked, the count of batches, stays: with momentum=None the next average depends on it"
        expect.equal(int(narrow.num_batches_tracked), 7, hint)
        hint = "num_batches_tracked counts batches: a whole number (int64) for every dtype of the layer"
        expect.equal(str(narrow.num_batches_tracked.dtype), "torch.int64", hint)
    norm, hint = (
        batchnorm(1),
        "a batch norm with one channel: its count of batches holds one value too, but no channels",
    )
    narrow = expect.called(hint, narrow_batchnorm, *expect.copies(norm, torch.tensor([0])))
    expect.same(narrow.running_var, norm.running_var, hint)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_narrow_batchnorm_needs(narrow_batchnorm):
    def arguments(training, channels):
        return {"norm": batchnorm(5).train(training), "channels": torch.tensor(channels)}

    contract = Contract(gives=nn.BatchNorm2d, dtype=True, mode=True, draws=True)
    contract.hold(narrow_batchnorm, lambda: arguments(True, [0, 3]), lambda: arguments(False, range(5)))


# --- narrow_linear


LAST_LEFT_OUT = "a channel's last column left out: a slice or range ends before its end"


def columns_of(channels, pixels):
    """A row of columns for each channel."""
    return torch.tensor(channels)[:, None] * pixels + torch.arange(pixels)


def other_columns(layer, channels, pixels):
    """The weight with columns that may be taken for those of some channels."""
    weight, columns, every = layer.weight.detach(), columns_of(channels, pixels), layer.in_features // pixels
    first = torch.tensor(channels)[:, None]
    by_pixel = first + every * torch.arange(pixels)
    return {
        "one column for each channel, column j alone": weight[:, channels],
        "every C-th column from j on, as if the pixels came first": weight[:, by_pixel.flatten()],
        "every C-th column, as if the pixels came first, ordered by pixel": weight[:, by_pixel.T.flatten()],
        "the first channels, not those in `channels`": weight[:, : len(channels) * pixels],
        "columns from j on, in place of j*pixels on": weight[:, (first + torch.arange(pixels)).flatten()],
        LAST_LEFT_OUT: weight[:, columns[:, :-1].flatten()],
        "the right columns, ordered by pixel first": weight[:, columns.T.flatten()],
        "the channels in increasing order": weight[:, columns_of(sorted(channels), pixels).flatten()],
    }


@pytest.mark.points(1)
def test_a_channel_owns_neighbouring_columns(narrow_linear):
    layer, channels = linear(6 * 4, 2), [0, 2, 5]
    narrow = narrow_linear(*expect.copies(layer, torch.tensor(channels), 4))
    hint = "of 6 channels of 4 pixels, channel j owns the columns j*4 … j*4 + 3"
    expected = layer.weight[:, columns_of(channels, 4).flatten()]
    expect.same(narrow.weight, expected, hint, mistakes=other_columns(layer, channels, 4))


NO_BIAS = "the layer has no bias, so the narrow one must have none: a new random bias came in"


@pytest.mark.points(1, alone=False)
def test_the_bias_of_the_outputs_stays(narrow_linear):
    layer = linear(3 * 4, 2)
    narrow = narrow_linear(*expect.copies(layer, torch.tensor([1]), 4))
    assert narrow.bias is not None, "the linear layer's bias is missing"
    gone = layer.weight[:, [*range(4), *range(8, 12)]].sum(1)
    mistakes = {"the weights of the removed columns added to it": layer.bias + gone}
    hint = "the bias belongs to the outputs, which all stay: copy it whole"
    expect.same(narrow.bias, layer.bias, hint, mistakes=mistakes)
    one = linear(3 * 4, 1, bias=False)
    without = narrow_linear(*expect.copies(one, torch.tensor([1]), 4))
    assert without.bias is None, NO_BIAS
    hint = "a layer with one output: its weight keeps both axes, (1, 4)"
    expect.same(without.weight, one.weight[:, 4:8], hint, mistakes=other_columns(one, [1], 4))


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_narrow_linear_needs(narrow_linear):
    def arguments(channels):
        return {"linear": linear(12, 5), "channels": torch.tensor(channels), "pixels": 3}

    contract = Contract(gives=nn.Linear, dtype=True, draws=True)
    contract.hold(narrow_linear, lambda: arguments([0, 3]), lambda: arguments(range(4)))


# --- prune_vgg


def pruned_network(answer, network):
    """The answer, in evaluation mode: a network with the layers of `network`, whose widths fit to each other."""
    assert answer is not None, "your function returned None: is the `return` missing?"
    assert isinstance(answer, nn.Module), f"return a network (nn.Module); yours is a {type(answer).__name__}"
    hint = "return a network like the one that was given, with `features` and `classifier`"
    assert hasattr(answer, "features") and hasattr(answer, "classifier"), f"{hint}; yours is {type(answer).__name__}"
    layers = [type(layer).__name__ for layer in network.features]
    hint = "`features` of the pruned network has the layers of the given one, in the same order, only narrower"
    expect.equal([type(layer).__name__ for layer in answer.features], layers, hint)
    width, behind = network.features[0].in_channels, "the image"
    for position, layer in enumerate(answer.features):
        name = f"features.{position} ({type(layer).__name__})"
        reads = getattr(layer, "in_channels", getattr(layer, "num_features", width))
        assert reads == width, f"{name} is made for {reads} channels, but {behind} gives {width}: narrow it too"
        if isinstance(layer, nn.Conv2d):
            width, behind = layer.out_channels, name
    whole = [layer for layer in network.features if isinstance(layer, nn.Conv2d)][-1].out_channels
    pixels = network.classifier.in_features // whole
    hint = f"the classifier reads {pixels} pixels of each of the {width} channels of {behind}: its in_features"
    mistakes = {
        "pixels = in_features // the channels that are LEFT: divide by those before pruning": (
            network.classifier.in_features // width * width
        ),
        "one pixel a channel": width,
        "in_features as they were": network.classifier.in_features if network.classifier.in_features % width else None,
    }
    expect.equal(answer.classifier.in_features, pixels * width, hint, mistakes=mistakes)
    return answer.eval()


def pruned_copy(prune_vgg, network, keep_ratio, hint):
    """What is made of a copy of a network; where an index is too large for a layer, what indices there are is said."""
    try:
        answer = expect.called(hint, prune_vgg, *expect.copies(network, keep_ratio))
    except AssertionError as error:
        if "IndexError" not in str(error):
            raise
        whole = [layer for layer in network.features if isinstance(layer, nn.Conv2d)][-1].out_channels
        features = network.classifier.in_features
        fact = (
            f"the classifier reads {features} features, and a channel owns `pixels` = {features} // {whole} = "
            f"{features // whole} of them, {whole} being the channels BEFORE pruning; all indices count the filters "
            "and channels of the network that was given"
        )
        raise AssertionError(f"{error}\n  {fact}") from None
    return pruned_network(answer, network)


@pytest.mark.points(1, alone=False)
def test_nothing_changes_at_keep_ratio_1(prune_vgg):
    network, images = network_with_statistics(), numbers(2, 3, 32, 32, seed=3)
    with torch.no_grad():
        hint = "at keep ratio 1 nothing may change"
        pruned = pruned_copy(prune_vgg, network, 1.0, hint)
        expect.same(pruned(images), network(images), hint)
    pruned = pruned_network(prune_vgg(*expect.copies(network.train(), 1.0)), network)
    hint = "of a network in training mode the running statistics stay too: send no image through it or its copy;\n  "
    for name, value in network.features.named_buffers():
        expect.same(pruned.features.get_buffer(name), value, f"{hint}features.{name}")


@pytest.mark.points(1, alone=False)
def test_widths_of_the_pruned_network(prune_vgg):
    network = network_with_statistics(widths=(8, 8, 8, 6))
    network.features[10].weight.data[:3] *= 5  # the first filters are the strongest: so too many pixels are no error
    hint = "every convolution keeps half of its own 8, 8, 8 and 6 filters, each ranked among those of its layer"
    pruned = pruned_copy(prune_vgg, network, 0.5, hint)
    widths = [layer.out_channels for layer in pruned.features if isinstance(layer, nn.Conv2d)]
    mistakes = {
        "the last convolution left whole: its filters are no classes": [4, 4, 4, 6],
        "the first convolution left whole: only what it reads stays": [8, 4, 4, 3],
        "the first and the last convolution left whole": [8, 4, 4, 6],
    }
    expect.equal(widths, [4, 4, 4, 3], hint, mistakes=mistakes)
    expect.equal(pruned.classifier.out_features, 3, "the classes are never pruned")


@pytest.mark.points(3)
def test_removing_equals_zeroing(prune_vgg):
    """What is left computes what the whole network computes when the weak filters' channels are silenced."""
    images = numbers(2, 3, 32, 32, seed=3)
    for seed, which in ((0, ""), (9, " (a second network with layers as large as the first one's: remember nothing)")):
        network = network_with_statistics(seed=seed)
        with torch.no_grad():
            hint = f"the pruned network must compute what the whole one does with the weakest channels silenced{which}"
            pruned = pruned_copy(prune_vgg, network, 0.5, hint)
            silenced = silence_weak_channels(network, 0.5)(images)
            answer = expect.tensor(pruned(images), hint)
            expect.same(answer, silenced, say_which_layer(pruned, network, 0.5, hint), tolerance=1e-4)


def say_which_layer(pruned, network, keep_ratio, hint):
    """The hint, with the first layer of a pruned network that does not hold what the whole one holds there."""
    kept = list(range(network.features[0].in_channels))
    for position, (layer, narrow) in enumerate(zip(network.features, pruned.features, strict=True)):
        name = f"{hint};\n  features.{position} ({type(layer).__name__})"
        if isinstance(layer, nn.Conv2d):
            for setting in ("kernel_size", "stride", "padding", "dilation"):
                ours, theirs = getattr(layer, setting), getattr(narrow, setting)
                if ours != theirs:
                    return f"{name} has {setting}={theirs}, the given layer has {ours}"
            outputs = best_filters(layer.weight.detach().abs().sum((1, 2, 3)), keep_ratio)
            if not expect.alike(narrow.weight, layer.weight[outputs][:, kept]):
                norm = network.features[position + 1]
                return f"{name} {say_which_filters(layer, narrow, outputs, kept, keep_ratio, norm)}"
            if layer.bias is not None and not expect.alike(narrow.bias, layer.bias[outputs]):
                return f"{name} does not hold the bias of the filters that were kept"
            kept = outputs
        elif isinstance(layer, nn.BatchNorm2d):
            for part in ("weight", "bias", "running_mean", "running_var"):
                if not expect.alike(getattr(narrow, part), getattr(layer, part)[kept]):
                    return f"{name} does not hold the {part} of the channels that were kept, {kept}"
    return f"{hint};\n  all of `features` is right, so look at the classifier's columns"


def best_filters(scores, keep_ratio):
    """The filters of the highest scores, in increasing order."""
    stay = max(1, len(scores) - int((1 - keep_ratio) * len(scores) + 1e-9))
    return sorted(scores.argsort().tolist()[len(scores) - stay :])


def say_which_filters(layer, narrow, outputs, kept, keep_ratio, norm):
    """What a narrow convolution holds of the whole one's filters, in place of the best with the inputs kept."""
    weight = layer.weight.detach()
    if len(narrow.weight) != len(outputs):
        held = f"holds {len(narrow.weight)} filters"
        return f"{held}; {len(outputs)} of the given layer's {len(weight)} are to stay, {outputs}"
    if narrow.weight.shape == weight[outputs][:, kept].shape:
        rows = [
            next((row for row in range(len(weight)) if expect.alike(one, weight[row][kept])), None)
            for one in narrow.weight.detach()
        ]
        if None not in rows:
            others = {words: scores for words, scores in other_norms(weight).items() if scores.shape == (len(weight),)}
            others["the lowest L1 norms"] = -weight.abs().sum((1, 2, 3))
            others["only the inputs that are left (greedy)"] = weight[:, kept].abs().sum((1, 2, 3))
            norms, gamma = weight.abs().sum((1, 2, 3)), norm.weight.detach()
            others["the norms multiplied by the batch norm's weights"] = norms * gamma
            others["the norms multiplied by the sizes of the batch norm's weights"] = norms * gamma.abs()
            if layer.bias is not None:
                others["the bias counted"] = norms + layer.bias.detach().abs()
                others["the bias added"] = norms + layer.bias.detach()
            choices = {words: best_filters(scores, keep_ratio) for words, scores in others.items()}
            words = [words for words, choice in choices.items() if choice == sorted(rows) != outputs]
            as_with = f", as with {', or '.join(words)}" if words else ""
            return f"holds the filters {rows}{as_with}; those of the highest L1 norms are {outputs}"
        if expect.alike(narrow.weight, weight[outputs][:, : len(kept)]):
            return f"reads the first input channels; those that the layer before kept are {kept}"
    return f"does not hold its filters {outputs}, of the highest L1 norms, at the inputs {kept}"


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_prune_vgg_needs(prune_vgg):
    def arguments(keep_ratio):
        return {"network": network_with_statistics(), "keep_ratio": keep_ratio}

    contract = Contract(gives=nn.Module, dtype=True, draws=True)
    contract.hold(prune_vgg, lambda: arguments(0.5), lambda: arguments(1.0))


def silence_weak_channels(network, keep_ratio):
    """A hook behind every batch norm's ReLU sets the channels of the weakest filters to zero."""
    hooks, scores = [], None
    for layer in network.features:
        if isinstance(layer, nn.Conv2d):
            scores = layer.weight.detach().abs().sum(dim=(1, 2, 3))
        elif isinstance(layer, nn.ReLU):
            removed = scores.argsort()[: int((1 - keep_ratio) * len(scores) + 1e-9)]
            mask = torch.ones(len(scores))
            mask[removed] = 0
            hooks.append(layer.register_forward_hook(lambda _, __, out, mask=mask: out * mask[:, None, None]))

    def forward(images):
        output = network(images)
        for hook in hooks:
            hook.remove()
        return output

    return forward


# --- the network that is handed in


@pytest.mark.points(1)
def test_enough_parameters_are_gone(lab3_pruned_onnx):
    measured, original = artifacts.measured(lab3_pruned_onnx), artifacts.measured_baseline()
    left = measured.parameters / original.parameters
    assert left <= 0.45, (
        f"at least 55 % of the parameters must go: {measured.parameters:,} of "
        f"{original.parameters:,} are left ({left:.1%})"
    )


@pytest.mark.points(4)
def test_accuracy_after_retraining(lab3_pruned_onnx, award):
    measured, original = artifacts.measured(lab3_pruned_onnx), artifacts.measured_baseline()
    assert measured.parameters <= 0.45 * original.parameters, "accuracy counts once 55 % of the parameters are gone"
    award(*artifacts.ramp("lab3_pruned", measured, original))


# --- greedy_l1_norms


def other_greedy_scores(weight, inputs):
    """What comes out with mistakes that are often made with norms over the input channels that are left."""
    left, sizes = weight[:, inputs], weight.abs()
    gone = [channel for channel in range(weight.shape[1]) if channel not in inputs]
    rows = [channel for channel in inputs if channel < len(weight)]
    return {
        **{f"{mistake}, over the channels left": value for mistake, value in other_scores(left).items()},
        "all input channels, also those that are gone": sizes.sum((1, 2, 3)),
        "filters (axis 0) picked by `inputs`, in place of input channels (axis 1)": sizes[rows].sum((1, 2, 3)),
        "the channels that are gone, in place of those that are left": sizes[:, gone].sum((1, 2, 3)),
        "the first channels, not those in `inputs`": sizes[:, : len(inputs)].sum((1, 2, 3)),
        "all channels from the first to the last in `inputs`, gaps too": (
            sizes[:, min(inputs) : max(inputs) + 1].sum((1, 2, 3))
        ),
        "the sum divided by the number of channels left": left.abs().sum((1, 2, 3)) / len(inputs),
    }


@pytest.mark.points(1)
def test_only_the_channels_left_are_counted(greedy_l1_norms):
    weight, inputs = numbers(6, 6, 3, 2), torch.tensor([1, 2, 4])
    left, mistakes = weight[:, inputs], other_greedy_scores(weight, [1, 2, 4])
    hint = "s_j = sum over the channels i in `inputs` of |W_ji|: pick them from axis 1 first, then sum as before"
    expect.same(greedy_l1_norms(*expect.copies(weight, inputs)), left.abs().sum((1, 2, 3)), hint, mistakes=mistakes)
    weight, inputs = numbers(6, 6, 3, 2, seed=1), torch.tensor([0, 5])
    weight[:, 1:5] *= 1e7
    hint = "other inputs, [0, 5]: channels that are gone count for nothing, however large (here 10 million times as "
    hint += "large); who subtracts them from the whole loses the digits of the others: pick those that are left"
    earlier = other_greedy_scores(weight, [0, 5])
    earlier |= {"the inputs of an earlier call too: remember nothing": weight[:, [0, 1, 2, 4, 5]].abs().sum((1, 2, 3))}
    expected = weight[:, inputs].abs().sum((1, 2, 3))
    expect.same(greedy_l1_norms(*expect.copies(weight, inputs)), expected, hint, mistakes=earlier)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_greedy_l1_norms_needs(greedy_l1_norms):
    def arguments(inputs):
        return {"weight": numbers(4, 5, 3, 2), "inputs": torch.tensor(inputs)}

    Contract(gives=Tensor, dtype=True).hold(greedy_l1_norms, lambda: arguments([0, 3]), lambda: arguments([4, 1]))
