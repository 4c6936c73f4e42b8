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
# # Lab 5: which filter matters? Criteria, judged against the oracle
#
# Lab 3 ranked filters by the size of their weights, and hoped. Can we know? There is a way to find out what a filter is
# *really* worth: take it out, and look at the loss. That costs one run over the data for every filter, far too much
# for a large network, but for ours it is a matter of seconds. So we have a ruler, and can measure the cheap criteria
# with it. The best known of them is one line long, and it matters where in this line the absolute value stands.
#
# **Afterwards you can**
# - measure what a filter is worth, and say why nobody does that for a large network;
# - compute the weight, APoZ and Taylor criteria, and derive the last one;
# - judge a criterion by its rank correlation with the oracle, inside a layer and between layers;
# - prune any network by a criterion of your own.
#
# **You need** labs 0, 3 and 4.
#
# | part | exercise | minutes | |
# |---|---|---|---|
# | 1 | `oracle_scores`, the ruler | 20 | core |
# | 2 | `minimum_weight_scores` | 10 | core |
# | 3 | `apoz_scores` | 10 | core |
# | 4 | `taylor_scores` | 25 | core |
# | 5 | who agrees with the oracle? | 15 | core |
# | 6 | `normalize_per_layer` | 15 | core |
# | 7 | one absolute value, three places | 10 | core |
# | 8 | pruning by Taylor, and the network you hand in | 20 | core |
# | 9 | two questions | 15 | core |
#
# Run a cell with Shift-Enter. After every exercise there is a `check`: it tells you at once what is right,
# and what is probably the matter when something is not. You can run it as often as you like.

# %%
import itertools
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from course_utils.baseline import baseline
from course_utils.checking import check
from course_utils.checkpoints import load_network, save_network
from course_utils.onnx_files.export import export_onnx
from course_utils.onnx_files.measuring import measure_onnx
from course_utils.pictures import plots, study_plots, tables
from course_utils.training import evaluate
from minicifar import Loader, MiniCIFAR

# %% [markdown]
# From the course you get what works on *any* network: which channels belong together (lab 7 shows how), silencing them,
# cutting them out, pruning step by step.

# %%
from solutions.feature_maps import mean_scores, weight_scores
from solutions.iterative import prune_iteratively
from solutions.oracle import mean_loss, oracle
from solutions.prunable import prunable_groups
from solutions.surgery import silence
from solutions.plans import without
from solutions.ranks import spearman

# %%
train_images, val_images, test_images = MiniCIFAR("train"), MiniCIFAR("val"), MiniCIFAR("test")
print(train_images.source.description)
network = baseline(train_images)
groups = [group for group in prunable_groups(network, torch.zeros(2, 3, 32, 32)) if group.free]
print("layers:", {group.name: group.channels for group in groups})

# %% [markdown]
# Everything below is measured on the same 384 training images, in six batches.

# %%
batches = list(itertools.islice(Loader(train_images, batch_size=64, shuffle=True, seed=1), 6))
print(f"loss of the whole network on these images: {mean_loss(network, batches):.4f}")

# %% [markdown]
# ## 1. The ruler   (20 min)
#
# Molchanov et al. (2016, [arXiv 1611.06440](https://arxiv.org/abs/1611.06440)) call it the **oracle**: the loss
# $\mathcal{C}$ on the data $\mathcal{D}$ without feature map $c$, compared with the loss of the whole network,
# $$ \Theta_{\text{oracle}}(c) = \left| \mathcal{C}(\mathcal{D}, h_c = 0) - \mathcal{C}(\mathcal{D}) \right| . $$
# With the absolute value, a filter whose removal *lowers* the loss counts as important too: it has an influence, and
# the paper found that keeping such filters works better.

# %% [markdown]
# **Exercise.** Write `oracle_scores`. `evaluate(removed)` is a function that takes a *list of channels* and returns the
# loss without them, a Python number. It is expensive: ask for nothing twice.
#
# <details><summary>Hint 1: where do I start?</summary>
# The loss of the whole network is <code>evaluate([])</code>: nothing is removed. You need it once.
# </details>
# <details><summary>Hint 2: nearly there</summary>
# Then one call for each channel, with a list of this one channel; <code>abs</code> of the difference; and all of them
# in a tensor.
# </details>

# %% tags=["exercise"]
from solutions.criteria import oracle_scores

