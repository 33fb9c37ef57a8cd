"""itemlm: item language models, from a catalogue and an event log to honest recommendations."""

__version__ = "0.1.0"
