"""The bench's distance is what it says: measured round trips, bytes counted, nothing
changed on the way."""

import os
import socket
import statistics
import threading
import time

import pytest
from conftest import BINARY
from testbed.delay import Delay

PROXY = BINARY.parent / "bench" / "delay_proxy"


@pytest.fixture
def echo():
    """A server that sends back what it gets until the end, then ends too."""

    def answer(line):
        with line:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while data := line.recv(1 << 16):
                line.sendall(data)

    def serve():
        while True:
            try:
                line, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(line,), daemon=True).start()

    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, daemon=True).start()
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def round_trip(line, data=b"x"):
    began = time.monotonic()
    line.sendall(data)
    got = b""
    while len(got) < len(data):
        got += line.recv(1 << 16)
    return (time.monotonic() - began) * 1000


@pytest.mark.parametrize("rtt", [0, 20, 100])
def test_a_round_trip_takes_what_was_asked_for(echo, rtt):
    with Delay(PROXY, rtt, [echo]) as delay, socket.create_connection(delay.listening[0]) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        first = round_trip(line)
        times = [round_trip(line) for _ in range(9)]
        # The minimum is never too early; the median may be late on a busy machine.
        assert min(times) >= rtt
        assert statistics.median(times) < rtt + 8
        # Opening the connection costs one round trip more.
        assert 2 * rtt <= first < 2 * rtt + 40


def test_every_byte_arrives_in_order_and_is_counted(echo):
    sent = os.urandom(3 << 20)
    with Delay(PROXY, 20, [echo, echo]) as delay, socket.create_connection(delay.listening[1]) as line:
        writer = threading.Thread(target=lambda: (line.sendall(sent), line.shutdown(socket.SHUT_WR)))
        writer.start()
        got = b""
        while data := line.recv(1 << 16):
            got += data
        writer.join()
        assert got == sent
        assert delay.stats() == {"connections": 1, "up": len(sent), "down": len(sent)}
        delay.reset()
        assert delay.stats() == {"connections": 0, "up": 0, "down": 0}


def test_there_is_no_limit_of_bandwidth(echo):
    sent = bytes(32 << 20)
    with Delay(PROXY, 100, [echo]) as delay, socket.create_connection(delay.listening[0]) as line:
        round_trip(line)
        began = time.monotonic()
        writer = threading.Thread(target=line.sendall, args=(sent,))
        writer.start()
        got = 0
        while got < len(sent):
            got += len(line.recv(1 << 20))
        writer.join()
        # A window of 64 KiB, as an unlucky TCP has, would take 51 seconds.
        assert time.monotonic() - began < 5
