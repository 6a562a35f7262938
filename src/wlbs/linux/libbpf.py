# SPDX-License-Identifier: Apache-2.0
"""The door to libbpf (``libbpf.so.1``, 1.1 or later): a thin ctypes layer with typed errors.

Knows the calls that the data path makes, and what an operator can do when one is refused. Knows
nothing of any program or map by name. File descriptors are plain integers; whoever got one closes
it.
"""

import contextlib
import ctypes
import errno
import functools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from wlbs.linux.error import LinuxError, NotSupportedError

LOG_SIZE: Final = 1 << 20
"""Room for the verifier's words; it truncates what does not fit."""
LOG_LINES_SHOWN: Final = 6

_TRACE_ITER: Final = 28
"""``enum bpf_attach_type``."""
_LIVE_FRAMES: Final = 1 << 1
"""``BPF_F_TEST_XDP_LIVE_FRAMES``, since Linux 5.18 (commit b530e9e1063e)."""
_READ_SIZE: Final = 1 << 16

NO_MAPS: Final[Mapping[str, int]] = {}

_POINTER: Final = ctypes.c_void_p
_U32: Final = ctypes.c_uint32
_INT: Final = ctypes.c_int
_TEXT: Final = ctypes.c_char_p
_SIZE: Final = ctypes.c_size_t


class _OpenOptions(ctypes.Structure):
    """``struct bpf_object_open_opts`` of libbpf 1.1."""

    _fields_ = (
        ("size", _SIZE),
        ("object_name", _TEXT),
        ("relaxed_maps", ctypes.c_bool),
        ("pin_root_path", _TEXT),
        ("removed", _U32),
        ("kconfig", _TEXT),
        ("btf_custom_path", _TEXT),
        ("log", _POINTER),
        ("log_size", _SIZE),
        ("log_level", _U32),
    )


class _RunOptions(ctypes.Structure):
    """``struct bpf_test_run_opts``."""

    _fields_ = (
        ("size", _SIZE),
        ("data_in", _POINTER),
        ("data_out", _POINTER),
        ("data_size_in", _U32),
        ("data_size_out", _U32),
        ("ctx_in", _POINTER),
        ("ctx_out", _POINTER),
        ("ctx_size_in", _U32),
        ("ctx_size_out", _U32),
        ("return_value", _U32),
        ("repeat", _INT),
        ("duration_ns", _U32),
        ("flags", _U32),
        ("cpu", _U32),
        ("batch_size", _U32),
    )


class _XdpContext(ctypes.Structure):
    """``struct xdp_md``; ``data`` and ``data_end`` are offsets here."""

    _fields_ = (
        ("data", _U32),
        ("data_end", _U32),
        ("data_meta", _U32),
        ("ingress_ifindex", _U32),
        ("rx_queue_index", _U32),
        ("egress_ifindex", _U32),
    )


class _LinkOptions(ctypes.Structure):
    """The beginning of ``struct bpf_link_create_opts``; the rest is for other kinds of link."""

    _fields_ = (("size", _SIZE), ("flags", _U32))


