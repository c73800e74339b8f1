# SPDX-License-Identifier: Apache-2.0
"""Processes that are killed at random instants: after a random time, or a random while after a file event."""
import ctypes
import os
import platform
import select
import struct
import subprocess
import time

LIBC = ctypes.CDLL(None, use_errno=True)
IN_MODIFY, IN_CLOSE_WRITE, IN_MOVED, IN_CREATE, IN_DELETE, IN_ISDIR = 0x2, 0x8, 0xC0, 0x100, 0x200, 0x40000000
SYS_RENAMEAT2 = {"x86_64": 316, "aarch64": 276}


class Filter(ctypes.Structure):
    _fields_ = [("code", ctypes.c_ushort), ("yes", ctypes.c_ubyte), ("no", ctypes.c_ubyte), ("k", ctypes.c_uint)]


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filters", ctypes.POINTER(Filter))]


def refuse_exchange():
    """From here on the system refuses this process to exchange two names, as NFS and FUSE do."""
    invalid = 22
    rules = (Filter * 4)((0x20, 0, 0, 0), (0x15, 0, 1, SYS_RENAMEAT2[platform.machine()]),
                         (0x06, 0, 0, 0x00050000 | invalid), (0x06, 0, 0, 0x7FFF0000))
    program = Program(4, rules)
    if LIBC.prctl(38, 1, 0, 0, 0) or LIBC.prctl(22, 2, ctypes.byref(program)):
        os._exit(70)


def start(command, two_renames):
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            preexec_fn=refuse_exchange if two_renames else None)


class Events:
    """What happens to the files of a folder and of folders that are made in it."""

    def __init__(self, folder):
        self.folder, self.watched = os.fsencode(folder), {}
        self.queue = LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self.watch(self.folder)

    def watch(self, folder):
        mask = IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED | IN_CREATE | IN_DELETE
        if (number := LIBC.inotify_add_watch(self.queue, folder, mask)) >= 0:
            self.watched[number] = folder

    def wait(self, count, process):
        """Until so many have happened or the process has ended; returns how many have."""
        seen = 0
        while seen < count and process.poll() is None:
            if not select.select([self.queue], [], [], 0.01)[0]:
                continue
            data, at = os.read(self.queue, 1 << 16), 0
            while at < len(data):
                number, mask, _, length = struct.unpack_from("iIII", data, at)
                name = data[at + 16:at + 16 + length].rstrip(b"\0")
                at += 16 + length
                seen += 1
                if mask & IN_CREATE and mask & IN_ISDIR and number in self.watched:
                    self.watch(os.path.join(self.watched[number], name))
        return seen

    def close(self):
        os.close(self.queue)


def kill_at_random(process, folder, chance, seconds, events):
    """Kills a process at an instant of what may be so many seconds, and so many events in a folder, an early one more
    likely than a late one. Returns whether it still ran."""
    share = chance.random() * chance.random()
    if chance.random() < 0.5:
        time.sleep(share * seconds)
    else:
        watch = Events(folder)
        watch.wait(1 + int(share * events), process)
        watch.close()
        end = time.perf_counter() + chance.choice((0, 1e-4, 1e-3)) * chance.random()
        while time.perf_counter() < end:
            pass
    process.kill()
    process.communicate()
    return process.returncode == -9
