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
# # Lab 4: where, when, and how fast?
#
# You can remove filters. This lab is about the experiment around it: from *which* layers, *when* in the training,
# *how fast*, in *how many* steps? And about the control that nobody may skip: what does a network reach that was
# simply born with the small shape?
#
# **Afterwards you can**
# - measure how sensitive each layer is, and leave the network as you found it;
# - draw a pruning schedule, and say what its slope means;
# - prune step by step with a fresh optimizer, and say why the old one must go;
# - compare pruning with training the narrow network from scratch, under the same budget, and believe the result.
#
# **You need** labs 0, 1 and 3.
#
# | part | exercise | minutes | |
# |---|---|---|---|
# | 1 | `sensitivity_scan` | 30 | core |
# | 2 | `cubic_sparsity` | 10 | core |
# | 3 | `prune_and_reset` | 20 | core |
# | 4 | step by step, and the network you hand in | 20 | core |
# | 5 | `narrow_twin`, the control | 25 | core |
# | 6 | when to start: a poster, checked | 20 | core |
# | 7 | two questions | 15 | core |
#
# Run a cell with Shift-Enter. After every exercise there is a `check`: it tells you at once what is right,
# and what is probably the matter when something is not. You can run it as often as you like.

# %%
import copy
import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from course_utils.baseline import baseline
from course_utils.checking import check
from course_utils.checkpoints import load_network, save_network
from course_utils.networks import vgg_mini
from course_utils.onnx_files.export import export_onnx
from course_utils.onnx_files.measuring import measure_onnx
from course_utils.pictures import plots, study_plots, tables
from course_utils.training import evaluate, train
from minicifar import Loader, MiniCIFAR

# %% [markdown]
# From lab 3 you have the ranking and the surgery. Here are the course's versions of them, so that an exercise which is
# not finished there costs you nothing here.

# %%
from solutions.l1 import filter_l1_norms, filters_to_keep, prune_vgg

# %%
train_images, val_images, test_images = MiniCIFAR("train"), MiniCIFAR("val"), MiniCIFAR("test")
print(train_images.source.description)
network = baseline(train_images)
unseen = Loader(val_images, batch_size=400)
before = evaluate(network, unseen).accuracy
print(f"accuracy of the unpruned network on {len(val_images)} validation images: {before:.1%}")

# %% [markdown]
# ## 1. Where? The sensitivity of each layer   (30 min)
#
# In lab 3 each layer lost the same share of its filters. Is that wise? Li et al. (2016,
# [arXiv 1608.08710](https://arxiv.org/abs/1608.08710), section 3.2) prune *each layer alone*, at several ratios,
# measure the accuracy without retraining, and draw one curve for each layer.
#
# No surgery is needed for that. If the batch norm behind a convolution has for channel $j$ a weight $\gamma_j = 0$
# *and* a bias $\beta_j = 0$, then
# $$ y_j = \gamma_j \, \frac{x_j - \mu_j}{\sqrt{\sigma_j^2 + \epsilon}} + \beta_j = 0 , $$
# and everything behind it sees zeros, as if filter $j$ did not exist. Setting the *filter* to zero would not do: the
# batch norm turns a channel of zeros into a constant, $\beta_j - \gamma_j \mu_j / \sqrt{\sigma_j^2 + \epsilon}$.
#
# Two habits make such a scan trustworthy. Every measurement starts from the *whole* network, not from what the last
# one left; and at the end the network is as it was, also if something goes wrong in the middle.

# %% [markdown]
# **Exercise.** Write `sensitivity_scan`. `evaluate` is a function that takes the network and returns a number (here:
# the accuracy on validation images); the result is a dictionary with a list for each convolution. Change the batch
# norm's numbers, please, and use no hooks: hooks do not travel with a network that is graded.
#
# <details><summary>Hint 1: how do I find the batch norm of a convolution?</summary>
# In our networks it comes right behind it. <code>list(network.named_modules())</code> has the modules in order, and
# <code>pairwise</code> of that list gives neighbours: <code>(name, conv), (_, norm)</code>.
# </details>
# <details><summary>Hint 2: how do I put everything back?</summary>
# Keep copies (<code>.clone()</code>!) of the batch norm's weight and bias before the first change, and put copies of
# them back after <em>every</em> measurement. <code>try: … finally: …</code> does it even when <code>evaluate</code>
# fails, and lets its error go on.
# </details>
# <details><summary>Hint 3: nearly there</summary>
# For each ratio: which filters stay (<code>filters_to_keep</code> of <code>filter_l1_norms</code>)? Make a vector
# with 1 for these and 0 for the others, and multiply weight and bias with it.
# </details>

