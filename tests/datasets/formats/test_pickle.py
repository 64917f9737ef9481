"""Our own unpickler: arrays and plain containers come through, nothing is ever called, memory is bounded."""

import io
import os
import pickle
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from poseda.datasets import DataError
from poseda.datasets.formats.field import Field
from poseda.datasets.formats.npz import Archive
from poseda.datasets.formats.pickle import unpickle

HERE = Field(Path("here"))

PLAIN = {
    "S1": {"Walking 1": np.arange(24, dtype=np.float32).reshape(2, 4, 3), "empty": np.zeros((0, 3))},
    "list": [1, -2, 2**80, 1.5, True, None, "name é", b"\x00\xff", (1, (2, 3)), set(), {4, "five"}],
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big endian": np.arange(3, dtype=">i4"),
    "text": np.array(["a", "bcd"]),
    "bool": np.array([True, False]),
    "scalar": np.float32(2.5),
    "objects": np.array([None, "x", [1, 2]], dtype=object),
    "frozen": frozenset({1, 2}),
    "nested": [[[[]]], {}, ()],
}


def same(one: object, two: object) -> bool:
    if isinstance(one, np.ndarray) and isinstance(two, np.ndarray):
        if one.dtype == object:
            return one.shape == two.shape and same(one.tolist(), two.tolist())
        return one.dtype == two.dtype and np.array_equal(one, two)
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(two, list | tuple):
        return (
            type(one) is type(two)
            and len(one) == len(two)
            and all(same(a, b) for a, b in zip(one, two, strict=True))
        )
    return one == two


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_comes_through_every_protocol(protocol):
    assert same(unpickle(pickle.dumps(PLAIN, protocol), HERE), PLAIN)


def test_what_is_shared_in_the_pickle_is_shared_in_the_result():
    array = np.arange(3)
    one, two = unpickle(pickle.dumps([array, array]), HERE)
    assert one is two


def test_arrays_are_writable_and_own_their_memory():
    array = unpickle(pickle.dumps(np.arange(3.0)), HERE)
    array[0] = 7
    assert (array.tolist() == [7, 1, 2] and array.base is None) or array.base.base is None


PYTHON2 = (  # what Python 2's numpy writes: bytes as text
    b"\x80\x02}U\x05joint"
    + b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    + b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R"
    + b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    + b"\x89U\x10"
    + struct.pack("<2d", 1.25, -200.0)
    + b"tbs."
)


def test_bytes_of_python_2_survive_as_latin_1():
    found = unpickle(PYTHON2, HERE)
    assert list(found) == ["joint"] and found["joint"].tolist() == [1.25, -200.0]
    assert same(pickle.loads(PYTHON2, encoding="latin1"), found)
    text = b"S'\\xe9t\\xe9'\n."
    assert unpickle(text, HERE) == "été"


class Call:
    """Pickles as a call."""

    def __init__(self, function: object, *arguments: object, state: object = None) -> None:
        self.made = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> tuple:
        return self.made


class Plain:
    pass


def test_nothing_a_pickle_names_is_called(tmp_path):
    sprung = tmp_path / "sprung"
    touch = f"touch {sprung}"
    hostile = {
        r"posix\.system": Call(os.system, touch),
        r"builtins\.eval": Call(eval, f"open({str(sprung)!r}, 'w')"),
        r"builtins\.exec": Call(exec, f"open({str(sprung)!r}, 'w')"),
        r"builtins\.getattr": Call(getattr, Path(sprung), "touch"),
        r"builtins\.open": Call(open, str(sprung), "w"),
        r"numpy\.load|numpy\.lib.*load|numpy load": Call(np.load, str(sprung)),
        r"collections\.OrderedDict": Call(__import__("collections").OrderedDict, ()),
    }
    for name, trap in hostile.items():
        for wrapped in (trap, [trap], {"a": (1, [trap])}, np.array([trap], dtype=object)):
            for protocol in range(6):
                data = pickle.dumps(wrapped, protocol)
                with pytest.raises(
                    DataError, match=rf"^here: file: expected a pickle of arrays .*({name}|the name)"
                ):
                    unpickle(data.replace(b"__builtin__", b"builtins"), HERE)
    assert not sprung.exists()


