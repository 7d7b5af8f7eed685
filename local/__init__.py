"""How it all runs on one machine: emulator, gateway, worker, and the stack that holds them together."""
