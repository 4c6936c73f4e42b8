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
# # The challenge: accurate, small, and measured
#
# You know how to rank channels, cut them out and retrain; quantising is part 3 here. Now put it together: the network
# with the **lowest score** wins, among those that are accurate enough. There is no right answer, and there are no
# checks; there is a leaderboard, and at the end you tell the others in a few slides what you did, and what did not
# work.
#
# | division (`dataset=`) | accuracy asked for | what it takes |
# |---|---|---|
# | `"minicifar"` | 84 % | a laptop is enough: **everybody takes part** |
# | `"cifar10"` | 90 % | a GPU helps |
# | `"cifar100"` | 80 % | a GPU: the threshold of the MicroNet challenge (2019), out of reach of a laptop |
#
# **Rules**
# - An entry is one ONNX file: images (N, 3, 32, 32), float32, normalised as the course's loaders do, → logits.
# - Everything is *measured*, by running the file and by reading what is in it. What you say of it is not believed, and
#   what disagrees is shown.
# - Every image is classified by itself; a network that has the *test* images by heart is refused: it fails once they
#   are mirrored or moved by a few pixels, or on the validation images. Train with `augment=True`, as below.
# - Train on the training images only, of MiniCIFAR on its own 4000 and without weights that saw others (CIFAR: also
#   on the validation images, if you say so). Choose on the *validation* images.
# - Any network, any method; say which one, and from which seeds.
#
# **You need** lab 3; labs 4 to 8 give you more to choose from.

# %%
from pathlib import Path

import torch

from course_utils import challenge
from course_utils.baseline import baseline
from course_utils.challenge.report import board_entries, pareto, team_entries
from course_utils.challenge.score import score_onnx
from course_utils.checkpoints import load_network, save_network
from course_utils.onnx_files.export import export_onnx
from course_utils.pictures import plots, tables
from course_utils.training import evaluate, train
from minicifar import Loader, MiniCIFAR
from solutions.iterative import l1_ranking, plan_step
from solutions.prunable import prunable_groups
from solutions.surgery import prune

TEAM = "the pruners"  # your team's name

train_images, val_images = MiniCIFAR("train"), MiniCIFAR("val")
print(train_images.source.description)

# %% [markdown]
# ## 1. The score
#
# Two terms, what is stored and what is computed, each in fixed units (after the MicroNet challenge of 2019):
# $$ \text{score} = \sum_{\text{tensors}} \frac{\text{nonzero} \cdot \text{bits}}{32 \cdot 5.6 \cdot 10^6}
#  + \sum_{\text{operators}} \frac{\text{MACs} \cdot \max(q_w, q_a)}{32 \cdot 2.8 \cdot 10^8} $$
# - **nonzero**: zeros cost nothing, so masks (lab 2) count here, but not in the second term.
# - **bits** of a weight: those of its type (float32: 32, int8: 8), or $\lceil \log_2(\text{different values}) \rceil$
#   where a tensor has few different ones (BinaryConnect: 1). The values themselves, scales and zero points, are
#   counted too.
# - **MACs** of convolutions and linear layers; and one for each number that other products, sums, comparisons and
#   concatenations of two tensors give (biases, shortcuts and batch norms right behind a convolution are free).
# - **$q_w$, $q_a$**: the bits of an operator's weights and of the activations that reach it. The *larger* one counts:
#   it takes both to make a convolution cheaper.
#
# A small example, the unpruned network. First the tensors and operators of two layers, then the score by hand:

# %%
network = baseline(train_images)
export_onnx(network, "challenge_original.onnx", images=train_images)
found = score_onnx("challenge_original.onnx")
rows = [(row.name, f"{row.nonzero:,}", f"{row.bits}", "") for row in found.tensors[:4]]
rows += [(row.name, "", f"max({row.q_w}, {row.q_a})", f"{row.macs:,}") for row in found.operators[:2]]
tables.Table(("tensor or operator", "not zero", "bits", "MACs"), rows)

# %%
stored = sum(row.nonzero * row.bits for row in found.tensors) / 32 / 5.6e6
computed = sum(row.macs * max(row.q_w, row.q_a) for row in found.operators) / 32 / 2.8e8
print(f"stored {stored:.4f} + computed {computed:.4f} = {stored + computed:.4f}; score_onnx says {found.score:.4f}")

# %% [markdown]
# Which of the two terms is larger here? What would you gain by int8 weights alone? By int8 weights *and* activations?
# By half of the channels in every layer? Guess, before you go on.
#
# ## 2. A first entry, in three cells
#
# Prune:

# %%
groups = [group for group in prunable_groups(network, torch.zeros(2, 3, 32, 32)) if group.free]
sizes = {group.name: group.channels for group in groups}
pruned = prune(network, groups, plan_step(groups, l1_ranking(network, groups), sizes, keep_ratio=0.5))
unseen = Loader(val_images, batch_size=400)
print(f"validation images: {evaluate(network, unseen).accuracy:.1%}, pruned {evaluate(pruned, unseen).accuracy:.1%}")

