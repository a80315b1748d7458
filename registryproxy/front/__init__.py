"""The front: HTTP, and the answers that clients see."""
