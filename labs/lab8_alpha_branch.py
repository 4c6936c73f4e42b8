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
# # Lab 8: alpha-branch pruning, exactly merged
#
# So far we cut something out, and then repaired the damage. Today nothing is cut. Beside the wide network we grow a
# narrow one, and *fade over* from one to the other while the network trains, like a sound engineer between two songs.
# At the end the wide one has nothing left to say, and is dropped; and the layers that were only there to connect the
# two dissolve in their neighbours.
#
# The idea is Patricia Gschoßmann's (*Model Pruning*, TUM 2021). Her report is honest about a riddle: after the last
# step, a matter of multiplying weights, the pictures of her autoencoder "do not exactly match those before", and the
# error "could not be fixed". You will find a likely reason, draw it, and do the step *exactly*.
#
# **Afterwards you can**
# - build a narrow branch into a network, and fade over to it on a schedule;
# - merge two linear layers into one, convolutions, transposed ones and biases included, and prove that nothing changed;
# - say which pairs of layers cannot be merged, and what happens to those who do it all the same;
# - prune a classifier and an autoencoder to widths of your choice.
#
# **You need** lab 3 (channels, batch norm) and lab 1 (what a network costs).
#
# | part | exercise | minutes | |
# |---|---|---|---|
# | 1 | `alpha_schedule` | 15 | core |
# | 2 | `alpha_mix`, `make_branch` | 25 | core |
# | 3 | `merge_conv_1x1`, `merge_1x1_conv` | 40 | core |
# | 4 | `merge_1x1_transposed` | 15 | core |
# | 5 | where does a branch begin? | 15 | core |
# | 6 | the network you hand in | 20 | core |
# | 7 | is it faster? | 10 | core |
# | 8 | an autoencoder that watches the road | 20 | extra |
# | 9 | two questions | 15 | core |
#
# Run a cell with Shift-Enter. After every exercise there is a `check`: it tells you at once what is right,
# and what is probably the matter when something is not. You can run it as often as you like.

# %%
import copy
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.baseline import baseline
from course_utils.checking import check
from course_utils.checkpoints import load_history, load_network, save_network
from course_utils.networks import parameter_count, rgb_autoencoder
from course_utils.onnx_files.export import export_onnx
from course_utils.onnx_files.measuring import measure_onnx
from course_utils.pictures import alpha_plots, plots, study_plots, tables
from course_utils.pictures.alpha_explorer import alpha_explorer
from course_utils.scenes.pairs import Pairs
from course_utils.scenes.driving_scenes import driving_scenes
from course_utils.scenes.ssim import reconstruction_loss, ssim
from course_utils.modes import evaluating
from course_utils.training import evaluate, train
from minicifar import Loader, MiniCIFAR

# %% [markdown]
# From the course you get a function that reads a network as a *chain*: its layers with weights, and what stands between
# each of them and the next; the widths, the start and the training around what you will write; and from lab 7 the clock
# that runs two networks in turn.

# %%
from solutions.graph.chains import NORMS, Link, chain, outputs
from solutions.alpha_training import kept_widths, start_from_ranking, train_through
from solutions.speedup import compare

# %%
train_images, val_images, test_images = MiniCIFAR("train"), MiniCIFAR("val"), MiniCIFAR("test")
print(train_images.source.description)
network = baseline(train_images)
unseen = Loader(val_images, batch_size=400)
before = evaluate(network, unseen).accuracy
print(f"accuracy of the unpruned network on {len(val_images)} validation images: {before:.1%}")
for link in chain(network):
    print(
        f"{link.layer:12} then {', '.join(type(network.get_submodule(name)).__name__ for name in link.behind) or '–'}"
    )

