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
# # Lab 7: what can be pruned in any network?
#
# In lab 3 you wrote `prune_vgg`. It knows one architecture: a chain. For the next network you would have to
# write the next function, and for a network with shortcuts, concatenations and gates you would get it wrong
# at least once. Today the network itself tells us what belongs together. We export it to **ONNX**, read the
# graph, and find out which filters can go, what has to go with them, and what must stay.
#
# **Afterwards you can**
# - read the graph of an exported network, and follow a channel through it;
# - say what a removed filter means behind `flatten`, a concatenation and a residual addition;
# - find the convolutions that must lose the same filters, and say why some can lose none;
# - prune networks that you have never seen, and prove that the result is right.
#
# **You need** lab 3 (surgery on a chain). The idea comes from Martineau's poster *Applying Pruning Filters in
# Convolutional Neural Network*; DepGraph (Fang et al. 2023, [arXiv 2301.12900](https://arxiv.org/abs/2301.12900))
# does the same with another graph.
#
# | part | exercise | minutes | |
# |---|---|---|---|
# | 1 | `consumers` | 15 | core |
# | 2 | `features_of_channel` | 10 | core |
# | 3 | `concat_offsets` | 10 | core |
# | 4 | `coupled_channels` | 45 | core |
# | 5 | networks that you have never seen | 15 | core |
# | 6 | is it faster? | 10 | core |
# | 7 | the network you hand in | 15 | core |
# | 8 | two questions | 15 | core |
#
# Run a cell with Shift-Enter. After every exercise there is a `check`: it tells you at once what is right,
# and what is probably the matter when something is not. You can run it as often as you like.

# %%
from collections import Counter
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.baseline import baseline
from course_utils.checking import check
from course_utils.checkpoints import load_history, load_network, save_network
from course_utils.networks import from_torchvision, parameter_count, resnet20
from course_utils.onnx_files.export import export_onnx
from course_utils.onnx_files.measuring import measure_onnx
from course_utils.pictures import plots, tables
from course_utils.training import evaluate, train
from minicifar import Loader, MiniCIFAR
from solutions.graph.groups import channel_groups
from solutions.graph.export import export_graph
from solutions.graph.picture import draw_graph
from solutions.graph.plain import JOINING, PASSING, plain_graph
from solutions.plans import l1_plan, parameters_left
from solutions.prunable import prunable_groups
from solutions.surgery import prune, silence
from solutions.speedup import compare

# %% [markdown]
# ## 1. The network as a graph   (15 min)
#
# An exported network is a list of **nodes** in the order in which they run. A node has an operator (`Conv`, `Relu`,
# `Add` …), reads tensors by name and writes tensors by name. That is all: no classes, no `forward`. Who wrote the
# network, and how, no longer matters.
#
# `export_graph` makes the ONNX graph (with the batch norms in it, which an export usually folds away), and
# `plain_graph` turns it into plain Python. Parameters are not listed as inputs: a node's `weight` is the *name* of
# its weight in the network.

# %%
train_images, val_images, test_images = MiniCIFAR("train"), MiniCIFAR("val"), MiniCIFAR("test")
print(train_images.source.description)
network, resnet = baseline(train_images), resnet20().eval()

# %% tags=["slow"]
vgg_model = export_graph(network, torch.zeros(1, 3, 32, 32))
vgg_graph = plain_graph(vgg_model)
for node in [*vgg_graph[:7], *vgg_graph[-3:]]:
    print(node)

# %% [markdown]
# Follow the names: `conv2d` is written by the first node and read by the second. Between the last pooling and the
# classifier there is a `Reshape`: that is how `flatten(1)` arrives in the file.
#
# The first question of every surgeon: if I change this feature map, **who reads it?**

# %% [markdown]
# **Exercise.** Write `consumers`.
#
# <details><summary>Hint 1: where do I start?</summary>
# Go through the graph once. Which key of a node holds what it reads?
# </details>
# <details><summary>Hint 2: one input or many?</summary>
# <code>node["inputs"]</code> is a list: an addition reads two feature maps. Python's <code>in</code> asks a list for
# an equal member.
# </details>
# <details><summary>Hint 3: nearly there</summary>
# A list comprehension over the nodes, with one condition. It is empty by itself when nobody reads the tensor.
# </details>

