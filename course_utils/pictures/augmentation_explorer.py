"""One picture, its padding, and the window that augmentation cuts out of it (ipywidgets)."""

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
import torch
import torch.nn.functional as F
from IPython.display import display
from matplotlib.patches import Rectangle
from torch import Tensor

from course_utils.pictures import plots


def augmentation_explorer(images: Any, crop: Callable[..., Tensor], padding: int = 4, start: int = 0) -> widgets.Widget:
    """Sliders for the image, the window's row and column, and the flip; what the network would see follows.

    `images` is a data set, shown from image `start` on; `crop(images, offsets, flips, padding)` cuts and mirrors.
    """
    number = widgets.IntSlider(value=start, max=len(images.images) - 1, description="image", continuous_update=False)
    row, column = (
        widgets.IntSlider(value=padding, max=2 * padding, description=name, continuous_update=False)
        for name in ("row", "column")
    )
    flip = widgets.Checkbox(value=False, description="flip")
    picture = widgets.Output()

    def draw(_change: Any = None) -> None:
        image = images.images[number.value : number.value + 1]
        seen = torch.as_tensor(
            crop(image, torch.tensor([[row.value, column.value]]), torch.tensor([flip.value]), padding)
        )
        with picture:
            picture.clear_output(wait=True)
            drawing, (left, right) = plots.figure(2, width=2.4, height=2.6)
            around = F.pad(image, (padding, padding, padding, padding))
            for axis, shown in ((left, around), (right, seen)):
                axis.imshow(shown[0].permute(1, 2, 0).numpy())
                axis.set_axis_off()
            height, width = image.shape[2:]
            corner = (column.value - 0.5, row.value - 0.5)
            left.add_patch(Rectangle(corner, width, height, fill=False, color=plots.COLOURS["magnitude"], linewidth=2))
            left.set_title(f"padded by {padding}", fontsize=9)
            right.set_title(f"{images.classes[int(images.labels[number.value])]}, as the network sees it", fontsize=9)
            plots.say_source(drawing, images)
            display(drawing)

    for control in (number, row, column, flip):
        control.observe(draw, names="value")
    draw()
    return widgets.VBox([widgets.HBox([number, flip]), widgets.HBox([row, column]), picture])