# %% [markdown]
# ## 1. A way from 1 to 0   (15 min)
#
# Take two layers that follow each other, Conv1 and Conv2. Between them stand a batch norm, a ReLU and perhaps a
# pooling: the *wide* way, $C$ channels all along. Beside it we put a *narrow* way with $K < C$ channels in the middle:
#
# ```
#            ┌── batch norm ── ReLU ── [pool] ─────────────────────── · alpha ───────┐
#   Conv1 ───┤  C channels                                                           + ─── Conv2
#            └── ConvA 1×1 ── batch norm ── ReLU ── [pool] ── ConvB 1×1 ── · (1 − alpha) ──┘
#                C → K          K channels                   K → C
# ```
#
# Conv2 sees $\alpha \cdot \text{wide} + (1 - \alpha) \cdot \text{narrow}$. At $\alpha = 1$ this is the network that
# we know. At $\alpha = 0$ the wide way has no say. In between the network trains, and has time to move house. How
# fast should alpha fall? Four schedules of $K$ steps, which have $K + 1$ levels each, $k = 0, 1, \dots, K$:
#
# | kind | $\alpha_k$ |
# |---|---|
# | `"step"` | $1 - k / K$ |
# | `"multiplicative"` | $2^{-k}$ |
# | `"exponential"` | $e^{-ck}$ with $c = 5 / K$ |
# | `"cosine"` | $\frac12 \left(1 + \cos (\pi k / K)\right)$ |
#
# Two of these never get to 0, and as long as alpha is not *exactly* 0, the wide way cannot be dropped. So whatever is
# below 0.015 is set to 0, with every kind, and so is the last level.

# %% [markdown]
# **Exercise.** Write `alpha_schedule`. It returns a list of `steps` + 1 floats.
#
# <details><summary>Hint 1: where do I start?</summary>
# With the levels of one kind as a list, <code>[1 - k / steps for k in range(steps)]</code>: all but the last, which is
# 0 in any case.
# </details>
# <details><summary>Hint 2: four kinds without a ladder of ifs</summary>
# A dictionary from the kind to a <code>lambda k: …</code>. What is not in the dictionary is a
# <code>ValueError</code>, and so is a schedule of no steps.
# </details>
# <details><summary>Hint 3: nearly there</summary>
# <code>[level if level >= 0.015 else 0.0 for level in levels] + [0.0]</code>
# </details>

# %% tags=["exercise"]
from solutions.alpha_branch import alpha_schedule

# %%
kinds = ("step", "multiplicative", "exponential", "cosine")
alpha_plots.schedules({kind: alpha_schedule(kind, 10) for kind in kinds})

# %% [markdown]
# Where does each of them spend its time? The report tried several of them, and found in the end that equal steps are
# good enough, if only the wide way is allowed to *learn* as well.
#
# ## 2. The branch   (25 min)
#
# **Exercise.** Write `alpha_mix`, what Conv2 sees.
#
# <details><summary>Hint</summary>
# One line. Do not change the two feature maps in place: the backward pass needs them as they were. (Behind a linear
# layer they have two axes and not four.)
# </details>

# %% tags=["exercise"]
from solutions.alpha_branch import alpha_mix

# %% [markdown]
# Now the narrow way itself, beside a batch norm and a ReLU. (A pooling, where there is one, is copied into it by the
# course.) The order is half of the idea: Conv1 and ConvA follow each other *with nothing in between*, and so do ConvB
# and Conv2. Two linear maps without anything in between are one linear map, and that is what will let ConvA and ConvB
# disappear. One ReLU at either end, and they would have to stay forever.
#
# And the biases? ConvA's is useless: the batch norm behind it takes the mean off again, and the bias with it. ConvB's
# is worse than useless, as you will see in part 3.

# %% [markdown]
# **Exercise.** Write `make_branch`: four new layers in a row, in each call.
#
# <details><summary>Hint 1: where do I start?</summary>
# <code>nn.Sequential(…)</code> of four layers. Walk along the lower line of the drawing.
# </details>
# <details><summary>Hint 2: nearly there</summary>
# <code>nn.Conv2d(channels, kept, 1, bias=False)</code>, a batch norm <em>for the kept channels</em>, a ReLU, and a
# second 1×1 convolution, back from <code>kept</code> to <code>channels</code>.
# </details>

# %% tags=["exercise"]
from solutions.alpha_branch import make_branch

# %%
branch = make_branch(64, 22)
print(branch)
print(f"{2 * 64 * 22:,} weights in ConvA and ConvB, and all of them gone again at the end")

# %% [markdown]
# The rest of the intermediate network is given: a copy of the original, with a branch beside what follows each layer.
# Read `forward`; it calls your two functions.

