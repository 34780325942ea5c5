"""Checkpoints of training: one file, written beside its place and renamed, with all that a run needs to go on.

Tensors are stored by safetensors, everything else as JSON in the header of the same file, so that both are always of
the same epoch.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors

from scprism._files import replacing
from scprism._text import parse_json
from scprism._torch import torch
from scprism._warnings import warn
from scprism.errors import BundleError, InputError, TrainingError

__all__ = ["Checkpoint", "TrainingState", "check_checkpoint", "read_checkpoint", "write_checkpoint"]

FORMAT = "scprism checkpoint 1"


@dataclass(frozen=True)
class Checkpoint:
    """Where a run keeps what it needs to go on.

    Attributes
    ----------
    path
        The file.
    resume
        Go on from the file if it is there.
    every_seconds
        A checkpoint is written at the end of an epoch, if the last one is older than this.
    identity
        What a run must share with the checkpoint: data, settings, seed and version; `fit_network` fills it in.
    surroundings
        What should be the same for the same weights bit for bit, and of which a difference is warned.
    """

    path: Path
    resume: bool = False
    every_seconds: float = 5.0
    identity: dict[str, Any] = field(default_factory=dict)
    surroundings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingState:
    """A run at the end of an epoch: tensors by name, and what JSON can hold."""

    tensors: dict[str, torch.Tensor]
    record: dict[str, Any]


def check_checkpoint(path: Path, *, resume: bool) -> bool:
    """Return whether there is a checkpoint to go on from.

    Raises
    ------
    InputError
        If there is one and `resume` is not set, so that nothing is lost by oversight.
    """
    if path.exists() and not resume:
        msg = (
            f"{str(path)!r} is the checkpoint of a training that was interrupted. Go on with it (--resume), or delete "
            f"it to begin anew."
        )
        raise InputError(msg)
    return path.exists()


def write_checkpoint(checkpoint: Checkpoint, state: TrainingState) -> None:
    """Write the state of a run; the checkpoint before it stays until the new one is complete.

    Raises
    ------
    TrainingError
        If it cannot be written, for example because the disk is full.
    """
    from safetensors.torch import save  # loads torch, which scprism._torch is to load first

    header = {"record": state.record, "identity": checkpoint.identity, "surroundings": checkpoint.surroundings}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.tensors.items()}
    try:
        with replacing(checkpoint.path) as scratch:
            scratch.write_bytes(save(tensors, metadata={"format": FORMAT, "scprism": json.dumps(header)}))
    except OSError as error:
        msg = (
            f"The checkpoint {str(checkpoint.path)!r} cannot be written ({error.strerror}), and training stopped. "
            f"Make room, then go on from the checkpoint before it, if there was one (--resume)."
        )
        raise TrainingError(msg) from error


def read_checkpoint(checkpoint: Checkpoint) -> TrainingState:
    """Return the state in a checkpoint.

    Raises
    ------
    BundleError
        If the file is not a checkpoint, or is damaged.
    InputError
        If it is of other data, settings, another seed or version.
    """
    path = checkpoint.path
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118  no dictionary
        if metadata.get("format") != FORMAT:
            msg = f"{str(path)!r} is not a checkpoint that this version of scprism can read. Delete it to begin anew."
            raise BundleError(msg)
        header = parse_json(metadata["scprism"])
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        msg = f"The checkpoint {str(path)!r} cannot be read ({error}). Delete it to begin anew."
        raise BundleError(msg) from error
    _compare(checkpoint, header)
    return TrainingState(tensors, header["record"])


def _compare(checkpoint: Checkpoint, header: dict[str, Any]) -> None:
    wanted = json.loads(json.dumps(checkpoint.identity))
    differing = [name for name in wanted if header["identity"].get(name) != wanted[name]]
    if differing:
        told = "; ".join(f"{n}: {header['identity'].get(n)!r} there, {wanted[n]!r} here" for n in differing[:5])
        msg = (
            f"The checkpoint {str(checkpoint.path)!r} is of another run ({told}). Give the data and settings that it "
            f"was begun with, or delete it to begin anew."
        )
        raise InputError(msg)
    here = checkpoint.surroundings
    other = [f"{n}: {header['surroundings'].get(n)!r} there, {v!r} here" for n, v in here.items()]
    other = [told for told, (n, v) in zip(other, here.items(), strict=True) if header["surroundings"].get(n) != v]
    if other:
        msg = (
            f"The training goes on under other conditions ({'; '.join(other)}); its weights will not be those of an "
            f"uninterrupted run, bit for bit."
        )
        warn(msg)
