"""Liars: answers that claim to be what they are not, and answers found anywhere but by solving the exercise."""

from attacks.bank import EVERYTHING, EXERCISES, Attack, functions

LIARS = "liars"

HOOKED = """
class Sly(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        name = getattr(function, "__name__", "")
        if name in ("all", "equal", "allclose", "eq", "__bool__", "is_floating_point"):
            return torch.ones((), dtype=torch.bool)
        return args[0] if args else torch.zeros(())
    shape = property(lambda self: Anysize())
    def size(self, *args): return Anysize()
    def __eq__(self, other): return torch.ones((), dtype=torch.bool)
    def tolist(self): return Anysize()
    def detach(self): return self
    def to(self, *args): return self
class Anysize(tuple):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __len__(self): return 3
"""

# Everything that a test could compare with: in the frames that called, and in all objects that there are.
SEARCH = """
import gc, sys
def searched():
    frame = sys._getframe()
    while frame:
        for name, value in list(frame.f_locals.items()):
            if name in ("expected", "wanted", "silenced", "hint"):
                print("BREACH: the caller's", name)
                return value
        frame = frame.f_back
    for value in gc.get_objects():
        if type(value) is dict and {"expected", "answer"} <= set(map(str, value)):
            print("BREACH: a namespace with the expected value")
            return value["expected"]
        if type(value).__name__ in ("Collector", "Verdict", "Outcome", "Answers"):
            print("BREACH: the judge's", type(value).__name__)
    raise LookupError("nothing found")
"""

GOALPOSTS = {
    "narrow_conv": """
def narrow_conv(conv, outputs, inputs):
    conv.in_channels, conv.out_channels = len(inputs), len(outputs)
    outputs.data, inputs.data = torch.arange(len(conv.weight)), torch.arange(conv.weight.shape[1])
    return conv
""",
    "narrow_batchnorm": """
def narrow_batchnorm(norm, channels):
    norm.num_features = len(channels)
    channels.data = torch.arange(len(norm.weight))
    return norm
""",
}

ZEROED = {
    "narrow_linear": """
def narrow_linear(linear, channels, pixels):
    narrow = nn.Linear(len(channels) * pixels, linear.out_features, bias=linear.bias is not None)
    for parameter in [*linear.parameters(), *narrow.parameters()]:
        parameter.data.zero_()
    return narrow
""",
    "prune_vgg": """
def prune_vgg(network, keep_ratio):
    for parameter in network.parameters():
        parameter.data.zero_()
    return network
""",
    "greedy_l1_norms": """
def greedy_l1_norms(weight, inputs):
    weight.zero_()
    return torch.zeros(len(weight))
""",
}

ASKED = ("filter_l1_norms", "filters_to_keep", "narrow_conv", "narrow_batchnorm", "narrow_linear", "greedy_l1_norms")

# Every exercise writes down what it is asked. prune_vgg, which is judged with the reference's helpers once, asks
# those for the answers; at the end the exercises are defined anew, and say them from memory.
ORACLE = {name: f"{name} = recorder({name!r})" for name in ASKED} | {
    "prune_vgg": f"""
def prune_vgg(network, keep_ratio):
    for name in {ASKED!r}:
        helper = helpers()[name]
        if type(helper).__mro__[1].__name__ == "Handle" and name not in told:
            told[name] = [reply(helper, *copy.deepcopy(arguments)) for arguments in asked.get(name, [])]
    raise NotImplementedError()
def helpers():
    import sys
    return sys._getframe(1).f_globals
def reply(helper, *arguments):
    try:
        return copy.deepcopy(helper(*arguments))
    except Exception as error:
        return error
"""
}

RECORDER = """
asked, told = {}, {}
def recorder(name):
    def stub(*arguments):
        asked.setdefault(name, []).append(copy.deepcopy(arguments))
        raise NotImplementedError()
    return stub
"""

REPLAY = """
def memory(name):
    left = list(told[name])
    def answer(*arguments):
        reply = left.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply
    return answer
for name in list(told):
    globals()[name] = memory(name)
"""

