"""Visible tests of lab 9. A test's first argument is the exercise that it grades."""

import math
from collections import Counter

import pytest
import torch

from course_utils import artifacts, expect
from course_utils.contracts import Contract


def numbers(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# --- random_half


def a_half(random_half, space, seed, hint):
    """What random_half gives, once it is a list of floor(|S| / 2) different filters of the space, in order."""
    given = list(space)
    half = expect.whole_numbers(expect.called(hint, random_half, list(space), seed))
    count = len(space) // 2
    words = f"{hint}\n  the space: {given}, seed {seed}\n  yours:     {half}"
    strangers = [filter for filter in half if filter not in given]
    places = bool(strangers) and all(0 <= filter < len(given) for filter in half)
    assert not places, f"{words}\n  these are places in the list: the filters are what stands there, space[place]"
    assert not strangers, f"{words}\n  {strangers[0]} is not in the search space"
    twice = [filter for filter, times in Counter(half).items() if times > 1]
    assert not twice, f"{words}\n  filter {twice[0]} is there twice: draw WITHOUT replacement"
    assert len(half) == count, f"{words}\n  floor({len(given)} / 2) = {count} filters; yours are {len(half)}"
    assert half == sorted(half), f"{words}\n  in increasing order: sort them"
    return half


@pytest.mark.points(1)
def test_half_of_the_filters_of_the_space(random_half):
    hint = "floor(|S| / 2) different filters of the search space, in increasing order"
    for space in ([3, 5, 8, 13, 21, 34], [40, 7, 19, 2, 0, 11, 26], [9, 4]):
        for seed in range(6):
            a_half(random_half, space, seed, hint)
    assert a_half(random_half, [6], 0, hint) == []


def shares(random_half, space, seeds, hint):
    """How often each filter is in a half, as a share, over many seeds; and which halves there were."""
    halves = [tuple(a_half(random_half, space, seed, hint)) for seed in seeds]
    counts = Counter(filter for half in halves for filter in half)
    return {filter: counts[filter] / len(halves) for filter in space}, Counter(halves)


def all_as_likely(likely, expected, hint, seeds=200):
    """No filter's share is five standard deviations from what is expected."""
    bound = 5 * math.sqrt(expected * (1 - expected) / seeds)
    far = {filter: share for filter, share in likely.items() if abs(share - expected) > bound}
    for filter, share in far.items():
        every = " (of 0 or of 1 nothing is left to chance)" if share in (0, 1) else ""
        raise AssertionError(f"{hint}\n  filter {filter} is in {share:.0%} of yours{every}")


@pytest.mark.points(1)
def test_every_filter_is_as_likely_and_every_half(random_half):
    """Six filters, 300 seeds: each in 150 ± 9 halves, and all of the 20 halves come (each 15 times)."""
    space, hint = [12, 5, 30, 0, 21, 16], "with another seed another half, every filter as likely as any other"
    likely, halves = shares(random_half, space, range(300), hint)
    always = list(next(iter(halves)))
    assert len(halves) > 1, f"{hint}\n  yours is {always} with each of 300 seeds: is the seed used?"
    all_as_likely(likely, 0.5, f"{hint}: of {space} with 300 seeds each in about half of the halves")
    assert len(halves) == 20, (
        f"{hint}: of six filters there are 20 halves, and with 300 seeds all of them come\n"
        f"  of yours only {len(halves)} ever come: each filter must be drawn by itself, not in fixed groups"
    )
    likely, _ = shares(random_half, list(range(30, -1, -1)), range(200), hint)
    all_as_likely(likely, 15 / 31, f"{hint}: of 31 filters with 200 seeds, 0 to 199, each in about half of the halves")


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_random_half_needs(random_half):
    spaces = (list(range(40, 0, -2)), 0), ([4, 9, 2, 7, 30], 5)
    makes = [lambda space=space, seed=seed: {"space": list(space), "seed": seed} for space, seed in spaces]
    Contract(gives=[int]).hold(random_half, *makes)


# --- damage


def along(mask, maps, axis):
    """A mask that lies along an axis of maps, if it fits there."""
    if axis < maps.ndim and maps.shape[axis] == len(mask):
        return mask.view(*(-1 if place == axis else 1 for place in range(maps.ndim))).to(maps)
    return None


def other_damages(base, ablated, mask):
    """What comes out with mistakes that are often made with the damage."""
    base, ablated, mask = base.double(), ablated.double(), mask.double()
    own, gone = along(mask, base, 1), along(1 - mask, base, 1)
    there = mask.bool()
    missing, whole = (own * (base - ablated)).square(), (own * base).square()
    each = tuple(range(1, base.ndim))
    others = tuple(axis for axis in range(base.ndim) if axis != 1)

    def share(above, below):
        return above.sum() / below.sum() if below.sum() else None

    def mean_share(axes, chosen=slice(None)):
        ratios = missing.sum(axes) / whole.sum(axes)
        return ratios[chosen].mean() if bool(whole.sum(axes)[chosen].all()) else None

    mistakes = {
        "what is missing, not divided by what there was": missing.sum(),
        "the MEAN of the squares that are missing, not divided": missing.mean(),
        "division by the ABLATED output's squares: by the whole one's": share(missing, (own * ablated).square()),
        "the root: the norms are squared": share(missing, whole).sqrt() if whole.sum() else None,
        "a norm above and a squared norm below": missing.sum().sqrt() / whole.sum() if whole.sum() else None,
        "a squared norm above and a norm below": missing.sum() / whole.sum().sqrt() if whole.sum() else None,
        "the mask left out": share((base - ablated).square(), base.square()),
        "the mask left out of what is missing": share((base - ablated).square(), whole),
        "the mask left out of what there was: it belongs on both": share(missing, base.square()),
        "the mask turned around: 1 for those that are GONE": share(
            (gone * (base - ablated)).square(), (gone * base).square()
        ),
        "the mean of each image's own share: sum over the images first": mean_share(each),
        "the mean of each channel's own share: sum over the channels first": mean_share(others, there),
        "the sum of each image's own share": mean_share(each) and mean_share(each) * len(base),
        "the difference of the squared norms: subtract first, then square": (
            share(whole - (own * ablated).square(), whole)
        ),
        "the difference of the squared norms, as an absolute value: subtract first, then square": (
            abs(share(whole - (own * ablated).square(), whole)) if whole.sum() else None
        ),
        "absolute values in place of squares": share((own * (base - ablated)).abs(), (own * base).abs()),
        "the share that is LEFT, of the ablated output": share((own * ablated).square(), whole),
        "1 minus the damage": 1 - share(missing, whole) if whole.sum() else None,
        "half of it (a sum of both outputs below)": share(missing, whole + (own * ablated).square()),
        "the square of the sum: square every number": (
            (own * (base - ablated)).sum().square() / (own * base).sum().square() if whole.sum() else None
        ),
        "the largest squares in place of the sums": missing.amax() / whole.amax() if whole.sum() else None,
        "the sum above and the mean below": missing.sum() / whole.mean() if whole.sum() else None,
        "the mean above and the sum below": missing.mean() / whole.sum() if whole.sum() else None,
        "the first image only": share(missing[0], whole[0]),
        "nan: nothing divided by nothing": torch.tensor(math.nan),
        "a denominator that is not what there was, but at least 1": missing.sum() / whole.sum().clamp_min(1),
        "the damage of an ablated output of zeros taken for 0: all is missing there": 0.0,
        "the damage of an output of zeros taken for 1": 1.0,
        "percent": 100 * share(missing, whole) if whole.sum() else None,
        "m · base - ablated: the mask belongs to both, m · (base - ablated)": share(
            (own * base - ablated).square(), whole
        ),
        "base - m · ablated: the mask belongs to both, m · (base - ablated)": share(
            (base - own * ablated).square(), whole
        ),
        "only what became SMALLER: what became larger is off, too": share(
            (own * (base - ablated)).clamp_min(0).square(), whole
        ),
        "outputs averaged over the positions first: square first, then sum": (
            share((own * (base - ablated)).mean((2, 3)).square(), (own * base).mean((2, 3)).square())
            if base.ndim == 4
            else None
        ),
        "outputs averaged over the images first: square first, then sum": share(
            (own * (base - ablated)).mean(0).square(), (own * base).mean(0).square()
        ),
        "a mean over ALL channels above and over those of the mask below: sums": share(
            missing * there.sum() / len(there), whole
        ),
        "a mean over those of the mask above and over ALL channels below: sums": share(
            missing * len(there) / there.sum(), whole
        ),
        "the mean of each number's own share: sum first": (missing / whole)[own.expand_as(whole) > 0].mean(),
        "division by the variance: by the squares themselves": missing.sum()
        / (base[:, there] - base[:, there].mean()).square().sum(),
        "1 minus the cosine of the angle between the outputs": (
            1 - (own * base * ablated).sum() / (whole.sum() * (own * ablated).square().sum()).sqrt()
        ),
        "channels left out in which there was nothing: what the ablated output has there counts": (
            share(missing[:, whole.sum(others) > 0], whole) if whole.sum() else None
        ),
        **{
            f"{small:g} added to the denominator: ask whether it is 0": missing.sum() / (whole.sum() + small)
            for small in (1e-6, 1e-7, 1e-8, 1e-10, 1e-12)
        },
    }
    for axis, name in ((0, "images"), (2, "rows"), (3, "columns")):
        wrong = along(mask, base, axis) if base.ndim == 4 else None
        if wrong is not None:
            words = f"a mask along the {name}: channels are axis 1, mask.view(-1, 1, 1)"
            mistakes[words] = share((wrong * (base - ablated)).square(), (wrong * base).square())
    return mistakes


def compare_damage(damage, base, ablated, mask, hint):
    own = mask.double().view(-1, *[1] * (base.ndim - 2))
    whole = (own * base.double()).square().sum().item()
    expected = (own * (base.double() - ablated.double())).square().sum().item() / whole if whole else 0.0
    came = expect.number(expect.called(hint, damage, *expect.copies(base, ablated, mask)), hint)
    expect.same(came, expected, hint, tolerance=1e-5, mistakes=other_damages(base, ablated, mask))


@pytest.mark.points(1)
def test_what_is_missing_of_what_there_was(damage):
    base = numbers(4, 3, 5, 2).relu() + 0.1
    ablated = base - 0.3 * numbers(4, 3, 5, 2, seed=1) * numbers(4, 1, 1, 1, seed=2).abs()
    hint = "the squares of all that is missing, summed, by the squares of all that there was; here with a mask of ones"
    compare_damage(damage, base, ablated, torch.ones(3), hint)
    hint += ", for an output ten times as large and the same share missing"
    compare_damage(damage, 10 * base, 10 * ablated, torch.ones(3), hint)
    hint = "where nothing is missing the damage is 0"
    compare_damage(damage, base, base, torch.ones(3), hint)
    hint = "where all is missing the damage is 1"
    compare_damage(damage, base, torch.zeros_like(base), torch.ones(3), hint)
    hint = "the damage is relative: of very small outputs as of others"
    compare_damage(damage, 1e-5 * base, 1e-5 * ablated, torch.ones(3), hint)


@pytest.mark.points(1)
def test_channels_that_are_gone_do_not_count(damage):
    base, ablated = numbers(4, 4, 3, 4).relu() + 0.1, numbers(4, 4, 3, 4, seed=1).relu()
    ablated[:, 1] += 3
    hint = "channels where the mask is 0 are gone, and count neither above nor below the line"
    for kind in (torch.float32, torch.bool, torch.int64):
        compare_damage(damage, base, ablated, torch.tensor([1, 0, 0, 1]).to(kind), f"{hint} (a mask of {kind})")


@pytest.mark.points(1)
def test_the_output_of_a_linear_layer_and_one_of_zeros(damage):
    base, ablated, mask = numbers(5, 6), numbers(5, 6, seed=1), torch.tensor([1.0, 0, 1, 1, 0, 1])
    hint = "the output of a linear layer is (N, C): channels are axis 1 there, too"
    compare_damage(damage, base, ablated, mask, hint)
    hint = "an output that is zero everywhere has no damage: 0, and not 0 / 0"
    compare_damage(damage, torch.zeros(2, 3, 2, 2), torch.zeros(2, 3, 2, 2), torch.ones(3), hint)
    silent, some = numbers(2, 3, 2, 2), numbers(2, 3, 2, 2, seed=1)
    silent[:, 0] = 0
    hint = "a channel in which there was nothing may have something in the ablated output, and that counts"
    compare_damage(damage, silent, some, torch.ones(3), hint)
    silent[:, 2] = 0
    hint = "all channels that are still there are zero, so that nothing can be missing: 0, and not 0 / 0"
    compare_damage(damage, silent, 0.5 * silent, torch.tensor([0.0, 0, 1]), hint)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_damage_needs(damage):
    mask = torch.tensor([1, 0, 1])
    makes = [
        lambda shape=shape: {"base": numbers(*shape), "ablated": numbers(*shape, seed=1), "mask": mask.clone()}
        for shape in ((3, 3, 2, 4), (4, 3))
    ]
    Contract(gives=float).hold(damage, *makes)


# --- credit


def other_accounts(totals, counts, ablated, amount):
    """What totals and counts are after mistakes that are often made with the accounts: words → (totals, counts)."""
    filters = range(len(totals))
    kept = [filter for filter in filters if filter not in ablated]

    def after(where, gain, times=1, counted=None):
        sums, numbers_of = totals.clone(), counts.clone()
        if len(where):
            sums[list(where)] += gain
        for filter in where if counted is None else counted:
            numbers_of[filter] += times
        return sums, numbers_of

    share = amount / max(len(ablated), 1)
    ever = sorted({*ablated, *counts.nonzero().flatten().tolist()})
    once, largest, decayed = counts.clone(), totals.clone(), totals.clone()
    once[ablated] = 1
    largest[ablated] = largest[ablated].clamp_min(amount)
    decayed[ablated] = 0.9 * decayed[ablated] + 0.1 * amount
    between = range(min(ablated, default=0), max(ablated, default=-1) + 1)
    one_off = [(filter + 1) % len(totals) for filter in ablated]
    replaced = after(ablated, 0.0)[0]
    replaced[ablated] = amount
    means, numbers_of = totals.clone(), after(ablated, 0.0)[1]
    means[ablated] = (totals * counts)[ablated] + amount
    means[ablated] /= numbers_of[ablated].to(means)
    running = totals.clone()
    running[ablated] += (amount - totals[ablated]) / numbers_of[ablated].to(totals)
    return {
        "the filters that were KEPT credited: it is those that were ablated": after(kept, amount),
        "all filters credited, ablated or not": after(filters, amount),
        "all filters counted: a filter's count says how often IT was ablated": after(ablated, amount, 1, filters),
        "the kept filters counted": after(ablated, amount, 1, kept),
        "the damage divided among the ablated filters: each gets all of it": after(ablated, share),
        "the damage times the number of ablated filters": after(ablated, amount * len(ablated)),
        "counts that rise by the number of ablated filters: by 1, it was one batch": after(
            ablated, amount, len(ablated)
        ),
        "counts that rise by the damage": (after(ablated, amount)[0], (counts + after(ablated, amount)[0] - totals)),
        "the last damage in place of the sum: add it": (replaced, after(ablated, 0.0)[1]),
        "totals that are means already: they are sums, the division comes later": (running, numbers_of),
        "the damage added to the means: totals are sums": (means, numbers_of),
        "the damage subtracted": after(ablated, -amount),
        "the numbers 0 … of as many filters as were ablated, in place of their own": after(range(len(ablated)), amount),
        "the filter after each ablated one": after(one_off, amount),
        "batches without damage not counted: they make the mean smaller": (
            (totals.clone(), counts.clone()) if amount == 0 else None
        ),
        "nothing counted": (after(ablated, amount)[0], counts.clone()),
        "nothing changed: change totals and counts themselves, in place": (totals.clone(), counts.clone()),
        "the filter before each ablated one: they are numbered from 0": after(
            [(filter - 1) % len(totals) for filter in ablated], amount
        ),
        "counts set to 1: count up": (after(ablated, amount)[0], once),
        "the largest damage in place of the sum": (largest, after(ablated, 0.0)[1]),
        "a moving average: the sum of all damages": (decayed, after(ablated, 0.0)[1]),
        "all filters from the first ablated one to the last: only these themselves": after(between, amount),
        "filter 0 left out": after([filter for filter in ablated if filter], amount),
        "all filters that were EVER ablated: those of this batch": after(ever, amount),
        "the kept filters charged, too: they get nothing": (
            after(ablated, amount)[0] + after(kept, -amount)[0] - totals,
            after(ablated, amount)[1],
        ),
        "the damage times the filter's count": (
            totals + (after(ablated, amount)[0] - totals) * after(ablated, amount)[1],
            after(ablated, amount)[1],
        ),
        "the first ablated filter only": after(ablated[:1], amount),
        "the last ablated filter only": after(ablated[-1:], amount),
        "everything credited twice": after(ablated, 2 * amount, 2),
        "the square of the damage": after(ablated, amount**2),
    }


def compare_accounts(credit, totals, counts, batches, hint):
    """Credits several batches, one after the other, and compares both tensors after each."""
    for ablated, amount in batches:
        mistakes = other_accounts(*expect.copies(totals, counts, ablated), amount)
        before = f"totals {expect.show(totals)}, counts {expect.show(counts)}"
        words = f"{hint}\n  filters {ablated} ablated, damage {amount:g}; before: {before}"
        mine, times = expect.copies(totals, counts)
        expect.called(words, credit, mine, times, list(ablated), amount)
        for filter in ablated:
            totals[filter], counts[filter] = totals[filter] + amount, counts[filter] + 1
        named = [{name: pair[place] for name, pair in mistakes.items() if pair} for place in (0, 1)]
        expect.same(mine, totals, f"{words}; the totals", mistakes=named[0])
        expect.same(times, counts, f"{words}; the counts", mistakes=named[1])


@pytest.mark.points(1)
def test_the_damage_goes_to_those_that_were_ablated(credit):
    hint = "the damage is added to the total of every filter that was ablated, and each of them is counted once more"
    batches = [([1, 4, 5], 0.5), ([0, 2, 4], 0.25), ([4], 2.0), ([2, 5, 6], 0.0)]
    compare_accounts(credit, torch.zeros(7), torch.zeros(7, dtype=torch.int64), batches, hint)
    totals, counts = torch.tensor([3.0, 0.5, 0, 1.5]), torch.tensor([4, 1, 0, 2])
    compare_accounts(credit, totals, counts, [([0, 3], 0.75), ([3, 2], 0.25)], hint)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_credit_needs(credit):
    makes = [
        lambda kind=kind: {
            "totals": torch.tensor([0.5, 1.5, 0, 2], dtype=kind),
            "counts": torch.tensor([1, 2, 0, 3]),
            "ablated": [0, 3],
            "amount": 0.25,
        }
        for kind in (torch.float64, torch.float32)
    ]
    Contract(changes=("totals", "counts"), without=("gradients",)).hold(credit, *makes)


# --- next_move


def two_lists(answer, hint):
    """The two lists of whole numbers that next_move returns, or a sentence on what came instead."""
    words = f"{hint}\n  return two lists: the filters that are pruned, and the next search space"
    assert answer is not None, f"{words}\n  your function returned None: is the `return` missing?"
    assert isinstance(answer, (tuple, list)) and len(answer) == 2, f"{words}\n  yours: {expect.show(answer)}"
    return expect.whole_numbers(answer[0]), expect.whole_numbers(answer[1])


def ranked(scores, filters, highest=False):
    """Filters by score, of equal ones the smaller first."""
    sign = -1 if highest else 1
    return sorted(filters, key=lambda filter: (sign * scores[filter].item(), filter))


def moved(scores, alive, space, threshold):
    """The move that the text asks for."""
    half = len(space) // 2
    lowest = ranked(scores, space)[:half]
    if half and scores[lowest[-1]].item() < threshold:
        return sorted(lowest), [filter for filter in sorted(alive) if filter not in lowest]
    if half == 0:
        return [], sorted(space)
    return [], sorted(lowest) if half > 1 else sorted(alive)


def other_moves(scores, alive, space, threshold):
    """What comes out with mistakes that are often made with a search's move: words → the two lists."""
    half, order = len(space) // 2, ranked(scores, space)
    lowest, value = order[:half], [score.item() for score in scores]
    good = bool(half) and value[lowest[-1]] < threshold
    survivors = sorted(set(alive) - set(lowest))
    rest = sorted(set(space) - set(lowest))

    def by(group, prunes, among=alive):
        """The right moves with another group of lowest filters, or another comparison."""
        if prunes:
            return sorted(group), sorted(set(among) - set(group))
        return [], sorted(group) if len(group) > 1 else sorted(alive)

    mistakes = {}
    if half:
        of_all = ranked(scores, alive)[: len(alive) // 2]
        among_all = ranked(scores, alive)[:half]
        highest = ranked(scores, space, highest=True)[:half]
        larger = order[: len(space) - half]
        mean = sum(value[filter] for filter in lowest) / half
        below = [filter for filter in space if value[filter] < threshold]
        last = sorted(space, key=lambda filter: (value[filter], -filter))[:half]
        places = sorted(space.index(filter) for filter in lowest)
        many, most = order[: max(1, len(alive) // 2)], order[: max(1, len(value) // 2)]
        seen = [filter for filter in space if not math.isinf(value[filter])]
        placed = sorted(space, key=lambda filter: (value[space.index(filter)], filter))[:half]
        stable = sorted(space, key=lambda filter: value[filter])[:half]
        zeros = [0.0 if math.isinf(score) else score for score in value]
        unseen = sorted(space, key=lambda filter: (zeros[filter], filter))[:half]
        mistakes = {
            "half of ALL filters that are there, in place of half of the search space": by(
                of_all, value[of_all[-1]] < threshold
            ),
            "the lowest of ALL filters that are there: only the search space was searched": by(
                among_all, value[among_all[-1]] < threshold
            ),
            "the HIGHEST scores, the filters that are missed most": by(highest, value[highest[0]] < threshold),
            "the HIGHEST scores, where the lowest ones are below the threshold": by(highest, good),
            "as many as half of ALL filters that are there, in place of half of the search space": by(
                many, value[many[-1]] < threshold
            ),
            "as many as half of the whole layer, in place of half of the search space": by(
                most, value[most[-1]] < threshold
            ),
            "half rounded up: floor": by(larger, value[larger[-1]] < threshold),
            "v <= threshold in place of v < threshold": by(lowest, value[lowest[-1]] <= threshold),
            "the comparison turned around: the filters go where v is ABOVE the threshold": by(lowest, not good),
            "the lowest score compared with the threshold: v is the largest of the half": by(
                lowest, value[lowest[0]] < threshold
            ),
            "the half's mean compared with the threshold: v is its largest score": by(lowest, mean < threshold),
            "the next score, the (g + 1)-th, compared with the threshold": by(
                lowest, value[order[min(half, len(order) - 1)]] < threshold
            ),
            "the score before, the (g - 1)-th, compared with the threshold": by(
                lowest, value[order[max(half - 2, 0)]] < threshold
            ),
            "the threshold left out, so that the half always goes": by(lowest, True),
            "every filter below the threshold pruned, each by itself: the half goes as a whole, or none of it": (
                (sorted(below), sorted(set(alive) - set(below))) if below else by(lowest, False)
            ),
            "only those of the half pruned that are below the threshold: it goes as a whole, or none of it": by(
                [filter for filter in lowest if value[filter] < threshold] or lowest, value[lowest[0]] < threshold
            ),
            "one filter pruned, the lowest: the whole half goes": by(lowest[:1], good) if good else None,
            "filters outside the space forgotten: all SURVIVORS are searched next": (
                (sorted(lowest), rest) if good else None
            ),
            "the space not reset after pruning: all survivors are searched next": (
                (sorted(lowest), sorted(space)) if good else None
            ),
            "pruned filters searched again: survivors only": (sorted(lowest), sorted(alive)) if good else None,
            "the pruned half as the next space": (sorted(lowest), sorted(lowest)) if good else None,
            "no next space after pruning": (sorted(lowest), []) if good else None,
            "the upper half searched next: look closer at the LOWEST": ([], rest) if not good else None,
            "the same space again: where nothing goes the search gets finer": (
                ([], sorted(space)) if not good and half > 1 else None
            ),
            "the same space again: where g = 1 fails, begin with ALL that are there": (
                ([], sorted(space)) if not good and half == 1 else None
            ),
            "no space at all where g = 1 fails: begin with all that are there": (
                ([], []) if not good and half == 1 else None
            ),
            "the lowest half KEPT, and all others pruned": (
                (sorted(set(alive) - set(lowest)), sorted(lowest)) if good else None
            ),
            "the half's sum compared with the threshold: v is its largest score": by(lowest, mean * half < threshold),
            "only those BELOW v: v's own filter belongs to the half": by(
                [filter for filter in lowest if value[filter] < value[lowest[-1]]] or lowest, good
            ),
            "scores[i] read for the i-th filter of the space: a filter's score is scores[filter]": by(
                placed, value[placed[-1]] < threshold
            ),
            "all filters of the LAYER searched next: those pruned earlier are gone": (
                (sorted(lowest), [filter for filter in range(len(value)) if filter not in lowest]) if good else None
            ),
            "all filters of the layer searched again: those pruned earlier are gone": (
                ([], list(range(len(value)))) if not good and half == 1 else None
            ),
            "filters that were never ablated left out of the space: they count, too": (
                moved(scores, alive, seen, threshold) if len(seen) < len(space) else None
            ),
            "scores cut to whole numbers": (moved(scores.trunc(), alive, space, threshold)),
            "all filters searched again though a finer search is possible": (
                ([], sorted(alive)) if not good and half > 1 else None
            ),
            "a space of the one lowest filter, in which nothing can be found: begin again with all": (
                ([], sorted(lowest)) if not good and half == 1 else None
            ),
            "only the rest of the space searched again: begin with ALL that are there": (
                ([], rest) if not good and half == 1 else None
            ),
            "places in the space in place of the filters' numbers": (
                (places, sorted(set(alive) - set(places))) if good else ([], places if half > 1 else sorted(alive))
            ),
            "places in the space pruned, in place of the filters' numbers": (places, survivors) if good else None,
            "lists in the order of the scores: by number": (
                (lowest, survivors) if good else ([], lowest if half > 1 else sorted(alive))
            ),
            "lists in the order of the scores, survivors too": (
                (lowest, [filter for filter in ranked(scores, alive) if filter not in lowest]) if good else None
            ),
            "of equal scores the one first that comes first in the space: the smaller FILTER": by(
                stable, value[stable[-1]] < threshold
            ),
            "survivors in the order in which they came: by number": (
                (sorted(lowest), [filter for filter in alive if filter not in lowest])
                if good
                else ([], sorted(lowest) if half > 1 else list(alive))
            ),
            "of equal scores the LARGER filter first: the smaller one": by(last, value[last[-1]] < threshold),
            "filters that were never ablated taken for 0: they are infinitely important": by(
                unseen, zeros[unseen[-1]] < threshold
            ),
            "both lists in the other order: pruned first": moved(scores, alive, space, threshold)[::-1],
            "everything in the space pruned": (sorted(space), sorted(set(alive) - set(space))),
        }
    else:
        mistakes = {
            "the only filter pruned: a space of one filter is left alone": (
                sorted(space), sorted(set(alive) - set(space))
            ),
            "a space of one filter searched with all the others again: it stays as it is": (
                ([], sorted(alive)) if len(alive) > 1 else None
            ),
            "no next space: a space of one filter stays as it is": ([], []),
            "both lists in the other order: pruned first": (sorted(space), []),
        }  # fmt: skip
    return mistakes


def compare_move(next_move, scores, alive, space, threshold, hint):
    expected = moved(scores, alive, space, threshold)
    shown = f"scores {[round(score, 4) for score in scores.tolist()]}, alive {alive}, space {space}"
    words = f"{hint}\n  {shown}, threshold {threshold:g}"
    answer = two_lists(expect.called(words, next_move, scores.clone(), list(alive), list(space), threshold), words)
    mistakes = other_moves(scores, alive, space, threshold)
    if answer != expected and tuple(map(sorted, answer)) == expected and answer not in mistakes.values():
        mistakes = {"lists that are not in increasing order: sort them, a set has no order": answer}
    expect.equal(answer, expected, words, mistakes)


SCORES = torch.tensor([0.9, 0.2, 0.7, 0.05, 0.4, 0.3, 0.8, 0.1, 0.6, 0.35, 0.01])


@pytest.mark.points(1)
def test_below_the_threshold_the_half_goes(next_move):
    hint = "v, the largest score of the lowest half, is below the threshold: the half goes, all survivors are next"
    everything = list(range(11))
    compare_move(next_move, SCORES, [0, 1, 2, 3, 4, 5, 6, 7, 8], [0, 1, 2, 3, 4, 5, 6, 7, 8], 0.45, hint)
    compare_move(next_move, SCORES, everything, [0, 2, 4, 5, 6, 8, 9], 0.5, f"{hint}, also those outside the space")
    compare_move(next_move, SCORES, [0, 2, 6, 8, 9], [2, 9], 0.5, f"{hint}; of a space of two the lower one goes")


@pytest.mark.points(1)
def test_else_the_half_is_searched(next_move):
    hint = "v is not below the threshold, and g > 1: nothing goes, and the lowest half is searched next"
    everything = list(range(11))
    for threshold in (0.005, 0.02, 0.15, 0.25):
        compare_move(next_move, SCORES, everything, everything, threshold, hint)
    compare_move(next_move, SCORES, [8, 2, 4, 6, 0], [2, 4, 6, 8], 0.55, hint)
    compare_move(next_move, SCORES, [0, 2, 4, 5, 6, 8, 9], [2, 4, 5, 6, 8], 0.15, hint)
    scores = torch.tensor([0.5, 0.25, 0.75, 0.125, 0.25])
    compare_move(next_move, scores, [0, 1, 2, 3, 4], [0, 1, 2, 3], 0.25, f"{hint}: EQUAL is not below")
    scores = torch.tensor([0.3, torch.inf, 0.2, torch.inf, torch.inf, torch.inf])
    unseen = f"{hint}; filters that were never ablated are infinitely important, of equal ones the smaller comes first"
    compare_move(next_move, scores, [0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5], 9.0, unseen)


@pytest.mark.points(1)
def test_at_the_end_of_a_search(next_move):
    hint = "g = 1 and v is not below the threshold: nothing goes, and all that are there are searched again"
    compare_move(next_move, SCORES, [0, 2, 4, 5, 6, 8], [4, 5, 8], 0.1, hint)
    compare_move(next_move, SCORES, [0, 2, 4, 6], [4, 6], 0.2, hint)
    hint = "a space of one filter (g = 0) is left alone, so that no layer vanishes: nothing goes, it is next again"
    compare_move(next_move, SCORES, [10], [10], 0.5, hint)
    compare_move(next_move, SCORES, [7], [7], 0.01, hint)
    compare_move(next_move, SCORES, [0, 4, 7], [7], 0.3, hint)
    tied = torch.tensor([0.5, 0.25, 0.75, 0.25, 0.25, 0.5])
    hint = "filters in any order: of equal scores the smaller filter first, and both lists in increasing order"
    compare_move(next_move, tied, [5, 4, 3, 0, 1], [4, 3, 5, 1], 0.3, hint)
    compare_move(next_move, tied, [5, 4, 0, 3, 1], [4, 5], 0.25, hint)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_next_move_needs(next_move):
    makes = [
        lambda space=space, threshold=threshold: {
            "scores": SCORES.clone(), "alive": [0, 1, 2, 4, 5, 6], "space": list(space), "threshold": threshold
        }
        for space, threshold in (([1, 2, 4, 6], 0.5), ([0, 1, 2, 4, 5, 6], 0.1), ([5, 2], 0.1), ([4], 0.9))
    ]  # fmt: skip
    Contract(gives=tuple).hold(next_move, *makes)


# --- the network that is handed in


@pytest.mark.points(1)
def test_narrow_enough(lab9_aofp_onnx):
    measured, original = artifacts.measured(lab9_aofp_onnx), artifacts.measured_baseline()
    left = measured.macs / original.macs
    assert left <= 0.5, (
        f"at most 50 % of the MACs may be left: {measured.macs:,} of {original.macs:,} are ({left:.1%}). Did the "
        "search end short of its budget? It says so where you trained; more epochs help, or a larger threshold."
    )


@pytest.mark.points(4)
def test_accuracy_with_half_of_the_macs(lab9_aofp_onnx, award):
    measured, original = artifacts.measured(lab9_aofp_onnx), artifacts.measured_baseline()
    assert measured.macs <= 0.5 * original.macs, "accuracy counts once half of the MACs are gone"
    award(*artifacts.ramp("lab9_aofp", measured, original))
