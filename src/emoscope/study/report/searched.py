"""What a search found, as drawings: which settings decide, and every trial across its settings."""

from collections.abc import Sequence

import optuna

from emoscope.study.drawings.axes import draw_importances, draw_parallel
from emoscope.study.recipes.families import Space
from emoscope.study.report.blocks import Block, Drawing, Drawings, Paragraph
from emoscope.study.report.evidence import Entry, Family
from emoscope.study.report.hyperparameters import format_setting, list_varied, name_setting
from emoscope.study.report.svg import create_svg
from emoscope.study.running.search import create_true_distributions, describe_value
from emoscope.study.running.search_storage import quiet

MIN_TRIALS = 6
"""Fewer say nothing of which setting decides."""


def create_search_drawings(family: Family, space: Space) -> list[Block]:
    """Draw the importances of a search's settings and its trials across them; nothing where there is no choice."""
    keys = list_varied(space)
    done = [(entry, score) for entry in family.trials if (score := _find_score(entry)) is not None]
    if not keys or len(done) < 2:
        return []
    drawings = []
    if importances := compute_importances(space, done):
        names = ", ".join(f"{name_setting(key)} {share:.0%}" for key, share in importances.items())
        caption = (
            f"{family.name}: how much of the differences between trials each setting explains (functional analysis of "
            f"variance over a forest, {len(done)} trials)."
        )
        titles, shares = [name_setting(key) for key in importances], [*importances.values()]
        height = 0.9 + 0.32 * len(titles)
        svg = create_svg(
            f"{family.key}-importances", (4.4, height), lambda axes: draw_importances(axes, titles, shares), names
        )
        drawings.append(Drawing(f"{family.key}-importances", caption, svg))
    places = [[list(space.values[key]).index(_find_value(space, key, entry)) for key in keys] for entry, _ in done]
    scores = [score for _, score in done]
    columns = [(name_setting(key), [format_setting(value) for value in space.values[key]]) for key in keys]
    svg = create_svg(
        f"{family.key}-parallel",
        (9.0, 3.4),
        lambda axes: draw_parallel(axes, columns, places, scores),
        f"{len(done)} trials across {len(keys)} settings.",
    )
    caption = (
        f"{family.name}: each trial across the settings that were chosen; the better, the darker, the best in red."
    )
    blocks: list[Block] = [Drawings([*drawings, Drawing(f"{family.key}-parallel", caption, svg)])]
    if not drawings:
        blocks.append(Paragraph("Too few different trials to tell which setting decides.", "note"))
    return blocks


def compute_importances(space: Space, done: Sequence[tuple[Entry, float]]) -> dict[str, float]:
    """Return each varied setting's share of the variance between trials, the largest first.

    Hutter et al., An efficient approach for assessing hyperparameter importance, 2014, as Optuna computes it. Nothing
    where there are too few trials or all are alike.
    """
    keys = list_varied(space)
    if len(done) < MIN_TRIALS or len({score for _, score in done}) == 1 or len(keys) < 2:
        return {}
    distributions = create_true_distributions(space)
    with quiet():
        study = optuna.create_study(direction="maximize")
        for entry, score in done:
            params = {key: describe_value(_find_value(space, key, entry)) for key in keys}
            own = {key: distributions[key] for key in keys}
            study.add_trial(optuna.trial.create_trial(value=score, params=params, distributions=own))
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        return dict(optuna.importance.get_param_importances(study, evaluator=evaluator, params=keys))


def _find_score(entry: Entry) -> float | None:
    return entry.training.validation["macro_f1"] if entry.training else None


def _find_value(space: Space, key: str, entry: Entry) -> object:
    """Return a trial's value; of a setting that has no effect in it the first choice."""
    value, choices = getattr(entry.config, key), space.values[key]
    return value if value in choices else choices[0]
