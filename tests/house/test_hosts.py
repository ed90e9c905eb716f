"""The files that hosts read agree with each other, with the settings and with docs/deploy.md."""

import json
import os
import re

import yaml

from app.settings import SETTINGS
from tests.house.files import ROOT

DEPLOY = (ROOT / "docs/deploy.md").read_text()
NGINX = (ROOT / "docs/nginx.conf").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_the_procfile_is_yaml_and_needs_nothing_but_the_pins() -> None:
    lines = yaml.safe_load((ROOT / "Procfile").read_text())
    assert lines == {"web": "python -m app serve --host 0.0.0.0"}


def test_app_json_names_settings_and_the_health_check() -> None:
    app = json.loads((ROOT / "app.json").read_text())
    secrets = {setting.variable for setting in SETTINGS if setting.secret}
    for variable, entry in app["env"].items():
        setting = next(setting for setting in SETTINGS if setting.variable == variable)
        assert entry["description"] == setting.help.split(" If unset")[0]
        assert entry.get("generator") != "secret" or variable in secrets
    [check] = app["healthchecks"]["web"]
    assert (check["type"], check["path"]) == ("startup", "/health")
    assert app["formation"]["web"]["quantity"] == 1


def test_the_image_listens_where_its_host_says() -> None:
    """With EXPOSE, Dokku would serve that port to the world instead of 80."""
    assert "EXPOSE" not in DOCKERFILE
    assert "HOST=0.0.0.0 PORT=8000 LECTR_DATA_DIR=/data" in DOCKERFILE
    assert "--require-hashes -r requirements.txt" in DOCKERFILE


def test_the_image_gets_what_the_dockerfile_copies_and_no_data() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        source for sources in re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.MULTILINE) for source in sources.split()
    }
    assert copied == allowed
    assert {"data", ".git", ".venv"} & allowed == set()


def test_dokku_gets_what_nginx_gets() -> None:
    directives = dict(re.findall(r"^(\w+) (\S+);", NGINX, re.MULTILINE))
    properties = dict(re.findall(r"dokku nginx:set lectr (\S+) (\S+)", DEPLOY))
    assert {name.replace("-", "_"): value for name, value in properties.items()} == {
        name: value for name, value in directives.items() if name != "proxy_request_buffering"
    }


def test_dokku_mounts_what_lectr_writes_to() -> None:
    mount = re.search(r"storage:mount lectr \S+:(\S+)", DEPLOY)
    assert mount is not None
    assert f"LECTR_DATA_DIR={mount[1]}" in DEPLOY


def test_systemd_waits_longer_than_lectr_drains() -> None:
    drain = next(setting.default for setting in SETTINGS if setting.variable == "LECTR_DRAIN_TIMEOUT_S")
    waits = re.search(r"TimeoutStopSec=(\d+)", DEPLOY)
    assert waits is not None
    assert int(waits[1]) > drain


def test_ci_can_be_run() -> None:
    assert os.access(ROOT / ".ci/run", os.X_OK)
