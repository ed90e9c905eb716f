"""README's settings table, made from app/settings.py: `python -m tests.house.settings_table` writes it anew."""

from pathlib import Path
from typing import Any

from app.settings import SETTINGS

README = Path(__file__).resolve().parents[2] / "README.md"
BEGIN = "<!-- settings: python -m tests.house.settings_table writes what follows -->\n"
END = "<!-- end of settings -->\n"


def shown_default(value: Any) -> str:
    """A default as a person would write it into the environment; a dash where there is none."""
    if isinstance(value, Path):
        return f"`./{value}`"
    if isinstance(value, bool):
        return "`1`" if value else "`0`"
    if isinstance(value, float):
        return f"`{value:g}`"
    return f"`{value}`" if value not in ("", ()) else "–"


def render() -> str:
    """The table in Markdown, one row a setting, in the order of SETTINGS."""
    rows = [f"| `{each.variable}` | {shown_default(each.default)} | {each.help} |" for each in SETTINGS]
    return "\n".join(["| variable | default | what it is |", "|---|---|---|", *rows]) + "\n"


def written(readme: str) -> str:
    """The table as it stands in the README. Raises ValueError where its marks are missing."""
    return readme[readme.index(BEGIN) + len(BEGIN) : readme.index(END)]


def main() -> None:
    readme = README.read_text()
    README.write_text(readme.replace(BEGIN + written(readme) + END, BEGIN + render() + END))


if __name__ == "__main__":
    main()
