"""Generators of the data that the small networks are trained and measured on.

Nothing is downloaded: every sample is drawn from a seeded numpy generator, so
a (seed, count) pair always names the same samples. Training, calibration and
validation use different seeds and never share a draw.

  shapes(n, seed) -> uint8 pictures [n, 32, 32, 3] (NHWC, RGB), labels [n]
  digits(n, seed) -> uint8 pictures [n, 28, 28], labels [n]
  waves(n, seed)  -> int8 signals [n, 128], labels [n]
  stories(n, seed) -> uint8 characters [n, 112], the characters that follow [n, 112]

Values are kept to a few levels (16 for pictures, 64 for signals): it costs no
accuracy worth speaking of and lets the stored float arrays compress well.
"""

import numpy as np

SHAPES = ["disc", "square", "triangle", "star", "plus"]
SHAPE_CLASSES = [f"{colour} {shape}" for colour in ("warm", "cool") for shape in SHAPES]
DIGIT_CLASSES = [str(d) for d in range(10)]
WAVE_CLASSES = ["sine", "square", "triangle", "saw", "falling saw",
                "rising chirp", "falling chirp", "burst", "two tones", "pulses"]


def _levels(pictures):
    """[0, 1] floats to 16 levels spread over 0..255 (multiples of 17)."""
    return (np.rint(np.clip(pictures, 0, 1) * 15) * 17).astype(np.uint8)


# ---------------------------------------------------------------- shapes

def _hue(hue, saturation, value):
    """HSV to RGB; each argument [n], hue in turns; result [n, 3]."""
    k = (hue[:, None] * 6 + np.array([5.0, 3.0, 1.0])) % 6
    ramp = np.clip(np.minimum(k, 4 - k), 0, 1)
    return value[:, None] * (1 - saturation[:, None] * ramp)


def _outline(shape, angle, x, y):
    """Signed inside-ness of points in the unit shape: positive inside."""
    radius = np.hypot(x, y)
    if shape == "disc":
        return 0.9 - radius
    if shape == "plus":
        ax, ay = np.abs(x), np.abs(y)
        long, short = np.maximum(ax, ay), np.minimum(ax, ay)
        return np.minimum(0.95 - long, 0.33 - short)
    if shape == "star":
        # The edge from an outer tip (radius 1) to an inner corner (radius 0.48).
        turn = np.abs((angle + np.pi / 5) % (2 * np.pi / 5) - np.pi / 5)
        px, py = radius * np.cos(turn), radius * np.sin(turn)
        qx, qy = 0.48 * np.cos(np.pi / 5), 0.48 * np.sin(np.pi / 5)
        ex, ey = qx - 1, qy
        return (ex * py - ey * (px - 1)) / np.hypot(ex, ey)
    sides = {"square": 4, "triangle": 3}[shape]
    turn = (angle + np.pi / sides) % (2 * np.pi / sides) - np.pi / sides
    apothem = {"square": 0.78, "triangle": 0.58}[shape]
    return apothem - radius * np.cos(turn)


def shapes(n, seed, size=32, chunk=2000):
    """Coloured shapes over a textured ground, partly hidden, with noise.

    The class is the shape (5) and whether its colour is warm or cool; place,
    size, rotation, stretch, texture, light and clutter are drawn at random.
    """
    parts = [_shapes_chunk(min(chunk, n - i), [seed, i], size) for i in range(0, n, chunk)]
    return tuple(np.concatenate(p) for p in zip(*parts))


