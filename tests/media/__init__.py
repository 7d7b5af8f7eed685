"""Real transcriptions. Run in the media environment, with pytest and httpx beside its lock:

.venvs/media/bin/python -m pip install pytest pytest-randomly pytest-timeout pytest-socket httpx
.venvs/media/bin/python -m pytest tests/media
"""
