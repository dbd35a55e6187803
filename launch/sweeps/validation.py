"""Checks of all points of a grid before any of them is started."""

import dataclasses
import pathlib
from collections.abc import Sequence

import gin

from launch.sweeps.point import Point
from pdtla.training import bindings, configs, hyperparameters, set_up
from pdtla.training import train as train_lib
from pdtla.training import workdir as workdir_lib


def validate(points: Sequence[Point], sweep_dir: pathlib.Path) -> list[Point]:
    """Reads the configuration of each point as its run will.

    Returns:
      The points with what their configurations say.

    Raises:
      ConfigError: a configuration is wrong, or the workdir of a point holds a run of
        another one.
    """
    checked = []
    for point in points:
        try:
            checked.append(_validate(point, sweep_dir / point.name))
        except configs.ConfigError as error:
            raise configs.ConfigError(f"{point.name}: {error}") from error
    return checked


def _validate(point: Point, workdir: pathlib.Path) -> Point:
    roots = [train_lib.train]
    configs.parse_gin(point.files, point.bindings, roots=roots)
    settings = gin.get_bindings(train_lib.train)
    with set_up.setting_up():
        set_up.check(settings)
    if workdir_lib.holds_run(workdir):
        unused = bindings.unused_macros(roots)
        workdir_lib.check_config(workdir, gin.config_str(), unused)
    return dataclasses.replace(
        point,
        num_updates=settings["num_updates"],
        settings=hyperparameters.hyperparameters(train_lib.train),
    )
