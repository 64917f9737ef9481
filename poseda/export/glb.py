"""GLB (binary glTF 2.0) of one clip: a skeleton for each person, with its animation and bones to look at.

Metres, y up, in the world of :mod:`poseda.export.world`; :mod:`poseda.export.rig` says how bones turn. All
people of the clip share one animation and one clock, which ends with the last frame that is known of anybody.
``extras`` of a person names the frames that were bridged and those in which the nearest pose is held, and
``asset.extras`` what is known of the camera.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from poseda.export.rig import Node, Rig
from poseda.export.world import Actor
from poseda.geometry.skeleton import Skeleton

FLOAT, INDEX, BYTE = 5126, 5125, 5121
"""glTF's numbers of types of components."""

KINDS = {(): "SCALAR", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}
"""Shape of one element to glTF's word for it."""

THICKNESS = 0.08
"""Of a drawn bone, as a share of its length."""

COLOURS = ([0.85, 0.4, 0.04], [0.04, 0.53, 0.66], [0.5, 0.3, 0.75], [0.2, 0.52, 0.25], [0.55, 0.55, 0.55])
"""Of people, in turn."""


def glb_bytes(actors: Sequence[Actor], skeleton: Skeleton, title: str, facts: dict[str, str]) -> bytes:
    """The GLB of the people of one clip.

    Args:
        actors: of one clip, on its clock.
        skeleton: of their positions.
        title: of the animation.
        facts: what ``asset.extras`` holds.
    """
    scene = _Scene(actors[0].time)
    for number, actor in enumerate(actors):
        scene.add(actor, Rig(actor, skeleton), COLOURS[number % len(COLOURS)])
    return scene.packed(title, facts)


