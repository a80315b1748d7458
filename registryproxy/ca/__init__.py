"""The certificate authority: its root, and the leaves it mints."""
