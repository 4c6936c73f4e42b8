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
# # Lab 11: widths that are learned or searched
#
# How wide should each layer be? In lab 3 we said: all alike. In lab 4 we looked at each layer alone. Today two methods
# answer for all layers together. One *learns*: small gates watch the feature maps and learn which channels an image
# needs (*PCAS*, Yamamoto & Maeno 2018, [paper](https://arxiv.org/abs/1806.05382)). The other *searches*: an agent
# walks through the layers, chooses how much of each stays, hears at the end what its network is worth, and tries again
# (*AMC*, He et al. 2018, [paper](https://arxiv.org/abs/1802.03494)).
#
# A search is only as good as its control. So beside the agent there will always be one who guesses.
#
# **Afterwards you can**
# - write an attention gate, and read off what it has learned;
# - keep a budget by construction: no plan is ever over it;
# - say what a reward must measure when nobody has time to train;
# - show whether a search is worth more than as many guesses.
#
# **You need** labs 0, 3 and 4; for part 7 (extra) also lab 6.
#
# | part | exercise | minutes | |
# |---|---|---|---|
# | 1 | `attention_gate` | 15 | core |
# | 2 | `mean_importance`, and a prediction | 15 | core |
# | 3 | attention from end to end, and the network you hand in | 10 | core |
# | 4 | `clipped_action`: a budget that cannot be missed | 20 | core |
# | 5 | `reward`, and the agent beside one who guesses | 20 | core |
# | 6 | does it pay? | 5 | core |
# | 7 | `lasso_step`: what does the next layer need? | 20 | extra |
# | 8 | widths from random weights | 5 | extra |
# | 9 | two questions | 15 | core |
#
# Run a cell with Shift-Enter. After every exercise there is a `check`: it tells you at once what is right,
# and what is probably the matter when something is not. You can run it as often as you like.

# %%
import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.baseline import baseline
from course_utils.checking import check
from course_utils.checkpoints import describe, load_network, save_network
from course_utils.onnx_files.export import export_onnx
from course_utils.onnx_files.measuring import measure_onnx
from course_utils.pictures import budget_plots, plots, study_plots, tables, width_plots
from course_utils.pictures.width_explorer import Rival, width_explorer
from course_utils.training import evaluate
from minicifar import Loader, MiniCIFAR

# %% [markdown]
# From the course you get what works on any network: its channel groups (lab 7; here simply the filters of each
# convolution, of which `group.free` may go), the gates' places and their training, the environment in which an agent
# moves, the agent itself, and lab 3's rounding as `channels_removed`.

# %%
from solutions.amc import best_of, environment, search
from solutions.attention import pcas
from solutions.ddpg import Agent
from solutions.prunable import prunable_groups
from solutions.rounding import channels_removed

# %%
train_images, val_images, test_images = MiniCIFAR("train"), MiniCIFAR("val"), MiniCIFAR("test")
print(train_images.source.description)
network = baseline(train_images)
example = torch.zeros(1, 3, 32, 32)
layers = {group.name: group.channels for group in prunable_groups(network, example) if group.free}
unseen = Loader(val_images, batch_size=400)
print(f"the network that we begin with has {evaluate(network, unseen).accuracy:.1%} of the validation images right")
print(f"its layers and their channels: {layers}")

# %% [markdown]
# ## 1. A gate for every channel   (15 min)
#
# Between a layer and the one that reads it sits a small network of two linear layers. It looks at the mean of every
# feature map, $z_j = \frac{1}{HW} \sum_{y,x} M_j(y, x)$, and says for each channel how far it is let through:
# $$ g = \sigma\big(U \max(D z + d,\, 0) + u\big) , $$
# with $\sigma$ the sigmoid, $D$ from $C$ channels *down* to $C / 4$, and $U$ *up* to $C$ again. Channel $j$ of the map
# is then multiplied by $g_j$. The gates depend on the image, that makes it an *attention* module; every gate sees all
# channels, so they are judged together; and the narrow middle keeps the number of weights small. All $u$ begin at 4, so
# that at first all gates are nearly open: $\sigma(4) = 0.98$, more or less, since $D$ and $U$ begin at random.
#
# The network itself is **frozen**, its batch norms too. Only the gates learn, with the usual loss on the training
# images. (They see what the next layer reads: maps behind batch norm, ReLU and pooling.)

