"""The search: a family's space in, trials chosen by Optuna and trained, one or several at a time, each recorded, out.

A trial is asked for by a sampler that is made anew with a seed of its own, so that a search which was cut off asks for
the same trials as one that never was. Optuna's storage remembers them, with true values, run names and every epoch's
figure, so that Optuna's own tools can open it; the run folders hold all figures.
"""

import dataclasses
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from emoscope.core.errors import InputError
from emoscope.study.recipes.families import Pruner, Sampler, Space
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.running.search_storage import explain_failures, open_study, quiet
from emoscope.study.running.together import run_together, wait_for
from emoscope.study.training.run_name import Bars

T = TypeVar("T")


class Outcome(NamedTuple):
    """What became of a training."""

    macro_f1: float | None
    """On the hold-out's validation part; None where it failed."""
    problem: str = ""
    """Why it failed."""
    run: str = ""
    """Name of its folder."""
    epochs: tuple[float, ...] = ()
    """Validation macro F1 of each."""
    is_stopped: bool = False
    """Whether it was pruned."""


LOG_RANGE = 8
"""From this ratio on ordered values are drawn on a logarithmic axis."""
QUANTILES: Final = {"quarter": 0.25, "median": 0.5}
"""Of the trainings before, by pruner."""
PRUNER_TRIALS, PRUNER_EPOCHS = 5, 3
"""Before so many trainings and epochs none is ended: five are MedianPruner's default."""

STARTUP_SHARE = 1 / 3
"""Share of the trials that are random, before a surrogate says anything; Optuna's own default is 10, of 30 a third."""


@dataclasses.dataclass(frozen=True)
class Trial:
    """One point of the search that was trained, or could not be."""

    number: int
    """Counted from 0, in the order in which they were asked for."""
    config: TrainConfig
    macro_f1: float | None
    """On the hold-out's validation part; None where the training failed."""
    problem: str = ""
    """Why it failed."""
    bars: Bars = ()
    """What it had to reach after each epoch to go on."""


def create_sampler(kind: Sampler, seed: int, n_startup: int) -> optuna.samplers.BaseSampler:
    """Create one of Optuna's samplers."""
    if kind == "gp":
        # The objective is a trained network's figure: the same config gives the same value.
        with quiet():
            return optuna.samplers.GPSampler(seed=seed, n_startup_trials=n_startup, deterministic_objective=True)
    if kind == "tpe":
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=n_startup)
    return optuna.samplers.RandomSampler(seed=seed)


def describe_value(value: Any) -> Any:
    """Return a setting's value as Optuna's storages take it: a single size as a number, several as text."""
    if isinstance(value, tuple):
        return value[0] if len(value) == 1 else ", ".join(map(str, value))
    return value


def create_true_distributions(space: Space) -> dict[str, BaseDistribution]:
    """Return a space's distributions with its true values, for those who look at a search."""
    found: dict[str, BaseDistribution] = {}
    for key, choices in space.values.items():
        values = [describe_value(value) for value in choices]
        if not space.is_ordered(key) or len(values) == 1:
            found[key] = CategoricalDistribution(values)
            continue
        # Steps of a factor are drawn as such.
        is_log = values[0] > 0 and values[-1] / values[0] > LOG_RANGE
        kind = IntDistribution if all(isinstance(value, int) for value in values) else FloatDistribution
        found[key] = kind(values[0], values[-1], log=is_log)
    return found


def find_point(space: Space, trial: FrozenTrial) -> dict[str, int]:
    """Return the index of each of a trial's values."""
    return {
        key: [describe_value(value) for value in choices].index(trial.params[key])
        for key, choices in space.values.items()
    }


def create_distributions(space: Space) -> dict[str, BaseDistribution]:
    """Return Optuna's form of a space: indices, as integers where the values are ordered and have a between."""
    return {
        key: IntDistribution(0, len(values) - 1)
        if space.is_ordered(key)
        else CategoricalDistribution(tuple(range(len(values))))
        for key, values in space.values.items()
    }


