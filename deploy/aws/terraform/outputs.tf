output "api_address" {
  description = "The target of the domain's CNAME"
  value       = aws_lb.api.dns_name
}

output "cluster" {
  description = "The cluster of the release task and the services"
  value       = aws_ecs_cluster.main.name
}

output "private_subnets" {
  description = "The subnets of the release task"
  value       = aws_subnet.private[*].id
}

output "processes_security_group" {
  description = "The security group of the release task"
  value       = aws_security_group.processes.id
}
