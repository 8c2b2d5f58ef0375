locals {
  database = "${aws_db_instance.main.endpoint}/microcred?sslmode=require"

  # Generated or derived here.
  made = {
    OWNER_DATABASE_URL = "postgresql://microcred:${random_password.database["owner"].result}@${local.database}"
    APP_DATABASE_URL   = "postgresql://microcred_app:${random_password.database["app"].result}@${local.database}"
    APP_ROLE_PASSWORD  = random_password.database["app"].result
  }

  # Set once by hand, and rotate by hand.
  given = ["JWT_SECRET", "WEBHOOK_SECRET_KEYS", "OPENAI_API_KEY", "TEMPORAL_API_KEY", "WEAVIATE_API_KEY"]
}

resource "aws_secretsmanager_secret" "every" {
  for_each = toset(concat(keys(local.made), local.given))
  name     = "${local.name}/${each.key}"
}

resource "aws_secretsmanager_secret_version" "made" {
  for_each      = local.made
  secret_id     = aws_secretsmanager_secret.every[each.key].id
  secret_string = each.value
}
