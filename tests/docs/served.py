"""A running service for examples: the demo world, as `itemlm serve runs/itemknn --data demo`.

Examples of the documentation ask "http://localhost:8000", which need not be there or may be
somebody else's. `Client` here goes to a service of its own instead, for as long as it is open.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import itemlm
from itemlm import client
from itemlm.types import MissingExtra


@contextmanager
def Client(base_url: str) -> Iterator[client.Client]:
    """A client of a service of its own, whatever address is asked for."""
    with running() as address, client.Client(address) as made:
        yield made


@contextmanager
def running(settings: Path | None = None) -> Iterator[str]:
    """The address of a service over the demo world, on a free port."""
    try:
        import uvicorn

        from itemlm.serve.app import create_app
        from itemlm.serve.running import open_service
        from itemlm.serve.settings import ServiceSettings
    except ImportError as error:
        raise MissingExtra("the service", "serve") from error
    with TemporaryDirectory() as home:
        dataset = itemlm.load("demo")
        itemlm.fit("itemknn", dataset).save(Path(home) / "itemknn")
        service = open_service(
            [Path(home) / "itemknn"],
            home=Path(home),
            dataset=dataset,
            settings=None if settings is None else ServiceSettings.read(settings),
        )
        server = uvicorn.Server(uvicorn.Config(create_app(service), port=0, log_level="warning"))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        (socket,) = server.servers[0].sockets
        try:
            yield f"http://127.0.0.1:{socket.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
