"""/settings: keys, providers, snippets, people, prices, the box itself. The forms on it have files of their own."""

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency

from app.catalog.schema import UNITS, Override
from app.console.links import Query
from app.console.models import ProviderLine, provider_line
from app.console.page import Page
from app.console.snippets import Snippet, snippets
from app.ledger import reports
from app.ledger.keys import KeyRow
from app.ledger.users import ROLES, UserRow
from app.ledger.writer import WriterCounters
from app.services import DoctorReport, RepriceReport

_DONE = {
    "key-revoked": "The key is revoked. Programs that use it get 401 from now on.",
    "azure": "Azure's address is saved and in force.",
    "user-added": "The user can sign in now.",
    "user-deleted": "The user is deleted, and signed out everywhere.",
    "password": "The password is changed. All sessions of that user have ended.",
    "override-added": "The override is in force for requests from now on. Past ones change with a reprice only.",
    "override-deleted": "The override is gone. Past requests change with a reprice.",
    "zone": "The reporting zone is changed, and all days are summed anew.",
    "retention": "The retention is changed.",
}
_RATE_FIELDS = ("input_mtok", "cache_read_mtok", "output_mtok")
_PREFILLED = ("model", "provider")


class Created(msgspec.Struct, frozen=True):
    """Something that is shown this once: a key's secret, or a sign-in link."""

    name: str
    secret: str


class ProviderSetting(msgspec.Struct, frozen=True, kw_only=True):
    """One provider as this box reaches it. The box's own key is there or not, never shown."""

    line: ProviderLine
    key_setting: str
    has_key: bool
    base_url_setting: str


class KeyLine(msgspec.Struct, frozen=True):
    """A key and what was spent with it, ever."""

    row: KeyRow
    spend_picousd: int | None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What the last form did: something to show once, or what was wrong with it, by section."""

    section: str
    problem: str | None = None
    given: dict[str, str] = {}
    key: Created | None = None
    link: Created | None = None
    doctor: DoctorReport | None = None
    reprice: RepriceReport | None = None
    preview: RepriceReport | None = None
    """What a price of the team's would change of past requests, or has changed."""
    backup: str | None = None


class SettingsView(msgspec.Struct, frozen=True, kw_only=True):
    """The page as `view` of settings.html."""

    keys: list[KeyLine]
    providers: list[ProviderSetting]
    azure_endpoint: str
    azure_api_version: str
    snippets: list[Snippet]
    base_url: str
    users: list[UserRow]
    roles: tuple[str, ...]
    overrides: list[Override]
    units: tuple[str, ...]
    prefilled: dict[str, str]
    zone: str
    retention_days: int | None
    writer: WriterCounters
    listed_on: str
    models: int
    result: Result | None


@get("/settings")
async def show_settings(page: NamedDependency[Page]) -> Response[bytes]:
    """The page; `?done=` names what was just done."""
    notice = _DONE.get(page.parameters("done").get("done", ""))
    return await answer_settings(page, notice=notice)


async def answer_settings(page: Page, result: Result | None = None, *, notice: str | None = None) -> Response[bytes]:
    """The settings page, with what the last form did. 422 where the form was wrong."""
    status = 422 if result and result.problem else 200
    view = await settings_view(page, result)
    return await page.answer("settings.html", view, title="Settings", status=status, notice=notice)


async def settings_view(page: Page, result: Result | None) -> SettingsView:
    """Everything the page shows."""
    services = page.services
    catalog, team = services.catalog.current, services.team
    usage = await reports.usage_by(services.database, "key", zone="UTC")
    spend = {row.group: row.cost_picousd for row in usage.rows}
    keys = await services.keys.list()
    keys.sort(key=lambda row: (row.revoked_at_us is not None, row.name))
    base_url = page.base_url()
    return SettingsView(
        keys=[KeyLine(row, spend.get(row.name)) for row in keys],
        providers=[
            ProviderSetting(
                line=provider_line(provider, page),
                key_setting=provider.key_setting,
                has_key=bool(services.settings.provider_value(provider.key_setting)),
                base_url_setting=provider.base_url_setting,
            )
            for provider in catalog.providers.values()
        ],
        azure_endpoint=team.values.azure_endpoint or services.settings.azure_endpoint,
        azure_api_version=team.values.azure_api_version or services.settings.azure_api_version,
        snippets=snippets(base_url, result.key.secret if result and result.key else None),
        base_url=base_url,
        users=await services.users.list() if page.visitor.admin else [],
        roles=ROLES,
        overrides=await team.list_overrides(),
        units=(*_RATE_FIELDS, *(unit for unit in UNITS if unit not in _RATE_FIELDS)),
        prefilled=result.given if result else Query("/settings", page.parameters(*_PREFILLED)).values,
        zone=page.zone,
        retention_days=team.values.retention_days,
        writer=services.ledger.counters,
        listed_on=catalog.listed_on.isoformat(),
        models=len(catalog.models),
        result=result,
    )
