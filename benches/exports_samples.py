"""Made-up samples of the kinds that exported models take: pictures, lines of text, token ids, sounds, bytes of files.

Each function takes a random generator and gives one array, with the batch of 1 in front.
"""

import sysconfig
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


# Pictures, as uint8 with channels last.


def scene(generator, height, width):
    """Smooth colours, a few shapes in front, and grain."""
    coarse = generator.integers(0, 256, (4, 5, 3), np.uint8)
    picture = Image.fromarray(coarse).resize((width, height), Image.BICUBIC)
    draw = ImageDraw.Draw(picture)
    for _ in range(generator.integers(2, 7)):
        left, top = generator.integers(-width // 4, width), generator.integers(-height // 4, height)
        size = generator.integers(width // 12 + 2, width // 2 + 3, 2)
        colour = tuple(int(part) for part in generator.integers(0, 256, 3))
        shape = draw.ellipse if generator.random() < 0.6 else draw.rectangle
        shape((int(left), int(top), int(left + size[0]), int(top + size[1])), fill=colour)
    grain = generator.normal(0, 4, (height, width, 3))
    return np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8)


def words(generator, count):
    def word():
        return "".join(generator.choice(list(LETTERS), generator.integers(2, 9)))

    return " ".join(word() for _ in range(count))


def writing(generator, height, width, lines=1):
    """Dark text on a light ground, or the other way round, slightly noisy."""
    light, dark = int(generator.integers(170, 256)), int(generator.integers(0, 90))
    ground, ink = (light, dark) if generator.random() < 0.8 else (dark, light)
    picture = Image.new("RGB", (width, height), (ground,) * 3)
    draw = ImageDraw.Draw(picture)
    pitch = height / lines
    for line in range(lines):
        font = ImageFont.load_default(size=float(pitch * generator.uniform(0.5, 0.72)))
        place = (float(generator.uniform(2, width / 8)), float(pitch * (line + generator.uniform(0.05, 0.2))))
        draw.text(place, words(generator, 1 + int(width / pitch / 3)), fill=(ink,) * 3, font=font)
    grain = generator.normal(0, 5, (height, width, 3))
    return np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8)


def planes(picture, subtract=0.0, divide=255.0):
    """Channels first, (pixel / divide - subtract)."""
    return (picture.astype(np.float32) / np.float32(divide)).transpose(2, 0, 1)[None] - np.float32(subtract)


def centred(picture):
    """Channels first, -1 to 1."""
    return planes(picture, 0.5) * np.float32(2)


# Sounds, as float32 from -1 to 1.


def sound(generator, count, rate=16000):
    """Tones with overtones that come and go, or coloured noise, or nearly nothing."""
    time = np.arange(count) / rate
    kind = generator.random()
    noise = np.convolve(generator.normal(size=count + 63), generator.normal(size=64) * np.hanning(64), "valid")
    noise /= np.abs(noise).max() + 1e-9
    if kind < 0.15:
        return (noise * 0.003).astype(np.float32)
    if kind < 0.35:
        return (noise * generator.uniform(0.05, 0.5)).astype(np.float32)
    wave = np.zeros(count)
    for _ in range(generator.integers(1, 4)):
        pitch, strength = generator.uniform(80, 440), generator.uniform(0.2, 1)
        bend = pitch * (1 + 0.03 * np.sin(2 * np.pi * generator.uniform(2, 6) * time))
        turn = 2 * np.pi * np.cumsum(bend) / rate
        swell = 0.5 + 0.5 * np.sin(2 * np.pi * generator.uniform(0.5, 4) * time + generator.uniform(0, 6))
        for overtone in range(1, 9):
            wave += strength * swell * np.sin(overtone * turn) / overtone
    wave /= np.abs(wave).max() + 1e-9
    return (wave * generator.uniform(0.1, 0.7) + 0.01 * noise).astype(np.float32)


# Token ids and bytes.


def tokens(generator, length, rows, first=1, dtype=np.int64):
    """Ids from `first` up to a table's `rows`, small ones more often, as in text."""
    share = generator.random((1, length)) ** 3
    return (first + share * (rows - first)).astype(dtype)


def file_bytes(generator, half=1024, padding=256):
    """The first and the last `half` bytes of a file that comes with Python."""
    library = Path(sysconfig.get_path("stdlib"))
    if not hasattr(file_bytes, "files"):
        file_bytes.files = sorted(path for path in library.rglob("*") if path.is_file() and path.stat().st_size > 200)
    data = np.frombuffer(file_bytes.files[generator.integers(len(file_bytes.files))].read_bytes(), np.uint8)
    ends = np.full((2, half), padding, np.int32)
    head, tail = data[:half], data[-half:]
    ends[0, : len(head)] = head
    ends[1, half - len(tail) :] = tail
    return ends.reshape(1, -1)
