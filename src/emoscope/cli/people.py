"""The command by which people are put in order: `emoscope people`."""

from emoscope.cli.options import AsJson, print_json, say
from emoscope.cli.report import Result


def people(folder: Result, as_json: AsJson = False) -> None:
    """Write people.csv, in which you say who is who and who does not count, and people.html, which shows them.

    Then `emoscope report DIR` applies it. An edited people.csv is never overwritten.
    """
    from emoscope.analysis.people_template import write_template

    template = write_template(folder)
    if as_json:
        files = {"people": str(template.people), "page": str(template.page)}
        print_json({**files, "n_people": template.n_people, "n_pictures": template.n_pictures})
        return
    if not template.n_pictures:
        say("warning: there are no pictures of faces; `emoscope analyze --thumbnails clear` keeps some", err=True)
    n = "1 person" if template.n_people == 1 else f"{template.n_people} people"
    say(f"{folder}: {n} -> {template.people}, shown in {template.page}")
