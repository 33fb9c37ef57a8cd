"""The web page of the service: a catalog to wander through, and its recommendations to turn.

Pages are made on the server from templates (`templates/`), which escape all that they show. htmx
exchanges parts of a page when something changes; a few small modules of our own draw the map and
move the dials (`static/`). There is no build step, nothing comes from another host, and no script
or style stands in a page, so a strict Content-Security-Policy holds.
"""

from itemlm.serve.page.routes import page_router

__all__ = ["page_router"]
