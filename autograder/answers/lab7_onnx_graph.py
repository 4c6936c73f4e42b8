"""Wrong and right answers to lab 7, as students write them."""

import itertools
import math

import numpy as np
import torch

from autograder.answers import right, wrong
from solutions.couplings import consumers
from solutions.graph.plain import JOINING, PASSING

# --- consumers


@wrong("consumers", says="the first input of each node only")
def looks_at_the_first_input_only(graph, tensor):
    return [node for node in graph if node["inputs"][0] == tensor]


@wrong("consumers", says="the node that MAKES the feature map")
def finds_the_producer(graph, tensor):
    return [node for node in graph if tensor in node["outputs"]]


@wrong("consumers", says="the first reader only")
def stops_at_the_first(graph, tensor):
    for node in graph:
        if tensor in node["inputs"]:
            return [node]
    return []


@wrong("consumers", says="so it comes once")
def once_for_every_input(graph, tensor):
    found = []
    for node in graph:
        for name in node["inputs"]:
            if name == tensor:
                found.append(node)
    return found


@wrong("consumers", says="compare whole names")
def finds_parts_of_names(graph, tensor):
    return [node for node in graph if any(tensor in name for name in node["inputs"])]


@wrong("consumers", says="an empty list where nobody reads it")
def none_at_the_end(graph, tensor):
    found = [node for node in graph if tensor in node["inputs"]]
    if found:
        return found


@wrong("consumers", says="not their names")
def names_of_outputs(graph, tensor):
    return [node["outputs"][0] for node in graph if tensor in node["inputs"]]


@wrong("consumers", says="behind PASSING nodes")
def the_layers_behind(graph, tensor):
    found = []
    for node in graph:
        if tensor in node["inputs"]:
            further = [late for out in node["outputs"] for late in the_layers_behind(graph, out)]
            passing = node["op"] in PASSING
            found += [late for late in (further or [node] if passing else [node]) if late not in found]
    return found


@wrong("consumers", says="the readers that follow one another")
def readers_in_a_row(graph, tensor):
    from_first = itertools.dropwhile(lambda node: tensor not in node["inputs"], graph)
    return list(itertools.takewhile(lambda node: tensor in node["inputs"], from_first))


@wrong("consumers", says="an input of the network is made by none")
def only_behind_its_maker(graph, tensor):
    made, found = False, []
    for node in graph:
        if made and tensor in node["inputs"]:
            found.append(node)
        made = made or tensor in node["outputs"]
    return found


@wrong("consumers", says="one reader of every weight")
def one_reader_a_weight(graph, tensor):
    found = {}
    for node in graph:
        if tensor in node["inputs"]:
            found.setdefault(node.get("weight"), node)
    return list(found.values())


@wrong("consumers", says="no error and no None")
def an_error_for_outputs(graph, tensor):
    found = [node for node in graph if tensor in node["inputs"]]
    if not found:
        raise ValueError(f"nobody reads {tensor}")
    return found


@wrong("consumers", says="was changed")
def marks_in_the_graph(graph, tensor):
    found = []
    for node in graph:
        if tensor in node["inputs"] and not node.get("seen"):
            node["seen"] = True
            found.append(node)
    return found


@wrong("consumers", says="remember nothing")
def answers_by_name(graph, tensor, known={}):
    if tensor not in known:
        known[tensor] = [node for node in graph if tensor in node["inputs"]]
    return known[tensor]


@wrong("consumers", says="not in the graph's order")
def sorted_by_what_they_write(graph, tensor):
    return sorted((node for node in graph if tensor in node["inputs"]), key=lambda node: node["outputs"])


@wrong("consumers", says="copies of them")
def copies_of_nodes(graph, tensor):
    return [dict(node) for node in graph if tensor in node["inputs"]]


@right("consumers")
def a_table_of_readers(graph, tensor):
    readers = {}
    for node in graph:
        for name in dict.fromkeys(node["inputs"]):
            readers.setdefault(name, []).append(node)
    return readers.get(tensor, [])


@right("consumers")
def a_loop(graph, tensor):
    found = []
    for node in graph:
        for name in node["inputs"]:
            if name == tensor:
                found.append(node)
                break
    return found


@right("consumers")
def a_filter(graph, tensor):
    return list(filter(lambda node: node["inputs"].count(tensor) > 0, graph))


@wrong("consumers", says="`is` in place of ==")
def the_very_same_string(graph, tensor):
    return [node for node in graph if any(name is tensor for name in node["inputs"])]


@wrong("consumers", says="two convolutions that read the same are two nodes")
def once_for_each_operator_and_inputs(graph, tensor):
    found = {}
    for node in graph:
        if tensor in node["inputs"]:
            found.setdefault((node["op"], *node["inputs"]), node)
    return list(found.values())


@wrong("consumers", says="THEIR readers as well")
def readers_behind_readers(graph, tensor):
    names, found = {tensor}, []
    for node in graph:
        if names & set(node["inputs"]):
            found.append(node)
            names |= set(node["outputs"]) if node["op"] in PASSING else set()
    return found


