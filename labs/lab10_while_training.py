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
# # Lab 10: pruning while training
#
# So far we trained a network, pruned it, and trained it again, and what went never came back. Today the training itself
# prunes. Mostly a penalty or a decay pulls on something that can become zero, and the loss pulls back: where the loss
# does not mind, a channel or a weight is gone. Widths and sparsities of the layers come out; nobody chooses them.
#
# Four methods do this, each in another way: *network slimming* pulls on the scales of batch norms (Liu et al. 2017,
# [paper](https://arxiv.org/abs/1708.06519)), *STR* lets every layer learn a threshold for its weights (Kusupati et al.
# 2020, [paper](https://arxiv.org/abs/2002.03231)), *dynamic pruning with feedback* lets pruned weights go on learning
# so that they can come back (nothing pulls here: a schedule says how many are masked; Lin et al. 2020,
# [paper](https://arxiv.org/abs/2006.07253)), and *AutoPrune* learns the mask itself (Xiao, Wang, Rajasekaran 2019,
# [paper](https://papers.nips.cc/paper_files/paper/2019/hash/4efc9e02abdab6b6166251918570a307-Abstract.html)).
#
# **Afterwards you can**
# - pull on scales with a penalty, choose channels of the whole network with one threshold, and cut them out;
# - keep what a dead channel still says;
# - write a layer that computes with thresholded weights, and its gradients by hand;
# - say what the strength of a pull decides, and what it does not.
#
# **You need** labs 0, 2, 3 and 4.
#
# | part | exercise | minutes | |
# |---|---|---|---|
# | 1 | `slimming_step` | 15 | core |
# | 2 | `absorbed_bias` | 15 | core |
# | 3 | slimming from end to end, and the network you hand in | 20 | core |
# | 4 | `soft_threshold` and its gradient, and a prediction | 30 | core |
# | 5 | does it pay? | 5 | core |
# | 6 | `dense_update`: weights that come back | 20 | extra |
# | 7 | `auxiliary_step`: a mask that is learned | 20 | extra |
# | 8 | two questions | 15 | core |
#
# Run a cell with Shift-Enter. After every exercise there is a `check`: it tells you at once what is right,
# and what is probably the matter when something is not. You can run it as often as you like.

# %%
import copy
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from course_utils.baseline import baseline
from course_utils.checking import check
from course_utils.checkpoints import describe, load_network, save_network
from course_utils.onnx_files.export import export_onnx
from course_utils.onnx_files.measuring import measure_onnx
from course_utils.pictures import budget_plots, plots, slimming_plots, sparsity_plots, study_plots, tables
from course_utils.pictures.slimming_explorer import slimming_explorer
from course_utils.training import evaluate
from minicifar import Loader, MiniCIFAR

# %% [markdown]
# From the course you get what works on any network: its channel groups (lab 7) with the batch norms that scale each,
# surgery, and the trainings in which your functions are called.

# %%
from solutions.absorption import absorb
from solutions.autoprune import autoprune
from solutions.budgets import macs_shares
from solutions.feedback import train_with_feedback
from solutions.masks import global_masks, sparsity
from solutions.prunable import prunable_groups
from solutions.scales import scale_scores, zero_scales
from solutions.slimming import slim
from solutions.soft_threshold import Thresholding, train_softened
from solutions.surgery import prune

# %%
train_images, val_images, test_images = MiniCIFAR("train"), MiniCIFAR("val"), MiniCIFAR("test")
print(train_images.source.description)
network = baseline(train_images)
example = torch.zeros(1, 3, 32, 32)
groups = prunable_groups(network, example)
unseen = Loader(val_images, batch_size=400)
print(f"the network that we begin with has {evaluate(network, unseen).accuracy:.1%} of the validation images right")

