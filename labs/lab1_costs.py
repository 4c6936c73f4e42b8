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
# # Lab 1: what does a network cost?
#
# "We made it four times smaller." Smaller in what? Numbers to store, multiplications, memory while it runs,
# seconds: these are different budgets, and pruning one of them may leave another as it was. In this lab you
# build the instruments that you will use in all later labs, and learn how far to trust each of them.
#
# **Afterwards you can**
# - count the parameters and multiply-accumulates (MACs) of any network of convolutions and linear layers;
# - say how many bytes it takes to store it, and to run it;
# - time two networks fairly, and explain why a quarter of the MACs is not a quarter of the time;
# - design a network for one budget without spending the other.
#
# **You need** lab 0. No images are needed today: what a network costs does not depend on what it sees.
#
# | part | exercise | minutes | |
# |---|---|---|---|
# | 1 | `count_parameters` | 10 | core |
# | 2 | `conv_macs` | 15 | core |
# | 3 | `count_macs` | 30 | core |
# | 4 | `weight_bytes`, `peak_activation_bytes` | 25 | core |
# | 5 | `median_latency`, and a race | 25 | core |
# | 6 | on a GPU | 5 | extra |
# | 7 | `design_widths`, and the network you hand in | 20 | core |
# | 8 | two questions | 15 | core |
#
# Run a cell with Shift-Enter. After every exercise there is a `check`: it tells you at once what is right,
# and what is probably the matter when something is not. You can run it as often as you like.

# %%
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from course_utils import timing
from course_utils.checking import check
from course_utils.networks import resnet20, vgg16, vgg_mini
from course_utils.onnx_files.export import export_onnx
from course_utils.onnx_files.measuring import measure_onnx
from course_utils.pictures import plots, tables
from course_utils.pictures.cost_explorer import cost_explorer
from course_utils.modes import evaluating

IMAGE = (3, 32, 32)  # channels, height, width

# %% [markdown]
# The network that you will prune in later labs: `vgg_mini`, six convolutions and a linear layer. It has not
# learned anything here, and it does not matter: a weight costs the same before and after training.

# %%
original = vgg_mini()
original

# %% [markdown]
# ## 1. How many numbers has it learned?   (10 min)
#
# Every value that training may change is a **parameter**: the weights and biases of convolutions and linear
# layers, and the scale and shift of a batch norm. The running mean and variance of a batch norm are collected,
# not learned; PyTorch calls such tensors *buffers*. For a convolution of $I$ input and $O$ output channels
# with kernels of $k_H \times k_W$,
# $$ \text{parameters} = O \cdot I \cdot k_H \cdot k_W \;+\; O \text{ (if it has a bias)} . $$
# Luckily you need no formula: the tensors know how large they are.

# %% [markdown]
# **Exercise.** Write `count_parameters`.
#
# <details><summary>Hint 1: where do I start?</summary>
# A network hands out its parameters: <code>network.parameters()</code>. What would
# <code>network.state_dict()</code> hand out that you do not want?
# </details>
# <details><summary>Hint 2: how large is a tensor?</summary>
# <code>len</code> is only its first axis. <code>.shape</code> holds all of them, and <code>.numel()</code> is their
# product.
# </details>
# <details><summary>Hint 3: and shared tensors?</summary>
# <code>network.parameters()</code> gives each tensor once, wherever it is used. If you walk through the layers
# yourself, you have to remember what you have seen.
# </details>

# %% tags=["exercise"]
from solutions.costs import count_parameters

# %% [markdown]
# A convolution and a batch norm side by side. How many values does each of them *hold*, and how many has it
# learned?

# %%
for layer in (original.features[0], original.features[1]):
    held = sum(tensor.numel() for tensor in layer.state_dict().values())
    print(f"{layer}\n    holds {held} values, {count_parameters(layer)} of them learned\n")

