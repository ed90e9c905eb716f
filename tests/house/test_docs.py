"""The documents are true: what they name exists, what they show parses, what they promise is in the code."""

import importlib.util
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from app.catalog.load import load_catalog
from app.commands.cli import lectr
from app.settings import SETTINGS
from tests.house import settings_table
from tests.house.files import ROOT, documents

DOCUMENTS = documents()
NO_SETTINGS = {"LECTR_KEY", "LECTR_REQUIRE_TOOLS", "LECTR_SHARED_DATA"}
"""Variables that the documents name and Lectr does not read: an example's own, and the tests'."""
MADE_AT_RUN_TIME = ("data/", "data-demo/", ".venv/")

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def code(text: str) -> list[str]:
    """Everything set as code: the lines of fenced blocks, and what stands between backticks."""
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    prose = re.sub(r"^```\w*\n.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return [*(line for block in fenced for line in block.splitlines()), *re.findall(r"`([^`\n]+)`", prose)]


@each_document
def test_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text())
    local = [target for target in targets if not target.startswith(("http://", "https://"))]
    assert [target for target in local if not (document.parent / target).exists()] == []


def named_paths(text: str) -> Iterator[str]:
    """Paths of the project that stand as code; `<id>` and `*` stand for any name."""
    for piece in code(text):
        for path in re.findall(r"(?<![\w/.-])((?:app|docs|registry|tests|\.ci)/[\w<>*./-]*)", piece):
            yield path.rstrip(".")


@each_document
def test_paths_exist(document: Path) -> None:
    missing = [
        path
        for path in named_paths(document.read_text())
        if not path.startswith(MADE_AT_RUN_TIME) and not any(ROOT.glob(re.sub(r"<\w+>", "*", path.rstrip("/"))))
    ]
    assert missing == []


@each_document
def test_make_targets_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        target
        for piece in code(document.read_text())
        for command in re.findall(r"(?:^|[&;|] ?)make((?: [^&;|#`]+)?)", piece)
        for target in re.findall(r"(?<= )([a-z][a-z-]*)(?= |$)", re.sub(r"-C \S+|\w+=(?:\"[^\"]*\"|\S+)", "", command))
    }
    assert named - targets == set()


def lectr_commands(text: str) -> set[tuple[str, ...]]:
    """(`serve`,), (`keys`, `create`), … as the document names them."""
    found = set()
    for piece in code(text):
        # For Dokku and Docker, lectr is first of all the name of the application; after -C, of a folder.
        piece = re.sub(r"^(?:dokku|docker) \S+(?: --\S+)* lectr\b|-C \S+", "", piece)
        for words in re.findall(r"(?:^|[/ ])(?:lectr|python -m app)((?: [a-z][a-z-]*)+)(?= |$)", piece):
            found.add(tuple(words.split()))
    return found


def exists(words: tuple[str, ...]) -> bool:
    """True if these words lead to a command; words after a command that has no others are its arguments."""
    command: click.Command = lectr
    for word in words:
        if not isinstance(command, click.Group):
            return True
        if word not in command.commands:
            return False
        command = command.commands[word]
    return True


@each_document
def test_lectr_commands_exist(document: Path) -> None:
    assert [words for words in lectr_commands(document.read_text()) if not exists(words)] == []


@each_document
def test_python_modules_exist(document: Path) -> None:
    named = {name for piece in code(document.read_text()) for name in re.findall(r"python -m ([\w.]+)", piece)}
    assert {name for name in named if importlib.util.find_spec(name) is None} == set()


@each_document
def test_settings_exist(document: Path) -> None:
    known = {setting.variable for setting in SETTINGS} | NO_SETTINGS
    assert set(re.findall(r"\bLECTR_[A-Z_]*[A-Z]", document.read_text())) - known == set()


@each_document
def test_examples_parse(document: Path) -> None:
    text = document.read_text()
    for script in blocks(text, "sh"):
        checked = subprocess.run(["bash", "-n"], input=script.encode(), capture_output=True)
        assert checked.returncode == 0, checked.stderr.decode()
    for example in blocks(text, "python"):
        compile(example, str(document), "exec")


def test_the_settings_table_is_made_from_the_settings() -> None:
    readme = settings_table.README.read_text()
    assert settings_table.written(readme) == settings_table.render(), "run python -m tests.house.settings_table"


def test_the_models_of_the_examples_are_alive_and_priced() -> None:
    catalog = load_catalog(ROOT / "registry")
    readme = (ROOT / "README.md").read_text()
    names = set(re.findall(r"model=\"([^\"]+)\"|\"model\": \"([^\"]+)\"", readme))
    for name in {one or other for one, other in names}:
        model = catalog.find(name)
        assert model is not None, name
        assert model.lifecycle.alive_on(catalog.listed_on), name
        assert catalog.price_at(model.provider, name, catalog.listed_on) is not None, name


@pytest.mark.parametrize(
    "said",
    ["retries", "fallback", "caching", "rewriting of models", "guardrails", "WebSockets", "CORS", "`no_usage`"],
)
def test_the_readme_says_what_is_not_done(said: str) -> None:
    assert said in (ROOT / "README.md").read_text()


def test_the_first_screen_has_the_picture_the_command_and_a_request() -> None:
    first = "\n".join((ROOT / "README.md").read_text().splitlines()[:26])
    for shown in (
        "docs/screenshots/requests-1280-light.png",
        "make run",
        "curl http://127.0.0.1:8000/v1/chat/completions",
    ):
        assert shown in first


def test_a_false_name_would_be_seen() -> None:
    text = "Run `lectr fly NAME`, then `make coffee`; see `app/nowhere.py`."
    assert lectr_commands(text) == {("fly",)}
    assert not exists(("fly",))
    assert list(named_paths(text)) == ["app/nowhere.py"]
