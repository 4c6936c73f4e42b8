"""Wrong and right answers to lab 7, as students write them."""

import itertools

import torch

from autograder.answers import right, wrong
from solutions.couplings import consumers
from solutions.graph.plain import JOINING, PASSING

# --- consumers


@wrong("consumers", says="the second input")
def looks_at_the_first_input_only(graph, tensor):
    return [node for node in graph if node["inputs"][0] == tensor]


@wrong("consumers", says="that READ the feature map")
def finds_the_producer(graph, tensor):
    return [node for node in graph if tensor in node["outputs"]]


@wrong("consumers", says="return all of them")
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


# --- features_of_channel


@wrong("features_of_channel", says="C*H*W features, not C")
def one_column_per_channel(channels, pixels):
    return channels


@wrong("features_of_channel", says="C*H*W features, not C")
def the_first_column_of_each(channels, pixels):
    return channels * pixels


@wrong("features_of_channel", says="c*pixels … (c+1)*pixels - 1")
def pixel_by_pixel(channels, pixels):
    return (torch.arange(pixels)[:, None] + channels * pixels).flatten()


@wrong("features_of_channel", says="c*pixels … (c+1)*pixels - 1")
def off_by_one(channels, pixels):
    return (channels[:, None] * pixels + torch.arange(1, pixels + 1)).flatten()


@wrong("features_of_channel", says="in which the channels are given")
def sorts_the_columns(channels, pixels):
    return (channels[:, None] * pixels + torch.arange(pixels)).flatten().sort().values


@wrong("features_of_channel", says="not always 4")
def maps_of_two_by_two_or_three(channels, pixels):
    height, width = 2, 3 if pixels == 6 else pixels // 2
    return (channels[:, None] * height * width + torch.arange(height * width)).flatten()


@wrong("features_of_channel", says="indices: whole numbers")
def columns_as_floats(channels, pixels):
    return (channels[:, None].float() * pixels + torch.arange(pixels)).flatten()


@right("features_of_channel")
def a_double_loop(channels, pixels):
    columns = []
    for channel in channels.tolist():
        for pixel in range(pixels):
            columns.append(channel * pixels + pixel)
    return torch.tensor(columns, dtype=torch.long)


@right("features_of_channel")
def slices_side_by_side(channels, pixels):
    return torch.cat([torch.arange(c * pixels, (c + 1) * pixels) for c in channels])


@right("features_of_channel")
def numbers_that_are_flattened(channels, pixels):
    everything = torch.arange((int(channels.max()) + 1) * pixels)
    return everything.reshape(-1, pixels)[channels].flatten()


# --- concat_offsets


@wrong("concat_offsets", says="BEFORE it")
def where_the_parts_end(widths):
    return list(itertools.accumulate(widths))


@wrong("concat_offsets", says="one offset for every part")
def with_the_whole_width(widths):
    return [0, *itertools.accumulate(widths)]


@wrong("concat_offsets", says="BEFORE it")
def multiples_of_the_first_width(widths):
    return [part * widths[0] for part in range(len(widths))]


@wrong("concat_offsets", says="BEFORE it")
def the_width_before(widths):
    return [0, *widths[:-1]]


@wrong("concat_offsets", says="changed in place")
def adds_up_in_place(widths):
    widths.insert(0, 0)
    widths.pop()
    for part in range(1, len(widths)):
        widths[part] += widths[part - 1]
    return list(widths)


@wrong("concat_offsets", says="so the first begins at 0")
def counts_from_one(widths):
    return [1 + sum(widths[:part]) for part in range(len(widths))]


@right("concat_offsets")
def a_running_sum(widths):
    offsets, start = [], 0
    for width in widths:
        offsets.append(start)
        start += width
    return offsets


@right("concat_offsets")
def a_cumulative_sum(widths):
    widths = torch.tensor(widths)
    return (widths.cumsum(0) - widths).tolist()


@right("concat_offsets")
def accumulated_from_zero(widths):
    return list(itertools.accumulate([0, *widths[:-1]]))


# --- coupled_channels


@wrong("coupled_channels", says="both sides of a residual addition")
def every_convolution_alone(graph):
    made = {node["outputs"][0]: node for node in graph}

    def reaches_the_output(tensor):
        readers = consumers(graph, tensor)
        passing = [node for node in readers if node["op"] in PASSING | JOINING]
        return not readers or any(reaches_the_output(node["outputs"][0]) for node in passing)

    convs = [tensor for tensor, node in made.items() if node["op"] == "Conv"]
    return [[made[tensor]["weight"]] for tensor in convs if not reaches_the_output(tensor)]


@wrong("coupled_channels", says="both sides of a residual addition")
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


@wrong("coupled_channels", says="the channels of the last convolution are the classes")
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


@wrong("coupled_channels", says="also through pooling and Flatten")
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


@wrong("coupled_channels", says="belongs to the set of what it reads")
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


@wrong("coupled_channels", says="only groups = channels is depthwise")
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


@wrong("coupled_channels", says="does not couple them")
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


@wrong("coupled_channels", says="merge the WHOLE sets")
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


@wrong("coupled_channels", says="three colours are no channels to prune")
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


@wrong("coupled_channels", says="Mul couples like Add")
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


@right("coupled_channels")
def labels_that_are_renamed(graph):
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
    return [names for key, names in sets.items() if key not in ends]


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
        root(output)
        made.add(output)
        read.update(node["inputs"])
        depthwise = node["op"] == "Conv" and node["shape"][1] == 1 and 1 < node["groups"] == node["shape"][0]
        for tensor in node["inputs"]:
            root(tensor)
            if depthwise or node["op"] in PASSING or node["op"] in JOINING:
                parent[root(tensor)] = root(output)
    fixed = {root(tensor) for tensor in parent if tensor not in made or tensor not in read}
    convs = [node for node in graph if node["op"] == "Conv" and root(node["outputs"][0]) not in fixed]
    roots = {root(node["outputs"][0]) for node in convs}
    return [{node["weight"] for node in convs if root(node["outputs"][0]) == one} for one in roots]


@right("coupled_channels")
def a_flood_in_both_directions(graph):
    def joins(node):
        depthwise = node["op"] == "Conv" and node["groups"] > 1 and node["shape"][:2] == (node["groups"], 1)
        return depthwise or node["op"] in PASSING | JOINING

    made, answer, seen = {node["outputs"][0]: node for node in graph}, [], set()
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