def _shapes_chunk(n, seed, size):
    rng = np.random.default_rng(seed)

    def uniform(low, high):
        return rng.uniform(low, high, n).astype(np.float32)[:, None, None]

    line = ((np.arange(size) + 0.5) / size * 2 - 1).astype(np.float32)
    gx, gy = np.broadcast_to(line, (n, size, size)), np.broadcast_to(line[:, None], (n, size, size))
    labels = rng.integers(0, len(SHAPE_CLASSES), n)

    # Ground: a gradient between two muted colours with a sinusoidal texture.
    hues = rng.uniform(0, 1, (2, n))
    ground = [_hue(h, rng.uniform(0, 0.6, n), rng.uniform(0.15, 0.85, n)) for h in hues]
    way = uniform(0, 2 * np.pi)
    along = gx * np.cos(way) + gy * np.sin(way)
    mix = (0.5 + 0.4 * along)[..., None]
    pictures = ground[0][:, None, None] * mix + ground[1][:, None, None] * (1 - mix)
    wave = np.sin((gx * np.sin(way) - gy * np.cos(way)) * uniform(3, 16) + uniform(0, 6.3))
    pictures = pictures + (wave * uniform(0, 0.14))[..., None]

    def paint(cover, colour):
        nonlocal pictures
        cover = cover[..., None].astype(np.float32)
        pictures = pictures * (1 - cover) + colour * cover

    # Clutter behind: soft-edged ellipses and strips of any colour.
    for _ in range(3):
        px, py, turn = uniform(-1, 1), uniform(-1, 1), uniform(0, np.pi)
        u = (gx - px) * np.cos(turn) + (gy - py) * np.sin(turn)
        v = (gy - py) * np.cos(turn) - (gx - px) * np.sin(turn)
        edge = 1 - np.sqrt((u / uniform(0.1, 0.7)) ** 2 + (v / uniform(0.06, 0.2)) ** 2)
        colour = _hue(rng.uniform(0, 1, n), rng.uniform(0, 0.9, n), rng.uniform(0.1, 1, n))
        paint(np.clip(edge * 4, 0, 1) * (uniform(0, 1) < 0.5), colour[:, None, None])

    # The shape itself.
    scale, turn = uniform(0.4, 0.85), uniform(0, 2 * np.pi)
    room = np.clip(1.0 - scale, 0.05, None)
    cx, cy = uniform(-1, 1) * room, uniform(-1, 1) * room
    stretch, shear = np.exp(uniform(-0.25, 0.25)), uniform(-0.22, 0.22)
    u = ((gx - cx) * np.cos(turn) + (gy - cy) * np.sin(turn)) / scale
    v = ((gy - cy) * np.cos(turn) - (gx - cx) * np.sin(turn)) / scale
    u, v = (u + shear * v) * stretch, v / stretch
    angle = np.arctan2(v, u)
    inside = np.empty_like(u)
    for index, name in enumerate(SHAPES):
        rows = labels % len(SHAPES) == index
        inside[rows] = _outline(name, angle[rows], u[rows], v[rows])
    cover = np.clip(0.5 + inside * scale * size / 2, 0, 1)
    cool = labels >= len(SHAPES)
    hue = np.where(cool, 0.56, 0.06) + rng.uniform(-0.17, 0.17, n)
    colour = _hue(hue % 1, rng.uniform(0.35, 1, n), rng.uniform(0.35, 1, n))
    grain = np.sin(u * uniform(2, 9) + uniform(0, 6.3)) * uniform(0, 0.18)
    paint(cover * uniform(0.75, 1), colour[:, None, None] + grain[..., None])

    # Something in front of nearly half of them: a strip that hides a part.
    way, off, width = uniform(0, np.pi), uniform(-0.35, 0.35) * scale, uniform(0.05, 0.22)
    across = (gx - cx) * np.cos(way) + (gy - cy) * np.sin(way) - off
    strip = np.clip((width * scale * 1.6 - np.abs(across)) * size / 2, 0, 1)
    colour = _hue(rng.uniform(0, 1, n), rng.uniform(0, 0.7, n), rng.uniform(0.1, 0.9, n))
    paint(strip * (uniform(0, 1) < 0.45), colour[:, None, None])

    # Light: tint, contrast, and noise that is mostly common to the channels.
    tint = rng.uniform(0.82, 1.12, (n, 1, 1, 3)).astype(np.float32)
    pictures = (pictures - 0.5) * uniform(0.6, 1.1)[..., None] + 0.5
    noise = rng.normal(0, 1, (n, size, size, 1)) + 0.5 * rng.normal(0, 1, (n, size, size, 3))
    pictures = pictures * tint + noise * uniform(0.0, 0.08)[..., None]
    return _levels(pictures), labels


# ---------------------------------------------------------------- digits

def _arc(cx, cy, rx, ry, start, end, steps):
    """Points on an ellipse, angles in degrees, y downwards."""
    t = np.radians(np.linspace(start, end, steps + 1))
    return [(cx + rx * np.cos(a), cy + ry * np.sin(a)) for a in t]


# Each digit as one or more pen strokes in the box [-1, 1] x [-1, 1].
_STROKES = [
    [_arc(0, 0, 0.6, 0.95, -90, 270, 14)],
    [[(-0.35, -0.6), (0.1, -0.95), (0.1, 0.95)]],
    [_arc(0, -0.45, 0.55, 0.5, 190, 380, 7) + [(-0.6, 0.95), (0.62, 0.95)]],
    [_arc(-0.05, -0.48, 0.52, 0.46, 200, 450, 7) + _arc(-0.05, 0.45, 0.6, 0.5, -90, 160, 7)],
    [[(0.3, 0.95), (0.3, -0.95), (-0.6, 0.35), (0.65, 0.35)]],
    [[(0.55, -0.95), (-0.45, -0.95), (-0.5, -0.1)] + _arc(-0.05, 0.35, 0.6, 0.58, 230, 510, 9)],
    [[(0.4, -0.95), (-0.25, -0.35)] + _arc(0, 0.4, 0.55, 0.55, 200, 560, 11)],
    [[(-0.6, -0.95), (0.6, -0.95), (-0.1, 0.95)]],
    [_arc(0, -0.48, 0.45, 0.45, 90, 450, 8) + _arc(0, 0.47, 0.56, 0.5, -90, 270, 8)],
    [_arc(0, -0.4, 0.55, 0.55, 20, 380, 11) + [(0.45, 0.2), (0.15, 0.95)]],
]
_SEGMENTS = 18


