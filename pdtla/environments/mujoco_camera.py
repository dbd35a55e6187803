"""`MujocoCamera`, small pictures of a MuJoCo simulation without a screen."""

import os
import pathlib
import pickle
import subprocess
import sys

import mujoco
import numpy as np

from pdtla.environments import picture_process

_ROOT = pathlib.Path(__file__).parents[2]


class MujocoCamera:
    """Renders one camera of a model, without shadows, reflections and multisampling.

    A process of its own draws, for `picture_process` says why; it ends with `close` or
    with the process that started it. The OpenGL back end is that of the variable
    MUJOCO_GL, EGL by default.

    Args:
      model: the model.
      height: of the pictures.
      width: of the pictures.
      camera: name of a camera of the model, or None for a free one.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        height: int = 64,
        width: int = 64,
        camera: str | None = "track",
    ):
        self._shape = (height, width, 3)
        paths = (str(_ROOT), os.environ.get("PYTHONPATH"))
        self._process = subprocess.Popen(
            [sys.executable, "-m", picture_process.__name__],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        binary = np.empty(mujoco.mj_sizeModel(model), np.uint8)
        mujoco.mj_saveModel(model, None, binary)
        self._send((binary.tobytes(), height, width, camera))

    def render(self, data: mujoco.MjData) -> np.ndarray:
        """A picture of a state, uint8 `[H, W, 3]`; `data` must be up to date.

        The data may be that of another model which differs in positions alone.

        Raises:
          RuntimeError: pictures cannot be drawn here.
        """
        self._send([np.array(getattr(data, name)) for name in picture_process.POSES])
        size = int(np.prod(self._shape))
        pixels = self._process.stdout.read(size)
        if len(pixels) < size:
            self._fail()
        return np.frombuffer(pixels, np.uint8).reshape(self._shape).copy()

    def close(self) -> None:
        """Ends the process."""
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def _send(self, message: object) -> None:
        try:
            pickle.dump(message, self._process.stdin, pickle.HIGHEST_PROTOCOL)
            self._process.stdin.flush()
        except BrokenPipeError:
            self._fail()

    def _fail(self) -> None:
        raise RuntimeError(
            "Pictures need OpenGL without a screen, as EGL gives; the process that "
            f"draws them ended with exit status {self._process.wait()}."
        )
