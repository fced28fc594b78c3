"""The search: a family's space in, trials chosen by Optuna and trained one after the other, each recorded, out.

A trial is asked for by a sampler that is made anew with a seed of its own, so that a search which was cut off asks for
the same trials as one that never was. Optuna's storage remembers them; the run folders hold the figures.
"""

import contextlib
import dataclasses
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from emoscope.errors import InputError, OutputError
from emoscope.study.comparison import Sampler, Space
from emoscope.study.config import TrainConfig

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


def create_sampler(kind: Sampler, seed: int, n_startup: int) -> optuna.samplers.BaseSampler:
    """Create one of Optuna's samplers."""
    if kind == "gp":
        # The objective is a trained network's figure: the same config gives the same value.
        return optuna.samplers.GPSampler(seed=seed, n_startup_trials=n_startup, deterministic_objective=True)
    if kind == "tpe":
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=n_startup)
    return optuna.samplers.RandomSampler(seed=seed)


def create_distributions(space: Space) -> dict[str, BaseDistribution]:
    """Return Optuna's form of a space: indices, as integers where the values are ordered and have a between."""
    return {
        key: IntDistribution(0, len(values) - 1)
        if space.is_ordered(key)
        else CategoricalDistribution(tuple(range(len(values))))
        for key, values in space.values.items()
    }


def search(
    space: Space,
    evaluate: Callable[[TrainConfig], tuple[float | None, str]],
    *,
    n_trials: int,
    sampler: Sampler = "gp",
    seed: int = 0,
    storage: str | None = None,
    name: str = "search",
    on_trial: Callable[[Trial], None] = lambda trial: None,
) -> list[Trial]:
    """Ask for trials until n_trials different ones are known.

    A sampler that asks for a known training is told its value and asked again; that costs nothing. Conditional
    settings are sampled always and dropped where they have no effect, so that a surrogate sees one space.

    Args:
        space: what to choose from; must hold n_trials different trainings.
        evaluate: trains; returns validation macro F1, or None and the reason.
        n_trials: different trainings.
        sampler: `gp`, `tpe` or `random`.
        seed: of the search.
        storage: Optuna's database URL; None keeps it in memory.
        name: of the search in that storage.
        on_trial: told every different trial as soon as it is known, those of an earlier call first.

    Returns:
        The different trials in the order in which they were asked for.

    Raises:
        InputError: the storage cannot be used.
        OutputError: it fails while it is written, for example because the disk is full; make room and run it again.
    """
    known: dict[TrainConfig, Trial] = {}
    with _quiet(), _explain_failures(storage):
        study = _open_study(storage, name)
        # A trial that was cut off is asked for again: its run goes on from its last epoch.
        for stale in study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING)):
            study.tell(stale.number, state=TrialState.FAIL)
        asked = [t for t in study.get_trials(deepcopy=False) if t.state == TrialState.COMPLETE or _find_problem(t)]
        n_asked = len(asked)
        was_known = False
        for done in asked:
            was_known = _remember(known, space, done, on_trial)
        distributions = create_distributions(space)
        while len(known) < n_trials:
            own_seed = int(np.random.SeedSequence([seed, n_asked]).generate_state(1)[0])
            # Where a surrogate sticks to what it knows, one step at random leads on.
            kind: Sampler = "random" if was_known else sampler
            study.sampler = create_sampler(kind, own_seed, max(1, round(STARTUP_SHARE * n_trials)))
            trial = study.ask(distributions)
            config = space.create_config(trial.params)
            if config in known:
                value, problem = known[config].macro_f1, known[config].problem
            else:
                value, problem = evaluate(config)
            if value is None:
                trial.set_user_attr("problem", problem or "failed")
                study.tell(trial, state=TrialState.FAIL)
            else:
                study.tell(trial, value)
            n_asked += 1
            was_known = _remember(known, space, study.get_trials(deepcopy=False)[trial.number], on_trial)
    return list(known.values())


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
    known: dict[TrainConfig, Trial], space: Space, trial: FrozenTrial, on_trial: Callable[[Trial], None]
) -> bool:
    """Add a trial to the different ones; return whether it was among them."""
    config = space.create_config(trial.params)
    if config in known:
        return True
    value = trial.value if trial.state == TrialState.COMPLETE else None
    known[config] = Trial(len(known), config, value, _find_problem(trial))
    on_trial(known[config])
    return False


def _find_problem(trial: FrozenTrial) -> str:
    problem: Any = trial.user_attrs.get("problem", "")
    return str(problem)


def _open_study(storage: str | None, name: str) -> optuna.Study:
    # Any failure of a database we did not make: not there, not ours, locked, no driver.
    try:
        return optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
    except Exception as e:
        raise InputError(
            f"the search cannot use the storage {_describe(storage)} ({_shorten(e)}); name a database that you "
            "may write to, such as sqlite:///search.db"
        ) from e


@contextlib.contextmanager
def _explain_failures(storage: str | None) -> Iterator[None]:
    try:
        yield
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as e:
        # Optuna's own message speaks of invalid data, the database's says what it is.
        raise OutputError(
            f"the search's database {_describe(storage)} cannot be used any more ({_shorten(e.__cause__ or e)}); make "
            "room or mend it, and run the command again: finished trainings are kept"
        ) from e


def _describe(storage: str | None) -> str:
    """Return a storage's URL without its password."""
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", storage or "in memory")


def _shorten(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna's log of every trial off the terminal; ours tells the same."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)