_SIGNATURES: Final[dict[str, tuple[type | None, tuple[type, ...]]]] = {
    "libbpf_set_print": (_POINTER, (_POINTER,)),
    "libbpf_num_possible_cpus": (_INT, ()),
    "bpf_object__open_file": (_POINTER, (_TEXT, _POINTER)),
    "bpf_object__load": (_INT, (_POINTER,)),
    "bpf_object__close": (None, (_POINTER,)),
    "bpf_object__next_program": (_POINTER, (_POINTER, _POINTER)),
    "bpf_object__next_map": (_POINTER, (_POINTER, _POINTER)),
    "bpf_program__name": (_TEXT, (_POINTER,)),
    "bpf_program__fd": (_INT, (_POINTER,)),
    "bpf_map__name": (_TEXT, (_POINTER,)),
    "bpf_map__fd": (_INT, (_POINTER,)),
    "bpf_map__reuse_fd": (_INT, (_POINTER, _INT)),
    "bpf_map_update_elem": (_INT, (_INT, _POINTER, _POINTER, ctypes.c_uint64)),
    "bpf_map_lookup_elem": (_INT, (_INT, _POINTER, _POINTER)),
    "bpf_map_lookup_batch": (
        _INT,
        (_INT, _POINTER, _POINTER, _POINTER, _POINTER, _POINTER, _POINTER),
    ),
    "bpf_obj_pin": (_INT, (_INT, _TEXT)),
    "bpf_obj_get": (_INT, (_TEXT,)),
    "bpf_obj_get_info_by_fd": (_INT, (_INT, _POINTER, _POINTER)),
    "bpf_prog_get_fd_by_id": (_INT, (_U32,)),
    "bpf_prog_test_run_opts": (_INT, (_INT, _POINTER)),
    "bpf_link_create": (_INT, (_INT, _INT, _INT, _POINTER)),
    "bpf_link_detach": (_INT, (_INT,)),
    "bpf_link_update": (_INT, (_INT, _INT, _POINTER)),
    "bpf_iter_create": (_INT, (_INT,)),
    "ring_buffer__new": (_POINTER, (_INT, _POINTER, _POINTER, _POINTER)),
    "ring_buffer__epoll_fd": (_INT, (_POINTER,)),
    "ring_buffer__consume": (_INT, (_POINTER,)),
    "ring_buffer__free": (None, (_POINTER,)),
    "bpf_xdp_query_id": (_INT, (_INT, _INT, _POINTER)),
    "bpf_tc_hook_create": (_INT, (_POINTER,)),
    "bpf_tc_hook_destroy": (_INT, (_POINTER,)),
    "bpf_tc_attach": (_INT, (_POINTER, _POINTER)),
    "bpf_tc_detach": (_INT, (_POINTER, _POINTER)),
    "bpf_tc_query": (_INT, (_POINTER, _POINTER)),
}


@functools.cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libbpf.so.1", use_errno=True)
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        what = f"libbpf 1.1 or later cannot be used ({error})"
        raise LinuxError(what, "install it: apt-get install libbpf1") from error
    # What libbpf says goes into our errors, not past them onto the operator's terminal.
    library.libbpf_set_print(None)
    return library


def refused(what: str, number: int) -> LinuxError:
    """Return the error for a call that failed with this errno."""
    text = f"{what}: {os.strerror(number)}"
    if number in {errno.EPERM, errno.EACCES}:
        return LinuxError(text, "run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON")
    if number == errno.ENOENT:
        return LinuxError(text, "start the agent first: nothing is loaded")
    if number == errno.ESRCH:
        return NotSupportedError(
            f"{what}: the kernel has no such function", "use another kernel, or do without"
        )
    if number in {errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}:
        return NotSupportedError(text, "use Linux 6.1 or later on a device that has this feature")
    return LinuxError(text, "see the kernel's log: dmesg | tail")


def call(what: str, name: str, *arguments: object, tolerated: tuple[int, ...] = ()) -> int:
    """Call a function of libbpf that returns a negative errno, or no pointer, when it fails."""
    result = int(getattr(_library(), name)(*arguments) or 0)
    if result < 0 and -result not in tolerated:
        raise refused(what, -result)
    return result


