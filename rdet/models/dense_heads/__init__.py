"""Networks that predict classes and boxes at each prior of a pyramid."""
