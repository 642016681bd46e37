import postgres from 'postgres';

export type BootstrapInput = {
  superuserUrl: string;
  database: string;
  ownerPassword: string;
  appPassword: string;
};

/** Makes the database and its two login roles when they are missing, and sets their passwords. */
export async function ensureDatabase(input: BootstrapInput): Promise<void> {
  // One connection: the passwords travel in its settings.
  const sql = postgres(input.superuserUrl, { max: 1, connect_timeout: 10, onnotice: () => undefined });
  try {
    await ensureRoles(sql, input.ownerPassword, input.appPassword);
    const found = await sql`select 1 from pg_database where datname = ${input.database}`;
    if (found.length === 0) {
      await sql`create database ${sql(input.database)} owner dreamnet_owner`;
    }
    await sql`revoke all on database ${sql(input.database)} from public`;
    await sql`grant connect on database ${sql(input.database)} to dreamnet_app`;
  } finally {
    await sql.end({ timeout: 5 });
  }
}

// A role's password cannot be a bound value: format(%L) quotes it on the server, and no statement text holds it.
async function ensureRoles(sql: postgres.Sql, ownerPassword: string, appPassword: string): Promise<void> {
  await sql`select set_config('dreamnet.owner_password', ${ownerPassword}, false),
                   set_config('dreamnet.app_password', ${appPassword}, false)`;
  await sql`
    do $body$
    declare
      wanted record;
    begin
      for wanted in
        select * from (values
          ('dreamnet_owner', current_setting('dreamnet.owner_password')),
          ('dreamnet_app', current_setting('dreamnet.app_password'))
        ) as roles (name, password)
      loop
        if not exists (select from pg_roles where rolname = wanted.name) then
          execute format('create role %I', wanted.name);
        end if;
        execute format(
          'alter role %I login nosuperuser nocreatedb nocreaterole noreplication nobypassrls password %L',
          wanted.name, wanted.password
        );
      end loop;
    end
    $body$`;
  await sql`select set_config('dreamnet.owner_password', '', false), set_config('dreamnet.app_password', '', false)`;
}