# %% tags=["exercise"]
from solutions.couplings import consumers

# %% [markdown]
# In a chain every feature map has one reader. In ResNet-20 some have two: there the road forks, and the shortcut
# begins.

# %% tags=["slow"]
resnet_model = export_graph(resnet, torch.zeros(1, 3, 32, 32))
resnet_graph = plain_graph(resnet_model)
for name, graph in {"vgg_mini": vgg_graph, "ResNet-20": resnet_graph}.items():
    readers = Counter(len(consumers(graph, node["outputs"][0])) for node in graph)
    print(f"{name}: feature maps by their number of readers: {dict(sorted(readers.items()))}")

# %% [markdown]
# ## 2. Behind `flatten`   (10 min)
#
# You know this one from lab 3: `flatten` turns a feature map of $C \times H \times W$ into $C \cdot H \cdot
# W$ features, channel after channel. With $P = H \cdot W$ pixels, channel $c$ is read by the columns
# $$ c\,P,\; c\,P + 1,\; \ldots,\; (c+1)\,P - 1 $$
# of the linear layer. The graph rule for `Reshape` is nothing but this index.

# %% [markdown]
# **Exercise.** Write `features_of_channel`.
#
# <details><summary>Hint 1: where do I start?</summary>
# Write down, on paper, the columns of the channels 0 and 2 when there are 4 pixels.
# </details>
# <details><summary>Hint 2: without a loop</summary>
# A column vector of the first columns, <code>channels[:, None] * pixels</code>, plus a row vector of the pixels,
# <code>torch.arange(pixels)</code>, is a matrix.
# </details>
# <details><summary>Hint 3: nearly there</summary>
# <code>.flatten()</code> reads the matrix row by row, which is the order that is wanted.
# </details>

# %% tags=["exercise"]
from solutions.couplings import features_of_channel

# %% [markdown]
# The test of every rule in this lab: **removing must equal silencing**. We set channels to zero in the whole
# network, remove them in the other, and compare.

# %%
images, _ = next(iter(Loader(test_images, batch_size=8)))
kept, head = torch.arange(0, 128, 3), network.classifier
with torch.no_grad():
    maps = network.features(images)
    silenced = torch.zeros_like(maps)
    silenced[:, kept] = maps[:, kept]
    columns = features_of_channel(kept, maps.shape[2] * maps.shape[3])
    removed = F.linear(maps[:, kept].flatten(1), head.weight[:, columns], head.bias)
    difference = (removed - head(silenced.flatten(1))).abs().max()
print(f"{len(columns)} of {head.in_features} columns are left; largest difference to silencing: {difference:.1e}")

# %% [markdown]
# ## 3. Behind a concatenation   (10 min)
#
# SqueezeNet, DenseNet, Inception and U-Net put feature maps one behind the other. Channel $c$ of part $k$ becomes
# channel $o_k + c$, where the offset is the width of all parts before it:
# $$ o_k = \sum_{i<k} w_i , \qquad o_0 = 0 . $$
# The parts stay independent of each other. Each may lose what it likes, as long as the reader behind the
# concatenation loses the input slices $o_k + c$. (The offsets are those *before* pruning: that is how the
# weight that you are about to cut is numbered.)

# %% [markdown]
# **Exercise.** Write `concat_offsets`.
#
# <details><summary>Hint 1: where do I start?</summary>
# Three parts of 4, 6 and 2 channels: where does each of them begin?
# </details>
# <details><summary>Hint 2: which operation?</summary>
# A running sum. Note each part's start <em>before</em> you add its width.
# </details>
# <details><summary>Hint 3: nearly there</summary>
# <code>sum(widths[:k])</code> is the width of all parts before part <code>k</code>.
# </details>

# %% tags=["exercise"]
from solutions.couplings import concat_offsets

# %% [markdown]
# Two branches, one reader. Each branch keeps other channels, and the reader follows both:

