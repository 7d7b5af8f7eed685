"""Fuzzing of everything that reads foreign bytes: `python -m tests.fuzz --seed 1 --mutations 1000`."""
