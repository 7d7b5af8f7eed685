"""Placeholder while the real one is written."""

from chalicelib.jobs.job import Job


def delivery_job(job: Job, url: str) -> Job:
    raise NotImplementedError
