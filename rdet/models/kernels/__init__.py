"""Kernels in Triton, for what torch's operators do on an NVIDIA GPU in many passes over the memory.

Everywhere else, and where Triton cannot be used, torch's operators compute the same.
"""
