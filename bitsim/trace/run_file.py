"""run.yaml: what was trained, and for how long."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bitsim import strict_yaml
from bitsim.errors import InputError, refusal, unknown_key

Text = Annotated[str, Field(min_length=1, max_length=4000)]
Series = list[dict[str, Any]] | dict[str, list[float]] | list[float]

MAX_BATCH = 2**20


class RunInfo(BaseModel):
    """Checked content of run.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Annotated[int, Field(strict=True, alias="schema", ge=1, le=1)]
    name: Text
    model: Text
    dataset: Text
    batch: Annotated[int, Field(strict=True, ge=1, le=MAX_BATCH)]
    iterations: Annotated[int, Field(strict=True, ge=1, le=2**40)]
    source: Text
    synthetic: Annotated[bool, Field(strict=True)]
    iterations_per_epoch: Annotated[int, Field(strict=True, ge=1, le=2**40)] | None = None
    loss: Series | None = None
    accuracy: Series | None = None
    split: dict[str, Annotated[int, Field(strict=True, ge=0)]] | None = None
    seed: Annotated[int, Field(strict=True)] | None = None
    optimizer: str | dict[str, Any] | None = None
    micro_batches: Annotated[int, Field(strict=True, ge=1)] | None = None
    command: str | None = None
    versions: dict[str, str] | None = None


def read_run(path: Path) -> RunInfo:
    """Read run.yaml.  InputError with every fault and its line."""
    document = strict_yaml.load(path)
    try:
        return RunInfo.model_validate(document.data)
    except ValidationError as error:
        known = [info.alias or name for name, info in RunInfo.model_fields.items()]
        faults = []
        for item in error.errors():
            key = str(item["loc"][0]) if item["loc"] else ""
            message = unknown_key(key, known) if item["type"] == "extra_forbidden" else f"{key}: {refusal(item)}"
            faults.append(f"{path}:{document.line(key)}: {message}")
        raise InputError(list(dict.fromkeys(faults))) from None
