"""The report of a comparison: its folder in; one HTML page, and its tables as Markdown and LaTeX, out.

Every figure is read from a run's folder; figures of the reference study stand beside them, named as such.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from emoscope.core.errors import InputError
from emoscope.core.manifest import Identity, Mark
from emoscope.core.owned import open_owned
from emoscope.core.version import read_version
from emoscope.report.colours import DRAWN
from emoscope.report.page import load_style
from emoscope.study.data.dataset import Dataset
from emoscope.study.report.between_families import create_comparison
from emoscope.study.report.blocks import Block, Drawing, Drawings, Section, number
from emoscope.study.report.evidence import Evidence, load_evidence
from emoscope.study.report.family import create_family
from emoscope.study.report.overview import create_data, create_summary
from emoscope.study.report.resizing import create_resizing
from emoscope.study.report.svg import create_figure_svg
from emoscope.study.report.typeset import escape_latex
from emoscope.study.running.split_folder import draw_faces


def write_report(
    folder: Path, dataset: Dataset | None = None, output: Path | None = None, overwrite: bool = False
) -> Path:
    """Write the report of a comparison, finished or not: `report.html`, `tables.md` and `tables.tex`.

    What is not there yet is named as missing.

    Args:
        folder: of the comparison.
        dataset: the one that it was begun with, for pictures of its faces; without it the report has none.
        output: folder of the files; `report` in the comparison's by default.
        overwrite: whether another study's report may be replaced there.

    Returns:
        Path of `report.html`.

    Raises:
        InputError: the folder holds no comparison, a run that it names is missing, or the dataset is another one.
        OutputError: the place cannot be written, or something else is there.
    """
    evidence = load_evidence(folder)
    output = output or folder / "report"
    values = {
        "name": evidence.comparison.name,
        "sections": create_sections(evidence, dataset),
        "is_finished": not any(phase.n_left for phase in evidence.phases),
        "version": read_version(),
    }
    page = _render("report.html.jinja", {**values, "style": _load_style()}, is_html=True)
    texts = {
        "report.html": page,
        "tables.md": _render("tables.md.jinja", values),
        "tables.tex": _render("tables.tex.jinja", values),
    }
    # A study's files change while it runs; its folder and its data do not.
    study = Identity(evidence.comparison.name, Mark(0, evidence.data_sha256), folder.resolve())
    with open_owned(output, "study-report", study, tuple(texts), overwrite) as working:
        for name, text in texts.items():
            (working / name).write_text(text, encoding="utf-8")
    return output / "report.html"


@dataclass(frozen=True)
class Excerpt:
    """Some sections of a report, which a notebook shows as they are."""

    sections: Sequence[Section]

    def _repr_html_(self) -> str:
        style = Markup((files(__name__) / "excerpt.css").read_text(encoding="utf-8"))
        return _render("excerpt.html.jinja", {"sections": self.sections, "style": style}, is_html=True)


def show_report(folder: Path, keys: Sequence[str], dataset: Dataset | None = None) -> Excerpt:
    """Return some sections of a comparison's report for a notebook, with the numbers that they have there.

    Args:
        folder: of the comparison.
        keys: of the sections, as in the page's addresses: `data`, `comparison`, `vgg-search`, `resizing`, ...
        dataset: the one that it was begun with, for pictures of its faces.

    Raises:
        InputError: the report has no such section; choose one that the message lists.
    """
    sections = [s for top in create_sections(load_evidence(folder), dataset) for s in top.walk()]
    known = {section.key: section for section in sections}
    if unknown := sorted(set(keys) - set(known)):
        raise InputError(f"the report has no section {', '.join(unknown)}; choose from {', '.join(known)}")
    return Excerpt([known[key] for key in keys])


def show_blocks(*blocks: Block) -> Excerpt:
    """Return single blocks, such as those of samples.py, for a notebook."""
    section = Section("excerpt", "", list(blocks))
    number([section])
    return Excerpt([section])


def show_figure(key: str, caption: str, size: tuple[float, float], draw: Callable[[Figure], None]) -> Excerpt:
    """Draw a figure for a notebook: as SVG, in the notebook's own colours, light or dark.

    Args:
        key: unlike that of any other figure in the notebook.
        caption: what it shows.
        size: width and height in inches; text is set in points.
        draw: draws on the figure it is given.
    """
    svg = create_figure_svg(key, size, draw, caption)
    # No larger than it was drawn: a small figure's text would be huge.
    sized = Markup(str(svg).replace("<svg ", f'<svg style="max-width: {96 * size[0]:.0f}px" ', 1))
    # Not numbered: a notebook's cells do not know of each other.
    return Excerpt([Section(key, "", [Drawings([Drawing(key, caption, sized)])])])


def create_sections(evidence: Evidence, dataset: Dataset | None) -> list[Section]:
    """Create everything that a report says, its tables and figures numbered.

    Raises:
        InputError: the dataset is not the one that the study was begun with; name that one.
    """
    n_whole = len(dataset) if dataset else 0
    if dataset:
        if dataset.sha256 != evidence.data_sha256:
            raise InputError(
                f"the study was made with other data ({evidence.data_sha256[:12]}..., these are "
                f"{dataset.sha256[:12]}...); name that dataset with --data"
            )
        dataset = draw_faces(dataset, evidence.comparison)
    sections = [create_summary(evidence), create_data(evidence, dataset, n_whole), create_comparison(evidence)]
    sections += [create_family(evidence, family) for family in evidence.families.values()]
    if resizing := create_resizing(evidence, dataset):
        sections.append(resizing)
    number(sections)
    return sections


def _load_style() -> Markup:
    """Return the style of the application's reports with what this one has beside."""
    return Markup(load_style(["page.css"], DRAWN) + (files(__name__) / "report.css").read_text(encoding="utf-8"))


def _render(template: str, values: dict[str, object], is_html: bool = False) -> str:
    environment = Environment(
        loader=PackageLoader(__name__, "."),
        autoescape=is_html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["latex"] = escape_latex
    return environment.get_template(template).render(values)