# --- features_of_channel


@wrong("features_of_channel", says="one column for each channel")
def one_column_per_channel(channels, pixels):
    return channels


@wrong("features_of_channel", says="the first column of each channel only")
def the_first_column_of_each(channels, pixels):
    return channels * pixels


@wrong("features_of_channel", says="ordered by pixel")
def pixel_by_pixel(channels, pixels):
    return (torch.arange(pixels)[:, None] + channels * pixels).flatten()


@wrong("features_of_channel", says="pixels that count from 1")
def off_by_one(channels, pixels):
    return (channels[:, None] * pixels + torch.arange(1, pixels + 1)).flatten()


@wrong("features_of_channel", says="the columns in increasing order")
def sorts_the_columns(channels, pixels):
    return (channels[:, None] * pixels + torch.arange(pixels)).flatten().sort().values


@wrong("features_of_channel", says="one pixel, as behind a global pooling")
def maps_of_two_by_two_or_three(channels, pixels):
    height, width = 2, 3 if pixels == 6 else pixels // 2
    return (channels[:, None] * height * width + torch.arange(height * width)).flatten()


@wrong("features_of_channel", says="columns are indices")
def columns_as_floats(channels, pixels):
    return (channels[:, None].float() * pixels + torch.arange(pixels)).flatten()


@wrong("features_of_channel", says="as if the pixels came first")
def channels_last(channels, pixels):
    return (channels[:, None] + torch.arange(pixels) * len(channels)).flatten()


@wrong("features_of_channel", says="square feature maps of 2 x 2")
def square_maps(channels, pixels):
    side = math.isqrt(pixels)
    places = torch.arange(side)[:, None] * side + torch.arange(side)
    return (channels[:, None, None] * pixels + places).flatten()


@wrong("features_of_channel", says="BOTH repeated as a whole")
def channels_and_pixels_in_step(channels, pixels):
    return channels.repeat(pixels) * pixels + torch.arange(pixels).repeat(len(channels))


@wrong("features_of_channel", says="all channels from the lowest to the highest")
def without_gaps(channels, pixels):
    if len(channels) == 0:
        return torch.empty(0, dtype=torch.int64)
    return torch.arange(int(channels.min()) * pixels, (int(channels.max()) + 1) * pixels)


@wrong("features_of_channel", says="no channel: no column")
def nothing_to_put_together(channels, pixels):
    return torch.cat([torch.arange(c * pixels, (c + 1) * pixels) for c in channels])


@wrong("features_of_channel", says="no channel: no column")
def an_empty_list_of_floats(channels, pixels):
    return torch.tensor([c * pixels + pixel for c in channels.tolist() for pixel in range(pixels)])


@wrong("features_of_channel", says="channels may be int32")
def the_dtype_of_the_channels(channels, pixels):
    return (channels[:, None] * pixels + torch.arange(pixels, dtype=channels.dtype)).flatten()


@wrong("features_of_channel", says="`channels` was changed")
def multiplied_in_place(channels, pixels):
    channels *= pixels
    return (channels[:, None] + torch.arange(pixels)).flatten()


@wrong("features_of_channel", says="shares memory with `channels`")
def itself_for_one_pixel(channels, pixels):
    return channels if pixels == 1 else (channels[:, None] * pixels + torch.arange(pixels)).flatten()


@wrong("features_of_channel", says="still one axis")
def squeezed(channels, pixels):
    return (channels[:, None] * pixels + torch.arange(pixels)).flatten().squeeze()


@right("features_of_channel")
def repeated_and_counted(channels, pixels):
    firsts = (channels.long() * pixels).repeat_interleave(pixels)
    return firsts + torch.arange(pixels).repeat(len(channels))


@right("features_of_channel")
def a_double_loop(channels, pixels):
    columns = []
    for channel in channels.tolist():
        for pixel in range(pixels):
            columns.append(channel * pixels + pixel)
    return torch.tensor(columns, dtype=torch.long)


@right("features_of_channel")
def slices_side_by_side(channels, pixels):
    nothing = torch.empty(0, dtype=torch.int64)
    return torch.cat([nothing, *(torch.arange(c * pixels, (c + 1) * pixels) for c in channels.tolist())])


@right("features_of_channel")
def numbers_that_are_flattened(channels, pixels):
    count = max(channels.tolist(), default=-1) + 1
    return torch.arange(count * pixels).reshape(count, pixels)[channels.long()].flatten()


# --- concat_offsets


@wrong("concat_offsets", says="where each part ENDS")
def where_the_parts_end(widths):
    return list(itertools.accumulate(widths))


@wrong("concat_offsets", says="one offset too many")
def with_the_whole_width(widths):
    return [0, *itertools.accumulate(widths)]


@wrong("concat_offsets", says="as wide as the first")
def multiples_of_the_first_width(widths):
    return [part * widths[0] for part in range(len(widths))]


