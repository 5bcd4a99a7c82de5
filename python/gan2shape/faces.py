"""Faces in pictures: boxes, points, pose, and crops in FFHQ's frame."""
from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, List, Optional

import numpy as np

from ._arrays import View, reading, writing
from ._library import Owned, library
from .context import Context, default_context
from .pictures import picture_of


@dataclass(frozen=True)
class Face:
    """Lengths are pixels of the picture, (0, 0) its upper left corner; angles are degrees, 0 looks into the camera."""

    number: int  # 1 is the largest
    box: np.ndarray  # left, top, width, height
    points: np.ndarray  # [468,3], z smaller where nearer to the camera
    frame: np.ndarray  # [4,2]: top left, bottom left, bottom right, top right of the upright face
    yaw: float  # to the right edge of the picture
    pitch: float  # down
    roll: float  # clockwise
    score: float  # of the detector, 0.5 to 1
    presence: float  # of the points: photographs 27 to 56, least 8
    state: str  # good, doubtful or unfit
    remark: str  # why


def _face(d: Any) -> Face:
    box, points, frame = (np.array(d[name], np.float64) for name in ('box', 'points', 'frame'))
    return Face(d['number'], box, points, frame, **d['pose'], score=d['score'], presence=d['presence'], state=d['state'], remark=d.get('remark', ''))


def _picture(picture: Any, context: Context) -> View:
    view: View = reading(picture_of(picture), 'picture', context.stream)
    if len(view.shape) != 3 or view.shape[2] != 3:
        raise ValueError(f'picture {list(view.shape)}: not [H,W,3]')
    return view


class FaceFinder:
    """Finds faces. folder: with face_detector.safetensors and face_landmarks.safetensors; None: the weights that are shipped."""

    def __init__(self, folder: Any = None, *, context: Optional[Context] = None):
        self.context = context or default_context()
        self._owned = self.context._load('faces', folder, keep=self)

    def __repr__(self) -> str:
        return '<gan2shape.FaceFinder>'

    def __call__(self, picture: Any) -> List[Face]:
        """As find()."""
        return self.find(picture)

    def find(self, picture: Any) -> List[Face]:
        """The faces in a picture [H,W,3], uint8 or in [-1,1], or in a file: the largest first."""
        view, text = _picture(picture, self.context), Owned('text')
        self.context._run('g2s_faces_find', self._owned.handle, view.pointer, text.reference, keep=(self, view, text))
        return [_face(d) for d in json.loads(library().g2s_text_get(text.handle))]

    def align(self, picture: Any, face: Any, size: int = 256) -> np.ndarray:
        """A face as uint8 [size,size,3] in FFHQ's frame. face: what find() gave, or the corners of a frame, [4,2]."""
        view = _picture(picture, self.context)
        frame = reading(np.asarray(getattr(face, 'frame', face), np.float64), 'frame')
        crop = np.empty((size, size, 3), np.uint8)
        out = writing(crop, 'aligned')
        self.context._run('g2s_faces_align', self._owned.handle, view.pointer, frame.pointer, out.pointer, keep=(self, view, frame, out))
        return crop