# %% [markdown]
# ## 2. How much work is a convolution?   (15 min)
#
# The unit of work is the **multiply-accumulate** (MAC): one multiplication, and its addition to a sum. Every
# value of the output is such a sum, over the window of the filter and over the channels that the filter sees.
# For an output of $H \times W$ pixels,
# $$ \text{MACs} = \underbrace{H \cdot W \cdot O}_{\text{values of the output}} \cdot
#    \underbrace{\tfrac{I}{g} \cdot k_H \cdot k_W}_{\text{weights of one filter}} . $$
# With $g$ `groups`, the input channels are dealt out to $g$ groups of filters, and a filter sees only its own
# group's. $g=1$ is the ordinary convolution; $g=I$ is called *depthwise*. Stride and padding are not in the
# formula, because they are already in $H$ and $W$: it is the size of the **output** that counts. The bias is
# not counted.

# %% [markdown]
# **Exercise.** Write `conv_macs`.
#
# <details><summary>Hint 1: where do I start?</summary>
# <code>print(nn.Conv2d(6, 8, (3, 5), groups=2).__dict__)</code> shows what a layer knows of itself.
# </details>
# <details><summary>Hint 2: which attributes?</summary>
# <code>out_channels</code>, <code>in_channels</code>, <code>groups</code>, and <code>kernel_size</code>, which is a
# pair.
# </details>
# <details><summary>Hint 3: a shortcut</summary>
# What is the shape of <code>conv.weight</code> when there are groups? Its number of elements is most of the
# formula.
# </details>

# %% tags=["exercise"]
from solutions.costs import conv_macs

# %% [markdown]
# Where in the network does the work sit, and where the parameters? We send one image through, layer by layer,
# and look at each output.

# %%
parameters, macs, uses = {}, {}, {}
original.eval()
maps = torch.zeros(1, *IMAGE)
for position, layer in enumerate(original.features):
    maps = layer(maps)
    if isinstance(layer, nn.Conv2d):
        height, width = maps.shape[2:]
        name = f"conv {position}: {layer.in_channels}→{layer.out_channels}, {height}×{width}"
        parameters[name], macs[name] = count_parameters(layer), conv_macs(layer, (height, width)) / 1e6
        uses[name] = 1e6 * macs[name] / parameters[name]
plots.cost_bars({"parameters": parameters, "million MACs": macs, "MACs for each parameter": uses})

# %% [markdown]
# Three pictures of one network. Half of the parameters sit in the last convolution, but not half of the work: each
# pooling quarters the number of pixels, so a weight is used for 1,024 pixels in the first layers and for 64 in the
# last ones. **Parameters sit late; the early ones cost most MACs each.** Where would you prune for a small file, and
# where for little work?

# %% [markdown]
# ## 3. The work of a whole network   (30 min)
#
# Layer by layer works for a chain. Most networks are no chains, and their layers do not tell how large their
# outputs will be. But they can be *watched*: a **forward hook** is a function that PyTorch calls whenever a
# layer has run, with the layer, the tuple of its inputs, and its output.


# %%
def tell(layer, inputs, output):
    print(f"{type(layer).__name__:9} {tuple(inputs[0].shape)} → {tuple(output.shape)}")


first_layers = original.features[:4]
handles = [layer.register_forward_hook(tell) for layer in first_layers]
with evaluating(first_layers):
    first_layers(torch.zeros(1, *IMAGE))
for handle in handles:
    handle.remove()

# %% [markdown]
# So: hooks on, one image through, hooks off, sum up. A linear layer takes one MAC for each of its weights
# (more exactly: `in_features` for every value of its output). And a *transposed* convolution, which makes images
# larger (in the decoder of an autoencoder, say), is a convolution run backwards: it multiplies every pixel of its
# **input** with the whole kernel, so it takes $H \cdot W \cdot I \cdot \tfrac{O}{g} \cdot k_H \cdot k_W$ with the
# height and width of the input.
#
# A good instrument leaves no trace on what it measures:
# - **hooks stay** until they are removed, and would slow down every later run (remove yours, leave those of others);
# - **a batch norm in training mode learns** from whatever passes through, also from an image of zeros. The
#   context manager `evaluating(network)` is given: inside it the network is in evaluation mode and no gradients
#   are recorded; afterwards every module is in the mode in which it was found;
# - **errors happen** (an image of the wrong size). What stands in `finally` runs in any case;
# - **there are layers that it does not know.** They must not cost 0 without a word: where a layer of another kind has a
#   parameter of two axes or more, whatever its name (a Conv1d, an LSTM, an attention), raise a `ValueError`.