# %% [markdown]
# ## 1. A pull on every channel   (15 min)
#
# A batch norm gives channel $j$ a scale $\gamma_j$ and a shift $\beta_j$. With $\gamma_j = 0$ the channel says the same
# for every image: it can go. So Liu et al. add a penalty to the loss that makes scales small,
# $$ L + \lambda \sum_j |\gamma_j| , $$
# over all batch norms of the network. Like in LASSO the absolute value pulls with the same force however small a scale
# is already, and so it can hold some at zero; $\gamma^2$ would pull less and less.
#
# $|\gamma|$ has no derivative at 0. We take the *subgradient* $\mathrm{sign}(\gamma)$, with 0 at 0. It need not go
# through the loss: after `loss.backward()` and before the optimizer's step, $\lambda \, \mathrm{sign}(\gamma_j)$ is
# added to the gradient that is there. (With this sign a scale that nobody needs goes around 0 in tiny steps, below
# 0.001; the cut does the rest.)

# %% [markdown]
# **Exercise.** Write `slimming_step`. It finds the batch norms of any network, and adds to the gradients of their
# scales. In PyTorch the scale is called `weight`. Batch norms without scales there are too (`affine=False`), and frozen
# ones, which have no gradient.
#
# <details><summary>Hint 1: where do I start?</summary>
# <code>network.modules()</code> goes through all modules, however deep. <code>isinstance(module, _BatchNorm)</code>
# is true of BatchNorm1d, BatchNorm2d and BatchNorm3d.
# </details>
# <details><summary>Hint 2: in place</summary>
# <code>module.weight.grad += …</code> changes the gradient. Do it under <code>torch.no_grad()</code>.
# </details>
# <details><summary>Hint 3: which to leave alone</summary>
# Where <code>module.affine</code> is False there is no weight; where <code>module.weight.grad is None</code> there is
# nothing to add to.
# </details>

# %% tags=["exercise"]
from solutions.while_training import slimming_step

# %% [markdown]
# How strong must $\lambda$ be? What counts is the whole pull on a scale, $\lambda \sum_t \eta_t / (1 - \mu)$ with
# learning rates $\eta_t$ and momentum $\mu$: as far would a scale move that the loss does not mind. The authors trained
# on all of CIFAR-10 for 160 epochs with $\lambda = 10^{-4}$ and learning rates from 0.1 down: a pull of 6.6. Here are
# seven of our epochs on few images, with a learning rate of 0.02:

# %%
steps = 7 * len(Loader(train_images, batch_size=64))
for strength in (1e-4, 2e-3, 1.5e-2):
    print(f"λ = {strength:g}: a scale can fall by {strength * steps * 0.02 / (1 - 0.9):.2f}")
scales = torch.cat(list(scale_scores(network, groups).values()))
print(f"the scales of our network lie between {scales.min():.2f} and {scales.max():.2f}")

# %% [markdown]
# ## 2. What a dead channel still says   (15 min)
#
# A channel with $\gamma_j = 0$ is not silent. Its batch norm gives $\beta_j$ everywhere, the ReLU makes $c_j =
# \max(\beta_j, 0)$ of it, and the next layer reads this constant at every position. Whoever cuts the channel out takes
# it away, as the authors' own code does. Yet inside a map nothing need be lost: a layer $o$ that read the constant got
# the same number from it everywhere,
# $$ \sum_j c_j \sum_{k,l} W_{ojkl} , $$
# and this can be *absorbed* into its bias.

# %% [markdown]
# **Exercise.** Write `absorbed_bias`. It gets the layer that reads (a convolution without groups, or a linear layer)
# and for each of its inputs the constant (0 for inputs that stay), and returns the bias that the layer needs instead of
# its own.
#
# <details><summary>Hint 1: where do I start?</summary>
# With the sum of each kernel: a weight (O, I, kH, kW) becomes (O, I). A linear layer's weight is (O, I) already.
# </details>
# <details><summary>Hint 2: then</summary>
# a matrix times a vector: <code>sums @ constant</code>.
# </details>
# <details><summary>Hint 3: nearly there</summary>
# <code>conv.bias</code> is None where there is no bias. Return a new tensor, and take <code>.detach()</code> of the
# weight first.
# </details>

# %% tags=["exercise"]
from solutions.while_training import absorbed_bias

