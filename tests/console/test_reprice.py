"""A reprice from the settings: it outlives its browser, and what the ledger says is told."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.errors import LedgerError
from app.ledger.reprice import apply_reprice
from tests.api.serving import wait_until
from tests.console.html import parse
from tests.console.stage import Stage, running


def test_a_reprice_goes_on_when_its_browser_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = threading.Event()

    async def apply_later(*given: Any) -> int:
        begun.set()
        await asyncio.sleep(0.5)
        return await apply_reprice(*given)

    monkeypatch.setattr("app.operations.reprice.apply_reprice", apply_later)
    with running(tmp_path, requests=300) as stage:
        visit = stage.visit()
        price = {"kind": "price", "provider": "openai", "model": "o9-preview", "input_mtok": "1", "output_mtok": "1"}
        assert visit.submit("/settings/overrides", price).status_code == 303
        unpriced = "/requests?range=all&model=o9-preview&priced=false"
        assert "data-id" in visit.get(unpriced).text
        with pytest.raises(httpx.ReadTimeout):
            visit.client.post(
                "/settings/reprice",
                data={"csrf": visit.csrf("/settings"), "for_good": "1"},
                headers={"origin": stage.url},
                timeout=0.2,
            )
        visit.client.close()
        assert begun.is_set()
        wait_until(lambda: "data-id" not in stage.visit().get(unpriced).text)


def test_a_reprice_that_the_ledger_refuses_is_a_sentence(fresh: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_given: object) -> None:
        raise LedgerError("the ledger could not be written: the disk is full")

    monkeypatch.setattr("app.operations.reprice.Reprice.run", refuse)
    answer = fresh.visit().submit("/settings/reprice", {"for_good": "1"})
    assert answer.status_code == 422
    page = parse(answer.text)
    [alert] = page.all("p", role="alert")
    assert "the disk is full" in alert.text
    assert alert in list(page.one("div", id="reprice")), "where the form stands"
