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
# # Lab 2: masks: nine of ten weights are zero, and now?
#
# The simplest way to prune a network: set its smallest weights to zero. It works astonishingly well, and it is
# where most of the vocabulary of pruning comes from. It is also where most of its disappointments come from. In
# this lab you do it properly, and measure both.
#
# **Afterwards you can**
# - prune single weights by magnitude, layer by layer or with one threshold for the whole network, and say when
#   the two differ;
# - retrain a network so that the zeros *stay* zeros, and find the mistake in code where they do not;
# - say what 90 % zeros are good for, what they are not good for, and show it with numbers;
# - rewind a pruned network to an early epoch, and run the control that tells whether it was worth it.
#
# **You need** lab 0 (a training step) and lab 1 (what a network costs).
#
# | part | exercise | minutes | |
# |---|---|---|---|
# | 1 | `magnitude_mask`, `sparsity` | 20 | core |
# | 2 | `global_threshold`, `apply_masks` | 25 | core |
# | 3 | `masked_step` | 25 | core |
# | 4 | retraining, and the network you hand in | 20 | core |
# | 5 | why is it no faster? | 15 | core |
# | 6 | `rewind` | 25 | core |
# | 7 | two questions | 15 | core |
#
# Run a cell with Shift-Enter. After every exercise there is a `check`: it tells you at once what is right,
# and what is probably the matter when something is not. You can run it as often as you like.

# %%
import copy
import gzip
import math
import time
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from course_utils import timing
from course_utils.baseline import baseline
from course_utils.checking import check
from course_utils.checkpoints import load_history, load_network, save_network
from course_utils.networks import vgg_mini
from course_utils.onnx_files.export import export_onnx
from course_utils.onnx_files.measuring import measure_onnx
from course_utils.pictures import plots, tables
from course_utils.training import evaluate, train
from minicifar import Loader, MiniCIFAR

# %% [markdown]
# From lab 0 you have a training step, and from lab 1 a fair clock. Here are the course's versions of them, so that an
# exercise which is not finished there costs you nothing here.

# %%
from solutions.costs import median_latency
from solutions.training_step import training_step

# %%
train_images, val_images, test_images = MiniCIFAR("train"), MiniCIFAR("val"), MiniCIFAR("test")
print(train_images.source.description)
network = baseline(train_images)
before = evaluate(network, Loader(val_images, batch_size=400)).accuracy
print(f"accuracy of the unpruned network on {len(val_images)} validation images: {before:.1%}")

# %% [markdown]
# ## 1. The smallest weights   (20 min)
#
# A **mask** $M$ has the shape of a weight $W$, and is 1 where a weight stays and 0 where it goes. The pruned weight
# is $M \odot W$. *Magnitude pruning* (Han et al. 2015, [arXiv 1506.02626](https://arxiv.org/abs/1506.02626))
# removes the weights of the smallest $|w|$. The **sparsity** is the share of zeros: of $N$ weights
# $$ \lfloor \text{sparsity} \cdot N + 10^{-9} \rfloor $$
# go, and exactly so many, also when some weights are equally large. (The small number makes up for floating point:
# 0.7 · 90 is 62.999….)
#
# Note the difference to the filters of lab 3: single weights go here, wherever they stand, and the *shapes* of all
# tensors remain. That is why this is called **unstructured** pruning.

# %% [markdown]
# **Exercise.** Write `magnitude_mask`.
#
# <details><summary>Hint 1: where do I start?</summary>
# The weight has four axes, and the ranking does not care about them: <code>flatten</code> first, and give the mask the
# weight's shape at the end.
# </details>
# <details><summary>Hint 2: why not a threshold?</summary>
# <code>weight.abs() > threshold</code> removes too many or too few where several weights are equal.
# <code>argsort</code> gives <em>positions</em>, and of those you can take as many as you want.
# </details>
# <details><summary>Hint 3: nearly there</summary>
# A mask of <code>torch.ones(…, dtype=torch.bool)</code>, in which the first <em>k</em> positions of the order (smallest
# |w| first) become <code>False</code>; then <code>.view(weight.shape)</code>. A sparsity outside 0…1 is a
# <code>ValueError</code>.
# </details>

# %% tags=["exercise"]
from solutions.masks import magnitude_mask

