import re
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from app.commands.serving import EXAMPLE_MODEL
from app.console.figures import money
from app.console.providers import checked_endpoint
from app.errors import ConflictError
from tests.console.html import Element, parse
from tests.console.stage import NOW_US, PASSWORD, Stage, Visit, running


def section(visit: Visit, name: str) -> Element:
    return parse(visit.get("/settings").text).one("section", id=name)


def test_a_key_is_shown_once_and_then_only_its_end(fresh: Stage) -> None:
    visit = fresh.visit()
    answer = visit.submit("/settings/keys", {"name": "backend", "provider": "azure", "feature": "search"})
    assert answer.status_code == 200
    secret = parse(answer.text).one("code", id="new-key").text
    assert re.fullmatch(r"lc_key_[A-Za-z0-9]{32}", secret)
    assert answer.text.count(secret) > 5, "the snippets hold it too"
    keys = section(visit, "keys").text
    assert secret not in visit.get("/settings").text
    assert f"lc_key_…{secret[-4:]}" in keys
    assert "azure" in keys
    assert "search" in keys


def test_a_key_made_here_opens_the_gateway_and_a_revoked_one_does_not(fresh: Stage) -> None:
    visit = fresh.visit()
    secret = parse(visit.submit("/settings/keys", {"name": "backend"}).text).one("code", id="new-key").text
    answer = visit.client.get("/v1/models", headers={"x-lectr-key": secret})
    assert answer.status_code == 200
    answer = visit.submit("/settings/keys/revoke", {"name": "backend"})
    assert answer.headers["location"] == "/settings?done=key-revoked#keys"
    assert "The key is revoked" in visit.get("/settings?done=key-revoked").text
    assert "revoked" in section(visit, "keys").text
    assert visit.client.get("/v1/models", headers={"x-lectr-key": secret}).status_code == 401


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": ""}, "a key needs a name"),
        ({"name": "a", "requests_per_minute": "many"}, "A limit is a whole number"),
        ({"name": "a", "requests_per_minute": "0"}, "A limit is a whole number"),
        ({"name": "a", "provider": "nobody"}, "There is no provider"),
    ],
)
def test_a_key_that_cannot_be_is_refused_with_a_sentence(fresh: Stage, fields: dict[str, str], sentence: str) -> None:
    answer = fresh.visit().submit("/settings/keys", fields)
    assert answer.status_code == 422
    assert sentence in parse(answer.text).one("p", role="alert").text


def test_azures_address_is_saved_and_shown_with_the_providers(fresh: Stage) -> None:
    visit = fresh.visit()
    fields = {"endpoint": "https://team.openai.azure.com/openai/v1/", "api_version": "2024-10-21"}
    assert visit.submit("/settings/azure", fields).status_code == 303
    page = parse(visit.get("/settings").text)
    assert page.one("input", name="endpoint").attributes["value"] == "https://team.openai.azure.com"
    assert page.one("input", name="api_version").attributes["value"] == "2024-10-21"
    assert "https://team.openai.azure.com" in parse(visit.get("/models").text).all("table")[0].text
    wrong = visit.submit("/settings/azure", {"endpoint": "http://team.openai.azure.com", "api_version": ""})
    assert wrong.status_code == 422
    assert section(visit, "providers").one("input", name="api_version").attributes["value"] == "2024-10-21"


@pytest.mark.parametrize(
    "text",
    [
        "http://team.openai.azure.com",
        "https://127.0.0.1",
        "https://169.254.169.254/latest",
        "https://[::1]",
        "https://[::ffff:127.0.0.1]",
        "https://2130706433",
        "https://0x7f.1",
        "https://localhost",
        "https://box.local",
        "https://user:pass@team.openai.azure.com",
        "https://team.openai.azure.com?x=1",
        "https://team.openai.azure.com:port",
        "ftp://team.openai.azure.com",
        "team.openai.azure.com",
        "https://",
    ],
)
def test_no_endpoint_that_is_private_or_no_plain_url(text: str) -> None:
    with pytest.raises(ConflictError, match="The endpoint"):
        checked_endpoint(text, allow_private=False)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", ""),
        ("https://team.openai.azure.com/", "https://team.openai.azure.com"),
        ("https://team.openai.azure.com/openai", "https://team.openai.azure.com"),
        ("https://gate.azure-api.net/llm", "https://gate.azure-api.net/llm"),
        ("https://team.openai.azure.us", "https://team.openai.azure.us"),
    ],
)
def test_an_endpoint_is_kept_without_what_lectr_adds(text: str, kept: str) -> None:
    assert checked_endpoint(text, allow_private=False) == kept


