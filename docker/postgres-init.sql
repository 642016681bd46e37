-- Run once, by the postgres image, when its volume is empty: what db/bootstrap.ts does for `npm start`, and Temporal's
-- own two databases. The owner migrates, the application only works, and neither is a superuser.
\set ON_ERROR_STOP on
\set owner_password `cat /run/secrets/postgres-owner`
\set app_password `cat /run/secrets/postgres-app`
\set temporal_password `cat /run/secrets/postgres-temporal`

CREATE ROLE dreamnet_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'owner_password';
CREATE ROLE dreamnet_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'app_password';
CREATE ROLE temporal LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'temporal_password';

CREATE DATABASE dreamnet OWNER dreamnet_owner;
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;

REVOKE ALL ON DATABASE dreamnet, temporal, temporal_visibility FROM PUBLIC;
GRANT CONNECT ON DATABASE dreamnet TO dreamnet_app;