@wrong("concat_offsets", says="the width of the part before")
def the_width_before(widths):
    return [0, *widths[:-1]]


@wrong("concat_offsets", says="was changed")
def adds_up_in_place(widths):
    widths.insert(0, 0)
    widths.pop()
    for part in range(1, len(widths)):
        widths[part] += widths[part - 1]
    return list(widths)


@wrong("concat_offsets", says="positions that count from 1")
def counts_from_one(widths):
    return [1 + sum(widths[:part]) for part in range(len(widths))]


@wrong("concat_offsets", says="looked up by its width")
def found_by_their_widths(widths):
    return [sum(widths[: widths.index(width)]) for width in widths]


@wrong("concat_offsets", says="no parts: no offsets")
def zero_for_no_parts(widths):
    return [0, *itertools.accumulate(widths[:-1])]


@wrong("concat_offsets", says="BEHIND each part")
def from_behind(widths):
    return [sum(widths[part + 1 :]) for part in range(len(widths))]


@wrong("concat_offsets", says="yours holds float")
def offsets_as_floats(widths):
    return [float(sum(widths[:part])) for part in range(len(widths))]


@wrong("concat_offsets", says="yours is of type Tensor")
def a_tensor_of_offsets(widths):
    widths = torch.tensor(widths, dtype=torch.int64)
    return widths.cumsum(0) - widths


@wrong("concat_offsets", says="remember and draw nothing")
def a_list_that_grows(widths, offsets=[]):
    start = 0
    for width in widths:
        offsets.append(start)
        start += width
    return offsets


@wrong("concat_offsets", says="in order of their widths")
def sorted_parts(widths):
    return [sum(sorted(widths)[:part]) for part in range(len(widths))]


@right("concat_offsets")
def numpys_numbers(widths):
    ends = np.cumsum(np.array(widths, dtype=np.int64))
    return list(ends - np.array(widths, dtype=np.int64))


@right("concat_offsets")
def a_running_sum(widths):
    offsets, start = [], 0
    for width in widths:
        offsets.append(start)
        start += width
    return offsets


@right("concat_offsets")
def a_cumulative_sum(widths):
    widths = torch.tensor(widths, dtype=torch.int64)
    return (widths.cumsum(0) - widths).tolist()


@right("concat_offsets")
def accumulated_from_zero(widths):
    return list(itertools.accumulate(widths, initial=0))[: len(widths)]


@wrong("concat_offsets", says="each offset once only")
def an_offset_a_key(widths):
    begins, total = {}, 0
    for part, width in enumerate(widths):
        begins[total] = part
        total += width
    return list(begins)


@wrong("concat_offsets", says="widths[:k - 1] in place of widths[:k]")
def slices_one_too_early(widths):
    return [sum(widths[: part - 1]) for part in range(len(widths))]


@wrong("concat_offsets", says="no offset for an empty part")
def empty_parts_skipped(widths):
    ends = list(itertools.accumulate(widths))
    return [end - width for end, width in zip(ends, widths, strict=True) if width]


# --- coupled_channels


@wrong("coupled_channels", says="nothing coupled by JOINING nodes")
def every_convolution_alone(graph):
    made = {node["outputs"][0]: node for node in graph}

    def reaches_the_output(tensor):
        readers = consumers(graph, tensor)
        passing = [node for node in readers if node["op"] in PASSING | JOINING]
        return not readers or any(reaches_the_output(node["outputs"][0]) for node in passing)

    convs = [tensor for tensor, node in made.items() if node["op"] == "Conv"]
    return [[made[tensor]["weight"]] for tensor in convs if not reaches_the_output(tensor)]


@wrong("coupled_channels", says="only the FIRST input of a joining node")
def one_side_of_the_addition(graph):
    source, ends = {}, set()
    for node in graph:
        output = node["outputs"][0]
        depthwise = node["op"] == "Conv" and node["groups"] > 1 and node["shape"][1] == 1
        if depthwise or node["op"] in PASSING | JOINING:
            source[output] = source.get(node["inputs"][0], node["inputs"][0])
        if not consumers(graph, output):
            ends.add(source.get(output, output))
    sets = {}
    for node in graph:
        if node["op"] == "Conv":
            sets.setdefault(source.get(node["outputs"][0], node["outputs"][0]), []).append(node["weight"])
    return [names for key, names in sets.items() if key not in ends]


@wrong("coupled_channels", says="neither inputs nor outputs left out")
def prunes_the_output_layer_too(graph):
    label = {tensor: tensor for node in graph for tensor in node["inputs"] + node["outputs"]}
    for node in graph:
        depthwise = node["op"] == "Conv" and node["groups"] > 1 and node["shape"][1] == 1
        if depthwise or node["op"] in PASSING | JOINING:
            for tensor in node["inputs"]:
                old, new = label[tensor], label[node["outputs"][0]]
                label = {name: new if value == old else value for name, value in label.items()}
    sets = {}
    for node in graph:
        if node["op"] == "Conv":
            sets.setdefault(label[node["outputs"][0]], []).append(node["weight"])
    return list(sets.values())


