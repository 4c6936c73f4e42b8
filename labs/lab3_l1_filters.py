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
# # Lab 3: which filters matter? L1 ranking and real surgery
#
# A convolutional network that was trained comfortably is wider than it has to be. In this lab you take a
# trained VGG apart, throw away the filters that matter least, and put it together again: not with masks, but
# with *really smaller* layers, so that the file shrinks and the network gets faster.
#
# **Afterwards you can**
# - rank the filters of a layer by their L1 norm, and say what that ranking does and does not know;
# - cut a filter out of a network and follow the cut through batch norm, the next layer and `flatten`;
# - retrain a pruned network and report what it cost: accuracy, parameters, multiply-accumulates (MACs).
#
# **You need** lab 0 (the images, a training step) and lab 1 (what a network costs).
#
# | part | exercise | minutes | |
# |---|---|---|---|
# | 1 | `filter_l1_norms` | 10 | core |
# | 2 | `filters_to_keep` | 15 | core |
# | 3 | `narrow_conv`, `narrow_batchnorm` | 30 | core |
# | 4 | `narrow_linear` | 15 | core |
# | 5 | `prune_vgg` | 30 | core |
# | 6 | retraining, and the network you hand in | 20 | core |
# | 7 | `greedy_l1_norms` | 10 | extra |
# | 8 | two questions | 15 | core |
#
# Run a cell with Shift-Enter. After every exercise there is a `check`: it tells you at once what is right,
# and what is probably the matter when something is not. You can run it as often as you like.

# %%
import copy
import math

import torch
from torch import Tensor, nn

from course_utils.baseline import baseline
from course_utils.checking import check
from course_utils.checkpoints import load_history, load_network, save_network
from course_utils.onnx_files.export import export_onnx
from course_utils.onnx_files.measuring import measure_onnx
from course_utils.pictures import plots, tables
from course_utils.pictures.keep_ratio_explorer import keep_ratio_explorer
from course_utils.training import evaluate, train
from minicifar import Loader, MiniCIFAR

# %% [markdown]
# The patient: `vgg_mini`, six convolutions, trained on MiniCIFAR. You do not have to train it, it comes
# with the course.

# %%
train_images, val_images, test_images = MiniCIFAR("train"), MiniCIFAR("val"), MiniCIFAR("test")
print(train_images.source.description)
network = baseline(train_images)
network

# %% tags=["slow"]
before = evaluate(network, Loader(test_images))
print(f"accuracy on {len(test_images)} test images: {before.accuracy:.1%}")

# %% [markdown]
# ## 1. Which filters matter least?   (10 min)
#
# The weight $W$ of a convolution has the shape `(O, I, kH, kW)`: `O` filters, each of which looks at `I`
# input channels through a window of `kH × kW`. Filter $j$ is $W_j$ = `weight[j]`; what it computes is
# channel $j$ of the output, its *feature map*.
#
# Li et al. (2016, [arXiv 1608.08710](https://arxiv.org/abs/1608.08710)) rank a filter by the sum of its
# absolute weights,
# $$ s_j = \sum_{i, y, x} |W_{j,i,y,x}| , $$
# because a filter of small weights tends to produce a feature map of small activations. No image is needed
# for it. The bias is not counted.

# %% [markdown]
# **Exercise.** Write `filter_l1_norms`.
#
# <details><summary>Hint 1: where do I start?</summary>
# One number per filter is wanted. Which axis of <code>weight</code> counts the filters? All the others have to
# disappear.
# </details>
# <details><summary>Hint 2: which operations?</summary>
# Absolute values first: otherwise +3 and −3 cancel. Then <code>sum</code>, which takes a tuple of axes as
# <code>dim</code>.
# </details>
# <details><summary>Hint 3: nearly there</summary>
# For a weight of shape (O, I, kH, kW) the axes to sum over are number 1, 2 and 3.
# </details>

# %% tags=["exercise"]
from solutions.l1 import filter_l1_norms

# %% [markdown]
# What does the ranking look like in the network? Each curve is one layer, its filters sorted by their norm,
# in units of the layer's mean. A steep curve has filters that seem dispensable; a flat one says that the
# ranking cannot tell them apart.