# %% [markdown]
# **Exercise.** Write `count_macs`, with your `conv_macs`.
#
# <details><summary>Hint 1: where do I start?</summary>
# An empty list for the results. A function <code>count(layer, inputs, output)</code> inside yours appends to it;
# <code>network.modules()</code> gives every layer at any depth, to hang the hook on.
# </details>
# <details><summary>Hint 2: which layers, which image?</summary>
# <code>isinstance(layer, nn.Conv2d)</code>, <code>nn.ConvTranspose2d</code>, <code>nn.Linear</code>. All others cost
# nothing if they have no weights, or only vectors of them: a layer's own are
# <code>layer.parameters(recurse=False)</code>, and a tensor has <code>.ndim</code> axes. An image is a batch of one:
# shape (1, C, H, W); its values do not matter.
# </details>
# <details><summary>Hint 3: nearly there</summary>
# Keep the handles that <code>register_forward_hook</code> returns. Then <code>try:</code> the pass under
# <code>evaluating</code>, <code>finally:</code> remove each of them. The size of a convolution's output are the last
# two entries of <code>output.shape</code>; a transposed one's input is <code>inputs[0]</code>, and its weight has
# I · O / groups · kH · kW elements. <code>tensor.new_zeros(…)</code> makes zeros of the same dtype and on the same
# device as a tensor, for instance as the network's first parameter.
# </details>

# %% tags=["exercise", "composite"]
from solutions.costs import count_macs

# %% [markdown]
# **MACs or FLOPs?** A floating point operation (FLOP) is one multiplication *or* one addition, so a MAC is two
# FLOPs. Many papers count MACs and write FLOPs: when a figure is off by two, this is why. PyTorch's own counter
# is exact about it, and a good second opinion:

# %%
with FlopCounterMode(display=False) as counter, torch.no_grad():
    original(torch.zeros(1, *IMAGE))
flops, macs = counter.get_total_flops(), count_macs(original, IMAGE)
print(f"PyTorch counts {flops:,} FLOPs, we count {macs:,} MACs: the ratio is {flops / macs:g}")

# %% [markdown]
# And a third opinion. To run a network elsewhere, or to hand it in, you export it to an **ONNX** file: a graph
# of operators with their weights. `measure_onnx` counts in that file, and believes nothing else.

# %%
with torch.no_grad():
    original.train()(torch.randn(64, *IMAGE))  # one batch, so that the batch norms have met something
original.eval()
export_onnx(original, "lab1_original.onnx")
found = measure_onnx("lab1_original.onnx")
counted = {"MACs": (macs, found.macs), "parameters": (count_parameters(original), found.parameters)}
tables.Table(
    ("", "counted here", "in the ONNX file", "difference"),
    [(what, f"{here:,}", f"{there:,}", f"{there - here:,}") for what, (here, there) in counted.items()],
)

# %% [markdown]
# The MACs agree to the last one. The file holds 448 parameters fewer, as many as there are filters in all
# (32 + 32 + 64 + 64 + 128 + 128): in evaluation mode a batch norm only scales and shifts each channel, so the export
# *folds* it into the convolution before it. The scale goes into the weights, and of two learned values a
# channel one is left, as a bias. Same outputs, fewer operators, less time.
#
# Two networks of the literature beside ours, for your sense of proportion:

# %%
famous = {"vgg_mini": original, "ResNet-20": resnet20(), "VGG-16": vgg16()}
costs = {name: (count_parameters(network), count_macs(network, IMAGE)) for name, network in famous.items()}
tables.Table(
    ("", "parameters", "MACs", "MACs for each parameter"),
    [(name, f"{values:,}", f"{work:,}", f"{work / values:.0f}") for name, (values, work) in costs.items()],
)

# %% [markdown]
# VGG-16 has 54 times the parameters of ResNet-20, and less than 8 times its MACs. "Which one is larger" has no
# single answer.

# %% [markdown]
# ## 4. How much memory?   (25 min)
#
# Memory is needed twice: for the **weights**, in the file and while the network runs; and for the
# **activations**, the feature maps that one layer hands to the next.
#
# Weights are usually stored as `float32`, 32 bits each. They need not be: 8 bits are common on phones, and 4,
# 2 and even 1 bit have been made to work. With $b$ bits,
# $$ \text{bytes} = \left\lceil \frac{b \cdot \text{parameters}}{8} \right\rceil . $$

