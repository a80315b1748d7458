"""Settings: what may be said, how it is read, and what is in force."""
