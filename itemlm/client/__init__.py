"""Client: ask a running service from Python, with or without `await`.

    from itemlm.client import Client

    with Client("http://localhost:8000") as client:
        slate = client.recommend(history=["heat-1995"], k=5, fields=["title"])
        client.add_events([{"user_id": "ann", "item_id": slate.items[0].item_id, "kind": "click"}])

What can be asked is described once, in `calls.py`; `transports.py` sends it. Answers are the models
of `itemlm.serve.schemas`. Neither PyTorch nor the service's own packages are needed.
"""

from itemlm.client.errors import ServiceError
from itemlm.client.transports import AsyncClient, Client

__all__ = ["AsyncClient", "Client", "ServiceError"]
