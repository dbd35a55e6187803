"""Times what an experiment spends its hours on; prints and saves a table.

python -m benchmarks.run [--quick] [--only=lam_step/lapo,act] [--output=bench.json]

Cases of a group alternate their rounds, each in a process of its own; the table has
medians. CPU seconds are those of all threads, which other work on the machine disturbs
less than it does the clock. The last two columns relate the arithmetic done a CPU
second to what one large convolution and one large matrix product reach in this run.
"""

import json
import pathlib
import platform
import statistics
from collections.abc import Iterable

from absl import app, flags, logging

from benchmarks.measurement import Worker

_QUICK = flags.DEFINE_bool("quick", False, "Two rounds instead of five.")
_ONLY = flags.DEFINE_list("only", [], "Prefixes of the cases to run; all if empty.")
_OUTPUT = flags.DEFINE_string("output", "", "JSON file to write the rows to.")

_PRECISIONS = ("float32", "mixed_bfloat16")
# Cases whose rounds alternate; each runs in both precisions unless one is named.
_GROUPS = (
    ("machine/matmul", "machine/convolution"),
    ("lam_step/lapo_plain:float32", "lam_step/lapo"),
    ("lam_step/quickstart_plain:float32", "lam_step/quickstart"),
    ("window_step/vit_cpu", "window_step/space_time_cpu"),
    ("window_forward/vit", "window_forward/space_time"),
    ("policy_step/lapo",),
    ("policy_step/quickstart",),
    ("relabel/lapo_forward", "relabel/lapo"),
    ("relabel/quickstart_forward", "relabel/quickstart"),
    ("act/lapo",),
    ("act/quickstart",),
    (
        "sequence/window_128:float32",
        "sequence/cached_128:float32",
        "sequence/one_thread_128:float32",
    ),
    ("sequence/window_512:float32", "sequence/cached_512:float32"),
    (
        "sequence/simulator:float32",
        "sequence/rollout_128:float32",
        "sequence/rollout_512:float32",
    ),
    ("rollout/simulator:float32", "rollout/quickstart"),
    (
        "locomotion/gymnasium:float32",
        "locomotion/pdtla:float32",
        "locomotion/two_threads:float32",
    ),
)
_COLUMNS = (
    ("case", "{:28}"),
    ("precision", "{:15}"),
    ("wall_s", "{:>8.3f}"),
    ("cpu_s", "{:>8.3f}"),
    ("system_s", "{:>8.3f}"),
    ("per_second", "{:>9.0f}"),
    ("unit", "{:12}"),
    ("peak_mib", "{:>8.0f}"),
    ("gflop", "{:>8.1f}"),
    ("gflop_per_cpu_s", "{:>8.0f}"),
    ("of_convolution", "{:>6.2f}"),
    ("of_matmul", "{:>6.2f}"),
)


def main(argv: list[str]) -> None:
    """Runs the selected groups."""
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}.")
    logging.set_verbosity(logging.WARNING)  # the table, and nothing between its rows
    rounds = 2 if _QUICK.value else 5
    rows: list[dict] = []
    print(" ".join(_head(name, form) for name, form in _COLUMNS))
    for group in _GROUPS:
        cases = [pair for entry in group for pair in _variants(entry)]
        cases = [pair for pair in cases if _selected(pair[0])]
        for row in _measure(cases, rounds):
            rows.append(row | _relative(row, rows))
            print(_line(rows[-1]), flush=True)
        _save(rows)
    rows += _input_pipeline()
    _save(rows)
    for line in _ratios(rows):
        print(line)


def _save(rows: list[dict]) -> None:
    """Writes what there is, so that a stopped run leaves what it measured."""
    if not _OUTPUT.value:
        return
    report = {"machine": platform.processor() or platform.machine(), "rows": rows}
    path = pathlib.Path(_OUTPUT.value)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1))


def _variants(entry: str) -> list[tuple[str, str]]:
    case, _, precision = entry.partition(":")
    return [(case, name) for name in _PRECISIONS if precision in ("", name)]


def _selected(case: str) -> bool:
    # Everything is told in relation to the machine's own speed.
    prefixes = ["machine", *_ONLY.value] if _ONLY.value else [""]
    return any(case.startswith(prefix) for prefix in prefixes)


