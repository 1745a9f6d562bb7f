"""Frames of a video as a vision part takes them."""

from __future__ import annotations

from pydantic import Field

from axsim.spec.descriptor import Section

MIN_FRAMES, MAX_FRAMES = 4, 768
"""Of Qwen2-VL's video processor in transformers."""


class Video(Section):
    """A video. Towers whose patches span several frames take so many at a time; the kernels see a
    still picture in each."""

    seconds: float = Field(gt=0, le=86_400, description="length of the video")
    fps: float = Field(2.0, gt=0, le=240, description="frames that are taken of each second")

    def patches(self, frames_each: int) -> int:
        """Runs of the vision part, each on so many frames: as many as fit, and 4 to 768 frames in
        all (``sample_frames`` of Qwen2-VL's video processor) where a patch spans several."""
        frames = self.seconds * self.fps
        if frames_each > 1:
            frames = min(max(frames, MIN_FRAMES), MAX_FRAMES)
        return max(1, int(frames // frames_each))
