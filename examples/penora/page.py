"""Writes a small page about a prompt. Stands where a real app asks a language model; the same prompt, the same page."""

from __future__ import annotations

import random

from examples.shared.api import Work

OPENINGS = (
    "Most people meet {topic} by chance and stay for the details.",
    "There is a short way to {topic} and a scenic one. This page takes the second.",
    "Ask three people about {topic} and you will hear four opinions. Here is a calm one.",
    "A good page about {topic} answers the first question before it is asked.",
)
SECTIONS = {
    "The short version": (
        "If you remember one thing about {topic}, let it be the shape of it: a few simple parts, each easy by itself, "
        "that become interesting where they meet.",
        "In one sentence: {topic} rewards whoever looks twice.",
    ),
    "A closer look": (
        "Look closely and {topic} turns out to be made of small decisions. None of them is hard. Together they explain "
        "why it works as it does.",
        "What seems to be one thing is usually three. With {topic}, start by telling them apart, and give each a name.",
    ),
    "Where to begin": (
        "Begin small. Take ten minutes, one example and a sheet of paper, and write down what you expect of {topic} "
        "before you check.",
        "Find somebody who likes {topic} and ask what they got wrong at first. It is the fastest way in.",
    ),
    "What to leave out": (
        "Leave out what you would not miss. A page about {topic} gets better with every line that it can do without.",
        "Not everything about {topic} has to be said today. What matters will come back by itself.",
    ),
    "Worth knowing": (
        "The details of {topic} change with the light, the weather and the company. The principle does not.",
        "Nobody is done with {topic}. That is no reason to wait, and a good reason to come back.",
    ),
}


def write_page(prompt: str) -> Work:
    choice = random.Random(prompt)  # noqa: S311 - for variety, not for secrets
    title = prompt[:1].upper() + prompt[1:]
    topic = f"“{prompt}”"
    parts = [f"# {title}", choice.choice(OPENINGS)]
    for heading in choice.sample(sorted(SECTIONS), 3):
        parts += [f"## {heading}", choice.choice(SECTIONS[heading])]
    text = "\n\n".join(parts).replace("{topic}", topic) + "\n"
    return Work(title=title, content=text, metadata={"format": "markdown", "prompt": prompt})