# %% tags=["given"]
from solutions.alpha_branch import key, narrow_copy, AlphaNetwork

# %%
kept = kept_widths(network, 0.34375)
torch.manual_seed(0)
intermediate = AlphaNetwork(network, kept)
print("channels that stay:", kept)
print(
    f"parameters: {parameter_count(network):,} in the original, {parameter_count(intermediate):,} in the intermediate"
)
few, _ = next(iter(Loader(train_images, batch_size=400, shuffle=True, seed=0)))
with evaluating(intermediate), evaluating(network):
    print(
        "largest difference to the original at alpha = 1:",
        (intermediate(few[:50]) - network(few[:50])).abs().max().item(),
    )

# %% [markdown]
# The widths are those of the report: of 64 channels 22 stay, 65.625 % go. For the moment the network has
# become *larger*.
#
# ## 3. Two layers become one   (40 min)
#
# First Conv1 and ConvA. A convolution with kernel $W_1$ (M, I, kH, kW) makes $M$ feature maps, ConvA mixes them with
# the matrix $A$ (O, M). Put one into the other, and the mixing can be done once and for all, in the kernels:
# $$ W_{o,i,k,l} = \sum_m A_{o,m} \, W_{1;\,m,i,k,l} , \qquad b = A\, b_1 + b_A . $$
# Whatever Conv1 does at the borders, ConvA sees only the results: the merge is exact for any stride, padding and
# padding mode. Such sums over a common index have a notation of their own, Einstein's: write down the indices of both
# factors, leave the index that is summed over out of the result, and `torch.einsum` does it.
#
# Four small helpers are given. `check_pair` refuses what is not to be merged at all, `pads` says whether a convolution
# adds anything around its input, `plus` adds two biases of which each may be missing, and `rebuilt` makes a
# layer with the settings of another one and a new weight and bias. A merge leaves its pair as it is, and the new layer
# has the dtype of the pair.

# %% tags=["given"]
from solutions.merging import check_pair, pads, plus, rebuilt

# %% [markdown]
# **Exercise.** Write `merge_conv_1x1`.
#
# <details><summary>Hint 1: where do I start?</summary>
# ConvA's weight has the shape (O, M, 1, 1). <code>pointwise.weight[:, :, 0, 0]</code> is the matrix A.
# </details>
# <details><summary>Hint 2: which letters?</summary>
# A has the letters <code>om</code>, the kernel <code>mikl</code>. In the result there is no <code>m</code>.
# </details>
# <details><summary>Hint 3: the bias</summary>
# Each of the two may be <code>None</code>. <code>plus(pointwise.bias, None if conv.bias is None else …)</code>, and
# what stands for the dots is a matrix times a vector, <code>@</code>.
# </details>
# <details><summary>Hint 4: nearly there</summary>
# <code>return rebuilt(conv, torch.einsum("om,mikl->oikl", mix, conv.weight), bias)</code>
# </details>

# %% tags=["exercise"]
from solutions.merging import merge_conv_1x1

# %% [markdown]
# *Exact* is a word with a meaning here: the merged layer and the pair differ by rounding and nothing else. So compare
# them in `float64`, where rounding is small, relative to the standard deviation of the outputs, and on the whole image,
# borders included.


# %%
def off_by(layer, pair, maps):
    """How far a layer is from a pair of layers, pixel by pixel (H, W), in standard deviations of the pair's outputs."""
    with torch.no_grad():
        expected = nn.Sequential(*pair)(maps)
        return ((layer(maps) - expected).abs().amax(dim=(0, 1)) / expected.std()).double()


torch.manual_seed(0)
first, conv_a = nn.Conv2d(3, 32, 3, stride=2, padding=1), nn.Conv2d(32, 11, 1)
for dtype in (torch.float32, torch.float64):
    pair = first.to(dtype), conv_a.to(dtype)
    print(f"{dtype}: {off_by(merge_conv_1x1(*pair), pair, few[:8].to(dtype)).max():.0e} standard deviations")