async def search(
    space: Space,
    submit: Callable[[TrainConfig, Bars], "Future[T]"],
    read: Callable[["Future[T]"], Outcome],
    *,
    n_trials: int,
    sampler: Sampler = "gp",
    seed: int = 0,
    storage: str | None = None,
    name: str = "search",
    on_trial: Callable[[Trial], None] = lambda trial: None,
    in_flight: int = 1,
    pruner: Pruner = "none",
) -> list[Trial]:
    """Ask for trials until n_trials different ones are known.

    A sampler that asks for a known training is told its value and asked again; that costs nothing. Conditional
    settings are sampled always and dropped where they have no effect, so that a surrogate sees one space.

    With several trials in flight, trial i is asked for once the values of trials 0 to i - in_flight are told, no sooner
    and no later: which trials there are depends on in_flight and never on which training happens to end first.

    Args:
        space: what to choose from; must hold n_trials different trainings.
        submit: has a config trained.
        read: tells the outcome of a future of submit() that is done.
        n_trials: different trainings.
        sampler: `gp`, `tpe` or `random`.
        seed: of the search.
        storage: Optuna's database URL; None keeps it in memory.
        name: of the search in that storage.
        on_trial: told every different trial as soon as it is known, those of an earlier call first.
        in_flight: how many trials are asked for before the first of them is told.
        pruner: what ends trainings that fall behind; see compute_bars().

    Returns:
        The different trials in the order in which they were asked for.

    Raises:
        InputError: the storage cannot be used.
        OutputError: it fails while it is written, for example because the disk is full; make room and run it again.
    """
    known: dict[TrainConfig, Trial] = {}
    outcomes: dict[TrainConfig, Outcome] = {}
    futures: dict[TrainConfig, Future[T] | None] = {}
    flying: deque[tuple[FrozenTrial, TrainConfig]] = deque()
    was_known = False
    with explain_failures(storage):
        study = open_study(storage, name)
        earlier = _find_earlier(study, space)
        n_asked = len(earlier)
        for trial in earlier:
            config = space.create_config(find_point(space, trial))
            was_known = config in futures
            # A training that was cut off goes on from its last epoch, and is told when its turn comes.
            if trial.state == TrialState.RUNNING:
                flying.append((trial, config))
            if not was_known:
                futures[config] = submit(config, find_bars(trial)) if trial.state == TrialState.RUNNING else None
            if trial.state != TrialState.RUNNING:
                outcomes.setdefault(config, _read_outcome(trial))
                _remember(known, config, trial, on_trial)
        while len(futures) < n_trials or flying:
            if len(futures) < n_trials and len(flying) < in_flight:
                own_seed = int(np.random.SeedSequence([seed, n_asked]).generate_state(1)[0])
                # Where a surrogate sticks to what it knows, one step at random leads on.
                kind: Sampler = "random" if was_known else sampler
                asked = create_sampler(kind, own_seed, max(1, round(STARTUP_SHARE * n_trials)))
                trial = _ask(study, space, asked, pruner)
                config = space.create_config(find_point(space, trial))
                n_asked, was_known = n_asked + 1, config in futures
                if not was_known:
                    futures[config] = submit(config, find_bars(trial))
                flying.append((trial, config))
                continue
            trial, config = flying.popleft()
            future = futures[config]
            if config in outcomes or future is None:
                outcome = outcomes[config]
            else:
                outcome = Outcome(*read(await wait_for(future)))
            outcomes.setdefault(config, outcome)
            _remember(known, config, _tell(study, trial, outcome), on_trial)
    return list(known.values())


def rehearse_search(
    space: Space,
    evaluate: Callable[[TrainConfig], Outcome | tuple[float | None, str]],
    *,
    n_trials: int,
    **options: Any,
) -> list[Trial]:
    """Search with a function that gives each config's outcome at once; see search() for the rest."""

    def submit(config: TrainConfig, bars: Bars) -> "Future[Outcome]":
        future: Future[Outcome] = Future()
        future.set_result(Outcome(*evaluate(config)))
        return future

    return run_together(search(space, submit, Future.result, n_trials=n_trials, **options))[0]


def _find_earlier(study: optuna.Study, space: Space) -> list[FrozenTrial]:
    """Return the trials of earlier calls, those included that were in flight."""
    known = (TrialState.COMPLETE, TrialState.RUNNING)
    return [
        trial
        for trial in study.get_trials(deepcopy=False)
        if set(trial.params) == set(space.values) and (trial.state in known or _find_problem(trial))
    ]


def _ask(study: optuna.Study, space: Space, sampler: optuna.samplers.BaseSampler, pruner: Pruner) -> FrozenTrial:
    """Ask for a trial and put it down, under way, with all its values at once: a kill leaves a whole one or none.

    The sampler sees indices, which keep the order and the even distances of the values that a file lists.
    """
    earlier, distributions = _find_earlier(study, space), create_distributions(space)
    with quiet():
        indexed = optuna.create_study(direction="maximize", sampler=sampler)
        for trial in earlier:
            indexed.add_trial(_index(space, trial, distributions))
        point = indexed.ask(distributions).params
        bars = compute_bars([[*trial.intermediate_values.values()] for trial in earlier], pruner)
        trial = optuna.trial.create_trial(
            state=TrialState.RUNNING,
            params={key: describe_value(space.values[key][index]) for key, index in point.items()},
            distributions=create_true_distributions(space),
            user_attrs={"bars": list(bars)} if bars else {},
        )
        study.add_trial(trial)
    return study.get_trials(deepcopy=False)[-1]