@wrong("coupled_channels", says="Flatten and Reshape as the end")
def only_a_last_convolution_is_the_output(graph):
    label = {tensor: tensor for node in graph for tensor in node["inputs"] + node["outputs"]}
    for node in graph:
        depthwise = node["op"] == "Conv" and node["groups"] > 1 and node["shape"][1] == 1
        if depthwise or node["op"] in (PASSING | JOINING) - {"Flatten"}:
            for tensor in node["inputs"]:
                old, new = label[tensor], label[node["outputs"][0]]
                label = {name: new if value == old else value for name, value in label.items()}
    made = {node["outputs"][0] for node in graph}
    ends = {label[tensor] for tensor in label if tensor not in made or not consumers(graph, tensor)}
    sets = {}
    for node in graph:
        if node["op"] == "Conv":
            sets.setdefault(label[node["outputs"][0]], []).append(node["weight"])
    return [names for key, names in sets.items() if key not in ends]


@wrong("coupled_channels", says="taken for ordinary ones")
def a_depthwise_convolution_is_a_convolution(graph):
    label = {tensor: tensor for node in graph for tensor in node["inputs"] + node["outputs"]}
    for node in graph:
        if node["op"] in PASSING | JOINING:
            for tensor in node["inputs"]:
                old, new = label[tensor], label[node["outputs"][0]]
                label = {name: new if value == old else value for name, value in label.items()}
    made = {node["outputs"][0] for node in graph}
    ends = {label[tensor] for tensor in label if tensor not in made or not consumers(graph, tensor)}
    sets = {}
    for node in graph:
        if node["op"] == "Conv":
            sets.setdefault(label[node["outputs"][0]], []).append(node["weight"])
    return [names for key, names in sets.items() if key not in ends]


@wrong("coupled_channels", says="all convolutions with groups taken")
def any_groups_are_depthwise(graph):
    label = {tensor: tensor for node in graph for tensor in node["inputs"] + node["outputs"]}
    for node in graph:
        if (node["op"] == "Conv" and node["groups"] > 1) or node["op"] in PASSING | JOINING:
            for tensor in node["inputs"]:
                old, new = label[tensor], label[node["outputs"][0]]
                label = {name: new if value == old else value for name, value in label.items()}
    made = {node["outputs"][0] for node in graph}
    ends = {label[tensor] for tensor in label if tensor not in made or not consumers(graph, tensor)}
    sets = {}
    for node in graph:
        if node["op"] == "Conv":
            sets.setdefault(label[node["outputs"][0]], []).append(node["weight"])
    return [names for key, names in sets.items() if key not in ends]


@wrong("coupled_channels", says="Concat as a joint")
def concat_couples_like_add(graph):
    label = {tensor: tensor for node in graph for tensor in node["inputs"] + node["outputs"]}
    for node in graph:
        depthwise = node["op"] == "Conv" and node["groups"] > 1 and node["shape"][1] == 1
        if depthwise or node["op"] in PASSING | JOINING | {"Concat"}:
            for tensor in node["inputs"]:
                old, new = label[tensor], label[node["outputs"][0]]
                label = {name: new if value == old else value for name, value in label.items()}
    made = {node["outputs"][0] for node in graph}
    ends = {label[tensor] for tensor in label if tensor not in made or not consumers(graph, tensor)}
    sets = {}
    for node in graph:
        if node["op"] == "Conv":
            sets.setdefault(label[node["outputs"][0]], []).append(node["weight"])
    return [names for key, names in sets.items() if key not in ends]


@wrong("coupled_channels", says="one member of a set moved")
def moves_one_member_only(graph):
    label = {tensor: tensor for node in graph for tensor in node["inputs"] + node["outputs"]}
    for node in graph:
        depthwise = node["op"] == "Conv" and node["groups"] > 1 and node["shape"][1] == 1
        if depthwise or node["op"] in PASSING | JOINING:
            label[node["outputs"][0]] = label[node["inputs"][0]]
            for tensor in node["inputs"][1:]:
                label[tensor] = label[node["outputs"][0]]
    made = {node["outputs"][0] for node in graph}
    ends = {label[tensor] for tensor in label if tensor not in made or not consumers(graph, tensor)}
    sets = {}
    for node in graph:
        if node["op"] == "Conv":
            sets.setdefault(label[node["outputs"][0]], []).append(node["weight"])
    return [names for key, names in sets.items() if key not in ends]


