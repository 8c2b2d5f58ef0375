# Dormant: ECS Fargate and RDS for the day when the platforms no longer fit. Nothing applies this by itself;
# deploy/aws/pipeline.yml holds the commented pipeline, docs/deploying.md the steps.
terraform {
  required_version = ">= 1.7.3"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.0"
    }
    random = {
      source  = "hashicorp/random"
      version = "~> 3.6"
    }
  }

  # The bucket is made once by hand; its name comes with `terraform init -backend-config=bucket=…`.
  backend "s3" {
    key          = "microcred/terraform.tfstate"
    use_lockfile = true
    encrypt      = true
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = {
      application = "microcred"
      environment = var.environment
    }
  }
}
