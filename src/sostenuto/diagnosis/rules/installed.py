"""What is installed, and what the environment asks for. Our own errors."""

from sostenuto.diagnosis.catalogue import rule

SO701 = rule(
    "SO701",
    "No backend for Keras is installed",
    "Keras 3 does its sums with TensorFlow, JAX or PyTorch; none of them was found, or not the one that "
    "KERAS_BACKEND names.",
    "pip install 'sostenuto[jax]' (or [tensorflow], or [torch]).",
    needs="an installation without a backend",
)

SO702 = rule(
    "SO702",
    "matplotlib is not installed",
    "Pictures are drawn with matplotlib, which Sostenuto does not bring along; everything else works without it.",
    "pip install 'sostenuto[pictures]'.",
    needs="an installation without matplotlib",
)

SO703 = rule(
    "SO703",
    "An optional package is not installed",
    "A ValkeyStore speaks to its server with the package valkey, and states in bfloat16 are read with ml_dtypes; "
    "Sostenuto brings along neither.",
    "pip install 'sostenuto[valkey]', or pip install ml_dtypes.",
    needs="an installation without the package",
)

SO704 = rule(
    "SO704",
    "The environment asks the native kernels for what cannot be",
    "SOSTENUTO_NATIVE is 0 or 1, SOSTENUTO_THREADS a whole number from 1 to 1024, and SOSTENUTO_TARGET avx512, avx2 "
    "or generic: one that the processor has.",
    "Set it so, or unset it.",
    needs="an environment variable set before Python starts",
)