# %% [markdown]
# Is it exact? We set the scales of half of the channels in each layer to 0, as a penalty would have done, and look at
# the outputs of the second convolution behind its batch norm: of the network as it is, of the one from which these
# channels are cut, and of the one that has absorbed their constants before.

# %%
halved = {group.name: list(range(group.channels // 2)) for group in groups if group.free}
silent = copy.deepcopy(network)
zero_scales(silent, groups, halved)
absorbing, _ = absorb(silent, groups, halved, example, absorbed_bias)
some, _ = next(iter(unseen))
with torch.no_grad():
    maps = {
        name: one.features[:5](some)
        for name, one in (
            ("scales at 0", silent),
            ("cut", prune(silent, groups, halved)),
            ("absorbed, then cut", prune(absorbing, groups, halved)),
        )
    }
kept = maps["scales at 0"][:, : maps["cut"].shape[1]]
for name in ("cut", "absorbed, then cut"):
    off = (maps[name] - kept).abs().mean(dim=(0, 1)) / kept.std()
    print(f"{name:20} off by {off[1:-1, 1:-1].mean():.6f} inside, by {off[0].mean():.4f} in the first row")

# %% [markdown]
# Inside it is exact. At the border it is not: the layer pads its input with zeros, and a zero is not the constant. In a
# convolution without padding the two would agree everywhere. (Where the layer that reads has no bias but a batch norm
# behind it, as in our network, the course subtracts the number from the batch norm's running mean: in evaluation mode
# that is the same. Most of our $c_j$ are 0: few shifts are positive.)
#
# ## 3. Slimming from end to end   (20 min)
#
# `slim` trains with your penalty at a small constant learning rate. Then *one* threshold for all scales of the network
# decides: the smallest go, wherever they are, as many as the budget of MACs asks (found by bisection), but one channel
# of each layer stays. What they say with a scale of 0 is absorbed, they are cut out, and the rest of the epochs
# finetunes. (Finetuning hardly needs the absorption: while it trains, a batch norm subtracts the mean of its batch, and
# the constant with it. It counts where nobody trains afterwards, and in a layer with a bias and no batch norm behind.)
#
# The cell below trains for about a minute, and saves the network with its history (for you) and an ONNX file (for
# grading). **Hand in both files together with this notebook.** Cells like this one are not run again when your work is
# graded: the file is measured instead. You may change everything in it, as long as the network needs at most 25 % of
# the MACs. (While you make choices, look at the *validation* images.)

# %% tags=["train"]
loader = Loader(train_images, batch_size=64, shuffle=True, augment=True, seed=0)
mine = {"slimming_step": slimming_step, "absorbed_bias": absorbed_bias}
slimmed, history = slim(network, loader, budget=0.25, epochs=12, searching=7, strength=1.5e-2, **mine)
save_network(slimmed, "lab10_slimmed.safetensors", history=history.pop("finetuning"), slim=history, images=train_images)
export_onnx(slimmed, "lab10_slimmed.onnx", images=train_images)

# %%
slimmed = load_network("lab10_slimmed.safetensors")
history = describe("lab10_slimmed.safetensors")["notes"]["slim"]
print(f"layers of which one channel is left: {history['floor'] or 'none'}; widths of the original and found:")
plots.widths({"original": network, "slimming": slimmed})

# %% [markdown]
# The scales after each epoch with the penalty, all channels of the network together. All of them slide to the left:
# behind nearly every layer comes a convolution and another batch norm, which divides by the size of what comes in, so
# that the loss minds the proportions of a layer's scales, not their size. Then they part: some reach 0 and stay near
# it, others stop. Those of the last layer stop highest: no batch norm is behind it.

# %% tags=["slow"]
slimming_plots.scales_picture(history["searching"], images=train_images)

# %% [markdown]
# What does the strength decide? We have trained with four of them for twenty epochs. Choose one, and move the
# threshold: on the left the scales, on the right what is left of each layer.

# %% tags=["slow"]
slimming_explorer(study_plots.recorded_study("slimming"), macs_shares(network, groups, example))

# %% [markdown]
# At 0.002 all have slid to the left by about as much as the pull, 0.5, and only two of 448 are near zero: any cut hits
# channels that are in use. At 0.01 two thirds are at zero, and cutting down to a quarter of the MACs changes nothing at
# all. At 0.02 there are more, but the network itself has suffered: 56 ± 10 % before any finetuning, where 0.01 has 71 ±
# 5 %. So the strength decides how many scales get to zero, and at what price; how many channels go is the budget's
# choice. (Scales of one seed, accuracies of three.)

# %% tags=["slow"]
print(f"validation accuracy: {evaluate(network, unseen).accuracy:.1%} → {evaluate(slimmed, unseen).accuracy:.1%}")
export_onnx(network, "lab10_original.onnx", images=train_images)
tables.comparison(
    measure_onnx("lab10_original.onnx", test_images),
    measure_onnx("lab10_slimmed.onnx", test_images),
    images=test_images,
)

# %% [markdown]
# **The network you hand in.** This check shows the very numbers and points that grading will give.

# %% tags=["artifact"]
check("lab10_slimmed_onnx")

# %% [markdown]
# ## 4. A threshold that is learned   (30 min)
#
# Now single weights, as in lab 2. There *one* number cut all layers, chosen by us, after training. In STR (*soft
# threshold reparameterization*) each layer has a number $s$ of its own, and computes with
# $$ S(W, s) = \mathrm{sign}(W) \cdot \max(|W| - \sigma(s),\, 0), \qquad \sigma(s) = \frac{1}{1 + e^{-s}} $$
# in place of $W$. Weights below the threshold $\sigma(s)$ are zero; the others come nearer to zero by as much, so that
# there is no jump. $W$ and $s$ are both trained.

# %% [markdown]
# **Exercise.** Write `soft_threshold`: $S(W, s)$ for a weight of any shape and a tensor `s` that holds one number.
#
# <details><summary>Hint</summary>
# <code>s.sigmoid()</code>, <code>weight.abs()</code>, <code>weight.sign()</code>; <code>clamp_min(0)</code> is the
# maximum with 0.
# </details>

# %% tags=["exercise"]
from solutions.while_training import soft_threshold

# %% [markdown]
# What pushes the threshold up? Let $g$ be the gradient of the loss in $S$. Above the threshold $S$ moves with $W$, and
# against $\sigma(s)$; below it $S$ is 0 whatever happens:
# $$ \frac{\partial L}{\partial W_i} = g_i \cdot [\,|W_i| > \sigma(s)\,], \qquad
# \frac{\partial L}{\partial s} = -\sum_i g_i \, \mathrm{sign}(W_i) \, [\,|W_i| > \sigma(s)\,] \cdot \sigma(s)\,
# (1 - \sigma(s)) . $$
# Square brackets stand for 1 where the statement in them is true, and 0 elsewhere. So a weight that has fallen below
# the threshold gets no gradient any more. The loss alone mostly wants the threshold *lower*. What pushes it up is the
# *weight decay* on $s$: we begin at $s = -6$, and decay moves every number towards 0, where the threshold would be a
# half. At the start the decay pulls much harder than the loss; as more weights come near the threshold, the loss pulls
# back harder, too.

# %% [markdown]
# **Exercise.** Write `soft_threshold_gradient`, which returns both gradients, from $W$, $s$ and $g$: first that in $W$,
# then that in $s$, a tensor with one number.
#
# <details><summary>Hint 1: where do I start?</summary>
# With what both have in common: <code>passed = gradient * (weight.abs() &gt; s.sigmoid())</code>. A weight exactly at
# the threshold gets nothing.
# </details>
# <details><summary>Hint 2: the second</summary>
# One number, the sum over all weights; the derivative of the sigmoid is <code>t * (1 - t)</code> with
# <code>t = s.sigmoid()</code>.
# </details>

# %% tags=["exercise"]
from solutions.while_training import soft_threshold_gradient

# %% [markdown]
# **Predict, then run.** The cell below trains our network for five epochs with a threshold in each of its seven
# layers; all begin at $\sigma(-6) = 0.0025$. Write down before you run it:
# 1. Which layer will have the highest threshold at the end, and which the most zeros? Need they be the same?
# 2. Will the first layer (3 × 9 × 32 weights) be spared?

# %% tags=["slow"]
loader = Loader(train_images, batch_size=64, shuffle=True, augment=True, seed=0)
thresholding = Thresholding(soft_threshold, soft_threshold_gradient)
softened, rising = train_softened(network, loader, epochs=5, s=-6.0, decay=1.5e-2, thresholding=thresholding)
print(
    f"{sparsity(softened):.1%} zeros; validation accuracy {evaluate(network, unseen).accuracy:.1%} → "
    f"{evaluate(softened, unseen).accuracy:.1%}"
)

# %% tags=["slow"]
slimming_plots.thresholds_picture(rising["training"], images=train_images)

# %% [markdown]
# Were you right? When we ran this, 94 % of the weights were zero at the end. The first layer had the highest threshold,
# 0.21, and the fewest zeros, 74 %; the last convolution one of the lowest, 0.08, and the most, 97 %. Threshold and
# zeros are two things: the first layer's weights are large. Nobody has told the layers apart: all began with the same
# $s$ and the same decay.
#
# And beside *one* threshold for all layers, as in lab 2, with as many zeros in all?

# %% tags=["slow"]
from solutions.layer_sparsity import layer_sparsities

masks = global_masks(network, sparsity(softened))
one = {name.removesuffix(".weight"): 1 - mask.double().mean().item() for name, mask in masks.items()}
drawing, axis = plots.figure(width=6.2, height=3.2)
sparsity_plots.layer_lines(axis, {"soft thresholds": layer_sparsities(softened), "magnitude": one})
plots.say_source(drawing, train_images)
drawing

# %% [markdown]
# One threshold for all would have taken 38 % of the first layer's weights: that is spared because its weights are
# large, and for no other reason. The learned thresholds ask the loss, and it lets twice as many go.
#
# The same trick works for whole channels: let the *scale* of a batch norm be $S(\gamma, s)$, with one $s$ a layer, and
# give $\gamma$ a weight decay, too: else it grows with its threshold, and the next batch norm hides it. (Would a
# threshold on the norms of filters do, too? Think of the batch norm behind: it divides by the size of what comes in,
# and undoes what the threshold took away.)
#
# ## 5. Does it pay?   (5 min)
#
# Only who had the same epochs can say: 25 for the unpruned network, then 30 more for each method; networks from random
# weights have all 55. (The same epochs are not the same work: the first 20 of slimming's 30 run on the wide network.)
# First channels, under budgets of MACs (`python -m studies.budgets`, three seeds): slimming, soft thresholds on the
# scales, and filters with feedback (part 6), beside lab 3's uniform widths by L1, and these from random weights.

# %% tags=["slow"]
study = budget_plots.chosen(
    study_plots.recorded_study("budgets"),
    ("slimming", "soft thresholds", "feedback", "uniform, L1", "uniform, from scratch"),
)
budget_plots.budget_curves(study)

# %% tags=["slow"]
budget_plots.budget_table(study)

# %% [markdown]
# (Search: the batches of the first 20 epochs.) With half of the MACs soft thresholds and feedback are ahead of plain L1
# by 0.4 points, which is about as much as the seeds differ; with a quarter nobody is. Below, two fall behind: at 5 %
# feedback has 79.1 % and soft thresholds have 75.3 %, where L1 has 84.8 %. A multiple of the learned thresholds takes
# nearly all of the first layer and next to nothing of the last; and feedback leaves one to three filters in the last. A
# shape that training finds is no good where it was not found. Slimming's widths hold out best of the three (86.3 % at
# 14 %, 83.6 % at 5 %). Its authors lost nothing when they took 70 % of VGG-19's channels (93.66 → 93.80 % on
# CIFAR-10), and little is lost here: 86.9 % at a quarter of the MACs, with 15 % of the parameters. But uniform widths
# by L1, with 24 % of the parameters, have 87.2 %.
#
# And zeros in the weights (`python -m studies.sparsity`): lab 2's masks, once after training; masks with feedback (part
# 6); STR and AutoPrune (part 7), which land where their decay and their penalty take them.

# %% tags=["slow"]
zeros = study_plots.recorded_study("sparsity")
sparsity_plots.sparsity_curves(zeros)

# %% tags=["slow"]
sparsity_plots.sparsity_table(zeros)

# %% [markdown]
# Here something happens at last. (Three seeds.) Feedback is ahead of masks drawn once at every sparsity, by 0.7 to 1.2
# points. And soft thresholds are ahead of both where it counts: with 98.6 % zeros they have 86.0 %, where masks drawn
# once have 84.0 % at 98 %, and feedback 84.8 %. That is what their authors found with ResNet-50 on ImageNet: the
# sparser, the more it pays that each layer has a threshold of its own, learned while the weights adapt. AutoPrune lands
# between 31 and 97 % zeros, by its penalty; its weights see four fifths of the images in the search.
# (Came back: counted within the epochs; of AutoPrune every crossing in every mask step, so do not compare the two.)
#
# ## 6. Weights that come back   (20 min, extra)
#
# A mask that is drawn once keeps its mistakes. In lab 2 what was pruned stayed zero; dynamic pruning with feedback lets
# it go on learning. Every weight keeps its **dense** value, and a mask is drawn anew every 16 steps from what is small
# then (how many it takes rises along lab 4's cubic schedule, and stays from 60 % of the steps on). Loss and gradient
# belong to the *masked* network; the update goes to *all* dense weights. If a pruned weight is missed, its gradient
# says so step after step, it grows, and the next mask has it again.

# %% [markdown]
# **Exercise.** Write `dense_update`, one such step. It has the arguments of lab 2's `masked_step`, and returns the loss
# of the masked network. The network comes with dense weights and has dense weights afterwards.
#
# <details><summary>Hint 1: where do I start?</summary>
# Keep copies of the dense weights (<code>.detach().clone()</code>) of those parameters that have a mask. Then multiply
# the parameters by their masks, in place, under <code>torch.no_grad()</code>.
# </details>
# <details><summary>Hint 2: the order</summary>
# zero_grad, mask, loss, backward, dense weights back, optimizer.step().
# </details>
# <details><summary>Hint 3: why not weight * mask?</summary>
# The gradient in the dense weight would be 0 wherever the mask is 0: nothing could come back.
# </details>

# %% tags=["exercise"]
from solutions.while_training import dense_update

# %% [markdown]
# 90 % zeros in six epochs. In the picture most that died in the first epochs is the schedule's; each epoch's first
# mask is compared with its last.

# %% tags=["slow"]
loader = Loader(train_images, batch_size=64, shuffle=True, augment=True, seed=0)
returned, coming = train_with_feedback(network, loader, 0.9, epochs=6, dense_update=dense_update)
print(f"{sparsity(returned):.1%} zeros, validation accuracy {evaluate(returned, unseen).accuracy:.1%}")

# %% tags=["slow"]
slimming_plots.comings_and_goings(coming["training"], images=train_images)

# %% [markdown]
# From the fifth epoch on as many come back as die: thousands of weights trade places, and fewer with every step that
# the learning rate falls. Is it worth it? In part 5 feedback is ahead of masks drawn once, by 1.2 points with 90 %
# zeros. With a few epochs only it is behind: whoever trades places must be trained again.
#
# ## 7. A mask that is learned   (20 min, extra)
#
# AutoPrune gives every weight $W$ a second number, the *auxiliary parameter* $m$. The weight is there where $m > 0$:
# the network computes with $T = W \cdot [m > 0]$. A step has no slope to learn from, so another function's stands in
# for it: $g(m) = \sigma(m)$, the slope of softplus. With a penalty $\lambda \sum [m > 0]$, which acts through the step
# as well,
# $$ m \leftarrow m - \eta \, g(m) \left( \frac{\partial L}{\partial T} \, \mathrm{sign}(W) + \lambda \right) . $$
# ($W$ itself would be the derivative of $T$; the authors take its sign, so that small weights have a say, too.) So $m$
# falls by the penalty, and rises where the loss wants $T$ to be there, also when $m$ is below 0: a weight can come
# back. And masks are learned on other images than weights, a fifth of the training images held out for them: a mask
# that only fits what the weights know by heart is no use. (Not quite so here: the network that we begin with was
# trained on all of them.)

# %% [markdown]
# **Exercise.** Write `auxiliary_step`: the auxiliary parameters after one step, as a new tensor. `gradient` is
# $\partial L / \partial T$, and is there for weights that are masked, too.
#
# <details><summary>Hint</summary>
# One line. Both parts are multiplied by <code>auxiliary.sigmoid()</code>.
# </details>

# %% tags=["exercise"]
from solutions.while_training import auxiliary_step

# %% tags=["slow"]
loader = Loader(train_images, batch_size=64, shuffle=True, augment=True, seed=0)
learned, learning = autoprune(network, loader, epochs=6, strength=2e-3, auxiliary_step=auxiliary_step)
print(f"{sparsity(learned):.1%} zeros, validation accuracy {evaluate(learned, unseen).accuracy:.1%}")
slimming_plots.comings_and_goings(learning["searching"], images=train_images)

# %% [markdown]
# ## 8. Questions   (15 min)

# %% [markdown] tags=["question"] points=2 name="question_pull"
# **Question 1.** Somebody replaces the penalty $\lambda \sum |\gamma|$ by $\lambda \sum \gamma^2$. What will the
# histogram of part 3 look like at the end, and why? Somebody else multiplies scales and shifts of *one* batch norm of a
# trained network by 1/10, and all weights of the convolution that reads it by 10. What does the network compute then,
# and what does one threshold over all scales do to it? What does that say about comparing scales of different layers?
#
# ### BEGIN MARK SCHEME
# *Rubric (2 points).* Half a point each. Squares: the pull is proportional to the scale, so that all shrink by the same
# factor and none gets to zero; the histogram moves to the left and does not split in two. (Where the loss holds a
# scale, it stops higher.) Rescaled: the batch norm's output is a tenth, ReLU and pooling pass the factor on, and the
# convolution makes up for it: the network computes the very same. Threshold: the channels of this layer are cut first,
# down to one, though they are worth what they were. Comparing: the size of a scale says how large a channel is, not how
# much the next layer makes of it (a batch norm behind that layer undoes any factor). Scales of different layers are
# comparable at best because all began alike and were trained with the same pull.
# ### END MARK SCHEME

# %% [markdown] tags=["question"] points=2 name="question_back"
# **Question 2.** In lab 2, in STR and in dynamic pruning with feedback a weight is zero at some moment. Say for each of
# the three whether it can become different from zero again later, and by what: does the loss give it a gradient, taken
# at which value of the weight (its own, or zero), and what does the optimizer's step then move? For which of the three
# is it therefore dangerous to prune much early, while the learning rate is still large?
#
# ### BEGIN MARK SCHEME
# *Rubric (2 points).* Half a point for each method, half for the last. Lab 2: no; the mask is applied after each step,
# whatever the optimizer did. STR: below the threshold W gets no gradient from the loss, weight decay makes |W| smaller
# still; it can come back only when the threshold falls below |W| (the gradient of s, from the weights above the
# threshold), or by momentum that is left over. Feedback: yes; the dense weight gets the gradient at the masked weights,
# also where the mask is 0, and the next mask is drawn from the dense weights. Early: for lab 2's masks most (nothing is
# ever corrected), for STR too (nearly nothing is); with feedback least, which is its point. "STR begins with a
# threshold of next to nothing and rises slowly, so that it prunes little early" is a good remark and makes up for one
# mistake.
# ### END MARK SCHEME
