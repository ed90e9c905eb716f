"""Prints how many of the listed model ids are detected as expected: `python -m tests.bench.detection_count`."""

import csv
import os
import sys
from pathlib import Path

from app.catalog.load import load_catalog
from app.detection.detect import detect

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    folder = Path(os.environ.get("LECTR_SHARED_DATA", ROOT.parent / "shared" / "data"))
    listed = folder / "model_ids.tsv"
    if not listed.exists():
        print(f"detection: not measured, {listed.name} is not beside the project")
        return 0
    catalog = load_catalog(ROOT / "registry")
    with listed.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    right = 0
    for row in rows:
        detection = detect(catalog, model=row["model_id"])
        right += row["expected_provider"] == (detection.provider if detection.recognised else "unknown")
    print(f"detection: {right:,} of {len(rows):,} model ids as expected")
    return 0 if right == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
