"""Results -> numbers: the observations table, the summary, the audience, events and baselines."""
