"""The way out: who is trusted, how registries are asked."""
