"""`MujocoCamera`, small pictures of a MuJoCo simulation without a screen."""

import os

import mujoco
import numpy as np


class MujocoCamera:
    """Renders one camera of a model, without shadows, reflections and multisampling.

    Those cost thirty times as much where there is no graphics card. The OpenGL back end
    is that of the variable MUJOCO_GL, EGL by default.

    Args:
      model: the model; its offscreen buffer is resized.
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
        self._model = model
        self._viewport = mujoco.MjrRect(0, 0, width, height)
        model.vis.global_.offwidth, model.vis.global_.offheight = width, height
        model.vis.quality.offsamples = 0
        self._gl = _context_class()(width, height)
        self._gl.make_current()
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        self._scene = mujoco.MjvScene(model, maxgeom=1000)
        for flag in (
            mujoco.mjtRndFlag.mjRND_SHADOW,
            mujoco.mjtRndFlag.mjRND_REFLECTION,
        ):
            self._scene.flags[flag] = False
        self._camera = mujoco.MjvCamera()
        if camera is not None:
            self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
            self._camera.fixedcamid = model.camera(camera).id

    def render(self, data: mujoco.MjData) -> np.ndarray:
        """A picture of a state, uint8 `[H, W, 3]`; `data` must be up to date."""
        self._gl.make_current()
        mujoco.mjv_updateScene(
            self._model,
            data,
            mujoco.MjvOption(),
            None,
            self._camera,
            mujoco.mjtCatBit.mjCAT_ALL,
            self._scene,
        )
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        mujoco.mjr_render(self._viewport, self._scene, self._context)
        pixels = np.empty((self._viewport.height, self._viewport.width, 3), np.uint8)
        mujoco.mjr_readPixels(pixels, None, self._viewport, self._context)
        return pixels[::-1].copy()  # OpenGL's first row is the lowest

    def close(self) -> None:
        """Frees the graphics memory."""
        self._gl.make_current()
        self._context.free()
        self._gl.free()


def _context_class() -> type:
    # Imported here, for it needs graphics libraries that the simulation does not.
    if os.environ.get("MUJOCO_GL"):
        from mujoco import gl_context

        return gl_context.GLContext
    from mujoco import egl

    return egl.GLContext
