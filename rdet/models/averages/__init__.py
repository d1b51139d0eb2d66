"""Averages of weights over a training, as mmengine's EMAHook keeps them."""
