"""Figures as files, and the axes they are drawn on."""
