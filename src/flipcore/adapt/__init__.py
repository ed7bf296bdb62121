"""Trained chips in a world that has changed: disturb data or hardware, learn on, say what came back and what it cost."""
