/** A database of one's own in somebody's PostgreSQL, made for a trial and dropped after it. */
import { randomBytes } from 'node:crypto'
import postgres from 'postgres'

/** A database with such a name was made for this, by us or by hand. */
const PREFIX = 'parley_verify_'
const CONNECT_S_MAX = 10
const FORBIDDEN = '42501'

export class ScratchDatabase {
  readonly url: string
  readonly name: string
  /** `15.4` */
  readonly version: string
  /** To questions, beside the nodes: in the database that was named, not in the scratch one. */
  readonly sql: postgres.Sql
  readonly #isOurs: boolean

  /**
   * Makes one beside the database that `url` names; or takes that one, if its name says that it was
   * made for this, and it is empty. Rejects with a sentence for people.
   */
  static async make(url: string): Promise<ScratchDatabase> {
    const sql = postgres(url, { max: 2, connect_timeout: CONNECT_S_MAX, onnotice: () => {} })
    try {
      const [given] = await sql`
        SELECT current_setting('server_version') AS version, current_database() AS name,
               current_user AS role`
      const { version, name, role } = given as unknown as Given
      const byHand = name.startsWith(PREFIX)
      if (byHand) await refuseUnlessEmpty(sql, name)
      const own = byHand ? name : PREFIX + randomBytes(6).toString('hex')
      if (!byHand) await create(sql, own, role)
      const scratchUrl = Object.assign(new URL(url), { pathname: `/${own}` }).href
      return new ScratchDatabase(scratchUrl, own, version.split(' ')[0]!, sql, !byHand)
    } catch (error) {
      await sql.end({ timeout: 1 })
      const { host } = new URL(url)
      throw error instanceof Unusable
        ? error
        : new Error(`PostgreSQL at ${host} cannot be used: ${(error as Error).message}`)
    }
  }

  private constructor(
    url: string,
    name: string,
    version: string,
    sql: postgres.Sql,
    isOurs: boolean,
  ) {
    this.url = url
    this.name = name
    this.version = version
    this.sql = sql
    this.#isOurs = isOurs
  }

  /** Drops it, whoever is still connected; one that was made by hand is left as it is. */
  async remove(): Promise<void> {
    try {
      if (this.#isOurs) await this.sql.unsafe(`DROP DATABASE ${this.name} WITH (FORCE)`)
    } catch (error) {
      const { message } = error as Error
      throw new Error(`The database ${this.name} is left behind (${message}): drop it by hand.`)
    } finally {
      await this.sql.end({ timeout: 1 })
    }
  }
}

interface Given {
  version: string
  name: string
  role: string
}

class Unusable extends Error {}

async function create(sql: postgres.Sql, name: string, role: string): Promise<void> {
  const form = "ENCODING 'UTF8' TEMPLATE template0"
  try {
    await sql.unsafe(`CREATE DATABASE ${name} ${form}`)
  } catch (error) {
    if ((error as postgres.PostgresError).code !== FORBIDDEN) throw error
    throw new Unusable(
      `The role "${role}" may not create databases, and verify wants one of its own. Grant it, ` +
        `as a superuser: ALTER ROLE "${role}" CREATEDB. Or make an empty one by hand and name it ` +
        `in --database; its name must begin with ${PREFIX}: CREATE DATABASE ${PREFIX}1 OWNER ` +
        `"${role}" ${form}.`,
    )
  }
}

async function refuseUnlessEmpty(sql: postgres.Sql, name: string): Promise<void> {
  const found = await sql`
    SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname <> 'information_schema' AND nspname NOT LIKE 'pg\_%' LIMIT 1`
  if (found.length > 0)
    throw new Unusable(
      `The database ${name} is not empty. One whose name begins with ${PREFIX} is used as it ` +
        'stands: drop it and make it anew, or name another, and verify makes its own beside it.',
    )
}
