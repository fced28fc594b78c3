"""Networks by name, and how each is made."""
