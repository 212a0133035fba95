"""Exceptions from callbacks and iterators, Ctrl-C, and what is left after them."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

import fourbit


class Stop(Exception):
    pass


def test_exceptions_arrive_unchanged_and_leave_nothing(waves, tmp_path):
    model = waves.model.read_bytes()
    out = tmp_path / "out"
    out.mkdir()
    calls = []

    def progress_that_fails(at):
        def progress(stage, done, total):
            calls.append(stage)
            if len(calls) >= at:
                raise Stop(at)

        return progress

    def samples_that_fail(at):
        for index in range(at):
            yield waves.calibration[index]
        raise Stop(at)

    def once(at):
        calls.clear()
        if at % 2:
            arguments = {"samples": samples_that_fail(at % 16)}
        else:
            arguments = {"samples": waves.calibration[:16], "progress": progress_that_fails(1 + at % 12)}
        with pytest.raises(Stop) as caught:
            fourbit.quantize(model, precision="w4", max_samples=64, output=out / "net.onnx", **arguments)
        assert type(caught.value) is Stop and caught.value.args[0] == (at % 16 if at % 2 else 1 + at % 12)

    for at in range(10):
        once(at)
    gc.collect()
    before = len(gc.get_objects()), memory(), handles()
    for at in range(100):
        once(at)
    gc.collect()
    after = len(gc.get_objects()), memory(), handles()
    assert after[0] - before[0] < 500
    assert after[1] - before[1] < 40 << 20
    assert after[2] <= before[2] + 1
    assert list(out.iterdir()) == []


def memory():
    """Resident bytes."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    except OSError:
        return 0


def handles():
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0


def test_other_threads_run_meanwhile(waves):
    ticks = []
    over = threading.Event()

    def tick():
        while not over.wait(0.01):
            ticks.append(time.monotonic())

    thread = threading.Thread(target=tick)
    thread.start()
    fourbit.quantize(waves.model.read_bytes(), waves.calibration[:64], progress=False)
    over.set()
    thread.join()
    assert len(ticks) > 5 and max(np.diff(ticks)) < 1.0


def test_calls_from_several_threads_do_not_meet(waves):
    model, found = waves.model.read_bytes(), []

    def convert():
        found.append(fourbit.quantize(model, waves.calibration[:16], precision="w4", threads=1, progress=False).model)

    threads = [threading.Thread(target=convert) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3 and len(set(found)) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_process_can_work_too(waves):
    program = f"""
        import os, fourbit
        model = open({str(waves.model)!r}, "rb").read()
        fourbit.quantize(model, "none", precision="w4", progress=False)
        child = os.fork()
        if child == 0:
            fourbit.quantize(model, "none", precision="w4", progress=False)
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    """
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)], timeout=60, check=False)
    assert done.returncode == 0


def heard():
    """Shells have what runs in the background ignore interrupts, and its children too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_an_interrupt_ends_the_work(resnet, tmp_path):
    out = tmp_path / "net.onnx"
    program = f"""
        import fourbit, os, threading, signal
        def progress(stage, done, total):
            progress.heard += 1
            if progress.heard == 3:
                threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        progress.heard = 0
        try:
            fourbit.quantize({str(resnet.model)!r}, output={str(out)!r}, progress=progress, min_sqnr=200.0)
        except KeyboardInterrupt:
            print("interrupted")
    """
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=heard,
    )
    assert done.stdout == "interrupted\n", done.stderr
    assert not out.exists() and list(tmp_path.iterdir()) == []
    assert time.monotonic() - begun < 60


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_an_interrupt_ends_the_program_as_it_does_the_other(resnet, tmp_path):
    line = [sys.executable, "-m", "fourbit", "quantize", str(resnet.model), str(tmp_path / "net.onnx"), "--min-sqnr", "200"]
    child = subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=heard)
    time.sleep(2.5)
    assert child.poll() is None, child.communicate()
    child.send_signal(signal.SIGINT)
    _, told = child.communicate(timeout=60)
    assert child.returncode == 130 and "interrupted" in told and "Traceback" not in told, told
    assert list(tmp_path.iterdir()) == []