class _Scene:
    """A glTF document that grows person by person.

    Args:
        time: (T,) seconds.
    """

    def __init__(self, time: np.ndarray) -> None:
        self.content = bytearray()
        self.lists: dict[str, list[dict[str, Any]]] = {
            name: [] for name in ("nodes", "meshes", "skins", "materials", "accessors", "bufferViews")
        }
        self.samplers: list[dict[str, Any]] = []
        self.channels: list[dict[str, Any]] = []
        self.people: list[int] = []
        self.time = self._accessor(time.astype("<f4"), FLOAT, bounds=True)

    def add(self, actor: Actor, rig: Rig, colour: list[float]) -> None:
        """Add a person: joints, animation, and a mesh that moves with the joints."""
        nodes = self.lists["nodes"]
        first = len(nodes)
        for at, node in enumerate(rig.nodes):
            place = rig.root[0] if at == 0 else node.offset
            entry: dict[str, Any] = {"name": node.name, "translation": [float(x) for x in place]}
            if node.children:
                entry["children"] = [first + child for child in node.children]
            nodes.append(entry)
            self._animate(first + at, "rotation", _quaternions(node.turn))
        self._animate(first, "translation", rig.root.astype("<f4"))
        joints = list(range(first, first + len(rig.nodes)))
        mesh, skin = self._mesh(rig.nodes, colour, actor.title), self._skin(rig.nodes, joints)
        nodes.append({"name": f"{actor.title} bones", "mesh": mesh, "skin": skin})
        person = {"name": actor.title, "children": [first, len(nodes) - 1]}
        stretches = {
            name: [list(stretch) for stretch in found]
            for name, found in {"bridged_frames": actor.bridged(), "held_frames": actor.held()}.items()
        }
        nodes.append(person | {"extras": {**stretches, "first_frame": int(actor.frame[0])}})
        self.people.append(len(nodes) - 1)

    def _animate(self, node: int, path: str, values: np.ndarray) -> None:
        self.samplers.append(
            {"input": self.time, "output": self._accessor(values, FLOAT), "interpolation": "LINEAR"}
        )
        self.channels.append({"sampler": len(self.samplers) - 1, "target": {"node": node, "path": path}})

    def _mesh(self, nodes: list[Node], colour: list[float], name: str) -> int:
        """An octahedron from each joint to each of its children, or to its tip."""
        rest = _rest(nodes)
        bones = [(at, nodes[child].offset) for at, node in enumerate(nodes) for child in node.children]
        bones += [(at, node.tip) for at, node in enumerate(nodes) if not node.children]
        shapes = [_octahedron(offset) + rest[at] for at, offset in bones]
        owner = np.zeros((6 * len(bones), 4), np.uint8)
        owner[:, 0] = np.repeat([at for at, _ in bones], 6)
        weight = np.zeros(owner.shape, "<f4")
        weight[:, 0] = 1
        faces = np.concatenate([_FACES + 6 * number for number in range(len(bones))])
        attributes = {
            "POSITION": self._accessor(np.concatenate(shapes).astype("<f4"), FLOAT, bounds=True),
            "JOINTS_0": self._accessor(owner, BYTE),
            "WEIGHTS_0": self._accessor(weight, FLOAT),
        }
        surface = {"baseColorFactor": [*colour, 1.0], "metallicFactor": 0.0, "roughnessFactor": 0.8}
        self.lists["materials"].append({"pbrMetallicRoughness": surface, "doubleSided": True})
        indices = self._accessor(faces.reshape(-1).astype("<u4"), INDEX)
        material = len(self.lists["materials"]) - 1
        part = {"attributes": attributes, "indices": indices, "material": material}
        self.lists["meshes"].append({"name": name, "primitives": [part]})
        return len(self.lists["meshes"]) - 1

    def _skin(self, nodes: list[Node], joints: list[int]) -> int:
        """The mesh is drawn in the rest pose, which stands on the floor."""
        inverse = np.tile(np.eye(4, dtype="<f4"), (len(nodes), 1, 1))
        inverse[:, 3, :3] = -_rest(nodes)  # glTF's matrices are column by column
        matrices = self._accessor(inverse, FLOAT)
        self.lists["skins"].append({"inverseBindMatrices": matrices, "joints": joints, "skeleton": joints[0]})
        return len(self.lists["skins"]) - 1

    def _accessor(self, values: np.ndarray, component: int, bounds: bool = False) -> int:
        """Append an array (N, ...) to the binary part."""
        raw = values.tobytes()
        view = {"buffer": 0, "byteOffset": len(self.content), "byteLength": len(raw)}
        self.lists["bufferViews"].append(view)
        self.content += raw + b"\0" * (-len(raw) % 4)
        entry: dict[str, Any] = {
            "bufferView": len(self.lists["bufferViews"]) - 1,
            "componentType": component,
            "count": len(values),
            "type": KINDS[values.shape[1:]],
        }
        if bounds:
            flat = values.reshape(len(values), -1)
            entry |= {"min": flat.min(0).tolist(), "max": flat.max(0).tolist()}
        self.lists["accessors"].append(entry)
        return len(self.lists["accessors"]) - 1

    def packed(self, title: str, facts: dict[str, str]) -> bytes:
        """The whole file."""
        document = {
            "asset": {"version": "2.0", "generator": "poseda", "extras": facts},
            "scene": 0,
            "scenes": [{"name": title, "nodes": self.people}],
            **self.lists,
            "animations": [{"name": title, "samplers": self.samplers, "channels": self.channels}],
            "buffers": [{"byteLength": len(self.content)}],
        }
        text = json.dumps(document, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        chunks = struct.pack("<I4s", len(text), b"JSON") + text
        chunks += struct.pack("<I4s", len(self.content), b"BIN\0") + bytes(self.content)
        return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def _quaternions(turn: np.ndarray) -> np.ndarray:
    """Rotations (T, 3, 3) as (T, 4) x, y, z, w, of one sign from frame to frame."""
    found = Rotation.from_matrix(turn).as_quat()
    flips = np.where((found[1:] * found[:-1]).sum(1) < 0, -1.0, 1.0)
    found[1:] *= np.cumprod(flips)[:, None]
    return found.astype("<f4")


def _rest(nodes: list[Node]) -> np.ndarray:
    """(N, 3) where joints are in the rest pose, standing on the floor, as viewers without skins show it."""
    place = np.zeros((len(nodes), 3))
    for at, node in enumerate(nodes[1:], 1):
        place[at] = place[node.parent] + node.offset
    ends = [spot if node.children else spot + node.tip for spot, node in zip(place, nodes, strict=True)]
    return place - [0, np.concatenate([place, ends])[:, 1].min(), 0]


_FACES = np.array([[0, i, i % 4 + 1] for i in range(1, 5)] + [[5, i % 4 + 1, i] for i in range(1, 5)])
"""Of an octahedron: the start, four corners around, the end."""


def _octahedron(offset: np.ndarray) -> np.ndarray:
    """(6, 3) corners of a bone from the origin to an offset."""
    length = float(np.linalg.norm(offset))
    away = np.eye(3)[np.abs(offset).argmin()]
    one = np.cross(offset, away)
    one *= THICKNESS * length / np.linalg.norm(one)
    other = np.cross(offset, one) / length
    around = [0.2 * offset + side for side in (one, other, -one, -other)]
    return np.stack([np.zeros(3), *around, offset])
