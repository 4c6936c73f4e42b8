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
# # Lab 0: the data and a baseline
#
# Before anything can be pruned there has to be a network worth pruning, and images to judge it by. In this lab
# you meet MiniCIFAR, write the small functions that stand between a file of bytes and a training step, and train
# the network that all later labs will cut into.
#
# **Afterwards you can**
# - choose a subset of a data set so that anybody can choose the very same one again;
# - say what training, validation and test images are for, and what happens when they overlap;
# - normalise and augment images, and write the five lines at the heart of every training loop;
# - report an accuracy, and say how much of it is luck.
#
# **You need** a little Python and PyTorch: tensors, indexing, `nn.Module`. Nothing of pruning yet.
#
# | part | exercise | minutes | |
# |---|---|---|---|
# | 1 | `subset_indices` | 20 | core |
# | 2 | three splits | 10 | core |
# | 3 | `normalize` | 15 | core |
# | 4 | `crop_and_flip` | 25 | core |
# | 5 | `training_step` | 20 | core |
# | 6 | `accuracy` | 10 | core |
# | 7 | the baseline, and the network you hand in | 15 | core |
# | 8 | where the network is wrong | 10 | extra |
# | 9 | two questions | 15 | core |
#
# Run a cell with Shift-Enter. After every exercise there is a `check`: it tells you at once what is right,
# and what is probably the matter when something is not. You can run it as often as you like.
#
# Besides its numbers, **every function of these labs promises** what its callers count on, unless its docstring says
# otherwise: what it is given stays as it was (values, gradients, modes), and so do the random numbers of the whole
# program; what it returns lies in memory of its own, and is the same for the same arguments. And it takes tensors
# as training leaves them, which may require grad or lie in another order in memory. The check "what a caller of …
# needs" asks for this, and says what was forgotten.

# %%
import math
from collections.abc import Sequence
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.checking import check
from course_utils.checkpoints import load_history, load_network, save_network
from course_utils.networks import vgg_mini
from course_utils.onnx_files.export import export_onnx
from course_utils.pictures import plots
from course_utils.pictures.augmentation_explorer import augmentation_explorer
from course_utils.training import evaluate, train
from minicifar import CIFAR10, MEAN, STD, Loader, MiniCIFAR

# %% [markdown]
# CIFAR-10 is 60,000 colour photographs of 32 × 32 pixels, in ten classes (Krizhevsky 2009). Training on all of
# them takes a laptop half an hour and more, and a course on pruning trains *often*: before pruning, after
# pruning, and once more from scratch to see whether the pruning was worth it.
#
# **MiniCIFAR** is small enough to ask such a question ten times in an afternoon: the first four classes, a fifth
# of their training images, a network trained in about a minute. It is still hard enough that a network which is
# pruned too far gets visibly worse, and that is all we need. (A *full* CIFAR-10 comes back in the challenge.)

# %%
train_images, val_images, test_images = MiniCIFAR("train"), MiniCIFAR("val"), MiniCIFAR("test")
for images in (train_images, val_images, test_images):
    print(f"{images.split:5}  images {tuple(images.images.shape)} {images.images.dtype}, labels {images.labels.dtype}")
print(train_images.source.description)

# %% [markdown]
# A picture is three layers of bytes: red, green and blue, each 32 × 32 whole numbers from 0 (dark) to 255.
# PyTorch wants the layers first: `(N, 3, 32, 32)`. Look at them before you do anything else. It is a habit that
# finds more mistakes than any debugger.

# %% tags=["slow"]
plots.image_grid(train_images)

# %% [markdown]
# ## 1. Which images?   (20 min)
#
# "We used 1000 images per class" is not enough to repeat an experiment: *which* 1000? MiniCIFAR's answer fits in
# one line. A class has $S = 5000$ training images, numbered $0 \ldots S-1$ in the source's own order. Draw once
#
# $$ p_1, \ldots, p_{1000} \;=\; \texttt{RandomState(42).choice(5000, 1000, replace=False)} $$
#
# and take the images with these numbers from *every* class. `RandomState(42)` is a generator of numpy's own: it
# starts from the seed 42, and gives the same numbers on every machine, today and in ten years. (numpy freezes this
# old generator for exactly that purpose. The newer `default_rng` is better, but may change between versions.)
#
# One thing to think of: positions count *within a class*. The source may be ordered by class, or be all mixed up:
#
# ```
# index in the source:    0  1  2  3  4  5  6  7 …
# label:                  2  0  1  1  0  2  2  1 …
# position in its class:  0  0  0  1  1  1  2  2 …      so position 1 of class 0 is index 4
# ```

