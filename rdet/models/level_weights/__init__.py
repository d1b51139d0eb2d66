"""How much the losses of each level of the pyramid count."""
