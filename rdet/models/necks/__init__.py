"""Networks that turn the maps of a backbone into a pyramid of equal width."""