# %% [markdown]
# **Exercise.** Write `subset_indices`.
#
# <details><summary>Hint 1: where do I start?</summary>
# How many images does one class have? Count the labels that are 0. Then draw the positions: <em>once</em>, not
# once for every class.
# </details>
# <details><summary>Hint 2: from a position to an index</summary>
# <code>torch.nonzero(labels == 3).flatten()</code> lists the indices of all images of class 3, in their order.
# Position p of class 3 is entry p of that list, and a list of positions picks many entries at once.
# </details>
# <details><summary>Hint 3: nearly there</summary>
# Make that list for each class from 0 to n_classes - 1, pick the drawn positions from each, and put the pieces
# one behind the other with <code>torch.cat</code>. Do not sort. <code>choice</code> itself raises the ValueError.
# </details>

# %% tags=["exercise"]
from solutions.images import subset_indices

# %% [markdown]
# The proof of the pudding: your indices, used on the whole of CIFAR-10, must give MiniCIFAR, image by image. (If
# your source is another copy of CIFAR-10 than a friend's, you still choose the same photographs.)

# %% tags=["slow"]
everything = CIFAR10("trainval")
mine = everything.images[subset_indices(everything.labels, n_classes=4, per_class=1000, seed=42)]
print(
    f"{len(mine)} of {len(everything)} images chosen; the same as MiniCIFAR's: {torch.equal(mine, train_images.images)}"
)
del everything, mine

# %% [markdown]
# ## 2. Three splits, and no image in two of them   (10 min)
#
# | split | images | you may use it |
# |---|---|---|
# | training | 4 × 1000 | as often as you like: the network learns from these |
# | validation | 4 × 200 | for your *choices*: how many epochs, which learning rate, which keep ratio |
# | test | 4 × 1000 | at the end, to say how good the result is |
#
# What goes wrong when they overlap? Here is the world's laziest classifier. It learns nothing; it keeps all
# training images in a drawer, and gives a new image the label of the one that looks most like it, pixel by pixel.


# %% tags=["slow"]
def label_of_the_nearest(pictures):
    """For every picture, the label of the training image that differs least from it."""
    drawer = train_images.images.float().flatten(1)
    return train_images.labels[torch.cdist(pictures.float().flatten(1), drawer).argmin(dim=1)]


old, old_labels = train_images.images[::5], train_images.labels[::5]
right_on_old = (label_of_the_nearest(old) == old_labels).float()
right_on_new = (label_of_the_nearest(val_images.images) == val_images.labels).float()
half = torch.cat([right_on_old[::2], right_on_new[::2]])
print(f"on images from the training set:        {right_on_old.mean():6.1%}")
print(f"on a validation set that half overlaps: {half.mean():6.1%}")
print(f"on images it has never seen:            {right_on_new.mean():6.1%}")

# %% [markdown]
# The first number says nothing at all: every image finds itself in the drawer. The second looks respectable and
# is an invention. Only the third tells you what the classifier can do. Networks have drawers too; with 72 weights
# to every image, ours can learn a good part of its training set by heart.
#
# MiniCIFAR draws its training and validation positions as two pieces of *one* shuffled list, so no image can be
# in both, and the test images come from CIFAR-10's own test set. (In the script that this course grew out of, the
# validation images lay inside the test set. You will say what is wrong with that in question 1.)

# %% [markdown]
# ## 3. The same scale for everybody   (15 min)
#
# Bytes between 0 and 255 are an awkward input: large, and all positive. So pixels are first divided by 255, and
# then each colour $c$ gets its own shift and scale,
# $$ x'_{n,c,y,z} = \frac{x_{n,c,y,z} / 255 - \mu_c}{\sigma_c} , $$
# with $\mu = (0.4914, 0.4822, 0.4465)$ and $\sigma = (0.2023, 0.1994, 0.2010)$, computed once from CIFAR-10's
# training images. **The same numbers serve training, test, and every later use of the network**: statistics of the
# batch at hand would make an image's label depend on its neighbours.

# %% [markdown]
# **Exercise.** Write `normalize`.
#
# <details><summary>Hint 1: where do I start?</summary>
# <code>images</code> are bytes: make floats of them first, then go through the formula from the inside out.
# </details>
# <details><summary>Hint 2: three numbers for four axes</summary>
# Broadcasting lines up the <em>last</em> axes: a tensor of shape (3,) meets the width. Give it the shape (3, 1, 1)
# with <code>.view</code>, and it meets the channels.
# </details>
# <details><summary>Hint 3: nearly there</summary>
# <code>torch.tensor(mean).view(3, 1, 1)</code>, the same for <code>std</code>. <code>.float()</code> gives float32.
# </details>

