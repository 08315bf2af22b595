"""
Handwriting read by ear: tokens of a sound, aligned to the columns of an image
==============================================================================

Somebody writes down telephone numbers, and we have two things: the strip of handwritten digits, and a recording of the
keys being dialled. Both say the same digits in the same order, each at a speed of its own, and nobody has written down
which digits they are, or where.

- The sound is turned into tokens: `HiddenUnitDiscretizer` clusters the frames of its spectrogram. A unit is a tone, or
  silence. It has no name, but it comes back whenever its key does.
- The tokens are transcripts without times of the other modality. `CTCAligner` learns from them which columns of a
  strip look like which token, and `align` tells where in the strip each one lies.

So nets learn to read digits from strips that nobody labelled. "ctc" reads best, but puts a token on one column or two
and leaves the rest to the blank; "hmm", in which every token holds its columns until the next begins, finds where
digits begin and end.
"""

# %%
# The data, by recipe. A strip: three to seven of scikit-learn's digits side by side, every column repeated one to three
# times, with empty columns in between (a geometric number, one in the mean). Images of even index are for training, odd
# ones for testing. A recording: two pure tones a key, as telephones have them, for 60 to 160 ms, pauses of 40 to 120
# ms, and white noise; its frames are 32 ms of the spectrum between 600 and 1600 Hz, every 16 ms.
import time
from itertools import pairwise

import matplotlib
import numpy as np
from sklearn.datasets import load_digits

from skalign import CTCAligner
from skalign.sequence import HiddenUnitDiscretizer

matplotlib.use("Agg")
import matplotlib.pyplot as plt

started = time.process_time()
images, names = load_digits(return_X_y=True)
images = images.reshape(-1, 8, 8)
RATE, WINDOW, HOP = 8000, 256, 128
LOW = dict(zip(range(10), (941, 697, 697, 697, 770, 770, 770, 852, 852, 852)))
HIGH = dict(zip(range(10), (1336, 1209, 1336, 1477, 1209, 1336, 1477, 1209, 1336, 1477)))


def write(rows, rng):
    """A strip, a column a frame, and first and last column of every digit."""

    def empty():
        return np.zeros((rng.geometric(0.5) - 1, 8))

    parts, spans = [empty()], []
    for image in images[rows]:
        start = sum(map(len, parts))
        parts.append(np.repeat(image.T, rng.integers(1, 4), axis=0))
        spans.append((start, start + len(parts[-1])))
        parts.append(empty())
    return np.concatenate(parts), spans


def dial(keys, rng):
    """Frames of the spectrum of a recording."""

    def pause():
        return np.zeros(int(RATE * rng.uniform(0.04, 0.12)))

    parts = [pause()]
    for key in keys:
        t = np.arange(int(RATE * rng.uniform(0.06, 0.16))) / RATE
        parts += [np.sin(2 * np.pi * LOW[key] * t) + np.sin(2 * np.pi * HIGH[key] * t), pause()]
    sound = np.concatenate(parts)
    sound = sound + 0.5 * rng.normal(size=len(sound))
    frames = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP] * np.hanning(WINDOW)
    frequencies = np.fft.rfftfreq(WINDOW, 1 / RATE)
    return np.abs(np.fft.rfft(frames))[:, (frequencies > 600) & (frequencies < 1600)]


def record(n, seed, train):
    rng = np.random.default_rng([seed, train])
    own = np.arange(0 if train else 1, len(images), 2)
    chosen = [rng.choice(own, size=rng.integers(3, 8)) for _ in range(n)]
    strips, spans = zip(*(write(rows, rng) for rows in chosen))
    return list(strips), list(spans), [dial(names[rows], rng) for rows in chosen], [names[rows] for rows in chosen]


# %%
# Sound to tokens: eleven units, ten keys and silence. Repeats are collapsed first, and silence, the unit of least
# energy, is left out afterwards: so a key that was dialled twice stays two tokens.
def discretize(sounds, seed):
    units = HiddenUnitDiscretizer(11, collapse_repeats=True, random_state=seed).fit(sounds)
    silence = np.argmin(np.linalg.norm(units.codebook_, axis=1))
    return lambda sounds: [[token for token in own.tolist() if token != silence] for own in units.predict(sounds)]


# %%
# How good are the spans? The share whose centre lies in the true digit, and intersection over union. Beside them the
# strip cut into as many equal parts as there are tokens.
def quality(found, true):
    inside, overlap = [], []
    for own, own_true in zip(found, true):
        for (start, end), (first, behind) in zip(own, own_true):
            inside.append(first <= (start + end) / 2 < behind)
            common = max(0, min(end, behind) - max(start, first))
            overlap.append(common / (end - start + behind - first - common))
    return np.mean(inside), np.mean(overlap)


def frames_of(spans):
    return [[(span.start, span.end) for span in own] for own in spans]


def equal_parts(strips, tokens):
    cuts = [np.linspace(0, len(strip), len(own) + 1) for strip, own in zip(strips, tokens)]
    return [list(pairwise(own)) for own in cuts]