# %% [markdown]
# And the book-keeping: how many of a network's weights are zero? Only weights of convolutions and linear layers are
# pruned in this course. Biases and batch norms are few and important, so they are neither pruned nor counted. A
# simple way to tell them apart: the weights that we mean have two axes or more.

# %% [markdown]
# **Exercise.** Write `sparsity`.
#
# <details><summary>Hint 1: where do I start?</summary>
# <code>network.parameters()</code>, and of those the ones with <code>ndim > 1</code>.
# </details>
# <details><summary>Hint 2: an average of what?</summary>
# Count zeros and weights of all layers together, and divide once at the end: the mean of the layers' shares would give
# a small layer as much say as a large one.
# </details>

# %% tags=["exercise"]
from solutions.masks import sparsity

# %% [markdown]
# What does it look like? Here is the second convolution of the network: one little square for each kernel, with one
# row for each filter. Zeros are white.

# %%
second = network.features[3].weight
plots.kernel_map({"dense": second, "80 % sparse": second * magnitude_mask(second, 0.8)})

# %% [markdown]
# Look for rows that are nearly white. A row that is *completely* white would be a filter that could be removed, as
# in lab 3. How many of the 32 filters is that, although four of five weights are gone?
#
# ## 2. One threshold for all layers   (25 min)
#
# So far every layer loses the same share: *local* pruning. But a layer of 864 weights and one of 147,456 hardly
# have the same share to spare. *Global* pruning sorts the weights of all layers together, and has one threshold $t$:
# what is smaller goes, $|w| < t$, wherever it is. The layers' sparsities then follow from the weights.

# %% [markdown]
# **Exercise.** Write `global_threshold`. It is the smallest magnitude that *stays*.
#
# <details><summary>Hint 1: where do I start?</summary>
# One long vector of all magnitudes: <code>torch.cat</code> of the flattened layers.
# </details>
# <details><summary>Hint 2: which one is it?</summary>
# Sort them. If the <em>k</em> smallest go, the smallest that stays is the one at position <em>k</em>, since we count
# from 0.
# </details>
# <details><summary>Hint 3: what about <code>torch.quantile</code>?</summary>
# It interpolates between two values, so what it returns is the magnitude of no weight at all.
# </details>

# %% tags=["exercise"]
from solutions.masks import global_threshold

# %% [markdown]
# With what you wrote, masks for a whole network are a matter of lines. These functions are given; read them, they
# return a dictionary of each parameter's name and its mask.

# %% tags=["given"]
from solutions.masks import prunable_weights, local_masks, global_masks

# %% [markdown]
# Where do the weights go at 90 %?

# %%
at_90 = {"local": local_masks(network, 0.9), "global": global_masks(network, 0.9)}
plots.shares_left(at_90)

# %% [markdown]
# **Exercise.** The masks have to be put onto the network: write `apply_masks`. It changes the network *in place*: the
# parameters stay the same objects, because an optimizer holds on to exactly these objects, not to their names.
#
# <details><summary>Hint 1: how do I find a parameter by its name?</summary>
# <code>network.get_parameter("features.0.weight")</code>, or walk through <code>network.named_parameters()</code>.
# </details>
# <details><summary>Hint 2: "a leaf Variable that requires grad is being used in an in-place operation"?</summary>
# Do it inside <code>with torch.no_grad():</code>, with <code>*=</code> or <code>mul_</code>.
# </details>

# %% tags=["exercise"]
from solutions.masks import apply_masks


# %% [markdown]
# Now the accuracy, without any retraining, for both. Make a guess first: at which sparsity does the network start to
# suffer, and which of the two curves is higher?


# %%
def pruned_copy(masks):
    """A copy of the network with these masks applied."""
    sparse = copy.deepcopy(network)
    apply_masks(sparse, masks)
    return sparse


# %% tags=["slow"]
shares = [0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95]
unseen = Loader(val_images, batch_size=400)
curves = {"magnitude, global": [], "magnitude, local": []}
for share in shares:
    curves["magnitude, global"].append(evaluate(pruned_copy(global_masks(network, share)), unseen).accuracy)
    curves["magnitude, local"].append(evaluate(pruned_copy(local_masks(network, share)), unseen).accuracy)
