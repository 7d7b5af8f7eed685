"""The hostile set: files made to break what reads them, each with what it must come to."""