# %%
torch.manual_seed(0)
left, right, reader = nn.Conv2d(3, 6, 1), nn.Conv2d(3, 10, 3, padding=1), nn.Conv2d(16, 4, 3)
parts = [(left, torch.tensor([0, 2, 5])), (right, torch.tensor([1, 4, 8, 9]))]
offsets = concat_offsets([branch.out_channels for branch, _ in parts])
with torch.no_grad():
    joined = torch.cat([branch(images) for branch, _ in parts], dim=1)
    stays = torch.cat([offset + chosen for offset, (_, chosen) in zip(offsets, parts, strict=True)])
    silenced = torch.zeros_like(joined)
    silenced[:, stays] = joined[:, stays]
    narrow = torch.cat([branch(images)[:, chosen] for branch, chosen in parts], dim=1)
    removed = F.conv2d(narrow, reader.weight[:, stays], reader.bias)
    difference = (removed - reader(silenced)).abs().max()
print(f"offsets {offsets}; the reader keeps the input slices {stays.tolist()}")
print(f"largest difference to silencing: {difference:.1e}")

# %% [markdown]
# ## 4. Behind a residual addition   (45 min)
#
# *"Pruning layers before a residual connection is dangerous"*, warns the poster. Here is the first block of
# ResNet-20 just before its addition, main road and shortcut, 16 channels each. We remove channels on one side only,
# and on both sides but not the same ones.

# %%
block = resnet.stages[0][0]
with torch.no_grad():
    shortcut = resnet.relu(resnet.bn1(resnet.conv1(images)))
    main = block.bn2(block.conv2(block.relu(block.bn1(block.conv1(shortcut)))))
    first, last = torch.arange(12), torch.arange(4, 16)
    right_sum = (main + shortcut)[:, first]
    try:
        main[:, first] + shortcut
    except RuntimeError as error:
        print(f"12 of 16 on one side:             {error}")
    print(f"1 of 16 on one side:              runs, and gives {tuple((main[:, :1] + shortcut).shape)}")
    wrong_sum = main[:, first] + shortcut[:, last]
    mistake = (wrong_sum - right_sum).abs().mean() / right_sum.abs().mean()
    print(f"12 on both, but different ones:   runs, and is off by {mistake:.0%} on average")

# %% [markdown]
# The first case is the harmless one: it stops. In the second PyTorch *broadcasts* the single channel over the other
# sixteen, in the third channel 0 is added to what was channel 4. Both run, both can even be retrained to something,
# and both are not the network that you meant.
#
# So the sides of an addition are **coupled**: a channel goes on both sides, or on neither. And couplings
# reach far: the sum is the shortcut of the next block, which is added to *its* last convolution, and so on through
# the stage.
#
# Three kinds of nodes, as far as channels go:
# - `PASSING`: batch norm, ReLU, pooling, flatten … hand each channel on (`print(PASSING)` shows them all). A
#   *depthwise* convolution (as many groups as channels that it reads, and as filters) does as well, and its own
#   filters go with them;
# - `JOINING`: addition, multiplication … couple the channels of all their inputs, and hand them on (a constant is no
#   input here);
# - all others (ordinary convolutions, linear layers, concatenations) end a coupling and make new channels.
#
# What is coupled with an **input** of the network (three colours) or with an **output** (the classes) is
# never pruned.
#
# Three graphs by hand, to try yours on. A residual block behind a stem; a depthwise convolution; a concatenation:

