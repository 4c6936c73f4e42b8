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
# # Lab 6: ask the next layer. ThiNet
#
# All criteria so far look at a filter and what it makes. But who is to say whether a feature map matters? The layer
# that
# *reads* it. ThiNet removes the channels that the next layer misses least, and then rescales the rest, so that the next
# layer notices as little as possible. Does that give a better network? You will measure it, and the answer
# is more interesting than yes.
#
# **Afterwards you can**
# - split a number of the next layer into what each channel adds to it;
# - choose channels greedily, fast, and say why one by one is not the same as all at once;
# - make up for what is lost by least squares, and say why the normal equations are a trap;
# - compare pruning methods *before* and *after* retraining, and say which of the two you believe.
#
# **You need** labs 0, 3 and 4.
#
# | part | exercise | minutes | |
# |---|---|---|---|
# | 1 | `sample_contributions` | 20 | core |
# | 2 | `channels_to_remove` | 30 | core |
# | 3 | `least_squares_scale` | 20 | core |
# | 4 | `rescale_inputs` | 15 | core |
# | 5 | a whole network, before and after retraining | 15 | core |
# | 6 | the network you hand in | 20 | core |
# | 7 | two questions | 15 | core |
#
# Run a cell with Shift-Enter. After every exercise there is a `check`: it tells you at once what is right,
# and what is probably the matter when something is not. You can run it as often as you like.

# %%
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_utils.baseline import baseline
from course_utils.checking import check
from course_utils.checkpoints import load_network, save_network
from course_utils.networks import resnet20
from course_utils.onnx_files.export import export_onnx
from course_utils.onnx_files.measuring import measure_onnx
from course_utils.pictures import plots, tables
from course_utils.training import evaluate, train
from minicifar import Loader, MiniCIFAR

# %% [markdown]
# From the course you get the groups of channels that belong together (lab 7), the surgery for any network, the L1
# ranking of lab 3, and a function that looks over the next layer's shoulder.

# %%
from solutions.graph.groups import Group
from solutions.iterative import l1_ranking, plan_step
from solutions.next_layer import next_layer, sampled_patches
from solutions.plans import groups_left, kept_without
from solutions.prunable import prunable_groups
from solutions.rounding import channels_removed
from solutions.surgery import prune

# %%
train_images, val_images, test_images = MiniCIFAR("train"), MiniCIFAR("val"), MiniCIFAR("test")
print(train_images.source.description)
network = baseline(train_images)
groups = [group for group in prunable_groups(network, torch.zeros(2, 3, 32, 32)) if group.free]
unseen = Loader(val_images, batch_size=400)
before = evaluate(network, unseen).accuracy
print(f"accuracy of the unpruned network on {len(val_images)} validation images: {before:.1%}")
for group in groups:
    print(f"the {group.channels} channels of {group.name} are read by {next_layer(network, group)}")

# %% [markdown]
# ## 1. What does a channel add?   (20 min)
#
# Take *one number* of the next layer's output, before its bias and activation: one image, one filter $f$, one location.
# The filter looks at a patch of $k_H \times k_W$ pixels of every channel, and the number is a sum,
# $$ y = \sum_{c} x_c , \qquad x_c = \sum_{i,j} W_{f,c,i,j} \; \text{patch}_{c,i,j} . $$
# So every channel has a share of its own in it. Luo et al. (2017, [arXiv 1707.06342](https://arxiv.org/abs/1707.06342))
# collect many such *samples*, at random places and with random filters: 10 images of each of ImageNet's 1000 classes,
# and 10 places in each image. We have four classes only, so we take more images of each, and more places: 10,000
# samples.

# %%
images, _ = next(iter(Loader(train_images, batch_size=400, shuffle=True, seed=1)))
group = groups[2]
patches, weight = sampled_patches(network, next_layer(network, group), group.channels, images, locations=25)
print("patches", tuple(patches.shape), "and weights", tuple(weight.shape), ": samples, channels, window")

# %% [markdown]
# **Exercise.** Write `sample_contributions`: for each sample, what each channel adds.
#
# <details><summary>Hint</summary>
# Multiply the two, and sum over the window. Two axes stay: samples and channels.
# </details>

# %% tags=["exercise"]
from solutions.thinet import sample_contributions

# %%
contributions = sample_contributions(patches, weight)
print(f"first sample: {contributions[0].sum():.4f} is the sum of", contributions[0, :5].tolist(), "…")

