"""What to train, as settings and as YAML files; and what is wrong with a file."""
