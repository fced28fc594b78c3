"""Faces -> people over time: numbers that stay with a person, and smoothing over each one's time."""
