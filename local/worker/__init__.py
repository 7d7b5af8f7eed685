"""`syncboard worker`: the event source for one machine.

It polls the queues and runs the real handlers in a pool of warm processes. It is no queue and no scheduler:
SQS is. It works the same against the emulator and against real SQS.
"""