# %% [markdown]
# **Exercise.** Write `weight_bytes`, with your `count_parameters`.
#
# <details><summary>Hint 1: where do I start?</summary>
# How many bits are there in all? Eight of them are a byte.
# </details>
# <details><summary>Hint 2: rounding up</summary>
# <code>math.ceil</code> (import <code>math</code> in your function or above), or whole numbers all the way:
# <code>//</code> rounds down, and minus twice turns down into up. Round once, at the end.
# </details>

# %% tags=["exercise", "composite"]
from solutions.costs import weight_bytes

# %%
file_bytes = 1e6 * found.megabytes
print(f"the ONNX file has {file_bytes:,.0f} bytes, the weights alone take {weight_bytes(original, 32):,}")
rows = []
for bits in (32, 16, 8, 4, 1):
    rows.append((f"{bits} bits", *(f"{weight_bytes(network, bits) / 1e3:,.0f}" for network in famous.values())))
tables.Table(("KB", *famous), rows)

# %% [markdown]
# Activations come and go. While a layer runs, its input and its output must be there at the same time; what
# came before is no longer needed (in a chain, and when nobody wants gradients). The layer that needs most
# decides how much memory the device must have:
# $$ \text{peak} = \max_{\text{leaf layers } \ell} \bigl( \text{bytes of } \ell\text{'s input} + \text{bytes of its
# output} \bigr) . $$ A *leaf* is a module without modules inside. A `Sequential` is none: its input is long gone when
# its output is ready. (In a residual network the shortcut must be kept as well; we leave that out. A ReLU that works in
# place counts like any other: input plus output.)

# %% [markdown]
# **Exercise.** Write `peak_activation_bytes`. It is the twin of `count_macs`: same hooks, same care.
#
# <details><summary>Hint 1: where do I start?</summary>
# With a copy of your <code>count_macs</code>. What changes is which modules get a hook, what it appends, and what
# is done with the list at the end.
# </details>
# <details><summary>Hint 2: is it a leaf?</summary>
# <code>module.children()</code> gives the modules right inside a module; for a leaf the list of them is empty.
# </details>
# <details><summary>Hint 3: bytes</summary>
# A tensor has <code>.numel()</code> values of <code>.element_size()</code> bytes, together <code>.nbytes</code>.
# <code>inputs</code> is a tuple of tensors. Take the image's dtype from the network's first parameter.
# </details>

# %% tags=["exercise"]
from solutions.costs import peak_activation_bytes

# %% [markdown]
# Weights are there once, activations once *for every image of the batch*. In thousands of bytes (KB):

# %%
rows = []
for name, network in famous.items():
    weights, peak = weight_bytes(network, 32) / 1e3, peak_activation_bytes(network, IMAGE) / 1e3
    rows.append((name, f"{weights:,.0f}", f"{peak:,.0f}", f"{64 * peak:,.0f}"))
tables.Table(("KB", "weights", "activations, batch 1", "activations, batch 64"), rows)

# %% [markdown]
# Which layers need most? Another hook, another picture: the early ones, where the images are large. (Batch norm and
# ReLU are left out here: each reads and writes as much as its convolution writes.)

# %%
activations = {}


def note(layer, inputs, output):
    if isinstance(layer, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d, nn.Linear)):
        shape = "×".join(str(size) for size in output.shape[1:])
        activations[f"{len(activations)} {type(layer).__name__} → {shape}"] = (inputs[0].nbytes + output.nbytes) / 1e3


handles = [layer.register_forward_hook(note) for layer in original.modules()]
with torch.no_grad():
    original(torch.zeros(1, *IMAGE))
for handle in handles:
    handle.remove()
plots.cost_bars({"input + output, KB": activations})

# %% [markdown]
# ## 5. How many seconds?   (25 min)
#
# MACs are the same everywhere, seconds are not: they depend on the machine, on the software, and on what else
# the machine is doing. Four rules for a number that is worth something:
#
# 1. **Warm up.** The first runs allocate memory and choose algorithms. Do not time them.
# 2. **Repeat, and take the median.** Now and then something else gets in the way, and only ever makes a run
#    slower. A mean is drawn up by that; the median does not care.
# 3. **In turn.** Time A, B, A, B, … and not all of A, then all of B: a machine that gets hot slows down both.
# 4. **As a ratio**, with its spread, and with threads and batch size beside it. "It takes 2.1 ms" says little
#    about pruning. (`torch.utils.benchmark` follows the same rules.)