def test_a_private_endpoint_is_taken_where_the_box_allows_it() -> None:
    assert checked_endpoint("http://10.0.0.5:8080", allow_private=True) == "http://10.0.0.5:8080"


def test_snippets_name_this_box_and_every_sdk(stage: Stage, admin: Visit) -> None:
    texts = [pre.text for pre in section(admin, "snippets").all("pre")]
    assert len(texts) == 9
    assert all(stage.url in text for text in texts)
    models = [name for text in texts for name in re.findall(r"""\bmodel"?[:=] ?"([^"]+)""", text)]
    assert models == [EXAMPLE_MODEL] * 2, "the README's, which lives"
    anthropic = next(text for text in texts if "Anthropic(" in text)
    assert f'base_url="{stage.url}"' in anthropic, "the SDK adds /v1 itself"


def test_an_admin_adds_links_and_deletes_people(fresh: Stage) -> None:
    visit = fresh.visit()
    fields = {"name": "eve", "password": PASSWORD, "role": "viewer"}
    assert visit.submit("/settings/users", fields).status_code == 303
    assert fresh.visit("eve").get("/").status_code == 200
    answer = visit.submit("/settings/users/link", {"name": "eve"})
    link = next(code.text for code in parse(answer.text).all("code") if "/sign-in/link/" in code.text)
    path = link.removeprefix(fresh.url)
    assert fresh.visit(None).submit(path, {}, page=path).status_code == 303
    assert visit.submit("/settings/users/delete", {"name": "eve"}).status_code == 303
    answer = fresh.visit(None).submit("/sign-in", {"name": "eve", "password": PASSWORD}, page="/sign-in")
    assert answer.status_code == 401


def test_a_form_is_answered_where_it_stands_and_not_at_the_top_of_a_long_page(admin: Visit) -> None:
    sections = parse(admin.get("/settings").text).one("main").all("section")
    places = {place.attributes["id"]: place for one in sections for place in (one, *one) if "id" in place.attributes}
    for one in sections:
        for form in one.all("form"):
            assert form in list(places[form.attributes["action"].partition("#")[2]]), form.attributes["action"]


@pytest.mark.parametrize("name", ["admin", "viewer"])
def test_a_password_manager_is_told_whose_password_changes(stage: Stage, name: str) -> None:
    page = parse(stage.visit(name).get("/settings").text)
    form = page.one("form", action="/settings/password#users")
    fields = [(field.attributes.get("autocomplete"), field.attributes.get("value")) for field in form.all("input")]
    assert fields[-3:] == [("username", name), ("current-password", None), ("new-password", None)]


