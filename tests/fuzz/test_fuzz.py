"""Bad input to the real programs ends in success or in one line, never otherwise.

    PDTLA_FUZZ_CASES=500 PDTLA_FUZZ_SEED=1 python -m pytest -s tests/fuzz

Hypothesis draws the cases, the same ones every time for a number and a seed; each runs
in a process of its own, forked from one that has imported TensorFlow. An interrupt
tells what there is.
"""

import collections
import json
import os
import pathlib
import shutil
import subprocess
import sys

import cases
import hypothesis
import pytest

from pdtla.training import configs

NUM_CASES = int(os.environ.get("PDTLA_FUZZ_CASES", "25"))
SEED = int(os.environ.get("PDTLA_FUZZ_SEED", "0"))


class Runner:
    """Runs cases and judges them.

    Args:
      folder: for what they write.
    """

    def __init__(self, folder: pathlib.Path):
        self._folder = folder
        self._server = subprocess.Popen(
            [
                sys.executable,
                str(pathlib.Path(__file__).with_name("server.py")),
                folder,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=configs.REPOSITORY,
            env=os.environ | {"PYTHONPATH": str(configs.REPOSITORY)},
        )
        self._data = folder / "data"
        self.answer(
            {"module": "launch.train", "arguments": [], "dataset": self._good()}
        )

    def close(self) -> None:
        """Ends the server."""
        self._server.stdin.close()
        self._server.wait(60)

    def answer(self, command: dict) -> dict:
        """What became of a command."""
        self._server.stdin.write(json.dumps(command) + "\n")
        self._server.stdin.flush()
        return json.loads(self._server.stdout.readline())

    def run(self, case: cases.Case) -> tuple[str, str]:
        """Runs a case.

        Returns:
          Success, refused, stopped or failed, and what was said.
        """
        workdir, damaged = self._folder / "workdir", self._folder / "damaged"
        for path in (workdir, damaged):
            shutil.rmtree(path, ignore_errors=True)
        if case.file is not None:
            (self._folder / "case.gin").write_text(self._placed(case.file))
        data = damaged if case.dataset else self._data
        command = {
            "module": f"launch.{case.module}",
            "arguments": [self._placed(text, data) for text in case.arguments],
        }
        if case.dataset:
            command["dataset"] = case.dataset | {"data_dir": str(damaged)}
        return self._judged(case, self.answer(command), workdir)

    def _good(self) -> dict:
        return {"data_dir": str(self._data)}

    def _placed(self, text: str, data: pathlib.Path | None = None) -> str:
        for name, path in (
            (cases.DATA, data),
            (cases.WORKDIR, self._folder / "workdir"),
            (cases.FOLDER, self._folder),
        ):
            text = text.replace(name, str(path))
        return text

    def _judged(
        self, case: cases.Case, answer: dict, workdir: pathlib.Path
    ) -> tuple[str, str]:
        status, text = answer["status"], answer["stderr"]
        lines = text.strip().splitlines()
        last = lines[-1] if lines else ""
        errors = [line for line in lines if line.startswith("error: ")]
        if status is None:
            return "failed", f"It hung: {last}"
        if "Traceback" in text:
            return "failed", "\n".join(lines[-12:])
        if status == 0:
            return "success", ""
        if status not in (1, 2) or errors != [last]:
            return "failed", f"Status {status}: {text[-600:]}"
        if "{{" in last or len(last) > 1000:
            return "failed", f"Not for a person: {last}"
        if status == 1:
            return "stopped", last
        left = [str(p.relative_to(workdir)) for p in workdir.rglob("*") if p.is_file()]
        if set(left) - {".lock"}:
            return "failed", f"Left behind {left}: {last}"
        if not cases.has_name(last, case.names):
            return "failed", f"Names none of {sorted(case.names)}: {last}"
        return "refused", last


@pytest.fixture(scope="module")
def runner(tmp_path_factory):
    made = Runner(tmp_path_factory.mktemp("fuzz"))
    yield made
    made.close()


def test_every_case_succeeds_or_is_refused_in_one_line(runner, capsys):
    counts: collections.Counter = collections.Counter()
    failures = []

    def judge(case: cases.Case) -> None:
        verdict, said = runner.run(case)
        counts[verdict, case.kind] += 1
        if verdict == "failed":
            failures.append(f"{case}\n{said}\n")
        with capsys.disabled():
            if verdict == "failed":
                sys.stdout.write(f"\n{counts.total()}: {failures[-1]}")
            elif counts.total() % 50 == 0:
                sys.stdout.write(f"\n{counts.total()} cases so far.\n")

    @hypothesis.seed(SEED)
    @hypothesis.settings(
        max_examples=NUM_CASES,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(cases.any_case())
    def fuzz(case):
        judge(case)

    try:
        for case in cases.FOUND:
            judge(case)
        fuzz()
    finally:
        with capsys.disabled():
            sys.stdout.write(f"\n{counts.total()} cases:\n")
            for (verdict, kind), count in sorted(counts.items()):
                sys.stdout.write(f"{count:5d} {verdict:8} {kind}\n")
    assert not failures, "\n".join(failures)
    assert counts.total() >= NUM_CASES