# %% [markdown]
# ## 2. Which channels may go?   (30 min)
#
# Without the channels in the set $T$, a sample is off by $\sum_{c \in T} x_c$. We look for the set of a given size for
# which the sum of the squared errors is smallest,
# $$ \min_T \; \sum_{s} \Big( \sum_{c \in T} x_c^{(s)} \Big)^2 . $$
# Trying all sets is hopeless. ThiNet is *greedy*: it removes one channel at a time, each time the one that keeps this
# sum smallest *together with those that are gone already*. That is more than a ranking: two channels that
# cancel each other are a good pair to remove, although each of them alone would be missed.
#
# How to do it fast: with the matrix $G = X^\top X$ of all products of two channels ($C \times C$, computed once),
# adding channel $c$ to $T$ changes the sum by $G_{cc} + 2 \sum_{t \in T} G_{ct}$.

# %% [markdown]
# **Exercise.** Write `channels_to_remove`. It returns a list, in the order in which the channels go.
#
# <details><summary>Hint 1: where do I start?</summary>
# Slow is fine at first: for each candidate compute <code>contributions[:, removed + [c]].sum(1).square().sum()</code>,
# and take the smallest. (For 128 channels you will wait.)
# </details>
# <details><summary>Hint 2: fast</summary>
# Keep a vector <code>cost</code> with one number for each channel: what the sum grows by if it goes next. At first it
# is the diagonal of G. When channel t has gone, <code>cost += 2 * G[:, t]</code>.
# </details>
# <details><summary>Hint 3: not the same one twice</summary>
# Set the cost of channels that are gone to <code>torch.inf</code> before you ask for <code>argmin()</code>.
# </details>

# %% tags=["exercise"]
from solutions.thinet import channels_to_remove

# %% [markdown]
# How much of the samples is lost as channels go, in three orders: ThiNet's, that of the L1 norms, and one by one from
# the front.


# %%
def error_without(removed, scale=None):
    """The squared error over the samples, as a share of all of it; `scale` multiplies what stays."""
    kept = [channel for channel in range(group.channels) if channel not in removed]
    factors = torch.ones(len(kept)) if scale is None else torch.as_tensor(scale)
    left = contributions[:, kept] @ factors.to(contributions)
    whole = contributions.sum(dim=1)
    return ((whole - left).square().sum() / whole.square().sum()).item()


orders = {
    "ThiNet": channels_to_remove(contributions, group.channels - 1),
    "L1": l1_ranking(network, [group])[group.name].argsort().tolist()[:-1],
    "from the front": list(range(group.channels - 1)),
}
errors = {name: [error_without(order[:gone]) for gone in range(group.channels)] for name, order in orders.items()}

# %%
drawing, axis = plots.figure(width=6.2, height=3.4)
for name, values in errors.items():
    axis.plot(range(group.channels), values, label=name, color=plots.COLOURS.get(name, "#999999"))
axis.set(xlabel=f"channels of {group.name} that are gone", ylabel="error of the samples", ylim=(0, 1.5))
axis.legend()
plots.say_source(drawing, train_images)
drawing

# %% [markdown]
# ## 3. Make up for it   (20 min)
#
# What stays can be turned up or down: a factor $w_c$ for every kept channel, chosen so that the samples come out as
# close as they can,
# $$ \min_w \; \big\lVert y - X_S \, w \big\rVert^2 , $$
# where $X_S$ has the columns of the kept channels and $y$ is the sum over *all* channels. That is a least-squares
# problem. The textbook solves it by the normal equations, $w = (X_S^\top X_S)^{-1} X_S^\top y$. They break as
# soon as a channel is zero on all samples (a dead ReLU), which makes the matrix singular, or where there are fewer
# samples than channels.
# `torch.linalg.lstsq(A, b, driver="gelsd")` takes such matrices too. (This driver exists on the CPU only.)

# %% [markdown]
# **Exercise.** Write `least_squares_scale`.
#
# <details><summary>Hint 1: shapes</summary>
# With a matrix on the right, <code>target[:, None]</code>, the <code>.solution</code> is a column; you want a vector.
# </details>
# <details><summary>Hint 2: a dead channel</summary>
# Any factor fits a channel that is always zero, and the smallest solution says 0: then it stays dead for images on
# which it would speak. Nicer: solve for the <em>change</em>, w = 1 + d, with the target y − X·1. Either is accepted.
# </details>