# %% tags=["slow"]
plots.filter_ranking(network, filter_l1_norms)

# %% [markdown]
# And these are the filters of the first layer themselves, strongest first. They look for edges and colours.

# %%
first = network.features[0]

# %% tags=["slow"]
plots.filter_gallery(first.weight, filter_l1_norms(first.weight))

# %% [markdown]
# ## 2. How many stay?   (15 min)
#
# With a keep ratio $r$, a layer of $O$ filters loses $\lfloor (1-r)\,O + 10^{-9} \rfloor$ of them; the small
# number makes up for floating point: with $r = 0.9$ and $O = 10$, (1 − 0.9) · 10 comes out as 0.99999…, and without it
# no filter would go.
# **At least one filter always stays**: an empty layer would cut the network in two.
#
# The filters that stay keep their order. That is a matter of taste for this layer, but not for the next one:
# its input slices have to be picked in the same order, and sorted indices are hard to get wrong.

# %% [markdown]
# **Exercise.** Write `filters_to_keep`.
#
# <details><summary>Hint 1: where do I start?</summary>
# Compute first how many filters are removed, then how many stay (never fewer than one).
# </details>
# <details><summary>Hint 2: which operations?</summary>
# <code>torch.topk</code> or <code>argsort</code> gives positions ordered by <em>score</em>. You need those
# positions in increasing order, so sort once more.
# </details>
# <details><summary>Hint 3: nearly there</summary>
# <code>math.floor</code> for the formula above; <code>max</code> with 1; <code>.indices</code> of
# <code>topk</code>; <code>.sort()</code> returns values and indices, you want the values. A keep ratio
# outside 0…1 is a <code>ValueError</code>.
# </details>

# %% tags=["exercise"]
from solutions.l1 import filters_to_keep

# %% [markdown]
# **Play with it.** Move the slider: filters below the threshold turn grey, and you see what the network
# would still cost. Note that parameters fall faster than filters. Why?

# %% tags=["slow"]
keep_ratio_explorer(network, filter_l1_norms, filters_to_keep)

# %% [markdown]
# ## 3. Surgery   (30 min)
#
# Filter $j$ of a convolution is removed. What else has to go?
#
# - the *row* $j$ of its weight, and entry $j$ of its bias if there is one;
# - entry $j$ of the batch norm behind it: **weight, bias, running mean and running variance**;
# - the *input slice* $j$ of the next convolution: `weight[:, j]`.
#
# ReLU and pooling work on each channel alone, they have nothing to lose. So one function can narrow a
# convolution on both sides: `outputs` are its own filters that stay, `inputs` are the channels that are left
# of the layer before.

# %% [markdown]
# **Exercise.** Write `narrow_conv`. It returns a *new* layer and leaves the old one alone.
#
# <details><summary>Hint 1: where do I start?</summary>
# Make a new <code>nn.Conv2d</code> with the new numbers of channels, and everything else as in
# <code>conv</code>: kernel size, stride, padding, dilation, padding mode, with or without bias.
# </details>
# <details><summary>Hint 2: how do I pick rows and columns?</summary>
# Index twice: once along axis 0 (the filters), then along axis 1 (the input channels).
# <code>weight[outputs, inputs]</code> in one step would pair them up instead.
# </details>
# <details><summary>Hint 3: nearly there</summary>
# Assign to <code>.weight.data</code> of the new layer, and do not forget a <code>.clone()</code>, so that the
# two layers share no memory. The bias has one entry per <em>filter</em>. <code>.to(conv.weight)</code> takes
# over dtype and device.
# </details>

# %% tags=["exercise"]
from solutions.l1 import narrow_conv

# %% [markdown]
# **Exercise.** Write `narrow_batchnorm`. In training mode a batch norm normalises with the batch's own mean
# and variance; in evaluation mode it uses `running_mean` and `running_var`, which it has collected. Those
# belong to channels too!
#
# <details><summary>Hint 1: where do I start?</summary>
# <code>copy.deepcopy(norm)</code> keeps <code>eps</code>, <code>momentum</code> and the mode. Then narrow
# everything that has one entry per channel.
# </details>
# <details><summary>Hint 2: what has one entry per channel?</summary>
# Look at <code>norm.state_dict()</code>: two parameters, two buffers. <code>num_features</code> must agree.
# </details>

