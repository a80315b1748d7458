"""Decisions: values in, an answer out, no clock and no socket."""
