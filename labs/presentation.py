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

# %% [markdown] slideshow={"slide_type": "skip"}
# # Your presentation
#
# Five minutes, eight slides; leave out what you do not need. Pictures and tables come from the files that the challenge
# notebook made; change the words. A cell's slide type (the gears on the right) says where a slide begins; this cell
# is skipped. Then, in a terminal,
# ```
# python -m course_utils.pictures.slides presentation.ipynb
# ```
# runs everything and writes `presentation.slides.html`, which needs no network. Move with the arrow keys, f: full
# screen, Ctrl-P: a PDF.

# %% slideshow={"slide_type": "skip"}
from IPython.display import Markdown

from course_utils.challenge.report import board_entries, compared, pareto, team_entries
from course_utils.challenge.score import RULES, score_onnx
from course_utils.checkpoints import load_history, load_network
from course_utils.networks import vgg_mini
from course_utils.pictures import plots, tables
from minicifar import load

plots.plt.rcParams["figure.dpi"] = 200  # sharp on a projector

DATASET = "minicifar"
ORIGINAL = "challenge_original.onnx"
HISTORIES = {"L1, retraining": "challenge_pruned.safetensors"}  # a line in the picture → a saved network

images = load(DATASET, "test")
entries = team_entries("challenge", DATASET)
qualified = [entry for entry in entries if entry["accuracy"] >= RULES[DATASET].threshold] or entries
best = min(qualified, key=lambda entry: entry["score"])

# %% slideshow={"slide_type": "slide"}
gain = score_onnx(ORIGINAL).score / best["score"]
Markdown(
    f"# {gain:.0f} times cheaper, and {best['accuracy']:.1%} right\n\n{best['team']}: pruning challenge, {DATASET}"
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The idea
#
# - Channels with a small norm, $\sum_{i,k} |W_{j,i,k}|$, go first.
# - Half of them in every layer; then 12 epochs of retraining.
# - Then int8: $\max(q_w, q_a)$ falls from 32 to 8.
#
# *(Your words: what did you expect, and why?)*

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Retraining

# %%
plots.training_curves({line: load_history(path) for line, path in HISTORIES.items()}, "validation", images=images)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Which layers got narrower

# %%
plots.widths({"original": vgg_mini(), "pruned": load_network(next(iter(HISTORIES.values())))})

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What it costs now

# %%
compared(ORIGINAL, best["path"], DATASET)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Among all others

# %%
pareto(entries, board_entries("challenge", DATASET), DATASET, images=images)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What we tried

# %%
tables.Table(
    ("entry and method", "seeds", "score", "accuracy"),
    [
        (
            f"{one['name']}: {one['method']}",
            ", ".join(map(str, one["seeds"])),
            f"{one['score']:.4f}",
            f"{one['accuracy']:.1%}",
        )
        for one in entries
    ],
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What we learned
#
# - What worked, and how sure we are: over how many seeds?
# - What did *not* work.
# - What we would try next.
