"""Finds a TFDS dataset's directory, or says which ones there are."""

import pathlib

import tensorflow_datasets as tfds

_INFO = "dataset_info.json"


def find(data_dir: str, dataset_name: str, config: str | None = None) -> pathlib.Path:
    """Returns the directory of a dataset's newest version.

    Args:
      data_dir: the directory that TFDS datasets are under.
      dataset_name: `name`, `name/config` or `name/config/version`.
      config: the config, of a name without one.

    Raises:
      FileNotFoundError: no such dataset; says which datasets there are.
    """
    root = pathlib.Path(data_dir).expanduser()
    path = root / dataset_name
    if config and "/" not in dataset_name:
        path /= config
    if (path / _INFO).exists():
        return path
    versions = [
        tfds.core.Version(child.name)
        for child in (path.iterdir() if path.is_dir() else ())
        if tfds.core.Version.is_valid(child.name) and (child / _INFO).exists()
    ]
    if not versions:
        name = path.relative_to(root).as_posix()
        raise FileNotFoundError(
            f"There is no dataset {name} in {root}; "
            f"there is {', '.join(existing(root)) or 'none'}.{_how_to_get(name, root)}"
        )
    return path / str(max(versions))


def _how_to_get(name: str, root: pathlib.Path) -> str:
    """What makes the dataset, if TFDS knows it."""
    try:
        tfds.builder_cls(name.partition("/")[0])
    except tfds.core.registered.DatasetNotFoundError:
        return ""
    return f" TFDS downloads it: tfds build {name} --data_dir={root}"


def existing(data_dir: str | pathlib.Path) -> list[str]:
    """Names, configs and versions of the datasets in a directory."""
    root = pathlib.Path(data_dir)
    found = {
        info.parent.relative_to(root).as_posix()
        for depth in (1, 2, 3)
        for info in root.glob("/".join("*" * depth) + f"/{_INFO}")
        if not any(part.startswith("incomplete.") for part in info.parts)
    }
    return sorted(found)
