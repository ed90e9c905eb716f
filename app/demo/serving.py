"""The stand-in on a port of its own, in a thread of its own, and settings that lead there."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import msgspec
import uvicorn

from app.demo.standin import StandIn
from app.settings import Settings

_STARTS_WITHIN_S = 10.0
_BOX_KEY = "demo-box-key"


def base_urls(address: str) -> dict[str, str]:
    """Each provider's base URL (Azure: endpoint) at a stand-in's address, as the settings want it."""
    return {
        "openai": f"{address}/openai",
        "anthropic": f"{address}/anthropic",
        "groq": f"{address}/groq/openai",
        "gemini": f"{address}/gemini/v1beta/openai",
        "azure": f"{address}/azure",
    }


def settings_for_demo(settings: Settings, address: str) -> Settings:
    """The same settings with every provider at the stand-in and a key of the box for callers that bring none.

    The ledger lies in the data folder, whatever DATABASE_URL says.
    """
    urls = base_urls(address)
    return msgspec.structs.replace(
        settings,
        demo=True,
        database_url="",
        allow_private_upstreams=True,
        openai_base_url=urls["openai"],
        anthropic_base_url=urls["anthropic"],
        groq_base_url=urls["groq"],
        gemini_base_url=urls["gemini"],
        azure_endpoint=urls["azure"],
        openai_api_key=_BOX_KEY,
        anthropic_api_key=_BOX_KEY,
        groq_api_key=_BOX_KEY,
        gemini_api_key=_BOX_KEY,
        azure_openai_api_key=_BOX_KEY,
    )


@contextlib.contextmanager
def serving(app: StandIn, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve the stand-in until the block ends; gives its address (`http://127.0.0.1:49152`).

    Raises OSError where the port is taken, TimeoutError where the server does not come up.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    config = uvicorn.Config(
        app, lifespan="off", log_config=None, log_level="critical", access_log=False, loop="asyncio"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), name="demo-standin", daemon=True)
    thread.start()
    deadline = time.monotonic() + _STARTS_WITHIN_S
    while not server.started:
        if time.monotonic() > deadline or not thread.is_alive():
            raise TimeoutError("the demo's stand-in provider did not start")
        time.sleep(0.005)
    try:
        yield f"http://{host}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        # A stream or a silent call may still be open: it is a demo's, and nobody waits for it.
        server.force_exit = True
        thread.join(_STARTS_WITHIN_S)
        listener.close()
