"""Many recordings in, one result over their participants out."""
