"""Pictures in, faces out, each picture read in a process of its own."""
