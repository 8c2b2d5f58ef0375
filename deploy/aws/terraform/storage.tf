resource "random_password" "database" {
  for_each = toset(["owner", "app"])
  length   = 40
  special  = false # the passwords become parts of URLs
}

resource "aws_db_subnet_group" "main" {
  name       = local.name
  subnet_ids = aws_subnet.private[*].id
}

# RDS offers the extensions pgvector and citext; the migrations create them.
resource "aws_db_instance" "main" {
  identifier                   = local.name
  engine                       = "postgres"
  engine_version               = "17"
  instance_class               = var.database_class
  allocated_storage            = 50
  max_allocated_storage        = 500
  storage_encrypted            = true
  db_name                      = "microcred"
  username                     = "microcred"
  password                     = random_password.database["owner"].result
  db_subnet_group_name         = aws_db_subnet_group.main.name
  vpc_security_group_ids       = [aws_security_group.storage.id]
  multi_az                     = var.environment == "production"
  backup_retention_period      = 14 # point-in-time recovery of the last two weeks
  deletion_protection          = var.environment == "production"
  skip_final_snapshot          = var.environment != "production"
  final_snapshot_identifier    = "${local.name}-last"
  performance_insights_enabled = true
}

# The list of erased users must outlive the database. All workers of `assessments` share it.
resource "aws_efs_file_system" "kept" {
  encrypted = true
}

resource "aws_efs_mount_target" "kept" {
  count           = 2
  file_system_id  = aws_efs_file_system.kept.id
  subnet_id       = aws_subnet.private[count.index].id
  security_groups = [aws_security_group.storage.id]
}

resource "aws_efs_access_point" "kept" {
  file_system_id = aws_efs_file_system.kept.id

  posix_user {
    uid = 10001
    gid = 10001
  }

  root_directory {
    path = "/microcred"

    creation_info {
      owner_uid   = 10001
      owner_gid   = 10001
      permissions = "700"
    }
  }
}
