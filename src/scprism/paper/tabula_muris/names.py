"""Names in Tabula Muris: its tissues in both releases, its platforms."""

from typing import Literal

__all__ = ["PLATFORM_NAMES", "TISSUES", "Platform", "tissue_name"]

Platform = Literal["facs", "droplet"]
"""Of a part of Tabula Muris, as its folders are called."""

PLATFORM_NAMES: dict[Platform, str] = {"facs": "Smart-seq2", "droplet": "10x v2"}
"""What ``obs["platform"]`` says."""

LATER_NAMES = {
    "Brain_Microglia": "Brain_Myeloid",
    "Brain_Neurons": "Brain_Non-Myeloid",
    "Brain_Non-microglia": "Brain_Non-Myeloid",
    "Colon": "Large_Intestine",
    "Heart_and_Aorta": "Heart",
    "Mammary": "Mammary_Gland",
    "Muscle": "Limb_Muscle",
}
"""First release's names (December 2017), and the one name that differs between the platforms."""


TISSUES = (
    "Aorta",
    "Bladder",
    "Brain_Myeloid",
    "Brain_Non-Myeloid",
    "Diaphragm",
    "Fat",
    "Heart",
    "Kidney",
    "Large_Intestine",
    "Limb_Muscle",
    "Liver",
    "Lung",
    "Mammary_Gland",
    "Marrow",
    "Pancreas",
    "Skin",
    "Spleen",
    "Thymus",
    "Tongue",
    "Trachea",
)
"""By `tissue_name`: those of the FACS files of the later release."""

KNOWN = {name.casefold(): name for name in TISSUES} | {first.casefold(): name for first, name in LATER_NAMES.items()}


def tissue_name(name: str) -> str:
    """Return the one name of a tissue: that of the later release, on both platforms.

    Letters' case and spaces for underscores make no difference; a name that is no tissue of Tabula Muris comes back as
    it is. Aorta and Diaphragm have files of their own in the later release and are not part of Heart and Limb_Muscle.

    Examples
    --------
    >>> tissue_name("Mammary"), tissue_name("heart and aorta"), tissue_name("Lung")
    ('Mammary_Gland', 'Heart', 'Lung')
    """
    plain = name.strip().replace(" ", "_")
    return KNOWN.get(plain.casefold(), plain)