class BpfObject:
    """A compiled object whose programs and maps are in the kernel until ``close``."""

    def __init__(self, path: Path, shared: Mapping[str, int] = NO_MAPS) -> None:
        """Load everything in the object; LinuxError with the verifier's words if refused.

        ``shared`` has descriptors of maps that take the place of the object's own, by their names;
        a variable's, which is named after its section, goes by what stands behind the last dot.
        """
        library = _library()
        if not path.exists():
            what = f"{path} is missing"
            raise LinuxError(what, "build the eBPF programs: make setup")
        log = ctypes.create_string_buffer(LOG_SIZE)
        options = _OpenOptions(
            size=ctypes.sizeof(_OpenOptions),
            log=ctypes.cast(log, _POINTER),
            log_size=LOG_SIZE,
        )
        self._handle = library.bpf_object__open_file(os.fsencode(path), ctypes.byref(options))
        if not self._handle:
            what = f"cannot open {path}"
            raise refused(what, ctypes.get_errno())
        self._share(shared)
        result = int(library.bpf_object__load(self._handle))
        if result < 0:
            self.close()
            summary = "; ".join(log.value.decode(errors="replace").splitlines()[-LOG_LINES_SHOWN:])
            what = f"cannot load {path.name}{': ' if summary else ''}{summary}"
            raise refused(what, -result)

    def close(self) -> None:
        """Let go of programs and maps; what is pinned or attached stays."""
        if self._handle:
            _library().bpf_object__close(self._handle)
        self._handle = None

    def _share(self, shared: Mapping[str, int]) -> None:
        library = _library()
        item = library.bpf_object__next_map(self._handle, None)
        while item:
            descriptor = shared.get(library.bpf_map__name(item).decode().rpartition(".")[2])
            if descriptor is not None:
                call("cannot share a map", "bpf_map__reuse_fd", item, descriptor)
            item = library.bpf_object__next_map(self._handle, item)

    def programs(self) -> Iterator[tuple[str, int]]:
        """Yield name and file descriptor of each program."""
        yield from self._each("program")

    def maps(self) -> Iterator[tuple[str, int]]:
        """Yield name and file descriptor of each map."""
        yield from self._each("map")

    def _each(self, kind: str) -> Iterator[tuple[str, int]]:
        library = _library()
        step = getattr(library, f"bpf_object__next_{kind}")
        name, descriptor = (getattr(library, f"bpf_{kind}__{part}") for part in ("name", "fd"))
        item = step(self._handle, None)
        while item:
            yield name(item).decode(), int(descriptor(item))
            item = step(self._handle, item)


def pin(descriptor: int, path: Path) -> None:
    """Give a program, map or link a name in the BPF file system, so that it outlives us."""
    call(f"cannot pin {path}", "bpf_obj_pin", descriptor, os.fsencode(path))


def open_pinned(path: Path) -> int:
    """Return a new file descriptor for what is pinned here."""
    return call(f"cannot open {path}", "bpf_obj_get", os.fsencode(path))


def update(map_fd: int, key: bytes, value: bytes) -> None:
    """Write one entry of a map."""
    call("cannot write a map", "bpf_map_update_elem", map_fd, key, value, 0)


def lookup(map_fd: int, key: bytes, value_size: int) -> bytes | None:
    """Read one entry of a map; None if it has no such entry."""
    value = ctypes.create_string_buffer(value_size)
    result = call(
        "cannot read a map",
        "bpf_map_lookup_elem",
        map_fd,
        key,
        value,
        tolerated=(errno.ENOENT,),
    )
    return value.raw if result == 0 else None


