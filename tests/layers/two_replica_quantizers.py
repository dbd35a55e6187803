"""Run in a process of its own: quantizers on two replicas equal those on one device."""

import numpy as np
import quantizer_table
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2
)


def compare(name: str, strategy: tf.distribute.Strategy) -> None:
    """Ten training steps of the same batches, whole and in halves."""
    make = quantizer_table.QUANTIZERS[name]
    with strategy.scope():
        replicated = make()
        replicated.build((None, replicated.input_dim))
    single = make()
    single.build((None, single.input_dim))
    for source, target in zip(single.variables, replicated.variables, strict=True):
        target.assign(source)

    @tf.function
    def step(batch):
        return strategy.run(lambda x: replicated(x, training=True), (batch,))

    rng = np.random.default_rng(0)
    for _ in range(10):
        # Multiples of 1/16: their sums are exact in float32 in whatever order.
        batch = np.round(rng.standard_normal((32, single.input_dim)) * 16) / 16
        batch = batch.astype("float32")
        halves = strategy.experimental_distribute_values_from_function(
            lambda context, batch=batch: tf.constant(
                np.split(batch, 2)[context.replica_id_in_sync_group]
            )
        )
        outputs, expected = step(halves), single(batch, training=True)
        for field in ("quantized", "codes", "levels"):
            if field in expected:
                parts = strategy.experimental_local_results(outputs[field])
                np.testing.assert_allclose(
                    tf.concat(parts, axis=0), expected[field], atol=2e-5, err_msg=name
                )
        for field in ("perplexity", "level_perplexity", "dead_codes"):
            if field in expected:
                for part in strategy.experimental_local_results(outputs[field]):
                    np.testing.assert_allclose(part, expected[field], rtol=1e-5)
    for mirrored, variable in zip(replicated.variables, single.variables, strict=True):
        for copy in strategy.experimental_local_results(mirrored.value):
            np.testing.assert_allclose(
                copy.numpy(), variable.numpy(), rtol=1e-4, atol=1e-5, err_msg=name
            )


if __name__ == "__main__":
    mirrored_strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    for quantizer in quantizer_table.QUANTIZERS:
        compare(quantizer, mirrored_strategy)
        print(f"equal: {quantizer}")