# %% tags=["exercise"]
from solutions.schedules import sensitivity_scan

# %%
ratios = [1.0, 0.9, 0.75, 0.6, 0.45, 0.3, 0.15]


def on_validation(candidate):
    return evaluate(candidate, unseen).accuracy


# %% tags=["slow"]
curves = sensitivity_scan(network, ratios, on_validation)
study_plots.sensitivity(curves, ratios, before, tolerance=0.02, images=val_images)

# %% [markdown]
# The red line is a tolerance: two points less than the original. How far down can each layer go before it crosses the
# line? Write the six keep ratios down; you may use them in part 4. (What the curves cannot tell: how the layers behave
# *together*, and what retraining repairs.)
#
# ## 2. How fast? A schedule   (10 min)
#
# Pruning step by step gives the network time to recover. Zhu & Gupta (2017,
# [arXiv 1710.01878](https://arxiv.org/abs/1710.01878)) prune fast at first, while there is much to spare, and slowly
# at the end: between `begin` and `end` the sparsity, the share that is gone, rises as
# $$ s(t) = s_{\text{final}} \left( 1 - \left( 1 - \frac{t - t_{\text{begin}}}{t_{\text{end}} - t_{\text{begin}}}
# \right)^3 \right) , $$ it is 0 before, and $s_{\text{final}}$ afterwards.

# %% [markdown]
# **Exercise.** Write `cubic_sparsity`.
#
# <details><summary>Hint 1: before and after?</summary>
# Compute the fraction first, and hold it between 0 and 1 with <code>min</code> and <code>max</code>; then one formula
# is right everywhere.
# </details>
# <details><summary>Hint 2: what can be wrong with the arguments?</summary>
# If <code>begin</code> is not before <code>end</code> there is no schedule: <code>ValueError</code>.
# </details>

# %% tags=["exercise"]
from solutions.schedules import cubic_sparsity

# %%
final = 0.6
study_plots.schedules(
    {
        "cubic": lambda epoch: cubic_sparsity(epoch, 2, 10, final),
        "linear": lambda epoch: final * min(max((epoch - 2) / 8, 0), 1),
        "one step": lambda epoch: final * (epoch >= 6),
    },
    last=12,
)

# %% [markdown]
# Below is the rate of change. The one step is a needle; the linear schedule takes as much in the last epoch as in the
# first, although by then every filter that is left has work to do.
#
# ## 3. A step: prune, and forget the momentum   (20 min)
#
# SGD with momentum keeps a buffer for each parameter, of the parameter's shape. Now you replace the network by a
# smaller one. What does the old optimizer do?

# %%
optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
pruned = prune_vgg(network, 0.5)
known = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
trained = sum(id(parameter) in known for parameter in pruned.parameters())
print(f"of {len(list(pruned.parameters()))} tensors of the pruned network the old optimizer knows {trained}")

# %% [markdown]
# It goes on training the network that you have thrown away, without a word. (And where surgery is done in place, its
# buffers have the wrong shapes, or, worse, the right ones: the momentum of filters that are gone.) So after every
# pruning step there is a **new** optimizer, of the same kind and with the same settings.

# %% [markdown]
# **Exercise.** Write `prune_and_reset`. It returns two things: the pruned network, and the new optimizer.
#
# <details><summary>Hint 1: which settings?</summary>
# <code>optimizer.param_groups[0]</code> is a dictionary with the settings as they are <em>now</em> (a schedule may have
# changed lr), and with more. <code>optimizer.defaults</code> has the names of the settings.
# </details>
# <details><summary>Hint 2: of the same kind?</summary>
# <code>type(optimizer)</code> is the class. It takes parameters and settings as a list of one dictionary, such as
# <code>param_groups</code> has: <code>type(optimizer)([{"params": list(pruned.parameters()), "lr": …}])</code>. (As
# arguments, <code>lr=…</code>, they would do for SGD; AdamW has a setting that it does not take as an argument.)
# </details>

