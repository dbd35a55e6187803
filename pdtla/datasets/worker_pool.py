"""Runs tasks in processes that end with their parent, however that ends."""

import multiprocessing
import multiprocessing.connection
from collections.abc import Callable, Iterator, Sequence
from typing import Any

# Reports progress from inside a task: called with a number of units done.
Progress = Callable[[int], None]


def run_tasks(
    function: Callable[[Any, Progress], Any],
    tasks: Sequence[Any],
    num_workers: int,
    progress: Progress,
) -> Iterator[Any]:
    """Yields the result of every task, in the order they finish.

    Processes are spawned, so function, tasks and results must pickle; a single worker
    is the calling process itself.

    Args:
      function: does a task and reports its progress.
      tasks: arguments for it.
      num_workers: number of processes.
      progress: is told of the progress of all tasks.

    Raises:
      RuntimeError: a task failed or a process died.
    """
    if num_workers < 1:
        raise ValueError(f"num_workers must be at least 1, got {num_workers}.")
    if num_workers == 1 or len(tasks) <= 1:
        for task in tasks:
            yield function(task, progress)
        return
    context = multiprocessing.get_context("spawn")
    pending = list(reversed(tasks))
    workers: dict[multiprocessing.connection.Connection, Any] = {}
    try:
        for _ in range(min(num_workers, len(tasks))):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(function, theirs, ours))
            process.start()
            theirs.close()
            workers[ours] = process
            ours.send(pending.pop())
        while workers:
            for connection in multiprocessing.connection.wait(list(workers)):
                kind, value = _receive(connection, workers[connection])
                if kind == "progress":
                    progress(value)
                    continue
                if pending:
                    connection.send(pending.pop())
                else:
                    connection.close()
                    workers.pop(connection).join()
                yield value
    finally:
        for process in workers.values():
            process.terminate()


def _receive(
    connection: multiprocessing.connection.Connection, process: Any
) -> tuple[str, Any]:
    try:
        kind, value = connection.recv()
    except (EOFError, ConnectionResetError):  # with or without unread tasks
        process.join()
        raise RuntimeError(
            f"A worker process died with exit status {process.exitcode}."
        ) from None
    if kind == "error":
        raise RuntimeError(f"A worker process failed: {value}")
    return kind, value


def _work(
    function: Callable[[Any, Progress], Any],
    connection: multiprocessing.connection.Connection,
    parent_end: multiprocessing.connection.Connection,
) -> None:
    # With its other end open in here, the pipe would outlive the parent.
    parent_end.close()
    try:
        while True:
            task = connection.recv()
            try:
                result = function(task, lambda n: connection.send(("progress", n)))
            except BrokenPipeError:
                raise
            except Exception as error:  # whatever it is, the parent reports it
                connection.send(("error", f"{type(error).__name__}: {error}"))
                return
            connection.send(("result", result))
    except (EOFError, OSError):
        return  # the parent is done, or gone
