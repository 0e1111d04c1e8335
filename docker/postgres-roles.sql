-- For docker-compose.yml: an owner who migrates, and a role for instances that cannot change the schema or the audit log.
create role drawbridge_app login password 'drawbridge_app'; -- for this machine only, as the owner's