plots.accuracy_against(
    shares,
    curves,
    xlabel="sparsity, no retraining",
    baseline=before,
    images=val_images,
    measured_on="validation",
)

# %% [markdown]
# **Layer collapse.** Nothing stops a global threshold from taking *all* weights of a layer. Then nothing passes through
# it, the network's answer no longer depends on the image, and no retraining can help: the gradients do not pass
# through it either. (Tanaka et al. 2020, [arXiv 2006.05467](https://arxiv.org/abs/2006.05467), gave it its name.) The
# remedy is a floor: a few weights stay in every layer, whatever the threshold says.

# %%
extreme = {"one threshold": global_masks(network, 0.998), "at least 50 a layer": global_masks(network, 0.998, least=50)}
for label, masks in extreme.items():
    print(f"{label:>20}: weights left", [int(mask.sum()) for mask in masks.values()])
plots.shares_left(extreme)

# %% [markdown]
# ## 3. Zeros that stay zeros   (25 min)
#
# At 90 % the network does no better than guess. But, as in lab 3, it has only been interrupted: let us train it on.
# Here is the mistake that most people make once. They set the weights to zero, and then train as always:

# %% tags=["slow"]
masks = global_masks(network, 0.9)
careless = pruned_copy(masks)
optimizer = torch.optim.SGD(careless.parameters(), lr=0.05, momentum=0.9)
zeros = [sparsity(careless)]
for images, labels in Loader(train_images, batch_size=64, shuffle=True, augment=True, seed=0):
    training_step(careless, images, labels, optimizer)
    zeros.append(sparsity(careless))
    if len(zeros) == 4:
        break
print("sparsity before the first step, after it, …:", [round(share, 3) for share in zeros])

# %% [markdown]
# After *one* step nothing is left of the pruning. A weight of zero still has a gradient, and the optimizer knows
# nothing of masks. Worse, the accuracy looks fine: an unpruned network has been trained. Two remedies that are none:
#
# - *"I set the gradients of pruned weights to zero."* Momentum that was gathered before still moves them.
# - *"I apply the masks once more at the end."* That prunes a network that has learned to rely on these weights.
#
# What works: after **every** step of the optimizer the pruned weights are set to zero again.

# %% [markdown]
# **Exercise.** Write `masked_step`, with `training_step` (given above) and your `apply_masks`.
#
# <details><summary>Hint 1: in which order?</summary>
# The optimizer moves the weights, so the masks come after it.
# </details>
# <details><summary>Hint 2: what is returned?</summary>
# What <code>training_step</code> returns: the loss that the step started from.
# </details>

# %% tags=["exercise", "composite"]
from solutions.masks import masked_step

# %% tags=["slow"]
careful = pruned_copy(masks)
optimizer = torch.optim.SGD(careful.parameters(), lr=0.05, momentum=0.9)
held = [sparsity(careful)]
for images, labels in Loader(train_images, batch_size=64, shuffle=True, augment=True, seed=0):
    masked_step(careful, images, labels, optimizer, masks)
    held.append(sparsity(careful))
    if len(held) == len(zeros):
        break
drawing, axis = plots.figure(height=2.6)
axis.plot(held, "o-", color=plots.COLOURS["magnitude"], label="masks after every step")
axis.plot(zeros, "o-", color=plots.COLOURS["original"], label="masks once, before training")
axis.set(xlabel="training steps", ylabel="sparsity", ylim=(-0.03, 1), xticks=range(len(held)))
axis.yaxis.set_major_formatter(plots.percent)
axis.legend()
drawing

# %% [markdown]
# ## 4. Retraining, and the network you hand in   (20 min)
#
# The course's `train` calls a function after every step if you ask it to: `after_step`. So `train_masked`, given, is
# `train` with your `apply_masks`.
#
# The second cell below trains for about half a minute, and saves the network (for you) and an ONNX file (for
# grading). **Hand in both files together with this notebook.** Cells like this one are not run again when your work
# is graded: the file is measured instead. You may change everything in it, as long as at most 11 % of the unpruned
# network's parameters are not zero. (While you make choices, look at the *validation* images.)

# %% tags=["given"]
from solutions.masks import train_masked

