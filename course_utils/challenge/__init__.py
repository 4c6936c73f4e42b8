"""The challenge: the lowest score that is accurate enough, as one small folder to hand in.

from course_utils import challenge
challenge.submit(network, team="the pruners", name="vgg 30 %", dataset="minicifar", method="L1 filters", seeds=[0])
"""

from course_utils.challenge.entry import measure, submit
from course_utils.challenge.quantize import quantize_dynamic, quantize_static, quantize_weights

__all__ = ["measure", "quantize_dynamic", "quantize_static", "quantize_weights", "submit"]
