"""A study's phases: what is trained, in which order, where, and where it stands."""
