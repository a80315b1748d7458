"""The door: the first thing a client says, and what its connection becomes by it."""
