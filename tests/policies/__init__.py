"""The packaged functions on a whole emulator, each with what it asks of AWS held to its policy."""
