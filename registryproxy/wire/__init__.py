"""The bits of HTTP that we read ourselves, pure."""
