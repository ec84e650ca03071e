"""Figures of rounds, and tables of them in Markdown."""

import statistics


def median(results, key):
    quiet = sorted((result for result in results if result), key=lambda result: result["waited"])
    values = [result[key] for result in quiet[:(len(quiet) + 1) // 2]]
    return statistics.median(values) if values else None


def show(value, form="{:.2f}"):
    return "" if value is None else form.format(value)


def ratio(above, below):
    return above / below if above is not None and below else None


def print_row(cells):
    print("| " + " | ".join(cells) + " |", flush=True)


def print_head(title, cells):
    print(f"\n### {title}\n")
    print_row(cells)
    print_row(["---"] * len(cells))