def test_instances_and_their_states_are_refused():
    thing = Plain()
    thing.__dict__["x"] = 1
    for protocol in range(6):
        with pytest.raises(DataError, match=r"the name|instance of a class"):
            unpickle(pickle.dumps(thing, protocol), HERE)
    with pytest.raises(DataError, match=r"the name|state"):
        unpickle(pickle.dumps(Call(dict, state={"x": 1})), HERE)


BUILD = b"cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R"
ARRAY = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
CRAFTED = {
    "build on a list": (b"](K\x01tb.", "a state for list"),
    "build on a dict": (b"}}b.", "a state that is not a tuple"),
    "build on a name": (b"cnumpy\ndtype\n(K\x01tb.", "a state for name"),
    "build twice": (
        ARRAY + b"(K\x01)" + BUILD + b"\x89U\x08" + bytes(8) + b"tb(K\x01)N\x89Ntb.", "a state for"
    ),
    "call of an array": (b"cnumpy\nndarray\n(K\x03tR.", "a call of ndarray"),
    "call of a list": (b"](K\x03tR.", "a call of something other than a name"),
    "name in a list": (b"]cnumpy\nndarray\na.", "name used as a value"),
    "empty array as a value": (b"]" + ARRAY + b"a.", "unfilled used as a value"),
    "array without its contents": (ARRAY + b".", "unfilled used as a value"),
    "array within itself": (
        ARRAY + b"q\x00(K\x01K\x01\x85cnumpy\ndtype\nU\x01OK\x00K\x01\x87R\x89](h\x00etb.",
        "an array that holds itself",
    ),
    "shape beyond its bytes": (
        ARRAY + b"(K\x01J\xff\xff\xff\x7f\x85" + BUILD + b"\x89U\x00tb.", "0 bytes for float64"
    ),
    "negative shape": (ARRAY + b"(K\x01J\xff\xff\xff\xff\x85" + BUILD + b"\x89U\x00tb.", "an array of shape"),
    "objects from bytes": (
        ARRAY + b"(K\x01K\x01\x85cnumpy\ndtype\nU\x01OK\x00K\x01\x87R\x89U\x08" + bytes(8) + b"tb.",
        "an array of 1 objects with another number of them",
    ),
    "dtype by formula": (b"cnumpy\ndtype\nU\x05f8,f8\x85R.", "dtype 'f8,f8'"),
    "structured dtype": (BUILD + b"(K\x03U\x01<N(U\x01atNK\x00K\x00K\x00tb.", "a structured dtype"),
    "memory never written": (b"h\x05.", "memory 5 never written"),
    "unhashable key": (b"}]K\x01s.", "a key of type list"),
    "deep key": (b"}" + b")" + b"\x85" * 100_000 + b"K\x01s.", "a key of type tuple"),
    "key without value": (b"}(K\x01u.", "a key without its value"),
    "extension": (b"\x82\x01.", "an extension code"),
    "persistent id": (b"Pname\n.", "a persistent id"),
    "instance": (b"(ios\nsystem\n.", r"an instance of a class \(INST\)"),
    "object": (b"(cnumpy\nndarray\no.", r"an instance of a class \(OBJ\)"),
    "encoded otherwise": (
        b"c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00hex\x86R.", "bytes encoded as hex"
    ),
    "unknown opcode": (b"\xfe.", "the unknown opcode"),
    "not a pickle": (b"hello", "memory|damaged|announced|unknown"),
    "nothing": (b"", "1 bytes announced, but only 0 left"),
    "nothing on the stack": (b".", "an operation without its operand"),
    "bytes never sent": (b"\x8e" + struct.pack("<Q", 2**60) + b".", "bytes announced, but only"),
    "text for a number": (b"F" + b"x" * 10_000 + b"\n.", "damaged pickle"),
    "list of digits": (b"I" + b"9" * 10_000 + b"\n.", "damaged pickle"),
}  # fmt: skip