# %% tags=["exercise"]
from solutions.images import normalize

# %% [markdown]
# Before and after. The shapes are the same, the scale is not:

# %%
some = train_images.images[::10]
plots.channel_histograms({"bytes": some, "normalised": normalize(some, MEAN, STD)}, images=train_images)

# %%
normalised = normalize(train_images.images, MEAN, STD)
for channel, name in enumerate(["red", "green", "blue"]):
    values = normalised[:, channel]
    print(f"{name:5}  mean {values.mean():+.2f}, standard deviation {values.std():.2f}")

# %% [markdown]
# Why is the mean not exactly 0? Because $\mu$ belongs to all ten classes, and we use four (airplanes bring sky).
# And why is the standard deviation nearer to 1.25 than to 1? Because of a small slip that half the world has copied:
# $\sigma = 0.20$ is the *average over images of each image's own* standard deviation; over all pixels together it
# is about 0.25. Does it matter? No: the first layer's weights make up for any factor, as long as it is always the
# same one. We keep the numbers that everybody uses, so that results can be compared. (All of this is about the
# photographs; synthetic images have statistics of their own.)
#
# The course's `Loader` does the same as your function, batch by batch. Let us make sure:

# %%
batch, _ = next(iter(Loader(val_images, batch_size=100)))
print(f"largest difference: {(batch - normalize(val_images.images[:100], MEAN, STD)).abs().max():.1e}")

# %% [markdown]
# ## 4. More images than there are   (25 min)
#
# A bird two pixels further left is still a bird, and so is its mirror image. *Augmentation* shows the network a
# slightly different picture in every epoch, so that there is less to learn by heart. The recipe that nearly
# everybody uses for CIFAR:
#
# 1. put a frame of 4 black pixels around the image: 32 × 32 becomes 40 × 40;
# 2. cut a window of 32 × 32 out of it, at a random place: 9 · 9 = 81 possibilities;
# 3. with probability ½, change left and right: 162 possibilities.
#
# The place is given by the *row and column of the window's upper left corner* in the padded image. With a padding
# of $P$ both lie between $0$ and $2P$, and $(P, P)$ cuts out the image as it was.

# %% [markdown]
# **Exercise.** Write `crop_and_flip`. Your function does not throw dice, it is *told* the offsets and flips: so it
# can be tested, and a run can be repeated. A loop over the images is fine.
#
# <details><summary>Hint 1: where do I start?</summary>
# <code>F.pad(images, (left, right, top, bottom))</code> puts zeros around the last two axes. The window has the height
# and width of the images that came in.
# </details>
# <details><summary>Hint 2: one window</summary>
# A slice: rows from <code>row</code> up to <code>row + height</code>, columns from <code>column</code> up to
# <code>column + width</code>, all channels. <code>.flip(2)</code> mirrors the last axis of a single image (C, H, W).
# </details>
# <details><summary>Hint 3: nearly there</summary>
# <code>torch.empty_like(images)</code> is a place for the results; then, for each image n, cut its window out of the
# padded image n with <code>offsets[n]</code>, flip it if <code>flips[n]</code>, and store it. Never write into
# <code>images</code>.
# </details>

# %% tags=["exercise"]
from solutions.images import crop_and_flip

# %% [markdown]
# One photograph as the network sees it in eight different epochs:

# %%
generator = torch.Generator().manual_seed(0)
eight = train_images.images[2007:2008].expand(8, -1, -1, -1)
offsets = torch.randint(0, 9, (8, 2), generator=generator)
flips = torch.rand(8, generator=generator) < 0.5
titles = [
    f"({row}, {column}){' flip' if flip else ''}" for (row, column), flip in zip(offsets.tolist(), flips, strict=True)
]
plots.show_batch(crop_and_flip(eight, offsets, flips, padding=4), titles=titles, images=train_images)

# %% [markdown]
# **Play with it.** How much of the bird can be lost at worst? At which offsets is the frame invisible?

# %% tags=["slow"]
augmentation_explorer(train_images, crop_and_flip, start=2007)

# %% [markdown]
# Only *training* images are augmented. A test image is shown as it is, because the result should not depend on
# dice. Which changes are allowed is knowledge about the world: the mirror image of an automobile is one, that of a
# "b" is a "d"; and who turns airplanes upside down must expect to meet some.

