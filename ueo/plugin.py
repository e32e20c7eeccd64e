"""`import ueo.plugin` registers all trainers and data sets of this project with Dassl."""

import modern_dassl  # noqa: F401  (makes `dassl` importable)
import ueo.datasets  # noqa: F401
import ueo.evaluator  # noqa: F401
import ueo.trainers  # noqa: F401
