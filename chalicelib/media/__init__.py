"""Speech to text: recordings, films, and links to either."""
