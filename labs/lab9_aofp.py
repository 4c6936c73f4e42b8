# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lab 9: how wide should a layer be? Approximated oracle filter pruning
#
# In lab 3 every layer lost the same share of its filters. In lab 4 you drew curves to see which layers mind, and a
# narrow network from random weights did about as well as the pruned one. So perhaps it is less the *filters* that
# matter than the *shape* of what is left. But who chooses the shape? Today nobody does. While the network trains, every
# layer is asked in each batch whether it could do without some of its filters, and those that are missed least go.
#
# The method is AOFP, *approximated oracle filter pruning* (Ding et al., ICML 2019,
# [paper](https://proceedings.mlr.press/v97/ding19a.html)). Its search is made of four functions. You write them.
#
# **Afterwards you can**
# - measure what some filters are worth at the layer that reads them, while training goes on;
# - find the worth of a single filter from what random groups of filters do;
# - search for filters to prune with a step that gets finer by itself;
# - hand in a network whose widths nobody has chosen, and say whether the search was worth it.
#
# **You need** labs 0, 3 and 4; for part 7 (extra) also lab 5.
#
# | part | exercise | minutes | |
# |---|---|---|---|
# | 1 | `random_half` | 10 | core |
# | 2 | `damage` | 20 | core |
# | 3 | `credit`, and a prediction | 15 | core |
# | 4 | `next_move` | 20 | core |
# | 5 | the network you hand in, and one search replayed | 15 | core |
# | 6 | does it pay? | 5 | core |
# | 7 | how good is the approximation? | 10 | extra |
# | 8 | a network designed anew | 10 | extra |
# | 9 | two questions | 15 | core |
#
# Run a cell with Shift-Enter. After every exercise there is a `check`: it tells you at once what is right,
# and what is probably the matter when something is not. You can run it as often as you like.

# %%
import torch
from torch import Tensor, nn

from course_utils.baseline import baseline
from course_utils.checking import check
from course_utils.checkpoints import describe, load_network, save_network
from course_utils.modes import evaluating
from course_utils.onnx_files.export import export_onnx
from course_utils.onnx_files.measuring import measure_onnx
from course_utils.pictures import aofp_plots, budget_plots, plots, study_plots, tables
from course_utils.pictures.search_explorer import search_explorer
from course_utils.training import evaluate
from minicifar import Loader, MiniCIFAR

# %% [markdown]
# From the course you get what works on any network: which layer reads what another one makes, and the training in which
# your functions are called.

# %%
from solutions.aofp_search import Kernels
from solutions.aofp_training import aofp
from solutions.followers import targets
from solutions.graph.export import export_graph
from solutions.prunable import prunable_groups
from solutions.ranks import spearman

# %%
train_images, val_images, test_images = MiniCIFAR("train"), MiniCIFAR("val"), MiniCIFAR("test")
print(train_images.source.description)
network = baseline(train_images)
example = torch.zeros(1, 3, 32, 32)
found, _ = targets(network, prunable_groups(network, example), export_graph(network, example))
for target in found:
    print(f"{target.name:12} has {target.group.channels:3} filters, read by {target.follower}")

# %% [markdown]
# ## 1. Which filters are asked?   (10 min)
#
# A filter's worth is what is missing without it. Lab 5's *oracle* looks at the loss at the very end of the network, one
# run over the images for each filter. AOFP makes it cheap in two ways.
#
# *It looks only as far as the next layer.* We call the layer whose filters are in question the **target**, and the one
# that reads its feature maps its **follower**. Zero some of the target's maps, and see how much the follower's output
# changes: nothing behind it has to be computed.
#
# *It asks for many filters at once.* In each batch a **random half** of the filters that are being searched, the
# **search space** $S$, is ablated: $\lfloor |S| / 2 \rfloor$ of them, drawn without replacement. A filter is in some of
# these halves and not in others, and from that its own worth will come out.

# %% [markdown]
# **Exercise.** Write `random_half`. The search space is a list of filters, by number, and need not be 0, 1, 2, …:
# later there will be gaps.
#
# <details><summary>Hint 1: where do I start?</summary>
# Shuffle <em>places</em> in the list, not filters: <code>torch.randperm(len(space), …)</code>.
# </details>
# <details><summary>Hint 2: a seed that nobody else notices</summary>
# <code>torch.manual_seed</code> would change all random numbers that come later, also those of the training. A
# generator of your own does not: <code>torch.Generator().manual_seed(seed)</code>; hand it over as
# <code>generator=…</code>.
# </details>
# <details><summary>Hint 3: nearly there</summary>
# The first <code>len(space) // 2</code> places, <code>.tolist()</code>, then <code>space[place]</code> for each of
# them, sorted.
# </details>

