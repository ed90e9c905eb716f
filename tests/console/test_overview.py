import asyncio
import random
import time
from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from app.asgi import REGISTRY_DIR
from app.catalog.load import load_catalog
from app.console import figures, overview
from app.console.page import Page
from app.counters import Counters
from app.domain import LedgerEntry, Outcome
from app.ledger.database import open_database
from app.ledger.insert import insert_many
from app.ledger.schema import NOT_BEGUN, UTC_CALENDAR
from app.ledger.tables import calendars
from app.services import DOCTOR_KEY
from app.settings import Settings
from tests.console.html import parse
from tests.console.stage import NOW_US, Stage, Visit, running
from tests.console.traffic import DAY_US, request_at
from tests.postgres import database_url


def test_the_sums_are_those_of_the_ledger_and_say_what_is_missing(stage: Stage, admin: Visit) -> None:
    first = NOW_US // DAY_US * DAY_US - 29 * DAY_US
    month = [entry for entry in stage.entries if entry.started_at_us >= first]
    tile = parse(admin.get("/").text).all("dl", class_="tiles")[0].all("div")[2]
    assert tile.one("dt").text == "30 days"
    assert tile.all("dd")[0].text == figures.money(sum(entry.cost_picousd or 0 for entry in month))
    unpriced = sum(entry.billable and entry.cost_picousd is None for entry in month)
    assert tile.all("dd")[2].text == f"{unpriced} of {len(month)} requests have no price: not in this sum"
    assert tile.all("a")[1].attributes["href"] == "/requests?range=30d&priced=false"


def test_the_chart_stands_as_a_table_too_and_both_sum_to_the_same(stage: Stage, admin: Visit) -> None:
    page = parse(admin.get("/").text)
    table = page.one("table", id="by-day-table")
    assert len(table.one("tbody").all("tr")) == 30
    total = 0
    for row in table.one("tbody").all("tr"):
        *parts, whole = [int(data.attributes["value"]) for data in row.all("data")]
        assert sum(parts) == whole
        total += whole
    first = NOW_US // DAY_US * DAY_US - 29 * DAY_US
    assert total == sum(entry.cost_picousd or 0 for entry in stage.entries if entry.started_at_us >= first)