def _segments(strokes):
    """Strokes as [_SEGMENTS, 2, 2] ends; the last one is repeated to fill."""
    ends = [(a, b) for stroke in strokes for a, b in zip(stroke, stroke[1:])]
    ends += [ends[-1]] * (_SEGMENTS - len(ends))
    return np.array(ends[:_SEGMENTS], dtype=np.float32)


_TEMPLATES = np.stack([_segments(s) for s in _STROKES])


def digits(n, seed, size=28, chunk=200):
    """Digits as bent pen strokes of uneven width, with stray marks and noise."""
    parts = [_digits_chunk(min(chunk, n - i), [seed, i], size) for i in range(0, n, chunk)]
    return tuple(np.concatenate(p) for p in zip(*parts))


def _digits_chunk(n, seed, size):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, n)
    ends = _TEMPLATES[labels]

    # A smooth bend of the plane, the same for both ends of neighbouring segments.
    for _ in range(2):
        way = rng.uniform(0, 2 * np.pi, (n, 1, 1))
        phase = ends[..., 0] * np.cos(way) + ends[..., 1] * np.sin(way)
        bend = np.sin(phase * rng.uniform(1, 3.2, (n, 1, 1)) + rng.uniform(0, 6.3, (n, 1, 1)))
        push = rng.normal(0, 0.085, (n, 1, 1, 2))
        ends = ends + bend[..., None] * push
    # Rotation, slant, aspect, size and place.
    turn, slant = rng.uniform(-0.3, 0.3, n), rng.uniform(-0.3, 0.3, n)
    wide, tall = rng.uniform(0.4, 0.8, n), rng.uniform(0.55, 0.8, n)
    matrix = np.empty((n, 2, 2))
    matrix[:, 0, 0], matrix[:, 0, 1] = wide * np.cos(turn), tall * (slant - np.sin(turn))
    matrix[:, 1, 0], matrix[:, 1, 1] = wide * np.sin(turn), tall * np.cos(turn)
    ends = np.einsum("nij,nsej->nsei", matrix, ends) + rng.uniform(-0.2, 0.2, (n, 1, 1, 2))
    # One stray mark each (for some of them).
    mark = rng.uniform(-0.95, 0.95, (n, 1, 2))
    mark = np.concatenate([mark, mark + rng.normal(0, 0.25, (n, 1, 2))], 1)
    mark[rng.uniform(0, 1, n) < 0.4] += 9
    ends = np.concatenate([ends, mark[:, None]], 1).astype(np.float32)

    line = ((np.arange(size) + 0.5) / size * 2 - 1).astype(np.float32)
    py, px = (g.reshape(1, 1, -1) for g in np.meshgrid(line, line, indexing="ij"))
    ax, ay, bx, by = (ends[:, :, i, j, None] for i in (0, 1) for j in (0, 1))
    dx, dy, rx, ry = bx - ax, by - ay, px - ax, py - ay
    t = np.clip((rx * dx + ry * dy) / np.maximum(dx * dx + dy * dy, 1e-6), 0, 1)
    far = (rx - t * dx) ** 2 + (ry - t * dy) ** 2
    far = np.sqrt(far.min(1)).reshape(n, size, size)
    width = rng.uniform(0.045, 0.15, (n, 1, 1))
    ink = np.clip((width - far) * size / 2 + 0.5, 0, 1) * rng.uniform(0.45, 1, (n, 1, 1))
    # A band of faded ink, then noise.
    fade = np.abs(line[None, :, None] - rng.uniform(-1, 1, (n, 1, 1))) < 0.13
    ink = ink * np.where(fade, rng.uniform(0.2, 1, (n, 1, 1)), 1)
    ink = ink + rng.normal(0, 1, ink.shape) * rng.uniform(0, 0.12, (n, 1, 1))
    return _levels(ink), labels


# ---------------------------------------------------------------- waves