@wrong("coupled_channels", says="coupled with an INPUT of the network not left out")
def forgets_the_images(graph):
    label = {tensor: tensor for node in graph for tensor in node["inputs"] + node["outputs"]}
    for node in graph:
        depthwise = node["op"] == "Conv" and node["groups"] > 1 and node["shape"][1] == 1
        if depthwise or node["op"] in PASSING | JOINING:
            for tensor in node["inputs"]:
                old, new = label[tensor], label[node["outputs"][0]]
                label = {name: new if value == old else value for name, value in label.items()}
    ends = {label[tensor] for tensor in label if not consumers(graph, tensor)}
    sets = {}
    for node in graph:
        if node["op"] == "Conv":
            sets.setdefault(label[node["outputs"][0]], []).append(node["weight"])
    return [names for key, names in sets.items() if key not in ends]


@wrong("coupled_channels", says="only Add and Sub as joints")
def only_additions_couple(graph):
    label = {tensor: tensor for node in graph for tensor in node["inputs"] + node["outputs"]}
    for node in graph:
        depthwise = node["op"] == "Conv" and node["groups"] > 1 and node["shape"][1] == 1
        if depthwise or node["op"] in PASSING | {"Add", "Sub"}:
            for tensor in node["inputs"]:
                old, new = label[tensor], label[node["outputs"][0]]
                label = {name: new if value == old else value for name, value in label.items()}
    made = {node["outputs"][0] for node in graph}
    ends = {label[tensor] for tensor in label if tensor not in made or not consumers(graph, tensor)}
    sets = {}
    for node in graph:
        if node["op"] == "Conv":
            sets.setdefault(label[node["outputs"][0]], []).append(node["weight"])
    return [names for key, names in sets.items() if key not in ends]


@wrong("coupled_channels", says="though some make more channels than they read")
def a_multiplier_is_depthwise(graph):
    label = {tensor: tensor for node in graph for tensor in node["inputs"] + node["outputs"]}
    for node in graph:
        depthwise = node["op"] == "Conv" and node["groups"] > 1 and node["shape"][1] == 1
        if depthwise or node["op"] in PASSING | JOINING:
            for tensor in node["inputs"]:
                old, new = label[tensor], label[node["outputs"][0]]
                label = {name: new if value == old else value for name, value in label.items()}
    made = {tensor for node in graph for tensor in node["outputs"]}
    ends = {label[tensor] for tensor in label if tensor not in made or not consumers(graph, tensor)}
    sets = {}
    for node in graph:
        if node["op"] == "Conv":
            sets.setdefault(label[node["outputs"][0]], []).append(node["weight"])
    return [sorted(names) for key, names in sets.items() if key not in ends]


@wrong("coupled_channels", says="such as read one channel with groups = 1")
def grey_images_are_depthwise(graph):
    label = {tensor: tensor for node in graph for tensor in node["inputs"] + node["outputs"]}
    for node in graph:
        depthwise = node["op"] == "Conv" and node["shape"][1] == 1 and node["groups"] in (1, node["shape"][0])
        if depthwise or node["op"] in PASSING | JOINING:
            for tensor in node["inputs"]:
                old, new = label[tensor], label[node["outputs"][0]]
                label = {name: new if value == old else value for name, value in label.items()}
    made = {tensor for node in graph for tensor in node["outputs"]}
    ends = {label[tensor] for tensor in label if tensor not in made or not consumers(graph, tensor)}
    sets = {}
    for node in graph:
        if node["op"] == "Conv":
            sets.setdefault(label[node["outputs"][0]], []).append(node["weight"])
    return [sorted(names) for key, names in sets.items() if key not in ends]


@wrong("coupled_channels", says="the other is a constant")
def constants_end_couplings(graph):
    label = {tensor: tensor for node in graph for tensor in node["inputs"] + node["outputs"]}
    for node in graph:
        depthwise = node["op"] == "Conv" and node["groups"] > 1 and node["shape"][:2] == (node["groups"], 1)
        if depthwise or node["op"] in PASSING or (node["op"] in JOINING and len(node["inputs"]) > 1):
            for tensor in node["inputs"]:
                old, new = label[tensor], label[node["outputs"][0]]
                label = {name: new if value == old else value for name, value in label.items()}
    made = {tensor for node in graph for tensor in node["outputs"]}
    ends = {label[tensor] for tensor in label if tensor not in made or not consumers(graph, tensor)}
    sets = {}
    for node in graph:
        if node["op"] == "Conv":
            sets.setdefault(label[node["outputs"][0]], []).append(node["weight"])
    return [sorted(names) for key, names in sets.items() if key not in ends]


@wrong("coupled_channels", says="only the LAST node's output")
def only_the_last_output(graph):
    label = {tensor: tensor for node in graph for tensor in node["inputs"] + node["outputs"]}
    for node in graph:
        depthwise = node["op"] == "Conv" and node["groups"] > 1 and node["shape"][:2] == (node["groups"], 1)
        if depthwise or node["op"] in PASSING | JOINING:
            for tensor in node["inputs"]:
                old, new = label[tensor], label[node["outputs"][0]]
                label = {name: new if value == old else value for name, value in label.items()}
    made = {tensor for node in graph for tensor in node["outputs"]}
    ends = {label[tensor] for tensor in label if tensor not in made}
    ends.add(label[graph[-1]["outputs"][0]])
    sets = {}
    for node in graph:
        if node["op"] == "Conv":
            sets.setdefault(label[node["outputs"][0]], []).append(node["weight"])
    return [sorted(names) for key, names in sets.items() if key not in ends]


