"""Chaos: storms that interfere with a real stack, and the audit that follows each of them.

`python -m tests.chaos --seed 1 --jobs 500`
"""
