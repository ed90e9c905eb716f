"""What a page handler works with: one object with the services, the visitor and the way to answer."""

from typing import Any

import msgspec
from litestar import Response
from litestar.di import NamedDependency

from app.console import caller, render
from app.console.caller import AnyRequest
from app.console.session import Visitor, form_token
from app.ledger.troubles import troubles
from app.services import Services

_MAX_FIELD_CHARACTERS = 100_000


class Page(msgspec.Struct, frozen=True):
    """One request of a person who is signed in."""

    request: AnyRequest
    services: Services
    visitor: Visitor

    @property
    def zone(self) -> str:
        """The reporting zone, in which times and days are shown."""
        return self.services.team.values.reporting_zone

    def now_us(self) -> int:
        """Now, by the clock of the process."""
        return self.services.clock()

    def base_url(self) -> str:
        """This box's address for snippets and links."""
        return caller.base_url(self.request, self.services.settings)

    def parameters(self, *names: str) -> dict[str, str]:
        """The named query parameters that were given and are not empty; of several of a name the last."""
        given = {name: str(value).strip() for name, value in self.request.query_params.items()}
        return {name: given[name] for name in names if given.get(name)}

    async def form(self) -> dict[str, str]:
        """The fields of a posted form, trimmed; of several of a name the last."""
        posted = await self.request.form()
        return {name: value.strip()[:_MAX_FIELD_CHARACTERS] for name, value in posted.items() if isinstance(value, str)}

    def frame(self, title: str, notice: str | None = None) -> render.Frame:
        """What stands around the view."""
        return render.Frame(
            path=self.request.url.path,
            title=title,
            user=self.visitor.name,
            admin=self.visitor.admin,
            csrf=form_token(self.services, self.visitor.token),
            demo=self.services.settings.demo,
            zone=self.zone,
            now_us=self.now_us(),
            theme=render.chosen_theme(self.request),
            version=self.services.version,
            notice=notice,
            troubles=tuple(troubles(self.services.ledger.counters, self.services.care.figures)),
        )

    async def answer(
        self,
        template: str,
        view: Any,
        *,
        title: str,
        block: str | None = None,
        status: int = 200,
        notice: str | None = None,
    ) -> Response[bytes]:
        """The page, or one block of it where htmx asks for a part."""
        frame = self.frame(title, notice)
        return await render.answer(self.request, template, frame, view, block=block, status=status)


async def page(request: AnyRequest, services: NamedDependency[Services], visitor: NamedDependency[Visitor]) -> Page:
    """Dependency `page` of every console route."""
    return Page(request, services, visitor)