@wrong("coupled_channels", says="the weights of linear layers listed too")
def linear_layers_too(graph):
    label = {tensor: tensor for node in graph for tensor in node["inputs"] + node["outputs"]}
    for node in graph:
        depthwise = node["op"] == "Conv" and node["groups"] > 1 and node["shape"][:2] == (node["groups"], 1)
        if depthwise or node["op"] in PASSING | JOINING:
            for tensor in node["inputs"]:
                old, new = label[tensor], label[node["outputs"][0]]
                label = {name: new if value == old else value for name, value in label.items()}
    made = {tensor for node in graph for tensor in node["outputs"]}
    ends = {label[tensor] for tensor in label if tensor not in made or not consumers(graph, tensor)}
    sets = {}
    for node in graph:
        if "weight" in node and node["op"] not in PASSING:
            sets.setdefault(label[node["outputs"][0]], []).append(node["weight"])
    return [sorted(names) for key, names in sets.items() if key not in ends]


@wrong("coupled_channels", says="own weights left out")
def depthwise_weights_left_out(graph):
    label = {tensor: tensor for node in graph for tensor in node["inputs"] + node["outputs"]}
    for node in graph:
        depthwise = node["op"] == "Conv" and node["groups"] > 1 and node["shape"][:2] == (node["groups"], 1)
        if depthwise or node["op"] in PASSING | JOINING:
            for tensor in node["inputs"]:
                old, new = label[tensor], label[node["outputs"][0]]
                label = {name: new if value == old else value for name, value in label.items()}
    made = {tensor for node in graph for tensor in node["outputs"]}
    ends = {label[tensor] for tensor in label if tensor not in made or not consumers(graph, tensor)}
    sets = {}
    for node in graph:
        if node["op"] == "Conv" and not (node["groups"] > 1 and node["shape"][:2] == (node["groups"], 1)):
            sets.setdefault(label[node["outputs"][0]], []).append(node["weight"])
    return [sorted(names) for key, names in sets.items() if key not in ends]


@wrong("coupled_channels", says="only the convolution that writes the output itself")
def only_the_output_itself(graph):
    label = {tensor: tensor for node in graph for tensor in node["inputs"] + node["outputs"]}
    for node in graph:
        depthwise = node["op"] == "Conv" and node["groups"] > 1 and node["shape"][:2] == (node["groups"], 1)
        if depthwise or node["op"] in PASSING | JOINING:
            for tensor in node["inputs"]:
                old, new = label[tensor], label[node["outputs"][0]]
                label = {name: new if value == old else value for name, value in label.items()}
    made = {tensor for node in graph for tensor in node["outputs"]}
    ends = {tensor for tensor in label if tensor not in made or not consumers(graph, tensor)}
    sets = {}
    for node in graph:
        if node["op"] == "Conv" and node["outputs"][0] not in ends:
            sets.setdefault(label[node["outputs"][0]], []).append(node["weight"])
    return [sorted(names) for names in sets.values()]


@wrong("coupled_channels", says="the names in each list are sorted")
def unsorted_lists(graph):
    label = {tensor: tensor for node in graph for tensor in node["inputs"] + node["outputs"]}
    for node in graph:
        depthwise = node["op"] == "Conv" and node["groups"] > 1 and node["shape"][:2] == (node["groups"], 1)
        if depthwise or node["op"] in PASSING | JOINING:
            for tensor in node["inputs"]:
                old, new = label[tensor], label[node["outputs"][0]]
                label = {name: new if value == old else value for name, value in label.items()}
    made = {tensor for node in graph for tensor in node["outputs"]}
    ends = {label[tensor] for tensor in label if tensor not in made or not consumers(graph, tensor)}
    sets = {}
    for node in graph:
        if node["op"] == "Conv":
            sets.setdefault(label[node["outputs"][0]], []).append(node["weight"])
    return [sorted(names, reverse=True) for key, names in sets.items() if key not in ends]


@wrong("coupled_channels", says="ALL of its members must get it")
def what_each_convolution_holds(graph):
    coupled = {name: {name} for node in graph for name in node["inputs"] + node["outputs"]}
    for node in graph:
        if node["op"] in PASSING or node["op"] in JOINING or (node["op"] == "Conv" and node["groups"] > 1):
            maps = node["inputs"] + node["outputs"]
            coupled.update(dict.fromkeys(maps, set().union(*(coupled[name] for name in maps))))
    made = {name for node in graph for name in node["outputs"]}
    read = {name for node in graph for name in node["inputs"]}
    weights = {node["outputs"][0]: node["weight"] for node in graph if node["op"] == "Conv"}
    found, seen = [], set()
    for output in weights:
        if output not in seen and coupled[output] <= made & read:
            found.append(sorted(weights[name] for name in coupled[output] if name in weights))
        seen |= coupled[output]
    return found


