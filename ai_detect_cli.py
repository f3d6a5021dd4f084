"""The short door: judge a few log lines with the newest model.

python ai_detect_cli.py --logs "log1" "log2" --window-type sliding
tail -n 20 /var/log/syslog | python ai_detect_cli.py
"""

from __future__ import annotations

import argparse
import json
import sys

from logad_pipeline.cli.console import ExitCode, leave_memory, plainly
from logad_pipeline.reporting.text import visible

_MOST_BYTES = 64 << 20
"""Of standard input; `logad detect -` is for streams."""


def main(arguments: list[str] | None = None) -> int:
    """Parse the arguments, print score, verdict and risk; return the exit code."""
    parser = argparse.ArgumentParser(description="Judge log lines with the newest model, or the one named.")
    parser.add_argument(
        "--logs", nargs="+", metavar="LINE", help="log lines, in order; - or nothing reads them from standard input"
    )
    parser.add_argument("--window-type", choices=("fixed", "sliding"), help="default: as the model was fitted")
    parser.add_argument("--window-size", type=int, help="default: as the model was fitted")
    parser.add_argument("--model", default="", help="model folder or models:/NAME@ALIAS; default: the newest")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    if options.logs in (None, ["-"]):
        if sys.stdin is None or sys.stdin.isatty():
            parser.error("no lines: give --logs LINE …, or pipe them in")
        read = sys.stdin.buffer.read(_MOST_BYTES + 1)
        if len(read) > _MOST_BYTES:
            parser.error(f"more than {_MOST_BYTES >> 20} MiB on standard input; `logad detect -` judges streams")
        options.logs = read.decode("utf-8", "surrogateescape").split("\n")

    from logad_pipeline.cli.files import score_lines
    from logad_pipeline.detectors.ensemble import ModelNotFound
    from logad_pipeline.logs.reader import UnreadableInput
    from logad_pipeline.registry.registry import RegistryUnavailable

    try:
        verdict = score_lines(options.logs, options.model, options.window_type, options.window_size)
    except ModelNotFound as error:
        print(f"ai_detect_cli: {visible(str(error))}", file=sys.stderr)
        return int(ExitCode.NO_MODEL)
    except (UnreadableInput, RegistryUnavailable) as error:
        print(f"ai_detect_cli: {visible(str(error))}", file=sys.stderr)
        return int(ExitCode.UNREADABLE_INPUT)
    except (ValueError, OSError) as error:
        print(f"ai_detect_cli: {visible(plainly(error))}", file=sys.stderr)
        return int(ExitCode.USAGE)
    if options.json:
        print(json.dumps(verdict))
    else:
        print(f"score       {verdict['score']:.4f}")
        print(f"is_anomaly  {str(verdict['is_anomaly']).lower()}")
        print(f"risk        {verdict['risk']}")
    return int(ExitCode.DONE)


if __name__ == "__main__":
    code = main()
    leave_memory()
    sys.exit(code)
