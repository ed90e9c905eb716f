"""Settings, providers: Azure's address and API version, and a tiny request to see whether a provider answers."""

import ipaddress
import re
from urllib.parse import urlsplit

from litestar import Response, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from app.console import render
from app.console.page import Page
from app.console.settings import Result, answer_settings
from app.errors import ConflictError, LectrError

_API_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-preview)?", re.ASCII)
_TAIL = re.compile(r"(/openai)?(/v1)?/*$")
_LOCAL_NAMES = (".localhost", ".local", ".internal", ".home.arpa", ".svc")
_LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_PUBLIC_NAME = re.compile(rf"(?:{_LABEL}\.)+(?!\d)(?!0x){_LABEL}", re.ASCII)
_PROTOCOLS = ipaddress.ip_network("192.0.0.0/24")
_UNICAST_V6 = ipaddress.ip_network("2000::/3")


@post("/settings/azure")
async def set_azure(page: NamedDependency[Page]) -> Response[bytes]:
    """Save endpoint and API version; empty takes the setting back to the environment's."""
    form = await page.form()
    try:
        endpoint = checked_endpoint(
            form.get("endpoint", ""), allow_private=page.services.settings.allow_private_upstreams
        )
        version = form.get("api_version", "")
        if version and not _API_VERSION.fullmatch(version):
            raise ConflictError("An API version is a date such as 2024-10-21, or empty for Azure's v1 form.")
        await page.services.team.set("azure_endpoint", endpoint or None)
        await page.services.team.set("azure_api_version", version or None)
    except ConflictError as error:
        return await answer_settings(page, Result(section="providers", problem=str(error), given=form))
    return render.redirect("/settings?done=azure#providers")


@post("/settings/providers/{provider:str}/test")
async def test_provider(page: NamedDependency[Page], provider: FromPath[str]) -> Response[bytes]:
    """Send the one tiny request that `lectr doctor` sends, with the box's own key."""
    if provider not in page.services.catalog.current.providers:
        raise NotFoundException(f"There is no provider {provider[:40]!r}.")
    try:
        report = await page.services.doctor(provider)
    except LectrError as error:
        return await answer_settings(page, Result(section="providers", problem=str(error)))
    return await answer_settings(page, Result(section="providers", doctor=report))


def checked_endpoint(text: str, *, allow_private: bool) -> str:
    """The endpoint as it is kept, without `/openai` and `/v1` at its end. Raises ConflictError with a sentence.

    Whether a name leads to a private address is looked at again with every connection.
    """
    if not text:
        return ""
    try:
        parts = urlsplit(text)
        host = (parts.hostname or "").rstrip(".")
        parts.port  # noqa: B018  # raises ValueError for a port that is none
    except ValueError:
        raise ConflictError("The endpoint is no URL; write it as https://NAME.openai.azure.com.") from None
    plain = text.isascii() and text.isprintable() and not set(text) & set(' \\%"<>^`{|}')
    if not plain or not host or parts.scheme not in ("https", "http") or "@" in parts.netloc or set(text) & set("?#"):
        raise ConflictError("The endpoint is a plain URL such as https://NAME.openai.azure.com.")
    if not allow_private and (parts.scheme != "https" or _is_private(host)):
        raise ConflictError(
            "The endpoint must be https and public. A private one needs LECTR_ALLOW_PRIVATE_UPSTREAMS=1."
        )
    return _TAIL.sub("", f"{parts.scheme}://{parts.netloc}{parts.path}")


def _is_private(host: str) -> bool:
    """True unless it is a name of the public DNS or a public address. 0x7f.1 and 2130706433 are neither."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.lower()
        return _PUBLIC_NAME.fullmatch(name) is None or len(name) > 253 or name.endswith(_LOCAL_NAMES)
    if isinstance(address, ipaddress.IPv6Address):
        # An IPv4 address inside may be anything.
        return address not in _UNICAST_V6 or not address.is_global or bool(address.sixtofour or address.teredo)
    return not address.is_global or address.is_multicast or address in _PROTOCOLS
