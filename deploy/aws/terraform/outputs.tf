output "api_address" {
  description = "What the domain's CNAME names"
  value       = aws_lb.api.dns_name
}

output "cluster" {
  description = "Where the pipeline runs the release task and updates the services"
  value       = aws_ecs_cluster.main.name
}

output "private_subnets" {
  description = "Of the release task"
  value       = aws_subnet.private[*].id
}

output "processes_security_group" {
  description = "Of the release task"
  value       = aws_security_group.processes.id
}