# %% tags=["exercise"]
from solutions.thinet import least_squares_scale

# %% tags=["slow"]
rescaled = []
for gone in range(group.channels):
    removed = orders["ThiNet"][:gone]
    kept = [channel for channel in range(group.channels) if channel not in removed]
    rescaled.append(error_without(removed, least_squares_scale(contributions[:, kept], contributions.sum(dim=1))))

# %% tags=["slow"]
drawing, axis = plots.figure(width=6.2, height=3.4)
axis.plot(range(group.channels), errors["ThiNet"], label="ThiNet", color=plots.COLOURS["ThiNet"])
axis.plot(range(group.channels), rescaled, "--", label="ThiNet, rescaled", color=plots.COLOURS["ThiNet"])
axis.plot(range(group.channels), errors["L1"], label="L1", color=plots.COLOURS["L1"])
axis.set(xlabel=f"channels of {group.name} that are gone", ylabel="error of the samples", ylim=(0, 1.5))
axis.legend()
plots.say_source(drawing, train_images)
drawing

# %% [markdown]
# ## 4. Where do the factors go?   (15 min)
#
# Scaling a feature map by $w_c$ is the same as scaling what the next layer reads of it: its *input slice* `weight[:,
# c]`. So the factors cost nothing, they disappear in the weights. Behind a `flatten` (lab 3!) a channel owns $H \cdot
# W$ neighbouring columns of the linear layer. The bias is no input, and stays.

# %% [markdown]
# **Exercise.** Write `rescale_inputs`. It changes the layer *in place*: the weight stays the same `Parameter`, of the
# same dtype, with other numbers in it (the factors may be `float64`).
#
# <details><summary>Hint 1: a convolution</summary>
# Its weight has the shape (O, C, kH, kW); give <code>scale</code> the shape (C, 1, 1), and multiply.
# </details>
# <details><summary>Hint 2: both at once</summary>
# <code>weight.view(len(weight), len(scale), -1)</code> is (O, C, everything of one channel) for a convolution and for a
# linear layer.
# </details>
# <details><summary>Hint 3: "a leaf Variable that requires grad is being used in an in-place operation"?</summary>
# <code>with torch.no_grad():</code>
# </details>

# %% tags=["exercise"]
from solutions.thinet import rescale_inputs

# %% [markdown]
# ## 5. A whole network   (15 min)
#
# The rest is putting things together, and given: one layer (`thinet_step`), and one layer after the other, from the
# front (`thinet`). Each step takes its samples from the network that the last step left. Read them; your four
# functions do the work.

# %% tags=["given"]
from solutions.thinet import thinet_step, thinet

# %% [markdown]
# First every layer *alone* loses half of its channels, without least squares, without retraining:

# %% tags=["slow"]
rows = []
for one in groups:
    accuracies = []
    for rank in (l1_ranking, None):  # None: ThiNet's greedy choice
        candidate, _ = thinet_step(network, groups, one, images, 0.5, rank=rank, rescale=False, locations=25)
        accuracies.append(evaluate(candidate, unseen).accuracy)
    rows.append((one.name, *(f"{accuracy:.1%}" for accuracy in accuracies)))
tables.Table(("half of the channels of one layer", "L1", "ThiNet"), rows)

# %% [markdown]
# And now all layers, one after the other:

# %% tags=["slow"]
sizes = {group.name: group.channels for group in groups}
by_l1 = l1_ranking(network, groups)
half = {
    "L1": prune(network, groups, plan_step(groups, by_l1, sizes, 0.5)),
    "L1, rescaled": thinet(network, groups, images, 0.5, rank=lambda *_: by_l1, locations=25)[0],
    "ThiNet, not rescaled": thinet(network, groups, images, 0.5, rescale=False, locations=25)[0],
    "ThiNet": thinet(network, groups, images, 0.5, locations=25)[0],
}
first = {name: evaluate(candidate, unseen).accuracy for name, candidate in half.items()}

# %% [markdown]
# Half of the channels are gone from every layer. That is *before* retraining. Now each of them gets three epochs:

# %% tags=["slow"]
rows = [("original", f"{before:.1%}", "")]
for name, candidate in half.items():
    loader = Loader(train_images, batch_size=64, shuffle=True, augment=True, seed=0)
    history = train(candidate, loader, epochs=3, lr=0.05)
    rows.append((name, f"{first[name]:.1%}", f"{evaluate(candidate, unseen).accuracy:.1%}"))
