"""Web pages for students, advisors and admins, rendered on the server. They call the services that REST calls."""