def waves(n, seed, length=128):
    """One of ten waveforms, with drift, noise, a drop-out and random timing."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(WAVE_CLASSES), n)

    def uniform(low, high):
        return rng.uniform(low, high, (n, 1))

    t = np.arange(length)[None] / length
    cycles, start = np.exp(uniform(np.log(2.5), np.log(9))), uniform(0, 1)
    phase = cycles * t + start
    part = phase % 1
    sweep = uniform(0.35, 0.9)
    up = cycles * ((1 - sweep) * t + sweep * t * t) + start
    down = cycles * ((1 + sweep) * t - sweep * t * t) + start
    centre, spread, duty = uniform(0.25, 0.75), uniform(0.08, 0.18), uniform(0.06, 0.2)
    envelope = np.exp(-((t - centre) / spread) ** 2)
    ratio = uniform(1.6, 3.2)
    kinds = [
        np.sin(2 * np.pi * phase),
        np.where(part < uniform(0.38, 0.62), 1.0, -1.0) * 0.8,
        4 * np.abs(part - 0.5) - 1,
        2 * part - 1,
        1 - 2 * part,
        np.sin(2 * np.pi * up),
        np.sin(2 * np.pi * down),
        np.sin(2 * np.pi * phase * 1.6) * envelope * 1.2,
        0.6 * np.sin(2 * np.pi * phase) + 0.6 * np.sin(2 * np.pi * phase * ratio),
        np.where(part < duty, 1.2, -0.2),
    ]
    signal = np.stack(kinds)[labels, np.arange(n)]
    # A soft low-pass (a running mean of 3 or 5), drift, gain, drop-out, noise.
    padded = np.pad(signal, ((0, 0), (2, 2)), mode="edge")
    three = (padded[:, 1:-3] + padded[:, 2:-2] + padded[:, 3:-1]) / 3
    five = (padded[:, :-4] + padded[:, 4:] + 3 * three) / 5
    soft = rng.integers(0, 3, (n, 1))
    signal = np.where(soft == 0, signal, np.where(soft == 1, three, five))
    signal = signal * uniform(0.35, 1) + uniform(-0.25, 0.25) + uniform(-0.4, 0.4) * (t - 0.5)
    gap = np.abs(t - uniform(0, 1)) < uniform(0, 0.06)
    signal = np.where(gap, 0, signal) + rng.normal(0, 1, signal.shape) * uniform(0.02, 0.26)
    return np.clip(np.rint(signal * 16), -32, 31).astype(np.int8), labels


# ---------------------------------------------------------------- stories

LETTERS = "abcdefghijklmnopqrstuvwxyz"
VOCABULARY = "\n ." + LETTERS  # the number of a character is its place; the rest of 32 is not used
_NAMES = {"she": ["anna", "mira", "ruth", "zoe"], "he": ["tom", "igor", "hugo", "ben"]}
_THINGS = ["apple", "key", "coin", "button", "shell", "ticket", "pencil", "stone"]
_COLOURS = ["red", "blue", "green", "grey", "yellow"]
_PLACES = ["garden", "kitchen", "harbour", "market", "library"]
_NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_MOODS = {"gives": "happy", "loses": "sad", "finds": "happy"}


def _pick(rng, words):
    """One of the words, the first the most likely."""
    share = 0.6 ** np.arange(len(words))
    return words[rng.choice(len(words), p=share / share.sum())]


def _story(rng):
    """A few sentences with what a reader can know in advance: names, numbers, moods and places come back."""
    kind = _pick(rng, ["she", "he"])
    name, thing, colour, place = (_pick(rng, words) for words in (_NAMES[kind], _THINGS, _COLOURS, _PLACES))
    have, change = int(rng.integers(2, 6)), int(rng.integers(1, 3))
    deed = _pick(rng, list(_MOODS))

    def counted(count):
        return f"{_NUMBERS[count]} {colour} {thing}{'' if count == 1 else 's'}"

    left = have + change if deed == "finds" else have - change
    friend = _pick(rng, _NAMES["he" if kind == "she" else "she"])
    other = f" to {friend}" if deed == "gives" else f" in the {place}"
    return (f"{name} has {counted(have)}. {kind} {deed} {counted(change)}{other}. "
            f"now {name} has {counted(left)}. {kind} is {_MOODS[deed]}.\n")


def stories(n, seed, length=112):
    """Texts that begin with a story, and what follows each character."""
    rng, numbers = np.random.default_rng(seed), {c: i for i, c in enumerate(VOCABULARY)}
    texts = np.empty((n, length + 1), np.int64)
    for text in texts:
        told = ""
        while len(told) < length + 1:
            told += _story(rng)
        text[:] = [numbers[c] for c in told[:length + 1]]
    return texts[:, :-1].astype(np.uint8), texts[:, 1:]
