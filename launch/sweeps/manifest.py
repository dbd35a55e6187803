"""`Manifest`, the file `sweep.json` of a directory of runs."""

import contextlib
import dataclasses
import fcntl
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from launch.sweeps.point import Point
from pdtla.analysis import results as results_lib
from pdtla.training import configs


class Manifest:
    """The points that a directory holds, and their SLURM jobs.

    Several grids can share a directory; each adds its points.

    Args:
      directory: of the sweep.
    """

    def __init__(self, directory: pathlib.Path):
        self.directory = directory
        self._path = directory / "sweep.json"

    def points(self) -> list[Point]:
        """All points, by name.

        Raises:
          ConfigError: the file is damaged or not there.
        """
        points = self._read()["points"]
        return [
            Point(
                name=name,
                files=tuple(fields["files"]),
                bindings=tuple(fields["bindings"]),
                num_updates=fields["num_updates"],
                settings=fields["settings"],
            )
            for name, fields in sorted(points.items())
        ]

    def jobs(self) -> dict[str, str]:
        """The SLURM job that each point was last submitted as."""
        return self._read()["jobs"]

    def add_points(self, points: Iterable[Point]) -> None:
        """Adds points, or replaces those of the same names."""
        fields = {point.name: dataclasses.asdict(point) for point in points}
        for entry in fields.values():
            del entry["name"]
        self._update("points", fields)

    def add_jobs(self, jobs: Mapping[str, str]) -> None:
        """Records the SLURM jobs of points."""
        self._update("jobs", jobs)

    def _update(self, section: str, entries: Mapping[str, Any]) -> None:
        with self._locked():
            content = self._read() if self._path.exists() else _empty()
            content[section] |= entries
            results_lib.write_json(self._path, content)

    def _read(self) -> dict[str, Any]:
        try:
            return _empty() | results_lib.read_json(self._path)
        except (ValueError, OSError) as error:
            raise configs.ConfigError(configs.one_line(error)) from error

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _empty() -> dict[str, Any]:
    return {"points": {}, "jobs": {}}
