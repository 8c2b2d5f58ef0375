variable "environment" {
  description = "The value of MICROCRED_ENV: staging or production"
  type        = string

  validation {
    condition     = contains(["staging", "production"], var.environment)
    error_message = "Must be staging or production."
  }
}

variable "region" {
  description = "The region of all resources; another region needs another state"
  type        = string
  default     = "us-east-1"
}

variable "image" {
  description = "The image by digest"
  type        = string
}

variable "domain" {
  description = "The API's host name; partners' endpoints must not use it"
  type        = string
}

variable "certificate_arn" {
  description = "The ARN of the domain's certificate, in the same region"
  type        = string
}

variable "temporal_address" {
  description = "host:port of Temporal Cloud or of your own server"
  type        = string
}

variable "temporal_cloud" {
  description = "Whether to use TEMPORAL_API_KEY, which also means TLS"
  type        = bool
  default     = false
}

variable "temporal_namespace" {
  description = "The Temporal namespace"
  type        = string
}

variable "weaviate_url" {
  description = "The URL of Weaviate; if empty, pgvector searches"
  type        = string
  default     = ""
}

variable "network" {
  description = "The CIDR of the VPC"
  type        = string
  default     = "10.20.0.0/16"
}

variable "database_class" {
  description = "The instance class of the database"
  type        = string
  default     = "db.t4g.medium"
}