# %% [markdown]
# **Exercise.** Write `attention_gate`: the gates (N, C) of feature maps (N, C, H, W). `down` and `up` are linear layers
# with biases, from PyTorch.
#
# <details><summary>Hint 1: where do I start?</summary>
# <code>maps.mean(dim=(2, 3))</code> has one number for each image and channel.
# </details>
# <details><summary>Hint 2: the layers</summary>
# A linear layer is called like a function: <code>down(z)</code> is $D z + d$, with its bias. $\max(\cdot, 0)$ is
# <code>.relu()</code>, σ is <code>.sigmoid()</code>.
# </details>
# <details><summary>Hint 3: the gates must learn</summary>
# Leave out <code>.detach()</code> and <code>torch.no_grad()</code>: the loss finds its way to the layers through what
# you return.
# </details>

# %% tags=["exercise"]
from solutions.learned_widths import attention_gate

# %% [markdown]
# ## 2. What did the gates learn?   (15 min)
#
# A gate depends on the image. For pruning we need one number a channel: its gate's mean over *all* training images,
# $s_j = \frac{1}{N} \sum_n g_{nj}$. The images come in batches, and the last batch is smaller than the others.

# %% [markdown]
# **Exercise.** Write `mean_importance`. It gets a list with the gates of every batch, (N, C) each.
#
# <details><summary>Hint 1: where do I start?</summary>
# With two batches of 3 and 1 images: the mean of two means gives the last image a weight of one half.
# </details>
# <details><summary>Hint 2: nearly there</summary>
# <code>torch.cat</code> makes one tensor (all images, C) of them.
# </details>

# %% tags=["exercise"]
from solutions.learned_widths import mean_importance

# %% [markdown]
# **Predict, then run.** In part 3 the gates learn for a few epochs on our network, and the channels of the *whole*
# network are ranked by their mean gates. Write down:
# 1. The loss has no penalty for open gates. Will gates close at all? In which layers first?
# 2. Which layers will lose most, the first ones (few channels, on large maps) or the last (many, on small maps)?
#
# ## 3. Attention from end to end   (10 min)
#
# `pcas` trains the gates with your functions, takes them away, removes the channels of the lowest importance in the
# whole network, as few as the budget of MACs allows, and finetunes (what labs 3 and 4 called retraining). The gates
# learn for 4 of the 12 epochs.
#
# The cell below trains for about a minute, and saves the network with its history (for you) and an ONNX file (for
# grading). **Hand in both files together with this notebook.** Cells like this one are not run again when your work is
# graded: the file is measured instead. You may change everything in it, as long as the network needs at most 25 % of
# the MACs. (While you make choices, look at the *validation* images.)

# %% tags=["train"]
loader = Loader(train_images, batch_size=64, shuffle=True, augment=True, seed=0)
mine = {"attention_gate": attention_gate, "mean_importance": mean_importance}
narrow, history = pcas(network, loader, budget=0.25, epochs=12, searching=4, **mine)
found = {name: history[name] for name in ("importance", "plan", "floor")}
save_network(narrow, "lab11_widths.safetensors", history=history["finetuning"], pcas=found, images=train_images)
export_onnx(narrow, "lab11_widths.onnx", images=train_images)

# %%
narrow = load_network("lab11_widths.safetensors")
found = describe("lab11_widths.safetensors")["notes"]["pcas"]
print("one channel is left of: " + ", ".join(found["floor"]) if found["floor"] else "the widths, original and found:")
plots.widths({"original": network, "attention": narrow})

# %%
width_plots.importance_picture(found["importance"], found["plan"], images=train_images)

# %% [markdown]
# Were you right? Nothing pushes the gates shut, and most open further: seven out of eight are above 0.95 in the end.
# (The scale is logarithmic; the lower a channel's point, the safer it is.) But some do close, in the last three layers
# by a half and more, a few altogether: there the training loss is better *without* what such a channel says. And yet
# most is taken from the second and the third layer, where few gates close at all. The dashed line is where the cut
# falls, at a mean gate of 0.998: most of these two layers' gates stop just short of it. What decides over these layers
# is the third digit behind the point. That the numbers of different layers can be compared at all, the method only
# hopes.

