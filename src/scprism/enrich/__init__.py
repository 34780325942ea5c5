"""enrich: which gene sets the explanations form, against an honest null.

``scprism.enrich`` is this step and, called, its main function: ``scprism.enrich(explanation, sets)`` is
`scprism.enrich.pathways.enrich`.
"""

from scprism._callable import make_callable
from scprism.enrich.pathways import enrich

make_callable(__name__, enrich)
