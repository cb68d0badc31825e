"""Ties each log line to the request that it belongs to. Imported while logging is configured, so it imports nothing."""

import logging
from contextvars import ContextVar

current_request_id: ContextVar[str] = ContextVar("request_id", default="-")


class RequestIdFilter(logging.Filter):
    """Gives every log line the id of the request being answered, or "-" outside of one."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current_request_id.get()
        return True
