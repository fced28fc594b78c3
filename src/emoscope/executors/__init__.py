"""Where work runs: here, in several processes, or on Ray; and how it is interrupted."""
