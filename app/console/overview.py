"""/: what was spent today, in 7 and in 30 days, and what needs a look."""

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency

from app.console.page import Page


class OverviewView(msgspec.Struct, frozen=True):
    """The page as `view` of overview.html."""


@get("/")
async def show_overview(page: NamedDependency[Page]) -> Response[bytes]:
    """The overview."""
    return await page.answer("overview.html", OverviewView(), title="Overview")
