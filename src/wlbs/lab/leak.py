# SPDX-License-Identifier: Apache-2.0
"""A program of its own: sends a raw frame again and again, whatever source it has.

Run inside a namespace as ``python -m wlbs.lab.leak WAY INTERFACE FRAME COUNT INTERVAL``, the frame
in hexadecimal digits. It stands for any program on a node that knows no better: ``above``, what it
sends passes the egress guard like everything sent by AF_PACKET; ``below``, it asks the kernel to
leave out the queueing discipline and the guard with it. For what is ``under`` a host, INTERFACE is
the switch's port, where the frame arrives as if the host's cable had brought it. Says ``sent`` when
the first frame is on its way and ``all`` when the last one is; then it keeps its socket until it is
ended, as what captures below the guard does.
"""

import contextlib
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, assert_never

from wlbs.core.address import BROADCAST, Mac
from wlbs.lab.names import PASS_PROGRAM
from wlbs.linux import libbpf, link
from wlbs.scenario.leaking import EXPERIMENTAL, PROGRAM, SIZE_MIN
from wlbs.scenario.steps import Way

SENT: Final = b"sent\n"
ALL_SENT: Final = b"all\n"

_SOL_PACKET: Final = 263
_PACKET_QDISC_BYPASS: Final = 20
"""packet(7), since Linux 3.14."""


def send(interface: str, source: Mac, payload: bytes) -> None:
    """Send one frame to everybody."""
    head = BROADCAST.octets + source.octets + EXPERIMENTAL.to_bytes(2, "big")
    with _raw(interface) as raw:
        raw.send((head + payload).ljust(SIZE_MIN, b"\0"))


def way_out(way: Way, interface: str) -> Callable[[bytes], None]:
    """Return what sends a frame this way, for as long as the process lives."""
    match way:
        case Way.ABOVE:
            return _from(_raw(interface))
        case Way.BELOW:
            raw = _raw(interface)
            raw.setsockopt(_SOL_PACKET, _PACKET_QDISC_BYPASS, 1)
            return _from(raw)
        case Way.UNDER:
            return _from_under(interface)
        case _:
            assert_never(way)


def _raw(interface: str) -> socket.socket:
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind((interface, 0))
    return raw


def _from(raw: socket.socket) -> Callable[[bytes], None]:
    def send_frame(frame: bytes) -> None:
        # A link that is down loses what is sent: so would a wire.
        with contextlib.suppress(OSError):
            raw.send(frame)

    return send_frame


def _from_under(port: str) -> Callable[[bytes], None]:
    """Have frames arrive at a port of the switch that nothing on the host has sent.

    The kernel's live test run hands them to the port as its driver would: captures and the bridge
    see them come in there, and no hook of the host's end has had them.
    """
    programs = libbpf.BpfObject(PASS_PROGRAM).programs()
    (passing,) = (descriptor for _, descriptor in programs)
    index = link.find(port).index
    return lambda frame: libbpf.let_arrive(passing, frame, index)


def _say(word: bytes) -> None:
    sys.stdout.buffer.write(word)
    sys.stdout.buffer.flush()


def main() -> None:
    """Send until the count is over, at a steady pace; then be there until ended."""
    way, interface, frame, count, interval_s = sys.argv[1:]
    Path("/proc/self/comm").write_text(PROGRAM)
    send_frame = way_out(Way(way), interface)
    due = time.monotonic()
    for number in range(int(count)):
        time.sleep(max(0.0, due - time.monotonic()))
        due += float(interval_s)
        send_frame(bytes.fromhex(frame))
        if number == 0:
            _say(SENT)
    _say(ALL_SENT)
    signal.pause()


if __name__ == "__main__":
    main()
