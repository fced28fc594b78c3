"""Sounds made up for benchmarks and tests: a voice, music, both; and what a microphone in a room takes down of them."""

from typing import Any, Final

import numpy as np
from scipy import signal

RATE_HZ: Final = 8_000
KINDS: Final = ("voice", "music", "voice over music")


def make_voice(rng: np.random.Generator, duration_s: float) -> Any:
    """Return syllables of three formants at a speaker's pace, with pauses."""
    out, time_s = np.zeros(round(duration_s * RATE_HZ)), 0.0
    while time_s < duration_s - 0.3:
        if rng.random() < 0.12:
            time_s += rng.uniform(0.2, 0.8)
        length_s = rng.uniform(0.08, 0.3)
        m, at = round(length_s * RATE_HZ), round(time_s * RATE_HZ)
        pitch_hz = rng.uniform(90, 220) * (1 + 0.1 * np.linspace(0, rng.normal(), m))
        pulses = (np.diff(np.floor(np.cumsum(pitch_hz) / RATE_HZ), prepend=0) > 0).astype(float)
        sound = rng.normal(size=m) * 0.2 if rng.random() < 0.3 else pulses
        for middle_hz, width_hz in ((rng.uniform(250, 800), 90), (rng.uniform(800, 2300), 120), (2800, 200)):
            r = np.exp(-np.pi * width_hz / RATE_HZ)
            sound = signal.lfilter([1 - r], [1, -2 * r * np.cos(2 * np.pi * middle_hz / RATE_HZ), r * r], sound)
        places = np.arange(m) / RATE_HZ
        sound *= np.minimum(1, np.minimum(places / 0.02, places[::-1] / 0.05))
        k = max(0, min(m, len(out) - at))
        out[at : at + k] += (sound / (sound.std() + 1e-9) * rng.uniform(0.4, 1))[:k]
        time_s += length_s * rng.uniform(0.8, 1.1)
    return out / out.std()


def make_music(rng: np.random.Generator, duration_s: float) -> Any:
    """Return notes and drums on a beat; two thirds of the notes repeat every two bars."""
    out = np.zeros(round(duration_s * RATE_HZ))
    scale_hz, pattern = 220 * 2 ** (rng.choice(12, 7, replace=False) / 12), rng.integers(0, 7, 16)
    for i, time_s in enumerate(np.arange(0, duration_s - 0.1, 30 / rng.uniform(80, 140))):
        at = round(time_s * RATE_HZ)
        t = np.arange(min(len(out) - at, round(0.6 * RATE_HZ))) / RATE_HZ
        part = np.zeros(len(t))
        if rng.random() < 0.8:
            note_hz = scale_hz[pattern[i % 16] if rng.random() < 0.7 else rng.integers(7)]
            tone = sum(np.sin(2 * np.pi * note_hz * h * t) / h for h in (1, 2, 3, 4))
            part += tone * np.exp(-5 * t) * rng.uniform(0.3, 1)
        if i % 2 == 0:
            part += 0.5 * rng.normal(size=len(t)) * np.exp(-40 * t)
        if i % 4 == 0:
            part += 1.5 * np.sin(2 * np.pi * 60 * t * np.exp(-3 * t)) * np.exp(-12 * t)
        out[at : at + len(t)] += part
    return out / out.std()


def make_sound(rng: np.random.Generator, kind: str, duration_s: float) -> Any:
    """Return a sound of one of KINDS, of deviation about 1, at RATE_HZ."""
    if kind == "music":
        return make_music(rng, duration_s)
    voice = make_voice(rng, duration_s)
    return voice if kind == "voice" else voice + 0.5 * make_music(rng, duration_s)


def make_echo(rng: np.random.Generator) -> Any:
    """Return a room's response: what comes straight, three walls, and 0.2 to 0.8 s of falling off by 60 dB."""
    falls_s = rng.uniform(0.2, 0.8)
    t = np.arange(round(falls_s * RATE_HZ)) / RATE_HZ
    response = rng.normal(size=len(t)) * np.exp(-6.9 * t / falls_s)
    response /= np.sqrt((response**2).sum())
    response[0] = 10 ** (rng.uniform(-6, 6) / 20)
    for _ in range(3):
        response[round(rng.uniform(0.01, 0.1) * RATE_HZ)] += rng.choice([-1, 1]) * rng.uniform(0.2, 0.6)
    return response


def make_noise(rng: np.random.Generator, n: int) -> Any:
    """Return a hiss, a hum of low frequencies, or other people's voices with a hiss."""
    kind, hiss = rng.integers(3), rng.normal(size=n)
    if kind == 0:
        return hiss
    return signal.lfilter([1], [1, -0.98], hiss) if kind == 1 else make_voice(rng, n / RATE_HZ)[:n] + 0.3 * hiss


def record(rng: np.random.Generator, sound: Any, start_s: float, duration_s: float, noise_db: float) -> Any:
    """Return what a microphone takes down of a sound in a room.

    Args:
        rng: of room, noise and gain.
        sound: at RATE_HZ.
        start_s: when it begins in the recording; below 0 where the recording begins later.
        duration_s: of the recording.
        noise_db: by how much the noise is softer than the sound where that sounds.
    """
    n, at = round(duration_s * RATE_HZ), round(start_s * RATE_HZ)
    heard, out = signal.fftconvolve(sound, make_echo(rng)), np.zeros(n)
    first, last = max(0, at), min(n, at + len(heard))
    out[first:last] = heard[first - at : last - at]
    noise = make_noise(rng, n)
    power = np.mean(out[first : min(n, at + len(sound))] ** 2)
    out += np.resize(noise, n) * np.sqrt(power / np.mean(noise**2) / 10 ** (noise_db / 10))
    return (out / np.abs(out).max() * 10 ** (rng.uniform(-40, 0) / 20)).astype(np.float32)
