/** A database of its own for each server under test, on a PostgreSQL that runs already. */
import postgres from 'postgres'

export class FreshDatabase {
  /** For `DATABASE_URL`. */
  readonly url: string
  readonly #name: string
  readonly #sql: postgres.Sql

  /** `url` is that of a database, any one, whose user may make others. */
  static async create(url: string): Promise<FreshDatabase> {
    const database = new FreshDatabase(url)
    await database.#sql.unsafe(
      `CREATE DATABASE ${database.#name} ENCODING 'UTF8' TEMPLATE template0`,
    )
    return database
  }

  private constructor(url: string) {
    this.#sql = postgres(url, { max: 1, onnotice: () => {} })
    this.#name = `parley_bench_${process.pid}_${Date.now()}`
    const own = new URL(url)
    own.pathname = `/${this.#name}`
    this.url = own.href
  }

  async drop(): Promise<void> {
    await this.#sql.unsafe(`DROP DATABASE ${this.#name}`)
    await this.#sql.end()
  }
}
