"""What a training runs on: precision, compilation, and one process for each of several devices."""

from __future__ import annotations

import math
import multiprocessing
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

import torch
from torch import nn

Precision = Literal["auto", "32", "bf16"]
Tell = Callable[[str, Any], None]
SECONDS_BETWEEN_LOOKS = 0.2
START_SECONDS = 600.0  # to import and to copy the rows, before a limit on the time between two steps means anything
ALIVE = "alive"  # what a process tells that has nothing else to tell, and is getting on


class Failed(RuntimeError):
    """A process of several died or got stuck; the message says how."""


def is_cuda(accelerator: str) -> bool:
    """Whether a training with this accelerator runs on CUDA here."""
    return accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()


def lightning_precision(precision: Precision, accelerator: str) -> Literal["32-true", "bf16-mixed"]:
    """As Lightning's Trainer takes it; auto is bfloat16 where a GPU computes with it, and full precision elsewhere."""
    if precision == "auto":
        has_it = is_cuda(accelerator) and torch.cuda.is_bf16_supported(including_emulation=False)
        return "bf16-mixed" if has_it else "32-true"
    return "bf16-mixed" if precision == "bf16" else "32-true"


def compile_in_place(network: nn.Module) -> None:
    """Have the network compiled at its next call; names of weights stay."""
    network.compile()


def undo_compilation(network: nn.Module) -> None:
    """The network as it was: compiled ones cannot be copied to other processes."""
    network._compiled_call_impl = None


def is_compile_error(error: BaseException) -> bool:
    """Whether a step failed because the network could not be compiled."""
    names = {each.__module__.split(".")[1] for each in type(error).__mro__ if each.__module__.startswith("torch.")}
    return bool(names & {"_dynamo", "_inductor", "_functorch"})


def on_each(
    number: int, work: Callable[..., Any], arguments: tuple[Any, ...], told: Tell, stall_seconds: float = math.inf
) -> Any:
    """Call `work(*arguments, rank, tell)` in a process for each device and return what the first one returns.

    Each leads a process group of its own, which ends with this process however that ends: a GPU is never held by what
    a killed run has left. When the first process tells nothing for too long, all are ended: in a training of several
    it waits for the others at each step, so that one that hangs is seen in it.

    The processes are spawned: they know nothing of this one's threads and CUDA context, and a task of a flow may be
    any thread. In a script the caller stands below `if __name__ == "__main__":`, as always with spawned processes.

    Args:
        number: of processes.
        work: a function of a module.
        arguments: what it is called with: no closures, since other processes could not import them.
        told: called here with whatever the first process tells.
        stall_seconds: that may pass without a word of it, after the first.

    Raises:
        ValueError: when the arguments cannot be handed to another process.
        torch.OutOfMemoryError: when the memory of a device was not enough.
        Failed: when a process ended in another way than by returning, or nothing was told for too long.
    """
    context = multiprocessing.get_context("spawn")
    messages, port = context.Queue(), _free_port()
    processes = [
        context.Process(target=_work, args=(work, arguments, rank, number, port, messages, os.getpid()))
        for rank in range(number)
    ]
    try:
        for process in processes:
            _start(process)
        return _listen(processes, messages, told, stall_seconds)
    finally:
        for process in processes:
            if process.pid is not None:
                if process.is_alive():  # the number of one that has ended may be another's by now
                    _kill_group(process.pid)
                process.kill()  # one that had not made its group yet
                process.join()
        messages.close()


def _start(process: Any) -> None:
    try:
        process.start()
    except Exception as error:  # each kind of object fails in its own way
        raise ValueError(
            f"several devices have processes of their own, and this training cannot be handed to them ({error}); "
            "make its parts of classes and functions of modules, or set training.devices to 1"
        ) from error


def _kill_group(leader: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def _listen(processes: list[Any], messages: Any, told: Tell, stall_seconds: float) -> Any:
    """Until the first process has returned and all have ended."""
    returned: list[Any] = []
    heard, patience = time.monotonic(), max(stall_seconds, START_SECONDS)
    while True:
        are_over = all(process.exitcode is not None for process in processes)
        try:
            kind, value = messages.get(timeout=0.01 if are_over else SECONDS_BETWEEN_LOOKS)
        except queue.Empty:
            dead = [process for process in processes if process.exitcode]
            if dead:
                raise Failed(f"process {dead[0].name} of {len(processes)} ended with code {dead[0].exitcode}") from None
            if are_over:
                break
            if time.monotonic() - heard > patience:
                raise Failed(
                    f"no step of the training was made in {patience / 60:g} minutes, and its {len(processes)} "
                    "processes were ended: one of them hangs, or a step takes longer; see training.stall_minutes"
                ) from None
            continue
        heard, patience = time.monotonic(), stall_seconds
        if kind == "returned":
            returned.append(value)
        elif kind == "out of memory":
            raise torch.OutOfMemoryError(value)
        elif kind == "raised":
            raise value
        else:
            told(kind, value)
    if not returned:
        raise Failed("the first process ended without a result")
    return returned[0]


def _work(
    work: Callable[..., Any], arguments: tuple[Any, ...], rank: int, number: int, port: int, messages: Any, parent: int
) -> None:
    end_with(parent)
    # What torchrun sets: Lightning then takes the processes as they are.
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NODE_RANK": "0"}
    os.environ |= {"LOCAL_RANK": str(rank), "WORLD_SIZE": str(number)}
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, torch.get_num_threads() // number)))
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))

    def tell(kind: str, value: Any) -> None:
        if rank == 0:
            messages.put((kind, value))

    try:
        returned = work(*arguments, rank, tell)
    except torch.OutOfMemoryError as error:
        messages.put(("out of memory", str(error)))
    except Exception as error:
        messages.put(("raised", Failed(f"process {rank} of {number}: {type(error).__name__}: {error}")))
    else:
        tell("returned", returned)
    finally:
        messages.close()
        messages.join_thread()
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def end_with(parent: int) -> None:
    """Have this process, in a group of its own, end with what it has started once its parent has: nobody waits then."""
    os.setpgid(0, 0)
    threading.Thread(target=_end_after, args=(parent,), name="parent", daemon=True).start()


def _end_after(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    os.killpg(0, signal.SIGKILL)


def _free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        port: int = place.getsockname()[1]
        return port
