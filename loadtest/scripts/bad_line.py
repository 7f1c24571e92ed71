#!/usr/bin/env python3
"""A line that delays, loses and reorders, in user space, for kernels without netem.

Makes a TUN device in the network namespace that it runs in. A packet to FAR comes back with its two
addresses exchanged, which leaves every checksum right: who connects to FAR reaches the listener of
the same port on this machine, and every packet of both directions has crossed the line once.
Prints a line when the device is up; runs until it is ended. Started by `line_faults`.
"""

import argparse
import fcntl
import heapq
import itertools
import os
import random
import select
import struct
import subprocess
import sys
import time

DEVICE, NEAR, FAR = "line0", "10.99.0.1", "10.99.0.2"
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
PACKET_BYTES_MAX = 65535


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--delay-ms", type=float, default=50)
    parser.add_argument("--jitter-ms", type=float, default=20)
    parser.add_argument("--loss", type=float, default=0.02)
    options = parser.parse_args()
    line = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(line, TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), IFF_TUN | IFF_NO_PI))
    subprocess.run(["ip", "address", "add", f"{NEAR}/24", "dev", DEVICE], check=True)
    subprocess.run(["ip", "link", "set", DEVICE, "up"], check=True)
    print("up", flush=True)
    carry(line, options)


def carry(line, options):
    waiting, order, chance = [], itertools.count(), random.Random(1)
    while True:
        pause = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        if select.select([line], [], [], pause)[0]:
            packet = os.read(line, PACKET_BYTES_MAX)
            # IPv6 chatter of the device itself is of no interest.
            if packet[0] >> 4 == 4 and chance.random() >= options.loss:
                jitter = chance.uniform(-options.jitter_ms, options.jitter_ms)
                due = time.monotonic() + (options.delay_ms + jitter) / 1000
                heapq.heappush(waiting, (due, next(order), packet))
        while waiting and waiting[0][0] <= time.monotonic():
            packet = heapq.heappop(waiting)[2]
            os.write(line, packet[:12] + packet[16:20] + packet[12:16] + packet[20:])


if __name__ == "__main__":
    sys.exit(main())