# %% tags=["exercise"]
from solutions.schedules import prune_and_reset

# %% [markdown]
# ## 4. One step or many, and the network you hand in   (20 min)
#
# `prune_iteratively` is the course's driver. It works on any network (lab 7 shows how it finds out which channels
# belong together), prunes down to each of a list of keep ratios, trains after each step, with a new optimizer every
# time, shows a bar, and can be stopped and resumed. Four steps of three epochs, following the cubic schedule:

# %%
from solutions.prunable import prunable_groups
from solutions.iterative import prune_iteratively

# %%
keep_ratios = [1 - cubic_sparsity(step, 0, 4, 0.6) for step in (1, 2, 3, 4)]
print("keep ratios:", [round(ratio, 3) for ratio in keep_ratios])

# %% [markdown]
# The cell below trains for about a minute, and saves the network (for you) and an ONNX file (for grading). **Hand in
# both files together with this notebook.** Cells like this one are not run again when your work is graded: the file is
# measured instead. You may change everything in it, as long as the network keeps at most 20 % of the parameters. (While
# you make choices, look at the *validation* images.)

# %% tags=["train"]
loader = Loader(train_images, batch_size=64, shuffle=True, augment=True, seed=0)
groups = prunable_groups(network, torch.zeros(2, 3, 32, 32))
pruned, log = prune_iteratively(
    network, groups, loader, keep_ratios, epochs=3, test=Loader(val_images, batch_size=400), lr=0.05
)
save_network(pruned, "lab4_pruned.safetensors", images=train_images, log=log)
export_onnx(pruned, "lab4_pruned.onnx", images=train_images)

# %%
pruned = load_network("lab4_pruned.safetensors")
plots.widths({"original": network, "pruned": pruned})

# %% [markdown]
# And in one step, with as many epochs:

# %% tags=["slow"]
at_once = prune_vgg(network, keep_ratios[-1])
shock = evaluate(at_once, unseen).accuracy
history = train(at_once, Loader(train_images, batch_size=64, shuffle=True, augment=True, seed=0), epochs=12, lr=0.05)
one_step = evaluate(at_once, unseen).accuracy
many_steps = evaluate(pruned, unseen).accuracy
print(
    f"validation accuracy after one step: {shock:.1%} before training, "
    f"{one_step:.1%} after; four steps: {many_steps:.1%}"
)

# %% tags=["slow"]
export_onnx(network, "lab4_original.onnx", images=train_images)
tables.comparison(
    measure_onnx("lab4_original.onnx", test_images), measure_onnx("lab4_pruned.onnx", test_images), images=test_images
)

# %% [markdown]
# **The network you hand in.** This check shows the very numbers and points that grading will give.

# %% tags=["artifact"]
check("lab4_pruned_onnx")

# %% [markdown]
# ## 5. The control   (25 min)
#
# You have a small network with a good accuracy. Is that thanks to pruning? Liu et al. (2019,
# [arXiv 1810.05270](https://arxiv.org/abs/1810.05270)) trained the pruned *shapes* from random weights, and found that
# they often do as well. Whoever reports a pruning result without this control has shown nothing yet.
#
# The budget must be fair: the pruned network has had the original's training *and* the retraining. The original's was
# 25 epochs, so a fair twin gets 25 + 12. Many papers give it the epochs of the retraining only.

# %% [markdown]
# **Exercise.** Write `narrow_twin`: the shapes of the pruned network, fresh random weights.
#
# <details><summary>Hint 1: how do I draw weights anew?</summary>
# Layers with weights have a method <code>reset_parameters</code>, batch norms too (it also resets their statistics).
# The others do not have it: ask with <code>hasattr</code>.
# </details>
# <details><summary>Hint 2: and the seed?</summary>
# <code>torch.manual_seed(seed)</code> makes the draw repeatable, but it changes the random numbers of the whole
# program. Inside <code>with torch.random.fork_rng():</code> it does not.
# </details>

