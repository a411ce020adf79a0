/**
 * Whether acknowledged posts are really on PostgreSQL's disk. A node that is killed proves nothing:
 * PostgreSQL goes on, and keeps what it only has in memory.
 *
 * 1. *On the disk before the answer.* It is read where the write-ahead log ends; one message is
 *    posted; and once it is acknowledged, it is read on another connection how far the log has been
 *    flushed. The commit lies behind that end. So if the flush has not passed it, the message was
 *    acknowledged too early, whatever any setting says. What others flush meanwhile may hide such a
 *    fault, but nothing can feign one.
 * 2. *A flush that is one.* Without `fsync` PostgreSQL takes for flushed what it has not synced.
 *    But it counts its syncs (`pg_stat_wal`), and posts that wait for each other need one each.
 * 3. *It stays so.* `fsync` and `full_page_writes` can be changed under a running server, so both
 *    are looked at again and again while the trial goes on.
 */
import type postgres from 'postgres'
import { ask, signUpPeople } from './accounts.ts'
import { pause } from './people.ts'
import type { Durability } from './report.ts'

const POSTS = 40
/** A session reports its counts about once a second, and only when it has done something. */
const COUNT_MS_MAX = 10_000
const COUNT_EVERY_MS = 100
const LOOK_EVERY_MS = 250
/** With other ones each write is synced by itself, and nothing is counted. */
const COUNTED_METHODS = ['fdatasync', 'fsync', 'fsync_writethrough']

interface Observed {
  posts: number
  /** Acknowledged before they were flushed. */
  early: number
  /** Undefined where they were not counted. */
  syncs: number | undefined
}

export class LogWitness {
  /** Settings that were seen not to be on, as `fsync = off`. */
  readonly off = new Set<string>()
  readonly #sql: postgres.Sql
  #observed: Observed | undefined
  #looking: Promise<void> | undefined
  #isOver = false

  /** `sql` asks on a connection that no node has. */
  constructor(sql: postgres.Sql) {
    this.#sql = sql
  }

  /** Phases 1 and 2, through each of the nodes. */
  async observe(urls: readonly string[], countMsMax = COUNT_MS_MAX): Promise<void> {
    const [person] = await signUpPeople(() => urls[0]!, 1)
    const post = (i: number) =>
      ask(urls[i % urls.length]!, `/user/${person!.id}/messages`, person!.token, {
        text: `note ${i}`,
      })
    const before = await this.#syncs()
    let early = 0
    for (let i = 0; i < POSTS; i++) {
      const end = await this.#position('pg_current_wal_insert_lsn()')
      await post(i)
      if ((await this.#position('pg_current_wal_flush_lsn()')) <= end) early += 1
    }
    // What was not even flushed need not have been synced.
    const isCounted = before !== undefined && early === 0
    const syncs = isCounted ? await this.#syncsSince(before, post, countMsMax) : undefined
    this.#observed = { posts: POSTS, early, syncs }
  }

  /** Phase 3, until `testify`. */
  watch(): void {
    this.#looking ??= this.#look()
  }

  async #position(name: string): Promise<bigint> {
    const [row] = await this.#sql.unsafe(`SELECT ${name} - '0/0' AS bytes`)
    return BigInt(row!.bytes)
  }

  async #syncs(): Promise<number | undefined> {
    const [found] = await this.#sql`
      SELECT current_setting('wal_sync_method') AS method, EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = to_regclass('pg_catalog.pg_stat_wal') AND attname = 'wal_sync') AS counts`
    if (!found!.counts || !COUNTED_METHODS.includes(found!.method)) return undefined
    const [row] = await this.#sql`SELECT wal_sync FROM pg_stat_wal`
    return Number(row!.wal_sync)
  }

  /** Posts on while the sessions have not reported as many as are due. */
  async #syncsSince(
    before: number,
    post: (i: number) => Promise<unknown>,
    msMax: number,
  ): Promise<number> {
    const untilMs = performance.now() + msMax
    for (let i = POSTS; ; i++) {
      const syncs = (await this.#syncs())! - before
      if (syncs >= POSTS || performance.now() > untilMs) return syncs
      await post(i)
      await pause(COUNT_EVERY_MS)
    }
  }

  async #look(): Promise<void> {
    while (!this.#isOver) {
      // A question that fails says nothing of durability, and the next one comes soon.
      const rows = await this.#sql`
        SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes')`.catch(
        () => [],
      )
      for (const { name, setting } of rows)
        if (setting !== 'on') this.off.add(`${name} = ${setting}`)
      await pause(LOOK_EVERY_MS)
    }
  }

  /** Ends the looking, and says what was seen. After `observe`. */
  async testify(): Promise<Durability> {
    this.#isOver = true
    await this.#looking
    const { posts, early, syncs } = this.#observed!
    const counted = syncs === undefined ? 'syncs not counted' : `${syncs} syncs`
    const flushed = `${posts - early} flushed before the answer`
    const off = this.off.size === 0 ? '' : `; PostgreSQL ran with ${[...this.off].join(', ')}`
    return {
      isUnsafe: early > 0 || (syncs ?? posts) < posts || off !== '',
      words: `${posts} posts, one after the other: ${flushed}, ${counted}${off}`,
    }
  }
}