# %% [markdown]
# Retrain. Network and history are saved: your slides will need them.

# %% tags=["train"]
SEED = 0
loader = Loader(train_images, batch_size=64, shuffle=True, augment=True, seed=SEED)
history = train(pruned, loader, epochs=12, test=unseen, lr=0.05)
save_network(pruned, "challenge_pruned.safetensors", history=history, images=train_images)

# %% [markdown]
# Submit: the network is exported, measured on the test and validation images, and written to a small folder.
# (`replace=True`: running this cell again puts the new network in the old one's place. Give another `name` to keep
# both.)

# %%
pruned = load_network("challenge_pruned.safetensors")
challenge.submit(
    pruned,
    team=TEAM,
    name="half by L1",
    dataset="minicifar",
    method="half of the channels by L1, 12 epochs",
    seeds=[0],
    replace=True,
)

# %% [markdown]
# ## 3. Fewer bits
#
# `quantize_static` writes weights and activations as int8; how large activations get it learns from *training* images.
# `quantize_dynamic` finds that out anew for every batch, and `quantize_weights(path, bits=…)` leaves the activations
# alone (which term of the score does that help?). All three read an ONNX file and write another.

# %%
export_onnx(pruned, "challenge_pruned.onnx", images=train_images)
challenge.quantize_static("challenge_pruned.onnx", train_images, "challenge_int8.onnx")
challenge.submit(
    "challenge_int8.onnx",
    team=TEAM,
    name="half by L1, int8",
    dataset="minicifar",
    method="half of the channels by L1, 12 epochs, then static int8",
    seeds=[0],
    replace=True,
)

# %% [markdown]
# Weights of few bits without any training for it lose a lot; where does it break?

# %%
lines = []
for bits in (8, 6, 4, 3, 2, 1):
    path = challenge.quantize_weights("challenge_pruned.onnx", bits, "challenge_bits.onnx")
    seen = challenge.measure(path, val_images, val_images)
    lines.append((f"{bits} bits", f"{seen['weight_bits']:.1f}", f"{seen['score']:.4f}", f"{seen['accuracy']:.1%}"))
tables.Table(("weights of at most", "mean bits", "score", "validation"), lines)

# %% [markdown]
# BinaryConnect (Courbariaux et al. 2015, [arXiv 1511.00363](https://arxiv.org/abs/1511.00363)) *trains* with weights
# of one bit, and keeps real ones behind them that the gradients move. `train(…, after_step=…)` is a place for such
# things.
#
# ## 4. Where do we stand?
#
# Your instructor hands out `leaderboard.json` from time to time: put it into the folder `challenge/`, and your
# entries are shown among all others.

# %%
pareto(team_entries("challenge"), board_entries("challenge"), images=train_images)

# %% [markdown]
# An entry is worth something if no other is both more accurate and cheaper: then it lies on the *Pareto front*. You
# need not be the best to be there.
#
# ## 5. Advice
#
# - **Seeds.** Two trainings that differ in the seed only differ by about half a point. Is your new idea better than
#   that? Train three seeds, look at mean and spread, and put all of them in `seeds=`.
# - **Validation images.** Whoever tries fifty variants and hands in the one that is best on the *test* images has
#   trained on them, a little. Nobody can prevent it: the test images are public. So the leaderboard shows the
#   accuracy on the validation images beside it, and a gap is seen by everybody. Choose on validation images, and look
#   at the test images once.
# - **Threshold.** A network at exactly 84 % on the validation images will miss it on the test images every second time.
# - **What to try first.** More channels gone where it costs little (lab 4: sensitivity); another network
#   (`resnet20(classes=4)`, `mobile_mini`); longer retraining; a lower resolution in the first layers; then int8, then
#   fewer bits.
# - **A trick that needs no honesty** is that others can repeat it. `challenge.submit(…, code="train.py")` puts your
#   script into the entry; called as `python train.py SEED`, it must write `network.onnx` into the folder where it
#   runs. It runs alone in an empty folder, on a processor, without network, within an hour, and can import
#   `minicifar`, `course_utils` and `solutions`. The instructor runs the best entries again.
#
# ## 6. Hand in
#
# The folders in `challenge/` are your entries: hand in all those that you want to see on the board (zipped, or as your
# instructor says). Later ones come in addition; with the same `name` they replace the earlier one.

# %%
for entry in team_entries("challenge"):
    size = sum(path.stat().st_size for path in Path(entry["path"]).parent.iterdir())
    print(f"{Path(entry['path']).parent}: {entry['accuracy']:.1%}, score {entry['score']:.4f}, {size / 1e6:.2f} MB")

# %% [markdown]
# ## 7. Tell the others
#
# `presentation.ipynb` beside this notebook holds a talk of five minutes: your curves, your table, your entries among
# all others are filled in from the files made here; the words are yours. When it is done,
# ```
# python -m course_utils.pictures.slides presentation.ipynb
# ```
# writes `presentation.slides.html`: open it in a browser, move with the arrow keys (f: full screen). It needs no
# network.
