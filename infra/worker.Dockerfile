# `syncboard worker` as a container of its own, for the services of compose.workers.yaml. Not for Lambda: those
# images are in containers/. LOCK says which libraries it has, and with them which queues it can work on.
ARG BASE=python:3.13-slim
FROM ${BASE}
ARG LOCK=requirements/local.txt

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY ${LOCK} /opt/locks/requirements.txt
RUN python3 -m venv /opt/syncboard \
    && /opt/syncboard/bin/python -m pip install --no-cache-dir --compile --require-hashes \
        --requirement /opt/locks/requirements.txt

WORKDIR /srv/syncboard
COPY app.py app.py
COPY chalicelib chalicelib
COPY containers containers
COPY local local
RUN /opt/syncboard/bin/python -m compileall -q .
# Of a recogniser of speech: joined here from what the lock brings. Others have none.
ENV SYNCBOARD_MODEL_FOLDER=/opt/models
RUN ! /opt/syncboard/bin/python -c "import faster_whisper" 2>/dev/null \
    || /opt/syncboard/bin/python -m chalicelib.media.weights /opt/models

# At run time nothing is written but below /tmp.
ENV HOME=/tmp
USER 1000:1000
ENTRYPOINT ["/opt/syncboard/bin/python", "-m", "local.worker"]
CMD ["--queues", "uploads,low_priority"]
