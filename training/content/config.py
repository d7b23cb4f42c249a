"""What can be chosen about the content model.

Belongs here: values with their meaning. Does not belong here: code that uses them, recipes (training.recipes.content).
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ContentConfig(BaseModel):
    """How titles are described, and how descriptions are mapped into the collaborative space.

    Of ``ridges`` and ``queries`` the first pair is taken where nothing can be chosen.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text_width: int = Field(384, gt=0, description="principal directions of the text vectors that are kept")
    years_width: float = Field(5.0, gt=0, description="years between the bumps that describe a year")
    ridges: tuple[float, ...] = Field((10.0, 3.0, 1.0), min_length=1, description="L2 penalties that are tried")
    queries: tuple[tuple[int, float], ...] = Field(
        ((20, 0.85), (100, 0.97)), min_length=1, description="titles that ask, and what each older one counts"
    )
    ease_lambda: float = Field(300.0, gt=0)
    ease_viewers: int = Field(4000, gt=0, description="viewers that EASE learns from, at most; drawn")
    window: int = Field(10, gt=0, description="steps after a title that count as following it")
    decay: float = Field(0.9, gt=0, le=1, description="what each further of these steps counts")
    hidden: float = Field(0.2, gt=0, lt=1, description="share of the titles hidden to learn the weights of the parts")
    targets: int = Field(3, gt=0, description="newest hidden titles of each viewer that weights are learned from")
    examples: int = Field(600, gt=0, description="of these, at most; drawn")
    strength: float = Field(1e-3, ge=0, description="L2 penalty of the weights")
