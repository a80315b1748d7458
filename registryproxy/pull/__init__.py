"""Pull-through: what is kept is given, what is not is fetched once."""