# %%
residual = [
    {"op": "Conv", "inputs": ["images"], "outputs": ["x"], "weight": "stem", "shape": (8, 3, 3, 3), "groups": 1},
    {"op": "Conv", "inputs": ["x"], "outputs": ["a"], "weight": "conv1", "shape": (8, 8, 3, 3), "groups": 1},
    {"op": "Relu", "inputs": ["a"], "outputs": ["b"]},
    {"op": "Conv", "inputs": ["b"], "outputs": ["c"], "weight": "conv2", "shape": (8, 8, 3, 3), "groups": 1},
    {"op": "Add", "inputs": ["c", "x"], "outputs": ["sum"]},
    {"op": "Gemm", "inputs": ["sum"], "outputs": ["logits"], "weight": "classifier", "shape": (10, 8)},
]
separable = [
    {"op": "Conv", "inputs": ["images"], "outputs": ["x"], "weight": "wide", "shape": (8, 3, 1, 1), "groups": 1},
    {"op": "Conv", "inputs": ["x"], "outputs": ["y"], "weight": "depthwise", "shape": (8, 1, 3, 3), "groups": 8},
    {"op": "Gemm", "inputs": ["y"], "outputs": ["logits"], "weight": "classifier", "shape": (10, 8)},
]
forked = [
    {"op": "Conv", "inputs": ["images"], "outputs": ["l"], "weight": "left", "shape": (8, 3, 1, 1), "groups": 1},
    {"op": "Conv", "inputs": ["images"], "outputs": ["r"], "weight": "right", "shape": (8, 3, 3, 3), "groups": 1},
    {"op": "Concat", "inputs": ["l", "r"], "outputs": ["both"]},
    {"op": "Conv", "inputs": ["both"], "outputs": ["logits"], "weight": "head", "shape": (10, 16, 1, 1), "groups": 1},
]

# %% [markdown]
# **Exercise.** Write `coupled_channels`. What do you expect for the three graphs? Write it down first.
#
# <details><summary>Hint 1: where do I start?</summary>
# Think of feature maps, not of convolutions. At first every feature map is a set of its own: a dict from its
# name to a set. Then go through the nodes: which of them put what they read and what they write into
# <em>one</em> set?
# </details>
# <details><summary>Hint 2: joining two sets</summary>
# Make their union, and let <em>every</em> member of it point to that union, not only the two feature maps at hand.
# (Or give every feature map a label, and rename one label everywhere.)
# </details>
# <details><summary>Hint 3: what must stay</summary>
# A set must stay if it holds a feature map that no node makes, or one that has no <code>consumers</code>.
# </details>
# <details><summary>Hint 4: nearly there</summary>
# Remember for the output of every convolution (depthwise ones too) the name of its weight. At the end, for each
# <em>different</em> set that may be pruned, collect the weights of the feature maps in it. Sets without a convolution
# give no list.
# </details>

# %% tags=["exercise", "composite"]
from solutions.couplings import coupled_channels

# %%
for name, graph in {"residual": residual, "separable": separable, "forked": forked}.items():
    print(f"{name:10}{coupled_channels(graph)}")

# %% [markdown]
# And on real ones. ResNet-20 has 21 convolutions: how many independent choices are there?

# %% tags=["slow"]
for names in coupled_channels(resnet_graph):
    print("  ".join(name.removesuffix(".weight") for name in names))

# %% [markdown]
# The whole graph, drawn. Every set of coupled channels has a colour (after ten of them colours come again),
# what must stay is grey. Look for the three long threads: one for each stage. The convolutions *inside* the
# blocks are free, which is why many papers prune only those.

# %% tags=["slow"]
resnet_groups = channel_groups(resnet_model, list(resnet.state_dict()))
drawing, axes = plots.figure(width=6, height=14)
draw_graph(resnet_model, resnet_groups, axes)

# %% [markdown]
# ## 5. Networks that you have never seen   (15 min)
#
# You have written the heart of a pruner. What is still missing is patience: a rule for each of nearly a
# hundred operators. It is given. `channel_groups` knows of every *single channel* where it is made, carried and
# read: a **group** lists its parameters, with the axis. This one belongs to a convolution of `vgg_mini`:

# %% tags=["slow"]
vgg_groups = channel_groups(vgg_model, list(network.state_dict()))
group = vgg_groups[-2]
print(f"{group.name}: {group.channels} channels")
for slot in group.slots:
    print(f"    {slot.parameter:28} axis {slot.axis}, {len(slot.channel):3} positions{', reads it' * slot.consumes}")

# %% [markdown]
# Weight, batch norm with its statistics, and 512 columns of the classifier, four for each channel: lab 3 in five
# lines. With a *plan* (which channels stay, group by group), `prune` makes a smaller network of the same class, and
# `silence` the one that it must agree with.