# %% [markdown]
# Now ConvB with the matrix $B$ (M, I), and Conv2 behind it with the kernel $W_2$ (O, M, kH, kW):
# $$ W_{o,i,k,l} = \sum_m W_{2;\,o,m,k,l} \, B_{m,i} , \qquad
#    b = b_2 + \sum_{m,k,l} W_{2;\,o,m,k,l} \; b_{B;\,m} . $$
# The second formula says: every pixel under the window brings the bias $b_B$ with it. That is true *inside* the
# image. But Conv2 pads: around the image that comes out of ConvB it puts zeros, and a zero has no $b_B$ in it. At the
# border some terms of the sum are missing, in a corner even more of them. No single bias is right for all pixels. So
# this pair is **refused** with a `ValueError`. If Conv2 does not pad, there is no such border. And if it pads by
# reflection, replication or wrap-around, what stands in the padding are pixels of the image, with their bias: exact
# again.

# %% [markdown]
# **Exercise.** Write `merge_1x1_conv`.
#
# <details><summary>Hint 1: which letters?</summary>
# The kernel has <code>omkl</code>, B has <code>mi</code>.
# </details>
# <details><summary>Hint 2: the bias</summary>
# <code>conv.weight.sum(dim=(2, 3))</code> is a matrix (O, M): everything that the window makes of a map of ones.
# </details>
# <details><summary>Hint 3: when to refuse</summary>
# If three things are true: the 1×1 convolution has a bias, <code>conv.padding_mode</code> is
# <code>"zeros"</code>, and <code>pads(conv)</code>. And <code>check_pair(conv, pointwise)</code> as before.
# </details>

# %% tags=["exercise"]
from solutions.merging import merge_1x1_conv

# %% [markdown]
# What if one overlooks it? Here is a ConvB *with* a bias, merged naively: as if Conv2 did not pad, and padded
# afterwards. Beside it the same pair without the bias, merged properly; and then what two more convolutions make of the
# naive one.

# %%
photo = few[:1].double()
torch.manual_seed(1)
conv_b, second = nn.Conv2d(3, 16, 1).double(), nn.Conv2d(16, 8, 3, padding=1).double()
unpadded = copy.deepcopy(second)
unpadded.padding = (0, 0)
naive = merge_1x1_conv(conv_b, unpadded)  # without a padding nothing is refused …
naive.padding = second.padding  # … and now it pads after all

without = copy.deepcopy(conv_b)
without.bias = None
later = nn.Sequential(nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1)).double()
errors = {
    "no bias: exact": off_by(merge_1x1_conv(without, second), (without, second), photo),
    "with a bias: naive": off_by(naive, (conv_b, second), photo),
    "two convolutions later": off_by(nn.Sequential(naive, *later), (conv_b, second, *later), photo),
}
print(", ".join(f"{label} {error.max():.0e}" for label, error in errors.items()))
alpha_plots.differences(few[0], errors, images=train_images)

# %% [markdown]
# On the left there is nothing but rounding. In the middle the inside is just as good, and the border is off by a good
# part of a standard deviation: one pixel wide, which is easy to overlook, since most images of a class look the same
# at their borders. And every convolution behind it carries the error one pixel further in. A classifier may hardly
# notice. In an autoencoder the image *is* the output, so it shows. This is a likely reason for the riddle of the
# report, though its code is not published, so nobody can be sure. The cure costs nothing: `bias=False` in ConvB. What
# a bias could give there, the bias of Conv2 and the batch norms give as well.
#
# ## 4. Upwards: transposed convolutions   (15 min)
#
# A decoder makes images larger, with transposed convolutions. Their weight has its axes in another order,
# **(inputs, outputs, kH, kW)**. With ConvB in front of one,
# $$ W_{i,o,k,l} = \sum_m B_{m,i} \, W_{2;\,m,o,k,l} . $$
# A bias of ConvB would come out differently in different pixels here, with or without padding: with a 3×3 window of
# stride 2, some outputs are reached by one input pixel, and others by two or four. Refuse it.

# %% [markdown]
# **Exercise.** Write `merge_1x1_transposed`.
#
# <details><summary>Hint 1: which letters?</summary>
# B still has the letters <code>mi</code>. The kernel has <code>mokl</code> now: its inputs, m, come first.
# </details>
# <details><summary>Hint 2: nearly there</summary>
# The result is <code>iokl</code>. The bias of the transposed convolution, if any, stays as it is, and
# <code>rebuilt(conv, weight, conv.bias)</code> knows about the order of the axes.
# </details>

