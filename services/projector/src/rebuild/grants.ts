import type { SqlRunner } from '@tidemark/store'
import type { Schemas } from './types.ts'

const GRANTS = `with held as (
  select 'schema ' || quote_ident($2) as target, a.* from pg_namespace n cross join lateral aclexplode(n.nspacl) a
    where n.nspname = $1 and a.grantee <> n.nspowner
  union all
  select 'table ' || quote_ident($2) || '.' || quote_ident(c.relname), a.* from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    join pg_class twin on twin.relname = c.relname and twin.relkind = 'r'
    join pg_namespace m on m.oid = twin.relnamespace and m.nspname = $2
    cross join lateral aclexplode(c.relacl) a
    where n.nspname = $1 and c.relkind = 'r' and a.grantee <> c.relowner
)
select format('grant %s on %s to %s%s', h.privilege_type, h.target,
  case when h.grantee = 0 then 'public' else quote_ident(r.rolname) end,
  case when h.is_grantable then ' with grant option' else '' end) as sql
from held h left join pg_roles r on r.oid = h.grantee where h.grantee = 0 or r.oid is not null`

/** Statements that give others the same rights on the rebuilt schema and tables that they have on the live ones. */
export async function grantsSql(tx: SqlRunner, { live, next }: Schemas): Promise<string[]> {
  const rows = await tx.query<{ sql: string }>(GRANTS, [live, next])
  return rows.map(({ sql }) => sql)
}