# %% tags=["train"]
sparse = copy.deepcopy(network)
history = train_masked(
    sparse,
    global_masks(sparse, 0.9),
    Loader(train_images, batch_size=64, shuffle=True, augment=True, seed=0),
    epochs=6,
    test=Loader(val_images, batch_size=400),
    lr=0.05,
)
save_network(sparse, "lab2_masked.safetensors", history=history, images=train_images)
export_onnx(sparse, "lab2_masked.onnx", images=train_images)

# %%
sparse = load_network("lab2_masked.safetensors")
print(f"sparsity after retraining: {sparsity(sparse):.1%}")

# %% tags=["slow"]
plots.training_curves(
    {"magnitude": load_history("lab2_masked.safetensors")}, "validation", baseline=before, images=val_images
)

# %% [markdown]
# **The network you hand in.** This check shows the very numbers and points that grading will give.

# %% tags=["artifact"]
check("lab2_masked_onnx")

# %% [markdown]
# ## 5. Why is it no faster?   (15 min)
#
# Nine of ten weights are zero, so nine of ten multiplications are by zero. You know how to measure what that gives:

# %% tags=["slow"]
export_onnx(network, "lab2_original.onnx", images=train_images)
tables.comparison(
    measure_onnx("lab2_original.onnx", test_images), measure_onnx("lab2_masked.onnx", test_images), images=test_images
)


# %% tags=["slow"]
def latency(run):
    return median_latency(run, time.perf_counter, warmup=2, repeats=5)


batch = torch.randn(64, 3, 32, 32)
times = {
    "PyTorch, batch 64": timing.in_turn([timing.torch_run(one, batch) for one in (network, sparse)], latency),
    "ONNX Runtime, batch 64": timing.in_turn(
        [timing.onnx_run(path, batch) for path in ("lab2_original.onnx", "lab2_masked.onnx")], latency
    ),
}
timing.table(times, ("dense", "90 % zeros"))

# %% [markdown]
# Nothing. The tensors have the shapes they had; a *dense* kernel loads every weight, zero or not, and multiplies by
# it. Multiplying by zero takes as long as multiplying by seven.
#
# There are formats that store the non-zero weights only, each with its position. Does that help? One layer of
# 1024 × 1024 weights, dense and as *compressed sparse rows* (CSR), on 64 inputs:

# %% tags=["slow"]
warnings.filterwarnings("ignore", message="Sparse CSR")
wide, inputs = torch.randn(1024, 1024), torch.randn(1024, 64)
races = {}
for share in (0.5, 0.9, 0.99):
    dense = wide * magnitude_mask(wide, share)
    rows = dense.to_sparse_csr()
    races[f"{share:.0%} zeros"] = timing.in_turn([partial(torch.mm, one, inputs) for one in (dense, rows)], latency)
timing.table(races, ("dense", "CSR"))

# %% [markdown]
# At 50 % zeros the list of positions costs more than it saves: a processor loves long rows of neighbouring numbers.
# Somewhere above that the format pays, for this matrix on this machine. For *convolutions* PyTorch has no such
# kernel, and on a GPU the break-even lies further to the right. (Hardware with 2:4 sparsity, where two of every four
# neighbours are zero, moves that point, at the price of a pattern that the weights must follow.)
#
# So what *are* zeros good for? For whatever can skip them: a file on its way to a telephone.

# %%
sizes = []
for label, path in (("dense", "lab2_original.onnx"), ("90 % zeros", "lab2_masked.onnx")):
    content = Path(path).read_bytes()
    sizes.append((label, f"{len(content) / 1e6:.2f}", f"{len(gzip.compress(content)) / 1e6:.2f}"))
tables.Table(("", "file, MB", "compressed, MB"), sizes)

# %% [markdown]
# ## 6. Was it worth it? Rewinding, and the control   (25 min)
#
# Frankle & Carbin (2018, [arXiv 1803.03635](https://arxiv.org/abs/1803.03635)) asked: is it the *weights* that pruning
# found, or the *places*? Their experiment: train, prune, put the weights that are left back to where they
# *started* (or to where they were after the first epochs: Frankle et al. 2019,
# [arXiv 1903.01611](https://arxiv.org/abs/1903.01611)), and train again, masked. If that network, a "winning ticket",
# learns as well as the dense one did, the places were worth finding. The control: the same masks on *other* random
# weights.

