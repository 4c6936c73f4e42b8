"""Wrong and right answers to lab 9, as students write them."""

import bisect
import hashlib
import heapq
import itertools
import math
import random

import numpy as np
import torch
import torch.nn.functional as F

from autograder.answers import right, wrong

# --- random_half


@wrong("random_half", says="these are places in the list: the filters are what stands there, space[place]")
def positions_instead_of_filters(space, seed):
    "Draws positions in the space and returns these, not the filters' numbers."
    rng = random.Random(seed)
    return sorted(rng.sample(range(len(space)), len(space) // 2))


@wrong("random_half", says="2 is not in the search space")
def half_of_all_filters_up_to_the_largest(space, seed):
    "Half of the whole layer, guessed from the largest number, in place of half of the space."
    num_filters = max(space, default=-1) + 1
    rng = random.Random(seed)
    return sorted(rng.sample(range(num_filters), num_filters // 2))


@wrong("random_half", says="floor(7 / 2) = 3 filters")
def half_rounded_up(space, seed):
    "Takes ceil(|S| / 2)."
    rng = random.Random(seed)
    return sorted(rng.sample(list(space), math.ceil(len(space) / 2)))


@wrong("random_half", says="floor(1 / 2) = 0 filters")
def at_least_one(space, seed):
    "Thinks that something must always be ablated: max(1, |S| // 2)."
    if len(space) == 0:
        return []
    rng = random.Random(seed)
    return sorted(rng.sample(list(space), max(1, len(space) // 2)))


@wrong("random_half", says="filter 34 is there twice: draw WITHOUT replacement")
def with_replacement(space, seed):
    "random.choices draws with replacement."
    if len(space) == 0:
        return []
    rng = random.Random(seed)
    return sorted(rng.choices(list(space), k=len(space) // 2))


@wrong("random_half", says="floor(6 / 2) = 3 filters")
def coin_for_every_filter(space, seed):
    "Tosses a coin for every filter: half only on average."
    rng = random.Random(seed)
    return sorted(f for f in space if rng.random() < 0.5)


@wrong("random_half", says="in increasing order: sort them")
def not_sorted(space, seed):
    "Returns the half in the order in which it was drawn."
    return random.Random(seed).sample(list(space), len(space) // 2)


@wrong("random_half", says="Python's global random numbers are others afterwards: they are the whole program's")
def global_random_seed(space, seed):
    "Seeds Python's global generator and draws from it."
    random.seed(seed)
    return sorted(random.sample(list(space), len(space) // 2))


@wrong("random_half", says="torch's global random numbers are others afterwards: they are the whole program's")
def global_torch_seed(space, seed):
    "torch.manual_seed and randperm without a generator of its own."
    torch.manual_seed(seed)
    perm = torch.randperm(len(space))[: len(space) // 2]
    return sorted(int(space[i]) for i in perm.tolist())


@wrong("random_half", says="numpy's global random numbers are others afterwards: they are the whole program's")
def global_numpy_seed(space, seed):
    "np.random.seed and the global np.random.permutation."
    np.random.seed(seed)
    return sorted(int(f) for f in np.random.permutation(list(space))[: len(space) // 2])


@wrong("random_half", says="a later call with the same arguments gives something else: remember and draw nothing")
def seed_ignored(space, seed):
    "A local generator, but one without the seed."
    rng = np.random.default_rng()
    return sorted(int(space[i]) for i in rng.permutation(len(space))[: len(space) // 2])


@wrong("random_half", says="yours is [0, 12, 16] with each of 300 seeds: is the seed used?")
def always_the_same_seed(space, seed):
    "A fixed seed of 0 'to be reproducible'; the filters outside that half never come."
    rng = random.Random(0)
    return sorted(rng.sample(list(space), len(space) // 2))


@wrong("random_half", says="of")
def first_half_after_rotating(space, seed):
    "Rotates the space by the seed and takes the first half: equal shares, but not a random half."
    space = sorted(space)
    n = len(space)
    if n == 0:
        return []
    shift = seed % n
    return sorted((space[shift:] + space[:shift])[: n // 2])


@wrong("random_half", says="filter 5 is in 14% of")
def multiplicative_hash(space, seed):
    "Orders the filters by filter * seed modulo a prime, as if that were random."
    return sorted(sorted(space, key=lambda f: (f * seed) % 7)[: len(space) // 2])


@wrong("random_half", says="`space[0]` was changed: its values are others afterwards. Work on a copy, or with operatio")
def shuffles_the_argument(space, seed):
    "Shuffles the caller's list in place."
    random.Random(seed).shuffle(space)
    return sorted(space[: len(space) // 2])


@wrong("random_half", says="`space` was changed: its values are others afterwards. Work on a copy, or with operations")
def pops_from_the_argument(space, seed):
    "Takes the filters out of the caller's list."
    rng = random.Random(seed)
    half = []
    for _ in range(len(space) // 2):
        half.append(space.pop(rng.randrange(len(space))))
    return sorted(half)


@wrong("random_half", says="return a list of whole numbers")
def returns_a_tensor(space, seed):
    "Returns a LongTensor."
    gen = torch.Generator().manual_seed(seed)
    space = torch.tensor(list(space), dtype=torch.long)
    return space[torch.randperm(len(space), generator=gen)[: len(space) // 2]].sort().values


@wrong("random_half", says="return whole numbers (int)")
def list_of_numpy_integers(space, seed):
    "sorted() of a numpy array gives a list of np.int64, not of int."
    rng = np.random.default_rng(seed)
    return sorted(rng.choice(np.array(space, dtype=int), size=len(space) // 2, replace=False))


@wrong("random_half", says="filter 16 is in 0% of")
def last_filter_never_drawn(space, seed):
    "Off by one in the upper bound of the draw (exclusive, as in randrange)."
    rng = random.Random(seed)
    n, chosen = len(space), set()
    if n == 2:
        return [space[0]]
    while len(chosen) < n // 2:
        chosen.add(space[rng.randrange(0, n - 1)])
    return sorted(chosen)


@wrong("random_half", says="filter 0 is in 0% of")
def filter_zero_dropped(space, seed):
    "Uses 0 for 'not chosen' and so loses filter number 0."
    k = len(space) // 2
    rng = random.Random(seed)
    candidates = [f for f in space if f]
    return sorted(rng.sample(candidates, min(k, len(candidates))))


@wrong("random_half", says="filter 5 is in 19% of")
def likely_by_filter_number(space, seed):
    "Passes the filters as weights (p), so that large numbers are more likely."
    rng = np.random.default_rng(seed)
    if len(space) < 2:
        return []
    p = np.array(space, dtype=float) + 1
    return sorted(int(f) for f in rng.choice(np.array(space), size=len(space) // 2, replace=False, p=p / p.sum()))


@wrong("random_half", says="filter 30 is in 10% of")
def seed_as_number_of_the_combination(space, seed):
    "The seed counts through itertools.combinations, which starts with the small filters."
    halves = math.comb(len(space), len(space) // 2)
    return list(next(itertools.islice(itertools.combinations(sorted(space), len(space) // 2), seed % halves, None)))


@wrong("random_half", says="27 is not in the search space")
def space_taken_for_a_range(space, seed):
    "Thinks that the space is contiguous from its smallest to its largest filter."
    if len(space) < 2:
        return []
    rng = random.Random(seed)
    return sorted(rng.sample(range(min(space), max(space) + 1), len(space) // 2))


@right("random_half")
def random_sample(space, seed):
    "(order) random.Random(seed).sample."
    return sorted(random.Random(seed).sample(list(space), len(space) // 2))


@right("random_half")
def random_sample_of_the_sorted_space(space, seed):
    "Sorts first, so that the order of the space doesn't matter."
    return sorted(random.Random(seed).sample(sorted(space), len(space) // 2))


@right("random_half")
def randperm_with_a_generator(space, seed):
    "(order) torch.randperm with a generator of its own."
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(space), generator=generator).tolist()
    return sorted(space[i] for i in order[: len(space) // 2])


@right("random_half")
def numpy_generator(space, seed):
    "default_rng of the sorted space; the seed made non-negative for numpy."
    rng = np.random.default_rng(seed % 2**63)
    filters = np.sort(np.asarray(list(space), dtype=np.int64))
    return np.sort(rng.permutation(filters)[: len(filters) // 2]).tolist()


@right("random_half")
def selection_sampling(space, seed):
    "Knuth's algorithm S: one pass in increasing order."
    rng = random.Random(seed)
    filters = sorted(space)
    need, left, half = len(filters) // 2, len(filters), []
    for f in filters:
        if rng.random() * left < need:
            half.append(f)
            need -= 1
        left -= 1
    return half


@right("random_half")
def own_fisher_yates(space, seed):
    "A shuffle of a copy from the front, half way, with a numpy RandomState of its own."
    rng = np.random.RandomState(seed % 2**32)
    items = sorted(space)
    k = len(items) // 2
    for i in range(k):
        j = int(rng.randint(i, len(items)))
        items[i], items[j] = items[j], items[i]
    return sorted(items[:k])


@right("random_half")
def random_keys_in_torch(space, seed):
    "The filters with the smallest of independent random keys (float64: no ties to speak of)."
    gen = torch.Generator()
    gen.manual_seed(seed)
    keys = torch.rand(len(space), generator=gen, dtype=torch.float64)
    filters = torch.tensor(sorted(space), dtype=torch.long)
    return filters[keys.argsort()[: len(filters) // 2]].sort()[0].tolist()


@right("random_half")
def number_of_a_combination(space, seed):
    "One random number below C(n, k), and the combination with that number."
    filters = sorted(space)
    n, k = len(filters), len(filters) // 2
    rank, half = random.Random(seed).randrange(math.comb(n, k)), []
    for i, f in enumerate(filters):
        if k == 0:
            break
        with_it = math.comb(n - i - 1, k - 1)
        if rank < with_it:
            half.append(f)
            k -= 1
        else:
            rank -= with_it
    return half


@right("random_half")
def keys_from_sha256(space, seed):
    "Orders by a cryptographic hash of seed and filter: the same in every process, and no generator at all."

    def key(f):
        return hashlib.sha256(f"{seed}/{f}".encode()).digest()

    return sorted(sorted(space, key=key)[: len(space) // 2])


@right("random_half")
def reservoir(space, seed):
    "Reservoir sampling of the sorted space."
    rng, k, half = random.Random(seed), len(space) // 2, []
    for i, f in enumerate(sorted(space)):
        if i < k:
            half.append(f)
        elif k:
            j = rng.randint(0, i)
            if j < k:
                half[j] = f
    half.sort()
    return half


# --- damage


def along_channels(base, mask):
    return mask.to(base.dtype).reshape(1, -1, *[1] * (base.dim() - 2))


@wrong("damage", says="what is missing, not divided by what there was")
def not_relative(base, ablated, mask):
    "The squared difference, without dividing by the output."
    m = along_channels(base, mask)
    return ((m * (base - ablated)) ** 2).sum().item()


@wrong("damage", says="division by the ABLATED output's squares: by the whole one's")
def normalised_by_ablated(base, ablated, mask):
    "Divides by the ablated output."
    m = along_channels(base, mask)
    den = ((m * ablated) ** 2).sum()
    return 0.0 if den == 0 else (((m * (base - ablated)) ** 2).sum() / den).item()


@wrong("damage", says="half of it (a sum of both outputs below)")
def normalised_by_both(base, ablated, mask):
    "A symmetric relative difference: divides by the energy of both outputs."
    m = along_channels(base, mask)
    den = ((m * base) ** 2).sum() + ((m * ablated) ** 2).sum()
    return 0.0 if den == 0 else (((m * (base - ablated)) ** 2).sum() / den).item()


@wrong("damage", says="the root: the norms are squared")
def ratio_of_norms_not_squared(base, ablated, mask):
    "Forgets the squares: a ratio of norms."
    m = along_channels(base, mask)
    den = torch.linalg.vector_norm(m * base)
    if den == 0:
        return 0.0
    return float(torch.linalg.vector_norm(m * (base - ablated)) / den)


@wrong("damage", says="a norm above and a squared norm below")
def norm_over_squared_norm(base, ablated, mask):
    "Squares the denominator only."
    m = along_channels(base, mask)
    den = (m * base).pow(2).sum()
    return 0.0 if den == 0 else ((m * (base - ablated)).norm() / den).item()


@wrong("damage", says="absolute values in place of squares")
def absolute_values(base, ablated, mask):
    "L1 in place of squares."
    m = along_channels(base, mask)
    den = (m * base).abs().sum()
    return 0.0 if den == 0 else ((m * (base - ablated)).abs().sum() / den).item()


@wrong("damage", says="the mean of each image's own share: sum over the images first")
def mean_of_ratios_by_image(base, ablated, mask):
    "A ratio for every image, and then their mean."
    m = along_channels(base, mask)
    num = ((m * (base - ablated)) ** 2).flatten(1).sum(1)
    den = ((m * base) ** 2).flatten(1).sum(1)
    ratio = torch.where(den > 0, num / den, torch.zeros_like(num))
    return ratio.mean().item() if len(ratio) else 0.0


@wrong("damage", says="the sum of each image's own share")
def sum_of_ratios_by_image(base, ablated, mask):
    "Adds up the ratios of the images."
    total = 0.0
    for b, a in zip(base, ablated, strict=True):
        m = mask.to(b.dtype).reshape(-1, *[1] * (b.dim() - 1))
        den = (m * b).pow(2).sum().item()
        if den > 0:
            total += (m * (b - a)).pow(2).sum().item() / den
    return total


@wrong("damage", says="the mean of each channel's own share: sum over the channels first")
def mean_of_ratios_by_channel(base, ablated, mask):
    "A ratio for every channel, and then their mean over the channels left."
    keep = mask.bool()
    dims = [d for d in range(base.dim()) if d != 1]
    num = ((base - ablated) ** 2).sum(dims)[keep]
    den = (base**2).sum(dims)[keep]
    ok = den > 0
    return (num[ok] / den[ok]).mean().item() if ok.any() else 0.0


@wrong("damage", says="the mean of each number's own share: sum first")
def mean_of_elementwise_ratios(base, ablated, mask):
    "The relative error of every entry, averaged."
    m = along_channels(base, mask).expand_as(base).bool() & (base != 0)
    if not m.any():
        return 0.0
    return (((base - ablated)[m] / base[m]) ** 2).mean().item()


@wrong("damage", says="the mask left out")
def mask_ignored(base, ablated, mask):
    "Doesn't use the mask."
    den = base.pow(2).sum()
    return 0.0 if den == 0 else ((base - ablated).pow(2).sum() / den).item()


@wrong("damage", says="the mask left out of what there was: it belongs on both")
def mask_only_above(base, ablated, mask):
    "The mask in the numerator only."
    m = along_channels(base, mask)
    den = base.pow(2).sum()
    return 0.0 if den == 0 else ((m * (base - ablated)).pow(2).sum() / den).item()


@wrong("damage", says="the mask left out of what is missing")
def mask_only_below(base, ablated, mask):
    "The mask in the denominator only."
    m = along_channels(base, mask)
    den = (m * base).pow(2).sum()
    return 0.0 if den == 0 else ((base - ablated).pow(2).sum() / den).item()


@wrong("damage", says="m · base - ablated: the mask belongs to both, m · (base - ablated)")
def mask_on_base_but_not_on_ablated(base, ablated, mask):
    "m * base - ablated: forgets the brackets."
    m = along_channels(base, mask)
    den = (m * base).pow(2).sum()
    return 0.0 if den == 0 else ((m * base - ablated).pow(2).sum() / den).item()


@wrong("damage", says="the damage of an ablated output of zeros taken for 0: all is missing there")
def mask_inverted(base, ablated, mask):
    "Takes 1 for the channels that have been pruned."
    m = 1 - along_channels(base, mask)
    den = (m * base).pow(2).sum()
    return 0.0 if den == 0 else ((m * (base - ablated)).pow(2).sum() / den).item()


@wrong("damage", says="a mask along the columns: channels are axis 1, mask.view(-1, 1, 1)")
def mask_broadcast_on_the_last_axis(base, ablated, mask):
    "Multiplies by (C,) as it is, which broadcasts over the width."
    mask = mask.float()
    den = (mask * base).pow(2).sum()
    return 0.0 if den == 0 else float((mask * (base - ablated)).pow(2).sum() / den)


@wrong("damage", says="a mask along the images: channels are axis 1, mask.view(-1, 1, 1)")
def mask_on_the_batch_axis(base, ablated, mask):
    "Lays the mask along the batch."
    m = mask.to(base.dtype).view(-1, *[1] * (base.dim() - 1))
    den = (m * base).pow(2).sum()
    return 0.0 if den == 0 else ((m * (base - ablated)).pow(2).sum() / den).item()


@wrong("damage", says="the squares of all that is missing, summed, by the squares of all that there was; here wit")
def integer_mask_as_an_index(base, ablated, mask):
    "base[:, mask] selects by a bool mask, but gathers channels 0 and 1 by an int one."
    b, a = base[:, mask], ablated[:, mask]
    den = b.pow(2).sum()
    return 0.0 if den == 0 else ((b - a).pow(2).sum() / den).item()


@wrong("damage", says="channels where the mask is 0 are gone, and count neither above nor below the line (a mask")
def fails_for_a_bool_mask(base, ablated, mask):
    "1 - mask fails for a bool tensor."
    dropped = 1 - mask
    m = (1 - dropped).view(1, -1, *[1] * (base.dim() - 2))
    den = (m * base).pow(2).sum()
    return 0.0 if den == 0 else ((m * (base - ablated)).pow(2).sum() / den).item()


@wrong("damage", says="the output of a linear layer is (N, C): channels are axis 1 there, too")
def sums_over_axes_two_and_three(base, ablated, mask):
    "Sums over (0, 2, 3), which an (N, C) output doesn't have."
    num = ((base - ablated) ** 2).sum(dim=(0, 2, 3))
    den = (base**2).sum(dim=(0, 2, 3))
    m = mask.to(num.dtype)
    total = (den * m).sum()
    return 0.0 if total == 0 else ((num * m).sum() / total).item()


@wrong("damage", says="yours holds 1 of 1 numbers that are nan or infinite")
def nan_for_a_dead_output(base, ablated, mask):
    "Forgets the case of an output that is zero."
    m = along_channels(base, mask)
    return ((m * (base - ablated)).pow(2).sum() / (m * base).pow(2).sum()).item()


@wrong("damage", says="the damage of an output of zeros taken for 1")
def dead_output_is_full_damage(base, ablated, mask):
    "Calls a zero output fully damaged."
    m = along_channels(base, mask)
    den = (m * base).pow(2).sum().item()
    return (m * (base - ablated)).pow(2).sum().item() / den if den > 0 else 1.0


@wrong("damage", says="1e-08 added to the denominator: ask whether it is 0")
def epsilon_below(base, ablated, mask):
    "Adds 1e-8 to the denominator in place of the case of zero."
    m = along_channels(base, mask)
    return ((m * (base - ablated)).pow(2).sum() / ((m * base).pow(2).sum() + 1e-8)).item()


@wrong("damage", says="a denominator that is not what there was, but at least 1")
def clamp_min_below(base, ablated, mask):
    "clamp(min=1) on the denominator: small outputs aren't normalised."
    m = along_channels(base, mask)
    return ((m * (base - ablated)).pow(2).sum() / (m * base).pow(2).sum().clamp(min=1.0)).item()


@wrong("damage", says="the share that is LEFT, of the ablated output")
def zero_when_the_ablated_output_is_zero(base, ablated, mask):
    "Reads 'an output that is zero' as the ablated one."
    m = along_channels(base, mask)
    if not (m * ablated).any() or not (m * base).any():
        return 0.0
    return ((m * (base - ablated)).pow(2).sum() / (m * base).pow(2).sum()).item()


@wrong("damage", says="channels left out in which there was nothing: what the ablated output has there counts")
def dead_channels_left_out(base, ablated, mask):
    "Leaves out every channel in which base is zero, though ablated may have something there."
    dims = [d for d in range(base.dim()) if d != 1]
    lively = base.abs().sum(dims) > 0
    m = along_channels(base, mask) * along_channels(base, lively)
    den = (m * base).pow(2).sum()
    return 0.0 if den == 0 else ((m * (base - ablated)).pow(2).sum() / den).item()


@wrong("damage", says="return Python numbers (float)")
def returns_a_tensor_for_damage(base, ablated, mask):
    "Forgets .item()."
    m = along_channels(base, mask)
    num, den = (m * (base - ablated)).pow(2).sum(), (m * base).pow(2).sum()
    return torch.where(den > 0, num / den, torch.zeros_like(den))


@wrong("damage", says="the square of the sum: square every number")
def square_of_the_sum(base, ablated, mask):
    "Sums first and squares afterwards."
    m = along_channels(base, mask)
    den = (m * base).sum() ** 2
    return 0.0 if den == 0 else ((m * (base - ablated)).sum() ** 2 / den).item()


@wrong("damage", says="the difference of the squared norms: subtract first, then square")
def difference_of_energies(base, ablated, mask):
    "||base||² - ||ablated||² in place of ||base - ablated||²."
    m = along_channels(base, mask)
    den = (m * base).pow(2).sum()
    return 0.0 if den == 0 else ((den - (m * ablated).pow(2).sum()) / den).item()


@wrong("damage", says="outputs averaged over the positions first: square first, then sum")
def positions_averaged_first(base, ablated, mask):
    "Global average pooling before the difference."
    if base.dim() == 4:
        base, ablated = base.mean((2, 3)), ablated.mean((2, 3))
    m = mask.to(base.dtype)
    den = (base * m).pow(2).sum()
    return 0.0 if den == 0 else (((base - ablated) * m).pow(2).sum() / den).item()


@wrong("damage", says="outputs averaged over the images first: square first, then sum")
def batch_averaged_first(base, ablated, mask):
    "Averages the outputs over the batch before the norms."
    b, a = base.mean(0, keepdim=True), ablated.mean(0, keepdim=True)
    m = along_channels(b, mask)
    den = (m * b).pow(2).sum()
    return 0.0 if den == 0 else ((m * (b - a)).pow(2).sum() / den).item()


@wrong("damage", says="the first image only")
def first_image_only(base, ablated, mask):
    "Looks at the first image of the batch."
    b, a = base[0], ablated[0]
    m = mask.to(b.dtype).reshape(-1, *[1] * (b.dim() - 1))
    den = (m * b).pow(2).sum()
    return 0.0 if den == 0 else ((m * (b - a)).pow(2).sum() / den).item()


@wrong("damage", says="a mean over ALL channels above and over those of the mask below: sums")
def mean_over_different_counts(base, ablated, mask):
    "A mean over all entries above, and over those of the mask below."
    m = along_channels(base, mask).expand_as(base)
    num = F.mse_loss(m * ablated, m * base)
    den = (base**2)[m.bool()]
    return 0.0 if den.numel() == 0 or den.sum() == 0 else (num / den.mean()).item()


@wrong("damage", says="division by the variance: by the squares themselves")
def divided_by_the_variance(base, ablated, mask):
    "1 - R²: divides by the spread around the mean."
    m = along_channels(base, mask).expand_as(base).bool()
    b, a = base[m], ablated[m]
    den = ((b - b.mean()) ** 2).sum()
    return 0.0 if b.numel() == 0 or den == 0 else (((b - a) ** 2).sum() / den).item()


@wrong("damage", says="1 minus the cosine of the angle between the outputs")
def cosine_distance(base, ablated, mask):
    "1 - cosine similarity."
    m = along_channels(base, mask)
    b, a = (m * base).flatten(), (m * ablated).flatten()
    return 0.0 if not b.any() else (1 - F.cosine_similarity(b, a, dim=0)).item()


@wrong("damage", says="the largest squares in place of the sums")
def capped_at_one(base, ablated, mask):
    "Thinks that damage is a share and cannot be over 1."
    m = along_channels(base, mask)
    den = (m * base).pow(2).sum()
    return 0.0 if den == 0 else min(1.0, ((m * (base - ablated)).pow(2).sum() / den).item())


@wrong("damage", says="percent")
def in_percent(base, ablated, mask):
    "Gives percent."
    m = along_channels(base, mask)
    den = (m * base).pow(2).sum()
    return 0.0 if den == 0 else 100 * ((m * (base - ablated)).pow(2).sum() / den).item()


@wrong("damage", says="only what became SMALLER: what became larger is off, too")
def only_what_was_lost(base, ablated, mask):
    "Counts only where the output fell: relu of the difference."
    m = along_channels(base, mask)
    den = (m * base).pow(2).sum()
    return 0.0 if den == 0 else (F.relu(m * (base - ablated)).pow(2).sum() / den).item()


@wrong("damage", says="`base` was changed: its values are others afterwards. Work on a copy, or with operations t")
def changes_base(base, ablated, mask):
    "base.sub_(ablated) changes the caller's output."
    m = along_channels(base, mask)
    den = (m * base).pow(2).sum()
    with torch.no_grad():
        num = (base.sub_(ablated) * m).pow(2).sum()
    return 0.0 if den == 0 else (num / den).item()


@wrong("damage", says="yours:    [0.065063]")
def half_precision(base, ablated, mask):
    "Computes in float16 to save memory; squares overflow."
    b, a = base.half(), ablated.half()
    m = along_channels(b, mask)
    den = (m * b).pow(2).sum()
    return 0.0 if den == 0 else ((m * (b - a)).pow(2).sum() / den).item()


@wrong("damage", says="yours:    [1.36]")
def rounded(base, ablated, mask):
    "Rounds to three digits."
    m = along_channels(base, mask)
    den = (m * base).pow(2).sum()
    return 0.0 if den == 0 else round(((m * (base - ablated)).pow(2).sum() / den).item(), 3)


@wrong("damage", says="yours:    [0.085241]")
def spectral_norm(base, ablated, mask):
    "torch.linalg.norm(ord=2) of a matrix is the spectral norm."
    m = along_channels(base, mask)
    b, d = (m * base).flatten(1), (m * (base - ablated)).flatten(1)
    den = torch.linalg.norm(b, ord=2) ** 2
    return 0.0 if den == 0 else (torch.linalg.norm(d, ord=2) ** 2 / den).item()


@right("damage")
def formula_in_double(base, ablated, mask):
    "The formula, in float64."
    m = mask.double().reshape(1, -1, *[1] * (base.dim() - 2))
    b, a = base.double(), ablated.double()
    below = (m * b).square().sum().item()
    return (m * (b - a)).square().sum().item() / below if below > 0 else 0.0


@right("damage")
def channels_selected(base, ablated, mask):
    "Selects the channels in place of multiplying."
    keep = mask.bool().nonzero().flatten()
    b = base.detach().double().index_select(1, keep)
    d = b - ablated.detach().double().index_select(1, keep)
    if not b.any():
        return 0.0
    return float(d.pow(2).sum() / b.pow(2).sum())


@right("damage")
def sums_by_channel_and_a_dot_product(base, ablated, mask):
    "Energies by channel, then the dot product with the mask."
    n, c = base.shape[:2]
    b = base.double().reshape(n, c, math.prod(base.shape[2:]))
    a = ablated.double().reshape(b.shape)
    m = mask.double()
    below = torch.dot(b.pow(2).sum((0, 2)), m)
    above = torch.dot((b - a).pow(2).sum((0, 2)), m)
    return (above / below).item() if below != 0 else 0.0


@right("damage")
def einsum_in_double(base, ablated, mask):
    "einsum with an ellipsis for both shapes."
    b, d, m = base.double(), base.double() - ablated.double(), mask.double()
    below = torch.einsum("nc...,nc...,c->", b, b, m)
    return 0.0 if below == 0 else float(torch.einsum("nc...,nc...,c->", d, d, m) / below)


@right("damage")
def numpy_with_moved_axis(base, ablated, mask):
    "numpy, with the channels moved to the end, where the mask broadcasts."
    b, a = (np.moveaxis(t.detach().cpu().numpy().astype(np.float64), 1, -1) for t in (base, ablated))
    m = mask.detach().cpu().numpy().astype(np.float64)
    below = float(np.sum((b * m) ** 2))
    return float(np.sum(((b - a) * m) ** 2)) / below if below else 0.0


@right("damage")
def loop_over_channels(base, ablated, mask):
    "Loops over the channels and adds up in Python."
    above = below = 0.0
    for c, m in enumerate(mask.tolist()):
        if m:
            b, a = base[:, c].double(), ablated[:, c].double()
            above += (b - a).pow(2).sum().item()
            below += b.pow(2).sum().item()
    return above / below if below else 0.0


@right("damage")
def squared_ratio_of_norms(base, ablated, mask):
    "The ratio of the norms, squared."
    with torch.no_grad():
        m = mask.to(torch.float64)[(None, slice(None)) + (None,) * (base.ndim - 2)]
        whole = torch.linalg.vector_norm(m * base.double())
        lost = torch.linalg.vector_norm(m * (base.double() - ablated.double()))
    return (lost / whole).item() ** 2 if whole.item() else 0.0


@right("damage")
def float32_if_no_better(base, ablated, mask):
    "At least float32: the dtype of base if that is wider."
    dtype = torch.promote_types(base.dtype, torch.float32)
    b, a = base.to(dtype), ablated.to(dtype)
    m = mask.to(dtype).view((1, -1) + (1,) * (b.dim() - 2))
    below = (m * b * b).sum()
    ratio = torch.where(below > 0, (m * (b - a) ** 2).sum() / below, torch.zeros_like(below))
    return ratio.item()


# --- credit


@wrong("credit", says="the damage divided among the ablated filters: each gets all of it")
def shared_among_the_ablated(totals, counts, ablated, amount):
    "Divides the damage among the ablated filters."
    for f in ablated:
        totals[f] += amount / len(ablated)
        counts[f] += 1


@wrong("credit", says="the filters that were KEPT credited: it is those that were ablated")
def credit_to_the_kept_half(totals, counts, ablated, amount):
    "Credits the filters that were not ablated."
    gone = set(ablated)
    for f in range(len(totals)):
        if f not in gone:
            totals[f] += amount
            counts[f] += 1


@wrong("credit", says="all filters counted: a filter's count says how often IT was ablated")
def counts_of_all_raised(totals, counts, ablated, amount):
    "One more batch for every filter, ablated or not."
    for f in ablated:
        totals[f] += amount
    counts += 1


@wrong("credit", says="all filters credited, ablated or not")
def totals_of_all_raised(totals, counts, ablated, amount):
    "The damage goes to every filter, the batch to the ablated ones."
    totals += amount
    for f in ablated:
        counts[f] += 1


@wrong("credit", says="nothing counted")
def counts_forgotten(totals, counts, ablated, amount):
    "Only totals."
    for f in ablated:
        totals[f] += amount


@wrong("credit", says="counts that rise by the number of ablated filters: by 1, it was one batch")
def counts_raised_by_the_size_of_the_half(totals, counts, ablated, amount):
    "Counts filters, not batches."
    for f in ablated:
        totals[f] += amount
        counts[f] += len(ablated)


@wrong("credit", says="nothing changed: change totals and counts themselves, in place")
def new_tensors(totals, counts, ablated, amount):
    "totals = totals + ... makes a new tensor; the caller's stays."
    hit = torch.zeros_like(totals)
    for f in ablated:
        hit[f] = 1
    totals = totals + amount * hit
    counts = counts + hit


@wrong("credit", says="the last damage in place of the sum: add it")
def overwrites(totals, counts, ablated, amount):
    "= in place of += for the totals."
    for f in ablated:
        totals[f] = amount
        counts[f] += 1


@wrong("credit", says="counts set to 1: count up")
def counts_set_to_one(totals, counts, ablated, amount):
    "Marks 'was ablated' in place of counting."
    for f in ablated:
        totals[f] += amount
        counts[f] = 1


@wrong("credit", says="totals that are means already: they are sums, the division comes later")
def running_mean_in_totals(totals, counts, ablated, amount):
    "Keeps a running mean in totals."
    for f in ablated:
        counts[f] += 1
        totals[f] += (amount - totals[f]) / counts[f]


@wrong("credit", says="first different at [0]: 0.25 expected,")
def mean_over_all_batches(totals, counts, ablated, amount):
    "Divides by the number of all batches so far."
    for f in ablated:
        counts[f] += 1
    batches = max(int(counts.max()), 1)
    for f in ablated:
        totals[f] = (totals[f] * (batches - 1) + amount) / batches


@wrong("credit", says="a moving average: the sum of all damages")
def moving_average(totals, counts, ablated, amount):
    "An exponential moving average with momentum 0.9."
    for f in ablated:
        totals[f] = 0.9 * totals[f] + 0.1 * amount
        counts[f] += 1


@wrong("credit", says="the largest damage in place of the sum")
def largest_damage_only(totals, counts, ablated, amount):
    "Keeps the largest damage, not the sum."
    for f in ablated:
        totals[f] = max(float(totals[f]), amount)
        counts[f] += 1


@wrong("credit", says="the numbers 0 … of as many filters as were ablated, in place of their own")
def positions_not_filters(totals, counts, ablated, amount):
    "Credits position i of the list, not filter ablated[i]."
    for i, _ in enumerate(ablated):
        totals[i] += amount
        counts[i] += 1


@wrong("credit", says="the filter before each ablated one: they are numbered from 0")
def numbered_from_one(totals, counts, ablated, amount):
    "Thinks that filters are numbered from 1."
    for f in ablated:
        totals[f - 1] += amount
        counts[f - 1] += 1


@wrong("credit", says="all filters from the first ablated one to the last: only these themselves")
def from_the_first_to_the_last(totals, counts, ablated, amount):
    "A slice from the smallest to the largest filter."
    if len(ablated) == 0:
        return
    totals[min(ablated) : max(ablated) + 1] += amount
    counts[min(ablated) : max(ablated) + 1] += 1


@wrong("credit", says="filter 0 left out")
def filter_zero_skipped(totals, counts, ablated, amount):
    "`if f` leaves out filter 0."
    for f in ablated:
        if f:
            totals[f] += amount
            counts[f] += 1


@wrong("credit", says="batches without damage not counted: they make the mean smaller")
def batches_without_damage_not_counted(totals, counts, ablated, amount):
    "Leaves out a batch without damage, which makes the mean too high."
    if not amount:
        return
    for f in ablated:
        totals[f] += amount
        counts[f] += 1


@wrong("credit", says="all filters that were EVER ablated: those of this batch")
def all_that_were_ever_ablated(totals, counts, ablated, amount):
    "Credits all filters with a count, not only this batch's."
    for f in ablated:
        counts[f] += 1
    totals[counts > 0] += amount


@wrong("credit", says="the last ablated filter only")
def count_outside_of_the_loop(totals, counts, ablated, amount):
    "The counts' line is not in the loop: the last filter only."
    f = None
    for f in ablated:
        totals[f] += amount
    if f is not None:
        counts[f] += 1


@wrong("credit", says="the damage is added to the total of every filter that was ablated, and each of them is cou")
def numbers_read_as_a_mask(totals, counts, ablated, amount):
    "Reads the numbers as a 0/1 mask."
    m = torch.as_tensor(list(ablated)).bool()
    totals[m] += amount
    counts[m] += 1


@wrong("credit", says="must have the same scalar type")
def float32_source_for_double_totals(totals, counts, ablated, amount):
    "torch.full makes float32, which doesn't fit float64 totals."
    index = torch.as_tensor(list(ablated), dtype=torch.long)
    totals.index_add_(0, index, torch.full((len(index),), float(amount)))
    counts.index_add_(0, index, torch.ones(len(index), dtype=counts.dtype))


@wrong("credit", says="the square of the damage")
def damage_squared_again(totals, counts, ablated, amount):
    "Squares the damage, which has been squared already."
    for f in ablated:
        totals[f] += amount**2
        counts[f] += 1


@wrong("credit", says="`ablated` was changed: its values are others afterwards. Work on a copy, or with operation")
def empties_the_list(totals, counts, ablated, amount):
    "Pops the filters off the caller's list."
    while ablated:
        f = ablated.pop()
        totals[f] += amount
        counts[f] += 1


@wrong("credit", says="the kept filters charged, too: they get nothing")
def kept_half_is_paid_off(totals, counts, ablated, amount):
    "Adds to the ablated and takes the same from the kept ones."
    gone = set(ablated)
    for f in range(len(totals)):
        totals[f] += amount if f in gone else -amount
        if f in gone:
            counts[f] += 1


@wrong("credit", says="everything credited twice")
def totals_and_counts_swapped(totals, counts, ablated, amount):
    "Adds 1 to the totals and the damage to the counts."
    for f in ablated:
        totals[f] += 1
        counts[f] = counts[f] + amount


@wrong("credit", says="the damage times the filter's count")
def weighted_by_the_count(totals, counts, ablated, amount):
    "Multiplies the damage by the number of batches."
    for f in ablated:
        counts[f] += 1
        totals[f] += amount * counts[f]


@wrong("credit", says="first different at [4]: 0.5 expected,")
def accumulates_along_the_list(totals, counts, ablated, amount):
    "Lets the sum run on along the half."
    running = 0.0
    for f in ablated:
        running += amount
        totals[f] += running
        counts[f] += 1


@right("credit")
def loop(totals, counts, ablated, amount):
    "A loop."
    for f in ablated:
        totals[f] += amount
        counts[f] += 1


@right("credit")
def indexed_by_a_list(totals, counts, ablated, amount):
    "A list as index."
    index = torch.tensor(list(ablated), dtype=torch.long, device=totals.device)
    totals[index] += amount
    counts[index] += 1


@right("credit")
def index_add(totals, counts, ablated, amount):
    "index_add_ with sources of the accounts' dtypes."
    index = torch.as_tensor(list(ablated), dtype=torch.long, device=totals.device)
    totals.index_add_(0, index, totals.new_full((len(index),), amount))
    counts.index_add_(0, index, counts.new_ones(len(index)))


@right("credit")
def through_a_mask(totals, counts, ablated, amount):
    "A 0/1 mask over all filters."
    hit = torch.zeros(len(totals), dtype=torch.bool, device=totals.device)
    for f in ablated:
        hit[f] = True
    totals.add_(hit.to(totals.dtype), alpha=amount)
    counts.add_(hit.to(counts.dtype))


@right("credit")
def copied_into_place(totals, counts, ablated, amount):
    "New tensors with torch.where, copied into the old ones."
    gone = set(ablated)
    hit = torch.tensor([f in gone for f in range(totals.numel())], dtype=torch.bool, device=totals.device)
    totals.copy_(torch.where(hit, totals + amount, totals))
    counts.copy_(torch.where(hit, counts + 1, counts))


@right("credit")
def put_with_accumulate(totals, counts, ablated, amount):
    "index_put_ with accumulate."
    index = (torch.as_tensor(tuple(ablated), dtype=torch.int64, device=totals.device),)
    totals.index_put_(index, torch.tensor(amount, dtype=totals.dtype, device=totals.device), accumulate=True)
    counts.index_put_(index, torch.tensor(1, dtype=counts.dtype, device=counts.device), accumulate=True)


@right("credit")
def slices_of_one(totals, counts, ablated, amount):
    "Views of one entry, changed by add_."
    for f in ablated:
        totals[f].add_(amount)
        counts.narrow(0, f, 1).add_(1)


# --- next_move


def by_score(scores, space):
    return sorted(space, key=lambda f: (float(scores[f]), f))


@wrong("next_move", says="v <= threshold in place of v < threshold")
def at_or_below_the_threshold(scores, alive, space, threshold):
    "<= in place of <."
    order = by_score(scores, space)
    g = len(space) // 2
    if g == 0:
        return [], sorted(space)
    if float(scores[order[g - 1]]) <= threshold:
        return sorted(order[:g]), sorted(set(alive) - set(order[:g]))
    return [], sorted(order[:g]) if g > 1 else sorted(alive)


@wrong("next_move", says="the comparison turned around: the filters go where v is ABOVE the threshold")
def comparison_turned_around(scores, alive, space, threshold):
    "Prunes when v >= threshold."
    order = by_score(scores, space)
    g = len(space) // 2
    if g == 0:
        return [], sorted(space)
    if float(scores[order[g - 1]]) >= threshold:
        return sorted(order[:g]), sorted(set(alive) - set(order[:g]))
    return [], sorted(order[:g]) if g > 1 else sorted(alive)


@wrong("next_move", says="the HIGHEST scores, the filters that are missed most")
def prunes_the_highest(scores, alive, space, threshold):
    "The most damaging filters go."
    order = sorted(space, key=lambda f: (-float(scores[f]), f))
    g = len(space) // 2
    if g == 0:
        return [], sorted(space)
    if float(scores[order[g - 1]]) < threshold:
        go = order[:g]
        return sorted(go), [f for f in sorted(alive) if f not in go]
    return [], sorted(order[:g]) if g > 1 else sorted(alive)


@wrong("next_move", says="filters outside the space forgotten: all SURVIVORS are searched next")
def rest_of_the_space_next(scores, alive, space, threshold):
    "After pruning it goes on in the rest of the space, not in all survivors."
    order = by_score(scores, space)
    g = len(space) // 2
    if g == 0:
        return [], sorted(space)
    if float(scores[order[g - 1]]) < threshold:
        return sorted(order[:g]), sorted(order[g:])
    return [], sorted(order[:g]) if g > 1 else sorted(alive)


@wrong("next_move", says="pruned filters searched again: survivors only")
def pruned_still_in_the_next_space(scores, alive, space, threshold):
    "Forgets to take the pruned ones out of alive."
    order = by_score(scores, space)
    g = len(space) // 2
    if g == 0:
        return [], sorted(space)
    if float(scores[order[g - 1]]) < threshold:
        return sorted(order[:g]), sorted(alive)
    return [], sorted(order[:g]) if g > 1 else sorted(alive)


@wrong("next_move", says="the pruned half as the next space")
def pruned_half_is_the_next_space(scores, alive, space, threshold):
    "Narrows the search in any case, also when the half has gone."
    order = by_score(scores, space)
    g = len(space) // 2
    if g == 0:
        return [], sorted(space)
    low = sorted(order[:g])
    if float(scores[order[g - 1]]) < threshold:
        return low, low
    return [], low if g > 1 else sorted(alive)


@wrong("next_move", says="places in the space in place of the filters' numbers")
def positions_within_the_space(scores, alive, space, threshold):
    "argsort of scores[space] gives positions; they're returned as filters."
    space = sorted(space)
    g = len(space) // 2
    if g == 0:
        return [], list(space)
    s = scores[torch.as_tensor(space)]
    order = torch.argsort(s, stable=True)
    low = sorted(order[:g].tolist())
    if s[order[g - 1]].item() < threshold:
        return low, sorted(set(alive) - set(low))
    return [], low if g > 1 else sorted(alive)


@wrong("next_move", says="the lowest of ALL filters that are there: only the search space was searched")
def ranks_all_that_are_alive(scores, alive, space, threshold):
    "Takes the g lowest of all alive, not of the space."
    order = by_score(scores, alive)
    g = len(space) // 2
    if g == 0:
        return [], sorted(space)
    if float(scores[order[g - 1]]) < threshold:
        return sorted(order[:g]), sorted(order[g:])
    return [], sorted(order[:g]) if g > 1 else sorted(alive)


@wrong("next_move", says="as many as half of ALL filters that are there, in place of half of the search space")
def half_of_alive(scores, alive, space, threshold):
    "g is half of the filters alive, not of the space."
    order = by_score(scores, space)
    g = min(len(alive) // 2, len(space))
    if g == 0 or len(space) < 2:
        return [], sorted(space)
    if float(scores[order[g - 1]]) < threshold:
        return sorted(order[:g]), sorted(set(alive) - set(order[:g]))
    return [], sorted(order[:g]) if g > 1 else sorted(alive)


@wrong("next_move", says="as many as half of the whole layer, in place of half of the search space")
def half_of_the_whole_layer(scores, alive, space, threshold):
    "g is half of len(scores); a layer with few filters left is emptied."
    order = by_score(scores, space)
    g = min(len(scores) // 2, len(space))
    if len(space) < 2:
        return [], sorted(space)
    if float(scores[order[g - 1]]) < threshold:
        return sorted(order[:g]), sorted(set(alive) - set(order[:g]))
    return [], sorted(order[:g]) if g > 1 else sorted(alive)


@wrong("next_move", says="half rounded up: floor")
def half_rounded_up_in_the_search(scores, alive, space, threshold):
    "g = ceil(|S| / 2)."
    order = by_score(scores, space)
    if len(space) < 2:
        return [], sorted(space)
    g = (len(space) + 1) // 2
    if float(scores[order[g - 1]]) < threshold:
        return sorted(order[:g]), sorted(set(alive) - set(order[:g]))
    return [], sorted(order[:g]) if g > 1 else sorted(alive)


@wrong("next_move", says="the next score, the (g + 1)-th, compared with the threshold")
def next_after_the_gth(scores, alive, space, threshold):
    "Off by one: v = sorted[g], the (g + 1)-th smallest."
    order = by_score(scores, space)
    g = len(space) // 2
    if g == 0:
        return [], sorted(space)
    if float(scores[order[g]]) < threshold:
        return sorted(order[:g]), sorted(set(alive) - set(order[:g]))
    return [], sorted(order[:g]) if g > 1 else sorted(alive)


@wrong("next_move", says="the lowest score compared with the threshold: v is the largest of the half")
def smallest_score_decides(scores, alive, space, threshold):
    "v is the smallest score: one harmless filter takes the others along."
    order = by_score(scores, space)
    g = len(space) // 2
    if g == 0:
        return [], sorted(space)
    if min(float(scores[f]) for f in space) < threshold:
        return sorted(order[:g]), sorted(set(alive) - set(order[:g]))
    return [], sorted(order[:g]) if g > 1 else sorted(alive)


@wrong("next_move", says="the half's mean compared with the threshold: v is its largest score")
def mean_of_the_low_half_decides(scores, alive, space, threshold):
    "Compares the mean of the g lowest."
    order = by_score(scores, space)
    g = len(space) // 2
    if g == 0:
        return [], sorted(space)
    low = order[:g]
    if sum(float(scores[f]) for f in low) / g < threshold:
        return sorted(low), sorted(set(alive) - set(low))
    return [], sorted(low) if g > 1 else sorted(alive)


@wrong("next_move", says="the half's sum compared with the threshold: v is its largest score")
def sum_of_the_low_half_decides(scores, alive, space, threshold):
    "Compares the sum of the g lowest."
    order = by_score(scores, space)
    g = len(space) // 2
    if g == 0:
        return [], sorted(space)
    low = order[:g]
    if sum(float(scores[f]) for f in low) < threshold:
        return sorted(low), sorted(set(alive) - set(low))
    return [], sorted(low) if g > 1 else sorted(alive)


@wrong("next_move", says="only those of the half pruned that are below the threshold: it goes as a whole")
def those_of_the_half_below_the_threshold_go(scores, alive, space, threshold):
    "Prunes those of the low half that are below, even if v isn't."
    g = len(space) // 2
    if g == 0:
        return [], sorted(space)
    low = by_score(scores, space)[:g]
    go = sorted(f for f in low if float(scores[f]) < threshold)
    if go:
        return go, sorted(set(alive) - set(go))
    return [], sorted(low) if g > 1 else sorted(alive)


@wrong("next_move", says="the same space again: where nothing goes the search gets finer")
def equal_scores_all_go(scores, alive, space, threshold):
    "Takes all with a score <= v, so that equal ones go beyond g."
    g = len(space) // 2
    if g == 0:
        return [], sorted(space)
    v = sorted(float(scores[f]) for f in space)[g - 1]
    low = sorted(f for f in space if float(scores[f]) <= v)
    if v < threshold:
        return low, sorted(set(alive) - set(low))
    return [], low if g > 1 else sorted(alive)


@wrong("next_move", says="only those BELOW v: v's own filter belongs to the half")
def only_those_below_v(scores, alive, space, threshold):
    "Takes those with a score < v: the g-th itself is left."
    g = len(space) // 2
    if g == 0:
        return [], sorted(space)
    v = sorted(float(scores[f]) for f in space)[g - 1]
    low = sorted(f for f in space if float(scores[f]) < v)
    if v < threshold:
        return low, sorted(set(alive) - set(low))
    return [], low if g > 1 else sorted(alive)


@wrong("next_move", says="of equal scores the LARGER filter first: the smaller one")
def of_equal_scores_the_larger_filter(scores, alive, space, threshold):
    "Of equal scores the larger number first."
    order = sorted(space, key=lambda f: (float(scores[f]), -f))
    g = len(space) // 2
    if g == 0:
        return [], sorted(space)
    if float(scores[order[g - 1]]) < threshold:
        return sorted(order[:g]), sorted(set(alive) - set(order[:g]))
    return [], sorted(order[:g]) if g > 1 else sorted(alive)


@wrong("next_move", says="of equal scores the one first that comes first in the space: the smaller FILTER")
def of_equal_scores_the_first_in_the_space(scores, alive, space, threshold):
    "A stable sort of the space as it comes: equal ones by position, not by number."
    order = sorted(space, key=lambda f: float(scores[f]))
    g = len(space) // 2
    if g == 0:
        return [], sorted(space)
    if float(scores[order[g - 1]]) < threshold:
        return sorted(order[:g]), sorted(set(alive) - set(order[:g]))
    return [], sorted(order[:g]) if g > 1 else sorted(alive)


@wrong("next_move", says="lists in the order of the scores: by number")
def pruned_in_order_of_score(scores, alive, space, threshold):
    "Doesn't sort the lists by number."
    order = by_score(scores, space)
    g = len(space) // 2
    if g == 0:
        return [], list(space)
    if float(scores[order[g - 1]]) < threshold:
        return order[:g], sorted(set(alive) - set(order[:g]))
    return [], order[:g] if g > 1 else sorted(alive)


@wrong("next_move", says="survivors in the order in which they came: by number")
def alive_left_in_its_order(scores, alive, space, threshold):
    "Thinks that alive is sorted already."
    order = by_score(scores, space)
    g = len(space) // 2
    if g == 0:
        return [], sorted(space)
    if float(scores[order[g - 1]]) < threshold:
        return sorted(order[:g]), [f for f in alive if f not in order[:g]]
    return [], sorted(order[:g]) if g > 1 else list(alive)


@wrong("next_move", says="lists that are not in increasing order: sort them, a set has no order")
def order_of_a_set(scores, alive, space, threshold):
    "list(set(...)) is in increasing order only for small numbers."
    order = by_score(scores, space)
    g = len(space) // 2
    if g == 0:
        return [], list(set(space))
    low = set(order[:g])
    if float(scores[order[g - 1]]) < threshold:
        return list(low), list(set(alive) - low)
    return [], list(low) if g > 1 else list(set(alive))


@wrong("next_move", says="a space of the one lowest filter, in which nothing can be found: begin again with all")
def narrows_down_to_one(scores, alive, space, threshold):
    "g >= 1 in place of g > 1."
    order = by_score(scores, space)
    g = len(space) // 2
    if g == 0:
        return [], sorted(space)
    if float(scores[order[g - 1]]) < threshold:
        return sorted(order[:g]), sorted(set(alive) - set(order[:g]))
    return [], sorted(order[:g])


@wrong("next_move", says="the upper half searched next: look closer at the LOWEST")
def searches_the_upper_half_next(scores, alive, space, threshold):
    "Goes into the wrong half, as a binary search for a larger value would."
    order = by_score(scores, space)
    g = len(space) // 2
    if g == 0:
        return [], sorted(space)
    if float(scores[order[g - 1]]) < threshold:
        return sorted(order[:g]), sorted(set(alive) - set(order[:g]))
    return [], sorted(order[g:]) if g > 1 else sorted(alive)


@wrong("next_move", says="no space at all where g = 1 fails: begin with all that are there")
def search_ends_empty(scores, alive, space, threshold):
    "Thinks that the search is over when a space of two fails: an empty space."
    order = by_score(scores, space)
    g = len(space) // 2
    if g == 0:
        return [], sorted(space)
    if float(scores[order[g - 1]]) < threshold:
        return sorted(order[:g]), sorted(set(alive) - set(order[:g]))
    return [], sorted(order[:g]) if g > 1 else []


@wrong("next_move", says="the same space again: where g = 1 fails, begin with ALL that are there")
def small_space_stays(scores, alive, space, threshold):
    "With g = 1 and v above the same space is searched again, not all alive."
    order = by_score(scores, space)
    g = len(space) // 2
    if g == 0:
        return [], sorted(space)
    if float(scores[order[g - 1]]) < threshold:
        return sorted(order[:g]), sorted(set(alive) - set(order[:g]))
    return [], sorted(order[:g]) if g > 1 else sorted(space)


@wrong("next_move", says="a space of one filter searched with all the others again: it stays as it is")
def space_of_one_reset(scores, alive, space, threshold):
    "A space of one filter is put back to all alive, where it must stay."
    g = len(space) // 2
    order = by_score(scores, space)
    if g >= 1 and float(scores[order[g - 1]]) < threshold:
        return sorted(order[:g]), sorted(set(alive) - set(order[:g]))
    return [], sorted(order[:g]) if g > 1 else sorted(alive)


@wrong("next_move", says="the only filter pruned: a space of one filter is left alone")
def space_of_one_pruned(scores, alive, space, threshold):
    "max(1, |S| // 2): the only filter may go, and the layer becomes empty if it was the last."
    if len(space) == 0:
        return [], []
    order = by_score(scores, space)
    g = max(1, len(space) // 2)
    if float(scores[order[g - 1]]) < threshold:
        return sorted(order[:g]), sorted(set(alive) - set(order[:g]))
    return [], sorted(order[:g]) if g > 1 else sorted(alive)


@wrong("next_move", says="a space of one filter (g = 0) is left alone, so that no layer vanishes: nothing goes, it i")
def kthvalue_of_zero_fails(scores, alive, space, threshold):
    "torch.kthvalue(0) fails for a space of one."
    space = sorted(space)
    g = len(space) // 2
    v = scores[torch.as_tensor(space)].kthvalue(g).values.item()
    low = sorted(by_score(scores, space)[:g])
    if v < threshold:
        return low, sorted(set(alive) - set(low))
    return [], low if g > 1 else sorted(alive)


@wrong("next_move", says="filters that were never ablated left out of the space: they count, too")
def infinite_ones_left_out_of_the_space(scores, alive, space, threshold):
    "Drops the filters with infinite scores before it counts |S|."
    space = [f for f in space if math.isfinite(float(scores[f]))]
    order = by_score(scores, space)
    g = len(space) // 2
    if g == 0:
        return [], sorted(space)
    if float(scores[order[g - 1]]) < threshold:
        return sorted(order[:g]), sorted(set(alive) - set(order[:g]))
    return [], sorted(order[:g]) if g > 1 else sorted(alive)


@wrong("next_move", says="filters that were never ablated taken for 0: they are infinitely important")
def infinite_as_zero(scores, alive, space, threshold):
    "Replaces infinite by 0, as for 'no damage seen': the untested go first."
    scores = torch.nan_to_num(scores, posinf=0.0)
    order = by_score(scores, space)
    g = len(space) // 2
    if g == 0:
        return [], sorted(space)
    if float(scores[order[g - 1]]) < threshold:
        return sorted(order[:g]), sorted(set(alive) - set(order[:g]))
    return [], sorted(order[:g]) if g > 1 else sorted(alive)


@wrong("next_move", says="`alive` was changed: its values are others afterwards. Work on a copy, or with operations")
def removes_from_alive(scores, alive, space, threshold):
    "Takes the pruned filters out of the caller's list."
    order = by_score(scores, space)
    g = len(space) // 2
    if g == 0:
        return [], sorted(space)
    if float(scores[order[g - 1]]) < threshold:
        for f in order[:g]:
            alive.remove(f)
        return sorted(order[:g]), sorted(alive)
    return [], sorted(order[:g]) if g > 1 else sorted(alive)


@wrong("next_move", says="`space[0]` was changed: its values are others afterwards. Work on a copy, or with operatio")
def sorts_the_space_in_place(scores, alive, space, threshold):
    "space.sort(key=...) sorts the caller's list."
    space.sort(key=lambda f: (float(scores[f]), f))
    g = len(space) // 2
    if g == 0:
        return [], list(space)
    low = sorted(space[:g])
    if float(scores[space[g - 1]]) < threshold:
        return low, sorted(set(alive) - set(low))
    return [], low if g > 1 else sorted(alive)


@wrong("next_move", says="`scores` was changed: its values are others afterwards. Work on a copy, or with operations")
def overwrites_scores(scores, alive, space, threshold):
    "Sets the scores outside of the space to inf in the caller's tensor."
    g = len(space) // 2
    inside = torch.zeros_like(scores, dtype=torch.bool)
    inside[list(space)] = True
    scores[~inside] = float("inf")
    if g == 0:
        return [], sorted(space)
    order = by_score(scores, space)
    if float(scores[order[g - 1]]) < threshold:
        return sorted(order[:g]), sorted(set(alive) - set(order[:g]))
    return [], sorted(order[:g]) if g > 1 else sorted(alive)


@wrong("next_move", says="return a list of whole numbers")
def returns_tensors(scores, alive, space, threshold):
    "Returns LongTensors."
    space_t = torch.as_tensor(sorted(space), dtype=torch.long)
    alive_t = torch.as_tensor(sorted(alive), dtype=torch.long)
    none = alive_t[:0]
    g = len(space_t) // 2
    if g == 0:
        return none, space_t
    values, idx = torch.sort(scores[space_t], stable=True)
    low = space_t[idx[:g]].sort().values
    if values[g - 1] < threshold:
        return low, alive_t[~torch.isin(alive_t, low)]
    return none, low if g > 1 else alive_t


@wrong("next_move", says="the lowest half KEPT, and all others pruned")
def answers_swapped(scores, alive, space, threshold):
    "(next space, pruned) in place of (pruned, next space)."
    order = by_score(scores, space)
    g = len(space) // 2
    if g == 0:
        return sorted(space), []
    if float(scores[order[g - 1]]) < threshold:
        return sorted(set(alive) - set(order[:g])), sorted(order[:g])
    return (sorted(order[:g]) if g > 1 else sorted(alive)), []


@wrong("next_move", says="everything in the space pruned")
def whole_space_goes(scores, alive, space, threshold):
    "The whole space goes when v is below."
    order = by_score(scores, space)
    g = len(space) // 2
    if g == 0:
        return [], sorted(space)
    if float(scores[order[g - 1]]) < threshold:
        return sorted(space), sorted(set(alive) - set(space))
    return [], sorted(order[:g]) if g > 1 else sorted(alive)


@wrong("next_move", says="all filters of the LAYER searched next: those pruned earlier are gone")
def all_filters_of_the_layer_come_back(scores, alive, space, threshold):
    "Survivors are all numbers of the layer but the pruned ones; filters pruned before come back."
    order = by_score(scores, space)
    g = len(space) // 2
    if g == 0:
        return [], sorted(space)
    if float(scores[order[g - 1]]) < threshold:
        low = set(order[:g])
        return sorted(low), [f for f in range(len(scores)) if f not in low]
    return [], sorted(order[:g]) if g > 1 else sorted(alive)


@wrong("next_move", says="scores cut to whole numbers")
def scores_cut_to_integers(scores, alive, space, threshold):
    "int(score): the fraction is lost (and inf fails, so it's put at the end)."
    value = {f: int(scores[f]) if math.isfinite(float(scores[f])) else math.inf for f in space}
    order = sorted(space, key=lambda f: (value[f], f))
    g = len(space) // 2
    if g == 0:
        return [], sorted(space)
    if value[order[g - 1]] < threshold:
        return sorted(order[:g]), sorted(set(alive) - set(order[:g]))
    return [], sorted(order[:g]) if g > 1 else sorted(alive)


@wrong("next_move", says="yours:    ([2, 5, 8], [0, 1, 3, 4, 6, 7, 9, 10])")
def scores_by_position_in_the_space(scores, alive, space, threshold):
    "Reads scores[i] for the i-th filter of the space."
    space = sorted(space)
    pairs = sorted((float(scores[i]), f) for i, f in enumerate(space))
    g = len(space) // 2
    if g == 0:
        return [], space
    low = sorted(f for _, f in pairs[:g])
    if pairs[g - 1][0] < threshold:
        return low, sorted(set(alive) - set(low))
    return [], low if g > 1 else sorted(alive)


@right("next_move")
def sorted_with_a_key(scores, alive, space, threshold):
    "sorted() by (score, number)."
    g = len(space) // 2
    if g == 0:
        return [], sorted(space)
    low = sorted(space, key=lambda f: (scores[f].item(), f))[:g]
    if scores[low[-1]].item() < threshold:
        return sorted(low), sorted(set(alive) - set(low))
    return [], sorted(low) if g > 1 else sorted(alive)


@right("next_move")
def stable_argsort(scores, alive, space, threshold):
    "A stable argsort of the scores of the sorted space."
    space_t = torch.tensor(sorted(space), dtype=torch.long, device=scores.device)
    g = space_t.numel() // 2
    if g < 1:
        return [], space_t.tolist()
    order = torch.argsort(scores[space_t], stable=True)
    v = scores[space_t[order[g - 1]]].item()
    low = space_t[order[:g]].sort().values.tolist()
    if v < threshold:
        gone = set(low)
        return low, [f for f in sorted(alive) if f not in gone]
    if g > 1:
        return [], low
    return [], sorted(alive)


@right("next_move")
def heap_of_pairs(scores, alive, space, threshold):
    "heapq.nsmallest of (score, filter) pairs."
    values = scores.tolist()
    low = heapq.nsmallest(len(space) // 2, ((values[f], f) for f in space))
    filters = sorted(f for _, f in low)
    if not low:
        return [], sorted(space)
    if low[-1][0] < threshold:
        return filters, sorted(f for f in alive if f not in filters)
    return [], filters if len(filters) > 1 else sorted(alive)


@right("next_move")
def numpy_lexsort(scores, alive, space, threshold):
    "np.lexsort by score, then by number."
    s = scores.detach().cpu().double().numpy()
    sp = np.array(list(space), dtype=np.int64)
    g = len(sp) // 2
    order = sp[np.lexsort((sp, s[sp]))]
    low = np.sort(order[:g])
    if g == 0:
        return [], np.sort(sp).tolist()
    if float(s[order[g - 1]]) < threshold:
        return low.tolist(), np.setdiff1d(np.array(list(alive), dtype=np.int64), low).tolist()
    return [], (low if g > 1 else np.sort(np.array(list(alive), dtype=np.int64))).tolist()


@right("next_move")
def repeated_minimum(scores, alive, space, threshold):
    "Takes the minimum g times from a copy."
    rest, low = sorted(space), []
    v = None
    for _ in range(len(space) // 2):
        best = rest[0]
        for f in rest[1:]:
            if float(scores[f]) < float(scores[best]):
                best = f
        rest.remove(best)
        low.append(best)
        v = float(scores[best])
    low.sort()
    if v is None:
        return [], sorted(space)
    if v < threshold:
        return low, [f for f in sorted(alive) if f not in low]
    return [], low if len(low) > 1 else sorted(alive)


@right("next_move")
def whole_layer_masked_and_sorted_twice(scores, alive, space, threshold):
    "kthvalue for v, then those below v and as many equal ones as fit, in order of number."
    filters = sorted(space)
    g = len(filters) // 2
    if g == 0:
        return [], filters
    inside = scores[torch.tensor(filters, device=scores.device)]
    v = inside.kthvalue(g).values.item()
    values = inside.tolist()
    below = [f for f, s in zip(filters, values, strict=True) if s < v]
    equal = [f for f, s in zip(filters, values, strict=True) if s == v]
    low = sorted(below + equal[: g - len(below)])
    if v < threshold:
        return low, sorted(f for f in alive if f not in low)
    return ([], low) if g > 1 else ([], sorted(alive))


@right("next_move")
def inserted_by_bisect(scores, alive, space, threshold):
    "A sorted list of pairs that is filled by bisect, and a match on g."
    pairs = []
    for f in space:
        bisect.insort(pairs, (float(scores[f]), int(f)))
    low = pairs[: len(pairs) // 2]
    gone = sorted(f for _, f in low)
    match len(low):
        case 0:
            return [], sorted(space)
        case _ if low[-1][0] < threshold:
            return gone, sorted(set(alive).difference(gone))
        case 1:
            return [], sorted(alive)
        case _:
            return [], gone
