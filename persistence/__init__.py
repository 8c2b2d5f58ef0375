"""Tables, migrations, the unit of work and the repositories that implement the domain's ports on PostgreSQL."""
