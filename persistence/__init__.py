"""The system of record: tables, migrations, the unit of work and the repositories behind the domain's ports."""
