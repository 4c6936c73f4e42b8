"""What would have to change in a network for frozen channels to be prunable, by what the reason says."""

REMEDIES = {
    "normalises over the channels": "a norm of each channel by itself (BatchNorm2d, InstanceNorm2d) would let them go",
    "without a weight has a fixed number": "with affine=True it would follow",
    "is cut in parts at a place": "sizes that are worked out from x.shape would follow",
    "is taken at a place": "places that are worked out from x.shape would follow",
    "picked by their numbers": "a 1×1 convolution can choose channels, and follow",
    "a product of two activations": "no weight reads them there: with a projection of their own behind, they could go",
    "mixes the channels": "behind a layer that reads them (a 1×1 convolution), they could go",
    "with a weight that is computed": "a weight that is a parameter, or a parametrisation of one, would follow",
    "a tensor of a fixed size": "as a parameter or buffer with an entry for each channel it would follow",
    "arranged in": "keep channels on one axis",
    "is not known": "write it with other operators, or give it a rule in solutions/graph/rules",
    "cannot be followed here": "write it in a plainer form, or extend its rule in solutions/graph/rules",
    "does not run": "sizes that are worked out from x.shape in forward would follow",
    "computes something else": "let nothing in forward depend on the number of channels",
    "other outputs": "let no output depend on the number of channels",
    "nan or infinite": "try an example for which the outputs are numbers",
}


def remedies(reasons: list[str]) -> list[str]:
    """For each reason what would have to change, each once; nothing for what must stay in any network."""
    found = (remedy for reason in reasons for piece, remedy in REMEDIES.items() if piece in reason)
    return list(dict.fromkeys(found))