# %% tags=["slow"]
print(f"validation accuracy: {evaluate(network, unseen).accuracy:.1%} → {evaluate(narrow, unseen).accuracy:.1%}")
export_onnx(network, "lab11_original.onnx", images=train_images)
tables.comparison(
    measure_onnx("lab11_original.onnx", test_images),
    measure_onnx("lab11_widths.onnx", test_images),
    images=test_images,
)

# %% [markdown]
# **The network you hand in.** This check shows the very numbers and points that grading will give.

# %% tags=["artifact"]
check("lab11_widths_onnx")

# %% [markdown]
# ## 4. A budget that cannot be missed   (20 min)
#
# Now a search. An *episode* walks through the layers from front to back. At each layer the agent sees some numbers (how
# wide the layer is, how many MACs hang on it, how many are saved so far, …) and chooses a keep ratio. At the end it
# gets a reward, and begins anew. It chooses numbers only: within a layer the filters with the highest L1 norms stay, as
# in lab 3. At least a twentieth of every layer stays.
#
# What if it keeps too much in all layers and misses the budget? One could punish it. AMC does better: the *action is
# clipped*. At every layer we ask: if all later layers were cut as far as they may be, how wide may this one be at most?
# So whatever the agent wants, the plan at the end is within the budget, and no episode is wasted. (The agent learns
# from what was done, not from what it wanted.)
#
# A layer's width counts twice, by the way: a convolution costs inputs × outputs, so that whoever narrows layer 2 saves
# in layer 2 *and* in layer 3.

# %% [markdown]
# **Exercise.** Write `clipped_action`: how many channels this layer keeps, a whole number. Not more than the action
# wants; so few that the budget can still be met; and never fewer than its `least`. What comes in:
# - `action`: the keep ratio that the agent wants, 0 to 1;
# - `layer`: the number of the layer that is decided now, from 0;
# - `widths`: a number for every layer; those before `layer` as they were decided, it and the later ones whole;
# - `least`: the fewest channels that each layer may keep;
# - `macs`: a function; `macs(widths)` is the MACs of a network with these widths (a list, one number a layer);
# - `budget`: how many MACs the whole network may have at the end.
#
# <details><summary>Hint 1: where do I start?</summary>
# With what the action wants, rounded as everywhere in the course: <code>widths[layer] - channels_removed(widths[layer],
# action)</code>, that is floor((1 - action) · C + 1e-9) channels go.
# </details>
# <details><summary>Hint 2: is it possible?</summary>
# The cheapest way to go on with <code>kept</code> channels here: <code>[*widths[:layer], kept, *least[layer +
# 1:]]</code>. Ask <code>macs</code> what it costs.
# </details>
# <details><summary>Hint 3: nearly there</summary>
# Begin with the wanted number, or with <code>least[layer]</code> where that is more. Go down, one channel at a time,
# until the cheapest way is within the budget (exactly the budget is allowed), or <code>least[layer]</code> is reached.
# </details>

# %% tags=["exercise"]
from solutions.learned_widths import clipped_action

# %% [markdown]
# ## 5. What is a plan worth?   (20 min)
#
# Training a plan takes a minute, and there will be hundreds. So AMC asks for the validation accuracy *without*
# training. Two things help a network that has just been cut: the next layer's weights are fitted anew by least squares,
# so that its outputs come close to those it had (from matrices of the original network, computed once); and its batch
# norms get new statistics from a few batches. Together they take a tenth of a second. Even so a plan at a quarter of
# the MACs has anything from 52 to 83 % of the images right, and at a twentieth many are hardly better than chance. The
# *loss* says more than the accuracy there (it moves with every image, not only where an answer flips), so ours is minus
# the loss.
#
# The authors have a second reward, for a search without a budget: $-\text{error} \cdot \ln(\text{MACs})$. There nobody
# clips: every halving of the MACs earns the agent the same share of its error. (We search with the first;
# `environment(…, budget=1, pay=True)` searches with the second.)