def entries(map_fd: int, sizes: tuple[int, int], count_max: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield key and value of each entry of a hash map, whose sizes are given, read at once."""
    key_size, value_size = sizes
    keys = ctypes.create_string_buffer(key_size * count_max)
    values = ctypes.create_string_buffer(value_size * count_max)
    position, count = ctypes.c_uint64(), _U32(count_max)
    call(
        "cannot read a map",
        "bpf_map_lookup_batch",
        *(map_fd, None, ctypes.byref(position), keys, values, ctypes.byref(count), None),
        tolerated=(errno.ENOENT,),  # there are no more
    )
    all_keys, all_values = keys.raw, values.raw
    for at in range(count.value):
        key = all_keys[at * key_size : (at + 1) * key_size]
        yield key, all_values[at * value_size : (at + 1) * value_size]


def possible_cpu_count() -> int:
    """Return how many values an entry of a per-CPU map has."""
    return call("cannot count the processors", "libbpf_num_possible_cpus")


def run(program_fd: int, context: bytes = b"") -> int:
    """Run a SYSCALL program once and return what it returned."""
    options = _RunOptions(size=ctypes.sizeof(_RunOptions))
    buffer = ctypes.create_string_buffer(context, len(context))
    if context:
        options.ctx_in = ctypes.cast(buffer, _POINTER)
        options.ctx_size_in = len(context)
    call("cannot run a program", "bpf_prog_test_run_opts", program_fd, ctypes.byref(options))
    return int(options.return_value)


class FrameRunner:
    """Runs one XDP or traffic control program on given frames (``BPF_PROG_TEST_RUN``)."""

    def __init__(self, program_fd: int, size_max: int = 2048) -> None:
        """Keep the buffers from run to run: a test makes hundreds of thousands."""
        self._program_fd = program_fd
        self._size_max = size_max
        self._out = ctypes.create_string_buffer(size_max)
        self._options = _RunOptions(
            size=ctypes.sizeof(_RunOptions), data_out=ctypes.cast(self._out, _POINTER)
        )

    def run(self, frame: bytes, repeat: int = 1) -> tuple[int, bytes, int]:
        """Return what the program returned, the frame as it left it, and nanoseconds per run."""
        options = self._options
        options.data_in = ctypes.cast(ctypes.c_char_p(frame), _POINTER)
        options.data_size_in, options.data_size_out = len(frame), self._size_max
        options.repeat = repeat
        call(
            "cannot run a program",
            "bpf_prog_test_run_opts",
            self._program_fd,
            ctypes.byref(options),
        )
        return (
            int(options.return_value),
            self._out.raw[: options.data_size_out],
            int(options.duration_ns),
        )


def let_arrive(program_fd: int, frame: bytes, ifindex: int) -> None:
    """Have a frame arrive at an interface that runs native XDP, as this XDP program decides it.

    The interface is one of the caller's namespace. What the program passes goes up its stack.
    """
    context = _XdpContext(data_end=len(frame), ingress_ifindex=ifindex)
    options = _RunOptions(
        size=ctypes.sizeof(_RunOptions),
        data_in=ctypes.cast(ctypes.c_char_p(frame), _POINTER),
        data_size_in=len(frame),
        ctx_in=ctypes.cast(ctypes.byref(context), _POINTER),
        ctx_size_in=ctypes.sizeof(context),
        repeat=1,
        flags=_LIVE_FRAMES,
    )
    call("cannot inject a frame", "bpf_prog_test_run_opts", program_fd, ctypes.byref(options))


def create_link(program_fd: int, ifindex: int, attach_type: int, flags: int = 0) -> int:
    """Attach a program to an interface as a link; its descriptor, or a negative errno."""
    options = _LinkOptions(size=ctypes.sizeof(_LinkOptions), flags=flags)
    return int(_library().bpf_link_create(program_fd, ifindex, attach_type, ctypes.byref(options)))


def read_iterator(program_fd: int) -> bytes:
    """Run an iterator over all it walks in the caller's namespaces; return what it wrote."""
    link = call("cannot start an iterator", "bpf_link_create", program_fd, 0, _TRACE_ITER, None)
    try:
        reader = call("cannot run an iterator", "bpf_iter_create", link)
    finally:
        os.close(link)
    written = bytearray()
    try:
        while True:
            # After a million things without a word the kernel asks to be called again.
            with contextlib.suppress(BlockingIOError):
                read = os.read(reader, _READ_SIZE)
                if not read:
                    return bytes(written)
                written += read
    finally:
        os.close(reader)


def detach_link(link_fd: int) -> None:
    """Detach a link now, whoever else holds it; one that is detached already stays so."""
    call("cannot detach a link", "bpf_link_detach", link_fd, tolerated=(errno.ENOLINK,))


def update_link(link_fd: int, program_fd: int) -> None:
    """Put another program in the place of a link's own: no frame sees neither."""
    call("cannot update a link", "bpf_link_update", link_fd, program_fd, None)