# %% tags=["exercise"]
from solutions.l1 import narrow_batchnorm

# %% [markdown]
# ## 4. Behind `flatten`   (15 min)
#
# The classifier reads a *flattened* feature map: `(C, H, W)` becomes `C·H·W` features, channel after channel.
# So channel $j$ does not own one column of the linear layer's weight, it owns $H \cdot W$ neighbouring ones:
#
# ```
# features:   0 … P-1 │ P … 2P-1 │ 2P … 3P-1 │ …        P = H·W pixels
# channel:       0    │    1     │     2     │ …
# ```
#
# In `vgg_mini` the last feature map is 2 × 2, so `pixels` is 4.

# %% [markdown]
# **Exercise.** Write `narrow_linear`.
#
# <details><summary>Hint 1: where do I start?</summary>
# Write down, on paper, the columns that stay for <code>channels = [0, 2]</code> and <code>pixels = 4</code>.
# </details>
# <details><summary>Hint 2: without a loop</summary>
# The first columns are <code>channels * pixels</code>. Add 0 … pixels−1 to each: a column vector plus a row
# vector gives a matrix, and <code>flatten</code> puts it in order.
# </details>

# %% tags=["exercise"]
from solutions.l1 import narrow_linear

# %% [markdown]
# ## 5. The whole operation   (30 min)
#
# Now walk through the network once, from the image to the classes. `kept` are the channels that are left of
# the layer before; at the beginning these are the three colours. **The network's outputs are never pruned**:
# there are as many as classes.

# %% [markdown]
# **Exercise.** Write `prune_vgg` with the functions you have. All scores come from the *unpruned* weights.
#
# <details><summary>Hint 1: where do I start?</summary>
# A deepcopy of the network; then a loop over <code>network.features</code>. For a convolution you choose the
# filters and replace the layer in the copy; for a batch norm you replace the layer, with the channels that
# were chosen for the convolution before it.
# </details>
# <details><summary>Hint 2: the end</summary>
# <code>pixels</code> of the classifier: its <code>in_features</code> divided by the number of channels that
# the last convolution had <em>before</em> it was pruned.
# </details>
# <details><summary>Hint 3: nearly there</summary>
# <code>for position, layer in enumerate(network.features)</code>, <code>isinstance(layer, nn.Conv2d)</code>,
# and remember after every convolution what is kept: the next layer needs it as its <code>inputs</code>.
# </details>

# %% tags=["exercise", "composite"]
from solutions.l1 import prune_vgg

# %% [markdown]
# A keep ratio of 1 must change nothing at all, that is the first test of every surgeon:

# %%
images, _ = next(iter(Loader(test_images, batch_size=8)))
with torch.no_grad():
    difference = (prune_vgg(network, 1.0)(images) - network(images)).abs().max()
print(f"largest difference of the outputs at keep ratio 1: {difference:.1e}")

# %% [markdown]
# How far can we go without retraining?

# %% tags=["slow"]
ratios = [1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.625, 0.5, 0.25]
accuracies = [evaluate(prune_vgg(network, ratio), Loader(test_images, batch_size=500)).accuracy for ratio in ratios]
plots.accuracy_against(
    ratios,
    {"L1, no retraining": accuracies},
    xlabel="keep ratio of every layer",
    baseline=before.accuracy,
    images=test_images,
)

# %% [markdown]
# ## 6. Retraining   (20 min)
#
# A pruned network is not a bad network, it is one that has been *interrupted*. A few epochs are enough to
# heal it. The optimizer is a new one: the old one's momentum belongs to filters that no longer exist.
#
# The cell below trains for about half a minute, and saves the network (for you, with its architecture) and an
# ONNX file (for grading). **Hand in both files together with this notebook.** Cells like this one are not run
# again when your work is graded: the file is measured instead. You may change everything in it, as long as
# the network keeps at most 45 % of the parameters. (While you make choices, look at the *validation* images.)