# %% [markdown]
# **Exercise.** Write `reward` from the logits (N, K) of the pruned network: minus the mean cross-entropy; or, where
# `macs` is given, minus the share of wrong images times the natural logarithm of the MACs. A Python number.
#
# <details><summary>Hint 1: the first</summary>
# <code>F.cross_entropy(logits, labels)</code> is the mean; <code>.item()</code> makes a number of a tensor.
# </details>
# <details><summary>Hint 2: the second</summary>
# <code>(logits.argmax(dim=1) != labels)</code>, its mean, and <code>math.log</code>. Which form is wanted is a question
# of <code>macs is None</code>.
# </details>

# %% tags=["exercise"]
from solutions.learned_widths import reward

# %% [markdown]
# The agent is *DDPG*: a small network, the *actor*, chooses the keep ratio, another, the *critic*, learns what that
# will bring, and tells the actor which way to go. For the first 100 episodes it tries out a lot (noise); then the noise
# fades. The agent is given, and so is the environment, which calls your two functions: `clipped_action` at every layer,
# `reward` at the end. (12 is how many numbers the agent sees, 0.05 the lowest keep ratio of a layer.)
#
# **Predict, then run.** 150 plans by the agent, and 150 by one who draws every keep ratio at random. Both keep the
# budget, by your `clipped_action`. Whose *average* plan will be better at the end? Whose *best* plan? And where would
# you put the uniform plan, about half of every layer?

# %% tags=["slow"]
loader = Loader(train_images, batch_size=64, shuffle=True, augment=True, seed=0)
held = next(iter(Loader(val_images, batch_size=400, shuffle=True)))  # shuffled: of all classes
env = environment(network, loader, held, budget=0.25, clipped_action=clipped_action, reward=reward)
guesses = search(env, None, episodes=150)
plans = search(env, Agent(features=12, low=0.05, seed=0), episodes=150)

# %% tags=["slow"]
from solutions.budgets import uniform_plan

plan = uniform_plan(network, env.all_groups, env.scores, 0.25, example)
uniform = env.value([len(plan[name]) for name in layers])
width_plots.learning_curves({"AMC": plans, "random search": guesses}, {"uniform": uniform}, images=train_images)

# %% [markdown]
# The agent learns: once its noise has faded, its plans are better on average, and those of random search stay as they
# were. But nobody builds the average plan. When we ran this, the best of 150 guesses was as good as the agent's best,
# and both had been found by episode 20, before the agent had learned anything. And nobody need guess at all: the
# uniform plan, about half of every layer, is a little better than both.
#
# Can you do better? Below is a slider for each layer. MACs and reward follow at once, without any training. The line
# in each bar is the agent's best plan.

# %% tags=["slow"]
best = best_of(plans)
rival = Rival("the agent's best plan", best["widths"], best["value"])
whole = env.macs(env.whole)
width_explorer(layers, env.least, lambda widths: env.macs(widths) / whole, env.value, 0.25, rival)

# %% [markdown]
# ## 6. Does it pay?   (5 min)
#
# Only who had the same epochs can say (`python -m studies.budgets`): 25 for the unpruned network, then 30 more for each
# method, five of them for the gates; the searches, of 400 episodes, train nothing. Networks from random weights have
# all 55. *Greedy* is the cheap classic: lab 4's curves, one layer at a time, and always the step down that costs least.
# One seed so far of today's methods, three of uniform widths.

# %% tags=["slow"]
study = budget_plots.chosen(
    study_plots.recorded_study("budgets"),
    ("attention", "AMC", "random search", "greedy", "LASSO", "ThiNet", "uniform, L1", "uniform, from scratch"),
)
budget_plots.budget_curves(study)

# %% tags=["slow"]
methods = ["attention", "AMC", "random search", "greedy", "LASSO", "ThiNet", "pruning from scratch"]
methods += ["attention's widths, from scratch", "AMC's widths, from scratch"]
earlier = ["uniform, L1", "uniform, from scratch", "AOFP", "slimming"]
width_plots.winners(study_plots.recorded_study("budgets"), [*methods, *earlier], budgets=(0.25, 0.05))