# %% tags=["slow"]
plan = l1_plan(network, vgg_groups, keep_ratio=0.5)
with torch.no_grad():
    removed, silenced = (change(network, vgg_groups, plan).eval()(images) for change in (prune, silence))
left = parameters_left(network, vgg_groups, plan)
print(f"{left:,} of {parameter_count(network):,} parameters are left ({left / parameter_count(network):.1%})")
print(f"largest difference between removing and silencing: {(removed - silenced).abs().max():.1e}")

# %% [markdown]
# Now ResNet-20 and two networks of torchvision, with random weights. `prunable_groups` exports each, finds
# its groups, *tries* to remove half of all channels, and freezes what goes wrong. We keep half of the
# channels in each group, compare with silencing, and ask your function for its opinion.

# %% tags=["slow"]
strangers = {"ResNet-20": resnet}
for name in ("mobilenet_v3_small", "shufflenet_v2_x0_5"):
    strangers[name] = from_torchvision(name).eval()
rows, frozen = [], []
for name, stranger in strangers.items():
    example = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    groups = prunable_groups(stranger, example)
    plan = l1_plan(stranger, groups, keep_ratio=0.5)
    smaller = prune(stranger, groups, plan, example)
    with torch.no_grad():
        expected = silence(stranger, groups, plan)(example)
        difference = (smaller(example) - expected).abs().max() / expected.abs().max()
    share = parameter_count(smaller) / parameter_count(stranger)
    sets = len(coupled_channels(plain_graph(export_graph(stranger, example))))
    free = sum(bool(group.free) for group in groups)
    rows.append((name, str(len(groups)), str(free), str(sets), f"{share:.0%}", f"{difference:.0e}"))
    for group in groups:
        if group.frozen:
            frozen.append(f"{name}, {group.name}: {len(group.frozen)} of {group.channels} frozen, {group.reasons[0]}")
tables.Table(("", "groups", "free", "your sets", "parameters left", "removed − silenced"), rows)

# %% tags=["slow"]
print("\n".join(frozen))

# %% [markdown]
# In ResNet-20 and MobileNet the output layer is all that must stay. Your sets agree with the groups that are
# free (in MobileNet there is one more group, made by a linear layer, which you do not count). **In ShuffleNet
# they do not**: your function finds 39 sets where the pruner frees 18 groups. Question 1 asks who is right.

# %% [markdown]
# ## 6. Is it faster?   (10 min)
#
# With half of the channels on both sides of a convolution, a quarter of its MACs is left. What is left of the
# time? `compare` runs original and pruned network in turn, so that a busy machine hurts both. Make a guess
# before you run it.

# %% tags=["slow"]
smaller = prune(resnet, resnet_groups, l1_plan(resnet, resnet_groups, keep_ratio=0.5))
macs = [measure_onnx(export_onnx(one, "lab7_timed.onnx")).macs for one in (resnet, smaller)]
shares = {}
for setting in ("torch", "onnxruntime"):
    for batch in (1, 64):
        timed = compare(resnet, smaller, batch=batch, setting=setting, rounds=5)
        print(timed)
        low, middle, high = (float(share) for share in np.quantile(1 / np.array(timed.ratios), (0.25, 0.5, 0.75)))
        shares[f"{setting}, batch {batch}"] = (low, middle, high)
plots.time_ratios(shares, macs[1] / macs[0], title="ResNet-20, half of the channels: share of the time")

# %% [markdown]
# Expect the dots to the right of the red line. A layer of 8 channels has too little work to keep the
# processor's wide units busy, and batch norm, ReLU and addition shrink with the channels, not with their
# square. Depthwise convolutions, as in MobileNet, have few MACs to begin with: time is lost there in moving
# feature maps.

# %% [markdown]
# ## 7. The network you hand in   (15 min)
#
# Lab 3 once more, but without a line that knows the architecture. Find the groups, keep half of each, retrain.
#
# The cell below takes less than a minute, and saves the network and an ONNX file. **Hand in both files
# together with this notebook.** Cells like this one are not run again when your work is graded: the file is
# measured instead. You may change everything in it, as long as the network keeps at most 30 % of the
# parameters. (While you make choices, look at the *validation* images.)

