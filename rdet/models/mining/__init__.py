"""Which priors the classification is trained on, where it is not all of them."""
