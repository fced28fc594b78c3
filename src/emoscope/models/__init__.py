"""Models: the embedded networks and the registry of everything that is embedded or fetched."""
