"""report.html: one file that shows a run offline. No script, style, font or picture comes from elsewhere.

Every text that a data file could bring is escaped; the page's own policy forbids it to load anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from poseda.report import headline, samples, sections
from poseda.report.arms import TARGET, colours
from poseda.report.viewer import viewer_data
from poseda.runs.record import RunRecord


def build_page(record: RunRecord) -> str:
    """The page of a run; sections for which the run has nothing are left out."""
    models = headline.Models.of(record)
    header = headline.header(record)
    return _page(
        "run.html",
        kicker="poseda report",
        name=header["name"],
        facts=[f"{name} {value}" for name, value in header["facts"].items()],
        widget=False,
        verdict=headline.verdict(record, models),
        arms=headline.arms(record, models),
        glance=headline.tiles(record, models),
        viewer=viewer_data(record, models),
        labelfree=sections.labelfree(record, models),
        at_limits=sections.at_limits(record, models),
        placements=samples.placements(record),
        examples=samples.examples(record),
        generator=samples.generator(record),
        alignment=sections.alignment(record),
        results=sections.results(record, models),
        training=sections.training(record),
        protocol=sections.protocol(record, models),
    )


def build_viewer(name: str, facts: Sequence[str], viewer: dict[str, Any], widget: bool = False) -> str:
    """A page of the viewer alone.

    Args:
        name: its title.
        facts: what stands beneath the title.
        viewer: what viewer.js reads, with a title and a lead.
        widget: leave out the title, for a page within another.
    """
    return _page(
        "viewer.html",
        kicker="poseda: lifted poses",
        name=name,
        facts=list(facts),
        viewer=viewer,
        widget=widget,
    )


def _page(content: str, **values: Any) -> str:
    """A page around the template of its content."""
    template = _templates().get_template("page.html")
    return template.render(content=content, colours=colours(), target_tone=TARGET, **values)


@cache
def _templates() -> Environment:
    """The templates, which escape all that they are given and refuse a name that they were not given."""
    return Environment(
        loader=PackageLoader("poseda.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