# %% tags=["exercise"]
from solutions.merging import merge_1x1_transposed

# %% [markdown]
# Which pixels would a bias reach? Send a map of ones through a transposed convolution whose weights are all 1, and
# count.

# %%
drawing, axes = plots.figure(3, width=2.4, height=2.6)
for axis, (kernel, stride) in zip(axes, ((2, 2), (3, 2), (4, 2)), strict=True):
    counts = F.conv_transpose2d(torch.ones(1, 1, 5, 5), torch.ones(1, 1, kernel, kernel), stride=stride)[0, 0]
    axis.imshow(counts, cmap="viridis", vmin=0, vmax=4)
    axis.set(title=f"window {kernel}, stride {stride}", xticks=[], yticks=[])
    axis.grid(visible=False)
    for (row, column), count in np.ndenumerate(counts.numpy()):
        axis.text(
            column, row, f"{count:.0f}", ha="center", va="center", fontsize=6, color="white" if count < 3 else "black"
        )
drawing

# %% [markdown]
# With window 2 and stride 2, as in the autoencoder of the report, every pixel is reached once. But by a *different
# entry* of the kernel, one for each of the four places under the window, so the bias would still have to be four
# biases.
#
# The remaining merges are given: they are yours, in disguise. A transposed convolution in front of ConvA is a
# convolution with its axes swapped; a linear layer behind `flatten` is a convolution whose window is the whole image.
# And `shrink` walks along the chain, and merges.

# %% tags=["given"]
from solutions.merging import merge_transposed_1x1, merge_linear, merge_1x1_linear

# %% tags=["given"]
from solutions.alpha_branch import merge_before, merge_behind, shrink

# %% [markdown]
# So does the whole network survive? In `float64`, with branches as they come (untrained), before and after merging:

# %%
intermediate.alpha = 0.0
in_double = copy.deepcopy(intermediate).double().eval()
with torch.no_grad():
    unmerged, merged = in_double(few[:50].double()), shrink(in_double)(few[:50].double())
print(f"largest difference: {(merged - unmerged).abs().max() / unmerged.std():.0e} standard deviations")

# %% [markdown]
# ## 5. Where does a branch begin?   (15 min)
#
# In the report the branches begin at random. Is that necessary? ConvA and ConvB merge away in the end, so they may
# be *any* linear maps, at no cost. Then let us begin cleverly. ConvA *picks* the $K$ channels with the largest L1
# norms (lab 3), the batch norm gets their entries, and ConvB rebuilds the whole wide feature map from the narrow one
# as well as a linear map can, by least squares (lab 6), over some thousand random pixels $p$:
# $$ \min_B \; \sum_p \big\lVert \text{wide}_p - B \, \text{narrow}_p \big\rVert^2 . $$

# %%
torch.manual_seed(0)
starts = {"random start": AlphaNetwork(network, kept), "start from the ranking": AlphaNetwork(network, kept)}
start_from_ranking(starts["start from the ranking"], few)

# %% [markdown]
# Before you go on: what accuracy do you expect at alpha = 0, *before any training*, from either? And at alpha = 0.5?

# %% tags=["slow"]
levels = [1.0, 0.9, 0.75, 0.5, 0.25, 0.1, 0.0]
curves = {}
for name, one in starts.items():
    curves[f"alpha-branch, {name}"] = []
    for one.alpha in levels:
        curves[f"alpha-branch, {name}"].append(evaluate(one, unseen).accuracy)
    print(f"{name}: {evaluate(one, unseen).accuracy:.1%} at alpha = {one.alpha:g}")

# %% tags=["slow"]
ranked = starts["start from the ranking"].eval()
with torch.no_grad():
    raw = network.features[0](few[:1])
    wide, narrow = ranked.wide(ranked.links[0], raw)[0], ranked.branch("features.0")(raw)[0]
alpha_explorer(levels, curves, wide, narrow, alpha_mix, images=val_images)

