"""Trains the demo encoder from scratch; see CARD.md beside this file.

    python -m tools.demo.train FOLDER

FOLDER holds the npm packages of emoji pictures; where it doesn't, the command that fetches them is
printed. The seed, the number of steps and the number of threads make the result what it is, not the
time that it takes. OpenMoji's pictures are never read here: they are what the suite searches.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from kis_bench.encoders.demo import DEMO_WEIGHTS
from kis_bench.encoders.demo.network import DualEncoder, split_words
from tools.demo.styles import STYLES, Concept, concepts, npm_command, pictures

SEED, THREADS, BATCH = 0, 2, 192
STEPS = 4500
PEAK_LEARNING_RATE = 2e-3
HELD_OUT = 0.05  #: share of the concepts that training never sees in any style
AVERAGED = 0.998  #: decay of the running average of the weights, which is what is saved


def split(all_concepts: list[Concept]) -> tuple[list[Concept], list[Concept]]:
    """Concepts to train on, and concepts held out, chosen by a digest of their code points."""

    def share(concept: Concept) -> float:
        return hashlib.sha256(concept.hexcode.encode()).digest()[0] / 256

    trained = [c for c in all_concepts if share(c) >= HELD_OUT]
    return trained, [c for c in all_concepts if share(c) < HELD_OUT]


def caption(concept: Concept, rng: np.random.Generator) -> list[str]:
    """The words of a text for a concept: its name, name and keywords, or some of them."""
    kind, keywords = rng.random(), list(rng.permutation(np.array(concept.keywords, dtype=object)))
    some = keywords[: rng.integers(1, len(keywords) + 1)] if keywords else []
    if kind < 0.35 or not keywords:
        chosen = [concept.name]
    elif kind < 0.65:
        chosen = [concept.name, *keywords]
    elif kind < 0.8 and len(some) > 1:
        chosen = some
    else:
        chosen = [concept.name, *some]
    found = split_words(" ".join(chosen))
    kept = [word for word in found if rng.random() > 0.1] if len(found) > 2 else found
    return kept or found


def outlines(pictures: Tensor) -> Tensor:
    """uint8 RGBA ``[n, 4, h, w]`` -> uint8 ``[n, 2, h, w]``: strength of the silhouette's border, and of all edges.

    Drawn in black they bring the flat styles nearer to line drawings.
    """
    opacity = pictures[:, 3:].float() / 255
    light = (pictures[:, :3].float().mean(1, keepdim=True) / 255) * opacity + (1 - opacity)
    border = F.max_pool2d(opacity, 3, 1, 1) - opacity
    edge = (F.max_pool2d(light, 3, 1, 1) + F.max_pool2d(-light, 3, 1, 1) - 0.25).clamp(0, 1) * 2
    return torch.cat([border, torch.maximum(border, edge.clamp(0, 1))], 1).mul(255).byte()


def augment(drawn: Tensor) -> Tensor:
    """uint8 RGBA and two outline channels ``[n, 6, 64, 64]`` -> float pictures ``[n, 3, 64, 64]`` in -1..1."""
    n, size = len(drawn), drawn.shape[-1]
    layers = drawn.float() / 255
    pick = torch.rand(n, 1, 1, 1)
    line = torch.where(pick < 0.5, 0.0, torch.where(pick < 0.7, layers[:, 4:5], layers[:, 5:6]))
    colour, opacity = layers[:, :3] * (1 - line), torch.maximum(layers[:, 3:4], line)

    mix = torch.eye(3)[None] + torch.randn(n, 3, 3) * 0.12
    grey = (torch.rand(n, 1, 1) < 0.15).float()
    contrast = 1 + torch.randn(n, 1, 1) * 0.2
    mix = (mix * (1 - grey) + grey / 3) * contrast
    shift = 0.5 - 0.5 * contrast + torch.randn(n, 1, 1) * 0.1
    colour = (torch.bmm(mix, colour.flatten(2)) + shift).clamp(0, 1).view(n, 3, size, size)

    background = torch.ones(n, 3, 1, 1)
    tinted = torch.rand(n) < 0.3
    background[tinted] = torch.rand(int(tinted.sum()), 3, 1, 1)

    angle, scale = torch.randn(n) * 0.15, torch.empty(n).uniform_(0.85, 1.35)
    mirror = torch.where(torch.rand(n) < 0.15, -1.0, 1.0)
    stretch = torch.empty(n).uniform_(0.9, 1.1)
    placing = torch.zeros(n, 2, 3)
    placing[:, 0, 0], placing[:, 0, 1] = angle.cos() * scale * mirror, -angle.sin() * scale
    placing[:, 1, 0], placing[:, 1, 1] = angle.sin() * scale * mirror, angle.cos() * scale * stretch
    placing[:, :, 2] = torch.empty(n, 2).uniform_(-0.12, 0.12)
    grid = F.affine_grid(placing, [n, 3, size, size], align_corners=False)
    placed = F.grid_sample((colour - background) * opacity, grid, align_corners=False) + background

    for i in torch.where(torch.rand(n) < 0.25)[0].tolist():
        side = int(torch.randint(8, 24, ()))
        top, left = torch.randint(0, size - side, (2,)).tolist()
        placed[i, :, top : top + side, left : left + side] = background[i]
    return placed * 2 - 1


def contrast(left: Tensor, right: Tensor, scale: Tensor) -> Tensor:
    """Symmetric cross-entropy over a batch in which row i of both sides belongs together."""
    logits, truth = scale * left @ right.T, torch.arange(len(left))
    return F.cross_entropy(logits, truth) + F.cross_entropy(logits.T, truth)


def learning_rate(step: int, steps: int) -> float:
    warm_up = min(1.0, (step + 1) / 100)
    return PEAK_LEARNING_RATE * warm_up * (0.5 * (1 + math.cos(math.pi * step / steps)) + 0.005)


def train(npm: Path, steps: int = STEPS, report_every: int = 250) -> DualEncoder:
    torch.set_num_threads(THREADS)
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    rng = np.random.default_rng(SEED)
    everything = concepts(npm)
    trained, _ = split(everything)
    bank, of_concept = load_pictures(npm, everything, trained)
    trained = [c for c in trained if of_concept[c.hexcode]]
    print(f"{len(trained)} concepts, {len(bank)} pictures", flush=True)

    network = DualEncoder()
    network.image.to(memory_format=torch.channels_last)
    average = copy.deepcopy(network)
    log_scale = torch.nn.Parameter(torch.tensor(math.log(1 / 0.07)))
    optimiser = torch.optim.AdamW(
        [
            {"params": network.image.parameters(), "weight_decay": 0.05},
            {"params": network.text.parameters(), "weight_decay": 0.01},
            {"params": [log_scale], "weight_decay": 0.0},
        ]
    )
    started, order = time.monotonic(), np.array([], dtype=int)
    for step in range(steps):
        if len(order) < BATCH:
            order = rng.permutation(len(trained))
        chosen, order = [trained[i] for i in order[:BATCH]], order[BATCH:]
        shown = [int(rng.choice(of_concept[c.hexcode])) for c in chosen]
        batch = augment(bank[shown]).contiguous(memory_format=torch.channels_last)
        seen = network.image(batch)
        said, said_otherwise = (network.text([caption(c, rng) for c in chosen]) for _ in range(2))
        scale = log_scale.exp().clamp(max=60)
        loss = (contrast(seen, said, scale) + contrast(seen, said_otherwise, scale)) / 4
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, steps)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        with torch.no_grad():
            decay = min(AVERAGED, (step + 1) / (step + 10))
            for kept, new in zip(
                average.state_dict().values(), network.state_dict().values(), strict=True
            ):
                if kept.is_floating_point():
                    kept.lerp_(new, 1 - decay)
        if (step + 1) % report_every == 0:
            elapsed = time.monotonic() - started
            print(
                f"step {step + 1} of {steps}, {elapsed:.0f} s, loss {loss.item():.3f}", flush=True
            )
    return average.eval()


def load_pictures(
    npm: Path, everything: list[Concept], trained: list[Concept]
) -> tuple[Tensor, dict[str, list[int]]]:
    """All training pictures with their outlines ``[n, 6, 64, 64]``, and which of them show a concept."""
    of_concept: dict[str, list[int]] = {c.hexcode: [] for c in trained}
    bank: list[np.ndarray] = []
    for style in STYLES:
        for code, picture in zip(*pictures(npm, style, everything), strict=True):
            if code in of_concept:
                of_concept[code].append(len(bank))
                bank.append(picture)
    rgba = torch.from_numpy(np.stack(bank))
    return torch.cat(
        [rgba, torch.cat([outlines(part) for part in torch.split(rgba, 512)])], 1
    ), of_concept


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folder", type=Path, help="where node_modules/ with the emoji packages lies"
    )
    parser.add_argument(
        "--output", type=Path, default=DEMO_WEIGHTS, help="default: the weights of the package"
    )
    parser.add_argument("--steps", type=int, default=STEPS)
    arguments = parser.parse_args()
    if not (arguments.folder / "node_modules").is_dir():
        sys.exit(
            f"{arguments.folder} has no emoji packages. To fetch them:\n    {npm_command(arguments.folder)}"
        )
    network = train(arguments.folder, arguments.steps)
    weights = {
        name: (value.half() if value.is_floating_point() else value).contiguous(
            memory_format=torch.contiguous_format
        )
        for name, value in network.state_dict().items()
    }
    save_file(weights, arguments.output)
    digest = hashlib.sha256(arguments.output.read_bytes()).hexdigest()
    print(f"{arguments.output}: {arguments.output.stat().st_size} bytes, sha256 {digest}")


if __name__ == "__main__":
    main()
