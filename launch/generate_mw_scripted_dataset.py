r"""Builds the Meta-World datasets that the original README's program of this name did.

    python -m launch.generate_mw_scripted_dataset --data_dir=data

500 solved episodes of window-open and of assembly, played by the scripts: what
`launch.build_dataset` does with `gin/envs/metaworld.gin`, whose flags it takes.
"""

from absl import flags

from launch import build_dataset
from pdtla.training import configs

if __name__ == "__main__":
    configs.define_flags()
    flags.FLAGS.set_default("gin_file", ["gin/envs/metaworld.gin"])
    flags.FLAGS.set_default("env_ids", ["window-open", "assembly"])
    configs.run_main(build_dataset.main)
