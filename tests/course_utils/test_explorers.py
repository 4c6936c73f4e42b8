"""The numbers that an explorer shows are those of the network it speaks of."""

import pytest

from course_utils.networks import parameter_count, vgg_mini
from course_utils.pictures.keep_ratio_explorer import chain_costs
from solutions.costs import count_macs


@pytest.mark.parametrize("kept", [[32, 32, 64, 64, 128, 128], [20, 7, 40, 1, 80, 33]])
def test_costs_of_a_narrower_vgg_without_building_it(kept: list[int]) -> None:
    narrow = vgg_mini(widths=kept)
    assert chain_costs(vgg_mini(), kept) == (parameter_count(narrow), count_macs(narrow, (3, 32, 32)))
