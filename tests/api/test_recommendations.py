"""`GET /api/recommendations`: the listed 26, exactly as listed, with today's truth beside each."""

import csv

from tests.api.serving import Lectr
from tests.shared_data import shared_data


def test_it_is_the_seed_list_in_its_order(lectr: Lectr) -> None:
    with shared_data("seed_models.tsv").open() as file:
        listed = [
            (
                row["provider"],
                row["model"],
                row["downgrade_conservative"] or None,
                row["downgrade_aggressive"] or None,
            )
            for row in csv.DictReader(file, delimiter="\t")
        ]
    answered = lectr.json("/api/recommendations")["recommendations"]
    assert len(answered) == 26
    assert [(row["provider"], row["model"], row["conservative"], row["aggressive"]) for row in answered] == listed


def test_the_words_and_the_truth_stand_beside_it(lectr: Lectr) -> None:
    rows = {row["model"]: row for row in lectr.json("/api/recommendations")["recommendations"]}
    assert rows["gpt-4o"]["words"] == "Downgrade → gpt-4o-mini"
    assert rows["gpt-4o-mini"]["words"] == "—"
    opus = next(row for row in rows.values() if row["conservative"] != row["aggressive"])
    assert "(conservative) or " in opus["words"]
    assert opus["words"].endswith("(aggressive)")
    for row in rows.values():
        assert [today["target"] for today in row["today"]] == list(
            dict.fromkeys(name for name in (row["conservative"], row["aggressive"]) if name)
        )


def test_a_downgrade_never_crosses_providers(lectr: Lectr) -> None:
    document = lectr.json("/api/recommendations")
    owners = {(model["provider"], model["id"]) for model in lectr.json("/api/models")["models"]}
    for row in document["recommendations"] + document["living"]:
        for target in (row["conservative"], row["aggressive"]):
            assert target is None or (row["provider"], target) in owners


def test_the_view_has_one_form_so_far(lectr: Lectr) -> None:
    assert lectr.json("/api/recommendations", view="table") == lectr.json("/api/recommendations")
    answer = lectr.get("/api/recommendations", view="chart")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
