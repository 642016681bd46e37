-- The grant on all tables of the first release reached the partitions that were there: the log could be rewritten
-- through them. The application goes through `events`; it needs no right on a partition.
DO $$
DECLARE
  partition regclass;
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'dreamnet_app') THEN
    FOR partition IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'public.events'::regclass LOOP
      EXECUTE format('REVOKE ALL ON %s FROM dreamnet_app', partition);
    END LOOP;
  END IF;
END $$;
