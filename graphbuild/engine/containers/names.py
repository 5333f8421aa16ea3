"""Names for containers that nobody named: an adjective and a surname, as people expect them."""

import random

_ADJECTIVES = (  # noqa: SIM905 - one line of words reads better
    "able agile amber ample apt bold brave breezy bright brisk calm candid careful cheerful clear clever cosy crisp curious deft "
    "eager earnest easy fair faithful fine fond frank free fresh gentle glad golden good graceful grand happy hardy honest humble "
    "jolly keen kind lively loyal lucid lucky mellow merry mild modest neat nimble noble patient plain polite proud quick quiet "
    "ready robust rosy serene sharp silent smart snug sober solid sound spry steady still stoic strong subtle sunny sure swift "
    "tender tidy trusty upbeat vivid warm wise witty zealous"
).split()
_SURNAMES = (  # noqa: SIM905 - one line of words reads better
    "abel ampere babbage banach bell bernoulli bohr boole born bose brahe cantor carson cauchy chandrasekhar church cori curie "
    "darwin dijkstra dirac easley einstein elion erdos euclid euler faraday fermat fermi feynman franklin galileo galois gauss "
    "germain goodall goedel hamilton hawking heisenberg hertz hilbert hodgkin hooke hopper hubble hypatia jacobi jemison johnson "
    "joule kepler kilby knuth kovalevskaya lagrange lamarr laplace leavitt leibniz lovelace maxwell mayer mccarthy meitner mendel "
    "mirzakhani napier newton nightingale noether ohm pascal pasteur pauli planck poincare raman ramanujan riemann ritchie rubin "
    "rutherford sagan shannon tesla thompson turing vaughan volta wiles wilkes wing wozniak yalow yonath"
).split()


def new_name() -> str:
    """A name that is probably free."""
    return f"{random.choice(_ADJECTIVES)}_{random.choice(_SURNAMES)}"