# %% tags=["exercise"]
from solutions.aofp import random_half

# %%
space = [0, 1, 2, 3, 8, 9, 12, 15]
for seed in range(4):
    print(f"seed {seed}: ablate {random_half(space, seed)}")

# %% [markdown]
# ## 2. What is missing?   (20 min)
#
# Let $y$ be the follower's output with all filters that are left, and $\hat y$ the one without the half as well, both
# behind the batch norm and ReLU, if the follower has them. The **damage** is what is missing, relative to what there
# was:
# $$ t = \frac{\lVert m \cdot (y - \hat y) \rVert^2}{\lVert m \cdot y \rVert^2} , $$
# with sums over all images, channels and positions. A difference in either direction counts, so $t$ may exceed 1. The
# division makes layers comparable: it does not matter whether a layer's numbers are large or small.
#
# And $m$? The follower is being pruned, too. Some of *its* filters are gone already, but they are only masked while we
# search, so their maps are still computed. Nobody reads them, and they must not count: $m$ has a 1 for each of the
# follower's channels that is still there, and a 0 for the others (or True and False: masks come in both kinds).

# %% [markdown]
# **Exercise.** Write `damage`. The output may be feature maps (N, C, H, W), or of a linear layer (N, C). It returns a
# Python number.
#
# <details><summary>Hint 1: where do I start?</summary>
# With the mask in a shape that fits both: <code>mask.view(-1, 1, 1)</code> lies along the channels of a tensor
# (N, C, H, W), <code>mask.view(-1)</code> along those of (N, C). For any number of axes:
# <code>mask.view([-1] + [1] * (base.ndim - 2))</code>.
# </details>
# <details><summary>Hint 2: squared norms</summary>
# <code>x.square().sum()</code>, one sum over everything; no mean, no root. <code>.item()</code> makes a Python number
# of it.
# </details>
# <details><summary>Hint 3: nothing there</summary>
# A division by 0 gives no number. If m · y is zero everywhere we say 0, whatever the ablated output is.
# </details>

# %% tags=["exercise"]
from solutions.aofp import damage

# %% [markdown]
# Let us look at the five layers that another convolution reads. Forty random halves each, on 16 training images (in
# eval mode); then a random quarter and an eighth of the filters.

# %% tags=["slow"]
few, _ = next(iter(Loader(train_images, batch_size=16, shuffle=True, seed=0)))
places = [place for place, layer in enumerate(network.features) if isinstance(layer, nn.Conv2d)]


def missing(place, halves, gone=()):
    """The damages to the next layer's output of ablating each of `halves` in the layer at `place`."""
    following = places[places.index(place) + 1]
    with evaluating(network), torch.no_grad():
        maps = network.features[:following](few).clone()
        maps[:, list(gone)] = 0
        follower = network.features[following : following + 3]  # convolution, batch norm, ReLU
        base, damages = follower(maps), []
        mask = torch.ones(base.shape[1])
        for half in halves:
            ablated = maps.clone()
            ablated[:, half] = 0
            damages.append(damage(base, follower(ablated), mask))
    return damages


def thinned(filters, halvings, seed):
    """Some filters: halved at random again and again."""
    for step in range(halvings):
        filters = random_half(filters, 10 * seed + step)
    return filters


# %% tags=["slow"]
drawing, axes = plots.figure(3, width=2.9, height=2.7, sharey=True)
for axis, (halvings, share) in zip(axes, ((1, "half"), (2, "quarter"), (3, "eighth")), strict=True):
    for number, place in enumerate(places[:-1]):
        filters = list(range(network.features[place].out_channels))
        some = missing(place, [thinned(filters, halvings, seed) for seed in range(40)])
        axis.plot([number] * 40, some, "_", color=plots.COLOURS["AOFP"], alpha=0.6)
    axis.set_xticks(range(5), [f"{place}" for place in places[:-1]])
    axis.set(title=f"a random {share} ablated", xlabel="layer (features.…)", yscale="log")
axes[0].set_ylabel("damage")
plots.say_source(drawing, train_images)
drawing