# %% [markdown]
# **Exercise.** Write `median_latency`. The clock is an argument, so that it can be any clock; the check brings
# one that always tells the same times. Each timed run has two looks at the clock of its own, the warm-up none.
#
# <details><summary>Hint 1: where do I start?</summary>
# Two loops, one after the other. The first only calls <code>run()</code>.
# </details>
# <details><summary>Hint 2: how long did it take?</summary>
# Ask the clock before and after each run: the difference is the time. Put it on a list.
# </details>
# <details><summary>Hint 3: the median</summary>
# <code>statistics.median</code> does what is asked for. <code>torch.median</code> takes the lower of the middle two.
# </details>

# %% tags=["exercise"]
from solutions.costs import median_latency

# %% [markdown]
# **The race.** `vgg_mini` against a network of half its widths, in PyTorch and in ONNX Runtime, with one image
# at a time and with 64. Before you run it: with half the channels on both sides of nearly every layer, what is
# the ratio of MACs? What do you expect for the times?

# %% tags=["slow"]
half = vgg_mini(widths=(16, 16, 32, 32, 64, 64))
export_onnx(half, "lab1_half.onnx")
networks, files = (original, half), ("lab1_original.onnx", "lab1_half.onnx")


def latency(run):
    return median_latency(run, time.perf_counter, warmup=1, repeats=3)


times = {}
for batch in (1, 64):
    images = torch.randn(batch, *IMAGE)
    in_pytorch = [timing.torch_run(network, images) for network in networks]
    in_onnx = [timing.onnx_run(file, images) for file in files]
    times[f"PyTorch, batch {batch}"] = timing.in_turn(in_pytorch, latency)
    times[f"ONNX Runtime, batch {batch}"] = timing.in_turn(in_onnx, latency)
    if torch.cuda.is_available():
        on_gpu = [timing.torch_run(network, images, "cuda") for network in networks]
        times[f"GPU, batch {batch}"] = timing.in_turn(on_gpu, latency)
timing.table(times, ("original", "half the widths"))

# %% tags=["slow"]
macs_ratio = count_macs(half, IMAGE) / count_macs(original, IMAGE)
ratios = {setting: timing.ratio(rounds) for setting, rounds in times.items()}
plots.time_ratios(ratios, macs_ratio, title="Half the widths: time in relation to the original")

# %% [markdown]
# Each dot is a ratio of times, the bar through it holds the middle half of the rounds. If MACs were all there is, every
# dot would sit on the red line. Which settings come close, and which do not? How does the time *for one image*
# differ between batch 1 and batch 64? You will need this for question 1.
#
# Run the two cells again. The milliseconds move; how steady are the ratios?

# %% [markdown]
# ## 6. Extra: on a GPU   (5 min)
#
# A GPU works on its own. PyTorch hands over the work and goes on at once, so a careless clock times how long it
# takes to *ask*. `timing.torch_run` therefore waits with `torch.cuda.synchronize()`. Here is the difference, and
# what the GPU's memory held at most, working memory of its convolutions included. (Without a GPU the cell says so.)

# %%
if torch.cuda.is_available():
    large, images = vgg16().eval().cuda(), torch.randn(64, *IMAGE).cuda()

    def run_and_wait():
        large(images)
        torch.cuda.synchronize()

    with torch.inference_mode():
        asked = latency(lambda: large(images))
        torch.cuda.reset_peak_memory_stats()
        waited = latency(run_and_wait)
    counted = weight_bytes(large, 32) + 64 * peak_activation_bytes(large, IMAGE)
    print(f"without waiting {1000 * asked:.2f} ms, with waiting {1000 * waited:.2f} ms")
    print(f"counted {counted / 1e6:.0f} MB, held at most {torch.cuda.max_memory_allocated() / 1e6:.0f} MB")
else:
    print("There is no GPU here: nothing to do.")

