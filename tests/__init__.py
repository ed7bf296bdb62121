"""Tests; a package so that `python -m tests.make_vectors` finds this folder first."""