# %% [markdown]
# With a quarter of the MACs all lie within a point, and so do the widths of AMC and of attention from random weights:
# who has trained for so long, on so small a network, need not mind how its channels are shared out. With a twentieth
# they part. The agent has 83.4 %, who guesses 84.0 %, greedy with its sixty evaluations 84.3 %; who shares out evenly
# and keeps the largest filters, 84.8 ± 0.4 %. The reward says which network has lost least *now*; which will learn
# best, it does not know. And attention, at 77.8 %, has left one, two and one channel of the first three layers: its
# numbers say which channels of a layer matter, not what a layer needs. (Its authors cut 53.7 % of ResNet-56's
# parameters, and had 93.04 → 93.58 % on CIFAR-10; at such a budget ours loses nothing, either.)
#
# Do the methods agree on the shape?

# %% tags=["slow"]
width_plots.width_map(study_plots.recorded_study("budgets"), layers, budgets=(0.25, 0.05))

# %% [markdown]
# Hardly. AOFP and slimming (labs 9 and 10) take most from the last layers, attention and soft thresholds from the
# first; only the fourth layer keeps about a half with nearly all of them, at a quarter of the MACs. Yet most of these
# networks are as good as one another. There is no such thing as *the* width of a layer.

# %% [markdown]
# ## 7. What does the next layer need?   (20 min, extra)
#
# ThiNet (lab 6) removes the channels that the next layer misses least, one after the other. He, Zhang and Sun (2017,
# [paper](https://arxiv.org/abs/1707.06168)) put the same question as a LASSO: least squares with a penalty on absolute
# values, which makes many weights exactly 0. Take $N$ samples, each one number of the next layer's outputs: one image,
# one place, one filter. Let $y$ be these numbers, let $x_c$ be what channel $c$ adds to each, and find few weights
# $\beta$ with which they still add up,
# $$ \min_\beta \; \frac{1}{2N} \Big\| y - \sum_c \beta_c x_c \Big\|^2 + \lambda \sum_c |\beta_c| . $$
# Channels with $\beta_c = 0$ go. *Coordinate descent* solves it one channel at a time: with all others held, $r = y -
# \sum_{k \neq c} \beta_k x_k$ is what is left for channel $c$, and with $a = x_c \cdot r / N$ its best weight is
# $$ \beta_c = \frac{\mathrm{sign}(a) \max(|a| - \lambda,\, 0)}{x_c \cdot x_c / N} . $$
# What pulls with less than $\lambda$ gets exactly 0.

# %% [markdown]
# **Exercise.** Write `lasso_step`: a new $\beta$, in which channel `channel` has its best value. `contributions` (N, C)
# has the $x_c$ as its columns, `target` (N,) is $y$, `strength` is $\lambda$. A channel that never speaks,
# $x_c \cdot x_c = 0$, gets 0.
#
# <details><summary>Hint 1: the residual</summary>
# Set <code>beta[channel]</code> to 0 in a copy; then <code>target - contributions @ copy</code> is $r$.
# </details>
# <details><summary>Hint 2: nearly there</summary>
# <code>a.sign() * (a.abs() - strength).clamp_min(0)</code>, divided by the mean square of the column.
# </details>

# %% tags=["exercise"]
from solutions.learned_widths import lasso_step

# %% [markdown]
# We take what the third convolution reads in 400 images, and let your function go around all channels a hundred times
# (by then nothing moves any more). The course's `lasso` goes from layer to layer. Of each it keeps as many channels as
# a keep ratio asks (scikit-learn finds the $\lambda$), and fits the next layer's weights by least squares on what is
# left. What these weights should give comes from the *original* network, what they read from the one that is pruned
# already: so each layer makes up for the errors of the one before.

# %% tags=["slow"]
from solutions.lasso import lasso
from solutions.next_layer import sampled_patches
from solutions.plans import l1_plan
from solutions.surgery import prune
from solutions.thinet import sample_contributions, thinet

groups = prunable_groups(network, example)
images = torch.cat([images for images, _ in list(Loader(train_images, batch_size=100, shuffle=True, seed=0))[:4]])
contributions = sample_contributions(*sampled_patches(network, "features.7", layers["features.3"], images)).double()
contributions = contributions / contributions.square().mean().sqrt()
target = contributions.sum(dim=1)
for strength in (0.5, 1.0, 2.0):
    beta = torch.zeros(contributions.shape[1], dtype=torch.float64)
    for step in range(100 * len(beta)):
        beta = lasso_step(contributions, target, beta, step % len(beta), strength)
    print(f"λ = {strength}: {int((beta != 0).sum())} of {len(beta)} channels stay")

