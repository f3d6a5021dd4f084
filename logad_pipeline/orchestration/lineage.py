"""What a model version was made from: days, table versions, code, masks, parameters.

Belongs here: gathering it before a training, and its short form as tags. Where it is kept is the registry's matter.
"""

import hashlib
import json
from datetime import date
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from logad_pipeline.lake.training_stream import Choice
from logad_pipeline.logs.log_tokenizer import MASK_VERSION
from logad_pipeline.settings import Settings

if TYPE_CHECKING:
    from logad_pipeline.orchestration.assets.anomaly_model import TrainingDays

PINNED = ("windows", "normalized", "scores", "feedback")
"""Tables whose versions say what a training saw."""


def lineage_of(
    settings: Settings, config: "TrainingDays", choice: Choice, versions: dict[str, int], champion: str | None,
    newest: date,
) -> dict[str, Any]:  # fmt: skip
    """All that a version was made from, JSON-ready; ``newest`` is the newest day there was to choose."""
    parameters = json.dumps([settings.model.model_dump(), settings.windows.model_dump()], sort_keys=True)
    return {
        "days": [str(day) for day in choice.days],
        "policy": config.policy if config.policy == "all" else f"{config.policy} {config.span}",
        "held_out_days": config.held_out_days,
        "reason": config.reason,
        "windows_left_out": choice.left_out,
        "windows_readmitted": len(choice.readmitted),
        **{f"{table}_table_version": number for table, number in versions.items()},
        "code_version": code_version(),
        "mask_version": MASK_VERSION,
        "parameters": hashlib.blake2b(parameters.encode(), digest_size=6).hexdigest(),
        "champion_then": champion or "none",
        "newest_day": str(newest),
    }


def lineage_tags(lineage: dict[str, Any]) -> dict[str, str]:
    """The same as tags of a version; of the days the first and last, and all of them where they are few enough."""
    days = lineage["days"]
    tags = {name: str(value) for name, value in lineage.items() if name != "days"}
    return tags | {"days": f"{days[0]}..{days[-1]}", "first_day": days[0], "last_day": days[-1],
                   "all_days": " ".join(days[-400:])}  # fmt: skip


def checkpoint_name(lineage: dict[str, Any]) -> str:
    """A name under which a training that was stopped is found again by one of the very same windows."""
    others = ("reason", "champion_then", "newest_day", "scores_table_version", "feedback_table_version")
    same = {name: value for name, value in lineage.items() if name not in others}
    digest = hashlib.blake2b(json.dumps(same, sort_keys=True).encode(), digest_size=6).hexdigest()
    return f"{lineage['days'][0]}_{lineage['days'][-1]}_{digest}"


@cache
def code_version() -> str:
    """The release, and 8 hex digits of a hash over the package's own code."""
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.blake2b(digest_size=4)
    for file in sorted(package.rglob("*.py")):
        digest.update(str(file.relative_to(package)).encode() + b"\0" + file.read_bytes())
    return f"{version('logad-pipeline')}+{digest.hexdigest()}"
