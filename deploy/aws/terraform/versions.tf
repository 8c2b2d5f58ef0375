# Not in use: ECS Fargate and RDS, in case the other platforms no longer fit. No pipeline applies these files;
# deploy/aws/pipeline.yml has a commented pipeline, docs/deploying.md the steps.
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

  # Create the bucket once by hand, and pass its name with `terraform init -backend-config=bucket=…`.
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