@pytest.mark.parametrize(
    ("path", "fields", "sentence"),
    [
        ("/settings/users", {"name": "eve", "password": "short", "role": "viewer"}, "at least 10 characters"),
        ("/settings/users", {"name": "eve", "password": PASSWORD, "role": "god"}, "write admin or viewer"),
        ("/settings/users", {"name": "viewer", "password": PASSWORD, "role": "viewer"}, "exists already"),
        ("/settings/users/delete", {"name": "admin"}, "cannot delete yourself"),
        ("/settings/users/delete", {"name": "nobody"}, "no user named"),
        ("/settings/overrides", {"kind": "price", "provider": "openai", "model": "m"}, "at least one rate"),
        ("/settings/overrides", {"kind": "price", "provider": "openai", "model": "m", "input_mtok": "-1"}, "dollars"),
        ("/settings/overrides", {"kind": "price", "provider": "openai", "model": "m", "input_mtok": "NaN"}, "dollars"),
        ("/settings/overrides", {"kind": "alias", "provider": "openai", "model": "m"}, "needs the other name"),
        ("/settings/overrides", {"kind": "hack", "provider": "openai", "model": "m"}, "alias or price"),
        ("/settings/overrides/delete", {"id": "77"}, "no override 77"),
        ("/settings/overrides/delete", {"id": "x"}, "named by its number"),
        ("/settings/zone", {"zone": "Middle/Earth"}, "no time zone"),
        ("/settings/retention", {"days": "-3"}, "write a number of days"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(
    fresh: Stage, path: str, fields: dict[str, str], sentence: str
) -> None:
    answer = fresh.visit().submit(path, fields)
    assert answer.status_code == 422
    assert sentence in parse(answer.text).one("p", role="alert").text


def test_an_own_price_is_in_force_at_once_and_goes_again(fresh: Stage) -> None:
    visit = fresh.visit()
    fields = {"kind": "price", "provider": "openai", "model": "gpt-9", "input_mtok": "1.25", "output_mtok": "$5"}
    assert visit.submit("/settings/overrides", fields).status_code == 303
    assert "$1.25" in visit.get("/detect?model=gpt-9").text
    listed = section(visit, "prices")
    assert "gpt-9" in listed.one("tbody").text
    number = listed.one("tbody").one("input", name="id").attributes["value"]
    assert visit.submit("/settings/overrides/delete", {"id": number}).status_code == 303
    assert "pricing unavailable" in visit.get("/detect?model=gpt-9").text


def test_an_own_name_for_a_model_is_recognised(fresh: Stage) -> None:
    visit = fresh.visit()
    fields = {"kind": "alias", "provider": "openai", "model": "gpt-4o-mini", "alias": "our-small-one"}
    assert visit.submit("/settings/overrides", fields).status_code == 303
    page = parse(visit.get("/detect?model=our-small-one").text)
    assert "openai" in page.one("h2", class_="verdict").text
    assert "$0.15" in page.text


def test_the_reporting_zone_is_shown_with_every_time(fresh: Stage) -> None:
    visit = fresh.visit()
    assert visit.submit("/settings/zone", {"zone": "Asia/Tokyo"}).status_code == 303
    page = parse(visit.get("/requests").text)
    assert "Times in Asia/Tokyo" in page.one("footer").text


def test_a_viewer_sees_the_settings_without_what_changes_them(viewer: Visit) -> None:
    page = parse(viewer.get("/settings").text)
    assert "you can look, but change nothing" in page.text
    actions = {form.attributes["action"] for form in page.all("form") if form.attributes.get("method") == "post"}
    assert actions == {"/theme", "/sign-out", "/settings/azure#providers", "/settings/password#users"}
    assert not page.one("section", id="providers").all("button")


def test_a_new_price_says_what_it_would_change_of_past_requests_priced_or_not_and_then_changes_it(
    tmp_path: Path,
) -> None:
    with running(tmp_path, requests=300) as stage:
        visit = stage.visit()
        first = datetime.fromtimestamp(NOW_US / 1e6, UTC).date() - timedelta(days=20)
        since_us = int(datetime.combine(first, time.min, UTC).timestamp()) * 1_000_000
        minis = [
            entry
            for entry in stage.entries
            if entry.request_model == "gpt-4o-mini" and entry.billable and entry.started_at_us >= since_us
        ]
        unpriced = [entry for entry in stage.entries if entry.request_model == "o9-preview" and entry.billable]
        assert minis
        assert unpriced
        before = sum(entry.cost_picousd or 0 for entry in minis)
        # As the answers name it: a price of that name wins over that of the name that was asked for.
        price = {
            "kind": "price",
            "provider": "openai",
            "model": "gpt-4o-mini-2024-07-18",
            "starts": first.isoformat(),
            "input_mtok": "1000",
            "output_mtok": "1000",
            "cache_read_mtok": "1000",
        }
        tokens = sum(
            (entry.input_tokens or 0) + (entry.output_tokens or 0) + (entry.cache_read_input_tokens or 0)
            for entry in minis
        )
        after = tokens * 10**9
        words = f"{len(minis)} past requests since {first} would cost {money(after)} instead of {money(before)}."
        shown = parse(visit.submit("/settings/overrides", {**price, "do": "preview"}).text)
        assert words in shown.one("section", id="prices").text
        assert visit.get("/settings").text.count("gpt-4o-mini-2024-07-18") == 0, "a look stores nothing"
        whole = parse(visit.get("/requests?range=all&model=gpt-4o-mini").text).all("data")[0].attributes["value"]
        done = parse(visit.submit("/settings/overrides", {**price, "do": "reprice"}).text)
        assert f"{len(minis)} past requests now cost {money(after)}" in done.one("section", id="prices").text
        now = parse(visit.get("/requests?range=all&model=gpt-4o-mini").text).all("data")[0].attributes["value"]
        assert int(now) - int(whole) == after - before
        # And where no price was listed before.
        preview = {"kind": "price", "provider": "openai", "model": "o9-preview", "input_mtok": "1", "do": "preview"}
        shown = parse(visit.submit("/settings/overrides", {**preview, "output_mtok": "1"}).text)
        assert f"{len(unpriced)} past requests would cost" in shown.one("section", id="prices").text
        preview["model"] = "nobody-asks-for-this"
        shown = parse(visit.submit("/settings/overrides", preview).text)
        assert "No past request would cost anything else" in shown.one("section", id="prices").text
