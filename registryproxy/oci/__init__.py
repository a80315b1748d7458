"""The nouns of the OCI distribution spec, as pure values."""
