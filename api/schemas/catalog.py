"""Roles and credentials as clients see them."""

from pydantic import Field

from api.wire import Id, Number, Output


class SkillTarget(Output):
    """`target` 0..1 is the level a role needs; `importance` weighs the skill among the role's."""

    skill: str
    description: str
    target: Number
    importance: Number


class RoleResponse(Output):
    role_id: Id = Field(validation_alias="id")
    key: str
    name: str
    description: str
    skills: list[SkillTarget]
    prerequisites: list[Id] = Field(description="Roles whose assessment must be completed first")


class RoleList(Output):
    items: list[RoleResponse]


class Credential(Output):
    credential_id: Id = Field(validation_alias="id")
    title: str
    description: str
    skills: list[str]
    provider: str
    level: str
    hours: Number
    source_uri: str
    prerequisites: list[Id]
    embedding_vector_ref: str | None = Field(default=None, description="The embedding artifact of its text, if any")


class CredentialList(Output):
    items: list[Credential]
    page: int
    page_size: int
    total: int
