"""Checks that every front-end file taken from elsewhere is the one that vendor.lock.json records.

`python -m tests.vendor_check` compares hashes. `python -m tests.vendor_check --from FOLDER` takes the files anew from
npm packages unpacked in FOLDER (`FOLDER/<package>/package.json`) and writes the lock; look at the difference first.
"""

import gzip
import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
STATIC = ROOT / "app" / "static"
LOCK = STATIC / "vendor.lock.json"
OWN_FILES = {"LICENCES.txt", "lectr.css", "lectr.js", "chart.js", "favicon.svg", "vendor.lock.json"}
FIRST_LOAD_BYTES = 60_000


def read_lock() -> dict[str, dict[str, Any]]:
    """The lock: path from the project root -> package, version, licence, source, sha256 (and the icons' names)."""
    lock: dict[str, dict[str, Any]] = json.loads(LOCK.read_text())
    return lock


def problems() -> list[str]:
    """A sentence for each file that is missing, changed, not recorded, or too much."""
    lock = read_lock()
    found = []
    for path, entry in lock.items():
        file = ROOT / path
        if not file.is_file():
            found.append(f"{path} is missing")
        elif hashlib.sha256(file.read_bytes()).hexdigest() != entry["sha256"]:
            found.append(f"{path} is not {entry['package']} {entry['version']} as recorded")
        found += [
            f"{path}: no {field}" for field in ("package", "version", "licence", "source") if not entry.get(field)
        ]
    for file in sorted(STATIC.rglob("*")):
        path = str(file.relative_to(ROOT))
        if file.is_file() and file.name not in OWN_FILES and path not in lock:
            found.append(f"{path} is in no lock: where does it come from?")
    weight = first_load_bytes()
    if weight > FIRST_LOAD_BYTES:
        found.append(f"all static files together are {weight} bytes gzipped, more than {FIRST_LOAD_BYTES}")
    return found


def first_load_bytes() -> int:
    """Gzipped size of everything a browser can be asked to load, pages aside."""
    return sum(
        len(gzip.compress(file.read_bytes(), 9))
        for file in STATIC.rglob("*")
        if file.is_file() and file.name not in (LOCK.name, "LICENCES.txt")
    )


def sprite(folder: Path, names: list[str]) -> bytes:
    """One SVG of symbols from Lucide's files, without what they all share."""
    symbols = []
    for name in names:
        text = (folder / "icons" / f"{name}.svg").read_text()
        body = re.sub(r"\s+", " ", re.sub(r"^.*?<svg[^>]*>|</svg>\s*$", "", text, flags=re.DOTALL)).strip()
        symbols.append(
            f'<symbol id="{name}" viewBox="0 0 24 24">{body.replace(" />", "/>").replace("> <", "><")}</symbol>'
        )
    return ('<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n").encode()


def take_from(folder: Path) -> None:
    """Copy every locked file from unpacked npm packages and record version and hash."""
    lock = read_lock()
    for path, entry in lock.items():
        package = folder / entry["package"]
        entry["version"] = json.loads((package / "package.json").read_text())["version"]
        names = entry.get("icons")
        content = sprite(package, names) if names else (package / entry["source"]).read_bytes()
        if path.endswith(".gz"):
            content = gzip.compress(content, 9, mtime=0)
        (ROOT / path).write_bytes(content)
        entry["sha256"] = hashlib.sha256(content).hexdigest()
    LOCK.write_text(json.dumps(lock, indent=2) + "\n")


def main() -> int:
    """Exit code 1 where something is not as recorded."""
    if sys.argv[1:2] == ["--from"]:
        take_from(Path(sys.argv[2]))
    found = problems()
    for problem in found:
        print(problem)
    if not found:
        print(f"{len(read_lock())} vendored files as recorded; {first_load_bytes()} bytes gzipped in all")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