def test_today_and_seven_days_are_parts_of_the_same_days(stage: Stage, admin: Visit) -> None:
    tiles = parse(admin.get("/?range=7d").text).all("dl", class_="tiles")[0].all("div")
    for tile, days in zip(tiles, (1, 7, 30), strict=True):
        first = (NOW_US // DAY_US - days + 1) * DAY_US
        spent = sum(entry.cost_picousd or 0 for entry in stage.entries if entry.started_at_us >= first)
        assert tile.one("dd", class_="figure").one("data").attributes["value"] == str(spent)


def test_the_share_of_errors_leads_to_just_these_requests(stage: Stage, admin: Visit) -> None:
    [link] = [link for link in parse(admin.get("/").text).all("a") if "failed=true" in link.attributes["href"]]
    first = (NOW_US // DAY_US - 29) * DAY_US
    failed = sum(entry.outcome != "ok" for entry in stage.entries if entry.started_at_us >= first)
    page = parse(admin.get(link.attributes["href"]).text)
    assert page.one("p", class_="tally").all("strong")[0].text == str(failed)
    assert page.one("a", class_="chip").text == "failed"


def test_what_advice_would_save_is_asked_for_again_while_it_is_not_there_and_waited_for_by_nobody(
    fresh: Stage, admin: Visit
) -> None:
    deadline = time.monotonic() + 20
    while "hx-trigger" in (tile := parse(admin.fragment("/?part=advised").text).one("div", id="advised")).attributes:
        assert tile.attributes["hx-get"] == "/?part=advised"
        assert "being worked out" in tile.text
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert tile.one("a").attributes["href"] == "/recommendations#traffic"
    assert parse(admin.get("/").text).one("div", id="advised").text == tile.text
    assert len(parse(fresh.visit().get("/").text).all("div", id="advised")) == 0, "nothing to advise on"


def test_models_in_use_that_end_soon_are_named(admin: Visit) -> None:
    section = parse(admin.get("/").text).one("section", aria_labelledby="retiring")
    assert "gpt-4o-mini" in section.text
    assert "until 2027-01-14" in section.text


def test_the_range_is_in_the_url(admin: Visit) -> None:
    assert len(parse(admin.get("/?range=7d").text).one("table", id="by-day-table").one("tbody").all("tr")) == 7
    assert admin.get("/?range=nonsense").status_code == 200


def test_an_empty_ledger_says_what_to_do_first(fresh: Stage) -> None:
    page = parse(fresh.visit().get("/").text)
    assert "Nothing to sum yet" in page.text
    assert any(link.attributes["href"] == "/settings#keys" for link in page.all("a"))


def test_features_share_the_cost_out_and_name_the_header_that_mends_the_rest(stage: Stage, admin: Visit) -> None:
    page = parse(admin.get("/features?range=all").text)
    table = page.one("section", aria_labelledby="by-1").one("table")
    shown = {row.one("th").one("a").text: row for row in table.one("tbody").all("tr")}
    for name in ("search", "support-bot"):
        spent = sum(entry.cost_picousd or 0 for entry in stage.entries if entry.feature == name)
        assert shown[name].one("data").attributes["value"] == str(spent)
        assert shown[name].one("th").one("a").attributes["href"] == f"/requests?range=all&feature={name}"
    untagged = sum(entry.feature is None for entry in stage.entries)
    note = page.one("div", class_="note").text
    assert note.startswith(f"{figures.share(untagged, len(stage.entries))} of the requests name no feature.")
    assert "X-Lectr-Feature: search" in note


def test_lectrs_own_part_says_of_which_requests_it_is(admin: Visit) -> None:
    assert "no request was sent to a provider in this process yet" in parse(admin.get("/").text).text


def test_one_request_has_no_price_and_two_have_none(tmp_path: Path) -> None:
    with running(tmp_path, requests=60) as stage:
        first = NOW_US // DAY_US * DAY_US - 29 * DAY_US
        month = [entry for entry in stage.entries if entry.started_at_us >= first]
        unpriced = sum(entry.billable and entry.cost_picousd is None for entry in month)
        assert unpriced == 1
        assert f"1 of {len(month)} requests has no price: not in this sum" in parse(stage.visit().get("/").text).text


def test_lectrs_own_part_is_of_the_requests_this_process_has_seen() -> None:
    services = SimpleNamespace(counters=Counters(overheads_us=deque(range(1, 101))))
    view = overview._overhead(cast(Page, SimpleNamespace(services=services)))
    assert view is not None
    assert (view.p50_us, view.p95_us, view.p99_us, view.requests) == (51, 96, 100, 100)


def test_while_the_days_of_a_new_zone_are_summed_pages_say_that_they_show_others(tmp_path: Path) -> None:
    async def summed_not_yet() -> None:
        database = await open_database(Settings(data_dir=tmp_path, database_url=database_url(tmp_path)))
        other = calendars.update().where(calendars.c.id != UTC_CALENDAR).values(built_from_day=NOT_BEGUN)
        await database.write(lambda connection: connection.execute(other))
        await database.close()

    with running(tmp_path, requests=60) as stage:
        visit = stage.visit()
        assert visit.submit("/settings/zone", {"zone": "Asia/Tokyo"}).status_code == 303
        for path in ("/", "/requests", "/features"):
            assert "being summed anew" not in visit.get(path).text
        asyncio.run(summed_not_yet())
        for path in ("/", "/requests", "/features"):
            page = parse(visit.get(path).text)
            assert "The days are being summed anew for Asia/Tokyo." in page.one("main").text, path
            assert "Times in Asia/Tokyo" in page.text


def test_what_doctor_asked_is_nobodys_error_and_no_traffic(tmp_path: Path) -> None:
    catalog, rng = load_catalog(REGISTRY_DIR), random.Random(1)
    asked = [request_at(catalog, NOW_US - number * 1_000_000, rng) for number in range(12)]
    for one in asked:
        one.outcome, one.status = Outcome.OK, 200
    for one in asked[:2]:
        one.key, one.outcome, one.status = DOCTOR_KEY.name, Outcome.PROVIDER_ERROR, 401
    asked[2].outcome, asked[2].status = Outcome.PROVIDER_ERROR, 500

    async def write(some: list[LedgerEntry]) -> None:
        database = await open_database(Settings(data_dir=tmp_path, database_url=database_url(tmp_path)))
        await insert_many(database, some)
        await database.close()

    with running(tmp_path, requests=0) as stage:
        asyncio.run(write(asked[:2]))
        page = parse(stage.visit().get("/").text).one("main")
        assert "No request of a program came in these days." in page.text
        assert "Errors" not in page.text
        asyncio.run(write(asked[2:]))
        visit = stage.visit()
        [tile] = [one for one in parse(visit.get("/").text).all("div", class_="tile") if "Errors" in one.text]
        assert [dd.text for dd in tile.all("dd")] == ["10.0 %", "1 of 10 requests, 2 of lectr doctor apart"]
        address = tile.all("a")[1].attributes["href"]
        assert len(parse(visit.get(address).text).all("a", class_="row")) == 2
