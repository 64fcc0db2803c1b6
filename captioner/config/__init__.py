"""Settings: frozen dataclasses in which each setting is declared once (`setting`).

`model`, `decoding` and `training` have the classes. `options` makes the options of the commands from them,
`serialization` writes and reads them as JSON, and `recipe` reads the settings of several trainings from one file.
"""

from captioner.config.decoding import DecodingConfig, GenerationConfig, SamplingConfig, WordingConfig
from captioner.config.model import (
    CalibrationConfig,
    CharModelConfig,
    ConsensusConfig,
    DecoderConfig,
    EncoderConfig,
    ModelConfig,
)
from captioner.config.training import (
    CharTrainingConfig,
    FineTuningConfig,
    ImitationConfig,
    RunConfig,
    SelfCriticalConfig,
    TrainingConfig,
)

__all__ = [
    "CalibrationConfig",
    "CharModelConfig",
    "CharTrainingConfig",
    "ConsensusConfig",
    "DecoderConfig",
    "DecodingConfig",
    "EncoderConfig",
    "FineTuningConfig",
    "GenerationConfig",
    "ImitationConfig",
    "ModelConfig",
    "RunConfig",
    "SamplingConfig",
    "SelfCriticalConfig",
    "TrainingConfig",
    "WordingConfig",
]
