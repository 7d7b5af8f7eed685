"""Python imports this at the start of every process of a stack under storm: its folder is on their PYTHONPATH."""

from tests.chaos import faults

faults.install()
