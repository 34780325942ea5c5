"""Names of gene sets as words."""

__all__ = ["set_name"]

ABBREVIATIONS = frozenset(
    {"AKT", "DN", "DNA", "JAK", "KRAS", "MTOR", "MTORC1", "MYC", "NFKB", "ROS", "TGF", "TNFA", "UP", "UV", "WNT"}
)
"""Words of the Hallmark names that are abbreviations; words with a digit are kept as well."""


def set_name(name: str) -> str:
    """Return a gene set's name as words: ``HALLMARK_E2F_TARGETS`` is "E2F targets"; other names stay."""
    if not name.startswith("HALLMARK_"):
        return name
    kept = [w if w in ABBREVIATIONS or any(c.isdigit() for c in w) else w.lower() for w in name.split("_")[1:]]
    text = " ".join(kept)
    return text[:1].upper() + text[1:]
