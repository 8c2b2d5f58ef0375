variable "environment" {
  description = "What MICROCRED_ENV says: staging or production"
  type        = string

  validation {
    condition     = contains(["staging", "production"], var.environment)
    error_message = "Must be staging or production."
  }
}

variable "region" {
  description = "Of everything; another one is another state"
  type        = string
  default     = "us-east-1"
}

variable "image" {
  description = "The image by digest, as the pipeline pushed it"
  type        = string
}

variable "domain" {
  description = "The API's name; partners' endpoints must not be it"
  type        = string
}

variable "certificate_arn" {
  description = "Of the certificate for the domain, in the same region"
  type        = string
}

variable "temporal_address" {
  description = "host:port of Temporal Cloud or of a server of one's own"
  type        = string
}

variable "temporal_cloud" {
  description = "Whether TEMPORAL_API_KEY goes along, which also means TLS"
  type        = bool
  default     = false
}

variable "temporal_namespace" {
  description = "The namespace there"
  type        = string
}

variable "weaviate_url" {
  description = "Empty: pgvector searches"
  type        = string
  default     = ""
}

variable "network" {
  description = "The VPC's addresses"
  type        = string
  default     = "10.20.0.0/16"
}

variable "database_class" {
  description = "The size of the database"
  type        = string
  default     = "db.t4g.medium"
}
