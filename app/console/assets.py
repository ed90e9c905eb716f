"""Static files: read once into a fixed map, named by their content, served for ever.

A name that is not in the map is a 404, so no path of a caller ever reaches the disk.
"""

import gzip
import hashlib
from functools import cache
from pathlib import Path

import msgspec
from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from app.console.caller import AnyRequest

STATIC = Path(__file__).resolve().parents[1] / "static"
_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FOR_EVER = "public, max-age=31536000, immutable"
_HASH_CHARACTERS = 12
# One file: htmx begins as soon as its own script has run, and an extension that comes later finds nothing to do.
_HTMX = ("htmx-4.0.1.min.js", "hx-preload-4.0.1.min.js", "hx-sse-4.0.1.min.js")


class Asset(msgspec.Struct, frozen=True):
    """One static file: its bytes, the same gzipped, its media type and the URL that names this very content."""

    url: str
    media_type: str
    content: bytes
    gzipped: bytes


class Assets(msgspec.Struct, frozen=True):
    """All static files, by plain name (`lectr.css`) and by hashed name (`lectr-0123456789ab.css`)."""

    by_name: dict[str, Asset]
    by_hashed_name: dict[str, Asset]

    def url(self, name: str) -> str:
        """The URL of a static file for a page. Raises KeyError for one that does not exist."""
        return self.by_name[name].url


@cache
def assets() -> Assets:
    """Read app/static: once per process, at first use."""
    files = {file.name: file.read_bytes() for file in sorted(STATIC.rglob("*")) if file.suffix in _MEDIA_TYPES}
    files["htmx.js"] = b"\n".join(files.pop(name) for name in _HTMX)
    by_name = {name: _asset(name, content) for name, content in files.items()}
    return Assets(by_name, {asset.url.rpartition("/")[2]: asset for asset in by_name.values()})


def _asset(name: str, content: bytes) -> Asset:
    stem, suffix = Path(name).stem, Path(name).suffix
    digest = hashlib.sha256(content).hexdigest()[:_HASH_CHARACTERS]
    url = f"/static/{stem}-{digest}{suffix}"
    return Asset(url, _MEDIA_TYPES[suffix], content, gzip.compress(content, 9, mtime=0))


@get("/static/{name:str}", sync_to_thread=False, include_in_schema=False)
def static_file(request: AnyRequest, name: FromPath[str]) -> Response[bytes]:
    """A static file under the hashed name that the pages use."""
    asset = assets().by_hashed_name.get(name)
    if asset is None:
        raise NotFoundException(f"There is no static file {name!r}.")
    headers = {"cache-control": _FOR_EVER, "vary": "accept-encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.gzipped, media_type=asset.media_type, headers=headers | {"content-encoding": "gzip"})
    return Response(asset.content, media_type=asset.media_type, headers=headers)