# %% tags=["slow"]
for keep_ratio in (0.5, 0.25):
    options = {"images": images, "keep_ratio": keep_ratio, "locations": 25, "progress": False}
    ways = {
        "LASSO": lasso(network, groups, **options)[0],
        "ThiNet": thinet(network, groups, **options)[0],
        "L1": prune(network, groups, l1_plan(network, groups, keep_ratio)),
    }
    accuracies = ", ".join(f"{name} {evaluate(one, unseen).accuracy:.1%}" for name, one in ways.items())
    print(f"keep ratio {keep_ratio}, no retraining: {accuracies}")

# %% [markdown]
# No retraining, and with a quarter of the channels three images of four are still right, where ThiNet and L1 are at
# chance or nearly. Is that the LASSO? No: when we gave L1's channels the same least squares, they had 76 %, as LASSO's
# have, and LASSO's channels without least squares had 25 %. New weights can do what ThiNet's factor for each channel
# cannot. And after retraining? Look up LASSO and ThiNet in the table of part 6.
#
# ## 8. Widths from random weights   (5 min, extra)
#
# Must a network be trained before we ask which widths it needs? Wang et al. (2019,
# [paper](https://arxiv.org/abs/1909.12579)) put gates on the scales of a network with *random* weights, train only
# these for a few epochs, with a penalty that keeps half of them open, and train the widths that come out. No network is
# trained before: with a quarter of the MACs theirs has 86.5 % here, as many as uniform widths from random weights (86.5
# ± 0.4 %), with a twentieth 80.6 %, where those have 83.4 ± 0.4 %.
#
# ## 9. Questions   (15 min)

# %% [markdown] tags=["question"] points=2 name="question_gates"
# **Question 1.** The gates of PCAS learn on the training images, which the frozen network has seen for 25 epochs, and
# without any penalty. Say what would happen to the ranking if (a) the loss on the training images were next to 0
# already, (b) a channel were doubled: its filter, batch norm and the next layer's weights for it copied, and these
# weights halved in both copies. Describe a method, known to you or invented, that would remove one of the two copies
# and keep the other.
#
# ### BEGIN MARK SCHEME
# *Rubric (2 points).* (a) Half a point: with a loss of next to nothing the gradients are next to nothing and say
# nothing of which channel is needed; the ranking is noise. Gates stay near 0.98, or open further, since the loss still
# falls as logits grow; also right: an optimizer that divides by the gradients' size (ours is Adam) moves them all the
# same, driven by noise. (b) One point: both copies have the same map and, up to chance in their first weights, the same
# gate (half a point), so that they are ranked side by side, both stay or both go, though one of them is enough (half a
# point). The method, half a point: any in which what is left may take over: LASSO (of equal columns one enters), least
# squares before the choice, comparing maps or weights with each other, PCAS in steps with the gates learned anew.
# ThiNet and the oracle step by step count if it is said that the second copy costs more once the first is gone. "L1" is
# wrong: both have the same norm.
# ### END MARK SCHEME

# %% [markdown] tags=["question"] points=2 name="question_control"
# **Question 2.** A paper reports: "Our agent found, after 400 evaluations, a network with 25 % of the MACs that has
# 87.1 % after finetuning; uniform pruning by L1 has 86.4 %." Name three controls or numbers that you would ask for
# before you believe that the *agent* was worth anything, and say for each what you would conclude from which result.
#
# ### BEGIN MARK SCHEME
# *Rubric (2 points).* Two thirds of a point each, for three of: random search with the same number of evaluations and
# the same clipping (as good: the agent learned nothing that luck does not find); the reward of uniform widths beside
# the best reward found (as good: no search was needed); several seeds and their spread (0.7 points may be chance), also
# of the search (other widths as good: the widths hardly matter); the found widths from random weights (as good: the
# weights do not matter; worse: they do; neither speaks for the agent); a cheap classic, such as greedy on sensitivity
# curves; whether uniform has the same MACs, epochs and reconstruction (if not: nothing can be concluded); whether
# choosing was done on test images; the time of the search spent on more training of the uniform network instead. The
# conclusion must fit the control.
# ### END MARK SCHEME
