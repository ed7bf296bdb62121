"""Measurements with commands; never timed tests."""
