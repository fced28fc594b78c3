"""The live socket: frames in, faces out, and what it records."""