# %% [markdown]
# Move the slider. The narrow maps are 32 mixtures of 11, and look much like the wide ones. In each of the six layers
# a third of the channels must do, and yet more than half of the validation images are classified correctly before a
# single step of training: 57 % when this was measured on CIFAR-10, against 25 % (guessing) with the random branches.
# So alpha has a shorter way to go.
#
# ## 6. The network you hand in   (20 min)
#
# `train_through` trains one epoch at each level between 1 and 0. Then alpha is 0, and the branches are merged *at
# once*: what is left of the training goes to the narrow network, with a learning rate that begins anew. An epoch of
# it costs an eighth. (In the report the accuracy held at 92 % down to alpha = 0.1, fell by 6 points at 0, and came
# back to 88.5 % with such restarts; it trained on unmerged.)
#
# The cell below trains for about a minute, and saves the network (for you) and an ONNX file (for grading). **Hand in
# both files together with this notebook.** Cells like this one are not run again when your work is graded: the file is
# measured instead. You may change everything in it, as long as the network keeps at most 13 % of the parameters. (While
# you make choices, look at the *validation* images.)

# %% tags=["train"]
loader = Loader(train_images, batch_size=64, shuffle=True, augment=True, seed=0)
unseen = Loader(val_images, batch_size=400)
intermediate = AlphaNetwork(network, kept_widths(network, 0.34375))
start_from_ranking(intermediate, few, seed=0)
history = train_through(intermediate, loader, alpha_schedule("step", 4), 1, [], lr=0.02, test=unseen)
intermediate.alpha = 0.0
pruned = shrink(intermediate)
epochs = 9
after = train(pruned, loader, epochs, lr=0.1, label_smoothing=0.1, test=unseen)
history += [{**entry, "epoch": len(history) + entry["epoch"], "alpha": 0.0} for entry in after]
save_network(pruned, "lab8_alpha.safetensors", history=history, images=train_images)
export_onnx(pruned, "lab8_alpha.onnx", images=train_images)

# %%
pruned = load_network("lab8_alpha.safetensors")
print(f"{parameter_count(pruned) / parameter_count(network):.1%} of the parameters are left, and no trace of a branch:")
print(*[f"{link.layer}: {outputs(pruned.get_submodule(link.layer))}" for link in chain(pruned)], sep=", ")

# %% tags=["slow"]
alpha_plots.while_alpha_falls(load_history("lab8_alpha.safetensors"), "validation", before, images=val_images)

# %% [markdown]
# What happens in the first epoch at alpha = 0, and why not before? As long as alpha is above 0, even a little of the
# wide way covers for the mistakes of the narrow one. The last step is the largest.

# %% tags=["slow"]
export_onnx(network, "lab8_original.onnx", images=train_images)
tables.comparison(
    measure_onnx("lab8_original.onnx", test_images), measure_onnx("lab8_alpha.onnx", test_images), images=test_images
)

# %% [markdown]
# **The network you hand in.** This check shows the very numbers and points that grading will give.

# %% tags=["artifact"]
check("lab8_alpha_onnx")

# %% [markdown]
# ### Does it pay?
#
# Here are the report's experiments again, and what alpha-branch pruning has to beat. Everything starts from the
# network at the top of this notebook (86.7 % on the 4000 test images), keeps 34.375 % of the channels and has 12 more
# epochs. The narrow network from random weights has 25 + 12. Three seeds each: the mean, and in brackets the lowest
# and the highest.

# %% tags=["slow"]
study_plots.alpha_table(study_plots.recorded_study("alpha"))

# %% [markdown]
# Look at the upper half first. **The start decides, not the fading.** With a start from the ranking, a quick fall of
# alpha and an early merge, alpha-branch pruning loses 0.8 points; the same start *without any alpha* loses 0.9, and
# L1 pruning (lab 3) 0.7. Between these three there is nothing but the seeds. And a warning about words: "points lost"
# counts from the network that had 25 epochs. If that one trains on for 12 more, unpruned, it gains 0.7 points: by
# that measure all of them lose half a point to a point and a half.
#
# The lower half is the report's own way, with branches at random, and it loses four points and more. What it says of
# the choices within is worth knowing all the same:
# - *Schedules:* those that get to 0 quickly, and leave more epochs at 0, are ahead of equal steps by a point.
# - *The original frozen or trained:* no difference with branches at random, half a point for *trained* with a ranking.
# - *Two restarts in place of one:* two points worse. There are only six epochs for both, and each needs its own rise
#   and fall.
#
# And "directly training the small target model from random initialization can achieve similar performance"? It does
# better than every branch that began at random, and stays half a point behind L1 and the ranked start, about the
# width of the bands.

