"""DDPG, the agent of AMC: an actor that chooses keep ratios, and a critic that says what they will bring.

Lillicrap et al. 2015 (arXiv 1509.02971), with the settings of AMC (He et al. 2018, arXiv 1802.03494, section 3.2).
"""

import copy
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HIDDEN = 300
ACTOR_RATE, CRITIC_RATE = 1e-4, 1e-3
TAU = 0.01  # how far the target networks follow in one step
BATCH, BUFFER = 64, 2000  # transitions
NOISE, EXPLORING, FALL = 0.5, 100, 0.95  # sigma; episodes with it; by what it falls in each one after these
BASELINE = 0.95  # of the moving average of the rewards


class Transition(NamedTuple):
    """One step of an episode: what was seen, what was done, what is seen next, and whether that is the end."""

    state: Tensor
    action: Tensor
    next_state: Tensor
    end: Tensor
    reward: Tensor


class Agent:
    """Learns actions between `low` and 1 for states of `features` numbers. All random numbers follow from `seed`."""

    def __init__(self, features: int, low: float, seed: int) -> None:
        self.low = low
        self.chance = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.actor, self.critic = perceptron(features), perceptron(features + 1)
        self.slow_actor, self.slow_critic = copy.deepcopy(self.actor), copy.deepcopy(self.critic)
        self.actor_steps = torch.optim.Adam(self.actor.parameters(), lr=ACTOR_RATE)
        self.critic_steps = torch.optim.Adam(self.critic.parameters(), lr=CRITIC_RATE)
        self.buffer: list[Transition] = []
        self.episodes = 0
        self.baseline: float | None = None

    def ratio(self, actor: nn.Module, states: Tensor) -> Tensor:
        """An actor's keep ratios (N, 1) for states (N, features): its sigmoid, stretched to low … 1."""
        return self.low + (1 - self.low) * actor(states).sigmoid()

    def act(self, state: Tensor) -> float:
        """A keep ratio to try: the actor's, with noise from a normal distribution that is cut off at low and 1."""
        with torch.no_grad():
            mean = self.ratio(self.actor, state[None]).item()
        sigma = NOISE * FALL ** max(0, self.episodes - EXPLORING)
        drawn = torch.empty(1)
        nn.init.trunc_normal_(drawn, mean, sigma, self.low, 1.0, generator=self.chance)
        return drawn.item()

    def remember(self, states: list[Tensor], actions: list[float], reward: float) -> None:
        """Store an episode, each step of it with the reward of its end, and learn from as many batches as it has steps.

        `states`: before each action, and the last one. The mean of the rewards is updated first. Nothing is learned
        until `BATCH` steps are stored.
        """
        self.baseline = reward if self.baseline is None else BASELINE * self.baseline + (1 - BASELINE) * reward
        for place, action in enumerate(actions):
            numbers = (torch.tensor([value]) for value in (action, float(place == len(actions) - 1), reward))
            chosen, end, worth = numbers
            self.buffer.append(Transition(states[place], chosen, states[place + 1], end, worth))
        self.buffer = self.buffer[-BUFFER:]
        self.episodes += 1
        if len(self.buffer) >= BATCH:
            for _ in actions:
                self.learn()

    def learn(self) -> None:
        """One step of the critic and of the actor on a batch of transitions, the slow networks follow.

        The critic's target is reward - baseline + Q(next state, the slow actor's action), without the last term at the
        end of an episode (gamma is 1).
        """
        places = torch.randint(len(self.buffer), (BATCH,), generator=self.chance).tolist()
        batch = Transition(*(torch.stack(column) for column in zip(*(self.buffer[n] for n in places), strict=True)))
        with torch.no_grad():
            following = torch.cat([batch.next_state, self.ratio(self.slow_actor, batch.next_state)], dim=1)
            target = batch.reward - (self.baseline or 0.0) + (1 - batch.end) * self.slow_critic(following)
        loss = F.mse_loss(self.critic(torch.cat([batch.state, batch.action], dim=1)), target)
        self.critic_steps.zero_grad()
        loss.backward()
        self.critic_steps.step()
        worth = self.critic(torch.cat([batch.state, self.ratio(self.actor, batch.state)], dim=1)).mean()
        self.actor_steps.zero_grad()
        (-worth).backward()
        self.actor_steps.step()
        with torch.no_grad():
            for slow, fast in ((self.slow_actor, self.actor), (self.slow_critic, self.critic)):
                for follower, leader in zip(slow.parameters(), fast.parameters(), strict=True):
                    follower.lerp_(leader, TAU)

    def state_dict(self) -> dict[str, Any]:
        """All that the agent's future depends on, as plain data and tensors."""
        parts = {name: getattr(self, name).state_dict() for name in PARTS}
        about = {"episodes": self.episodes, "baseline": self.baseline, "chance": self.chance.get_state()}
        return {**parts, **about, "buffer": [tuple(transition) for transition in self.buffer]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`."""
        for name in PARTS:
            getattr(self, name).load_state_dict(state[name])
        self.episodes, self.baseline = state["episodes"], state["baseline"]
        self.chance.set_state(state["chance"])
        self.buffer = [Transition(*transition) for transition in state["buffer"]]


PARTS = ("actor", "critic", "slow_actor", "slow_critic", "actor_steps", "critic_steps")


def perceptron(inputs: int) -> nn.Sequential:
    """Two hidden layers, one output, which begins near 0."""
    layers = nn.Sequential(
        nn.Linear(inputs, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1)
    )
    nn.init.uniform_(layers[-1].weight, -3e-3, 3e-3)  # type: ignore[arg-type]
    nn.init.zeros_(layers[-1].bias)  # type: ignore[arg-type]
    return layers