@pytest.mark.parametrize("case", CRAFTED)
def test_crafted_pickles_get_one_sentence(case):
    data, message = CRAFTED[case]
    with pytest.raises(DataError, match=message) as caught:
        unpickle(data, HERE)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_memory_is_bounded():
    memo = (
        b"\x80\x04" + b"K\x00" + b"r\xff\xff\xff\xff" + b"."
    )  # Python's own would make room for 4 G entries
    text = b"X" + struct.pack("<I", 1 << 20) + b"a" * (1 << 20) + b"q\x00"
    copies = b"(" + (b"c_codecs\nencode\nh\x00\x8c\x06latin1\x86R" * 500) + b"t."
    objects = (  # one long list, shared by many object arrays
        b"(" + b"K\x00" * (1 << 16) + b"lq\x00(" + (
            ARRAY + b"(K\x01J\x00\x00\x01\x00\x85cnumpy\ndtype\nU\x01OK\x00K\x01\x87R\x89h\x00tb"
        ) * 100 + b"t."
    )  # fmt: skip
    tracemalloc.start()
    try:
        assert unpickle(memo, HERE) == 0
        for bomb in (text + copies, objects):
            with pytest.raises(DataError, match=r"more than \d+ bytes out of"):
                unpickle(bomb, HERE)
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()


def test_too_many_operations_are_refused(monkeypatch):
    monkeypatch.setattr("poseda.datasets.formats.pickle.MAX_OPERATIONS", 1000)
    with pytest.raises(DataError, match="more than 1000 operations"):
        unpickle(b"]" * 2000 + b".", HERE)


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_damaged_pickles_raise_nothing_but_data_errors(protocol):
    """Truncated at every byte and flipped all over: it reads, or says why not, and nothing else."""
    whole = pickle.dumps(PLAIN, protocol)
    for cut in range(len(whole)):
        with pytest.raises(DataError):
            unpickle(whole[:cut], HERE)
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(2000):
        damaged = bytearray(whole)
        for at in rng.integers(0, len(whole), size=int(rng.integers(1, 6))):
            damaged[at] = rng.integers(256)
        try:
            unpickle(bytes(damaged), HERE)
        except DataError:
            refused += 1
    assert refused > 1000


def test_object_members_of_an_npz_are_read_without_pickle(tmp_path, monkeypatch):
    single = {"S1": {"Walking": np.ones((2, 3, 3), np.float32)}}
    rows = np.empty(2, object)
    rows[:] = ["a", [1, 2]]
    np.savez_compressed(tmp_path / "objects.npz", single=single, rows=rows, plain=np.ones(2))
    monkeypatch.setattr(pickle, "load", lambda *a, **k: pytest.fail("unpickled"))
    monkeypatch.setattr(pickle, "loads", lambda *a, **k: pytest.fail("unpickled"))
    archive = Archive(tmp_path / "objects.npz")
    assert same(archive.objects("single").value, single)
    assert same(archive.objects("rows").value, rows)
    with pytest.raises(DataError, match="plain: expected Python objects, found float64"):
        archive.objects("plain")
    with pytest.raises(DataError, match="absent: expected this member"):
        archive.objects("absent")


def test_a_hostile_object_member_is_refused_by_file_member_and_name(tmp_path):
    sprung = tmp_path / "sprung"
    np.savez(tmp_path / "trap.npz", pose=np.array([Call(os.system, f"touch {sprung}")], dtype=object))
    with pytest.raises(DataError, match=r"trap\.npz: pose: expected a pickle .*found the name posix\.system"):
        Archive(tmp_path / "trap.npz").objects("pose")
    assert not sprung.exists()


def test_an_object_member_that_lies_about_its_shape_is_refused(tmp_path):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|O", "fortran_order": False, "shape": (3,)})
    buffer.write(pickle.dumps(np.array([1, 2], dtype=object)))
    with zipfile.ZipFile(tmp_path / "liar.npz", "w") as archive:
        archive.writestr("pose.npy", buffer.getvalue())
    with pytest.raises(DataError, match=r"pose: expected objects of shape \(3,\), found \(2,\)"):
        Archive(tmp_path / "liar.npz").objects("pose")