tables.Table(("half of the channels", "before retraining", "after 3 epochs"), rows)

# %% [markdown]
# One layer alone: there ThiNet's choice is the better one nearly everywhere, on images that it has not seen (in five
# of six layers, by 2 to 9 points, when this was measured). All six together it is not: each layer now reads what five
# prunings before it have left, the errors add up, and a small error of the *samples* promises nothing about
# the whole network.
#
# Then compare the rows of the second table two by two. The least squares help with either choice of channels, ThiNet's
# most. Try `0.8` in place of `0.5`, and other images (another `seed` above). And look at the last column: after
# retraining much of all this is gone. Which number should a paper report? When can you *not* retrain, so that
# the first one is the one that counts?
#
# In a residual network ThiNet is used inside the blocks only. Do you see why, from what it asks for?

# %%
for one in prunable_groups(resnet20(classes=4), torch.zeros(2, 3, 32, 32))[:5]:
    layer = next_layer(resnet20(classes=4), one)
    print(f"{one.name}: read by {layer or 'several layers'}")

# %% [markdown]
# ## 6. The network you hand in   (20 min)
#
# The cell below trains for less than a minute, and saves the network (for you) and an ONNX file (for grading). **Hand
# in both files together with this notebook.** Cells like this one are not run again when your work is graded: the
# file is measured instead. You may change everything in it, as long as the network keeps at most 30 % of the
# parameters. (While you make choices, look at the *validation* images.)

# %% tags=["train"]
pruned, _ = thinet(network, groups, images, keep_ratio=0.5, locations=25)
history = train(
    pruned,
    Loader(train_images, batch_size=64, shuffle=True, augment=True, seed=0),
    epochs=12,
    test=Loader(val_images, batch_size=400),
    lr=0.05,
)
save_network(pruned, "lab6_pruned.safetensors", history=history, images=train_images)
export_onnx(pruned, "lab6_pruned.onnx", images=train_images)

# %%
pruned = load_network("lab6_pruned.safetensors")

# %% tags=["slow"]
export_onnx(network, "lab6_original.onnx", images=train_images)
tables.comparison(
    measure_onnx("lab6_original.onnx", test_images), measure_onnx("lab6_pruned.onnx", test_images), images=test_images
)

# %% [markdown]
# **The network you hand in.** This check shows the very numbers and points that grading will give.

# %% tags=["artifact"]
check("lab6_pruned_onnx")

# %% [markdown]
# ## 7. Questions   (15 min)

# %% [markdown] tags=["question"] points=2 name="question_greedy"
# **Question 1.** Give a small example (three channels, a few samples) in which ThiNet's greedy choice of two channels
# differs from the two with the smallest sums of squares. What does the greedy method see that a ranking cannot? And
# why is it still not the best pair in every case?
#
# ### BEGIN MARK SCHEME
# *Rubric (2 points).* 1 point: an example in which two channels nearly cancel and a third one lies between them in
# size, e.g. the samples (1, 1.05, −1.1) and (1, −1.05, −1.1): the sums of squares are 2, 2.2 and 2.4, a ranking takes
# the first two; greedy takes the first, and then the third (together 0.02). A ranking looks at each channel alone,
# greedy at the sum with those that are gone. 1 point: greedy cannot take the
# first choice back: a pair that cancels perfectly, but of which neither is the smallest alone, is missed.
# ### END MARK SCHEME

# %% [markdown] tags=["question"] points=2 name="question_target"
# **Question 2.** The samples of layer 4 come from a network whose layers 1 to 3 have been pruned already. Somebody
# proposes to take the target $y$ from the *original* network instead, and the contributions from the pruned one. What
# is better about that, and what must be watched?
#
# ### BEGIN MARK SCHEME
# *Rubric (2 points).* 1 point: errors of the first layers add up; with the original's y the least squares repair what
# the earlier steps have broken too (as in He et al. 2017), instead of reproducing the broken output. 1 point: y is then
# no longer the sum of the contributions: the error does not start at 0, the removed set alone does not say it (the
# target enters the choice as well), the original has to be run too, at the same images, locations and filters. Also
# accepted: with retraining in between the original's y loses its meaning.
# ### END MARK SCHEME