# %% tags=["exercise"]
from solutions.schedules import narrow_twin

# %% [markdown]
# First as these papers do it, with 12 epochs. (For the fair control write 37: about three minutes.)

# %% tags=["slow"]
epochs = 12
twin = narrow_twin(pruned, seed=0)
history = train(
    twin, Loader(train_images, batch_size=64, shuffle=True, augment=True, seed=0), epochs, label_smoothing=0.1
)
from_scratch = evaluate(twin, unseen).accuracy
tables.Table(
    ("", "epochs", "accuracy on validation images"),
    [
        ("original", "25", f"{before:.1%}"),
        ("pruned in one step", "25 + 12", f"{one_step:.1%}"),
        ("pruned in four steps", "25 + 12", f"{many_steps:.1%}"),
        ("the narrow twin, from scratch", str(epochs), f"{from_scratch:.1%}"),
    ],
)

# %% [markdown]
# Do not conclude from one run: with 800 images the standard error of an accuracy of 85 % is 1.3 points, and
# another seed gives another number. Here are three seeds of everything (twenty of the four steps) on the 4000 test
# images, where the original has 86.7 %:
#
# | | epochs | mean | lowest … highest |
# |---|---|---|---|
# | pruned in one step | 25 + 12 | 85.7 % | 85.6 … 85.8 % |
# | pruned in four steps | 25 + 12 | 85.3 % | 84.4 … 86.0 % |
# | the narrow twin, from scratch | 12 | 82.0 % | 81.4 … 82.6 % |
# | the narrow twin, from scratch | 37 | 86.2 % | 86.0 … 86.5 % |
#
# With 12 epochs for the twin, pruning is ahead by more than three points. Under the fair budget the twin is *ahead*, by
# half a point: what the short budget showed was the worth of 25 more epochs, not the worth of pruning. (That holds at
# this mild ratio, 17 % of the parameters. In part 6 pruning catches up as the network shrinks.)
#
# ## 6. When to start? A poster, checked   (20 min)
#
# V. Martineau (Université Laval) showed a poster, "Applying Pruning Filters In Convolutional Neural Network", with a
# question that few papers ask: *at which moment of its training* should a network be pruned? Its answer, on CIFAR-10:
# **one step, once the training starts to stabilise, is consistently best, and waiting until the end is worse.** Its
# settings: SGD with a learning rate of 0.01, no momentum, batches of 64.
#
# Here is the study again on MiniCIFAR (from a JPEG copy of CIFAR-10). Every run has 20 epochs in total. It prunes
# after 0, 8 or 18 of them, in one step or in four, each layer by the same share, and trains for the rest. A line is
# the mean of three seeds, its band reaches from the worst to the best of them. On the left are the poster's settings;
# on the right good ones (momentum 0.9, weight decay, a learning rate that rises to 0.1 and falls to 0 before pruning,
# and again after it). Green is the control: the narrow twin, 20 epochs from random weights. Mind the two scales.

# %% tags=["slow"]
results = study_plots.recorded_study("when_to_prune")
study_plots.when_to_prune(
    {
        f"vgg_mini, {setting} settings": study_plots.study_curves(results, "vgg_mini", setting)
        for setting in ("poster", "good")
    }
)