def _index(space: Space, trial: FrozenTrial, distributions: dict[str, BaseDistribution]) -> FrozenTrial:
    """Return a trial as the sampler sees it."""
    return optuna.trial.create_trial(
        state=trial.state,
        value=trial.value if trial.state == TrialState.COMPLETE else None,
        params=find_point(space, trial),
        distributions=distributions,
    )


def _tell(study: optuna.Study, trial: FrozenTrial, outcome: Outcome) -> FrozenTrial:
    """Tell a trial's outcome; return the trial with it."""
    open_trial = optuna.Trial(study, trial._trial_id)
    with quiet():
        if outcome.run:
            open_trial.set_user_attr("run", outcome.run)
        if outcome.is_stopped:
            open_trial.set_user_attr("stopped", "behind the trials before it")
        for epoch, value in enumerate(outcome.epochs, 1):
            open_trial.report(value, epoch)
        if outcome.macro_f1 is not None:
            # Also one that was stopped: the best that it reached is true, and a surrogate learns from it.
            return study.tell(trial.number, outcome.macro_f1)
        open_trial.set_user_attr("problem", outcome.problem or "failed")
        return study.tell(trial.number, state=TrialState.FAIL)


def _read_outcome(trial: FrozenTrial) -> Outcome:
    attributes = trial.user_attrs
    value = trial.value if trial.state == TrialState.COMPLETE else None
    epochs = tuple(trial.intermediate_values.values())
    return Outcome(value, _find_problem(trial), attributes.get("run", ""), epochs, "stopped" in attributes)


def find_bars(trial: FrozenTrial) -> Bars:
    """Return what a trial's training must reach, as it was put down when it was asked for."""
    bars: list[float] = trial.user_attrs.get("bars", [])
    return tuple(bars)


def compute_bars(curves: Sequence[Sequence[float]], pruner: Pruner) -> Bars:
    """Return what a training must have reached after each epoch to go on, from those before it.

    The median of the best that these had reached by then, as Optuna's MedianPruner takes it, or the lower quartile;
    with `halving` what half of them had reached after PRUNER_EPOCHS, a quarter after twice as many, and so on. One that
    ended early keeps its best. Known when a trial is asked for, so that which trainings end does not depend on
    which of them is faster.

    Args:
        curves: validation macro F1 of each epoch, by training; empty for one that failed.
        pruner: `none`, `quarter`, `median` or `halving`.

    Returns:
        One value per epoch, the first ones 0; nothing while too few trainings are known.
    """
    best = [list(itertools.accumulate(curve, max)) for curve in curves if curve]
    if pruner == "none" or len(best) < PRUNER_TRIALS:
        return ()
    n_epochs = max(map(len, best))
    table = np.array([[*curve, *[curve[-1]] * (n_epochs - len(curve))] for curve in best])
    if pruner == "halving":
        bars, n_done, share = np.zeros(n_epochs), PRUNER_EPOCHS, 0.5
        while n_done <= n_epochs:
            bars[n_done - 1] = np.quantile(table[:, n_done - 1], 1 - share)
            n_done, share = 2 * n_done, share / 2
    else:
        bars = np.quantile(table, QUANTILES[pruner], axis=0)
        bars[:PRUNER_EPOCHS] = 0.0
    return tuple(float(bar) for bar in bars)


def find_best(trials: list[Trial], n: int) -> list[Trial]:
    """Return the n best of different trials, the first of equals first.

    Raises:
        InputError: every trial failed; says why the first one did.
    """
    done = [t for t in trials if t.macro_f1 is not None]
    if not done:
        raise InputError(
            f"all {len(trials)} trials of the search failed, the first because: {trials[0].problem}; mend the study"
        )
    return sorted(done, key=lambda t: (-(t.macro_f1 or 0.0), t.number))[:n]


def _remember(
    known: dict[TrainConfig, Trial], config: TrainConfig, trial: FrozenTrial, on_trial: Callable[[Trial], None]
) -> None:
    """Add a trial to the different ones unless it is among them."""
    if config in known:
        return
    value = trial.value if trial.state == TrialState.COMPLETE else None
    known[config] = Trial(len(known), config, value, _find_problem(trial), find_bars(trial))
    on_trial(known[config])


def _find_problem(trial: FrozenTrial) -> str:
    problem: Any = trial.user_attrs.get("problem", "")
    return str(problem)
