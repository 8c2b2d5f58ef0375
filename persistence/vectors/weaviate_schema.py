"""The Weaviate schema of credentials: each build of the index is a collection, and an alias points to the live one."""

import re
from typing import Final

from weaviate.classes.config import Configure, DataType, Property, Tokenization, VectorDistances
from weaviate.collections.classes.config import CollectionConfig

from domain.ids import content_hash

TITLE: Final = "title"
DESCRIPTION: Final = "description"
SKILLS: Final = "skills"
ARTIFACT_ID: Final = "artifact_id"

WORDS: Final = (f"{TITLE}^2", DESCRIPTION)
"""The properties that BM25 searches; a word in the title counts twice."""

PROPERTIES: Final = (
    Property(name=TITLE, data_type=DataType.TEXT, index_filterable=False),
    Property(name=DESCRIPTION, data_type=DataType.TEXT, index_filterable=False),
    Property(
        name=SKILLS,
        data_type=DataType.TEXT_ARRAY,
        tokenization=Tokenization.FIELD,  # a skill's name is one token
        index_searchable=False,
    ),
    Property(name=ARTIFACT_ID, data_type=DataType.UUID, index_filterable=False),
)
VECTORS: Final = Configure.Vectors.self_provided(
    vector_index_config=Configure.VectorIndex.hnsw(
        distance_metric=VectorDistances.COSINE, quantizer=Configure.VectorIndex.Quantizer.none()
    )
)


def alias_of(provider: str, model: str) -> str:
    """Return the alias of a provider's model. Each model has its own: vectors of two models are never compared."""
    readable = re.sub(r"[^A-Za-z0-9]+", "_", f"{provider}_{model}")
    return f"Credentials_{readable}_{content_hash([provider, model])[:8]}"


def is_ours(config: CollectionConfig) -> bool:
    """Whether a collection has all searched properties with the right types."""
    types = {each.name: each.data_type for each in config.properties}
    return all(types.get(each.name) == each.dataType for each in PROPERTIES)
