"""The service: an HTTP API and a page over any saved recommender. Needs the extra `serve`."""