@wrong("coupled_channels", says="ALL of its members must get it")
def the_maps_at_hand(graph):
    sets = {tensor: {tensor} for node in graph for tensor in node["inputs"] + node["outputs"]}
    for node in graph:
        depthwise = node["op"] == "Conv" and node["groups"] > 1 and node["shape"][:2] == (node["groups"], 1)
        if depthwise or node["op"] in PASSING | JOINING:
            maps = [node["outputs"][0], *node["inputs"]]
            together = set().union(*(sets[tensor] for tensor in maps))
            for tensor in maps:
                sets[tensor] = together
    weights = {node["outputs"][0]: node["weight"] for node in graph if node["op"] == "Conv"}
    made = {tensor for node in graph for tensor in node["outputs"]}
    ends = {tensor for tensor in sets if tensor not in made or not consumers(graph, tensor)}
    inner = {id(together): together for together in sets.values() if not together & ends}
    lists = [sorted(weights[tensor] for tensor in together if tensor in weights) for together in inner.values()]
    return [names for names in lists if names]


@wrong("coupled_channels", says="remember and draw nothing")
def sets_that_stay(graph, sets={}):
    for node in graph:
        for tensor in node["inputs"] + node["outputs"]:
            sets.setdefault(tensor, {tensor})
    for node in graph:
        depthwise = node["op"] == "Conv" and node["groups"] > 1 and node["shape"][:2] == (node["groups"], 1)
        if depthwise or node["op"] in PASSING | JOINING:
            together = set().union(sets[node["outputs"][0]], *(sets[tensor] for tensor in node["inputs"]))
            for tensor in together:
                sets[tensor] = together
    here = {tensor for node in graph for tensor in node["inputs"] + node["outputs"]}
    weights = {node["outputs"][0]: node["weight"] for node in graph if node["op"] == "Conv"}
    made = {tensor for node in graph for tensor in node["outputs"]}
    ends = {tensor for tensor in here if tensor not in made or not consumers(graph, tensor)}
    inner = {id(sets[tensor]): sets[tensor] for tensor in here if not sets[tensor] & ends}
    lists = [sorted(weights[tensor] for tensor in together if tensor in weights) for together in inner.values()]
    return [names for names in lists if names]


@wrong("coupled_channels", says="`graph` was changed")
def a_simpler_graph(graph):
    other = {}
    for node in list(graph):
        node["inputs"] = [other.get(tensor, tensor) for tensor in node["inputs"]]
        if node["op"] in PASSING and consumers(graph, node["outputs"][0]):
            other[node["outputs"][0]] = node["inputs"][0]
            graph.remove(node)
    sets = {tensor: {tensor} for node in graph for tensor in node["inputs"] + node["outputs"]}
    for node in graph:
        depthwise = node["op"] == "Conv" and node["groups"] > 1 and node["shape"][:2] == (node["groups"], 1)
        if depthwise or node["op"] in PASSING | JOINING:
            together = set().union(sets[node["outputs"][0]], *(sets[tensor] for tensor in node["inputs"]))
            for tensor in together:
                sets[tensor] = together
    weights = {node["outputs"][0]: node["weight"] for node in graph if node["op"] == "Conv"}
    made = {tensor for node in graph for tensor in node["outputs"]}
    ends = {tensor for tensor in sets if tensor not in made or not consumers(graph, tensor)}
    inner = {id(together): together for together in sets.values() if not together & ends}
    lists = [sorted(weights[tensor] for tensor in together if tensor in weights) for together in inner.values()]
    return [names for names in lists if names]


@wrong("coupled_channels", says="only the first output of each node", hidden=True)
def one_output_a_node(graph):
    label = {tensor: tensor for node in graph for tensor in node["inputs"] + node["outputs"]}
    for node in graph:
        depthwise = node["op"] == "Conv" and node["groups"] > 1 and node["shape"][:2] == (node["groups"], 1)
        if depthwise or node["op"] in PASSING | JOINING:
            for tensor in node["inputs"]:
                old, new = label[tensor], label[node["outputs"][0]]
                label = {name: new if value == old else value for name, value in label.items()}
    made = {node["outputs"][0] for node in graph}
    ends = {label[tensor] for tensor in label if tensor not in made or not consumers(graph, tensor)}
    sets = {}
    for node in graph:
        if node["op"] == "Conv":
            sets.setdefault(label[node["outputs"][0]], []).append(node["weight"])
    return [sorted(names) for key, names in sets.items() if key not in ends]


