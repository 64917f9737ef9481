"""The protocol card: what it says of the data that a run learned from, and of others."""

from __future__ import annotations

from dataclasses import replace

from poseda.config import RunConfig, to_json
from poseda.datasets.synthetic.embedded import EmbeddedDomains
from poseda.runs.card import evaluation_card, protocol_card

WIDE = RunConfig(arms=("wide",))


class Told(EmbeddedDomains):
    """Domains of the user's, which know what tells the vertical of their source."""

    source_up = "from the rotations of the source's cameras"


def test_what_tells_the_vertical_of_the_source_stands_on_the_cards_of_the_arms_that_read_it() -> None:
    domains = Told(size=0.05)
    assert protocol_card(WIDE, domains, ())["up in the source"] == domains.source_up
    assert "up in the source" not in protocol_card(replace(WIDE, arms=("gpa",)), domains, ())
    assert "up in the source" not in protocol_card(WIDE, EmbeddedDomains(size=0.05), ())


def test_a_source_that_taught_nothing_does_not_stand_on_the_card_of_an_evaluation() -> None:
    domains = Told(size=0.05)
    record = {"config": to_json(WIDE), "data": {"name": "other", "sha256": "0"}}
    card = evaluation_card(record, domains, "target_test")
    assert card["target"].startswith("other data: ") and "up in the source" not in card
    record["data"]["sha256"] = domains.fingerprint()
    assert "up in the source" in evaluation_card(record, domains, "target_test")
