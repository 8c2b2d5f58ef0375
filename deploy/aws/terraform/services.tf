locals {
  shared = merge(
    {
      MICROCRED_ENV      = var.environment
      TEMPORAL_ADDRESS   = var.temporal_address
      TEMPORAL_NAMESPACE = var.temporal_namespace
    },
    var.weaviate_url == "" ? {} : { WEAVIATE_URL = var.weaviate_url },
  )

  app     = merge({ DATABASE_URL = "APP_DATABASE_URL" }, var.temporal_cloud ? { TEMPORAL_API_KEY = "TEMPORAL_API_KEY" } : {})
  search  = var.weaviate_url == "" ? {} : { WEAVIATE_API_KEY = "WEAVIATE_API_KEY" }
  sealing = { WEBHOOK_SECRET_KEYS = "WEBHOOK_SECRET_KEYS" }
  names   = { WEBHOOK_OWN_HOSTS = var.domain }

  # `secrets` maps each variable to its secret. CPU units and MiB must be a pair that Fargate supports.
  services = {
    api = {
      command     = ["python", "-m", "api"]
      cpu         = 512
      memory      = 1024
      count       = 2
      environment = merge(local.names, { TRUSTED_PROXIES = var.network })
      secrets     = merge(local.app, local.sealing, { JWT_SECRET = "JWT_SECRET" })
    }
    worker-assessments = {
      command     = ["python", "worker.py", "--queues", "assessments"]
      cpu         = 512
      memory      = 1024
      count       = 2
      environment = { ESSAY_GRADER = "openai" }
      secrets     = local.app
    }
    worker-llm = {
      command     = ["python", "worker.py", "--queues", "llm"]
      cpu         = 256
      memory      = 1024
      count       = 1
      environment = {}
      secrets     = merge(local.app, { OPENAI_API_KEY = "OPENAI_API_KEY" })
    }
    worker-embeddings = {
      command     = ["python", "worker.py", "--queues", "embeddings"]
      cpu         = 1024
      memory      = 4096
      count       = 2
      environment = {}
      secrets     = merge(local.app, local.search)
    }
    worker-webhooks = {
      command     = ["python", "worker.py", "--queues", "webhooks"]
      cpu         = 256
      memory      = 1024
      count       = 1
      environment = local.names
      secrets     = merge(local.app, local.sealing)
    }
  }

  # The pipeline runs it before it updates the services.
  release = {
    command     = ["sh", "-c", "python -m deploy.migrate && python -m persistence.load_content && python -m deploy.local.embed"]
    cpu         = 1024
    memory      = 4096
    environment = {}
    secrets     = merge(local.search, { DATABASE_URL = "OWNER_DATABASE_URL", APP_ROLE_PASSWORD = "APP_ROLE_PASSWORD" })
  }
}

resource "aws_ecs_cluster" "main" {
  name = local.name

  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_cloudwatch_log_group" "main" {
  name              = "/microcred/${var.environment}"
  retention_in_days = 30
}

resource "aws_ecs_task_definition" "every" {
  for_each                 = merge(local.services, { release = local.release })
  family                   = "${local.name}-${each.key}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = each.value.cpu
  memory                   = each.value.memory
  execution_role_arn       = aws_iam_role.execution.arn

  container_definitions = jsonencode([{
    name                   = "app"
    image                  = var.image
    command                = each.value.command
    essential              = true
    readonlyRootFilesystem = false # a volume for /tmp would belong to root, and Fargate has no reliable tmpfs
    stopTimeout            = each.key == "worker-llm" ? 100 : 40 # longer than WORKER_LLM_GRACE_S and WORKER_GRACE_S
    portMappings           = each.key == "api" ? [{ containerPort = 8000 }] : []
    environment            = [for name, value in merge(local.shared, each.value.environment) : { name = name, value = value }]
    secrets = [for name, secret in each.value.secrets : {
      name      = name
      valueFrom = aws_secretsmanager_secret.every[secret].arn
    }]
    mountPoints = each.key == "worker-assessments" ? [{ sourceVolume = "kept", containerPath = "/var/lib/microcred" }] : []
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.main.name
        awslogs-region        = var.region
        awslogs-stream-prefix = each.key
      }
    }
  }])

  dynamic "volume" {
    for_each = each.key == "worker-assessments" ? [1] : []

    content {
      name = "kept"

      efs_volume_configuration {
        file_system_id     = aws_efs_file_system.kept.id
        transit_encryption = "ENABLED"

        authorization_config {
          access_point_id = aws_efs_access_point.kept.id
        }
      }
    }
  }
}

resource "aws_ecs_service" "every" {
  for_each        = local.services
  name            = each.key
  cluster         = aws_ecs_cluster.main.id
  task_definition = aws_ecs_task_definition.every[each.key].arn
  desired_count   = each.value.count
  launch_type     = "FARGATE"

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets         = aws_subnet.private[*].id
    security_groups = [aws_security_group.processes.id]
  }

  dynamic "load_balancer" {
    for_each = each.key == "api" ? [1] : []

    content {
      target_group_arn = aws_lb_target_group.api.arn
      container_name   = "app"
      container_port   = 8000
    }
  }

  depends_on = [aws_lb_listener.https]
}