# %% [markdown]
# Half of a layer is a lot to miss. But look at the spread: the worst half does one and a half to three times the damage
# of the best, and of eighths in the first layer one does several times the damage of another. There it matters who
# goes.
#
# ## 3. From halves to filters   (15 min)
#
# Every filter has an account. When a half was ablated, its damage is added to the account of *each filter in that
# half*, and a counter says how often this filter was ablated. Its score is the mean: the damage of an average half that
# contains it. The others in the half are drawn anew each time, so that, if damages simply add up, their part becomes
# the same for every filter. (One that was never ablated counts as infinitely important.)

# %% [markdown]
# **Exercise.** Write `credit`. It changes both tensors in place and returns nothing.
#
# <details><summary>Hint</summary>
# Tensors can be indexed with a list of numbers, on the left of <code>+=</code> as well.
# </details>

# %% tags=["exercise"]
from solutions.aofp import credit

# %% [markdown]
# **Predict, then run.** The first layer has 32 filters, `features.14` has 128. We ablate a random half 5, 25, 100 and
# 400 times, credit the damages, and compare the order of the scores with that of each filter ablated *alone*. Write
# down before you run the cell:
# 1. How many times will each filter have been ablated after 25 batches?
# 2. What rank correlation do you expect in the first layer after 25 batches, and after 400? (1 is the same order, 0 is
#    chance.) And in the wide one?

# %% tags=["slow"]
for place in (0, 14):
    filters = list(range(network.features[place].out_channels))
    alone = torch.tensor(missing(place, [[filter] for filter in filters]))
    halves = [random_half(filters, seed) for seed in range(400)]
    damages = missing(place, halves)
    for batches in (5, 25, 100, 400):
        totals, counts = torch.zeros(len(filters)), torch.zeros(len(filters))
        for half, amount in zip(halves[:batches], damages[:batches], strict=True):
            credit(totals, counts, half, amount)
        scores = torch.where(counts > 0, totals / counts, torch.inf)
        print(
            f"features.{place} after {batches:3} batches: ablated {counts.min():.0f} to {counts.max():.0f} times, "
            f"rank correlation {spearman(scores, alone):.2f}"
        )

# %% [markdown]
# Were you right? A handful of batches says little: each filter's mean still carries the luck of its company. In the
# first layer the order gets better with every batch, and every batch is one that the network trains on anyway. In the
# wide layer it hardly does; question 1 asks why. And why halves at all, when 32 single ablations would give the exact
# order? Because filters go in groups. What counts is the damage in company, and that costs no extra run.
#
# ## 4. A search that gets finer by itself   (20 min)
#
# After $B$ batches all scores of the search space are there. Now what? *Binary filter search* takes the
# $g = \lfloor |S| / 2 \rfloor$ filters with the lowest scores. Let $v$ be the largest score among them, the $g$-th
# smallest of all. Besides $B$ there is one number to choose, the threshold $\theta$:
#
# | | what goes | what is searched next |
# |---|---|---|
# | $v < \theta$ | these $g$ filters | all filters that are left |
# | $v \geq \theta$, $g > 1$ | nothing | only these $g$ filters: a finer search |
# | $v \geq \theta$, $g = 1$ | nothing | all that are left: begin again |
# | $g = 0$ | nothing | the same one filter |
#
# The accounts begin at zero each time. So a layer that can do without half of its filters would lose half of them at
# one stroke, and one that cannot loses a quarter, an eighth, one, or none. The last line sees to it that no layer ever
# vanishes.

# %% [markdown]
# **Exercise.** Write `next_move`. It returns two lists of filters, both in increasing order.
#
# <details><summary>Hint 1: where do I start?</summary>
# Sort the space by score. <code>sorted(space, key=lambda number: (scores[number].item(), number))</code> has the
# smaller filter first where two scores are equal.
# </details>
# <details><summary>Hint 2: three cases and one more</summary>
# First g = 0. Then cut the sorted list at g, and compare the <em>last</em> score of what is in front with the
# threshold.
# </details>
# <details><summary>Hint 3: survivors</summary>
# Of <code>alive</code>, not of <code>space</code>: after a finer search the filters outside the space are still there,
# and are searched again. <code>sorted(set(alive) - set(lowest))</code>.
# </details>

# %% tags=["exercise"]
from solutions.aofp import next_move

# %% [markdown]
# That is the whole method. Here it is on one layer, all four functions in a row, with the network held still (training
# comes in part 5). Change `threshold` and `every`, and run it again.


