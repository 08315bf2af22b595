"""The state of a training on disk: whole, or not there."""

from __future__ import annotations

import io
import os
from pathlib import Path

import torch
from skorch.callbacks import Callback


class Checkpoint(Callback):
    """The whole state of the training on disk after every epoch, and back from there before the first.

    skorch's own checkpoint keeps neither the count nor the best weights of early stopping, without which a resumed
    training could end elsewhere.

    Parameters
    ----------
    path : Path
        The file.
    stopping : BestEpoch or None
        Early stopping.
    processes : OneProcess or Processes
        The main one writes and reads.
    """

    def __init__(self, path, stopping, processes):
        self.path, self.stopping, self.processes = path, stopping, processes

    def on_train_begin(self, net, **kwargs):
        saved = self.processes.on_main(lambda: self._read(net.device))
        if saved is None:
            return
        net.module_.load_state_dict(saved["module"])
        net.optimizer_.load_state_dict(saved["optimizer"])
        net.scaler.load_state_dict(saved["scaler"])
        net.history = saved["history"]
        if self.stopping is not None:
            vars(self.stopping).update(saved["stopping"])

    def on_epoch_end(self, net, **kwargs):
        self.processes.on_main(lambda: self._write(net))

    def remove(self):
        """Leave nothing to resume."""
        self.processes.on_main(lambda: self.path.unlink(missing_ok=True))

    def _read(self, device):
        remove_leftovers(self.path)
        if not self.path.exists():
            return None
        try:
            return torch.load(self.path, map_location=device, weights_only=False)
        except Exception as error:
            raise OSError(
                f"The checkpoint {self.path} cannot be read ({error}). Delete it, and training starts anew."
            ) from error

    def _write(self, net):
        state = {
            "module": net.module_.state_dict(),
            "optimizer": net.optimizer_.state_dict(),
            "scaler": net.scaler.state_dict(),
            "history": net.history,
            "stopping": None if self.stopping is None else self.stopping.progress,
        }
        content = io.BytesIO()  # torch aborts the process when it writes a file and the disk is full
        torch.save(state, content)
        epoch = len(net.history)
        try:
            write_aside(self.path, content.getbuffer())
        except OSError as error:
            left = "there is none from before" if epoch == 1 else f"that of epoch {epoch - 1} is intact"
            raise OSError(
                error.errno,
                f"The checkpoint after epoch {epoch} could not be written ({error.strerror}); {left}. Once there is "
                "room, the same fit goes on from the last one",
                str(self.path),
            ) from error


def write_aside(path, content):
    """Write a file so that others see all of it or what was there before, whenever the process or machine stops."""
    partial = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        with open(partial, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # before the name: it must not come to the disk first
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def remove_leftovers(path):
    """Delete what processes that were killed in `write_aside` left."""
    for partial in Path(path).parent.glob(f"{path.stem}.*.tmp"):
        pid = partial.suffixes[-2].lstrip(".")
        if not (pid.isdigit() and _is_running(int(pid))):
            partial.unlink(missing_ok=True)


def _is_running(pid):
    if os.name != "posix":  # elsewhere the question would end the process
        return pid != os.getpid()
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return pid != os.getpid()
