"""A result as a page of a notebook."""

from __future__ import annotations

from html import escape
from typing import Any, Dict, List, Optional, Tuple

#: Rows of the table; more are counted.
_ROWS = 200


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.2f} {unit}"
        count /= 1000
    return f"{count:.2f} GB"


def _number(value: Optional[float]) -> str:
    return "" if value is None else f"{value:.1f}"


def _figures(report: Dict[str, Any]) -> List[Tuple[str, str]]:
    sizes, verdict = report["sizes"], report["verdict"]
    rows = [
        ("precision", str(report["precision"])),
        ("size", f"{_size(sizes['before'])} &rarr; {_size(sizes['after'])} ({100 * sizes['ratio']:.1f} %)"),
    ]
    if verdict["state"] != "validated":
        return [*rows, ("verdict", "not validated: " + escape(str(verdict.get("reason"))))]
    scores = verdict.get("scores")
    if scores:
        change = f"{100 * scores['float_top1']:.2f} % &rarr; {100 * scores['quantized_top1']:.2f} %"
        rows.append(("top-1", f"{change} (drop {scores['drop_points']:.2f} &plusmn; {scores['standard_error']:.2f} points)"))
    if verdict.get("agreement") is not None:
        rows.append(("same class", f"{100 * verdict['agreement']:.1f} %"))
    for output in verdict["outputs"]:
        ratio = "equal" if output["sqnr_db"] is None else f"SQNR {output['sqnr_db']:.1f} dB"
        rows.append((f"output {escape(output['name'])}", ratio))
    rows.append(("samples", f"{verdict['samples']} of {escape(str(verdict['source']))}"))
    return rows


def page(report: Dict[str, Any], place: str) -> str:
    """The verdict and the layers as tables."""
    style = "text-align:left;vertical-align:top"
    figures = "".join(f'<tr><th style="{style}">{name}</th><td style="{style}">{told}</td></tr>' for name, told in _figures(report))
    warnings = "".join(f"<li>{escape(warning)}</li>" for warning in report.get("warnings", []))
    heads = "".join(f'<th style="{style}">{head}</th>' for head in ("kind", "tensor", "operator", "bits", "SQNR, dB", "reason"))
    rows = []
    for site in report["sites"][:_ROWS]:
        cells = (site["kind"], site["tensor"], site["operator"], site["bits"], _number(site["sqnr_db"]), site["reason"])
        rows.append("<tr>" + "".join(f'<td style="{style}">{escape(str(cell))}</td>' for cell in cells) + "</tr>")
    more = len(report["sites"]) - len(rows)
    rest = f"<p>and {more} more</p>" if more > 0 else ""
    return (
        f'<div class="fourbit"><p><b>{escape(place)}</b></p><table>{figures}</table>'
        + (f"<ul>{warnings}</ul>" if warnings else "")
        + f"<details><summary>{len(report['sites'])} tensors quantized, {len(report['kept'])} kept in float</summary>"
        + f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>{rest}</details></div>"
    )