# %% tags=["train"]
groups = prunable_groups(network, images)
pruned = prune(network, groups, l1_plan(network, groups, keep_ratio=0.5), images)
history = train(
    pruned,
    Loader(train_images, batch_size=64, shuffle=True, augment=True, seed=0),
    epochs=12,
    test=Loader(val_images, batch_size=400),
    lr=0.05,
)
save_network(pruned, "lab7_pruned.safetensors", history=history, images=train_images)
export_onnx(pruned, "lab7_pruned.onnx", images=train_images)

# %%
pruned = load_network("lab7_pruned.safetensors")

# %% tags=["slow"]
unpruned = evaluate(network, Loader(val_images, batch_size=400)).accuracy
plots.training_curves(
    {"L1": load_history("lab7_pruned.safetensors")}, "validation", baseline=unpruned, images=val_images
)

# %% tags=["slow"]
export_onnx(network, "lab7_original.onnx", images=train_images)
tables.comparison(
    measure_onnx("lab7_original.onnx", test_images), measure_onnx("lab7_pruned.onnx", test_images), images=test_images
)

# %% tags=["slow"]
plots.widths({"original": network, "pruned": pruned})

# %% [markdown]
# **The network you hand in.** This check shows the very numbers and points that grading will give.

# %% tags=["artifact"]
check("lab7_pruned_onnx")

# %% [markdown]
# ## 8. Questions   (15 min)

# %% [markdown] tags=["question"] points=2 name="question_shuffle"
# **Question 1.** A block of ShuffleNet ends like this: the outputs of two branches are concatenated, the
# channels are shuffled, and the next block begins with `x1, x2 = x.chunk(2, dim=1)`: one half goes straight
# on, the other is worked on. The pruner freezes these channels ("it is cut in parts at a place that is
# written in the code"). Your function lists the branches' last convolutions as if each were free. Who is
# right, and what would happen if one branch lost four channels and the other none? What could be removed
# after all, if the pruner were cleverer?
#
# ### BEGIN MARK SCHEME
# *Rubric (2 points).* 1 point: the pruner is right. `chunk` cuts in the middle of what is there: with four
# channels fewer the cut moves by two, so channels land in the other half, and are read by layers whose input
# slices were trained for others (sizes can even fit, and nothing complains; or the halves no longer fit the
# layers, and it stops). `coupled_channels` takes Concat (and the Reshape-Transpose behind it) for the end of
# all couplings, which is right only where the reader names its channels one by one, as a convolution's input
# slices do. 1 point for a way out: the rows of the shuffle must stay equally long, so both branches lose
# equally many channels, and as many that land before the cut as behind it, so that the cut falls at the same
# channel as before (and all blocks of the stage have to agree, because one half goes straight on); or the
# code takes its cut from the layers' widths in place of the middle. Saying that the inner convolutions of the
# branches are free (as they are in the table) earns half a point.
# ### END MARK SCHEME

# %% [markdown] tags=["question"] points=2 name="question_residual"
# **Question 2.** A tool prunes "every convolution by its own L1 ranking, half of the filters". On VGG it
# works. You give it a ResNet whose blocks are `conv1, conv2, add`. All convolutions of a stage have the same
# width, so the pruned network *runs*. Explain what is wrong with it nevertheless, how you would notice
# without looking at the code, and two ways to prune the stage correctly, with what each of them costs.
#
# ### BEGIN MARK SCHEME
# *Rubric (2 points).* 1 point: every convolution keeps other channels, so at the addition channel i of one
# side meets another channel of the other; retraining may hide it. It is noticed by comparing with silencing
# (the whole network with those channels set to zero gives other outputs). 1 point for two right ways with
# their price: rank the coupled set as a whole (sum of the scores over all convolutions of the stage that
# write to the sum), so that a channel that matters to one block only is kept or lost for all; or prune only
# the convolutions inside the blocks, which leaves the width of the stage, and so much of MACs and memory, as
# it was; or gather and scatter channels around the addition, which costs time and extra operators.
# ### END MARK SCHEME
