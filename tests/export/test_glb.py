"""GLB opened by other readers: a skeleton for each person, moving as lifted. C3D read back by our own."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lifted import lifted

from poseda.datasets import read_source
from poseda.datasets.formats.c3d import read_c3d
from poseda.datasets.synthetic.embedded import EmbeddedDomains
from poseda.export import LiftedPoses, bridged_frames, check_suffix, write_poses
from poseda.export.world import actors
from poseda.geometry.skeleton import H36M16


@pytest.fixture(scope="module")
def poses() -> LiftedPoses:
    """Two people of six frames in their places; the first has a gap."""
    sample = EmbeddedDomains(size=0.05).evaluation()
    pose = sample.root_relative[sample.clip == sample.clip[0]].numpy()[:6]
    pose = np.concatenate([pose, pose[::-1]])
    pose[2] = np.nan
    root = np.repeat([[0.0, 0.9, 4.0], [1.0, 0.9, 4.5]], 6, 0).astype(np.float32)
    columns = {"person": np.repeat([0, 3], 6), "frame": np.tile(np.arange(6), 2)}
    return lifted(
        pose,
        H36M16,
        root=root,
        clip_names={0: "kick"},
        arm="wide",
        camera="field of view 60 degrees",
        **columns,
    )


def opened(path: Path) -> tuple[dict[str, Any], bytes]:
    """The two chunks of a GLB."""
    content = path.read_bytes()
    magic, version, size = struct.unpack_from("<4sII", content)
    assert (magic, version, size) == (b"glTF", 2, len(content))
    length, kind = struct.unpack_from("<I4s", content, 12)
    assert kind == b"JSON" and length % 4 == 0
    rest, kind = struct.unpack_from("<I4s", content, 20 + length)
    assert kind == b"BIN\0" and 28 + length + rest == size
    return json.loads(content[20 : 20 + length]), content[28 + length :]


def array(document: dict[str, Any], binary: bytes, number: int) -> np.ndarray:
    entry = document["accessors"][number]
    width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}[entry["type"]]
    kind = {5126: "<f4", 5125: "<u4", 5121: "u1"}[entry["componentType"]]
    offset = document["bufferViews"][entry["bufferView"]]["byteOffset"]
    values = np.frombuffer(binary, kind, entry["count"] * width, offset)
    return values.reshape(entry["count"], width)


def turned(vector: np.ndarray, quaternion: np.ndarray) -> np.ndarray:
    """A vector rotated by a unit quaternion x, y, z, w."""
    axis, real = quaternion[:3], quaternion[3]
    return vector + 2 * np.cross(axis, np.cross(axis, vector) + real * vector)


def posed(document: dict[str, Any], binary: bytes, frame: int) -> list[dict[str, np.ndarray]]:
    """Where the joints of each person are in a frame, by glTF's own rules."""
    local = [
        {"translation": np.array(n.get("translation", [0, 0, 0])), "rotation": np.array([0, 0, 0, 1.0])}
        for n in document["nodes"]
    ]
    (animation,) = document["animations"]
    for channel in animation["channels"]:
        sampler = animation["samplers"][channel["sampler"]]
        target = channel["target"]
        local[target["node"]][target["path"]] = array(document, binary, sampler["output"])[frame].astype(
            float
        )

    def walk(number: int, origin: np.ndarray, above: list[np.ndarray], found: dict[str, np.ndarray]) -> None:
        place = local[number]["translation"]
        for quaternion in reversed(above):
            place = turned(place, quaternion)
        found[document["nodes"][number]["name"]] = origin + place
        for child in document["nodes"][number].get("children", ()):
            walk(child, origin + place, [*above, local[number]["rotation"]], found)

    people = []
    for skin in document["skins"]:
        people.append({})
        walk(skin["skeleton"], np.zeros(3), [], people[-1])
    return people


