"""Foreign bytes to text: what a file is, and what it says.

`content.sniff` names the kind of a file from its first bytes, `formats` says who reads that kind, and
`extraction.extract` runs the reader, in a child process with limits. A new format is one module with a
`parse(source, *, on_progress)` function and one row in `formats.FORMATS`.
"""
