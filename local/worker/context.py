"""The context object that Lambda hands to a handler."""

from __future__ import annotations

import time
import uuid


class LambdaContext:
    """Deadline and request id of one call; the attributes are those of AWS."""

    def __init__(self, function_name: str, *, seconds: float, memory_mb: int = 2048) -> None:
        self.function_name = function_name
        self.function_version = "$LATEST"
        self.invoked_function_arn = f"arn:aws:lambda:local:000000000000:function:{function_name}"
        self.memory_limit_in_mb = memory_mb
        self.aws_request_id = str(uuid.uuid4())
        self.log_group_name = f"/aws/lambda/{function_name}"
        self.log_stream_name = "local"
        self._deadline = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        """Return what is left of this call's time, in milliseconds."""
        return max(0, round((self._deadline - time.monotonic()) * 1000))
