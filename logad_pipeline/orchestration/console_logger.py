"""What a run says on a terminal: what assets tell, one line each, without Dagster's own events."""

import logging
import sys

import dagster as dg


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        meta = getattr(record, "dagster_meta", None) or {}
        message = meta.get("orig_message") or record.getMessage()
        step = meta.get("step_key") or meta.get("job_name") or "run"
        return f"{self.formatTime(record, '%H:%M:%S')} {step:<18} {message}"


@dg.logger({"log_level": dg.Field(str, default_value="INFO", is_required=False)}, description="One line a message.")
def console(context: dg.InitLoggerContext) -> logging.Logger:
    """The logger ``console`` of the code location."""
    logger = logging.Logger("logad", level=context.logger_config["log_level"])
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Plain())
    logger.addHandler(handler)
    return logger