# %% [markdown]
# ## 7. Is it faster?   (10 min)
#
# With about a third of the channels on both sides of a convolution, about an eighth of its MACs is left. The report's
# pruned VGG-16 took 6.0 ms for an image on the CPU in place of 19.3 ms, 3.2 times as fast; on its GPU there was no
# difference. (We found the same with the same widths. On four threads of a server's CPU 5.4 → 1.9 ms with
# PyTorch, 2.7 times as fast, and 4.6 times with ONNX Runtime. On an H100 GPU 2.2 → 1.9 ms: layers as small as these
# do not fill it, and what takes the time is to start them. Its memory did shrink, from 163 to 67 MB for a batch
# of 64.) And yours, on one thread? The red line is what the MACs promise.

# %% tags=["slow"]
macs = [measure_onnx(f"lab8_{name}.onnx").macs for name in ("original", "alpha")]
shares = {}
for setting in ("torch", "onnxruntime"):
    for batch in (1, 64):
        timed = compare(network, pruned, batch=batch, setting=setting, rounds=5, threads=1)
        print(timed)
        low, middle, high = (float(share) for share in np.quantile(1 / np.array(timed.ratios), (0.25, 0.5, 0.75)))
        shares[f"{setting}, batch {batch}"] = (low, middle, high)
print(f"by the MACs {macs[0] / macs[1]:.1f} times as fast, in the report 3.2 times")
plots.time_ratios(shares, macs[1] / macs[0], title="share of the time that is left")

# %% [markdown]
# ## 8. An autoencoder that watches the road   (20 min, extra)
#
# The report wants to send a car's camera images over a thin line, so it prunes an autoencoder: an *encoder* of
# convolutions and poolings, a thin waist, and a *decoder* with transposed convolutions. Its images came from the
# simulator CARLA, which cannot be packed into a course. Ours are drawn: road, lane marks, horizon, obstacles. And the
# network is a quarter as wide and the images have 32 × 32 pixels in place of 128 × 128, so that it trains in seconds.
#
# The loss is $\frac12 L_1 + \frac12 (1 - \text{SSIM})$: SSIM compares mean, contrast and structure of small
# windows, and is 1 for equal images.

# %% tags=["slow"]
scenes = driving_scenes(320, seed=0, size=32)
seen, new = Pairs(scenes[:256], batch_size=8, shuffle=True), Pairs(scenes[256:], batch_size=64)
original = rgb_autoencoder(width=0.25)
history = train(original, seen, epochs=30, lr=0.2, loss=reconstruction_loss, test=new)
print(f"the original: loss {history[-1]['test_loss']:.3f} on new scenes")

# %% [markdown]
# Encoder and decoder together, every width to 34 %, a start from the ranking, alpha down in four steps, and then the
# merge: convolutions, transposed convolutions, everything that you wrote.

# %% tags=["slow"]
intermediate = AlphaNetwork(original, kept_widths(original, 0.34375))
start_from_ranking(intermediate, scenes[:64].float() / 255)
epochs = 10  # at alpha = 0
options = {"loss": reconstruction_loss, "test": new}
history = train_through(intermediate, seen, alpha_schedule("step", 4), 1, [(epochs, 0.2)], lr=0.1, **options)
for entry in history:
    print(f"epoch {entry['epoch']}, alpha {entry['alpha']:g}: loss {entry['test_loss']:.3f} on new scenes")

# %% tags=["slow"]
in_double, six = copy.deepcopy(intermediate).double().eval(), scenes[256:262].float() / 255
with torch.no_grad():
    unmerged, merged = in_double(six.double()), shrink(in_double)(six.double())