# %% [markdown]
# **Exercise.** Write `rewind`. `start` is a `state_dict` that was kept early in training, with weights, biases *and*
# the batch norms' running statistics. It is used several times, so training must not change it afterwards.
#
# <details><summary>Hint 1: where do I start?</summary>
# <code>network.load_state_dict(start)</code> <em>copies</em> the values into the network's own tensors.
# </details>
# <details><summary>Hint 2: and then?</summary>
# The old weights are back in all places, also in those that were pruned.
# </details>

# %% tags=["exercise", "composite"]
from solutions.masks import rewind

# %% [markdown]
# A fresh network, half as wide so that it does not take long, trained for one epoch: there we put a pin. Then the rest
# of its training, then a mask of 90 % from the trained weights, and three ways on, each of the same length. (A minute
# or two.)


# %% tags=["slow"]
def train_for(one, epochs=8, masks=None, seed=1):
    loader = Loader(train_images, batch_size=64, shuffle=True, augment=True, seed=seed)
    return train_masked(one, masks or {}, loader, epochs=epochs, lr=0.1)


half = (16, 16, 32, 32, 64, 64)
dense = vgg_mini(half, classes=len(train_images.classes), seed=1)
train_for(dense, epochs=1)
pin = copy.deepcopy(dense.state_dict())
train_for(dense)
masks = global_masks(dense, 0.9)

rewound, other = copy.deepcopy(dense), vgg_mini(half, classes=len(train_images.classes), seed=2)
rewind(rewound, pin, masks)
apply_masks(other, masks)
kept = copy.deepcopy(dense)
apply_masks(kept, masks)
for one in (kept, rewound, other):
    train_for(one, masks=masks, seed=3)

rows = []
for label, one in {
    "dense": dense,
    "pruned, trained on": kept,
    "pruned, rewound to epoch 1, trained": rewound,
    "same masks, other random weights, trained": other,
}.items():
    rows.append((label, f"{sparsity(one):.0%}", f"{evaluate(one, unseen).accuracy:.1%}"))
tables.Table(("", "sparsity", f"accuracy on {len(val_images)} validation images"), rows)

# %% [markdown]
# Mind the epochs: the dense network had 9 in all, the rewound one 1 + 8, the one that was trained on 9 + 8. And one run
# of each is an anecdote: on 800 images an accuracy of 80 % has a standard error of 1.4 points, seeds apart.
# (`solutions.masks.winning_ticket` does the iterative version: prune a little, rewind, train, prune a little more.)
# Question 2 asks what you would need to make a claim of it.

# %% [markdown]
# ## 7. Questions   (15 min)

# %% [markdown] tags=["question"] points=2 name="question_layers"
# **Question 1.** At 90 % your global masks kept two thirds of the first layer, and little of the last
# convolutions. Why do those have the smaller weights? And is a small weight of a layer as dispensable as a weight of
# the same size in another layer? (Think of the batch norm behind each convolution.)
#
# ### BEGIN MARK SCHEME
# *Rubric (2 points).* 1 point: the last convolutions have many more inputs (9 · 128 against 27): weights are
# initialised and learned smaller where more of them are summed up (fan-in), and most of the parameters, so most of
# the redundancy, is there. 1 point: no; a batch norm divides by the standard deviation of what comes, so the scale of a
# layer's weights has no influence on the function: all weights of a layer times 0.1 gives the same network and ranks
# them last. One threshold for all layers compares numbers of different units; that it works is an empirical fact. Any
# right normalisation (dividing by the layer's norm or standard deviation) may be mentioned in place of it.
# ### END MARK SCHEME

# %% [markdown] tags=["question"] points=2 name="question_ticket"
# **Question 2.** Write the plan of an experiment that decides, for this network and these images, whether rewinding
# is better than training on. What is compared, what is the same for all, what is measured on which images, how often,
# and what result would make you say "no difference"?
#
# ### BEGIN MARK SCHEME
# *Rubric (2 points).* 1 point: same masks, same number of epochs, same learning-rate schedule and images for both, and
# as controls the same masks with other random weights (or random masks), and the dense network with as many epochs
# in total. 1 point: several seeds (at least three to five), mean and spread on images that were not used to choose
# anything; "no difference" if the difference of the means is within the spread (or not significant in a paired
# test). Naming several sparsities earns the point where one of these parts is missing.
# ### END MARK SCHEME
