"""What drives a run: loops, hooks, samplers and the glue to mmengine's Runner."""
