"""integrate: batch correction that returns corrected expression.

``scprism.integrate`` is this step and, called, its main function: ``scprism.integrate([a, b], batch="platform")`` is
`scprism.integrate.methods.integrate`.
"""

from scprism._callable import make_callable
from scprism.integrate.methods import integrate

make_callable(__name__, integrate)