def _measure(cases: list[tuple[str, str]], rounds: int) -> Iterable[dict]:
    workers = [Worker(case, precision) for case, precision in cases]
    for _ in range(rounds):
        for worker in workers:
            worker.round()
    for worker in workers:
        with worker:
            yield _summary(worker)


def _summary(worker: Worker) -> dict:
    median = {
        name: statistics.median(getattr(one, name) for one in worker.rounds)
        for name in ("wall", "cpu", "system")
    }
    return {
        "case": worker.case,
        "precision": worker.precision,
        "wall_s": median["wall"],
        "cpu_s": median["cpu"],
        "system_s": median["system"],
        "per_second": worker.work["amount"] / median["wall"],
        "unit": f"{worker.work['unit']}/s",
        "peak_mib": worker.rounds[-1].peak_mib,
        "gflop": worker.work["flop"] / 1e9,
        "gflop_per_cpu_s": worker.work["flop"] / 1e9 / max(median["cpu"], 1e-9),
    }


def _relative(row: dict, rows: list[dict]) -> dict:
    """The row's arithmetic a CPU second over that of the machine's own rows."""
    shares = {}
    for kind in ("convolution", "matmul"):
        for other in rows:
            same = other["precision"] == row["precision"]
            if same and other["case"] == f"machine/{kind}" and row["gflop"]:
                shares[f"of_{kind}"] = row["gflop_per_cpu_s"] / other["gflop_per_cpu_s"]
    return shares


def _ratios(rows: list[dict]) -> Iterable[str]:
    """What the groups of cases are there to tell."""
    yield from _lam_step_ratios(rows)
    yield from _sequence_ratios(rows)


def _sequence_ratios(rows: list[dict]) -> Iterable[str]:
    """Steps a second with a cache over those without, and the simulator's share."""
    rates = {row["case"]: row["per_second"] for row in rows}
    simulator = rates.get("sequence/simulator")
    for width in (128, 512):
        window = rates.get(f"sequence/window_{width}")
        one_thread = rates.get(f"sequence/one_thread_{width}")
        cached = rates.get(f"sequence/cached_{width}")
        rollout = rates.get(f"sequence/rollout_{width}")
        if window and cached:
            yield (
                f"sequence, width {width}: a cache makes {cached / window:.1f} times "
                "the steps a second of passing the window at every step."
            )
        if window and one_thread:
            yield (
                f"sequence, width {width}: on one thread {one_thread / window:.1f} "
                "times those of the window on all."
            )
        if simulator and rollout:
            yield (
                f"sequence, width {width}: of a rollout's time with a cache "
                f"{rollout / simulator:.0%} is the simulator's."
            )


def _lam_step_ratios(rows: list[dict]) -> Iterable[str]:
    """CPU seconds of the fast bfloat16 step over those of the plain float32 step."""
    seconds = {(row["case"], row["precision"]): row["cpu_s"] for row in rows}
    for size in ("lapo", "quickstart"):
        plain = seconds.get((f"lam_step/{size}_plain", "float32"))
        for precision in _PRECISIONS:
            fast = seconds.get((f"lam_step/{size}", precision))
            if plain and fast:
                yield (
                    f"lam_step/{size}: {precision} takes {fast / plain:.3f} of the CPU "
                    "seconds of the plain float32 step."
                )


def _input_pipeline() -> list[dict]:
    if not _selected("input_pipeline"):
        return []
    from benchmarks import input_pipeline

    rows = [
        row | {"precision": "", "unit": f"{row['unit']}/s"}  # bytes, no floats
        for row in input_pipeline.rows(quick=_QUICK.value)
    ]
    for row in rows:
        print(_line(row), flush=True)
    return rows


def _head(name: str, form: str) -> str:
    width = "".join(c for c in form.split(".")[0] if c.isdigit())
    return f"{name[: int(width)]:{'>' if '>' in form else '<'}{width}}"


def _line(row: dict) -> str:
    cells = []
    for name, form in _COLUMNS:
        empty = " " * len(_head(name, form))
        cells.append(form.format(row[name]) if row.get(name) else empty)
    return " ".join(cells).rstrip()


if __name__ == "__main__":
    app.run(main)
