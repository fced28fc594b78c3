"""Memory and accelerators: how many there are, and whether an error says that memory does not do."""

import torch


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error says that an accelerator's memory, or the processor's, does not do."""
    # torch has a type for accelerators alone; its CPU allocator raises a RuntimeError.
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


def free_memory() -> None:
    """Give back what torch keeps of an accelerator's memory for later."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def count_accelerators() -> int:
    """Return how many there are for workers to be given."""
    return torch.cuda.device_count()