# %% [markdown]
# What agrees with the poster: **waiting until the end is worse**, at every size and in both settings, by 2 to 10
# points. (Two epochs are too few to heal; the four steps had to be two there.) And once training has
# stabilised, **one step is mostly better than four**: with good settings at all three sizes, by about a point (at 4 %
# of the parameters 81.3 % against
# 80.1 %), with the poster's at two of three.
#
# What does not agree: "consistently best". Pruning *at the very beginning*, in one step, is as good: with good
# settings 84.8, 83.7 and 81.1 % against 84.8, 83.7 and 81.3 %, and with the poster's even better at two sizes. And
# look at the **control**. With good settings the narrow twin, born small, has 85.0, 83.5 and 80.2 %: no difference at
# the two larger sizes, and one point less at 4 % of the parameters. With the poster's it has 72.5, 70.2 and 66.6 %,
# which is ahead of one step once training stabilises (70.2, 67.0 and 69.3 %) at two sizes of three. No wonder, by the
# way, that twin and "at the beginning" go together: a network with random weights has nothing to lose yet.
#
# And the third thing to see: the settings matter as much as the worst moment does. Mostly more than ten points lie
# between left and right. (Twenty epochs are few. The longer the first training, the more a trained network has to
# give: in part 5 it had 25.)
#
# Be fair to the four steps: with good settings every step has a rise and a fall of the learning rate of its own, three
# epochs long, where the one step has twelve in one piece. And a confession. When we made this figure first, the twin
# drew its weights as PyTorch does by default, the others as He et al. do. That alone was worth two to four points to
# the twin with the poster's settings (smaller weights in front of a batch norm act like a larger learning rate), and
# we had written: "the twin wins at all sizes". A comparison is never quite fair; look for what differs.
#
# Is it so for a ResNet too? `resnet20`, the same sizes, three seeds again.

# %% tags=["slow"]
study_plots.when_to_prune(
    {
        f"resnet20, {setting} settings": study_plots.study_curves(results, "resnet20", setting)
        for setting in ("poster", "good")
    }
)

# %% [markdown]
# Waiting until the end is worse again, the more so the smaller the network becomes: by 2, 6 and 8 points with good
# settings, by 8, 6 and 15 with the poster's. One step once it stabilises is ahead of four with the poster's settings,
# and with good ones only at the smallest size (76.2 against 74.3 %). But pruning at the very beginning in one step is
# ahead of both nearly everywhere, and the control is about as good: 81.8, 80.0 and 77.6 % with good settings, where
# one step once it stabilises has 80.9, 79.1 and 76.2 %. With so few epochs no later moment is ahead of being born
# small.
#
# Would you like a run of your own? Paste this into a new cell: one step down to 40 % of the channels, good settings.
# Choose the moment and a seed, and compare with your neighbour's. (The two numbers of epochs make 10, half of the
# study's: about a minute.)
#
# ```python
# seed = 3
# loader = Loader(train_images, batch_size=64, shuffle=True, augment=True, seed=seed)
# candidate = vgg_mini(classes=len(train_images.classes), seed=seed)
# history = train(candidate, loader, epochs=4, lr=0.1)
# candidate, log = prune_iteratively(candidate, groups, loader, [0.4], epochs=6, lr=0.1)
# print(f"{evaluate(candidate, unseen).accuracy:.1%} on {len(val_images)} validation images")
# ```
#
# ## 7. Questions   (15 min)

# %% [markdown] tags=["question"] points=2 name="question_sensitivity"
# **Question 1.** In your sensitivity plot, which layer can lose most, and which least? You have six keep ratios at the
# red line. Somebody prunes all six layers down to these at once. Will the network lose two points? Explain, and say how
# you would use the plot instead.
#
# ### BEGIN MARK SCHEME
# *Rubric (2 points).* 1 point: layers read off the student's own plot, with an explanation that fits (early layers have
# few filters and everything goes through them; late ones have many for four classes), and: no, the losses add up, and
# more than that, because each layer was measured with all others whole; six layers at two points each lose
# far more than two. 1 point for a sound use: as a *ranking* of layers (prune sensitive layers less), a common factor
# that is chosen on the validation images, retraining in between, or a new scan after each step.
# ### END MARK SCHEME

# %% [markdown] tags=["question"] points=2 name="question_budget"
# **Question 2.** A paper reports: "Iterative pruning (5 steps, 20 epochs of retraining each) beats one-shot pruning (20
# epochs) by 1.2 points, and the narrow network trained from scratch for 20 epochs by 3 points." Name two things that
# make these comparisons unfair, and what you would ask for.
#
# ### BEGIN MARK SCHEME
# *Rubric (2 points).* 1 point: iterative has had 100 epochs of retraining against 20: the same total is needed. 1
# point: the narrow network must get the epochs of the original's training and of retraining (here at least as many as
# all stages together), with a learning-rate schedule of its own. Also accepted for either point: one run each, no
# seeds and spread; choosing the best epoch on the test set; different learning-rate restarts.
# ### END MARK SCHEME
