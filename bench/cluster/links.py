#!/usr/bin/env python3
"""Links between network namespaces with a rate, a delay and lost packets, for kernels without netem: a tun device in each, and this program, which
hands over what they send. For rates of some 100 Mbit/s: it is a process like others.

    links.py --gbit=0.1 --delay_ms=1 [--loss=0.02] NAMESPACE=ADDRESS …       (root) prints "ready", and ends when it is killed

From each namespace there is one link; its packets arrive in order, whoever they are for.
"""
import argparse
import ctypes
import fcntl
import heapq
import ipaddress
import os
import random
import select
import struct
import subprocess
import time

CLONE_NEWNET, TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x40000000, 0x400454CA, 0x0001, 0x1000
MTU = 65000


def tun_in(namespace, address):
    """The file of a new device in the namespace."""
    at = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(at, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), f"setns {namespace}")
    os.close(at)
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", b"eth0", IFF_TUN | IFF_NO_PI))
    for words in (["addr", "add", f"{address}/16", "dev", "eth0"], ["link", "set", "lo", "up"], ["link", "set", "eth0", "mtu", str(MTU), "up"]):
        subprocess.run(["ip", *words], check=True)
    return device


def hand_over(devices, seconds_a_byte, delay, loss):
    """devices: address as bytes -> file."""
    ends, free = list(devices.values()), dict.fromkeys(devices.values(), 0.0)
    chance, under_way, number = random.Random(1), [], 0
    while True:
        ready, _, _ = select.select(ends, [], [], max(0, under_way[0][0] - time.monotonic()) if under_way else None)
        for end in ready:
            packet = os.read(end, 65536)
            target = devices.get(packet[16:20])  # IPv4's destination
            if target is None or packet[0] >> 4 != 4 or chance.random() < loss:
                continue
            free[end] = max(free[end], time.monotonic()) + len(packet) * seconds_a_byte
            number += 1
            heapq.heappush(under_way, (free[end] + delay, number, target, packet))
        while under_way and under_way[0][0] <= time.monotonic():
            _, _, target, packet = heapq.heappop(under_way)
            os.write(target, packet)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gbit", type=float, required=True)
    parser.add_argument("--delay_ms", type=float, required=True)
    parser.add_argument("--loss", type=float, default=0)
    parser.add_argument("ends", nargs="+", metavar="NAMESPACE=ADDRESS")
    args = parser.parse_args()
    devices = {}
    for end in args.ends:
        namespace, address = end.split("=")
        devices[ipaddress.IPv4Address(address).packed] = tun_in(namespace, address)
    print("ready", flush=True)
    hand_over(devices, 8e-9 / args.gbit, args.delay_ms / 1000, args.loss)


if __name__ == "__main__":
    main()