# %% [markdown]
# The first layer, measured in this plain way: 32 filters, 33 runs over the images.

# %%
first = groups[0]


def loss_without(removed):
    return mean_loss(silence(network, groups, {first.name: without(first, removed)}), batches)


# %% tags=["slow"]
plain = oracle_scores(loss_without, first.channels)
drawing, axis = plots.figure(width=6.2, height=2.8)
axis.bar(range(first.channels), plain.sort(descending=True).values)
axis.set(xlabel="filters of the first layer, sorted", ylabel="| change of the loss |")
plots.say_source(drawing, train_images)
drawing

# %% [markdown]
# Many of these filters could go, *each alone*, and the loss would hardly change. For all 448 filters the course has a
# faster oracle: what lies in front of a layer is computed once, and many ablations run as one batch. On the same
# images it gives the same numbers.

# %% tags=["slow"]
ruler = oracle(network, batches, groups)

# %% [markdown]
# Would you do this for VGG-16 on ImageNet? 4,224 filters, and for each of them 15.5 billion multiply-accumulates an
# image. And after the first filters are gone, all the numbers have changed. So everybody uses something cheaper,
# a *criterion*.
#
# ## 2. From the weights   (10 min)
#
# The cheapest criterion needs no image: the mean of a filter's squared weights,
# $$ \Theta_{\text{weight}}(W_j) = \frac{1}{I \, k_H \, k_W} \sum_{i,y,x} W_{j,i,y,x}^2 . $$

# %% [markdown]
# **Exercise.** Write `minimum_weight_scores`.
#
# <details><summary>Hint</summary>
# As <code>filter_l1_norms</code> of lab 3, with squares in place of absolute values and <code>mean</code> in place of
# <code>sum</code>. One number for each filter stays.
# </details>

# %% tags=["exercise"]
from solutions.criteria import minimum_weight_scores

# %% [markdown]
# ## 3. From the activations   (10 min)
#
# A feature map that is zero nearly everywhere has little to say. Hu et al. (2016,
# [arXiv 1607.03250](https://arxiv.org/abs/1607.03250)) count the *average percentage of zeros* behind the ReLU, over
# all examples and positions. A high APoZ is bad, and we want high scores for what matters, so we take
# $$ \Theta_{\text{APoZ}}(c) = 1 - \text{APoZ}(c) = \text{the share of activations that are not zero} . $$

# %% [markdown]
# **Exercise.** Write `apoz_scores`. `activation` has the shape `(N, C, H, W)`: examples, channels, positions. (Behind
# something other than a ReLU there may be negative ones: they are not zero.)
#
# <details><summary>Hint 1: how do I count?</summary>
# A comparison gives True and False; <code>.float()</code> makes 1 and 0 of them, and their mean is a share.
# </details>
# <details><summary>Hint 2: over which axes?</summary>
# One number for each <em>channel</em> stays, so over all axes but number 1.
# </details>

# %% tags=["exercise"]
from solutions.criteria import apoz_scores

# %% [markdown]
# ## 4. From the gradients: Taylor   (25 min)
#
# What would the loss be if the feature map $z$ of one example were zero? Expand the loss around the $z$ that is there,
# to first order:
# $$ \mathcal{C}(z = 0) \approx \mathcal{C}(z) - \sum_m \frac{\partial \mathcal{C}}{\partial z_m} \, z_m
#    \quad\Rightarrow\quad
#    \left| \Delta \mathcal{C} \right| \approx \Big| \sum_m \frac{\partial \mathcal{C}}{\partial z_m} \, z_m \Big| ,$$
# the sum going over the $M = H \cdot W$ positions of the map. Activation times gradient, and both come out of a
# single pass forward and backward, for *all* filters of the network at once. The criterion divides by the number of
# positions, and takes the mean over the $N$ examples:
# $$ \Theta_{\text{Taylor}}(c) = \frac{1}{N} \sum_n \left| \frac{1}{M} \sum_m z^{(n)}_{c,m} \,
#    \frac{\partial \mathcal{C}^{(n)}}{\partial z^{(n)}_{c,m}} \right| . $$
# Look where the absolute value stands: *outside* the sum over the positions of one example, whose effects on its loss
# may cancel, and *inside* the mean over examples, where one image's gain must not hide another one's loss.

