"""The one knob: the paper's alpha and C enter the problem only as lambda = C (1 - alpha) / alpha."""

from __future__ import annotations

import math

#: The paper's advice for unit-norm embeddings (section 5).
DEFAULT_SCALE = 5.0


def penalty_from_alpha(alpha: float, scale: float = DEFAULT_SCALE) -> float:
    """The penalty lambda of a trade-off.

    Args:
      alpha: 0..1; 1 is pure alignment (lambda 0), 0 is pure diversity (lambda infinite).
      scale: C > 0, in the units of the distances.

    Raises:
      ValueError: if alpha is not in [0, 1] or scale is not positive and finite.
    """
    if not 0.0 <= alpha <= 1.0:
        raise ValueError(f"alpha must be between 0 and 1, not {alpha}")
    if not (scale > 0.0 and math.isfinite(scale)):
        raise ValueError(f"scale must be positive, not {scale}")
    return math.inf if alpha == 0.0 else scale * (1.0 - alpha) / alpha


def alpha_from_penalty(penalty: float, scale: float = DEFAULT_SCALE) -> float:
    """The alpha that gives this penalty at this scale; the inverse of penalty_from_alpha."""
    return 0.0 if math.isinf(penalty) else scale / (scale + penalty)
