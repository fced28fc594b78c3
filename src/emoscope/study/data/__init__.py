"""Labelled faces: importing, describing, splitting, and drawing synthetic ones."""