# %%
# One set of strips to learn from and another, of other images, to test on. The nets see strips and tokens only. A token
# counts as heard right if it is the one that its key mostly becomes.
strips, _, sounds, _ = record(300, seed=0, train=True)
new_strips, new_spans, new_sounds, new_keys = record(150, seed=0, train=False)
tokens_of = discretize(sounds, seed=0)
tokens, new_tokens = tokens_of(sounds), tokens_of(new_sounds)

heard = np.concatenate(new_tokens)
counts = np.zeros((11, 10), dtype=int)
np.add.at(counts, (heard, np.concatenate(new_keys)), 1)
print(f"Tokens of {len(new_sounds)} new recordings: {counts.max(axis=1).sum()} of {len(heard)} are those of their key.")

settings = {"learning_rate": 3e-3, "max_epochs": 60, "random_state": 0}  # fewer epochs than the defaults, for speed
aligners = {topology: CTCAligner(topology, **settings).fit(strips, tokens) for topology in ("ctc", "hmm")}
found = {
    "equal parts": equal_parts(new_strips, new_tokens),
    '"ctc"': frames_of(aligners["ctc"].align(new_strips, new_tokens)),
    '"ctc", midpoint': frames_of(aligners["ctc"].align(new_strips, new_tokens, boundaries="midpoint")),
    '"hmm"': frames_of(aligners["hmm"].align(new_strips, new_tokens)),
}
for topology, aligner in aligners.items():
    print(f"{topology}: error of the tokens read from new strips alone {1 - aligner.score(new_strips, new_tokens):.2f}")
print(f"{'spans of new strips':<22}{'centre inside':>14}{'IoU':>7}")
for title, spans in found.items():
    print(f"{title:<22}" + "{:>14.2f}{:>7.2f}".format(*quality(spans, new_spans)))

# %%
# The picture: one of the new strips, the longest. From the sound above, lines lead every tone to its digit, as "hmm"
# found it. Below, what the nets think at every column, and the spans.
drawn = int(np.argmax([len(own) for own in new_tokens]))
strip, sound, own = new_strips[drawn], new_sounds[drawn], new_tokens[drawn]
colors = dict(zip(np.unique(heard).tolist(), plt.get_cmap("tab10").colors))
figure, axes = plt.subplots(6, 1, figsize=(11, 9), height_ratios=(1.1, 0.3, 1.3, 1, 1, 1.3), layout="constrained")
heard_axis, gap, strip_axis, *posterior_axes, span_axis = axes
gap.set_axis_off()
heard_axis.imshow(sound.T, origin="lower", aspect="auto", cmap="Greys", extent=(0, len(sound), 600, 1600))
heard_axis.set(ylabel="sound\nfrequency, Hz", xlabel="frame of the sound")
heard_axis.xaxis.tick_top()
heard_axis.xaxis.set_label_position("top")
strip_axis.imshow(strip.T, aspect="auto", cmap="Greys", extent=(0, len(strip), 8, 0))
strip_axis.set(xticks=[], yticks=[], ylabel="strip")

frame_units = HiddenUnitDiscretizer(11, random_state=0).fit(sounds).predict([sound])[0]
runs = np.split(np.arange(len(sound)), np.flatnonzero(np.diff(frame_units)) + 1)
tones = [run for run in runs if frame_units[run[0]] in own]
for run, token, (start, end) in zip(tones, own, found['"hmm"'][drawn]):
    heard_axis.axvspan(run[0], run[-1] + 1, color=colors[token], alpha=0.45, linewidth=0)
    strip_axis.axvspan(start, end, color=colors[token], alpha=0.35, linewidth=0)
    line = matplotlib.patches.ConnectionPatch(
        ((run[0] + run[-1] + 1) / 2, 600), ((start + end) / 2, 0), "data", "data", axesA=heard_axis, axesB=strip_axis
    )
    line.set(color=colors[token], linewidth=3)
    figure.add_artist(line)

for axis, (topology, aligner) in zip(posterior_axes, aligners.items()):
    posteriors = np.exp(aligner.transform([strip])[0])
    for column, name in enumerate(aligner.get_feature_names_out()):
        style = {"color": "black", "linestyle": ":"} if name == "<blank>" else {"color": colors[int(name)]}
        shown = name == "<blank>" or int(name) in own
        axis.step(np.arange(len(strip) + 1), np.append(posteriors[:, column], 0), where="post", alpha=shown, **style)
    axis.set(xlim=(0, len(strip)), ylim=(0, 1.05), xticks=[], yticks=[0, 1], ylabel=f'"{topology}"\nprobability')
posterior_axes[0].plot([], [], ":", color="black", label="blank")
posterior_axes[0].legend(loc="center right")

for level, (title, spans) in enumerate({"truth": new_spans, **found}.items()):
    for (start, end), token, key in zip(spans[drawn], own, new_keys[drawn]):
        span_axis.barh(level, end - start, left=start, height=0.8, color=colors[token], edgecolor="white", linewidth=1)
        if title == "truth":
            span_axis.text((start + end) / 2, level, key, ha="center", va="center", color="white", weight="bold")
span_axis.set(xlim=(0, len(strip)), ylim=(4.5, -0.5), yticks=range(5), xlabel="column of the strip")
span_axis.set_yticklabels(["truth", *found])
figure.savefig("tokens_to_frames.png", dpi=80)
print(f"Saved tokens_to_frames.png after {time.process_time() - started:.0f} s")
