"""Draws MuJoCo scenes for `MujocoCamera`, in a process without TensorFlow.

TensorFlow and Mesa, which draws where there is no graphics card, each bring an LLVM of
their own, and a process that holds both crashes at the first picture.

Reads pickles from the standard input: (model, height, width, camera), then for each
picture what `POSES` names. Answers each with the bytes of a picture.
"""

import os
import pickle
import sys

import mujoco
import numpy as np

# What of the data a picture shows: where things are, not how they move.
POSES = (
    "xpos",
    "xquat",
    "xmat",
    "xipos",
    "ximat",
    "geom_xpos",
    "geom_xmat",
    "site_xpos",
    "site_xmat",
    "cam_xpos",
    "cam_xmat",
    "light_xpos",
    "light_xdir",
    "subtree_com",
)


class _Picture:
    """A model, its scene and the OpenGL context of one camera."""

    def __init__(self, model: bytes, height: int, width: int, camera: str | None):
        self._model = mujoco.MjModel.from_binary_path("m.mjb", assets={"m.mjb": model})
        self._data = mujoco.MjData(self._model)
        self._viewport = mujoco.MjrRect(0, 0, width, height)
        visual = self._model.vis
        visual.global_.offwidth, visual.global_.offheight = width, height
        # Shadows, reflections and multisampling cost thirty times as much as the rest.
        visual.quality.offsamples = 0
        self._gl = _context_class()(width, height)
        self._gl.make_current()
        scale = mujoco.mjtFontScale.mjFONTSCALE_100
        self._context = mujoco.MjrContext(self._model, scale)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._scene = mujoco.MjvScene(self._model, maxgeom=1000)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False
        self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
        self._camera = mujoco.MjvCamera()
        if camera is not None:
            self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
            self._camera.fixedcamid = self._model.camera(camera).id

    def draw(self, poses: list[np.ndarray]) -> bytes:
        """The pixels, from the top left, `[H, W, 3]`."""
        for name, values in zip(POSES, poses, strict=True):
            getattr(self._data, name)[:] = values
        mujoco.mjv_updateScene(
            self._model,
            self._data,
            mujoco.MjvOption(),
            None,
            self._camera,
            mujoco.mjtCatBit.mjCAT_ALL,
            self._scene,
        )
        mujoco.mjr_render(self._viewport, self._scene, self._context)
        pixels = np.empty((self._viewport.height, self._viewport.width, 3), np.uint8)
        mujoco.mjr_readPixels(pixels, None, self._viewport, self._context)
        return pixels[::-1].tobytes()  # OpenGL's first row is the lowest


def _context_class() -> type:
    # Imported here, for it needs graphics libraries that nothing else does.
    if os.environ.get("MUJOCO_GL"):
        from mujoco import gl_context

        return gl_context.GLContext
    from mujoco import egl

    return egl.GLContext


def _serve() -> None:
    # What libraries print must not end up between the pictures.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    requests = sys.stdin.buffer
    picture = _Picture(*pickle.load(requests))
    while True:
        try:
            poses = pickle.load(requests)
        except EOFError:
            os._exit(0)  # the parent is done; what is left would end in a complaint
        answers.write(picture.draw(poses))
        answers.flush()


if __name__ == "__main__":
    _serve()