# %% [markdown]
# **Exercise.** Write `taylor_scores`. `activation` and `gradient` have the shape `(N, C, H, W)`; row $n$ of `gradient`
# holds the gradient of example $n$'s *own* loss.
#
# <details><summary>Hint 1: in which order?</summary>
# Multiply; mean over positions; absolute value; mean over examples. Read the formula from the inside out.
# </details>
# <details><summary>Hint 2: which axes?</summary>
# Positions are axes 2 and 3. Once they are gone, examples are axis 0.
# </details>

# %% tags=["exercise"]
from solutions.criteria import taylor_scores

# %% [markdown]
# ## 5. Who agrees with the oracle?   (15 min)
#
# `mean_scores` runs the images through the network once, forward and backward, and gives your functions every layer's
# activations and gradients, where the *next* layer sees them: behind batch norm, ReLU and pooling. (Pooling leaves few
# zeros, so do not expect much of APoZ in the layers with a pool behind them.)

# %%
criteria = {
    "APoZ": lambda activation, gradient: apoz_scores(activation),
    "activation mean": lambda activation, gradient: activation.mean(dim=(0, 2, 3)),
    "Taylor": taylor_scores,
}
scores = mean_scores(network, batches, groups, criteria)
scores["weight"] = weight_scores(network, groups, minimum_weight_scores)

# %% [markdown]
# Three more are given, to compare with. The spread of the activations. OBD, *optimal brain damage* (1990): multiply a
# map by a switch $g = 1$, and take the square of $\partial \mathcal{C} / \partial g$. And mutual information: what a
# map's mean tells about the class.

# %% tags=["given", "slow"]
from solutions.activation_criteria import activation_std_scores, gate_gradients, obd_scores, entropy, mutual_information

# %% tags=["slow"]
from solutions.feature_maps import visit

scores |= mean_scores(
    network,
    batches,
    groups,
    {"activation std": lambda activation, _: activation_std_scores(activation), "OBD": obd_scores},
)
seen = {group.name: [] for group in groups}
visit(network, batches, groups, lambda maps: seen[maps.group].append((maps.activation.mean(dim=(2, 3)), maps.labels)))
scores["mutual information"] = {
    name: mutual_information(*(torch.cat(each) for each in zip(*shown, strict=True))) for name, shown in seen.items()
}

# %% [markdown]
# A criterion has the right *order* or it has not; its units do not matter. So we compare ranks: Spearman's
# correlation is 1 where both put the filters in the same order, and 0 where they have nothing to do with each other.
# Each point is a filter, each colour a layer.

# %% tags=["slow"]
shown = {name: scores[name] for name in ("weight", "APoZ", "Taylor")}
study_plots.rank_scatter(shown, ruler, images=train_images)

# %% [markdown]
# ## 6. Between layers   (15 min)
#
# Inside a layer Taylor does well. But we want to remove the filters that matter least *in the whole network*, and so
# the numbers of different layers have to be comparable. The division by $M$ alone makes them differ by far: a map of
# 32 × 32 positions and one of 2 × 2 (behind the last pooling) are not on one scale. The paper's answer is simple:
# divide each layer's scores by their l2 norm,
# $$ \hat\Theta_{l,c} = \frac{\Theta_{l,c}}{\sqrt{\sum_j \Theta_{l,j}^2}} . $$

# %% [markdown]
# **Exercise.** Write `normalize_per_layer`. `scores` is a dictionary: a layer's name and its scores. A layer
# whose scores are all zero keeps its zeros.
#
# <details><summary>Hint 1: where do I start?</summary>
# A new dictionary, and a loop over <code>scores.items()</code>. Each layer has a norm of its own.
# </details>
# <details><summary>Hint 2: zeros?</summary>
# 0 / 0 is not a number, and no pruning loop survives that. Ask whether the norm is greater than 0.
# </details>

# %% tags=["exercise"]
from solutions.criteria import normalize_per_layer


# %% tags=["slow"]
def together(by_layer):
    return torch.cat([by_layer[group.name] for group in groups])


rows = []
for name, by_layer in scores.items():
    inside = [spearman(by_layer[group.name], ruler[group.name]) for group in groups]
    numbers = (
        sum(inside) / len(inside),
        spearman(together(by_layer), together(ruler)),
        spearman(together(normalize_per_layer(by_layer)), together(ruler)),
    )
    rows.append((name, *(f"{number:.2f}" for number in numbers)))