@right("coupled_channels")
def labels_that_are_renamed(graph):
    label = {tensor: tensor for node in graph for tensor in node["inputs"] + node["outputs"]}
    for node in graph:
        depthwise = node["op"] == "Conv" and node["groups"] > 1 and node["shape"][:2] == (node["groups"], 1)
        if depthwise or node["op"] in PASSING | JOINING:
            for tensor in node["inputs"]:
                old, new = label[tensor], label[node["outputs"][0]]
                label = {name: new if value == old else value for name, value in label.items()}
    made = {tensor for node in graph for tensor in node["outputs"]}
    ends = {label[tensor] for tensor in label if tensor not in made or not consumers(graph, tensor)}
    sets = {}
    for node in graph:
        if node["op"] == "Conv":
            sets.setdefault(label[node["outputs"][0]], []).append(node["weight"])
    return [sorted(names) for key, names in sets.items() if key not in ends]


@right("coupled_channels")
def union_find(graph):
    parent = {}

    def root(tensor):
        while parent.setdefault(tensor, tensor) != tensor:
            tensor = parent[tensor]
        return tensor

    read, made = set(), set()
    for node in graph:
        output = node["outputs"][0]
        list(map(root, node["outputs"]))
        made.update(node["outputs"])
        read.update(node["inputs"])
        depthwise = node["op"] == "Conv" and node["shape"][1] == 1 and 1 < node["groups"] == node["shape"][0]
        for tensor in node["inputs"]:
            root(tensor)
            if depthwise or node["op"] in PASSING or node["op"] in JOINING:
                parent[root(tensor)] = root(output)
    fixed = {root(tensor) for tensor in parent if tensor not in made or tensor not in read}
    convs = [node for node in graph if node["op"] == "Conv" and root(node["outputs"][0]) not in fixed]
    roots = {root(node["outputs"][0]) for node in convs}
    return [sorted({node["weight"] for node in convs if root(node["outputs"][0]) == one}) for one in roots]


@right("coupled_channels")
def a_flood_in_both_directions(graph):
    def joins(node):
        depthwise = node["op"] == "Conv" and node["groups"] > 1 and node["shape"][:2] == (node["groups"], 1)
        return depthwise or node["op"] in PASSING | JOINING

    made = {tensor: node for node in graph for tensor in node["outputs"]}
    answer, seen = [], set()
    for conv in graph:
        if conv["op"] != "Conv" or conv["outputs"][0] in seen:
            continue
        reached, waiting, fixed = set(), [conv["outputs"][0]], False
        while waiting:
            tensor = waiting.pop()
            if tensor in reached:
                continue
            reached.add(tensor)
            if tensor not in made:
                fixed = True
            elif joins(made[tensor]):
                waiting += made[tensor]["inputs"]
            readers = consumers(graph, tensor)
            fixed = fixed or not readers
            for node in readers:
                if joins(node):
                    waiting += node["outputs"]
        seen |= reached
        if not fixed:
            answer.append(sorted(made[t]["weight"] for t in reached if made[t]["op"] == "Conv"))
    return answer


@wrong("coupled_channels", says="written LAST asked for readers")
def the_last_map_of_a_set(graph):
    coupled = {tensor: {tensor} for node in graph for tensor in node["inputs"] + node["outputs"]}
    place = {tensor: number for number, node in enumerate(graph) for tensor in node["outputs"]}
    weights = {node["outputs"][0]: node["weight"] for node in graph if node["op"] == "Conv"}
    for node in graph:
        depthwise = node["op"] == "Conv" and node["groups"] > 1 and node["shape"][:2] == (node["groups"], 1)
        if depthwise or node["op"] in PASSING | JOINING:
            together = set().union(*(coupled[tensor] for tensor in node["inputs"] + node["outputs"]))
            coupled.update(dict.fromkeys(together, together))
    lists = []
    for together in {id(together): together for together in coupled.values()}.values():
        if together <= place.keys() and consumers(graph, max(together, key=lambda tensor: place[tensor])):
            lists.append(sorted(weights[tensor] for tensor in together if tensor in weights))
    return [names for names in lists if names]


@wrong("coupled_channels", says="only the FIRST reader of every feature map followed")
def the_first_road_of_a_fork(graph):
    coupled = {tensor: {tensor} for node in graph for tensor in node["inputs"] + node["outputs"]}
    weights = {node["outputs"][0]: node["weight"] for node in graph if node["op"] == "Conv"}
    for node in graph:
        depthwise = node["op"] == "Conv" and node["groups"] > 1 and node["shape"][:2] == (node["groups"], 1)
        if depthwise or node["op"] in PASSING | JOINING:
            read = [tensor for tensor in node["inputs"] if consumers(graph, tensor)[0] is node]
            together = set().union(*(coupled[tensor] for tensor in read + node["outputs"]))
            coupled.update(dict.fromkeys(together, together))
    made = {tensor for node in graph for tensor in node["outputs"]}
    ends = {tensor for tensor in coupled if tensor not in made or not consumers(graph, tensor)}
    inner = {id(together): together for together in coupled.values() if not together & ends}
    lists = [sorted(weights[tensor] for tensor in together if tensor in weights) for together in inner.values()]
    return [names for names in lists if names]
