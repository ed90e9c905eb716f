"""What everything was measured on: the machine, and the version of each program."""

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

from tests.conftest import find_tool

_PYTHON_PEERS = {"litellm": ("litellm",), "naive": ("litestar", "httpx", "uvicorn")}
_OWN = ("uvicorn", "uvloop", "httptools", "msgspec", "litestar")


def describe(bench: Path) -> dict[str, str]:
    """Names and values for people, in the order in which they are shown. `bench` is where the peers were installed."""
    with open("/proc/meminfo") as memory:
        kib = int(memory.readline().split()[1])
    found = {
        "cores": str(os.cpu_count()),
        "processor": _processor(),
        "memory": f"{kib / 2**20:.0f} GiB",
        "system": f"{_distribution()}, Linux {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "lectr's packages": ", ".join(f"{name} {version(name)}" for name in _OWN),
        "nginx": _said(["nginx", "-v"], r"nginx/(\S+)"),
        "wrk": _said(["wrk", "--version"], r"wrk (\S+)"),
        "node": _said(["node", "--version"], r"v(\S+)"),
    }
    for folder, names in _PYTHON_PEERS.items():
        site = next((bench / folder).glob("lib/python*/site-packages"), None)
        if site is not None:
            found[folder] = _versions(site, names)
    modules = bench / "portkey" / "node_modules"
    if modules.is_dir():
        packages = ("@portkey-ai/gateway", "hono", "@hono/node-server")
        found["portkey"] = ", ".join(f"{name} {_npm_version(modules / name)}" for name in packages)
    return found


def _versions(site: Path, names: tuple[str, ...]) -> str:
    found = {}
    for name in names:
        for info in site.glob(f"{name}-*.dist-info"):
            found[name] = info.name.removesuffix(".dist-info").partition("-")[2]
    return ", ".join(f"{name} {number}" for name, number in found.items())


def _npm_version(folder: Path) -> str:
    match = re.search(r'"version": *"([^"]+)"', (folder / "package.json").read_text())
    return match[1] if match else "?"


def _said(command: list[str], pattern: str) -> str:
    path = find_tool(command[0])
    if path is None:
        return "missing"
    said = subprocess.run([path, *command[1:]], capture_output=True, text=True)
    match = re.search(pattern, said.stdout + said.stderr)
    return match[1] if match else "?"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _distribution() -> str:
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    return release.get("PRETTY_NAME", "Linux").strip('"')