def test_people_of_a_clip_move_in_one_file_as_they_were_lifted(tmp_path: Path, poses: LiftedPoses) -> None:
    assert write_poses(tmp_path / "o.glb", poses) == [tmp_path / "o.glb"]
    document, binary = opened(tmp_path / "o.glb")
    for frame in range(6):
        for joints, actor in zip(posed(document, binary, frame), actors(poses), strict=True):
            found = np.stack([joints[name] for name in H36M16.joint_names])
            assert np.linalg.norm(found - actor.position[frame], axis=-1).max() < 0.02
    names = [document["nodes"][number]["name"] for number in document["scenes"][0]["nodes"]]
    assert names == ["kick person0", "kick person3"]
    assert document["nodes"][document["scenes"][0]["nodes"][0]]["extras"]["bridged_frames"] == [[2, 2]]
    assert document["asset"]["extras"]["arm"] == "wide"
    assert bridged_frames(tmp_path / "o.glb", poses) == {(0, 0): [(2, 2)]}
    time = array(document, binary, document["animations"][0]["samplers"][0]["input"])
    assert np.allclose(time[:, 0], np.arange(6) / 25)


def test_clips_have_files_of_their_own_with_their_names(tmp_path: Path) -> None:
    pose = np.random.default_rng(0).normal(size=(4, 16, 3))
    given = lifted(
        pose, H36M16, clip=np.array([0, 0, 1, 1]), frame=np.array([0, 1, 0, 1]), clip_names={0: "a b"}
    )
    files = write_poses(tmp_path / "o.glb", given)
    assert [file.name for file in files] == ["o_a-b.glb", "o_clip1.glb"] and all(f.exists() for f in files)


def test_pygltflib_reads_it_and_finds_skins_and_an_animation(tmp_path: Path, poses: LiftedPoses) -> None:
    pygltflib = pytest.importorskip("pygltflib")
    write_poses(tmp_path / "o.glb", poses)
    read = pygltflib.GLTF2().load(str(tmp_path / "o.glb"))
    assert len(read.skins) == 2 and len(read.animations) == 1 and len(read.meshes) == 2
    assert {channel.target.path for channel in read.animations[0].channels} == {"rotation", "translation"}
    assert all(view.byteOffset % 4 == 0 for view in read.bufferViews)


def test_trimesh_draws_the_bones_of_the_rest_pose(tmp_path: Path, poses: LiftedPoses) -> None:
    trimesh = pytest.importorskip("trimesh")
    write_poses(tmp_path / "o.glb", poses)
    scene = trimesh.load(tmp_path / "o.glb")
    assert list(scene.geometry) == ["kick person0", "kick person3"]
    for mesh in scene.geometry.values():
        assert -0.03 < mesh.vertices[:, 1].min() < 0.01, "it stands on the floor"
        across, high, deep = np.ptp(mesh.vertices, axis=0)
        assert 1.2 < high < 2.2 and 1.0 < across < 2.2 and deep < 0.2, "a T as tall as a person"


def test_every_bone_begins_at_its_joint(tmp_path: Path, poses: LiftedPoses) -> None:
    """What the skin takes from a corner of the rest pose is the place of its joint there."""
    write_poses(tmp_path / "o.glb", poses)
    document, binary = opened(tmp_path / "o.glb")
    for mesh, skin in zip(document["meshes"], document["skins"], strict=True):
        attributes = mesh["primitives"][0]["attributes"]
        corner, owner = (array(document, binary, attributes[name]) for name in ("POSITION", "JOINTS_0"))
        inverse = array(document, binary, skin["inverseBindMatrices"])[:, 12:15]
        start = slice(None, None, 6)
        assert np.abs(corner[start] + inverse[owner[start, 0]]).max() < 1e-6


def test_c3d_comes_back_with_gaps_unit_and_names(tmp_path: Path, poses: LiftedPoses) -> None:
    pytest.importorskip("c3d")
    files = write_poses(tmp_path / "o.c3d", poses)
    assert [file.name for file in files] == ["o_kick_person0.c3d", "o_kick_person3.c3d"]
    motion = read_c3d(files[0])
    assert motion.names == list(H36M16.joint_names) and motion.unit == "mm" and motion.up == "+z"
    assert motion.rate == 25 and np.isnan(motion.position[2]).all()
    x, y, z = np.moveaxis(actors(poses)[0].position, -1, 0)
    expected = np.stack([x, -z, y], -1) * 1000
    kept = [0, 1, 3, 4, 5]
    assert np.allclose(motion.position[kept], expected[kept], atol=0.1)
    assert len(read_source(files[1]).pose_3d) > 0


def test_a_missing_library_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("poseda.export.write.find_spec", lambda name: None)
    with pytest.raises(
        ValueError, match=r"^output: expected the library c3d for \.c3d \(pip install poseda\[c3d\]\)"
    ):
        check_suffix(Path("o.c3d"))
    check_suffix(Path("o.bvh"))
