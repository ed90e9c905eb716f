import gzip

import httpx
import pytest

from app.console.assets import STATIC, assets
from tests.console.stage import Stage
from tests.vendor_check import problems


def test_vendored_files_are_the_recorded_ones() -> None:
    assert problems() == []


def test_every_file_is_served_for_ever_under_the_name_of_its_content(stage: Stage) -> None:
    for name in ("lectr.css", "lectr.js", "uplot-1.6.32.min.js", "lucide.svg"):
        url = assets().url(name)
        answer = httpx.get(stage.url + url, headers={"accept-encoding": "gzip"})
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.content == next(STATIC.rglob(name)).read_bytes()
        plain = httpx.get(stage.url + url, headers={"accept-encoding": "identity"})
        assert plain.content == answer.content
        assert "content-encoding" not in plain.headers


@pytest.mark.parametrize(
    "path",
    [
        "/static/lectr.css",
        "/static/../app/settings.py",
        "/static/..%2f..%2fpyproject.toml",
        "/static/%2e%2e/settings.py",
        "/static//etc/passwd",
        "/static/....//vendor.lock.json",
        "/static/vendor.lock.json",
        "/static/.",
        "/static/lectr.css%00",
    ],
)
def test_no_other_path_is_ever_a_file(stage: Stage, path: str) -> None:
    assert httpx.get(stage.url + path, headers={"accept": "text/html"}).status_code == 404


def test_htmx_comes_in_one_file_with_its_extensions_after_it() -> None:
    content = assets().by_name["htmx.js"].content
    places = [content.find(part) for part in (b"var htmx=", b'registerExtension("preload"', b"hx-sse:connect")]
    assert places == sorted(places)
    assert -1 not in places


def test_gzipped_files_are_what_they_were() -> None:
    for asset in assets().by_hashed_name.values():
        assert gzip.decompress(asset.gzipped) == asset.content
