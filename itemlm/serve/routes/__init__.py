"""The HTTP routes: thin, since what they answer with is made by the service."""
