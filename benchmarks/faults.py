"""Breaks small LAM runs at random moments, and tells what was lost.

python -m benchmarks.faults --output=runs/faults --repeats=10 [--only=SIGKILL,SIGTERM]

Every trial leaves a file in `trials/`: the same command goes on with those that are
missing, and `--seconds` starts none after that time. `faults.json` and `faults.md` have
what there is: how the broken run ended, the updates that had to be made again, and
whether the run that the same command completed is an unbroken one (weights, and each
update reported once).
"""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from absl import app, flags, logging

from benchmarks import fault_bench, fault_trials
from pdtla.analysis import results

_OUTPUT = flags.DEFINE_string("output", "runs/faults", "Directory of the trials.")
_REPEATS = flags.DEFINE_integer("repeats", 10, "Trials of each fault.", lower_bound=1)
_ONLY = flags.DEFINE_list("only", [], "Names of the faults; all if empty.")
_SECONDS = flags.DEFINE_float("seconds", float("inf"), "Start no trial after these.")

_OWN_MOUNTS = "PDTLA_FAULTS_OWN_MOUNTS"
_HEADERS = (
    *("fault", "trials", "exit status", "updates made again", "resumed as unbroken"),
    "what it says",
)


def main(argv: list[str]) -> None:
    """Runs the trials that are missing, round by round, and writes the table."""
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}.")
    names = _ONLY.value or list(fault_trials.FAULTS)
    if unknown := set(names) - set(fault_trials.FAULTS):
        raise app.UsageError(
            f"No faults {sorted(unknown)}; there are {list(fault_trials.FAULTS)}."
        )
    if _OWN_MOUNTS not in os.environ:  # a full disk of our own, which goes with us
        os.environ[_OWN_MOUNTS] = "1"
        again = [sys.executable, "-m", "benchmarks.faults", *sys.argv[1:]]
        os.execvp("unshare", ["unshare", "-rm", *again])
    logging.set_verbosity(logging.INFO)
    home = pathlib.Path(_OUTPUT.value).resolve()
    (home / "trials").mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    for index in range(_REPEATS.value):
        for name in names:
            path = home / "trials" / f"{name.replace(' ', '_')}-{index}.json"
            if path.exists() or time.monotonic() - start > _SECONDS.value:
                continue
            try:
                outcome = run_trial(home, name, index)
            except RuntimeError as error:  # the others tell something none the less
                logging.error("Trial %s told nothing: %s", path.stem, error)
                shutil.copytree(
                    home / "trial", home / "failed" / path.stem, dirs_exist_ok=True
                )
                continue
            logging.info("%s", outcome)
            results.write_json(path, outcome)
            write_table(home)


def run_trial(home: pathlib.Path, name: str, index: int) -> Mapping[str, Any]:
    """Breaks a run, gives the same command again, and compares."""
    fault = fault_trials.FAULTS[name]
    bench = fault_bench.FaultBench(home, **fault.bench)
    directory = home / "trial"
    subprocess.run(["umount", directory / "run"], capture_output=True)
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    seed = [index, list(fault_trials.FAULTS).index(name)]
    start = time.monotonic()
    log = directory / "resumed.txt"
    with contextlib.closing(bench):
        outcome = fault.trial(bench, directory, np.random.default_rng(seed))
        resumed = bench.start(fault_trials.command(bench, directory), log)
        status = resumed.wait()
    run = directory / "run"
    difference = float("inf") if status else bench.difference(run)
    whole = fault_bench.reported(run) == list(range(1, bench.updates + 1))
    # The last update may have been reported, but not saved.
    lost = max(0, outcome["moment"] - outcome["saved"])
    return {
        "fault": name,
        "trial": index,
        **outcome,
        "lost_updates": lost,
        "resumed_status": status,
        "difference": difference if np.isfinite(difference) else None,
        "as_unbroken": bool(whole and difference <= fault.tolerance),
        "warning": fault_bench.message(log, "IS DAMAGED"),
        "seconds": round(time.monotonic() - start, 1),
    }


def write_table(home: pathlib.Path) -> None:
    """Writes `faults.json` and `faults.md` from the trials that there are."""
    trials = [json.loads(p.read_text()) for p in sorted((home / "trials").iterdir())]
    results.write_json(home / "faults.json", trials)
    lines = [_line(_HEADERS), _line(["---"] * len(_HEADERS))]
    for name in fault_trials.FAULTS:
        if own := [trial for trial in trials if trial["fault"] == name]:
            lines.append(_line(_row(name, own)))
    (home / "faults.md").write_text("\n".join(lines) + "\n")


def _row(name: str, trials: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    lost = [trial["lost_updates"] for trial in trials]
    unbroken = sum(trial["as_unbroken"] for trial in trials)
    statuses = sorted({trial["status"] for trial in trials})
    longest = max((trial["warning"] or trial["message"] for trial in trials), key=len)
    return (
        name,
        str(len(trials)),
        ", ".join(map(str, statuses)),
        f"median {np.median(lost):g}, at most {max(lost)}",
        f"{unbroken} of {len(trials)}",
        longest.replace("|", "/")[:200],
    )


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    app.run(main)