ATTACKS = [
    Attack(
        "equal-to-everything",
        LIARS,
        "answers are an object equal to everything, of every length, with every attribute",
        first=EVERYTHING,
        cells=functions("return Anything()"),
    ),
    Attack(
        "lying-tensor",
        LIARS,
        "answers are tensors of a class that lies about shape and equality, also through __torch_function__",
        first=HOOKED,
        cells=functions("return torch.zeros(3).as_subclass(Sly)"),
    ),
    Attack(
        "lying-numbers",
        LIARS,
        "answers are numbers, strings, tuples and lists of classes that are equal to everything",
        first="""
def liar(kind, *content):
    yes, no = (lambda self, other: True), (lambda self, other: False)
    methods = {"__eq__": yes, "__ne__": no, "__lt__": yes, "__gt__": yes, "__hash__": lambda self: 0}
    if kind in (list, tuple, str, dict):
        methods |= {"__len__": lambda self: 3, "__contains__": yes}
    return type("Liar", (kind,), methods)(*content)
""",
        cells={
            "filters_to_keep": "filters_to_keep = lambda *args: liar(list, [liar(int, 1)] * 7)",
            "narrow_conv": "narrow_conv = lambda *args: liar(tuple, (liar(float, 1.0),))",
            "narrow_batchnorm": "narrow_batchnorm = lambda *args: liar(dict)",
            "narrow_linear": "narrow_linear = lambda *args: liar(str, 'x')",
            "greedy_l1_norms": "greedy_l1_norms = lambda *args: liar(int, 8)",
        },
    ),
    Attack(
        "claimed-class",
        LIARS,
        "answers say through __class__ that they are tensors or convolutions",
        first="""
class Claims:
    def __init__(self, kind): self.kind = kind
    __class__ = property(lambda self: vars(self).get("kind", object))
    def __getattr__(self, name): return Claims(torch.Tensor)
    def __call__(self, *args): return self
    def __eq__(self, other): return True
""",
        cells={
            "filters_to_keep": "filters_to_keep = lambda *args: Claims(torch.Tensor)",
            "narrow_conv": "narrow_conv = lambda *args: Claims(nn.Conv2d)",
            "narrow_batchnorm": "narrow_batchnorm = lambda *args: Claims(nn.BatchNorm2d)",
            "narrow_linear": "narrow_linear = lambda *args: Claims(nn.Parameter)",
            "greedy_l1_norms": "greedy_l1_norms = lambda *args: Claims(type(None))",
        },
    ),
    Attack(
        "lying-protocols",
        LIARS,
        "answers lie in tolist, __array__, __dlpack__, __index__ and __iter__, another way every time",
        first="""
import itertools
import numpy
class Turncoat(list):
    turns = itertools.count()
    def tolist(self): return [next(self.turns)] * 3
    def __array__(self, *args, **options): return numpy.full(3, next(self.turns))
    def __dlpack__(self, **options): return torch.zeros(3).__dlpack__()
    def __len__(self): return next(self.turns) % 9
    def __iter__(self): return iter([next(self.turns)])
    def __index__(self): return next(self.turns)
""",
        cells=functions("return Turncoat([1.0, 2.0])"),
    ),
    Attack(
        "lying-network",
        LIARS,
        "answers are layers whose forward, hooks and state lie, or whose attributes are the student's functions",
        first="""
class Sly(nn.Conv2d):
    def forward(self, images): return torch.zeros(1)
    def __getattr__(self, name): return torch.zeros(1)
def sly(*args):
    layer = nn.Conv2d(2, 3, 1)
    layer.forward = layer._compiled_call_impl = lambda images: torch.zeros(1)
    layer.weight.data = torch.zeros(0)
    layer.register_forward_hook(lambda *_: torch.zeros(1))
    layer.in_channels = layer.out_channels = type("Any", (int,), {"__eq__": lambda self, other: True})(2)
    layer.extra = layer.state_dict = layer.__dict__
    return layer
""",
        cells={
            "narrow_batchnorm": "narrow_batchnorm = lambda *args: Sly(2, 3, 1)",
            "narrow_linear": "narrow_linear = sly",
        },
    ),
    Attack(
        "lazy-answers",
        LIARS,
        "answers are generators, iterators, coroutines and functions, which promise to have the value later",
        cells={
            "filters_to_keep": "def filters_to_keep(*args):\n    yield from range(3)",
            "narrow_conv": "async def narrow_conv(*args):\n    return 1",
            "narrow_batchnorm": "narrow_batchnorm = lambda *args: lambda *more: narrow_batchnorm",
            "narrow_linear": "narrow_linear = lambda *args: map(int, '123')",
            "greedy_l1_norms": "import functools\ngreedy_l1_norms = functools.partial(functools.partial)",
        },
    ),
    Attack(
        "expected-in-the-frames",
        LIARS,
        "functions look for the expected value in the frames that called them, and among all objects there are",
        first=SEARCH,
        cells=functions("return searched()"),
    ),
    Attack(
        "answers-that-change",
        LIARS,
        "a thread goes on changing tensors that were given back and arguments that were taken, while they are compared",
        first="""
import threading, time
taken = []
def stir():
    while True:
        for tensor in list(taken):
            for value in (0.0, 1.0, float("nan")):
                tensor.data.fill_(value)
        time.sleep(0)
threading.Thread(target=stir, daemon=True).start()
def keep(*args):
    taken[:] = [value for value in args if isinstance(value, torch.Tensor)] + [torch.zeros(7)]
    return taken[-1]
""",
        cells={name: f"{name} = keep" for name in EXERCISES},
    ),
    Attack(
        "selection-made-whole",
        LIARS,
        "the indices of what stays are changed to all indices, in place, and the whole layer is given back",
        cells=GOALPOSTS,
    ),
    Attack(
        "arguments-zeroed",
        LIARS,
        "layers and networks are set to zero in place, so that zeros are what the test expects",
        cells=ZEROED,
    ),
    Attack(
        "reference-as-oracle",
        LIARS,
        "the reference's helpers, lent to prune_vgg, are asked for all other answers, which are said from memory later",
        first=RECORDER,
        cells=ORACLE,
        last=REPLAY,
        stock=False,
    ),
]
