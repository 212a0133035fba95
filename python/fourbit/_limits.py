"""Limits of a conversion, in words."""

from __future__ import annotations

from typing import Any, Dict, List, Optional


def missed(budget: Optional[Dict[str, Any]]) -> List[str]:
    """The limits that no plan meets, with both figures; `budget` is that of a report."""
    if budget is None or budget["met"]:
        return []
    asked = {name: limit for name, limit in budget["asked"].items() if limit is not None}
    tried = [trial for trial in budget["trials"] if trial["taken"] == budget["taken"]]
    # The plan as it was tried without the samples held back, if it was, so that these say something of it.
    judged = next((trial for trial in reversed(tried) if not trial["all_samples"]), tried[-1] if tried else None)
    found = []
    if judged is not None:
        drops = [drop for drop in (judged["expected_drop"], judged["loss"].get("drop_points")) if drop is not None]
        agreed = [share for share in (judged["expected_agreement"], judged["loss"].get("agreement")) if share is not None]
        ratio = judged["loss"].get("sqnr_db")
        if "max_drop" in asked and (not drops or max(drops) > asked["max_drop"]):
            told = f"{max(drops):.2f}" if drops else "unknown"
            found.append(f"max_drop={asked['max_drop']:g} points: {told}")
        if "min_agreement" in asked and (not agreed or min(agreed) < asked["min_agreement"]):
            told = f"{min(agreed):.4f}" if agreed else "unknown"
            found.append(f"min_agreement={asked['min_agreement']:g}: {told}")
        if "min_sqnr_db" in asked and ratio is not None and ratio < asked["min_sqnr_db"]:
            found.append(f"min_sqnr={asked['min_sqnr_db']:g} dB: {ratio:.1f}")
        if "max_bytes" in asked and tried[-1]["bytes"] > asked["max_bytes"]:
            found.append(f"max_size={asked['max_bytes']} bytes: {tried[-1]['bytes']}")
        if "max_bits" in asked and tried[-1]["effective_bits"] > asked["max_bits"]:
            found.append(f"max_bits={asked['max_bits']:g}: {tried[-1]['effective_bits']:.2f}")
    if found:
        return found
    # The figures mean nothing on these samples, or cannot be shown with so few.
    return [f"{_KEYWORDS.get(name, name)}={limit:g}: not shown on these samples" for name, limit in asked.items()]


_KEYWORDS = {"min_sqnr_db": "min_sqnr", "max_bytes": "max_size"}
