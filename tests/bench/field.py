"""All that is measured side by side, running: Lectr as shipped, nginx, and the peers."""

import contextlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.bench.measure import TARGET_CORE, Target, plain_proxy
from tests.bench.peers import portkey_headers, running_litellm, running_naive, running_portkey
from tests.deploy.running import Lectr, free_port, running_lectr, running_nginx

SLOW = frozenset(("litellm",))
"""What needs half a minute for what the others do in a second, so that it gets more time and fewer rounds."""


class Field:
    """The targets by name, the one port on which their provider is, and what it costs to start each."""

    def __init__(self, nginx: str, folder: Path, upstream_port: int, lectr: Lectr, targets: list[Target]) -> None:
        self.nginx = nginx
        self.folder = folder
        self.upstream_port = upstream_port
        self.lectr = lectr
        self.targets = {target.name: target for target in targets}


@contextlib.contextmanager
def field(nginx: str, folder: Path, *, peers: bool) -> Iterator[Field]:
    """Lectr, nginx twice (with and without its buffers) and, if `peers`, everybody else, all on one core.

    No provider runs yet: each part starts its own on `upstream_port`.
    """
    upstream, buffered, unbuffered = free_port(), free_port(), free_port()
    with ExitStack() as stack:

        def proxy(port: int, *, buffering: bool) -> int:
            block = plain_proxy(port, upstream, buffering=buffering)
            where = folder / f"nginx-{port}"
            return stack.enter_context(running_nginx(nginx, where, block, port, cores=TARGET_CORE))

        lectr = stack.enter_context(running_lectr(folder / "lectr" / "data", upstream, cores=TARGET_CORE))
        lectr.create_key("bench")
        targets = [
            Target("lectr", lectr.port, lectr.process.pid),
            Target("nginx", unbuffered, proxy(unbuffered, buffering=False)),
            Target("nginx, buffering", buffered, proxy(buffered, buffering=True)),
        ]
        if peers:
            targets.append(stack.enter_context(running_naive(folder, upstream)).target())
            portkey = stack.enter_context(running_portkey(folder))
            targets.append(portkey.target(*portkey_headers(upstream)))
            targets.append(stack.enter_context(running_litellm(folder, upstream)).target())
        yield Field(nginx, folder, upstream, lectr, targets)
