"""Structured JSON logs: one logger; job id, task, stage and attempt as keys."""

from __future__ import annotations

from aws_lambda_powertools.logging import Logger

from chalicelib import settings

logger = Logger(service="syncboard", level=settings.get().log_level, log_uncaught_exceptions=False)
