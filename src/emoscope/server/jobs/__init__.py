"""Videos in, results out: jobs that survive a restart, a process each."""