tables.Table(("rank correlation with the oracle", "per layer (mean)", "all layers", "all layers, normalised"), rows)

# %% [markdown]
# The paper has the same table for VGG-16 on Birds-200. Here is ours beside its numbers: all criteria of the course,
# three networks with three seeds, 512 images each; mean (lowest … highest). Which of the paper's numbers do you find
# again, and which not?

# %% tags=["slow"]
study = study_plots.recorded_study("criteria")
study_plots.criteria_table(study)

# %% [markdown]
# What agrees: **Taylor is best inside the layers**, says nothing over all of them, and is as good as before once they
# are normalised. OBD is good over all layers as it is (0.81 here, 0.65 there). The spread of the activations says
# more than their mean, and both say less than Taylor. What does not agree: **the weights** are much better here, 0.67
# against 0.27 inside the layers. That may be a matter of how the network came to be: ours were trained on these
# images from the start, the paper's VGG-16 was fine-tuned, and for an AlexNet that was trained on ImageNet from the
# start the paper has
# 0.57, too. OBD is as good as Taylor inside our layers (0.59 there), and APoZ and mutual information say less here.
#
# And a larger network? Here is VGG-16 (4224 filters), trained for 25 epochs on CIFAR-10's ten classes (45 000 images
# of the JPEG copy; 88.7 % on the test images), three seeds again:

# %% tags=["slow"]
study_plots.criteria_table(study_plots.recorded_study("criteria_vgg16"))

# %% [markdown]
# Nearer to the paper in one respect: the weights have only 0.39 inside the layers. Nothing was fine-tuned here, so
# that fine-tuning cannot be the whole reason; the size of the network has a part in it. As in the paper Taylor (0.55)
# is ahead of OBD (0.52), and both are ahead of everything that looks at weights or activations alone. The
# activations, which the paper has at
# 0.56, say little here, and over all layers they point the wrong way. The winner is a criterion that the paper did not
# have yet, the *gate* Taylor of 2019: 0.64 inside the layers, and without any normalisation 0.80 over all of them.
#
# Mind the last line of both tables. *Random* scores reach 0.19 and 0.17 where all layers are normalised! Dividing by
# the norm makes the scores of layers with few filters larger, the early layers, and these do matter more. So that is
# what one gets for nothing there.
#
# ## 7. One absolute value, three places   (10 min)
#
# Taylor is one line, and public codes have it in three versions: with the absolute value inside (taken at every
# position), in the middle (yours, and the paper's), or outside (after the mean over examples). They look alike, and
# nobody notices, since each of them prunes *something*. The oracle notices:

# %% tags=["slow"]
variants = {
    "inside": lambda activation, gradient: (activation * gradient).abs().mean(dim=(0, 2, 3)),
    "in the middle": taylor_scores,
    "outside": lambda activation, gradient: (activation * gradient).mean(dim=(0, 2, 3)),
}
versions = mean_scores(network, batches, groups, variants)
versions["outside"] = {name: values.abs() for name, values in versions["outside"].items()}  # after the mean over all
rows = []
for name, by_layer in versions.items():
    inside = [spearman(by_layer[group.name], ruler[group.name]) for group in groups]
    other = [spearman(by_layer[group.name], versions["in the middle"][group.name]) for group in groups]
    numbers = (sum(inside) / len(inside), inside[0], inside[-1], sum(other) / len(other))
    rows.append((name, *(f"{number:.2f}" for number in numbers)))
tables.Table(
    ("the absolute value stands", "with the oracle (mean)", "first layer", "last layer", "with the one in the middle"),
    rows,
)

# %% [markdown]
# Strange: the oracle is the change of the *mean* loss, and the version outside is the one that estimates just that,
# to first order. Is it the best, then? In the last layer it is, on the whole it is the worst. Question 1 asks why.
#
# ## 8. Pruning by Taylor, and the network you hand in   (20 min)
#
# Now `prune_iteratively` of lab 4 gets *your* ranking. With `scope="network"` the lowest channels go wherever they are;
# at least four stay in every layer.


# %%
def by_taylor(network, groups):
    return normalize_per_layer(mean_scores(network, batches, groups, {"Taylor": taylor_scores})["Taylor"])


# %% [markdown]
# The cell below trains for about a minute, and saves the network (for you) and an ONNX file (for grading). **Hand in
# both files together with this notebook.** Cells like this one are not run again when your work is graded: the file is
# measured instead. You may change everything in it, as long as the network needs at most 30 % of the MACs. (While
# you make choices, look at the *validation* images.)

