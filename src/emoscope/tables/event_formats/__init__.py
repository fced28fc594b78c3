"""Formats of events files: what other tools wrote in, named stretches of time out."""