print(f"merged − unmerged: {(merged - unmerged).abs().max() / unmerged.std():.0e} standard deviations")
smaller = shrink(intermediate)
print(f"parameters: {parameter_count(smaller):,} of {parameter_count(original):,}")
with evaluating(original), evaluating(smaller):
    shown = {"scene": six, "original": original(six), "pruned": smaller(six)}
for name in ("original", "pruned"):
    print(f"{name}: SSIM {ssim(shown[name], shown['scene']).item():.3f}")
alpha_plots.picture_rows(shown)

# %% [markdown]
# The report pruned encoder and decoder together, and also one after the other, and recommends *together*: every time
# that alpha reaches 0 costs something, so once is better than twice. Here it is with 64 × 64 pixels and more patience
# (`python -m studies.autoencoder`): 60 epochs for the original, 30 for every way to the narrow network, which
# has 12.5 % of the parameters; the loss on 200 new scenes, three seeds.
#
# | | loss | of the seeds |
# |---|---|---|
# | original | 0.120 | 0.118 … 0.121 |
# | encoder and decoder together | 0.146 | 0.144 … 0.148 |
# | one after the other | 0.149 | 0.146 … 0.150 |
# | together, the same start without alpha | 0.155 | 0.151 … 0.160 |
# | narrow from random weights, 90 epochs | 0.153, 0.147 | and once it got stuck: 0.325 |
#
# So *together* is ahead with every seed, and here alpha is worth something, unlike with the classifier. The network
# from random weights comes close, if it learns at all. `kept_widths(original, 0.34375, among=…)` takes a condition on
# the layers' names; try it the other way.
#
# ## 9. Questions   (15 min)

# %% [markdown] tags=["question"] points=2 name="question_bias"
# **Question 1.** A fellow student has put biases into all of her ConvBs, and trained for a night. Her Conv2s pad with
# zeros. `merge_1x1_conv` refuses. Must she train again? Name two ways in which she still gets a network without
# branches, and say for each whether it is exact, and what it costs. And why is the same bias *no* problem where
# `flatten` and a linear layer come next?
#
# ### BEGIN MARK SCHEME
# *Rubric (2 points).* 1 point for two ways with their price (half a point each), such as: keep ConvB (exact; a layer
# and its MACs more); drop the biases, or add the inside's bias, and retrain a little (not exact, the border changes,
# little training mends it); pad the *input* of the merged layer with a value that stands for the bias: a constant v
# with B v = −…, i.e. a vector x0 with B x0 + bB = 0 in place of the zeros (exact if such a vector exists, which needs
# bB in the column space of B; a padding layer of its own); an additional feature map that is 1 inside and 0 in the
# padding, whose kernel carries the bias (exact; one input channel more); padding by replication from now on and a
# little training (not exact). 1 point for the reason: nothing pads there. The linear layer reads every pixel exactly
# once, so every column brings its bias with it, and the sum is one number for each output: b = b2 + the sum of W2 bB.
# ### END MARK SCHEME

# %% [markdown] tags=["question"] points=2 name="question_control"
# **Question 2.** The report concludes that "directly training the small target model from random initialization can
# achieve similar performance", and so that the number of parameters is worth more than the weights that are
# kept. Which networks would you train, for how many epochs each, to test this claim against alpha-branch pruning, and
# what would have to come out to support it, or to refute it? Which unfair comparison is the easiest to make by
# accident?
#
# ### BEGIN MARK SCHEME
# *Rubric (2 points).* 1 point for the controls: the same narrow architecture from random weights, and pruned by a
# ranking (L1) with retraining, besides alpha-branch; the same images and augmentation, several seeds each with their
# spread, learning rates chosen for each; support means that the differences are within the spread of the seeds, at
# more than one width; refutation that alpha-branch wins by more than that. 1 point for the budget: alpha-branch
# inherits the epochs of the trained original and adds its own (the intermediate network is more expensive per epoch
# as well), so the network from scratch must get the *sum*, and L1 as many epochs after the baseline as alpha-branch;
# the easy mistake is to give the network from scratch the retraining epochs only (or to choose the epoch or the
# settings on the test images, or to compare one lucky seed).
# ### END MARK SCHEME