# %% tags=["train"]
pruned = prune_vgg(network, keep_ratio=0.625)
history = train(
    pruned,
    Loader(train_images, batch_size=64, shuffle=True, augment=True, seed=0),
    epochs=12,
    test=Loader(val_images, batch_size=400),
    lr=0.05,
)
save_network(pruned, "lab3_pruned.safetensors", history=history, images=train_images)
export_onnx(pruned, "lab3_pruned.onnx", images=train_images)

# %% [markdown]
# Loading the file brings the pruned network back, narrow layers included.

# %%
pruned = load_network("lab3_pruned.safetensors")

# %% tags=["slow"]
unpruned = evaluate(network, Loader(val_images, batch_size=400)).accuracy
plots.training_curves(
    {"L1": load_history("lab3_pruned.safetensors")}, "validation", baseline=unpruned, images=val_images
)

# %% [markdown]
# What have we gained, and what has it cost? Both networks are exported to ONNX and *measured*: run on the
# test images, parameters and MACs counted from the file.

# %% tags=["slow"]
export_onnx(network, "lab3_original.onnx", images=train_images)
tables.comparison(
    measure_onnx("lab3_original.onnx", test_images), measure_onnx("lab3_pruned.onnx", test_images), images=test_images
)

# %% tags=["slow"]
plots.widths({"original": network, "pruned": pruned})

# %% [markdown]
# **The network you hand in.** This check shows the very numbers and points that grading will give.

# %% tags=["artifact"]
check("lab3_pruned_onnx")

# %% [markdown]
# ## 7. Extra: the greedy ranking   (10 min)
#
# You ranked every layer by its *whole* filters. But when layer 2 is ranked, some channels of layer 1 are
# already gone, and the weights that look at them no longer matter. Li et al.'s *greedy* strategy counts only
# what is left: $s_j = \sum_{i \in \text{inputs}} \sum_{y,x} |W_{j,i,y,x}|$.

# %% [markdown]
# **Exercise (extra).** Write `greedy_l1_norms`.
#
# <details><summary>Hint</summary>
# Pick the input channels first, and score what is left as before.
# </details>

# %% tags=["exercise"]
from solutions.l1 import greedy_l1_norms

# %% tags=["slow"]
second = network.features[3].weight
inputs = filters_to_keep(filter_l1_norms(first.weight), 0.5)
drawing, axis = plots.figure(width=4.2, height=4)
axis.scatter(filter_l1_norms(second).detach(), greedy_l1_norms(second, inputs).detach(), color=plots.COLOURS["L1"])
axis.set(xlabel="L1 norm of the whole filter", ylabel="L1 norm over the channels left")
axis.set_title("Second layer: do the two rankings agree?")
drawing

# %% [markdown]
# ## 8. Questions   (15 min)

# %% [markdown] tags=["question"] points=2 name="question_scaling"
# **Question 1.** Batch norm follows every convolution here. Suppose somebody multiplies all weights of one
# filter by 10. What happens to the network's output in evaluation mode after the running statistics have
# caught up, what happens to the filter's L1 norm, and what does that say about the ranking?
#
# ### BEGIN MARK SCHEME
# *Rubric (2 points).* 1 point: the batch norm divides by the standard deviation, which grows tenfold too, so
# the output does not change (up to eps). 1 point: the L1 norm grows tenfold, so the rank changes although the
# function does not; within one layer trained with one weight decay the scales are comparable, between layers
# (or after such a rescaling) they are not. Mentioning the batch norm's weight as a better score earns the
# point as well.
# ### END MARK SCHEME

# %% [markdown] tags=["question"] points=2 name="question_control"
# **Question 2.** Your pruned network reaches nearly the accuracy of the original. A friend says: "Then train
# the narrow network from random weights, and save yourself the pruning." Describe the experiment that would
# settle it: what must be the same for both, what do you measure, how often do you repeat it?
#
# ### BEGIN MARK SCHEME
# *Rubric (2 points).* 1 point: same widths, same images, and a fair budget: the narrow network from scratch
# gets the epochs of the original's training *plus* those of retraining. 1 point: several seeds, mean and
# spread on images that were not used for any choice; a difference smaller than the spread is none.
# ### END MARK SCHEME