# %% tags=["train"]
loader = Loader(train_images, batch_size=64, shuffle=True, augment=True, seed=0)
unseen = Loader(val_images, batch_size=400)
pruned, log = prune_iteratively(
    network,
    groups,
    loader,
    [0.7, 0.5, 0.4],
    epochs=3,
    final_epochs=6,
    rank=by_taylor,
    scope="network",
    floor=4,
    test=unseen,
    lr=0.05,
)
save_network(pruned, "lab5_pruned.safetensors", images=train_images, log=log)
export_onnx(pruned, "lab5_pruned.onnx", images=train_images)

# %%
pruned = load_network("lab5_pruned.safetensors")
plots.widths({"original": network, "pruned": pruned})

# %% [markdown]
# Nobody told the network which layers to spare. Compare with your sensitivity curves of lab 4: do they agree?

# %% tags=["slow"]
export_onnx(network, "lab5_original.onnx", images=train_images)
tables.comparison(
    measure_onnx("lab5_original.onnx", test_images), measure_onnx("lab5_pruned.onnx", test_images), images=test_images
)

# %% [markdown]
# And which criterion is best to *prune* with? Table and ruler judge one filter at a time. Here are the paper's curves
# again: twelve steps down to 15 % of the filters, only 30 minibatches of retraining after each, scores measured anew
# before every step, and the oracle itself among them. Three seeds; bands from the worst to the best. (Half an hour
# for a seed, so we did it for you: `python -m studies.criteria`.)

# %% tags=["slow"]
study_plots.criteria_curves(study)

# %% [markdown]
# As in the paper, every criterion is ahead of random until only a few filters are left. But there is no winner: with
# 36 % of the filters Taylor has 80.6 %, OBD 80.5, the smallest weights 80.2 and the activations 80.1 %, within each
# other's bands. And **the oracle is not the best**, with 77.9 %, nor is it at the end. Question 2 asks how that can
# be. (On the right random does better than on the left: for the same number of filters it leaves fewer MACs.)
#
# **The network you hand in.** This check shows the very numbers and points that grading will give.

# %% tags=["artifact"]
check("lab5_pruned_onnx")

# %% [markdown]
# ## 9. Questions   (15 min)

# %% [markdown] tags=["question"] points=2 name="question_first_order"
# **Question 1.** At the end of training the gradient of the mean loss with respect to the *weights* is close to zero.
# What does that mean for the version of Taylor with the absolute value outside, and why is the one in the middle not
# close to zero for all filters? And for which filters do you expect a first-order approximation to be poor at all?
#
# ### BEGIN MARK SCHEME
# *Rubric (2 points).* 1 point: the mean over the examples vanishes with the gradient (exactly: summed over positions
# and examples, z · dC/dz of a channel equals W · dC/dW summed over the weights that read it, so "outside" is zero at a
# stationary point, and what is left is small); each example's own gradient does not vanish, and "in the middle" takes
# the absolute value of each before the mean (it measures their spread). Who argues from the table that "outside" is
# the best in the last layer, since so little lies behind it that the first order is nearly all, has this point too. 1
# point, one of: zeroing a map is a large step where much depends on it (early layers, few filters left, large
# activations), and higher orders count; examples of which the network is sure have hardly any gradient, yet an
# ablation can tip them; effects of several filters at once are not the sum of their effects.
# ### END MARK SCHEME

# %% [markdown] tags=["question"] points=2 name="question_ruler"
# **Question 2.** The oracle ablates *one* filter at a time, and without retraining. Somebody removes the 200 filters
# with the lowest oracle scores at once and is disappointed. Give two reasons why even a perfect agreement with the
# oracle does not promise a good pruned network, and say what the loop in part 8 does about each.
#
# ### BEGIN MARK SCHEME
# *Rubric (2 points).* 1 point for each reason with its answer, two of: filters can stand in for each other, each
# alone is dispensable and together they are not (the loop removes some, then scores anew); retraining can repair
# much, so that the loss before it says little about the accuracy after it (the loop trains in between); the scores
# hold for the images they were measured on, a few batches of training images (the loop shows the accuracy on
# validation images after each step, where overfitting to these batches would be seen).
# ### END MARK SCHEME
