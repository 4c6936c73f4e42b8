"""AMC: an agent learns which share of each layer to keep, from what the pruned networks are worth without training.

He et al. 2018 (arXiv 1802.03494). Its control, random search with as many evaluations, is beside it.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_utils.training import Stopped
from minicifar import BatchLoader
from minicifar.files import atomic
from solutions.ddpg import Agent
from solutions.drivers import first_batches, narrowed, once, opened, seeded
from solutions.iterative import digest_of
from solutions.prunable import prunable_groups
from solutions.reconstruction import Reconstruction
from solutions.width_environment import LOWER, ClippedAction, Judge, Reward, WidthEnvironment

EPISODES = 400
STATISTICS = 4  # training batches from which batch norms' statistics and Gram matrices come
EVERY = 25  # episodes between two files to resume from

Episode = dict[str, Any]  # widths, macs, value


def environment(  # noqa: PLR0913
    network: nn.Module,
    loader: BatchLoader,
    validation: tuple[Tensor, Tensor],
    budget: float,
    *,
    clipped_action: ClippedAction,
    reward: Reward,
    lower: float = LOWER,
    pay: bool = False,
    progress: bool = True,
) -> WidthEnvironment:
    """The environment of a search under `budget`, a share of the MACs.

    Plans are worth what `reward` says on `validation`: images (N, 3, H, W) and labels (N,), of all classes. With `pay`,
    the reward gets the MACs too: for a search that chooses its own budget (give 1 for `budget` then).

    Next layers and statistics come from the first batches of `loader`, which gives training images.
    """
    batches = first_batches(network, loader, STATISTICS)
    trained = torch.cat([labels for _, labels in once(loader)]).unique()
    if missing := set(trained.tolist()) - set(validation[1].tolist()):
        raise ValueError(
            f"{len(missing)} of the {len(trained)} classes are not among the images that judge: plans would be chosen "
            "by the others. Data sets are in order of their classes, so let the loader shuffle."
        )
    groups = prunable_groups(network, batches[0][:1], progress=progress)
    images, labels = (part.to(batches[0].device) for part in validation)
    judge = Judge(Reconstruction(network, groups, batches), images, labels, reward, pay)
    return WidthEnvironment(network, groups, judge, budget, batches[0][:1], clipped_action=clipped_action, lower=lower)


def search(
    env: WidthEnvironment,
    agent: Agent | None,
    episodes: int = EPISODES,
    *,
    seed: int = 0,
    resume: Path | None = None,
    progress: bool = True,
) -> list[Episode]:
    """Episode after episode, by the agent, which learns; without one by random search, keep ratios drawn uniformly.

    One dict an episode: `widths`, `macs`, `value`. `resume`: a file; stopped, the same call goes on from there, to the
    same bits. Raises Stopped where it is interrupted, with the episodes until then.
    """
    log: list[Episode] = []
    chance = torch.Generator().manual_seed(seed)
    judge: Any = env.judge
    if resume is not None and resume.exists():
        state = torch.load(resume, weights_only=True)
        log, judge.values = state["log"], state["values"]
        chance.set_state(state["chance"])
        if agent is not None:
            agent.load_state_dict(state["agent"])

    def store() -> None:
        if resume is not None:
            state = {"log": log, "values": judge.values, "chance": chance.get_state()}
            with atomic(resume) as temporary:
                torch.save({**state, "agent": agent and agent.state_dict()}, temporary)

    name = "random search" if agent is None else "AMC"
    bar = tqdm(total=episodes, initial=len(log), disable=not progress, desc=name, unit="episode")
    try:
        while len(log) < episodes:
            log.append(episode(env, agent, chance))
            best = best_of(log)
            bar.update()
            bar.set_postfix_str(f"best value {best['value']:.3f}, {'-'.join(map(str, best['widths']))}")
            if len(log) % EVERY == 0:
                store()
    except KeyboardInterrupt:
        raise Stopped(f"Stopped after {len(log)} of {episodes} episodes.", log) from None
    finally:
        bar.close()
    store()
    return log


def episode(env: WidthEnvironment, agent: Agent | None, chance: torch.Generator) -> Episode:
    """One walk through the layers, from which the agent learns."""
    observation, _ = env.reset()
    states, actions, done = [torch.from_numpy(observation)], [], False
    while not done:
        drawn = env.lower + (1 - env.lower) * torch.rand(1, generator=chance).item()
        action = drawn if agent is None else agent.act(states[-1])
        observation, value, done, _, info = env.step([action])
        states.append(torch.from_numpy(observation))
        actions.append(env.last)
    if agent is not None:
        agent.remember(states, actions, value)
    return {"widths": info["widths"], "macs": info["macs"], "value": value}


def best_of(log: list[Episode]) -> Episode:
    """The episode with the highest value, the first of several."""
    return max(log, key=lambda one: one["value"])


def amc(  # noqa: PLR0913
    network: nn.Module,
    loader: BatchLoader,
    validation: tuple[Tensor, Tensor],
    budget: float,
    epochs: int,
    *,
    clipped_action: ClippedAction,
    reward: Reward,
    episodes: int = EPISODES,
    lower: float = LOWER,
    at_random: bool = False,
    seed: int = 0,
    resume: str | Path | None = None,
    progress: bool = True,
) -> tuple[nn.Module, dict[str, Any]]:
    """AMC → the narrow network, finetuned for `epochs`, and its history.

    `episodes` plans are tried, none of them trained; all meet `budget`, a share of the MACs, and keep at least `lower`
    of each layer. The best goes on: surgery, finetuning. `validation`: images and labels that judge. `clipped_action`,
    `reward`: those of `learned_widths`, or a student's. `at_random`: the control, random search. `network` is not
    changed. `resume` names a folder: stopped, the same call goes on from there, to the same bits.

    The history: `searching`, one dict an episode with `widths`, `macs` and `value`; `evaluations`, how many different
    plans there were; `plan`; `unabsorbed`; `finetuning`. Raises PlanError for a budget that cannot be met, ValueError
    where `validation` lacks a class.
    """
    asked = {"network": digest_of(network), "budget": budget, "epochs": epochs, "episodes": episodes, "lower": lower}
    folder = opened(resume, {**asked, "at_random": at_random, "seed": seed})
    options: dict[str, Any] = {"clipped_action": clipped_action, "reward": reward, "lower": lower}
    env = environment(network, loader, validation, budget, progress=progress, **options)
    agent = None if at_random else Agent(env.observation_space.shape[0], lower, seed)
    file = folder and folder / "searching.resume"
    log = search(env, agent, episodes, seed=seed, resume=file, progress=progress)
    plan = env.plan(best_of(log)["widths"])
    with seeded(seed):
        ending: dict[str, Any] = {"absorbed_bias": None, "folder": folder, "progress": progress}
        narrow, end = narrowed(network, env.all_groups, plan, loader, epochs, **ending)
    return narrow, {"searching": log, "evaluations": len({tuple(one["widths"]) for one in log}), **end}