# %% tags=["slow"]
def search(place, threshold, every, moves):
    """The search of one layer, a row for each move."""
    width = network.features[place].out_channels
    alive = space = list(range(width))
    rows = []
    for move in range(moves):
        if len(space) == 1:
            break
        gone = [number for number in range(width) if number not in alive]
        halves = [random_half(space, seed=every * move + batch) for batch in range(every)]
        totals, counts = torch.zeros(width), torch.zeros(width)
        for half, amount in zip(halves, missing(place, halves, gone), strict=True):
            credit(totals, counts, half, amount)
        scores = torch.where(counts > 0, totals / counts, torch.inf)
        lowest = scores[space].sort().values[: len(space) // 2]
        pruned, following = next_move(scores, alive, space, threshold)
        rows.append((str(move + 1), str(len(alive)), str(len(space)), f"{lowest[-1]:.3f}", str(len(pruned))))
        alive, space = [number for number in alive if number not in pruned], following
    return tables.Table(("move", "filters", "searched", "v", "pruned"), rows)


search(place=0, threshold=0.1, every=25, moves=10)

# %% [markdown]
# ## 5. The network you hand in   (15 min)
#
# `aofp` trains the network at a small constant learning rate, and calls your functions for all six layers in each batch
# (the last convolution has the linear layer as its follower). The *base path* is the training itself, with zeros for
# filters that are gone. The *scoring path* computes, without gradients and on the first 16 images of the batch, what
# the half gives to the follower (which is linear), and subtracts it; it uses the base path's batch statistics, and
# leaves no trace in the weights or in the batch norms. The layers begin one a little later than the other, and each
# makes its move after $B$ batches. If no layer has lost a filter in a whole search, theta doubles. The move that
# reaches half of the MACs takes only as many filters as are needed; then they are really cut out, and the rest of the
# epochs, a third at least, is finetuning with a new optimizer. The paper has $\theta$ = 0.01 and B = 1000, and trains
# for hundreds of epochs; with 0.1 and 20 a search fits into a few of ours.
#
# The cell below trains for about a minute, and saves the network with the history of its search (for you) and an ONNX
# file (for grading). **Hand in both files together with this notebook.** Cells like this one are not run again when
# your work is graded: the file is measured instead. You may change everything in it, as long as the network needs at
# most 50 % of the MACs. (While you make choices, look at the *validation* images.)

# %% tags=["train"]
loader = Loader(train_images, batch_size=64, shuffle=True, augment=True, seed=0)
mine = Kernels(random_half, damage, credit, next_move)
pruned, history = aofp(network, loader, budget=0.5, epochs=10, kernels=mine, every=20, threshold=0.1, seed=0)
save_network(pruned, "lab9_aofp.safetensors", history=history.pop("finetuning"), search=history, images=train_images)
export_onnx(pruned, "lab9_aofp.onnx", images=train_images)

# %%
pruned = load_network("lab9_aofp.safetensors")
history = describe("lab9_aofp.safetensors")["notes"]["search"]
print(f"the search took {history['batches']} batches, {len(history['moves'])} moves; widths of the original and found:")
plots.widths({"original": network, "AOFP": pruned})

# %% [markdown]
# Nobody has told it which layers to spare. Here is how it came about, in the two pictures of the authors' poster: the
# share of the filters that is left in each layer, and the widths of all layers every 25 batches. When we ran this,
# nothing happened for two searches: a half and a quarter were too much for every layer. In the third each lost an
# eighth, and from then on the layers parted.


# %% tags=["slow"]
aofp_plots.filters_left(history, images=train_images)

# %% tags=["slow"]
aofp_plots.widths_over_time(history, every=25, images=train_images)

# %% [markdown]
# And one layer's search, batch by batch. Press play, or move the slider: the bars are the scores so far, light blue is
# the half that is ablated just now, dark blue the rest of the search space. Watch what becomes of the space when a
# search ends. (`"features.17"` is the layer that loses most, with 128 bars.)

# %% tags=["slow"]
search_explorer(history, "features.0", credit)

# %% tags=["slow"]
unseen = Loader(val_images, batch_size=400)
print(f"validation accuracy: {evaluate(network, unseen).accuracy:.1%} → {evaluate(pruned, unseen).accuracy:.1%}")
export_onnx(network, "lab9_original.onnx", images=train_images)
tables.comparison(
    measure_onnx("lab9_original.onnx", test_images), measure_onnx("lab9_aofp.onnx", test_images), images=test_images
)

# %% [markdown]
# **The network you hand in.** This check shows the very numbers and points that grading will give.

# %% tags=["artifact"]
check("lab9_aofp_onnx")

# %% [markdown]
# ## 6. Does it pay?   (5 min)
#
# Your network has lost little with half of its MACs. But so had that of lab 3, whose layers all lost the same share.
# Was it worth the search? Only who had the same epochs can say. We did it for you (`python -m studies.budgets`), with
# three seeds: 25 epochs for the unpruned network, then 30 more, AOFP's search among them, down to 50, 25, 14 and 5 % of
# the MACs. *Uniform* is lab 3's way, by L1 at once, or *gradually*, a little after each of as many epochs as AOFP
# searched. Networks from random weights have all 55 epochs.

# %% tags=["slow"]
compared = ("AOFP", "AOFP's widths, from scratch", "uniform, L1", "uniform, L1, gradually", "uniform, from scratch")
study = budget_plots.chosen(study_plots.recorded_study("budgets"), compared)
budget_plots.budget_curves(study)

# %% tags=["slow"]
budget_plots.budget_table(study)

# %% [markdown]
# (After surgery: the accuracy before finetuning. Search: in batches. Cost: of the whole training by its MACs, in epochs
# of the unpruned network; who trains a narrow network from the start pays least by far.)
#
# Read it in three steps. With half or a quarter of the MACs nobody is ahead of anybody by more than the seeds differ.
# At 14 and 5 % AOFP is ahead of uniform widths from random weights, with every seed and by a point on average; at 14 %
# that is more than the seeds differ, at 5 % it is not: one of the three searches left four filters in the first layer,
# and that network never caught up. So the search was worth it? Look who else is ahead: plain L1, by nearly as much at
# 14 % and by more at 5 %. And *AOFP's own widths*, from random weights, are no better than uniform ones (85.8 and 85.8
# %, 83.6 and 83.4 %). So it is not the shape that makes the difference here, but the weights that were kept, and the
# epochs that they had in the wide network. In larger networks that may be another matter: part 8 has what the authors
# found.
#
# And a residual network? In `resnet20` only the inner layers of the blocks have a single follower and can be searched,
# so there is one line more: the same share of these layers alone (*inside*). One seed only:

# %% tags=["slow"]
budget_plots.budget_table(study_plots.recorded_study("budgets_resnet20"))

# %% [markdown]
# With half of the MACs all lie within about a point. With a quarter AOFP is as good as the same share inside from
# random weights (85.5 %), its own widths from random weights are worst of all (83.8 %), and best is L1, the same share
# inside (86.7 %). The search took more from the last blocks (8, 8 and 6 filters are left, in place of 14) and less from
# the middle ones. So again: not the shape.
#
# ## 7. How good is the approximation?   (10 min, extra)
#
# On the left AOFP's scores beside lab 5's oracle, the change of the *loss* without a filter; on the right beside each
# filter's own damage, ablated alone. A line for each layer, black is their mean (`python -m studies.oracle_agreement`,
# three seeds; all filters are one search space, and nothing is pruned). In part 3 the network was held still; here it
# trains on, as it does in the search.

# %% tags=["slow"]
aofp_plots.agreement_curves(study_plots.recorded_study("aofp_agreement"))

# %% [markdown]
# Look at the costs first: after 320 batches scoring has cost as much as 2,500 forward passes of an image, and the
# oracle on 512 images 230,000. But what does one get for it? After the 20 batches of one search a rank correlation of
# 0.11 with the oracle, after 320 batches 0.27. Two things are lost on the way:
# - *The damage at the next layer is not the change of the loss.* Measured for each filter alone and exactly it agrees
#   with the oracle to 0.58, the dashed line.
# - *The mean damage of halves is not the damage of one filter.* That is the picture on the right. After 320 batches the
#   first layer has 0.84 there, `features.14` −0.09; after the 20 of one search 0.35 and −0.05.
#
# And here nobody needs a cheap oracle. On a network as small as ours the exact one on a *single* image is 449 forward
# passes, less than AOFP's 2,500, and agrees better (0.37 when we tried, `benchmarks/aofp.py`). What speaks for AOFP is
# its price, a seventh of the time of a training step (1.15 times a plain one, measured on one thread), in networks of
# any size, wherever one layer makes the maps and one reads them.
#
# ## 8. A network designed anew   (10 min, extra)
#
# One may also widen first, and prune back to the same cost. Make the inner layers of all blocks of a residual network
# 1.25 times as wide (only these can be searched: the others are tied by additions, and have no single follower), train
# it, and let AOFP prune it back to the MACs of the *original*. Now some layers are wider than they were, others
# narrower. The authors' poster (ICML 2019) did this with a ResNet-50 on ImageNet:
#
# | | top-1 | MACs | images/s, CPU | images/s, GPU |
# |---|---|---|---|---|
# | original | 75.34 | 3.85 G | 14.4 | 437 |
# | scaled | 76.60 | 5.28 G | 11.2 | 353 |
# | pruned | 76.47 | 3.83 G | 14.2 | 430 |
# | these widths, from scratch | 76.30 | 3.83 G | – | – |
#
# A point better at the same MACs, it says, and nearly as fast (−1.5 %) in spite of the irregular widths. From scratch
# the found widths have 76.30: nearly all of the gain is in the widths, not in the weights. (Was the original trained
# for as long as the two that came before it took together? It does not say.) And with `resnet20` on MiniCIFAR (`python
# -m studies.redesign`, three seeds, 55 epochs each)?

# %% tags=["slow"]
study = study_plots.recorded_study("redesign")
budget_plots.redesign_table(study)

# %% tags=["slow"]
budget_plots.redesign_picture(study)

# %% [markdown]
# Three seeds, but two of the searches found the very same widths, and the third nearly so: those of the original again,
# with a few channels more in the last blocks and one or two less in others. So there was little to gain by the shape,
# and little was gained. The scaled network is better than the original by 0.7 points, as there; pruned back it is half
# a point worse (85.8 against 86.3 %), and the found widths from scratch are just as good, with a spread of 0.6. And are
# these widths as fast? For PyTorch nearly (0.97 of the original's images a second), for ONNX Runtime not at all (0.72).
# That may be since it computes blocks of channels, and 31 or 65 do not fill them; the authors' inner layers have from
# 64 to 512.
#
# ## 9. Questions   (15 min)

# %% [markdown] tags=["question"] points=2 name="question_company"
# **Question 1.** A filter's score is the mean damage of halves that contain it. In the first layer this came near the
# order of the filters ablated alone (part 3); in `features.14` it did not, also after 400 batches. Give one reason why
# a filter may look harmless alone and costly in company (or the other way round), and one why few batches give a poor
# order even where there is no such reason. What does a *finer* search, of fewer filters, change about each of the two?
#
# ### BEGIN MARK SCHEME
# *Rubric (2 points).* Half a point for each of the four parts. Company: filters stand in for each other (each of two
# twins alone is harmless, both together are not, and in nearly half of the halves that contain one twin the other is
# missing, too); contributions cancel or add up in the follower, whose ReLU cuts them off, so that the effect of one
# depends on who else is there; half of a layer missing is another regime than one filter missing. Noise: a filter is in
# about B / 2 halves, and its mean carries the luck of the others in them, which falls with the root of the number of
# batches only; with 128 filters each one's own part in a damage is small beside that of the 63 others. Finer, company:
# fewer are missing at once, so that it comes nearer to each alone (and to what is going to be pruned together). Finer,
# noise: fewer others in each damage, so that the filter's own part weighs more. Who says that after pruning the
# accounts begin anew on the network as it is now, and that training repairs meanwhile, may have this in place of one
# half point.
# ### END MARK SCHEME

# %% [markdown] tags=["question"] points=2 name="question_two_numbers"
# **Question 2.** The search has two numbers, B (`every`) and theta (`threshold`). Somebody takes B = 2 and theta = 1,
# somebody else B = 500 and theta = 0.001, both with ten epochs of 63 batches. Say for each what the two pictures of
# part 5 will look like, which network comes out, and why. (The search has two thirds of the epochs at most.)
#
# ### BEGIN MARK SCHEME
# *Rubric (2 points).* 1 point for B = 2, theta = 1: after two batches a filter was ablated once, twice or never (then
# it is infinitely important), so that the lowest half is near chance, the one of the two halves that did less damage;
# it does less than 1, so that every layer that has had two batches loses half of its filters. After a few batches
# (three, when we tried) the MACs are met, in the middle of a round: the first layers halved, the last ones untouched,
# nobody had time to adapt; one step in the picture, two lines in the other; then a long finetuning. "About half
# everywhere, chosen at random, at once" has the point too. 1 point for B = 500, theta = 0.001: the search has at most 6
# epochs, 378 batches (420 is accepted), fewer than one search takes, so that no move is made at all: flat lines, all
# widths as they were, "ended short" with 100 % of the MACs, and no points for it. Half a point for "too slow" without
# the count.
# ### END MARK SCHEME