# %% [markdown]
# ## 5. One step downhill   (20 min)
#
# The network gives every class $k$ of image $n$ a number $z_{nk}$, a *logit*. Softmax would make probabilities of
# them, and the **cross-entropy** is the mean of what the true classes $y_n$ lack,
# $$ L = -\frac{1}{N} \sum_n \log \frac{e^{z_{n y_n}}}{\sum_k e^{z_{nk}}} . $$
# `F.cross_entropy(logits, labels)` takes the raw logits: the softmax is inside. One step of gradient descent then
# moves every parameter a little way downhill, $\theta \leftarrow \theta - \eta \, \partial L / \partial \theta$.
#
# In PyTorch that takes five short lines, and each has a reason:
#
# - the network is put into **training mode**: a batch norm then normalises with the batch's own statistics, and
#   collects the running ones that it will use later;
# - the **old gradients are forgotten**: `backward` *adds* to what is there;
# - forward: the **loss**; backward: the **gradients**; and the **optimizer** steps.

# %% [markdown]
# **Exercise.** Write `training_step`.
#
# <details><summary>Hint 1: where do I start?</summary>
# Write the five things above as five lines, in that order. Each is one call.
# </details>
# <details><summary>Hint 2: which calls?</summary>
# The network has <code>train</code>, the loss has <code>backward</code>, the optimizer has <code>zero_grad</code> and
# <code>step</code>. The network itself is called like a function.
# </details>
# <details><summary>Hint 3: what is returned?</summary>
# The loss that you called <code>backward</code> on, as a number: <code>.item()</code>. A tensor would keep the whole
# computation alive, and after a thousand steps your memory would be full of history.
# </details>

# %% tags=["exercise"]
from solutions.training_step import training_step

# %% [markdown]
# Now it runs: your step, forty times. Every point is one batch of 64 images. A network that knows nothing and says
# "25 % each" has a loss of $\ln 4 \approx 1.39$; a fresh one is a little worse, for it is *confidently* ignorant.

# %% tags=["slow"]
network = vgg_mini(seed=0)
optimizer = torch.optim.SGD(network.parameters(), lr=0.005, momentum=0.9)
batches = Loader(train_images, batch_size=64, shuffle=True, augment=True)
losses = [training_step(network, images, labels, optimizer) for images, labels in islice(batches, 40)]

drawing, axis = plots.figure()
axis.plot(range(1, len(losses) + 1), losses, "o-", markersize=3, color=plots.COLOURS["original"])
axis.axhline(math.log(4), color="#bbbbbb", linestyle=":", label="knows nothing: ln 4")
axis.set(xlabel="step", ylabel="loss of the batch", ylim=(0, None))
axis.legend()
plots.say_source(drawing, train_images)
drawing

# %% [markdown]
# ## 6. How good is it?   (10 min)
#
# A loss can be followed downhill, but nobody outside can imagine "0.9". So we also count: the network's guess is
# the class of the largest logit, and the accuracy is the share of guesses that are right,
# $$ A = \frac{1}{N} \sum_n \big[ \arg\max_k z_{nk} = y_n \big] . $$

# %% [markdown]
# **Exercise.** Write `accuracy`.
#
# <details><summary>Hint 1: where do I start?</summary>
# One guess per image: in which <em>column</em> is the largest number of each row?
# </details>
# <details><summary>Hint 2: nearly there</summary>
# <code>argmax</code> with the axis of the classes. Comparing with the labels gives True and False; as floats they are
# 1 and 0, and their mean is the share that you want. <code>.item()</code> makes it a Python number.
# </details>

# %% tags=["exercise"]
from solutions.training_step import accuracy

# %% [markdown]
# For a judgement the network goes into *evaluation mode*, and nobody needs gradients:

# %% tags=["slow"]
network.eval()
with torch.no_grad():
    logits = network(normalize(val_images.images, MEAN, STD))
print(
    f"after {len(losses)} steps: {accuracy(logits, val_images.labels):.1%} of the validation images; guessing gets 25 %"
)

# %% [markdown]
# ## 7. The baseline   (15 min)
#
# You have written every part of a training loop. For the rest of the course we use the library's: `train` runs
# your five lines for many epochs, with a progress bar, a history, a learning rate that rises and falls
# ("one-cycle") and a little weight decay. The network is `vgg_mini`, six convolutions and 289,508 parameters.
#
# The cell below trains for a minute or so, and saves the network (for you, with its architecture) and an ONNX
# file (for grading). **Hand in both files together with this notebook.** Cells like this one are not run again when
# your work is graded: the file is measured instead. You may change everything in it. Note what the accuracy is
# measured on while you do: the *validation* images, because you will look at it to make choices.