# %% [markdown]
# ## 7. Two budgets   (20 min)
#
# Your turn to be the designer. Parameters and MACs are **different budgets**: find widths for `vgg_mini` with
#
# - at most **half of the MACs** of `vgg_mini()`,
# - but at least **as many parameters**.
#
# `vgg_mini(widths=…)` takes 2 to 9 widths, one a convolution; after every second one the image is halved (at most
# four times). Play first: the red mark is the original.

# %% tags=["slow"]
cost_explorer(
    lambda widths: vgg_mini(widths=widths),
    {
        "parameters": count_parameters,
        "MACs": lambda network: count_macs(network, IMAGE),
        "bytes at 32 bits": lambda network: weight_bytes(network, 32),
        "peak activations, bytes": lambda network: peak_activation_bytes(network, IMAGE),
    },
)

# %% [markdown]
# **Exercise.** Write `design_widths`: it returns your tuple.
#
# <details><summary>Hint 1: where do I start?</summary>
# With the picture of part 2. Which layers cost many MACs and hold few parameters? They are the ones to narrow.
# </details>
# <details><summary>Hint 2: where do the parameters go?</summary>
# A weight is used once for every pixel. How many pixels are left in the fifth convolution, and how many would
# there be in a seventh?
# </details>
# <details><summary>Hint 3: nearly there</summary>
# Halve all widths, and you are far below both limits. Then add convolutions at the end, where a MAC buys most
# parameters, and widen them until there are enough.
# </details>

# %% tags=["exercise"]
from solutions.costs import design_widths

# %% [markdown]
# Your network as a file. **Hand in `lab1_design.onnx` together with this notebook.**

# %%
design = vgg_mini(widths=design_widths())
export_onnx(design, "lab1_design.onnx")
table = tables.comparison(found, measure_onnx("lab1_design.onnx"))
table.header = ("", "original", "your design", "ratio")
table

# %% [markdown]
# **The file you hand in.** This check shows the very numbers and points that grading will give.

# %% tags=["artifact"]
check("lab1_design_onnx")

# %% [markdown]
# Is it faster, too? You have the instruments.

# %%
images = torch.randn(64, *IMAGE)
runs = [timing.torch_run(network, images) for network in (original, design)]
timing.table({"PyTorch, batch 64": timing.in_turn(runs, latency)}, ("original", "your design"))

# %% [markdown]
# ## 8. Questions   (15 min)

# %% [markdown] tags=["question"] points=2 name="question_time"
# **Question 1.** The network of half the widths has about a quarter of the MACs. Its time was not a quarter in
# every setting. Name the setting where it was furthest from it in your race, and give two reasons why fewer MACs
# do not bring the same share of time, each with an observation (from your tables or pictures) that speaks for it.
#
# ### BEGIN MARK SCHEME
# *Rubric (2 points).* 1 point for each reason that is right and tied to an observation, such as: a fixed cost for
# every layer and call (starting operators, threads, a GPU kernel), visible at batch 1, where the time for one image
# is much longer than at batch 64; work that is no MAC (batch norm, ReLU, pooling) and moving activations, which
# shrink with the widths, not with their square (visible: ONNX Runtime, which folds batch norms, or the activation
# picture against the MACs picture); narrow layers use the processor's wide units or many cores badly; the first
# layer only halves (its three input channels stay). A reason without an observation earns half a point.
# ### END MARK SCHEME

# %% [markdown] tags=["question"] points=2 name="question_int8"
# **Question 2.** Suppose weights *and* activations of `vgg_mini` are stored as 8-bit integers in place of 32-bit
# floating point numbers. Which of the five costs of this lab (parameters, MACs, weight bytes, peak activation bytes,
# seconds) change, by what factor, and which can you not tell without measuring? Why?
#
# ### BEGIN MARK SCHEME
# *Rubric (2 points).* 1 point: parameters and MACs stay (the same values, the same sums, only of cheaper numbers);
# weight bytes and peak activation bytes fall to a quarter (a few scales and zero points more; the activations only
# because they are 8-bit too). 1 point: the time must be measured: it depends on whether processor and runtime have
# 8-bit operators, on whether a layer waits for memory or for arithmetic, and on the conversions in between; it may
# even rise. Accuracy as a further cost that has to be measured is a good remark, but not asked for.
# ### END MARK SCHEME
