"""Counts the arithmetic of a TensorFlow function."""

import math

import tensorflow as tf

_OPS = ("MatMul", "BatchMatMulV2", "Conv2D", "Conv2DBackpropInput")


def count_flop(function: tf.types.experimental.ConcreteFunction) -> float:
    """Operations in convolutions and matrix products that the outputs depend on.

    A multiplication and an addition count as two. All shapes must be known.
    """
    graph = function.graph
    pending = [tensor.op for tensor in graph.outputs] + list(graph.control_outputs)
    seen = set()
    total = 0.0
    while pending:
        op = pending.pop()
        if op in seen:
            continue
        seen.add(op)
        total += _op_flop(op)
        pending += [tensor.op for tensor in op.inputs] + list(op.control_inputs)
    return total


def _op_flop(op: tf.Operation) -> float:
    if (
        op.type == "Conv2DBackpropFilter"
    ):  # gradient [B, H, W, F], filter [kh, kw, C, F]
        height, width, channels, _ = op.outputs[0].shape
        return 2.0 * math.prod(op.inputs[2].shape) * height * width * channels
    if op.type not in _OPS:
        return 0.0
    if op.type == "Conv2DBackpropInput":
        filters, maps = op.inputs[1], op.inputs[2]
        height, width, channels, _ = filters.shape
        return 2.0 * math.prod(maps.shape) * height * width * channels
    if op.type == "Conv2D":
        height, width, channels, _ = op.inputs[1].shape
        return 2.0 * math.prod(op.outputs[0].shape) * height * width * channels
    transposed = op.get_attr("adj_x" if "Batch" in op.type else "transpose_a")
    inner = op.inputs[0].shape[-2 if transposed else -1]
    return 2.0 * math.prod(op.outputs[0].shape) * inner
