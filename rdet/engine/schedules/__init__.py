"""Schedules of the learning rate that mmengine lacks."""