# %% tags=["train"]
network = vgg_mini(seed=0)
history = train(
    network,
    Loader(train_images, batch_size=64, shuffle=True, augment=True, seed=0),
    epochs=12,
    test=Loader(val_images, batch_size=400),
    lr=0.1,
)
save_network(network, "lab0_baseline.safetensors", history=history, images=train_images)
export_onnx(network, "lab0_baseline.onnx", images=train_images)

# %%
network = load_network("lab0_baseline.safetensors")
plots.training_curves({"original": load_history("lab0_baseline.safetensors")}, "validation", images=train_images)

# %% [markdown]
# Two things to see. The validation accuracy jumps about while the learning rate is high, and settles as it falls.
# And the training accuracy stays close to it, although there are weights enough to learn every image by heart. That
# is the augmentation: train once more with `augment=False` (under another file name), and the training accuracy goes
# to 100 %, while the validation accuracy stops a few points lower than before.
#
# You have made your choices. Now, once, the test images:

# %% tags=["slow"]
result = evaluate(network, Loader(test_images, batch_size=500))
spread = math.sqrt(result.accuracy * (1 - result.accuracy) / len(test_images))
print(f"{result.accuracy:.1%} of {len(test_images)} test images, give or take {spread:.1%} for the luck of the draw")
print(test_images.source.description)

# %% [markdown]
# *Give or take?* With another 4000 photographs of the same kind the result would be a little different. Each image
# is right with probability $A$, like a biased coin, so the accuracy of $N$ images has the standard deviation
# $\sqrt{A(1-A)/N}$. Keep that number in mind whenever somebody celebrates a tenth of a per cent.
#
# **The network you hand in.** This check shows the very numbers and points that grading will give.

# %% tags=["artifact"]
check("lab0_baseline_onnx")

# %% [markdown]
# ## 8. Extra: where the network is wrong   (10 min)
#
# One number hides a lot. Which classes are mixed up? (We look at validation images; the test images have done their
# work.)

# %% tags=["slow"]
with torch.no_grad():
    logits = torch.cat([network(images) for images, _ in Loader(val_images, batch_size=200)])
certainty, guesses = logits.softmax(dim=1).max(dim=1)
plots.confusion(guesses, val_images.labels, val_images.classes, images=val_images)

# %% [markdown]
# And these are its worst mistakes: the images where it was wrong and *most certain* of it. Can you tell what it
# saw? Would you have known better?

# %% tags=["slow"]
worst = torch.where(guesses == val_images.labels, 0.0, certainty).argsort(descending=True)[:8]
titles = [
    f"says {val_images.classes[guesses[n]]}\n({certainty[n]:.0%} sure)\nis {val_images.classes[val_images.labels[n]]}"
    for n in worst.tolist()
]
plots.show_batch(val_images.images[worst], titles=titles, images=val_images)

# %% [markdown]
# ## 9. Questions   (15 min)

# %% [markdown] tags=["question"] points=2 name="question_splits"
# **Question 1.** In an earlier script the 800 validation images were part of the test set. Somebody trains for 100
# epochs, keeps the network of the epoch with the best *validation* accuracy, and reports its accuracy on the whole
# test set. In which direction is that number wrong, and why, although no network was ever trained on a test
# image? What would you change, and does it cost anything?
#
# ### BEGIN MARK SCHEME
# *Rubric (2 points).* 1 point: too high (on average), because a choice was made with test images: the best of many
# noisy measurements is partly lucky, and the same lucky images are counted again in the report. 1 point: choose on
# images that are in neither the training nor the test set (as MiniCIFAR does), and use the test set once, at the
# end; the cost is that those images cannot be trained on (or: nothing here, CIFAR-10 has training images left over).
# Saying that the effect grows with the number of epochs or settings tried earns the point as well.
# ### END MARK SCHEME

# %% [markdown] tags=["question"] points=2 name="question_luck"
# **Question 2.** With the cell above, a friend gets 84.9 % with a learning rate of 0.1 and 85.4 % with 0.2, each
# measured once on the same 4000 test images, and writes: "0.2 is better." Which two kinds of chance does that
# overlook? Name, for each, how large it is or how you would find out, and say what your friend may claim.
#
# ### BEGIN MARK SCHEME
# *Rubric (2 points).* 1 point: the sample of test images: one accuracy has a standard deviation of about
# sqrt(0.85 · 0.15 / 4000) = 0.56 % (for the difference on the same images somewhat other: count the images that only
# one of the two gets right), so 0.5 % is within it. 1 point: the training itself: initial weights, order,
# augmentation; repeat each setting with several seeds (five or more) and compare means with their spread. The claim:
# no difference can be seen. Noticing that a choice of learning rate belongs on the validation images earns a point
# where one of the above is missing.
# ### END MARK SCHEME
