"""The URL is the state: a page's query, and the links that change one thing of it."""

from urllib.parse import quote, urlencode

import msgspec

_STAYS = "%/:?#[]@!$&'()*+,;=~"
"""What may stand in an address as it is; a percent sign begins what is quoted already."""


class Query(msgspec.Struct, frozen=True):
    """A path and the parameters that were given and understood, in a fixed order."""

    path: str
    values: dict[str, str] = {}

    def url(self, path: str | None = None, **changes: str | None) -> str:
        """The same page with these parameters changed; None takes one away."""
        merged = {name: value for name, value in {**self.values, **changes}.items() if value not in (None, "")}
        target = path or self.path
        return f"{target}?{urlencode(merged)}" if merged else target

    def bare(self, *keep: str) -> str:
        """The same page with only these parameters."""
        return self.url(**{name: None for name in self.values if name not in keep})

    def get(self, name: str) -> str | None:
        """The value of a parameter, None where it was not given."""
        return self.values.get(name)

    def without(self, *names: str) -> "Query":
        """The same query without these parameters."""
        return Query(self.path, {name: value for name, value in self.values.items() if name not in names})


def local_path(target: str | None) -> str:
    """`target` if it is a path of this console, else `/`: a link may not lead a person who signs in elsewhere."""
    if target and target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable():
        # A header field holds bytes: a name in the path may be in any script.
        return quote(target, safe=_STAYS)
    return "/"
