"""What TensorBoard's HParams table shows of a sweep."""

import pathlib
from collections.abc import Sequence

import tensorflow as tf
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams import summary as hparams_summary

from launch.sweeps.point import Point
from pdtla.training.actions import headline

_TYPES = (
    (bool, api_pb2.DATA_TYPE_BOOL),
    (int | float, api_pb2.DATA_TYPE_FLOAT64),
    (object, api_pb2.DATA_TYPE_STRING),
)


def write(points: Sequence[Point], directory: pathlib.Path) -> None:
    """Writes the columns of the table: what differs between the points, the headline.

    An event file can't be changed, so that the one of an earlier grid is removed.

    Args:
      points: all of the sweep.
      directory: of the sweep.
    """
    for old in directory.glob("events.out.tfevents.*"):
        old.unlink()
    summary = hparams_summary.experiment_pb(
        hparam_infos=_columns(points),
        metric_infos=[
            api_pb2.MetricInfo(name=api_pb2.MetricName(tag=name))
            for name in headline.NAMES
        ],
    )
    with tf.summary.create_file_writer(str(directory)).as_default(0):
        tf.summary.experimental.write_raw_pb(summary.SerializeToString())


def _columns(points: Sequence[Point]) -> list[api_pb2.HParamInfo]:
    columns = []
    for name in sorted({name for point in points for name in point.settings}):
        values = [point.settings.get(name) for point in points]
        distinct = sorted(set(values), key=str)
        if len(distinct) > 1 or len(points) == 1:
            kind = next(
                kind
                for types, kind in _TYPES
                if all(isinstance(value, types) for value in values)
            )
            column = api_pb2.HParamInfo(name=name, type=kind, differs=True)
            column.domain_discrete.extend(distinct)
            columns.append(column)
    return columns
